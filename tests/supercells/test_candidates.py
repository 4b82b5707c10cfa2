"""Candidates for labels: rattled cells, molecular dynamics."""

import pickle
from collections import Counter
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.geometry import get_distances

from phonsmith.files.errors import PhonsmithError
from phonsmith.supercells.candidates import Pool, candidate_pool, run_dynamics
from phonsmith.supercells.cells import matrix_of, rattled_cells
from phonsmith.supercells.making import make_supercells
from phonsmith.supercells.selection import group_of
from phonsmith.supercells.settings import Dynamics, Rattled, Selection, Supercells
from tests.supercells.examples import DIAMOND, SILICON, SMALL, same

SHORT = Dynamics(runs=2, equilibration_steps=4, snapshots=3, steps_between_snapshots=2)


def pool_of(generation: int, dynamics: Dynamics | None = SHORT, seed: int = 3) -> Pool:
    selection = Selection(pool_size=5, dynamics=dynamics)
    return candidate_pool(
        "mp-149",
        DIAMOND,
        SMALL,
        selection,
        campaign_seed=seed,
        generation=generation,
        potential=SILICON,
    )


def test_candidates_have_all_volumes_and_amplitudes() -> None:
    """Each candidate is the rattled cell of its volume, its amplitude and its own seed."""
    rattled_settings = Rattled(std_angstrom=0.02, volume_factors=[0.9, 1.1])
    supercells = SMALL.model_copy(update={"rattled": rattled_settings})
    selection = Selection(pool_size=7, amplitude_factors=[0.5, 1, 2])
    pool = candidate_pool(
        "mp-149", DIAMOND, supercells, selection, campaign_seed=3, generation=2
    ).cells
    told = [(one.info["volume_factor"], one.info["amplitude_factor"]) for one in pool]
    assert told == [(0.9, 0.5), (1.1, 0.5), (0.9, 1), (1.1, 1), (0.9, 2), (1.1, 2), (0.9, 0.5)]
    matrix = matrix_of("mp-149", DIAMOND, supercells)
    for one in pool:
        factor, amplitude = group_of(one)
        settings = Rattled(std_angstrom=0.02 * amplitude, volume_factors=[factor])
        (expected,) = rattled_cells(DIAMOND, matrix, settings, [one.info["seed"]])
        assert same(one, expected)
        ratio = one.get_volume() / len(one) / (DIAMOND.get_volume() / 2)
        assert ratio == pytest.approx(factor)
    assert [one.info["index"] for one in pool] == list(range(7))


def test_candidates_take_non_diagonal_supercells_in_turn() -> None:
    grid = Supercells(
        grid=(4, 4, 4), rattled=Rattled(volume_factors=[0.9, 1.1], max_angle_strain_degree=0)
    )
    parts = make_supercells("a", DIAMOND, grid, 0, 0, cost_of=lambda cell: len(cell) ** 1.6).parts
    selection = Selection(pool_size=16, amplitude_factors=[1], dynamics=SHORT)
    pool = candidate_pool(
        *("a", DIAMOND, grid, selection),
        campaign_seed=1,
        generation=1,
        potential=SILICON,
        parts=parts,
    )
    sizes = [len(part.supercell) for part in parts]
    assert sizes == [16, 8, 8, 8]
    cells = [cell for cell in pool.cells if cell.info["origin"] == "rattled"]
    assert Counter(len(cell) for cell in cells) == {16: 4, 8: 12}
    pairs = {(len(cell), cell.info["volume_factor"]) for cell in cells}
    assert pairs == {(16, 0.9), (16, 1.1), (8, 0.9), (8, 1.1)}
    snapshots = [cell for cell in pool.cells if cell.info["origin"] == "dynamics"]
    assert [len(cell) for cell in snapshots] == [16] * 3 + [8] * 3


def test_candidates_whose_atoms_come_too_close_are_left_out() -> None:
    selection = Selection(pool_size=4).model_copy(update={"amplitude_factors": [1, 300]})
    supercells = SMALL.model_copy(
        update={"rattled": Rattled(volume_factors=[1.0], min_distance_fraction=0.98)}
    )
    found = candidate_pool("a", DIAMOND, supercells, selection, campaign_seed=0, generation=1)
    assert [one.info["index"] for one in found.cells] == [0, 2]
    assert [line.split(": ")[0] for line in found.stopped] == [
        "a, generation 1, candidate 1",
        "a, generation 1, candidate 3",
    ]
    hopeless = selection.model_copy(update={"amplitude_factors": [300]})
    with pytest.raises(PhonsmithError, match=r"lower rattled\.std_angstrom"):
        candidate_pool("a", DIAMOND, supercells, hopeless, campaign_seed=0, generation=1)


def test_no_cell_comes_twice_in_any_generation() -> None:
    pools = [pool_of(generation) for generation in range(3)]
    cells = [cell for pool in pools for cell in pool.cells]
    assert len(cells) == 3 * (5 + 2 * 3)
    for i, one in enumerate(cells):
        assert not any(np.allclose(one.positions, other.positions) for other in cells[:i])
    names = [(one.info["generation"], one.info["index"]) for one in cells]
    assert len(set(names)) == len(cells)
    assert {one.info["kind"] for one in cells} == {"rattled"}


