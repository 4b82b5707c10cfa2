"""Verdicts on relaxed crystals, and what a campaign does with those that are lost.

A verdict is always written, whatever the policy. :func:`refuse` and :func:`why_left_out`
apply ``relaxation.on_change`` to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.json_records import StoredRecord
from phonsmith.files.reading_writing import read_as

OnChange = Literal["stop", "report", "leave_out"]
"""Policy for a crystal that changed or did not relax: ``relaxation.on_change``."""


@dataclass(frozen=True)
class Effort:
    """How far relaxations were taken: a result depends on it only where one did not converge.

    Attributes
    ----------
    converged
        Whether all relaxations of the result converged.
    max_steps
        The step limit that they had.
    again
        How often the result was computed again under a larger one.
    """

    converged: bool = True
    max_steps: int = 0
    again: int = 0

    @classmethod
    def load(cls, path: str | Path) -> "Effort":
        """Read it from the JSON file of a result; one without relaxations depends on no effort."""

        return read_as(path, "a result with relaxations", cls._of)

    @classmethod
    def load_each(cls, path: str | Path) -> dict[str, "Effort"]:
        """Read the efforts of several crystals from a JSON file with their results by name."""

        def parts(content: Mapping[str, Any]) -> dict[str, Effort]:
            return {name: cls._of(result) for name, result in content.items()}

        return read_as(path, "results with relaxations", parts)

    @classmethod
    def _of(cls, content: Mapping[str, Any]) -> "Effort":
        return cls(
            bool(content.get("converged", True)),
            int(content.get("max_steps", 0)),
            int(content.get("again", 0)),
        )

    def tries_again(self, max_steps: int) -> int:
        """Return how often the result is to be computed again in all after a change of the limit.

        Once more than it was, if a relaxation did not converge and the limit was raised since.
        """
        return self.again + int(not self.converged and max_steps > self.max_steps)


class WithRelaxations(StoredRecord):
    """Base of results that hold relaxations; the fields are those of :class:`Effort`."""

    converged: bool = True
    max_steps: int = 0
    again: int = 0

    def tried(self, max_steps: int, again: int) -> Self:
        """Return the result with the effort that it was computed with."""
        return self.model_copy(update={"max_steps": max_steps, "again": again})


NOT_IN_TABLES = ["cautions", "computed", "max_steps", "again"]
"""Fields of a verdict that no table shows."""


@dataclass(frozen=True)
class Verdict:
    """Whether a relaxed crystal is still the crystal it was; ``reason`` is empty if all is well.

    ``cautions`` are further warnings for the reader, see :mod:`phonsmith.files.cautions`.
    ``computed`` is false where the method failed on the crystal. ``max_steps`` is the limit under
    which it was relaxed, ``again`` counts how often it was tried again (:meth:`tries_again`).
    """

    space_group_before: int
    space_group_after: int
    symbol_before: str
    symbol_after: str
    same_structure: bool
    symmetry_kept: bool
    converged: bool
    volume_change_percent: float
    reason: str
    cautions: Sequence[str] = ()
    computed: bool = True
    max_steps: int = 0
    again: int = 0

    @property
    def lost(self) -> bool:
        """Whether the crystal is lost: it became another structure, or did not converge."""
        return not (self.converged and self.same_structure)

    def model_dump(self) -> dict[str, Any]:
        """Return the verdict as plain values for JSON."""
        return asdict(self)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a verdict from JSON."""
        return read_as(path, "a verdict on a crystal", lambda content: cls(**content))

    @classmethod
    def load_each(cls, path: str | Path) -> dict[str, Self]:
        """Read verdicts on several crystals by name."""

        def verdicts(content: Mapping[str, Any]) -> dict[str, Self]:
            return {name: cls(**verdict) for name, verdict in content.items()}

        return read_as(path, "verdicts on crystals", verdicts)

    def tries_again(self, max_steps: int, on_change: OnChange) -> int:
        """Return how often the relaxation is to be tried again in all.

        Once more than it was, if it did not converge and the step limit was raised since, or if the
        method failed and the campaign does not leave the crystal out. A converged relaxation does
        not depend on the limit.
        """
        failed = not self.computed and on_change != "leave_out"
        raised = Effort(self.converged, self.max_steps, self.again).tries_again(max_steps)
        return max(raised, self.again + int(failed))


LEFT_OUT = "left out: "
"""Prefix of the reason for omitting a crystal."""


def why_left_out(verdict: Verdict, on_change: OnChange) -> str:
    """Return the reason for omitting a crystal; empty if it is kept."""
    return f"{LEFT_OUT}{verdict.reason}" if verdict.lost and on_change == "leave_out" else ""


def left_out(accepted: str | Path) -> str:
    """Read the reason for omitting a crystal from the gate's file; empty if it is kept."""
    return read_as(accepted, "a decision on a crystal", lambda content: str(content["left_out"]))


def refuse(structure: str, verdict: Verdict, on_change: OnChange) -> str:
    """Explain why a campaign cannot continue with a crystal, and the remedy.

    Parameters
    ----------
    structure
        Id of the structure.
    verdict
        Verdict on the relaxed crystal.
    on_change
        Setting ``relaxation.on_change``.

    Returns
    -------
    The message; empty if the campaign can continue.
    """
    if on_change == "leave_out" or not verdict.reason:
        return ""
    begin = f"structure {structure}: {verdict.reason}"
    if not verdict.computed:
        return (
            f"{begin}; correct the cause and restart Snakemake, which relaxes the crystal again, "
            "or set relaxation.on_change: leave_out"
        )
    if not verdict.converged:
        return (
            f"{begin}; raise relaxation.max_steps (the relaxation resumes) or "
            "relaxation.fmax_ev_per_angstrom, or set relaxation.on_change: leave_out"
        )
    if on_change == "report":
        return ""
    return (
        f"{begin} when relaxed; set relaxation.on_change: leave_out to continue without this "
        "crystal, or report to continue with the relaxed crystal"
    )


def require_accepted(structure: str, verdict: Verdict, on_change: OnChange) -> None:
    """Raise an error if a campaign cannot continue with a crystal; arguments of :func:`refuse`.

    Raises
    ------
    PhonsmithError
        With the message of :func:`refuse`.
    """
    if why := refuse(structure, verdict, on_change):
        raise PhonsmithError(why)
