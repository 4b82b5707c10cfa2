"""Environments of displaced cells: which of them differ, and which are those of the crystal."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from phonsmith.fits.gap.environments import classes_of, environments
from phonsmith.potentials.locality import changed_centres


@pytest.mark.parametrize("crystal", [bulk("Si", a=5.431), bulk("NaCl", "rocksalt", a=5.64)])
def test_a_displacement_changes_the_environments_around_it(crystal):
    perfect = crystal.repeat(5)
    displaced = perfect.copy()
    displaced.positions[7] += (0.01, 0, 0)
    displaced.positions += 0.3  # nor does the origin matter
    displaced.wrap()
    before, after = environments(perfect, 5.0), environments(displaced, 5.0)
    assert len(set(before.keys)) == len(crystal)
    moved = perfect.copy()
    moved.positions[7] += (0.01, 0, 0)
    changed = changed_centres(perfect, moved, 5.0)
    different = [a != b for a, b in zip(before.keys, after.keys, strict=True)]
    assert np.flatnonzero(different).tolist() == changed.tolist()


def test_rounded_positions_make_no_environment_another():
    """Extxyz files have eight decimals."""
    cell = bulk("Si", a=5.4311234567).repeat(6)
    cell.positions[3] += (0.01, 0, 0)
    exact = len(set(environments(cell, 5.0).keys))
    cell.positions = cell.positions.round(8)
    # a few at the edge of a bin are computed again
    assert exact <= len(set(environments(cell, 5.0).keys)) < len(cell) / 4


def test_atoms_of_a_class_feel_equal_environments():
    cell = bulk("Si", a=5.431, cubic=True).repeat(3)
    cell.positions[0] += (0.01, 0.02, 0)
    alike = classes_of(environments(cell, 4.0))
    # around the displacement all differ; beyond twice the cutoff both sublattices remain
    sizes = np.bincount(alike.force)
    assert sorted(sizes)[-3] < 10 < sorted(sizes)[-2]
    assert len(alike.members) == len(sizes) < len(cell)
    # each slot of each environment acts on one atom
    assert sum(place.count for place in alike.places) == len(cell)


def test_a_cell_smaller_than_the_cutoff_meets_its_own_images():
    found = environments(bulk("Si", a=5.431), 5.0)
    assert np.bincount(found.centre).tolist() == [29, 29]
    alike = classes_of(found)
    for place in alike.places:
        assert place.times.sum() == 29


def test_a_single_atom_has_an_environment_of_its_own():
    lone = environments(Atoms("Si"), 5.0)
    assert lone.keys == environments(Atoms("Si", cell=[20] * 3, pbc=True), 5.0).keys
    assert lone.keys != environments(Atoms("Ge"), 5.0).keys