def test_candidates_depend_on_seed_and_generation_alone() -> None:
    first, again, other = pool_of(1), pool_of(1), pool_of(1, seed=4)
    assert all(same(a, b) for a, b in zip(first.cells, again.cells, strict=True))
    assert not any(same(a, b) for a, b in zip(first.cells, other.cells, strict=True))
    without = pool_of(1, dynamics=None)
    assert all(same(a, b) for a, b in zip(without.cells, first.cells[:5], strict=True))
    copy = pickle.loads(pickle.dumps(first))
    assert all(same(a, b) for a, b in zip(first.cells, copy.cells, strict=True))


def test_dynamics_without_a_fit_is_refused() -> None:
    with pytest.raises(PhonsmithError, match=r"mp-149: selection\.dynamics requires a fit"):
        candidate_pool(
            "mp-149", DIAMOND, SMALL, Selection(dynamics=SHORT), campaign_seed=0, generation=1
        )


class Einstein(Calculator):
    """Atoms bound to their sites by springs (eV/Å²), up to where the potential has a hole."""

    implemented_properties = ("energy", "forces")

    def __init__(self, sites: Atoms, spring: float, reach: float = np.inf, **hole: Any) -> None:
        super().__init__()
        self.sites, self.spring, self.reach, self.hole = sites.positions, spring, reach, hole

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):  # type: ignore[no-untyped-def]
        super().calculate(atoms, properties, system_changes)
        moves = atoms.positions - self.sites
        forces = -self.spring * moves
        fallen = np.linalg.norm(moves, axis=1) > self.reach
        if fallen.any():
            if "error" in self.hole:
                raise self.hole["error"]
            forces[fallen] = self.hole["push"] * moves[fallen]
        self.results = {"energy": self.spring * (moves**2).sum() / 2, "forces": forces}


def crystal() -> Atoms:
    return bulk("Si", "diamond", a=5.431, cubic=True).repeat(2)


def test_dynamics_samples_the_canonical_distribution() -> None:
    """Equipartition: <x²> = kT/k of every spring, whatever the time step of this integrator."""
    atoms, spring = crystal(), 5.0
    settings = Dynamics(
        temperature_kelvin=300,
        timestep_fs=4,
        relaxation_time_fs=40,
        equilibration_steps=100,
        snapshots=50,
        steps_between_snapshots=15,
    )
    run = run_dynamics(atoms, Einstein(atoms, spring), settings, seed=0)
    assert (run.reason, run.steps, len(run.snapshots)) == ("", 850, 50)
    squares = np.mean([(one.positions - atoms.positions) ** 2 for one in run.snapshots])
    # 50 · 192 numbers, partly correlated: about 2 %
    assert squares == pytest.approx(units.kB * 300 / spring, rel=0.06)


LOOSE = {
    "max_temperature_factor": 1e9,
    "max_force_ev_per_angstrom": 1e9,
    "max_displacement_fraction": 1e3,
    "min_distance_fraction": 1e-6,
}


@pytest.mark.parametrize(
    ("limit", "push", "reason"),
    [
        ({"max_force_ev_per_angstrom": 10.0}, 100.0, "a force of"),
        ({"max_temperature_factor": 3.0}, 100.0, "a temperature of"),
        ({"max_displacement_fraction": 0.5}, 100.0, "from its site"),
        ({"min_distance_fraction": 0.65}, 100.0, "apart"),
        ({}, np.nan, "a force of nan"),
    ],
)
def test_a_run_that_explodes_is_ended(limit: dict[str, float], push: float, reason: str) -> None:
    """Springs turn into repulsion beyond 0.4 Å, which a few of 64 hot atoms reach in time."""
    atoms = crystal()
    settings = Dynamics(
        temperature_kelvin=600,
        timestep_fs=1,
        equilibration_steps=0,
        snapshots=200,
        steps_between_snapshots=5,
        **{**LOOSE, **limit},
    )
    run = run_dynamics(atoms, Einstein(atoms, 1.5, reach=0.4, push=push), settings, seed=1)
    assert reason in run.reason
    assert 0 < run.steps < 1000
    assert 0 < len(run.snapshots) == (run.steps - 1) // 5
    for one in run.snapshots:
        moves = one.positions - atoms.positions
        assert np.linalg.norm(moves - moves.mean(axis=0), axis=1).max() < 0.5 * 2.36
        assert (
            get_distances(one.positions, cell=one.cell, pbc=True)[1][np.triu_indices(64, 1)].min()
            > 0.5 * 2.35
        )
    again = run_dynamics(atoms, Einstein(atoms, 1.5, reach=0.4, push=push), settings, seed=1)
    assert again.reason == run.reason


def test_a_calculator_that_fails_ends_the_run() -> None:
    atoms = crystal()
    settings = Dynamics(temperature_kelvin=600, equilibration_steps=0, steps_between_snapshots=5)
    settings = settings.model_copy(update={"snapshots": 100})
    broken = Einstein(atoms, 1.5, reach=0.4, error=RuntimeError("neighbours\nlost"))
    run = run_dynamics(atoms, broken, settings, seed=1)
    assert "the potential fails after" in run.reason
    assert run.reason.endswith("RuntimeError: neighbours")
    assert run.snapshots


def test_a_pool_keeps_what_came_before_and_says_why() -> None:
    strict = SHORT.model_copy(update={"max_force_ev_per_angstrom": 1e-6})
    pool = pool_of(1, strict)
    assert len(pool.cells) == 5
    assert [line.split(": ")[0] for line in pool.stopped] == [
        "mp-149, generation 1, run 0",
        "mp-149, generation 1, run 1",
    ]
    assert "a force of" in pool.stopped[0]
