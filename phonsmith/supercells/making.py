"""The cells to label of one crystal: displaced and rattled ones, of one supercell or several."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms
from phonopy import Phonopy

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.seeds import seed_for
from phonsmith.supercells.cells import (
    displaced_cells,
    make_phonopy,
    matrix_of,
    rattled_cells,
    to_ase,
)
from phonsmith.supercells.choice import CostOf, Option, choose_way
from phonsmith.supercells.settings import Rattled, Supercells


@dataclass(frozen=True)
class Made:
    """The cells to label of one crystal.

    ``phonon`` has the supercell of the phonons, and the displacements unless ``parts``, the
    non-diagonal supercells of a grid, have them. ``options`` are the ways to the phonons of a grid
    with their costs.
    """

    phonon: Phonopy
    cells: list[Atoms]
    parts: list[Phonopy] = field(default_factory=list)
    options: list[Option] = field(default_factory=list)


def make_supercells(
    structure: str,
    atoms: Atoms,
    settings: Supercells,
    campaign_seed: int,
    generation: int,
    *,
    cost_of: CostOf = len,
) -> Made:
    """Create the cells to label of one crystal in one generation.

    Displaced cells are always there in generation 0, since the reference phonons follow from them,
    and in no other, which would repeat them. They have the indices 0, 1, … of phonopy's
    displacements, of all non-diagonal supercells in turn; rattled cells are counted on from there.
    The seed of rattled cell i (from 0) is that of index i.

    Parameters
    ----------
    structure
        Id of the structure, part of the seeds and of the names of the cells.
    atoms
        Unit cell.
    settings
        Supercell or grid, kinds of cells, displacement and rattling.
    campaign_seed
        Seed of the campaign.
    generation
        Number of the generation, from 0.
    cost_of
        Function that returns the cost of the label of a cell, by default its number of atoms; it
        decides between the supercells of a grid.

    Returns
    -------
    phonopy with its displacements, and the cells: displaced ones (generation 0 only), then rattled
    ones, which take all non-diagonal supercells in turn.

    Raises
    ------
    PhonsmithError
        There is no supercell within the limits, or the minimum distance cannot be kept.
    """
    try:
        phonon = make_phonopy(atoms, matrix_of(structure, atoms, settings))
        displaced = displaced_cells(phonon, settings.displaced)
        parts, options = [], []
        if settings.grid is not None:
            choice = choose_way(phonon, settings, cost_of)
            parts, options = choice.parts, choice.options
        if parts:
            displaced = displaced_cells_of(parts)
            phonon.dataset = None
        seeds = [
            seed_for(campaign_seed, structure, generation, i)
            for i in range(settings.rattled.count if "rattled" in settings.kinds else 0)
        ]
        ideal = undistorted(structure, atoms, settings, parts)
        rattled = rattled_in_turn(ideal, settings.rattled, seeds)
    except PhonsmithError as error:
        raise PhonsmithError(f"{structure}: {error}") from None
    if generation > 0:
        displaced = []
    common = {"structure": structure, "generation": generation}
    frames = [
        _named(cell, **common, kind="displaced", index=index, seed=-1)
        for index, cell in enumerate(displaced)
    ]
    frames += [
        _named(cell, **common, kind="rattled", index=len(displaced) + i, seed=seed)
        for i, (cell, seed) in enumerate(zip(rattled, seeds, strict=True))
    ]
    return Made(phonon, frames, parts, options)


def displaced_cells_of(phonons: Sequence[Phonopy]) -> list[Atoms]:
    """Return the displaced cells of several supercells, in their order."""
    cells = [one.supercells_with_displacements or [] for one in phonons]
    return [to_ase(cell) for some in cells for cell in some]


def undistorted(
    structure: str, atoms: Atoms, settings: Supercells, parts: Sequence[Phonopy] = ()
) -> list[tuple[Atoms, Any]]:
    """Return the supercells that are rattled: unit cell and matrix (lattice vectors in rows).

    Parameters
    ----------
    structure
        Id of the structure.
    atoms
        Unit cell.
    settings
        Supercell settings.
    parts
        Non-diagonal supercells of a grid; there are none where one supercell is used.
    """
    if not parts:
        return [(atoms, matrix_of(structure, atoms, settings))]
    return [(to_ase(part.unitcell), np.asarray(part.supercell_matrix).T) for part in parts]


def rattled_in_turn(
    ideal: Sequence[tuple[Atoms, Any]], settings: Rattled, seeds: Sequence[int], first: int = 0
) -> list[Atoms]:
    """Create rattled cells, one per seed, of several supercells in turn.

    All pairs of supercell and volume factor come before one is repeated.

    Parameters
    ----------
    ideal
        Unit cell and matrix (lattice vectors in rows) of each supercell.
    settings
        Settings of :func:`phonsmith.supercells.cells.rattled_cells`.
    seeds
        One seed per cell.
    first
        Number of the first cell in the sequence.

    Raises
    ------
    PhonsmithError
        The minimum distance cannot be kept.
    """
    turn = math.lcm(len(ideal), len(settings.volume_factors))
    cells = []
    for number, seed in enumerate(seeds, start=first):
        atoms, matrix = ideal[(number + number // turn) % len(ideal)]
        cells += rattled_cells(atoms, matrix, settings, [seed], first_index=number)
    return cells


def no_supercells(crystal: Atoms) -> Made:
    """Return the result for an omitted crystal: phonopy without displacements, no cells."""
    return Made(make_phonopy(crystal, np.eye(3, dtype=int), primitive_matrix="P"), [])


def _named(cell: Atoms, **info: Any) -> Atoms:
    cell.info = info
    return cell
