"""Atoms of a displaced cell whose environment differs from the perfect cell.

A potential of finite range is a sum over centres, each of which depends on the atoms within a
cutoff. Displaced cells of phonons move one or two atoms: the environment of most centres does not
change.
"""

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.geometry import find_mic, get_distances
from numpy.typing import NDArray

from phonsmith.files.errors import PhonsmithError

ROUNDING = 1e-12
"""Å. Shorter moves are rounding errors."""


def moved_atoms(perfect: Atoms, displaced: Atoms) -> NDArray[np.intp]:
    """Find the atoms that moved, apart from lattice vectors.

    If the lattice changes, all atoms count as moved.

    Raises
    ------
    PhonsmithError
        The atoms of the cells differ.

    Examples
    --------
    >>> perfect = Atoms("H3", positions=[[0, 0, 0], [2, 0, 0], [4, 0, 0]], cell=[6, 6, 6], pbc=True)
    >>> displaced = perfect.copy()
    >>> displaced.positions[1] += [0.1, 6, 0]
    >>> displaced.positions[2] += [0, 0, 6]
    >>> moved_atoms(perfect, displaced).tolist()
    [1]
    """
    if not np.array_equal(perfect.numbers, displaced.numbers):
        raise PhonsmithError(
            f"displaced cell {displaced.get_chemical_formula()}: atoms or their order differ from "
            f"the perfect cell {perfect.get_chemical_formula()}"
        )
    if not _same_lattice(perfect, displaced):
        return np.arange(len(perfect))
    moves = displaced.positions - perfect.positions
    _, lengths = find_mic(moves, perfect.cell, perfect.pbc)
    return np.flatnonzero(lengths > ROUNDING)


def changed_centres(perfect: Atoms, displaced: Atoms, cutoff: float) -> NDArray[np.intp]:
    """Find the atoms whose environments differ between the cells.

    They are the moved atoms, and the atoms that have a moved atom or an image of it within the
    cutoff before or after the move.

    Parameters
    ----------
    perfect
        Cell before the move.
    displaced
        The same atoms in the same order, some of them moved.
    cutoff
        Radius of the environments in Å.

    Returns
    -------
    Indices in ascending order; of all atoms if the lattices differ.

    Raises
    ------
    PhonsmithError
        The atoms of the cells differ.
    """
    moved = moved_atoms(perfect, displaced)
    if len(moved) in (0, len(perfect)):
        return moved
    changed = np.zeros(len(perfect), dtype=bool)
    changed[moved] = True
    for cell in (perfect, displaced):
        # the nearest image decides, also where the cutoff is longer than the cell
        _, distances = get_distances(
            cell.positions[moved], cell.positions, cell=cell.cell, pbc=cell.pbc
        )
        changed |= (distances <= cutoff).any(axis=0)
    return np.flatnonzero(changed)


def common_cell(cells: Sequence[Atoms]) -> Atoms | None:
    """Return a cell with each atom at its most frequent position.

    None for less than three cells, and for cells with other atoms or lattices than the first. The
    cells of third-order force constants may have one atom displaced in all of them.
    """
    if len(cells) < 3:
        return None
    first = cells[0]
    for cell in cells:
        if not (np.array_equal(cell.numbers, first.numbers) and _same_lattice(first, cell)):
            return None
    common = first.copy()
    for atom, places in enumerate(np.array([cell.positions for cell in cells]).swapaxes(0, 1)):
        found, counts = np.unique(places, axis=0, return_counts=True)
        common.positions[atom] = found[counts.argmax()]
    return common


def _same_lattice(perfect: Atoms, displaced: Atoms) -> bool:
    same = np.abs(perfect.cell.array - displaced.cell.array).max() <= ROUNDING
    return bool(same and np.array_equal(perfect.pbc, displaced.pbc))
