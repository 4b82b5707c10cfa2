"""Labels that failed: recorded, counted, and reported."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ase import Atoms

from phonsmith.files.errors import PhonsmithError
from phonsmith.labels.checks import identity

Record = Mapping[str, Any]
"""A failure as :meth:`phonsmith.labels.protocol.Failure.as_dict` gives it."""


def taken_up(
    labels: Sequence[Atoms], failures: Sequence[Record], again: Sequence[Atoms]
) -> tuple[list[Atoms], list[Record]]:
    """Add the labels of failed cells that were retried individually.

    Existing labels are not replaced.

    Parameters
    ----------
    labels
        Labels of the batch.
    failures
        Failures of the batch.
    again
        Labels of retried cells.

    Returns
    -------
    All labels and the remaining failures.
    """
    there = {_name(identity(label)) for label in labels}
    new = {_name(identity(label)): label for label in again}
    added = [label for name, label in new.items() if name not in there]
    return [*labels, *added], [one for one in failures if _name(one) not in new]


def _name(one: Record) -> tuple[Any, ...]:
    return one["structure"], one["generation"], one["index"]


def require_labels(labelled: int, failures: Sequence[Record], fraction: float, what: str) -> None:
    """Stop if too many labels are missing.

    A single failure among several cells is always allowed, otherwise small generations would not
    survive it; a ``fraction`` of 1 allows no failure.

    Parameters
    ----------
    labelled
        Number of labelled cells.
    failures
        Failed cells.
    fraction
        Smallest share of labelled cells.
    what
        Name of the labels in the message.

    Raises
    ------
    PhonsmithError
        Fewer than ``fraction`` of the cells are labelled; the message counts failures by structure
        and the most frequent reasons.
    """
    asked = labelled + len(failures)
    one_of_several = len(failures) == 1 < asked and fraction < 1
    if one_of_several or labelled >= fraction * asked:
        return
    where = Counter(str(one["structure"]) for one in failures)
    reasons = Counter(short_reason(one["reason"]) for one in failures)
    raise PhonsmithError(
        f"{what}: {labelled} of {asked} cells are labelled, {100 * labelled / asked:.3g} %, but "
        f"labels.min_label_fraction requires {100 * fraction:g} %; failed: {_counted(where)}; "
        f"reasons: {_counted(reasons)}; `snakemake failures` lists all of them with commands to "
        "retry each; or lower labels.min_label_fraction"
    )


def short_reason(reason: str) -> str:
    """Return a reason without what differs from cell to cell: the place of the files that stay."""
    return " ".join(str(reason).split(" (see ")[0].split())[:160]


def _counted(numbers: Counter[str]) -> str:
    most = numbers.most_common(3)
    more = [f"{len(numbers) - len(most)} more"] if len(numbers) > len(most) else []
    return ", ".join([*(f"{name} ({count})" for name, count in most), *more])


def in_words(failures: Iterable[Record]) -> str:
    """Format a list of failures, each with its reason, last lines, and how to retry it.

    Lines of a code's output follow, indented.
    """
    blocks = []
    for one in failures:
        part = f", {one['part']} set" if one.get("part") else ""
        cell = f"cell {one['index']}" if one["index"] >= 0 else "cell"
        lines = [
            f"{one['structure']}, generation {one['generation']}, {one['kind']} {cell}{part}",
            f"  {' '.join(str(one['reason']).split())}",
            *(f"    | {line}" for line in str(one.get("output", "")).splitlines()),
        ]
        if one.get("again"):
            lines.append(f"  retry: {one['again']}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)
