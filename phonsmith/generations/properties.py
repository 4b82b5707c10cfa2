"""Properties in the goal of a loop: one number of one fit, and its changes."""

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
    """

    value: float | None
    unit: str
    reason: str = ""
    lost: bool = False


class PropertyVerdict(Record):
    """One property of one recipe: mean and standard deviation over its ``repeats``.

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

    @property
    def sample(self) -> Sample | None:
        """The value over the repeats; None where there is none."""
        return None if self.value is None else Sample(self.value, self.noise, self.repeats)


def property_of(goal: AnyPropertyGoal, path: str | Path) -> Property:
    """Return the property that a criterion is about, from the result of one fit."""
    match goal:
        case ConductivityGoal():
            from phonsmith.conductivity.kappa import KappaResult, mean_kappa

            result = KappaResult.load(path)
            if result.reason:
                lost = result.reason.startswith(LEFT_OUT)
                return Property(None, "W/mK", result.reason, lost)
            at = result.temperatures_kelvin.index(goal.temperature_kelvin)
            return Property(mean_kappa(result.series[0].kappa[at]), "W/mK")
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
    sample = change = None
    largest, change_unit = goal.largest_change
    if lost or not values:
        reason = f"{name}: {lost[0] if lost else 'there is none'}"
        if not judged:
            reason = f"{name} cannot be judged: {lost[0]}"
    else:
        sample = Sample.of(values)
        spread = "" if sample.deviation is None else f" ± {sample.deviation:.3g}"
        found = f"{name} {sample.mean:.4g}{spread} {unit}"
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
    )
