"""Which crystal is lowest where."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from phonsmith.transitions.curves import Crossing, Curve, crossings
from phonsmith.transitions.results import NONE_IN_RANGE, Comparison


def comparisons(
    curves: Mapping[str, Curve], unit: Literal["K", "GPa"], empty: Comparison
) -> list[Comparison]:
    """Compare all pairs of crystals in the given order.

    Parameters
    ----------
    curves
        Energy curve of each crystal.
    unit
        Unit of the abscissa: temperature or pressure.
    empty
        Comparison that holds the common fields.
    """
    found = []
    for first, second in itertools.combinations(curves, 2):
        difference = curves[second].minus(curves[first])
        others = [curve for name, curve in curves.items() if name not in (first, second)]
        places = [
            one.model_copy(update={"stable": _lowest(one.value, curves[first], others)})
            for one in crossings(difference)
        ]
        found.append(
            empty.model_copy(
                update={
                    "first": first,
                    "second": second,
                    "x": difference.x.tolist(),
                    "difference_mev_per_atom": (1000 * difference.energy).tolist(),
                    "crossings": places,
                    "answer": _answer(first, second, difference, places, unit),
                    "reason": "" if len(difference.x) > 1 else "no common points to compare",
                }
            )
        )
    return found


def _lowest(x: float, curve: Curve, others: Sequence[Curve]) -> bool:
    """Whether no other curve is lower at ``x``; those that end before are not asked."""
    inside = (one for one in others if one.x.min() <= x <= one.x.max())
    return all(curve.at(x) <= one.at(x) for one in inside)


def _answer(
    first: str, second: str, difference: Curve, places: Sequence[Crossing], unit: str
) -> str:
    if len(difference.x) < 2:
        return ""
    if places:
        return "; ".join(
            f"{one.value:.4g} {unit} ({one.low:g} to {one.high:g}), "
            + " → ".join((first, second) if one.falling else (second, first))
            for one in places
        )
    lower = second if difference.energy.sum() < 0 else first
    gaps = 1000 * np.abs(difference.energy)
    return (
        f"{NONE_IN_RANGE} from {difference.x[0]:g} to {difference.x[-1]:g} {unit}: {lower} is "
        f"lower by {gaps.min():.3g} to {gaps.max():.3g} meV/atom"
    )
