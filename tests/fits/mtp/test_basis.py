"""The moments of a level are those of MLIP."""

import numpy as np
import pytest
from ase.build import bulk
from motep.calculator import MTP

from phonsmith.fits.mtp.basis import moment_basis, radial_functions
from phonsmith.potentials.mtp import read

MLIP = {2: 1, 4: 2, 6: 5, 8: 9, 10: 16, 12: 29, 16: 92, 20: 288, 24: 864}
"""Scalar moments of untrained potentials that MLIP 2 ships, and of files trained with it."""


@pytest.mark.parametrize(("level", "count"), MLIP.items())
def test_scalars_of_a_level_are_as_many_as_those_of_mlip(level, count):
    basis = moment_basis(level)
    assert len(basis.scalars) == len(set(basis.scalars)) == count
    assert basis.radial_functions == radial_functions(level)


@pytest.mark.parametrize("level", [12, 14, 16, 18, 20, 24])
def test_scalars_have_the_values_of_those_in_files_of_mlip(level, shared_data):
    """Their order differs; the number of products is not larger than MLIP's."""
    data = read(shared_data / f"mtp-levels/{level}.mtp")
    data.species = [14]
    crystal = bulk("Si", cubic=True)
    crystal.rattle(0.2, seed=1)

    def values():
        calculator = MTP(data)
        calculator.get_potential_energy(crystal)
        return np.sort(calculator.engine.mbd.vatoms, axis=0)

    theirs = values()
    basis = moment_basis(level)
    assert len(basis.scalars) == data.alpha_scalar_moments
    assert len(basis.basic) == data.alpha_index_basic_count
    assert len(basis.products) <= data.alpha_index_times_count
    data.alpha_moments_count = basis.moments
    data.alpha_index_basic, data.alpha_index_times = basis.basic, basis.products
    data.alpha_index_times_count = len(basis.products)
    data.alpha_moment_mapping = basis.scalars
    assert values() == pytest.approx(theirs, rel=1e-8, abs=1e-8 * np.abs(theirs).max())
