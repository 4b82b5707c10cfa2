"""Reference crystals under pressure."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.units import GPa

from phonsmith.disorder.crystals import ReferenceCrystal, ReferenceCrystals, under_pressure
from phonsmith.files.errors import PhonsmithError
from phonsmith.potentials.calculators import make_calculator
from phonsmith.potentials.settings import PotentialSource
from phonsmith.structures.settings import Relaxation

SW = PotentialSource(calculator="stillinger-weber")


def test_enthalpy_has_the_volume_as_its_slope():
    """dH/dp = V, by finite differences of relaxations at five pressures."""
    pressures = [0.0, 2.0, 4.0, 6.0, 8.0]
    found = under_pressure(
        "diamond", bulk("Si", "diamond", 5.43), make_calculator(SW), pressures, Relaxation()
    )
    assert [one.pressure_gpa for one in found] == pressures
    assert not any(one.reason for one in found)
    assert found[0].energy_ev_per_atom == pytest.approx(-2 * 2.1683, abs=1e-5)  # 2 ε
    volumes = [one.volume_angstrom3_per_atom for one in found]
    assert volumes == sorted(volumes, reverse=True)
    enthalpies = [
        one.energy_ev_per_atom + one.pressure_gpa * GPa * one.volume_angstrom3_per_atom
        for one in found
    ]
    slopes = np.gradient(enthalpies, np.array(pressures) * GPa, edge_order=2)
    assert slopes == pytest.approx(volumes, rel=1e-3)


def test_a_crystal_that_becomes_another_one_has_a_reason():
    """Stillinger and Weber's diamond cell with one atom moved away returns to diamond."""
    broken = bulk("Si", "diamond", 5.43)
    broken.positions[1] += [0.25, 0.1, 0]
    (found,) = under_pressure("broken", broken, make_calculator(SW), [1.0], Relaxation())
    assert "space group changed" in found.reason or "another structure" in found.reason
    assert found.energy_ev_per_atom is None


def test_pressures_are_ascending():
    with pytest.raises(PhonsmithError, match="ascending order"):
        under_pressure("x", Atoms("Si"), make_calculator(SW), [1.0, 0.0], Relaxation())


def test_references_return_from_their_file(tmp_path):
    crystal = bulk("Si", "diamond", 5.43)
    kept = [
        ReferenceCrystal.of("diamond", crystal, 3.0, -8.6),
        ReferenceCrystal(name="sh", pressure_gpa=3.0, reason="flew apart"),
    ]
    ReferenceCrystals(crystals=kept).save(tmp_path / "references.json")
    found = ReferenceCrystals.load(tmp_path / "references.json").crystals
    assert found == kept
    assert found[0].atoms == crystal
    assert found[0].energy_ev_per_atom == pytest.approx(-4.3)
    assert found[0].volume_angstrom3_per_atom == pytest.approx(5.43**3 / 8)
