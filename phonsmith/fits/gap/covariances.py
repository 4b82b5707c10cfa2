"""Covariances of descriptors with the sparse points of a term, and their derivatives.

Equations of Bartók and Csányi, Int. J. Quantum Chem. 115, 1051 (2015), as QUIP's ``gp_predict``
computes them: a dot product to the power ζ, and a squared exponential, summed over permutations
of equivalent dimensions and normalised.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from phonsmith.fits.gap.descriptors import Descriptors
from phonsmith.fits.gap.model import ARD_SE, DOT_PRODUCT, Term

Array = NDArray[np.float64]


class Covariance(Protocol):
    """Covariance of any descriptor with the sparse points of a term, in eV²."""

    def values(self, x: Array) -> Array:
        """Return the covariances of descriptors (n, dimensions), shape (n, points)."""
        ...

    def derivatives(self, found: Descriptors) -> Array:
        """Return the derivatives by positions, shape (derivatives, 3, points)."""
        ...


class DotProduct:
    """δ² (x·s)^ζ."""

    def __init__(self, term: Term):
        self.points, self.variance = term.points, term.delta**2
        zeta = float(term.scale[0])
        self.zeta: float | int = int(zeta) if zeta.is_integer() else zeta

    def values(self, x: Array) -> Array:
        """Return δ² (x·s)^ζ."""
        return np.asarray(self.variance * (x @ self.points.T) ** self.zeta)

    def derivatives(self, found: Descriptors) -> Array:
        """Return δ² ζ (x·s)^(ζ−1) (∇x)·s, where (∇x)·s is one product of matrices."""
        products = found.values @ self.points.T
        slopes = self.variance * self.zeta * products ** (self.zeta - 1)
        shape = (*found.gradients.shape[:2], len(self.points))
        result = found.gradients.reshape(-1, found.gradients.shape[2]) @ self.points.T
        result = result.reshape(shape)
        result *= slopes[found.owner][:, None]
        return result


class SquaredExponential:
    """δ² Σ exp(−Σ (Px − s)²/2θ²) over permutations P, normalised, and the mean squared."""

    def __init__(self, term: Term):
        self.points, self.variance, self.mean = term.points, term.delta**2, term.mean
        self.inverse = 1 / term.scale**2
        self.permutations = term.permutations

    def values(self, x: Array) -> Array:
        """Return the covariances."""
        return self._with_slopes(x)[0]

    def derivatives(self, found: Descriptors) -> Array:
        """Return their derivatives."""
        slopes = self._with_slopes(found.values)[1]
        return np.asarray(np.einsum("gkd,gmd->gkm", found.gradients, slopes[found.owner]))

    def _with_slopes(self, x: Array) -> tuple[Array, Array]:
        """Covariances, shape (n, points), and derivatives by x, shape (n, points, dimensions)."""
        sums = np.zeros((len(x), len(self.points)))
        slopes = np.zeros((*sums.shape, x.shape[1]))
        for order in self.permutations:
            away = x[:, None, order] - self.points[None]
            one = self.variance * np.exp(-0.5 * (away**2 @ self.inverse))
            sums += one
            slopes[:, :, order] -= one[:, :, None] * away * self.inverse
        if len(self.permutations) > 1:
            own, own_slopes = self._own(x)
            norm = np.sqrt(own[:, None] * self._own(self.points)[0])
            correction = own_slopes[:, None] * (sums / norm / own[:, None])[:, :, None]
            slopes = slopes / norm[:, :, None] - 0.5 * correction
            sums = sums / norm
        return sums + self.mean**2, slopes

    def _own(self, x: Array) -> tuple[Array, Array]:
        """Covariances of x with itself without δ², shape (n,), and derivatives."""
        sums, slopes = np.zeros(len(x)), np.zeros_like(x)
        for order in self.permutations:
            away = x[:, order] - x
            one = np.exp(-0.5 * (away**2 @ self.inverse))
            sums += one
            scaled = one[:, None] * away * self.inverse
            slopes += scaled
            slopes[:, order] -= scaled
        return sums, slopes


COVARIANCES: dict[int, type[DotProduct] | type[SquaredExponential]] = {
    DOT_PRODUCT: DotProduct,
    ARD_SE: SquaredExponential,
}


def covariance_of(term: Term) -> Covariance:
    """Return the covariance of a term."""
    return COVARIANCES[term.covariance](term)


def sparse_covariance(term: Term, jitter: float) -> Array:
    """Return the covariance of the sparse points with each other, shape (points, points).

    Parameters
    ----------
    term
        Term of the potential.
    jitter
        Variance added to the diagonal, in eV².
    """
    values = covariance_of(term).values(term.points)
    return np.asarray(
        values * term.cutoffs * term.cutoffs[:, None] + jitter * np.eye(len(term.points))
    )
