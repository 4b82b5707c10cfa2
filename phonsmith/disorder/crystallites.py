"""Atoms in crystallites of cubic and hexagonal diamond.

Common neighbour analysis of the second neighbours: in both diamond structures the twelve second
neighbours of an atom form the first shell of a close packing, cubic (fcc) or hexagonal (hcp).
(Maras, Trushin, Stukowski, Ala-Nissila, Jónsson, Comput. Phys. Commun. 205, 13 (2016); the method
of OVITO's "Identify diamond structure". Written here since OVITO's package brings a graphical
toolkit of half a gigabyte and does not install on older clusters.)
"""

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from phonsmith.disorder.neighbours import bonds_within

Array = NDArray[np.float64]

_SEARCHED = 14
"""Mean number of neighbours within the radius in which the four nearest are searched."""
_TOGETHER = 20_000
_HALFWAY = (1 + np.sqrt(2)) / 2
"""Cutoff in units of the mean distance of the second neighbours: halfway between the first and
second shell of a close packing (Stukowski, Model. Simul. Mater. Sci. Eng. 20, 045021 (2012))."""


@dataclass(frozen=True)
class Crystallites:
    """Kind of environment of each atom, arrays of shape (atoms,).

    ``cubic`` and ``hexagonal`` atoms have the second neighbours of cubic or hexagonal diamond.
    ``first`` and ``second`` mark their first neighbours, and the first neighbours of those.
    """

    cubic: NDArray[np.bool_]
    hexagonal: NDArray[np.bool_]
    first: NDArray[np.bool_]
    second: NDArray[np.bool_]

    @property
    def crystalline(self) -> NDArray[np.bool_]:
        """Atoms in crystallites: diamond-like atoms, and their first and second neighbours."""
        return np.asarray(self.cubic | self.hexagonal | self.first | self.second)


def crystallites(frame: Atoms) -> Crystallites:
    """Find the atoms in crystallites of cubic and hexagonal diamond.

    Elements are not distinguished: zinc blende counts as cubic, wurtzite as hexagonal.
    """
    atoms, vectors, known = _four_nearest(frame)
    cubic = np.zeros(len(frame), dtype=bool)
    hexagonal = np.zeros(len(frame), dtype=bool)
    for begin in range(0, len(frame), _TOGETHER):
        part = slice(begin, begin + _TOGETHER)
        far, complete = _second_neighbours(part, atoms, vectors, known)
        cubic[part], hexagonal[part] = _signatures(far)
        cubic[part] &= complete
        hexagonal[part] &= complete
    core = cubic | hexagonal
    first = _neighbours_of(core, atoms, known) & ~core
    second = _neighbours_of(first, atoms, known) & ~core & ~first
    return Crystallites(cubic, hexagonal, first, second)


def _four_nearest(frame: Atoms) -> tuple[NDArray[np.intp], Array, NDArray[np.bool_]]:
    """Four nearest neighbours (atoms, 4), their vectors (atoms, 4, 3), and where there are four."""
    volume = frame.get_volume() / max(1, len(frame))
    radius = (3 * _SEARCHED * volume / (4 * np.pi)) ** (1 / 3)
    bonds = bonds_within(frame, radius)
    numbers = bonds.coordination
    order = np.lexsort((bonds.lengths, bonds.centre))
    known = numbers >= 4
    first = np.concatenate([[0], np.cumsum(numbers)[:-1]])[known]
    chosen = order[first[:, None] + np.arange(4)]
    atoms = np.zeros((len(frame), 4), dtype=np.intp)
    vectors = np.zeros((len(frame), 4, 3))
    atoms[known], vectors[known] = bonds.atom[chosen], bonds.vectors[chosen]
    return atoms, vectors, known


def _second_neighbours(
    part: slice, atoms: NDArray[np.intp], vectors: Array, known: NDArray[np.bool_]
) -> tuple[Array, NDArray[np.bool_]]:
    """Vectors (atoms of the part, 12, 3) to second neighbours, and where there are twelve.

    Each of the four nearest neighbours has to have the atom among its own four nearest.
    """
    near = vectors[part]
    number = len(near)
    far = near[:, :, None, :] + vectors[atoms[part]]  # (atoms, 4, 4, 3)
    back = np.linalg.norm(far, axis=-1) < 1e-3
    complete = known[part] & known[atoms[part]].all(axis=1) & (back.sum(axis=2) == 1).all(axis=1)
    second = np.zeros((number, 12, 3))
    second[complete] = far[complete][~back[complete]].reshape(-1, 12, 3)
    return second, complete


def _signatures(second: Array) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether twelve atoms (atoms, 12, 3) form the shell of fcc, and of hcp.

    A pair's signature is (common neighbours, bonds between them, longest chain): twelve pairs 421
    are fcc, six 421 and six 422 hcp.
    """
    cutoff = _HALFWAY * np.linalg.norm(second, axis=-1).mean(axis=1)
    distances = np.linalg.norm(second[:, :, None] - second[:, None], axis=-1)
    bonded = (distances < cutoff[:, None, None]) & ~np.eye(12, dtype=bool)
    bonded &= (cutoff > 0)[:, None, None]
    near = bonded.astype(np.int8)
    # of the common neighbours j of the centre and i: how many others are bonded to j
    degrees = (near @ near) * near
    four = near.sum(axis=2) == 4
    two_bonds = degrees.sum(axis=2) == 4
    longest = degrees.max(axis=2)
    type_421 = (four & two_bonds & (longest == 1)).sum(axis=1)
    type_422 = (four & two_bonds & (longest == 2)).sum(axis=1)
    return type_421 == 12, (type_421 == 6) & (type_422 == 6)


def _neighbours_of(
    marked: NDArray[np.bool_], atoms: NDArray[np.intp], known: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    found = np.zeros(len(marked), dtype=bool)
    found[atoms[marked & known].ravel()] = True
    return found
