"""Weighted equations are the potential and its derivatives."""

import numpy as np
import pytest
from ase.build import bulk

from phonsmith.files.extxyz import ENERGY, FORCES, STRESS
from phonsmith.fits.mtp.equations import Trial, parts_of, potential, rows_of, triangles
from phonsmith.fits.mtp.optimisation import initial
from phonsmith.fits.mtp.settings import MtpFit, MtpWeights
from phonsmith.potentials.mtp import Engine, calculator_of

E0S = {"C": -1.0, "Si": -2.0}
FIT = MtpFit(kind="mtp", level=10, weights=MtpWeights(energy=2, forces=0.5, stress=0.1))


@pytest.fixture(scope="module")
def cell():
    atoms = bulk("SiC", "zincblende", a=4.3, cubic=True)
    strain = 0.03 * np.random.default_rng(1).standard_normal((3, 3))
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    atoms.rattle(0.1, seed=1)
    random = np.random.default_rng(2)
    atoms.info[ENERGY] = float(random.normal())
    atoms.arrays[FORCES] = random.normal(size=(8, 3))
    stress = random.normal(size=(3, 3))
    atoms.info[STRESS] = stress + stress.T
    return atoms


@pytest.fixture(scope="module")
def trial():
    begin = initial(10, species=2, size=8, seed=0)
    return Trial(10, begin.trial.radial, np.random.default_rng(3).standard_normal(16))


def computed(cell, trial):
    atoms = cell.copy()
    atoms.calc = calculator_of(potential(FIT, E0S, trial))
    return atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress(voigt=False)


def rows(cell, trial):
    return rows_of(FIT, E0S, Engine(potential(FIT, E0S, trial), mode="train"), cell)


def test_the_sum_of_squares_is_the_loss_of_mlip(cell, trial):
    energy, forces, stress = computed(cell, trial)
    loss = 2 * (energy - cell.info[ENERGY]) ** 2 / 8
    loss += 0.5 * np.sum((forces - cell.arrays[FORCES]) ** 2)
    loss += 0.1 * np.sum((stress - cell.info[STRESS]) ** 2) * cell.get_volume() ** 2 / 8
    found = rows(cell, trial)
    linear = len(trial.linear)
    assert np.sum((found[:, :linear] @ trial.linear - found[:, -1]) ** 2) == pytest.approx(loss)


def test_forces_of_displaced_cells_have_their_own_weight(cell, trial):
    displaced = cell.copy()
    displaced.info["kind"] = "displaced"
    usual, other = rows(cell, trial), rows(displaced, trial)
    ratio = np.sqrt(FIT.weights.displaced_forces / FIT.weights.forces)
    assert other[1:25] == pytest.approx(ratio * usual[1:25])
    assert (other[[0, *range(25, 31)]] == usual[[0, *range(25, 31)]]).all()


def test_below_the_final_level_forces_of_displaced_cells_weigh_as_others(cell, trial):
    displaced = cell.copy()
    displaced.info["kind"] = "displaced"

    def squares(fit, atoms):
        return np.sum(triangles(fit, E0S, [[atoms]])((0, trial)) ** 2)

    higher = FIT.model_copy(update={"level": 12})
    assert squares(higher, displaced) == pytest.approx(squares(FIT, cell))
    assert squares(FIT, displaced) > 100 * squares(FIT, cell)


def test_derivatives_by_radial_coefficients_are_those_of_the_rows(cell, trial):
    found = rows(cell, trial)
    linear, step = len(trial.linear), 1e-5
    for index in np.random.default_rng(4).choice(trial.radial.size, 12, replace=False):
        away = np.zeros(trial.radial.size)
        away[index] = step
        away = away.reshape(trial.radial.shape)
        above, below = (
            rows(cell, Trial(10, trial.radial + sign * away, trial.linear))[:, :linear]
            for sign in (1, -1)
        )
        numerical = (above - below) @ trial.linear / (2 * step)
        analytical = found[:, linear + index]
        assert analytical == pytest.approx(numerical, abs=1e-6 * np.abs(numerical).max() + 1e-9)


def test_unlabelled_and_unweighted_quantities_have_no_rows(cell, trial):
    bare = cell.copy()
    del bare.info[ENERGY]
    assert len(rows(bare, trial)) == 24 + 6
    del bare.info[STRESS]
    assert len(rows(bare, trial)) == 24
    del bare.arrays[FORCES]
    assert rows(bare, trial).shape == (0, 16 + trial.radial.size + 1)
    fit = FIT.model_copy(update={"weights": MtpWeights(energy=0, stress=0)})
    assert len(rows_of(fit, E0S, Engine(potential(fit, E0S, trial), mode="train"), cell)) == 24


def test_parts_hold_each_cell_once_in_order(cell):
    cells = [cell.copy() for _ in range(21)]
    parts = parts_of(cells)
    assert [atoms for part in parts for atoms in part] == cells
    assert {len(part) for part in parts} <= {2, 3}
    assert parts_of(cells[:1]) == [cells[:1]]
