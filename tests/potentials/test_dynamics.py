"""Molecular dynamics: exact continuation, averages, ramps and limits."""

import numpy as np
import pytest
from ase import units
from ase.build import bulk
from ase.md.velocitydistribution import thermalize_momenta

from phonsmith.potentials.at_once import AtOnce
from phonsmith.potentials.calculators import make_calculator
from phonsmith.potentials.dynamics import Bath, LangevinRun, Limits, Stretch
from phonsmith.potentials.settings import PotentialSource

SW = PotentialSource(calculator="stillinger-weber")
BATH = Bath(thermostat_fs=50, barostat_fs=300)


def silicon(kelvin: float = 300.0, seed: int = 1):
    atoms = bulk("Si", cubic=True, a=5.431)
    thermalize_momenta(atoms, kelvin, rng=np.random.default_rng(seed))
    atoms.calc = AtOnce(make_calculator(SW))
    return atoms


def dynamics(stretches, bath=BATH, seed=2) -> LangevinRun:
    return LangevinRun(silicon(), stretches, bath, np.random.default_rng(seed))


def finish(run: LangevinRun) -> LangevinRun:
    for _ in run.walk():
        pass
    return run


@pytest.mark.parametrize("free_shape", [False, True])
@pytest.mark.parametrize("stop", [7, 20, 33])
def test_a_restored_run_continues_exactly(free_shape, stop) -> None:
    stretches = [
        Stretch(20, (300, 600)),
        Stretch(20, (600, 300), (0, 5)),
        Stretch(10, (300, 300), (5, 5)),
    ]
    bath = Bath(thermostat_fs=50, barostat_fs=300, free_shape=free_shape)
    whole = finish(dynamics(stretches, bath))

    first = dynamics(stretches, bath)
    for _ in first.walk():
        if first.step == stop:
            break
    second = LangevinRun(silicon(seed=9), stretches, bath, np.random.default_rng(99))
    second.restore(first.state)
    finish(second)
    np.testing.assert_array_equal(second.atoms.positions, whole.atoms.positions)
    np.testing.assert_array_equal(np.array(second.atoms.cell), np.array(whole.atoms.cell))
    np.testing.assert_array_equal(second.atoms.get_momenta(), whole.atoms.get_momenta())
    square = np.array(whole.atoms.cell) / whole.atoms.cell[0, 0]
    assert np.allclose(square, np.eye(3), atol=1e-12) != free_shape


def test_targets_change_linearly_and_stretches_follow_each_other() -> None:
    run = dynamics([Stretch(4, (100, 500)), Stretch(2, (500, 500), (0, 10))])
    targets = []
    for _ in run.walk():
        targets.append(run.target)
    assert [kelvin for kelvin, _ in targets] == [100, 200, 300, 400, 500, 500, 500]
    assert [gpa for _, gpa in targets] == [None] * 4 + [0, 5, 10]


def test_pressure_and_temperature_are_those_of_the_baths() -> None:
    """Mean pressure with its kinetic part, and mean temperature, of an equilibrated run."""
    run = dynamics([Stretch(2500, (600, 600), (8, 8))])
    pressures, temperatures = [], []
    for _ in run.walk():
        if run.step > 700:
            atoms = run.atoms
            stress = atoms.get_stress(include_ideal_gas=True)
            pressures.append(-stress[:3].mean() / units.GPa)
            temperatures.append(atoms.get_temperature())
    assert np.mean(pressures) == pytest.approx(8, abs=0.5)
    assert np.mean(temperatures) == pytest.approx(600, rel=0.1)
    assert run.atoms.cell[0, 0] < 5.431  # compressed


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(1e-9, 9, 0.5), "a force of"),
        (Limits(99, 1e-6, 0.5), "a temperature of"),
        (Limits(99, 99, 2.6), "Å apart (limit 2.60)"),
        (Limits(99, 99, 0.5, displacement=1e-6, start=silicon()), "Å from its site"),
    ],
)
def test_limits(limits, message) -> None:
    run = finish(dynamics([Stretch(5, (300, 300))]))
    assert message in limits.broken_by(run.atoms, 300)
    assert not Limits(99, 99, 0.5).broken_by(run.atoms, 300)
    far = Limits(99, 99, 2.6)
    assert not far.broken_by(run.atoms, 300, distances=False)
