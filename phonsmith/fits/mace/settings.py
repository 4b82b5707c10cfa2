"""Settings of a MACE, from scratch or from a foundation model."""

import re
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from phonsmith.files.quantities import Cutoff
from phonsmith.files.settings import File, Model, Sha256
from phonsmith.fits.settings import FitBase, TrainedFit, refuse_places

_MACE_PLACES = frozenset(
    (
        *("name", "config", "train_file", "valid_file", "test_file", "test_dir", "work_dir"),
        *("log_dir", "model_dir", "checkpoints_dir", "results_dir", "downloads_dir", "heads"),
        *("wandb_dir", "foundation_model_kwargs"),
        *("foundation_model", "pt_train_file", "pt_valid_file", "statistics_file"),
    )
)


class MaceWeights(Model):
    """Weights of the MACE loss."""

    energy: NonNegativeFloat = Field(1.0, description="Energies per atom.")
    forces: NonNegativeFloat = Field(100.0, description="Force components.")
    stress: NonNegativeFloat = Field(
        1000.0,
        description="Stress components. Their squares in eV/Å³ are small: with a weight of 1, a "
        "fit hardly learns stresses, and its cells drift.",
    )


FOUNDATIONS = frozenset(
    {
        *("small", "medium", "large", "small-0b", "medium-0b", "small-0b2", "medium-0b2"),
        *("large-0b2", "medium-0b3", "medium-mpa-0", "small-omat-0", "medium-omat-0"),
        *("mace-matpes-pbe-0", "mace-matpes-r2scan-0", "mh-0", "mh-1"),
    }
)
"""Names of the foundation models that mace 0.3.16 downloads (a test compares with mace's list)."""

REPLAY_SETS = frozenset({"mp", "matpes_pbe", "matpes_r2scan", "omat"})
"""Names of mace's replay data, which are refused: mace 0.3.16 loads the `mp` data for every name,
and assigns zero energy to elements missing in the new cells."""


class Lora(Model):
    """Low-rank adaptation: train small matrices added to frozen weights, then merge them."""

    rank: PositiveInt = Field(4, description="Rank of the matrices.")
    alpha: PositiveFloat = Field(1.0, description="Scale of the matrices: alpha / rank.")


class Replay(Model):
    """Training data of the foundation model, learnt together with the new labels."""

    file: File = Field(
        min_length=1,
        description="extxyz file with REF_ keys, such as the training set of the campaign that "
        "trained the foundation model (`results/NAME/datasets/gen0/train.extxyz`), or with "
        "`energy`, `forces` and `stress` as in mace's replay data. Download mace's data yourself: "
        "its names (`mp`, …) are refused.",
    )
    cells: PositiveInt = Field(
        100,
        description="Maximum number of replay cells, chosen at random. Each has the weight of a "
        "new cell, so that this number balances old and new data.",
    )

    @model_validator(mode="after")
    def _is_a_file(self) -> Self:
        if self.file in REPLAY_SETS:
            raise ValueError(
                f"file: {self.file}: names of mace are refused, since mace 0.3.16 uses Materials "
                "Project data for all of them; give a file, available from "
                "https://github.com/ACEsuit/mace-foundations/releases"
            )
        return self


