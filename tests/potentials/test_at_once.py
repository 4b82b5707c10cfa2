"""One calculation for each geometry, and the results of a calculator without the detour."""

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes

from phonsmith.benchmarks.mechanics import mechanics
from phonsmith.potentials.at_once import AtOnce
from phonsmith.potentials.calculators import make_calculator
from phonsmith.potentials.settings import PotentialSource
from phonsmith.structures.relaxation import Load, relax
from phonsmith.structures.settings import Relaxation
from phonsmith.supercells.candidates import run_dynamics
from phonsmith.supercells.settings import Dynamics

SW = PotentialSource(calculator="stillinger-weber")


class Property(Calculator):
    """Gives the properties asked for and no others, as quippy does, and counts."""

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self) -> None:
        super().__init__()
        self.inner = make_calculator(SW)
        self.calculated: list[bytes] = []

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Any = ("energy",),
        system_changes: Any = all_changes,
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        assert atoms is not None
        self.calculated.append(atoms.positions.tobytes() + atoms.cell.array.tobytes())
        self.results = {name: self.inner.get_property(name, atoms) for name in properties}


def distorted() -> Atoms:
    atoms = bulk("Si", a=5.5, cubic=True)
    atoms.rattle(0.05, seed=3)
    return atoms


def computed_once(calculator: Property) -> bool:
    return len(calculator.calculated) == len(set(calculator.calculated)) > 0


def test_a_relaxation_computes_each_geometry_once() -> None:
    calculator = Property()
    found = relax(distorted(), calculator, Relaxation(), Load(pressure_gpa=2.0))
    expected = relax(distorted(), make_calculator(SW), Relaxation(), Load(pressure_gpa=2.0))
    assert found.converged
    assert len(calculator.calculated) == found.steps + 1
    assert computed_once(calculator)
    assert np.array_equal(found.atoms.positions, expected.atoms.positions)
    assert np.array_equal(found.atoms.cell.array, expected.atoms.cell.array)
    assert (found.energy_ev, found.steps) == (expected.energy_ev, expected.steps)


def test_mechanics_compute_each_geometry_once() -> None:
    crystal = relax(bulk("Si", a=5.43), make_calculator(SW), Relaxation()).atoms
    calculator = Property()
    assert mechanics(crystal, calculator) == mechanics(crystal, make_calculator(SW))
    assert len(calculator.calculated) > 30
    # the strained cells of elastic constants and of the equation of state meet at the crystal
    assert len(calculator.calculated) <= len(set(calculator.calculated)) + 1


def test_dynamics_compute_each_geometry_once() -> None:
    calculator = Property()
    settings = Dynamics(temperature_kelvin=300, equilibration_steps=5, snapshots=2)
    run = run_dynamics(distorted(), calculator, settings, seed=1)
    assert not run.reason
    assert len(calculator.calculated) == run.steps + 1
    assert computed_once(calculator)


def test_what_a_calculator_does_not_offer_it_does_not_offer_at_once() -> None:
    atoms = distorted()
    atoms.calc = AtOnce(Property())
    with pytest.raises(PropertyNotImplementedError):
        atoms.get_magnetic_moments()
    before = atoms.get_forces()
    atoms.positions[0] += 0.1
    assert not np.allclose(before, atoms.get_forces())
    assert np.array_equal(atoms.get_stress(), make_calculator(SW).get_property("stress", atoms))
