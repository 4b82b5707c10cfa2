"""Least squares by QR, extended by blocks of rows: memory of columns² whatever the rows.

Normal equations would square the condition number. LAPACK's ``tpqrt`` adds rows to a triangle.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack, solve_triangular

Array = NDArray[np.float64]
Cell = TypeVar("Cell")

PANEL = 64
"""Columns that LAPACK eliminates together."""


def divided(cells: Sequence[Cell], work: Sequence[int], most: int) -> list[list[Cell]]:
    """Divide cells, in their order, into parts with nearly equal work.

    Parameters
    ----------
    cells
        Cells.
    work
        Work of each cell, in any unit.
    most
        Largest number of parts; parts without cells are omitted.
    """
    ends = np.cumsum(work)
    which = np.minimum(most - 1, most * (ends - work[0]) // ends[-1])
    parts = [[cell for cell, p in zip(cells, which, strict=True) if p == n] for n in range(most)]
    return [part for part in parts if part]


class Triangle:
    """R of the QR decomposition of all rows so far; the last column is the right-hand side."""

    def __init__(self, r: Array):
        self.r = np.asfortranarray(r)

    def add(self, blocks: Sequence[Array]) -> None:
        """Add rows, shape (…, columns + 1)."""
        rows = np.empty((sum(len(block) for block in blocks), len(self.r)), order="F")
        begin = 0
        for block in blocks:
            rows[begin : begin + len(block)] = block
            begin += len(block)
        if len(rows):
            self._eliminate(rows, 0)

    def merge(self, other: Array) -> None:
        """Add the rows of another triangle."""
        self._eliminate(np.asfortranarray(other), len(other))

    def solve(self) -> Array:
        """Return the solution of least squares, shape (columns,)."""
        return np.asarray(solve_triangular(self.r[:-1, :-1], self.r[:-1, -1]))

    def _eliminate(self, rows: Array, triangular: int) -> None:
        panel = min(PANEL, len(self.r))
        result = lapack.dtpqrt(triangular, panel, self.r, rows, overwrite_a=1, overwrite_b=1)
        self.r = result[0]
