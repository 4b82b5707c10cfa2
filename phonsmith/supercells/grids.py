"""Grids of wave vectors, and the supercells that each of them fits into.

A grid is an integer matrix whose rows are supercell vectors in units of the primitive lattice
vectors: its wave vectors are those commensurate with this supercell. They form a finite group, and
every subgroup belongs to a smaller supercell whose commensurate wave vectors it holds (J. H.
Lloyd-Williams, B. Monserrat, Phys. Rev. B 92, 184301 (2015)).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from ase.geometry import minkowski_reduce
from numpy.typing import NDArray

from phonsmith.files.errors import PhonsmithError
from phonsmith.supercells.settings import Grid

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MOST_WAVE_VECTORS = 1000
"""Of a grid that is searched for supercells; the search takes seconds up to here."""


def grid_matrix(lattice: Floats, grid: Grid) -> Integers:
    """Return the supercell matrix of a grid, in units of the primitive lattice vectors.

    Parameters
    ----------
    lattice
        (3, 3) primitive lattice vectors in rows, in Å.
    grid
        Three numbers of wave vectors along the reciprocal lattice vectors, a matrix, or a length
        in Å: the smallest numbers N_i with N_i d_i of at least this length, where d_i is the
        spacing of the lattice planes of reciprocal vector i.

    Returns
    -------
    (3, 3) integers, supercell vectors in rows.
    """
    if isinstance(grid, int | float):
        spacings = 1 / np.linalg.norm(np.linalg.inv(lattice), axis=0)
        numbers = np.maximum(1, np.ceil(grid / spacings - 1e-9))
        return np.diag(numbers.astype(np.int64))
    matrix = np.array(grid, dtype=np.int64)
    return matrix if matrix.ndim == 2 else np.diag(matrix)


@dataclass(frozen=True)
class WaveVectors:
    """The wave vectors of a grid: a group under addition, modulo reciprocal lattice vectors.

    ``matrix`` (3, 3) has the supercell vectors in rows; ``rotations`` (n, 3, 3) are the crystal's,
    acting on columns of fractional coordinates. Those that do not preserve the grid are not used.
    """

    matrix: Integers
    rotations: Integers

    @property
    def order(self) -> int:
        """Number of wave vectors."""
        return abs(round(float(np.linalg.det(self.matrix))))

    @cached_property
    def numerators(self) -> Integers:
        """Wave vectors (order, 3), times the order, modulo the order; Γ is the first."""
        order = self.order
        adjugate = np.rint(np.linalg.inv(self.matrix) * order).astype(np.int64)
        # q = inverse(matrix) @ k for integer k: the columns of the inverse generate the group
        found = {(0, 0, 0): None}
        for step in adjugate.T % order:
            cycle = [step * 0]
            while np.any((cycle[-1] + step) % order):
                cycle.append((cycle[-1] + step) % order)
            found = dict.fromkeys(
                tuple(((np.array(one) + move) % order).tolist()) for one in found for move in cycle
            )
        return np.array(sorted(found), dtype=np.int64)

    @cached_property
    def _places(self) -> dict[tuple[int, ...], int]:
        return {tuple(one): place for place, one in enumerate(self.numerators.tolist())}

    def places(self, numerators: Integers) -> Integers:
        """Return the numbers of wave vectors (n, 3) that are given as numerators.

        Raises
        ------
        KeyError
            A wave vector is not of the grid.
        """
        reduced = (numerators % self.order).tolist()
        return np.array([self._places[tuple(one)] for one in reduced], dtype=np.int64)

    @cached_property
    def _images(self) -> Integers:
        """Wave vector (operations, order) that each is taken to by symmetry and time reversal."""
        found = []
        for rotation in self.rotations:
            # q' = q W⁻¹ for rows, W acting on columns of positions
            moved = self.numerators @ np.rint(np.linalg.inv(rotation)).astype(np.int64)
            try:
                found += [self.places(moved), self.places(-moved)]
            except KeyError:  # the rotation does not preserve the grid
                continue
        return np.unique(np.array(found), axis=0)

    @cached_property
    def stars(self) -> Integers:
        """The smallest number (order,) of the wave vectors in the star of each."""
        return np.asarray(self._images.min(axis=0))

    @cached_property
    def _sums(self) -> Integers:
        """Number of the sum of two wave vectors, (order, order)."""
        sums = self.numerators[:, None] + self.numerators[None]
        return self.places(sums.reshape(-1, 3)).reshape(self.order, self.order)

    def _generated_by(self, place: int) -> frozenset[int]:
        found, now = [0], place
        while now:
            found.append(now)
            now = int(self._sums[now, place])
        return frozenset(found)

    def _like(self, group: frozenset[int]) -> frozenset[int]:
        """The one of the groups equivalent by symmetry that comes first."""
        images = np.unique(np.sort(self._images[:, sorted(group)], axis=1), axis=0)
        return frozenset(images[0].tolist())

    @cached_property
    def subgroups(self) -> list[frozenset[int]]:
        """All subgroups, one of those that are equivalent by symmetry, the smallest first.

        Raises
        ------
        PhonsmithError
            The grid has too many wave vectors.
        """
        if self.order > MOST_WAVE_VECTORS:
            raise PhonsmithError(
                f"supercells.grid has {self.order} wave vectors; non-diagonal supercells are "
                f"searched for up to {MOST_WAVE_VECTORS}; choose a coarser grid, or set "
                "supercells.way to diagonal"
            )
        lines = sorted({self._generated_by(place) for place in range(1, self.order)}, key=_by_size)
        found = {frozenset([0])}
        waiting = list(found)
        while waiting:
            group = waiting.pop()
            members = np.array(sorted(group))
            known: set[frozenset[int]] = set()
            for line in lines:
                if line <= group:
                    continue
                sums = self._sums[np.ix_(members, np.array(sorted(line)))]
                known.add(frozenset(np.unique(sums).tolist()))
            new = {self._like(one) for one in known} - found
            found |= new
            waiting += new
        return sorted(found, key=_by_size)

    def supercell(self, group: frozenset[int], lattice: Floats) -> Integers:
        """Return the smallest supercell commensurate with the wave vectors of a group.

        Parameters
        ----------
        group
            Numbers of the wave vectors.
        lattice
            (3, 3) primitive lattice vectors in rows, in Å.

        Returns
        -------
        (3, 3) integers: Minkowski-reduced supercell vectors in rows, with positive determinant.
        """
        basis = np.eye(3, dtype=np.int64)
        for place in sorted(group):
            basis = _kept(basis, self.numerators[place], self.order)
        _, operation = minkowski_reduce(basis @ lattice)
        reduced = np.asarray(operation, dtype=np.int64) @ basis
        return reduced if np.linalg.det(reduced) > 0 else -reduced


def _by_size(group: frozenset[int]) -> tuple[int, list[int]]:
    return len(group), sorted(group)


def _kept(basis: Integers, numerators: Integers, order: int) -> Integers:
    """The vectors of a lattice whose product with a wave vector is an integer, as a basis (rows).

    Euclid's algorithm on the products: one row keeps their greatest common divisor.
    """
    rows = basis.copy()
    products = (rows @ numerators) % order
    while np.count_nonzero(products) > 1:
        small = min(np.flatnonzero(products), key=lambda row: products[row])
        for row in np.flatnonzero(products):
            if row != small:
                turns = products[row] // products[small]
                rows[row] -= turns * rows[small]
                products[row] -= turns * products[small]
    for row in np.flatnonzero(products):
        rows[row] *= order // math.gcd(int(products[row]), order)
    return rows


def in_units_of(matrix: Integers, primitive_matrix: Floats) -> Integers:
    """Convert a supercell in primitive vectors to the vectors of the unit cell.

    Parameters
    ----------
    matrix
        (3, 3) supercell vectors in rows, in units of the primitive lattice vectors.
    primitive_matrix
        (3, 3) primitive vectors in columns, in units of the unit cell's, as phonopy has them.

    Raises
    ------
    PhonsmithError
        The supercell does not consist of whole unit cells.
    """
    found = matrix @ np.asarray(primitive_matrix).T
    rounded = np.rint(found)
    if np.abs(found - rounded).max() > 1e-6:
        raise PhonsmithError(
            f"supercells.grid {_text(matrix)}: its supercell does not consist of whole unit cells "
            "of this crystal, which is not primitive; give the primitive cell, or another grid"
        )
    return rounded.astype(np.int64)


def _text(matrix: Any) -> Sequence[Any]:
    matrix = np.asarray(matrix)
    diagonal = np.array_equal(matrix, np.diag(np.diag(matrix)))
    found: list[Any] = (np.diag(matrix) if diagonal else matrix).tolist()
    return found
