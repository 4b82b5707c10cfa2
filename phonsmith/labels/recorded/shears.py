"""Check that shear stresses of recorded cells are in the order of their strains.

Codes order the six numbers of a stress differently (ASE: yz xz xy, VASP: xy yz zx), and a wrong
order leaves energies, forces and pressure right. With Δσ = C ε for pairs of strained cells and
shears of equal size along all three planes, no exchange of components raises Σ Δσ·ε: the stiffness
C is positive definite, so that |C_ij| ≤ (C_ii + C_jj) / 2.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations, permutations

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from phonsmith.files.extxyz import STRESS, without_isolated_atoms

Floats = NDArray[np.float64]

NAMES = ("yz", "xz", "xy")
_ROWS, _COLUMNS = (1, 0, 0), (2, 2, 1)

LARGEST_STRAIN = 0.1
LEAST_CELLS = 8
LEAST_SHARE = 0.2
"""Mean square of the smallest of the three shears over that of the largest."""

LEAST_CORRELATION, LEAST_GAIN = 0.5, 2.0
"""Of the better order: correlation of stress and strain, and its ratio to that of the order as
written. Eight cells whose stresses have nothing to do with their strains have 0.2."""

LARGEST_GROUP = 60


def wrong_order(frames: Sequence[Atoms]) -> str:
    """Describe shear stresses that are in another order than their strains; "" if they are not."""
    for group in _groups(frames):
        strains, stresses = (np.array(rows) for rows in zip(*_pairs(group), strict=True))
        squares = (strains**2).sum(axis=0)
        if squares.min() <= LEAST_SHARE * squares.max() or not stresses.any():
            continue
        scale = np.sqrt(squares.sum() * (stresses**2).sum())
        found = {
            order: float((stresses[:, order] * strains).sum() / scale)
            for order in permutations(range(3))
        }
        best = max(found, key=lambda order: found[order])
        written = max(found[(0, 1, 2)], 0.0)
        if found[best] > max(LEAST_CORRELATION, LEAST_GAIN * written):
            order = " ".join(NAMES[best.index(place)] for place in range(3))
            return (
                f"shear stresses do not follow the shear of the lattice ({len(group)} cells), as "
                f"if the components read as {' '.join(NAMES)} are {order}; write stress as nine "
                "numbers xx xy xz yx yy yz zx zy zz, or six in the order xx yy zz yz xz xy"
            )
    return ""


def _groups(frames: Sequence[Atoms]) -> Iterator[list[Atoms]]:
    """Cells with stress and equal atoms, enough of them."""
    groups: dict[tuple[int, ...], list[Atoms]] = defaultdict(list)
    for atoms in without_isolated_atoms(frames):
        if STRESS in atoms.info and atoms.cell.rank == 3:
            groups[tuple(atoms.numbers)].append(atoms)
    for group in groups.values():
        step = max(len(group) // LARGEST_GROUP, 1)
        if len(group) >= LEAST_CELLS and next(_pairs(group[::step]), None) is not None:
            yield group[::step]


def _pairs(group: Sequence[Atoms]) -> Iterator[tuple[Floats, Floats]]:
    """Differences of shear strain and shear stress of similar cells, in the order of NAMES."""
    for one, other in combinations(group, 2):
        before, after = np.asarray(one.cell[:]), np.asarray(other.cell[:])
        change = np.linalg.solve((before + after) / 2, after - before)
        strain = (change + change.T) / 2
        if np.abs(change).max() < LARGEST_STRAIN:
            stress = np.asarray(other.info[STRESS]) - np.asarray(one.info[STRESS])
            yield strain[_ROWS, _COLUMNS], stress[_ROWS, _COLUMNS]
