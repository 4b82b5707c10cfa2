"""Settings of fits: what all kinds share, and fits that are not trained here."""

import re
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from phonsmith.files.settings import Kind, Model, Name, RelativePath, Source
from phonsmith.potentials.settings import PotentialSource


class FitResources(Model):
    """What a fit needs to run; changing it never makes a fit stale."""

    threads: PositiveInt = Field(1, description="Cores.")
    memory_mb: PositiveInt = Field(8000, description="Memory in MB.")
    runtime_minutes: PositiveInt = Field(240, description="Time limit on a cluster.")


class FitBase(Model):
    """What all kinds of fits share."""

    resources: FitResources = FitResources()

    label: str | None = Field(None, description="Name in tables and legends; default: its key.")
    learn_from: list[Kind] = Field(
        ["displaced", "rattled", "recorded", "constraint"],
        min_length=1,
        description="Kinds of cells this fit learns from.",
    )

    NOT_RESULT: ClassVar[dict[str, Any]] = {"label": True, "resources": True}
    """Keys that the potential does not depend on, as pydantic's ``exclude``."""

    def identity(self) -> dict[str, Any]:
        """The settings that the potential depends on, as plain JSON."""
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


class ExistingFit(FitBase):
    """A potential that exists already: benchmarked like a fit, without labels or training."""

    NOT_RESULT: ClassVar[dict[str, Any]] = {**FitBase.NOT_RESULT, "potential": True}

    kind: Literal["existing"] = Field(description="Which kind of fit this is.")
    potential: PotentialSource

    def identity(self) -> dict[str, Any]:
        """The settings that the potential depends on, as plain JSON."""
        return {**super().identity(), "potential": self.potential.physics()}


class RecordedFit(FitBase):
    """Forces of a potential on displaced cells that others recorded: phonons to compare, no more.

    Nothing is trained, relaxed or computed; there are no errors of energies and forces, and no
    applications.
    """

    NOT_RESULT: ClassVar[dict[str, Any]] = {**FitBase.NOT_RESULT, "source": {"url": True}}

    kind: Literal["recorded"] = Field(description="Which kind of fit this is.")
    level_of_theory: str = Field(
        min_length=1, description="The potential that gave the forces, e.g. `GAP-18`."
    )
    source: Source
    files: dict[Name, RelativePath] = Field(
        min_length=1,
        description="By the id of each structure: the phonopy YAML of the source with the forces "
        "of the potential (or beside FORCE_SETS or force constants), for the same unit cell in "
        "the same orientation. Structures without a file are not compared.",
    )

    @model_validator(mode="after")
    def _of_the_source(self) -> Self:
        for structure, file in self.files.items():
            if not self.source.may_hold(file):
                raise ValueError(f"files.{structure}: '{file}' is not among source.files")
        return self
