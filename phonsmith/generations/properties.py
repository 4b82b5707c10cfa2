"""Properties in the goal of a loop: one number of one fit, its changes, and its error bar."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from phonsmith.files.json_records import Record
from phonsmith.generations.repeats import Sample, difference_in_words
from phonsmith.generations.settings import AnyPropertyGoal, ConductivityGoal, TransitionGoal
from phonsmith.structures.verdicts import LEFT_OUT


@dataclass(frozen=True)
class Property:
    """One number of one fit; None with a ``reason`` where there is none.

    ``lost``: its crystal is omitted from the campaign, so that no fit will ever have a value.
    ``uncertainty`` is that of the jackknife, in the same unit; ``without_uncertainty`` explains why
    a requested one is missing.
    """

    value: float | None
    unit: str
    reason: str = ""
    lost: bool = False
    uncertainty: float | None = None
    without_uncertainty: str = ""


class PropertyVerdict(Record):
    """One property of one recipe: mean and standard deviation over its ``repeats``.

    ``uncertainty`` combines the standard deviation with the jackknife of the repeats (root mean
    square), where there is either.
    ``change`` is that of the mean since the last generation, in ``change_unit``. ``reason``
    explains why the criterion is not met, and is empty where it is. One that cannot be ``judged``,
    since a crystal is omitted from the campaign, does not count: new labels cannot help.
    """

    name: str
    value: float | None
    noise: float | None
    repeats: int
    unit: str
    change: float | None
    change_unit: str
    reason: str
    judged: bool = True
    uncertainty: float | None = None

    @property
    def sample(self) -> Sample | None:
        """The value over the repeats; None where there is none."""
        return None if self.value is None else Sample(self.value, self.noise, self.repeats)


def property_of(goal: AnyPropertyGoal, path: str | Path) -> Property:
    """Return the property that a criterion is about, from the result of one fit."""
    match goal:
        case ConductivityGoal():
            from phonsmith.conductivity.jackknife import uncertainty_of_mean
            from phonsmith.conductivity.kappa import KappaResult, mean_kappa

            result = KappaResult.load(path)
            if result.reason:
                lost = result.reason.startswith(LEFT_OUT)
                return Property(None, "W/mK", result.reason, lost)
            at = result.temperatures_kelvin.index(goal.temperature_kelvin)
            series = result.series[0]
            return Property(
                mean_kappa(series.kappa[at]),
                "W/mK",
                uncertainty=uncertainty_of_mean(series, at),
                without_uncertainty=result.without_uncertainty,
            )
        case TransitionGoal():
            from phonsmith.transitions import results as transitions

            found = transitions.Result.load(path)
            value, reason = found.of_goal()
            return Property(value, found.unit, reason, lost=value is None and found.lost)


def judge_property(
    name: str,
    goal: AnyPropertyGoal,
    repeats: Sequence[Property],
    before: Mapping[str, PropertyVerdict],
) -> PropertyVerdict:
    """Judge whether the mean of a property over repeats has converged between generations.

    Parameters
    ----------
    name
        Name of the property.
    goal
        Largest allowed change.
    repeats
        Value of the property, or the reason of its absence, for each repeat.
    before
        Verdicts of the previous generation by name. Without an entry, as in the first generation,
        the criterion is not met.
    """
    unit = repeats[0].unit if repeats else ""
    judged = not any(one.lost for one in repeats)
    lost = [one.reason for one in repeats if one.value is None]
    values = [one.value for one in repeats if one.value is not None]
    sample = change = uncertainty = None
    largest, change_unit = goal.largest_change
    if lost or not values:
        reason = f"{name}: {lost[0] if lost else 'there is none'}"
        if not judged:
            reason = f"{name} cannot be judged: {lost[0]}"
    else:
        sample = Sample.of(values)
        spread = "" if sample.deviation is None else f" ± {sample.deviation:.3g}"
        found = f"{name} {sample.mean:.4g}{spread} {unit}"
        uncertainty = _uncertainty(sample, repeats)
        last = before[name].sample if name in before else None
        if last is None:
            reason = f"{found} has no value in the previous generation"
        else:
            change = goal.change(sample.mean, last.mean)
            differs = difference_in_words(sample.differs_from(last), [sample.count, last.count])
            reason = (
                ""
                if abs(change) <= largest
                else f"{found} changed by {change:+.3g} {change_unit} ({differs}), allowed: "
                f"{largest:g} {change_unit}"
            )
        if not reason and isinstance(goal, ConductivityGoal):
            reason = _uncertain(found, goal, sample.mean, uncertainty, repeats)
    return PropertyVerdict(
        name=name,
        value=sample.mean if sample else None,
        noise=sample.deviation if sample else None,
        repeats=len(repeats),
        unit=unit,
        change=change,
        change_unit=change_unit,
        reason=reason,
        judged=judged,
        uncertainty=uncertainty,
    )


def _uncertainty(sample: Sample, repeats: Sequence[Property]) -> float | None:
    """Combine the standard deviation over repeats with the uncertainties of the repeats."""
    found = [one.uncertainty for one in repeats if one.uncertainty is not None]
    parts = [] if sample.deviation is None else [sample.deviation]
    if len(found) == len(repeats):
        parts.append(math.sqrt(sum(one**2 for one in found) / len(found)))
    return math.hypot(*parts) if parts else None


def _uncertain(
    found: str,
    goal: ConductivityGoal,
    mean: float,
    uncertainty: float | None,
    repeats: Sequence[Property],
) -> str:
    """Explain why a conductivity is too uncertain; empty if it is not.

    Without a limit of its own, only a jackknife counts: the standard deviation over repeats alone
    may be that of the training.

    Parameters
    ----------
    found
        The conductivity in words.
    goal
        Limits.
    mean, uncertainty
        Mean over the repeats, and its uncertainty.
    repeats
        The conductivities of the repeats.
    """
    from phonsmith.conductivity.jackknife import NOT_RANDOM

    why = next((one.without_uncertainty for one in repeats if one.without_uncertainty), "")
    jackknife = all(one.uncertainty is not None for one in repeats)
    limit = goal.uncertainty_percent
    if limit is None:
        if not jackknife and why in ("", NOT_RANDOM):
            return ""
        limit = goal.within_percent
        uncertainty = uncertainty if jackknife else None
    if uncertainty is None:
        asked = "set conductivity.jackknife_groups, or `repeats` with `resampled: true`"
        return f"{found} has no uncertainty: {why or asked}"
    percent = 100 * uncertainty / abs(mean)
    return (
        "" if percent <= limit else f"{found} is uncertain by {percent:.3g} %, allowed: {limit:g} %"
    )
