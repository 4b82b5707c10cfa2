"""Properties that the goal of a loop may ask for: one number of one fit, and its changes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phonsmith.records import Record
from phonsmith.relaxation import LEFT_OUT
from phonsmith.settings import AnyPropertyGoal, ConductivityGoal, TransitionGoal


@dataclass(frozen=True)
class Property:
    """One number of one fit; None with a ``reason`` where there is none.

    ``lost``: its crystal is left out of the campaign, so that no fit will ever have one.
    """

    value: float | None
    unit: str
    reason: str = ""
    lost: bool = False


class PropertyVerdict(Record):
    """One property of one recipe: mean and standard deviation over its repeats.

    ``change`` is that of the mean since the last generation, in ``change_unit``. ``reason`` says
    why the criterion is not met, and is empty where it is. One that cannot be ``judged``, since a
    crystal is left out of the campaign, does not count: new labels are of no help.
    """

    name: str
    value: float | None
    noise: float | None
    unit: str
    change: float | None
    change_unit: str
    reason: str
    judged: bool = True


def property_of(goal: AnyPropertyGoal, path: str | Path) -> Property:
    """The property that a criterion is about, from the result of one fit."""
    match goal:
        case ConductivityGoal():
            from phonsmith.conductivity import KappaResult, mean_kappa

            result = KappaResult.load(path)
            if result.reason:
                lost = result.reason.startswith(LEFT_OUT)
                return Property(None, "W/mK", result.reason, lost)
            at = result.temperatures_kelvin.index(goal.temperature_kelvin)
            return Property(mean_kappa(result.series[0].kappa[at]), "W/mK")
        case TransitionGoal():
            from phonsmith import transitions

            found = transitions.Result.load(path)
            value, reason = found.of_goal()
            return Property(value, found.unit, reason, lost=value is None and found.lost)


def judge_property(
    name: str,
    goal: AnyPropertyGoal,
    repeats: Sequence[Property],
    before: Mapping[str, PropertyVerdict],
) -> PropertyVerdict:
    """Whether a property has settled: the mean over repeats has changed by little.

    ``before`` are the verdicts of the last generation, by name. Without one there, as in the first
    generation, the criterion is not met.
    """
    unit = repeats[0].unit if repeats else ""
    judged = not any(one.lost for one in repeats)
    lost = [one.reason for one in repeats if one.value is None]
    values = np.array([one.value for one in repeats if one.value is not None])
    value = noise = change = None
    largest, change_unit = goal.largest_change
    if lost or not len(values):
        reason = f"{name}: {lost[0] if lost else 'there is none'}"
        if not judged:
            reason = f"{name} cannot be judged: {lost[0]}"
    else:
        value = float(values.mean())
        noise = float(values.std(ddof=1)) if len(values) > 1 else None
        last = before[name].value if name in before else None
        spread = "" if noise is None else f" ± {noise:.3g}"
        if last is None:
            reason = f"{name} {value:.4g}{spread} {unit} has no value of a generation before"
        else:
            change = goal.change(value, last)
            noises = [one for one in (noise, before[name].noise) if one is not None]
            noisy = len(noises) == 2 and abs(value - last) <= math.hypot(*noises)
            reason = (
                ""
                if abs(change) <= largest
                else f"{name} {value:.4g}{spread} {unit} changed by {change:+.3g} {change_unit}, "
                f"{largest:g} {change_unit} are allowed"
                + (", not significant: within the noise of the repeats" if noisy else "")
            )
    return PropertyVerdict(
        name=name,
        value=value,
        noise=noise,
        unit=unit,
        change=change,
        change_unit=change_unit,
        reason=reason,
        judged=judged,
    )
