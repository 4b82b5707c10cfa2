"""Settings that all kinds of fits share."""

import re
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, NonNegativeInt, PositiveInt

from phonsmith.files.settings import Kind, Model


class FitResources(Model):
    """What a fit needs to run; changing it never makes a fit stale."""

    threads: PositiveInt = Field(1, description="Cores.")
    memory_mb: PositiveInt = Field(
        12_000,
        description="Memory in MB. The default holds a GAP of two elements in cells and numbers of "
        "cells that are defaults too.",
    )
    runtime_minutes: PositiveInt = Field(240, description="Time limit on a cluster.")


class FitBase(Model):
    """What all kinds of fits share. Each kind has a field ``kind`` of its own."""

    if TYPE_CHECKING:
        kind: str

    resources: FitResources = FitResources()

    label: str | None = Field(None, description="Name in tables and legends; default: its key.")
    learn_from: list[Kind] = Field(
        ["displaced", "rattled", "recorded", "constraint"],
        min_length=1,
        description="Kinds of cells this fit learns from.",
    )

    NOT_RESULT: ClassVar[dict[str, Any]] = {"label": True, "resources": True}
    """Keys that the potential does not depend on, as pydantic's ``exclude``."""

    def sparse_points(self) -> int | None:
        """Sparse points of a many-body descriptor; None for a fit without one."""
        return None

    def identity(self) -> dict[str, Any]:
        """Return the settings that the potential depends on, as plain JSON."""
        return self.model_dump(mode="json", exclude=self.NOT_RESULT)


class TrainedFit(FitBase):
    """What all kinds of fits share that learn from labels."""

    seed: NonNegativeInt = Field(0, description="Random seed.")
    training_cells: PositiveInt | None = Field(
        None,
        description="Learn from so many of the training cells only, chosen by the seed; a larger "
        "number takes the same ones and more. Isolated atoms and constraints do not count.",
    )
    repeats: Annotated[int, Field(ge=1, le=100)] = Field(
        1,
        description="Fits of this recipe with seeds of their own (seed, seed + 1, …): error bars, "
        "committees. The others are named after the first, `NAME-r2`, `NAME-r3`, … Three or more "
        "are needed to tell whether a change is significant.",
    )
    resampled: bool = Field(
        False,
        description="Each repeat, the first included, learns from as many cells, drawn with "
        "replacement within structure and kind by its seed (bootstrap): the spread of the repeats "
        "is then that of other labels as well, not training noise alone, and a committee of them "
        "disagrees where labels are missing. One third of the cells is missing from each repeat: "
        "keep a fit without it beside, for use. Isolated atoms and constraints are not drawn.",
    )


def refuse_places(arguments: dict[str, Any], ours: frozenset[str]) -> None:
    """Where a training program writes, and what it loads, is for phonsmith to say."""
    for key, value in arguments.items():
        if not re.fullmatch(r"[A-Za-z0-9_]+", key):
            raise ValueError(f"extra_arguments: {key!r} is no name of an option")
        # mace takes the beginning of a name for the name, gap_fit small and capital letters
        if key not in _WHOLE_NAMES and any(name.startswith(key.lower()) for name in ours):
            raise ValueError(f"extra_arguments.{key}: not here; phonsmith sets it")
        if ".." in str(value) or str(value).startswith(("/", "~")):
            raise ValueError(f"extra_arguments.{key}: must not name a place elsewhere: {value!r}")


_WHOLE_NAMES = frozenset(("model", "wandb", "gap"))
"""Options of their own, with which the name of a place begins."""
