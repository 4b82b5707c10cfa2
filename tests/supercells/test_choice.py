"""The choice of supercells: published numbers, brute force, and how long it takes."""

import itertools
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read
from phonopy import Phonopy

from phonsmith.supercells.cells import displaced_cells, make_phonopy, matrix_of, to_ase
from phonsmith.supercells.choice import choose_way, grid_of, part_of
from phonsmith.supercells.making import make_supercells, rattled_in_turn, undistorted
from phonsmith.supercells.settings import Displaced, Grid, Rattled, Supercells

DIAMOND = bulk("Si", "diamond", a=5.431)


def power(exponent: float) -> Callable[[Atoms], float]:
    return lambda cell: float(len(cell) ** exponent)


def whole(atoms: Atoms, grid: Grid) -> Phonopy:
    phonon = make_phonopy(atoms, matrix_of("x", atoms, Supercells(grid=grid)))
    displaced_cells(phonon, Displaced())
    return phonon


@pytest.fixture(scope="session")
def gallium_oxide(repository: Path) -> Atoms:
    return read(repository / "config" / "structures" / "kappa" / "beta-ga2o3.vasp")


@pytest.mark.parametrize(
    ("crystal", "grid", "ways"),
    [
        ("si", (4, 4, 4), [(1, 1, 128), (5, 12, 8)]),
        ("ga2o3", (2, 2, 2), [(1, 20, 80), (5, 120, 20)]),
        ("ga2o3", (4, 4, 2), [(1, 20, 320), (11, 270, 40)]),
    ],
)
def test_supercells_cells_and_atoms(gallium_oxide, crystal, grid, ways) -> None:
    """As a greedy search by hand found them; a steep cost forbids larger cells."""
    atoms = {"si": DIAMOND, "ga2o3": gallium_oxide}[crystal]
    settings = Supercells(grid=grid)
    started = time.perf_counter()
    choice = choose_way(whole(atoms, grid), settings, power(2.5))
    assert time.perf_counter() - started < 30
    assert [(one.supercells, one.cells, one.atoms) for one in choice.options] == ways
    assert [one.chosen for one in choice.options] == [False, True]
    assert len(choice.parts) == ways[1][0]


def test_six_by_six_by_six_takes_seconds() -> None:
    phonon = whole(DIAMOND, (6, 6, 6))
    started = time.perf_counter()
    choice = choose_way(phonon, Supercells(grid=(6, 6, 6)), power(1.6))
    assert time.perf_counter() - started < 60
    assert choice.options[1].core_seconds < 0.1 * choice.options[0].core_seconds


@pytest.mark.parametrize("exponent", [1.0, 1.6, 2.5])
def test_no_other_set_of_supercells_is_cheaper(gallium_oxide, exponent: float) -> None:
    """Against all sets of up to five of the supercells of all subgroups."""
    for atoms, grid in ((gallium_oxide, (2, 2, 2)), (DIAMOND, (3, 3, 3))):
        phonon = whole(atoms, grid)
        waves = grid_of(phonon)
        lattice = np.array(phonon.primitive.cell)
        stars, costs = [], []
        for group in waves.subgroups[:-1]:
            part = part_of(phonon, waves.supercell(group, lattice))
            cells = displaced_cells(part, Displaced())
            stars.append(set(waves.stars[sorted(group)]))
            costs.append(sum(map(power(exponent), cells)))
        wanted = set(waves.stars)
        sets = (
            chosen
            for number in range(1, 6)
            for chosen in itertools.combinations(range(len(costs)), number)
            if set().union(*(stars[i] for i in chosen)) == wanted
        )
        cheapest = min(sum(costs[i] for i in chosen) for chosen in sets)
        settings = Supercells(grid=grid, way="non-diagonal")
        found = choose_way(phonon, settings, power(exponent)).options[1].core_seconds
        assert found == pytest.approx(cheapest)


def test_the_way_is_the_cheaper_one_or_as_asked() -> None:
    def parts(way: str, cost: Callable[[Atoms], float]) -> int:
        settings = Supercells(grid=(2, 2, 2), way=way)
        return len(choose_way(whole(DIAMOND, (2, 2, 2)), settings, cost).parts)

    assert parts("auto", power(2)) > 0 == parts("diagonal", power(2))
    # where every run costs the same, one run of the large cell is cheapest
    assert parts("auto", lambda cell: 1.0) == 0 < parts("non-diagonal", lambda cell: 1.0)
    # no supercell of fewer cells has all wave vectors of a line
    line = Supercells(grid=(1, 1, 3), way="non-diagonal")
    assert choose_way(whole(DIAMOND, (1, 1, 3)), line, power(2)).parts == []


def test_cells_of_all_supercells_are_made() -> None:
    settings = Supercells(grid=[4, 4, 4], rattled=Rattled(count=7))
    made = make_supercells("a", DIAMOND, settings, 1, 0, cost_of=power(2.5))
    displaced = [cell for cell in made.cells if cell.info["kind"] == "displaced"]
    rattled = [cell for cell in made.cells if cell.info["kind"] == "rattled"]
    assert [len(cell) for cell in displaced] == [8] * 12
    assert [cell.info["index"] for cell in made.cells] == list(range(19))
    assert made.phonon.dataset is None and len(made.phonon.supercell) == 128
    # rattled cells are of all supercells, each near one of them in shape
    shapes = {tuple(np.round(np.sort(cell.cell.lengths()), 0)) for cell in rattled}
    assert len(rattled) == 7 and len(shapes) > 1
    later = make_supercells("a", DIAMOND, settings, 1, 1, cost_of=power(2.5))
    assert {cell.info["kind"] for cell in later.cells} == {"rattled"}


def test_rattled_cells_combine_every_supercell_with_every_volume() -> None:
    settings = Rattled(std_angstrom=1e-6, volume_factors=[1.0, 1.1], max_angle_strain_degree=0)
    phonon = whole(DIAMOND, (2, 2, 2))
    parts = [part_of(phonon, np.diag(numbers)) for numbers in ([1, 1, 2], [1, 1, 1])]
    ideal = undistorted("a", DIAMOND, Supercells(grid=(2, 2, 2)), parts)
    cells = rattled_in_turn(ideal, settings, range(4))
    per_atom = DIAMOND.get_volume() / 2
    found = {(len(cell), round(cell.get_volume() / len(cell) / per_atom, 3)) for cell in cells}
    assert found == {(4, 1.0), (2, 1.1), (2, 1.0), (4, 1.1)}
    assert to_ase(parts[0].supercell).get_volume() == pytest.approx(2 * DIAMOND.get_volume())
