"""Settings of a SevenNet that is fine-tuned."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from phonsmith.files.settings import Model
from phonsmith.fits.settings import FitBase, FitResources, TrainedFit


class SevennetWeights(Model):
    """Weights of errors in the loss of sevenn: Huber losses of energies, forces and stresses."""

    energy: NonNegativeFloat = Field(1.0, description="Energies: error in eV per atom.")
    forces: PositiveFloat = Field(1.0, description="Force components: error in eV/Å.")
    stress: NonNegativeFloat = Field(0.01, description="Stress components: error in kbar.")


class SevennetFit(TrainedFit):
    """SevenNet, fine-tuned by its own training (`sevenn`) in an environment of its own.

    The weights of the foundation model come with the package: nothing is downloaded. Training and
    evaluation are in single precision.
    """

    NOT_RESULT: ClassVar[dict[str, bool]] = {**FitBase.NOT_RESULT, "device": True}

    kind: Literal["sevennet"] = Field(description="Kind of fit.")
    resources: FitResources = FitResources(memory_mb=8000)
    foundation: Literal["7net-0", "7net-l3i5"] = Field(
        "7net-0",
        description="Foundation model, by its name in the package; it fixes the architecture.",
    )
    e0s: Literal["estimated", "foundation"] = Field(
        "estimated",
        description="Energy zero. `estimated`: energies of the elements are shifted so that the "
        "unchanged foundation model fits the energies (least squares). `foundation`: that of "
        "the foundation model, also used if labels have no energies.",
    )
    max_epochs: PositiveInt = Field(100, description="Passes over the training set.")
    batch_size: PositiveInt = Field(1, description="Cells per optimisation step.")
    learning_rate: Annotated[float, Field(gt=0, le=1)] = Field(
        4e-4, description="Initial learning rate of Adam."
    )
    learning_rate_decay: Annotated[float, Field(gt=0, le=1)] = Field(
        0.97, description="Factor of the learning rate from epoch to epoch."
    )
    weights: SevennetWeights = SevennetWeights()
    huber_delta: PositiveFloat = Field(
        0.01,
        description="Errors above this value, in the units of `weights`, count linearly instead of "
        "quadratically. The default is that of the foundation models' training.",
    )
    valid_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.1,
        description="Fraction of the training cells used for validation during training; test "
        "cells are never used.",
    )
    checkpoint_epochs: PositiveInt = Field(
        5, description="Epochs between checkpoints (10 to 15 MB each), from which training resumes."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="`auto` uses a GPU if one is available."
    )
