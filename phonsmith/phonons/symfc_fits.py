"""Force constants from cells with any displacements: linear least squares by symfc.

symfc expands force constants in a basis with the symmetry of the supercell, permutation symmetry
and the acoustic sum rule (A. Seko, A. Togo, Phys. Rev. B 110, 214302 (2024)). The coefficients c
solve XᵀX c = Xᵀy, with a row of X for each force component of each cell. XᵀX and Xᵀy are sums over
cells: fits to subsets of the cells cost little more than one fit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from phono3py import Phono3py
    from phonopy import Phonopy

Floats = NDArray[np.float64]

SMALLEST_PIVOT = 1e-9
"""Of the Cholesky decomposition of XᵀX with columns of length 1. Combinations of force constants
with smaller pivots do not follow from the forces. Rounding errors are near 1e-14."""


@dataclass(frozen=True)
class Equations:
    """XᵀX and Xᵀy of some cells, and the number of force components."""

    matrix: Floats
    vector: Floats
    count: int

    def __add__(self, other: "Equations") -> "Equations":
        """Return the equations of the cells of both."""
        return Equations(
            self.matrix + other.matrix, self.vector + other.vector, self.count + other.count
        )

    def __sub__(self, other: "Equations") -> "Equations":
        """Return the equations without cells that are among these."""
        return Equations(
            self.matrix - other.matrix, self.vector - other.vector, self.count - other.count
        )

    @property
    def undetermined(self) -> int:
        """Number of independent combinations of force constants that the cells do not determine."""
        from scipy.linalg.lapack import dpstrf

        lengths = np.sqrt(np.maximum(np.diag(self.matrix), 0.0))
        moved = lengths > 0
        scaled = self.matrix[np.ix_(moved, moved)] / np.outer(lengths[moved], lengths[moved])
        rank = dpstrf(scaled, tol=SMALLEST_PIVOT)[2] if moved.any() else 0
        return len(lengths) - int(rank)


class SymfcFit:
    """Least-squares problem of the force constants of a supercell.

    Parameters
    ----------
    phonon
        phonopy or phono3py with the supercell, its symmetry and the primitive cell.
    orders
        ``(2,)``, or ``(2, 3)`` for a joint fit.
    pair_cutoff_angstrom
        Third-order force constants of more distant pairs of atoms are zero; None for all pairs.
    """

    def __init__(
        self,
        phonon: "Phonopy | Phono3py",
        orders: tuple[int, ...],
        pair_cutoff_angstrom: float | None = None,
    ) -> None:
        """Prepare the basis; it is computed when it is first needed."""
        from phonopy.interface.symfc import SymfcFCSolver

        cutoff = None if pair_cutoff_angstrom is None else {"cutoff": {3: pair_cutoff_angstrom}}
        supercell = phonon.supercell
        self._solver = SymfcFCSolver(supercell, symmetry=phonon.symmetry, options=cutoff)
        self._first_atoms = np.asarray(phonon.primitive.p2s_map)
        self.atoms = len(supercell)
        self.orders = orders

    @cached_property
    def _basis(self) -> list[Any]:
        found = self._solver.compute_basis_set(orders=list(self.orders))
        return [found[order] for order in self.orders]

    @property
    def unknowns(self) -> int:
        """Independent force constants of all orders."""
        return sum(basis.blocked_basis_set.shape[1] for basis in self._basis)

    def cells_missing(self, equations: Equations) -> int:
        """Number of further cells with random displacements that determine the force constants.

        More cells than equations per unknown suggest are needed where symmetry is low: a cell with
        displacements u determines Φu, and Φ follows from as many as span all u.
        """
        random = np.random.default_rng(0)
        added = 0
        while missing := equations.undetermined:
            more = -(-missing // (3 * self.atoms))
            moves = random.normal(scale=0.03, size=(more, self.atoms, 3))
            equations += self.equations(moves, np.zeros_like(moves))
            added += more
        return added

    def equations(self, displacements: ArrayLike, forces: ArrayLike) -> Equations:
        """Compute the normal equations of some cells.

        Parameters
        ----------
        displacements
            (cells, atoms, 3) in Å.
        forces
            (cells, atoms, 3) in eV/Å.
        """
        from symfc.solvers.solver_O2 import prepare_normal_equation_O2
        from symfc.solvers.solver_O2O3 import prepare_normal_equation_O2O3

        moves, pulls = (
            np.asarray(array, dtype=float).reshape(-1, 3 * self.atoms)
            for array in (displacements, forces)
        )
        prepare = prepare_normal_equation_O2O3 if 3 in self.orders else prepare_normal_equation_O2
        if not len(moves):
            size = self.unknowns
            return Equations(np.zeros((size, size)), np.zeros(size), 0)
        matrix, vector = prepare(moves, pulls, *self._basis)
        return Equations(np.asarray(matrix), np.asarray(vector), pulls.size)

    def solve(self, equations: Equations) -> dict[int, Floats]:
        """Solve normal equations that determine the force constants.

        Returns
        -------
        By order: (primitive atoms, atoms, 3, 3) in eV/Å², and with third order (primitive atoms,
        atoms, atoms, 3, 3, 3) in eV/Å³.

        Raises
        ------
        numpy.linalg.LinAlgError
            They do not, see :attr:`Equations.undetermined`.
        """
        lengths = np.sqrt(np.diag(equations.matrix))
        scaled = equations.matrix / np.outer(lengths, lengths)
        lower = np.linalg.cholesky(scaled)
        half = np.linalg.solve(lower, equations.vector / lengths)
        coefficients = np.linalg.solve(lower.T, half) / lengths
        found, start = {}, 0
        for order, basis in zip(self.orders, self._basis, strict=True):
            end = start + basis.blocked_basis_set.shape[1]
            found[order] = self._expanded(order, basis, coefficients[start:end])
            start = end
        return found

    def _expanded(self, order: int, basis: Any, coefficients: Floats) -> Floats:
        """Force constants of the atoms of the primitive cell from coefficients of the basis."""
        same = np.array_equal(self._solver.p2s_map, self._first_atoms)
        expand = basis.compact_compression_matrix if same else basis.compression_matrix
        shape = (-1, *(order - 1) * [self.atoms], *order * [3])
        found = (expand @ (basis.blocked_basis_set @ coefficients)).reshape(shape)
        return np.array(found if same else found[self._first_atoms], order="C")


def groups_of(count: int, groups: int) -> list[Sequence[int]]:
    """Distribute cells over groups of about equal size: cell i belongs to group i mod groups.

    >>> groups_of(5, 2)
    [range(0, 5, 2), range(1, 5, 2)]
    """
    return [range(group, count, groups) for group in range(min(groups, count))]
