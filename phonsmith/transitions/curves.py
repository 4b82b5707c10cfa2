"""Curves of free energies or enthalpies, and where two of them cross."""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phonsmith.files.json_records import Record

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """Energy of a crystal (eV/atom) against temperature (K) or pressure (GPa).

    ``slopes`` are its derivatives where they are known: minus the entropy, or the volume.
    """

    x: Floats
    energy: Floats
    slopes: Floats | None = None

    def minus(self, other: "Curve") -> "Curve":
        """Return the difference at the abscissas that both have."""
        x, mine, theirs = np.intersect1d(self.x, other.x, return_indices=True)
        slopes = (
            self.slopes[mine] - other.slopes[theirs]
            if self.slopes is not None and other.slopes is not None
            else None
        )
        return Curve(x, self.energy[mine] - other.energy[theirs], slopes)

    def interpolated(self) -> Any:
        """Return the cubic curve through at least two points: Hermite's where slopes are known.

        Otherwise that of Fritsch and Butland (PCHIP), which does not overshoot.
        """
        from scipy.interpolate import CubicHermiteSpline, PchipInterpolator

        if self.slopes is not None:
            return CubicHermiteSpline(self.x, self.energy, self.slopes)
        return PchipInterpolator(self.x, self.energy)

    def at(self, x: float) -> float:
        """Return the energy at ``x`` within the points, eV/atom."""
        return float(self.energy[0] if len(self.x) == 1 else self.interpolated()(x))


class Crossing(Record):
    """A change of sign between two neighbouring points ``low`` and ``high``.

    ``slope_mev_per_atom`` is that of the difference, per kelvin or GPa; ``falling``: the difference
    goes from above zero to below. ``stable``: no further crystal is lower there.
    """

    value: float
    low: float
    high: float
    slope_mev_per_atom: float
    falling: bool
    stable: bool = True


def crossings(difference: Curve) -> list[Crossing]:
    """Return where a difference of energies changes its sign, from left to right.

    Between the points the curve is that of :meth:`Curve.interpolated`. A curve that touches zero
    and turns back does not cross, nor one that begins or ends at zero.
    """
    from scipy.optimize import brentq

    x, y = difference.x, difference.energy
    away = np.flatnonzero(y != 0.0)
    changes = [(left, right) for left, right in itertools.pairwise(away) if y[left] * y[right] < 0]
    if not changes:
        return []
    curve = difference.interpolated()
    found = []
    for left, right in changes:
        root = float(brentq(curve, x[left], x[right], xtol=1e-9 * max(1.0, abs(x[right]))))
        found.append(
            Crossing(
                value=root,
                low=float(x[left]),
                high=float(x[right]),
                slope_mev_per_atom=1000 * float(curve(root, 1)),
                falling=bool(y[left] > 0),
            )
        )
    return found
