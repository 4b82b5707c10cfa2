"""Settings of all kinds of fits."""

import re
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, NonNegativeInt, PositiveInt

from phonsmith.files.quantities import Megabytes
from phonsmith.files.settings import Kind, Model


class FitResources(Model):
    """Resources of a fit; changing them never makes a fit stale."""

    threads: PositiveInt = Field(1, description="Cores.")
    memory_mb: Megabytes = Field(
        12_000,
        description="Memory in MB. The default of a GAP is 4000; with `fitter: gap_fit`, a GAP of "
        "two elements with default cell sizes and numbers of cells needs up to 12000.",
    )
    runtime_minutes: PositiveInt = Field(240, description="Time limit of a cluster job.")


class FitBase(Model):
    """Base of all kinds of fits. Each kind has its own field ``kind``."""

    if TYPE_CHECKING:
        kind: str

    resources: FitResources = FitResources()

    label: str | None = Field(
        None, description="Name in tables and legends; default: the key of the fit."
    )
    learn_from: list[Kind] = Field(
        ["displaced", "rattled", "recorded", "distilled", "constraint"],
        min_length=1,
        description="Kinds of cells used for training.",
    )

    NOT_RESULT: ClassVar[dict[str, Any]] = {"label": True, "resources": True}
    """Keys without influence on the potential, as pydantic's ``exclude``."""

    def sparse_points(self) -> int | None:
        """Sparse points of a many-body descriptor; None for a fit without one."""
        return None

    def identity(self) -> dict[str, Any]:
        """Return the settings that the potential depends on, as plain JSON."""
        return self.model_dump(mode="json", exclude=self.NOT_RESULT)


class TrainedFit(FitBase):
    """Settings of all fits that are trained on labels."""

    VERSION: ClassVar[int] = 1
    """Raise it where a change of code changes the potentials of this architecture alone."""

    seed: NonNegativeInt = Field(0, description="Random seed.")
    training_cells: PositiveInt | None = Field(
        None,
        description="Train on this number of cells only, chosen by the seed; a larger number adds "
        "cells to the smaller choice. Isolated atoms and constraints are not counted.",
    )
    distilled_cells: PositiveInt | None = Field(
        None,
        description="Of the distilled cells, train on this number only, chosen by the seed; a "
        "larger number adds cells to the smaller choice. Other kinds are not affected. A sweep "
        "over this key yields the error against the size of the distilled data.",
    )
    repeats: Annotated[int, Field(ge=1, le=100)] = Field(
        1,
        description="Number of fits of this recipe with different seeds (seed, seed + 1, …), for "
        "error bars and committees. Further fits are named after the first: `NAME-r2`, `NAME-r3`, "
        "… The significance of a change needs at least three.",
    )
    resampled: bool = Field(
        False,
        description="Train each repeat, including the first, on a bootstrap sample of equal size: "
        "cells drawn with replacement within structure and kind, by its seed. The spread of the "
        "repeats then includes the choice of labels, not only training noise, and their committee "
        "disagrees where labels are missing. Each repeat lacks one third of the cells: for use, "
        "add a fit without `resampled`. Isolated atoms and constraints are not resampled.",
    )

    def identity(self) -> dict[str, Any]:
        """Return the settings that the potential depends on, as plain JSON."""
        found = super().identity()
        if self.distilled_cells is None:  # fits that were made before the key existed remain
            del found["distilled_cells"]
        return found if self.VERSION == 1 else {**found, "version": self.VERSION}

    @property
    def reach_angstrom(self) -> tuple[float, float] | None:
        """Shortest and longest distance of atoms that it describes; None where it has no cutoff."""
        return None


def refuse_places(arguments: dict[str, Any], ours: frozenset[str]) -> None:
    """Refuse arguments that set where a training program writes or what it loads."""
    for key, value in arguments.items():
        if not re.fullmatch(r"[A-Za-z0-9_]+", key):
            raise ValueError(f"extra_arguments: {key!r} is not an option name")
        # mace takes the beginning of a name for the name, gap_fit small and capital letters
        if key not in _WHOLE_NAMES and any(name.startswith(key.lower()) for name in ours):
            raise ValueError(f"extra_arguments.{key}: set by phonsmith; remove it")
        if ".." in str(value) or str(value).startswith(("/", "~")):
            raise ValueError(
                f"extra_arguments.{key}: must not contain .. or begin with / or ~ (found {value!r})"
            )


_WHOLE_NAMES = frozenset(("model", "wandb", "gap"))
"""Complete option names that are also the beginning of a refused option."""
