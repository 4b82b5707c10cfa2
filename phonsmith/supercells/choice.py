"""The choice between one supercell for a grid of wave vectors and several small ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from phonopy import Phonopy
from scipy.optimize import Bounds, LinearConstraint, milp

from phonsmith.files.errors import PhonsmithError
from phonsmith.supercells.cells import displaced_cells, make_phonopy, to_ase
from phonsmith.supercells.grids import WaveVectors
from phonsmith.supercells.settings import Displaced, Supercells, Way

Integers = NDArray[np.int64]
CostOf = Callable[[Atoms], float]
"""Core seconds of the label of a cell."""


@dataclass(frozen=True)
class Option:
    """A way to all wave vectors of a grid.

    ``cells`` is the number of displaced cells, ``atoms`` the size of the largest, ``core_seconds``
    their cost by the cost model together, None where it is unknown.
    """

    way: Way
    supercells: int
    cells: int
    atoms: int
    core_seconds: float | None
    chosen: bool = False


@dataclass(frozen=True)
class Choice:
    """What each possible way to the phonons of a grid costs, and which of them is chosen.

    ``parts`` are the non-diagonal supercells of the primitive cell with displacements, the largest
    first; there are none where the supercell of the whole grid is chosen.
    """

    parts: list[Phonopy]
    options: list[Option]


def choose_way(whole: Phonopy, settings: Supercells, cost_of: CostOf) -> Choice:
    """Choose the cheapest way to the dynamical matrices of a grid.

    Non-diagonal supercells are the set whose displaced cells together cost least, with every wave
    vector commensurate with one of them, up to symmetry and time reversal.

    Parameters
    ----------
    whole
        Crystal with the supercell of the whole grid, with displacements.
    settings
        Supercell settings with the way and the displacements.
    cost_of
        Function that returns the cost of the label of a cell (core seconds).
    """
    diagonal, seconds = _option("diagonal", [whole], cost_of)
    parts = []
    if settings.way != "diagonal":
        parts = non_diagonal_supercells(whole, settings.displaced, cost_of)
    if not parts:  # or the whole grid is the smallest supercell of one of its wave vectors
        return Choice([], [replace(diagonal, chosen=True)])
    several, seconds_of_several = _option("non-diagonal", parts, cost_of)
    one = settings.way == "auto" and seconds <= seconds_of_several
    options = [replace(diagonal, chosen=one), replace(several, chosen=not one)]
    return Choice([] if one else parts, options)


def part_of(whole: Phonopy, matrix: Integers) -> Phonopy:
    """Return phonopy with a supercell of the primitive cell.

    Parameters
    ----------
    whole
        Phonons that provide the primitive cell.
    matrix
        (3, 3) supercell vectors in rows, in units of the primitive lattice vectors.
    """
    tolerance = float(whole.symmetry.tolerance)
    return make_phonopy(to_ase(whole.primitive), matrix, "P", tolerance)


def grid_of(whole: Phonopy) -> WaveVectors:
    """Return the wave vectors commensurate with the supercell, and the crystal's rotations."""
    matrix = np.rint(np.linalg.inv(whole.primitive.primitive_matrix)).astype(np.int64).T
    rotations = whole.primitive_symmetry.symmetry_operations["rotations"]
    return WaveVectors(matrix, np.unique(rotations, axis=0))


def _option(way: Way, phonons: Sequence[Phonopy], cost_of: CostOf) -> tuple[Option, float]:
    cells = [
        to_ase(cell) for phonon in phonons for cell in phonon.supercells_with_displacements or []
    ]
    seconds = sum(map(cost_of, cells))
    atoms = max(map(len, cells), default=0)
    return Option(way, len(phonons), len(cells), atoms, seconds), seconds


# --- the cheapest set of supercells --------------------------------------------------------------


@dataclass(frozen=True)
class _Candidate:
    """A supercell, the stars that it is commensurate with, and the cost of its displaced cells."""

    part: Phonopy
    stars: frozenset[int]
    cells: int
    seconds: float


def non_diagonal_supercells(whole: Phonopy, displaced: Displaced, cost_of: CostOf) -> list[Phonopy]:
    """Find the cheapest set of supercells smaller than that of a grid.

    Candidates are the supercells of all subgroups of the wave vectors, smallest first. A candidate
    is not examined if candidates already known are commensurate with the same wave vectors for
    less than it costs at least: as many displaced cells as the crystal has at full symmetry, at the
    lowest cost per atom of the largest supercells examined so far. The set is the cheapest if the
    cost per atom does not fall with the size of the cell.

    Parameters
    ----------
    whole
        Crystal with the supercell of the whole grid.
    displaced
        Length and signs of the displacements.
    cost_of
        Function that returns the cost of the label of a cell (core seconds).

    Returns
    -------
    phonopy of each supercell with displacements, the largest first. None if only the supercell of
    the whole grid is commensurate with one of its wave vectors.
    """
    grid = grid_of(whole)
    lattice = np.array(whole.primitive.cell)
    candidates: list[_Candidate] = []
    least_cells, rate, size = 1, 0.0, 0
    for group in grid.subgroups:
        if len(group) == grid.order and grid.order > 1:
            continue
        stars = frozenset(grid.stars[sorted(group)].tolist())
        bound = least_cells * rate * len(group)
        known = _cheapest(candidates, stars)
        if known and sum(one.seconds for one in known) <= bound:
            continue
        try:
            part = part_of(whole, grid.supercell(group, lattice))
        except PhonsmithError:  # spglib cannot classify the magnetic moments in it
            continue
        cells = displaced_cells(part, displaced)
        seconds = sum(map(cost_of, cells))
        candidates.append(_Candidate(part, stars, len(cells), seconds))
        if len(group) == 1:
            least_cells = len(cells)
        each = seconds / len(cells) / len(group)
        rate = each if len(group) > size else min(rate, each)
        size = len(group)
    chosen = _cheapest(candidates, frozenset(grid.stars.tolist()))
    return sorted((one.part for one in chosen), key=lambda part: -len(part.supercell))


def _cheapest(candidates: Sequence[_Candidate], stars: frozenset[int]) -> list[_Candidate]:
    """The candidates that hold all stars at the lowest cost (weighted set cover); none if none."""
    useful = [one for one in candidates if one.stars & stars]
    if not stars <= frozenset().union(*(one.stars for one in useful)):
        return []
    holds = np.array([[star in one.stars for one in useful] for star in sorted(stars)], dtype=float)
    seconds = np.array([one.seconds for one in useful])
    found = milp(
        seconds / (seconds.max() or 1.0),
        integrality=np.ones(len(useful)),
        bounds=Bounds(0, 1),
        constraints=LinearConstraint(holds, lb=1),
        options={"mip_rel_gap": 1e-9},
    )
    return [one for one, taken in zip(useful, found.x, strict=True) if taken > 0.5]
