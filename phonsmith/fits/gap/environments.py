"""Environments of atoms, and equality of environments.

A displaced cell of phonons is a perfect crystal around one moved atom: most of its atoms have the
environment of another atom, in this cell or in another one. A potential of finite range gives equal
atoms equal energies and derivatives, and the force on two atoms the same coefficients if all atoms
around them have equal environments.
"""

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from ase import Atoms
from matscipy.neighbours import neighbour_list
from numpy.typing import NDArray

TOLERANCE = 1e-6
"""Å. Environments with smaller differences are equal: extxyz files round positions to 1e-8 Å."""
_MARGIN = 1e-6
"""Å beyond the cutoff: rounding must not decide which neighbours belong to an environment."""
_SHIFT = 0.37
"""Moves the edges of the bins of width TOLERANCE away from round numbers."""

Integers = NDArray[np.intp]


@dataclass(frozen=True)
class Environments:
    """Environments of the atoms of a cell.

    ``keys`` has one key for each atom; equal environments have equal keys, in any cell. A slot is a
    place in an environment: 0 is the centre, the others are its neighbours in an order that depends
    on the environment alone. ``centre``, ``atom`` and ``slot``, shape (slots of all atoms,), give
    the atom in each slot of each centre, and ``vectors``, shape (…, 3), its position relative to
    the centre, in Å. Slots are sorted by centre; those of a centre begin at ``first``.
    """

    keys: tuple[bytes, ...]
    centre: Integers
    atom: Integers
    slot: Integers
    vectors: NDArray[np.float64]
    first: Integers

    def exact_key(self, centre: int) -> bytes:
        """Return a key that environments share only if they are equal to the last digit."""
        vectors = self.vectors[self.slots_of(centre)]
        return blake2b(self.keys[centre] + vectors.tobytes(), digest_size=16).digest()

    def slots_of(self, centre: int) -> slice:
        """Return the slots of an atom."""
        end = self.first[centre + 1] if centre + 1 < len(self.first) else len(self.slot)
        return slice(int(self.first[centre]), int(end))


def environments(cell: Atoms, cutoff: float) -> Environments:
    """Find the environments of a cell.

    Parameters
    ----------
    cell
        Cell.
    cutoff
        Radius of an environment in Å.
    """
    number = len(cell)
    centre, atom, vectors = neighbour_vectors(cell, cutoff + _MARGIN)
    bins = np.rint(vectors / TOLERANCE + _SHIFT).astype(np.int64)
    elements = cell.numbers[atom]
    order = np.lexsort((*bins.T[::-1], elements, centre))
    own = np.arange(number)
    # the centre comes first
    centre = np.concatenate([own, centre[order]])
    atom = np.concatenate([own, atom[order]])
    vectors = np.concatenate([np.zeros((number, 3)), vectors[order]])
    words = np.column_stack(
        [
            np.concatenate([cell.numbers, elements[order]]),
            np.concatenate([np.zeros((number, 3), dtype=np.int64), bins[order]]),
        ]
    )
    order = np.argsort(centre, kind="stable")
    centre, atom, vectors, words = centre[order], atom[order], vectors[order], words[order]
    first = np.searchsorted(centre, own)
    ends = [*first[1:].tolist(), len(centre)]
    keys = tuple(
        blake2b(words[begin:end].tobytes(), digest_size=16).digest()
        for begin, end in zip(first.tolist(), ends, strict=True)
    )
    slot = np.arange(len(centre)) - first[centre]
    return Environments(keys, centre, atom, slot, vectors, first)


def neighbour_vectors(cell: Atoms, cutoff: float) -> tuple[Integers, Integers, NDArray[np.float64]]:
    """Find all pairs of atoms within a cutoff, from both ends, periodic images included.

    Returns
    -------
    First atom in ascending order, second atom, and the vector from first to second in Å.
    """
    if len(cell) == 1 and not cell.pbc.any():
        return np.empty(0, dtype=int), np.empty(0, dtype=int), np.empty((0, 3))
    bare = Atoms(cell.numbers, cell.positions, cell=cell.cell, pbc=cell.pbc)
    centre, atom, vectors = neighbour_list("ijD", bare, cutoff)
    return centre.astype(int), atom.astype(int), vectors


@dataclass(frozen=True)
class Place:
    """Where an environment acts in a cell.

    ``atom`` is a centre that has it, and ``count`` the number of those. Of its slots, ``slots`` act
    on the force ``classes``, as often as ``times``: all of shape (entries,).
    """

    atom: int
    count: int
    slots: Integers
    classes: Integers
    times: NDArray[np.float64]


@dataclass(frozen=True)
class Classes:
    """Atoms of a cell in classes.

    ``force`` is the class of each atom: the forces on atoms of one class have equal coefficients.
    ``members`` has an atom of each class. ``places`` are those of the different environments.
    """

    force: Integers
    members: Integers
    places: list[Place]


def classes_of(found: Environments) -> Classes:
    """Sort the atoms of a cell into classes."""
    numbers: dict[bytes, int] = {}
    environment = np.array([numbers.setdefault(key, len(numbers)) for key in found.keys])
    _, centres, counts = np.unique(environment, return_index=True, return_counts=True)
    sizes = np.diff(np.append(found.first, len(found.slot)))[centres]
    begin = np.concatenate([[0], np.cumsum(sizes)])
    columns = begin[environment[found.centre]] + found.slot
    order = np.lexsort((columns, found.atom))
    starts = np.searchsorted(found.atom[order], np.arange(len(found.keys) + 1))
    sorted_columns = columns[order]
    alike: dict[bytes, int] = {}
    force = np.array(
        [
            alike.setdefault(sorted_columns[a:b].tobytes(), len(alike))
            for a, b in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
        ]
    )
    _, members = np.unique(force, return_index=True)
    of_members = np.isin(found.atom, members)
    entries, times = np.unique(
        np.column_stack([columns[of_members], force[found.atom[of_members]]]),
        axis=0,
        return_counts=True,
    )
    bounds = np.searchsorted(entries[:, 0], begin)
    places = [
        Place(
            atom=int(atom),
            count=int(count),
            slots=entries[a:b, 0] - begin[number],
            classes=entries[a:b, 1],
            times=times[a:b].astype(float),
        )
        for number, (atom, count, a, b) in enumerate(
            zip(centres, counts, bounds[:-1], bounds[1:], strict=True)
        )
    ]
    return Classes(force, members, places)