class Foundation(Model):
    """Foundation model to fine-tune, and the parts of it that are kept."""

    model: File = Field(
        min_length=1,
        description="A name that mace knows and downloads on first use (`medium-0b3`, "
        "`medium-mpa-0`, `medium-omat-0`, `mh-1`, …), a path, the fit of another campaign "
        "(`results/NAME/fits/FIT/gen0/model/mace.model`, which is then trained first), or an "
        "address with `sha256`. A path needs `sha256` or `trust`: loading a model file runs code "
        "in it.",
    )
    sha256: Sha256 | None = Field(
        None, description="Checksum of the model file; verified before the file is loaded."
    )
    trust: bool = Field(
        False,
        description="Load a path without `sha256`. Fits of this pipeline need neither; names rely "
        "on mace's download address.",
    )
    head: str | None = Field(None, description="Head to start from, if the model has several.")
    method: Literal["naive", "multihead"] = Field(
        "naive",
        description="`naive` continues the training with the new labels alone; `multihead` learns "
        "them with a separate readout, together with replay data that preserve the knowledge of "
        "the foundation model.",
    )
    replay: Replay | None = Field(None, description="Replay data for `multihead`.")
    e0s: Literal["estimated", "average", "isolated_atoms", "foundation"] = Field(
        "estimated",
        description="Energies of isolated atoms. `estimated`: from the foundation model, shifted "
        "so that its unchanged predictions fit the new energies (least squares). `average`: "
        "least-squares fit of the new energies. `isolated_atoms`: from the isolated atoms of this "
        "campaign. `foundation`: from the foundation model, also used if labels have no energies.",
    )
    frozen_layers: Annotated[int, Field(ge=0, le=7)] = Field(
        0,
        description="Frozen parts (mace's `--freeze`): from 1 the embedding, from 5 also the "
        "interactions, from 6 the products, with 7 the readouts, so that only the energy zero "
        "changes.",
    )
    lora: Lora | None = Field(
        None, description="Train low-rank matrices only; not used by default."
    )
    keep_elements: bool = Field(
        False,
        description="Keep all elements of the foundation model, not only the elements in the new "
        "labels.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        is_path = "/" in self.model or self.model.endswith((".model", ".pt", ".pth"))
        if not is_path and self.model not in FOUNDATIONS:
            raise ValueError(
                f"'{self.model}' is not a foundation model of mace "
                f"({', '.join(sorted(FOUNDATIONS))}), a path (with / or .model) or an address"
            )
        if re.match(r"https?://[^/]*@", self.model):
            raise ValueError(
                "remove user and password from the address; they would appear in all records"
            )
        if self.is_address and self.sha256 is None:
            raise ValueError(
                "an address requires `sha256`, since loading a model file runs code in it"
            )
        if (self.method == "multihead") != (self.replay is not None):
            raise ValueError("`replay` and `method: multihead` belong together")
        if self.method == "multihead" and self.e0s == "average":
            raise ValueError("e0s: average cannot be combined with multihead; use estimated")
        if self.lora and self.frozen_layers:
            raise ValueError("lora already freezes all weights; remove frozen_layers")
        return self

    @model_serializer(mode="wrap")
    def _without_trust(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Omit `trust: false`, the default: no result depends on it."""
        content: dict[str, Any] = dump(self)
        if not self.trust:
            content.pop("trust", None)
        return content

    @property
    def is_address(self) -> bool:
        """Whether the model is on the web."""
        return re.match(r"https?://", self.model) is not None

    @property
    def file(self) -> str | None:
        """Path of the model if it is a local file."""
        return None if self.is_address or self.model in FOUNDATIONS else self.model


def _named(foundation: Any) -> Any:
    return {"model": foundation} if isinstance(foundation, str) else foundation


ARCHITECTURE = ("num_channels", "max_l", "num_interactions", "correlation", "cutoff_angstrom")
"""Keys of a MACE that its foundation model fixes."""

FINE_TUNING = {"learning_rate": 1e-4, "batch_size": 1, "max_epochs": 200, "patience": 20}
"""Defaults with a foundation model, as for fine-tuning in autoplex."""

OF_FOUNDATION = {
    "foundation_model": "foundation.model",
    "foundation_head": "foundation.head",
    "multiheads_finetuning": "foundation.method",
    "pt_train_file": "foundation.replay.file",
    "num_samples_pt": "foundation.replay.cells",
    "freeze": "foundation.frozen_layers",
    "lora": "foundation.lora",
    "E0s": "foundation.e0s",
}
"""Options of mace_run_train with a dedicated key."""


class MaceFit(TrainedFit):
    """MACE, trained from scratch or fine-tuned from a foundation model."""

    NOT_RESULT: ClassVar[dict[str, Any]] = {
        **FitBase.NOT_RESULT,
        "device": True,
        "foundation": {"trust": True},
    }

    kind: Literal["mace"] = Field(description="Kind of fit.")
    foundation: Annotated[
        Foundation | None,
        BeforeValidator(_named, json_schema_input_type=str | Foundation | None),
    ] = Field(
        None,
        description="Foundation model to fine-tune: name or path, or a mapping of settings. It "
        f"fixes {', '.join(ARCHITECTURE)}, and changes these defaults: "
        f"{', '.join(f'{key} {value:g}' for key, value in FINE_TUNING.items())}.",
    )
    num_channels: PositiveInt = Field(16, description="Channels of the hidden features.")
    max_l: Annotated[int, Field(ge=0, le=3)] = Field(
        0, description="Largest order of the messages."
    )
    num_interactions: PositiveInt = Field(2, description="Message-passing layers.")
    correlation: Annotated[int, Field(ge=1, le=4)] = Field(3, description="Correlation order.")
    cutoff_angstrom: Cutoff = Field(5.0, description="Cutoff radius per layer.")
    max_epochs: PositiveInt = Field(100, description="Passes over the training set.")
    batch_size: PositiveInt = Field(2, description="Cells per optimisation step.")
    learning_rate: Annotated[float, Field(gt=0, le=1)] = Field(
        0.01, description="Learning rate of AMSGrad Adam."
    )
    weights: MaceWeights = MaceWeights()
    stage_two_start_epoch: PositiveInt | None = Field(
        None,
        description="First epoch of stage two (small learning rate, weight averaging); default: no "
        "stage two.",
    )
    stage_two_weights: MaceWeights = MaceWeights(energy=1000.0)
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        0.99, description="Decay of the exponential moving average of the weights."
    )
    patience: PositiveInt = Field(
        100, description="Epochs without improvement before training stops."
    )
    valid_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.1,
        description="Fraction of the training cells used for validation during training; test "
        "cells are never used.",
    )
    dtype: Literal["float32", "float64"] = Field("float64", description="Precision of training.")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="`auto` uses a GPU if one is available."
    )
    extra_arguments: dict[str, str | int | float | bool] = Field(
        default_factory=dict, description="Further options of mace_run_train, without dashes."
    )

    @property
    def reach_angstrom(self) -> tuple[float, float]:
        """Shortest and longest distance of atoms that it describes."""
        return 0.0, self.cutoff_angstrom

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_fine_tuning(cls, settings: Any) -> Any:
        if isinstance(settings, dict) and settings.get("foundation") is not None:
            return {**FINE_TUNING, **settings}
        return settings

    @model_validator(mode="after")
    def _foundation_decides(self) -> Self:
        if self.foundation is None:
            return self
        if given := [key for key in ARCHITECTURE if key in self.model_fields_set]:
            raise ValueError(f"{', '.join(given)}: fixed by the foundation model; remove it")
        for option in OF_FOUNDATION.keys() & self.extra_arguments.keys():
            raise ValueError(f"extra_arguments.{option}: use {OF_FOUNDATION[option]}")
        return self

    @model_serializer(mode="wrap")
    def _without_needless(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Omit the architecture next to a foundation model, or the absent foundation model.

        Defaults of fine-tuning are kept, even where they equal the general defaults.
        """
        content: dict[str, Any] = dump(self)
        for key in ARCHITECTURE if self.foundation else ("foundation",):
            content.pop(key, None)
        if self.foundation:
            content |= {key: getattr(self, key) for key in FINE_TUNING}
        return content

    @model_validator(mode="after")
    def _stage_two_begins(self) -> Self:
        start = self.stage_two_start_epoch
        if start is not None and start >= self.max_epochs:
            raise ValueError(
                f"stage_two_start_epoch {start} is not before max_epochs {self.max_epochs}"
            )
        refuse_places(self.extra_arguments, _MACE_PLACES)
        return self
