"""Recipes of fits: one typed model for each kind, with units in the names."""

import re
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from phonsmith.settings import (
    File,
    Kind,
    Model,
    Name,
    PotentialSource,
    RelativePath,
    Sha256,
    Source,
)

# --- fits ------------------------------------------------------------------------------------


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


class TwoBody(Model):
    """GAP's pair descriptor (distance_2b)."""

    cutoff_angstrom: PositiveFloat = Field(5.0, description="Cutoff radius.")
    n_sparse: PositiveInt = Field(15, description="Sparse points, uniform in distance.")
    delta_ev: PositiveFloat = Field(2.0, description="Prior standard deviation of the energy.")
    theta_uniform_angstrom: PositiveFloat = Field(1.0, description="Length scale.")


class ThreeBody(Model):
    """GAP's triplet descriptor (angle_3b)."""

    cutoff_angstrom: PositiveFloat = Field(3.5, description="Cutoff radius.")
    n_sparse: PositiveInt = Field(200, description="Sparse points, uniform.")
    delta_ev: PositiveFloat = Field(1.0, description="Prior standard deviation of the energy.")
    theta_uniform_angstrom: PositiveFloat = Field(1.0, description="Length scale.")


class Soap(Model):
    """GAP's many-body descriptor."""

    cutoff_angstrom: PositiveFloat = Field(5.0, description="Cutoff radius.")
    cutoff_transition_angstrom: PositiveFloat = Field(1.0, description="Width of the cutoff.")
    atom_sigma_angstrom: PositiveFloat = Field(0.5, description="Width of the atomic densities.")
    n_max: PositiveInt = Field(
        8,
        description="Radial functions. Memory grows with the square of n_max times the number of "
        "elements.",
    )
    l_max: NonNegativeInt = Field(5, description="Largest angular momentum.")
    zeta: PositiveInt = Field(4, description="Power of the dot-product kernel.")
    delta_ev: PositiveFloat = Field(1.0, description="Prior standard deviation of the energy.")
    n_sparse: PositiveInt = Field(
        300, description="Sparse points in all, an equal share for each element."
    )
    sparse_method: Literal["cur_points", "random", "pivot"] = Field(
        "cur_points", description="How gap_fit chooses sparse points."
    )
    sparse_from: Literal["training", "rattled"] = Field(
        "rattled",
        description="Environments that sparse points are chosen from: those of the training cells, "
        "or, in place of displaced and constraint cells (whose environments are nearly all alike), "
        "those of rattled copies of them. The copies have no labels. Without displaced and "
        "constraint cells both choices are the same.",
    )
    sparse_rattle_std_angstrom: PositiveFloat = Field(
        0.1, description="Standard deviation of the moves in these copies."
    )
    share_sparse: Literal["all", "kind", "structure"] = Field(
        "all",
        description="Choose `n_sparse` from all environments together, or give each kind or each "
        "structure an equal share.",
    )
    n_sparse_by_group: dict[str, PositiveInt] | None = Field(
        None,
        description="Sparse points for each config type, structure or kind; replaces `n_sparse`.",
    )

    @property
    def sparse_points(self) -> int:
        """Sparse points in all."""
        return sum((self.n_sparse_by_group or {"all": self.n_sparse}).values())


class Sigma(Model):
    """GAP's regularisation: expected errors of the data."""

    energy_ev_per_atom: PositiveFloat = Field(1e-3, description="Energies.")
    force_ev_per_angstrom: PositiveFloat = Field(0.03, description="Force components.")
    virial_ev_per_atom: PositiveFloat = Field(0.01, description="Virials.")


class ForceProportional(Model):
    """σ of each atom's force: f·max(|F|, F_min) (George et al. 2020, equation 8)."""

    factor: PositiveFloat = Field(0.01, description="f, dimensionless.")
    minimum_force_ev_per_angstrom: PositiveFloat = Field(0.01, description="F_min.")
    kinds: list[Kind] = Field(["displaced"], min_length=1, description="Cells it applies to.")


class GapFit(TrainedFit):
    """Gaussian approximation potential, fitted with gap_fit."""

    kind: Literal["gap"] = Field(description="Which kind of fit this is.")
    two_body: TwoBody | None = TwoBody()
    three_body: ThreeBody | None = None
    soap: Soap | None = Soap()
    sigma: Sigma = Sigma()
    sigma_by_group: dict[str, Sigma] = Field(
        default_factory=dict,
        description="Other sigmas for a config type, a structure or a kind; the most special wins.",
    )
    force_proportional: ForceProportional | None = Field(
        ForceProportional(),
        description="Expected errors of the forces of displaced cells, in proportion to the force. "
        "It is null where this key is absent and `sigma` or `sigma_by_group` state an error of "
        "forces, which then holds for all cells.",
    )
    balance_exponent: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0,
        description="Force sigmas of displaced cells are multiplied by n to this power, n being "
        "the displaced cells of the structure: a crystal of high symmetry has one or two of them "
        "and would else count for little beside one that has twenty.",
    )
    sparse_jitter: PositiveFloat = Field(1e-8, description="gap_fit's sparse_jitter.")
    extra_arguments: dict[str, str | int | float] = Field(
        default_factory=dict, description="Any further `keyword=value` of gap_fit."
    )

    @model_validator(mode="before")
    @classmethod
    def _stated_sigma(cls, given: Any) -> Any:
        """What is stated of forces is not overruled by a default."""
        if not isinstance(given, dict) or "force_proportional" in given:
            return given
        groups = given.get("sigma_by_group") or {}
        stated = [given.get("sigma"), *(groups.values() if isinstance(groups, dict) else [])]
        keys = {
            key
            for one in stated
            for key in (one.model_fields_set if isinstance(one, Sigma) else one or ())
        }
        if "force_ev_per_angstrom" in keys:
            return {**given, "force_proportional": None}
        return given

    @model_serializer(mode="wrap")
    def _with_force_proportional(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Beside a stated sigma its absence means null: what differs from defaults holds it too."""
        content: dict[str, Any] = dump(self)
        if "sigma" in content or "sigma_by_group" in content:
            one = self.force_proportional
            content["force_proportional"] = one.model_dump() if one else None
        return content

    @model_validator(mode="after")
    def _has_descriptor(self) -> Self:
        if self.two_body is None and self.three_body is None and self.soap is None:
            raise ValueError("a GAP needs at least one of two_body, three_body and soap")
        _refuse_places(self.extra_arguments, _GAP_PLACES)
        return self


def _refuse_places(arguments: dict[str, Any], ours: frozenset[str]) -> None:
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

_GAP_PLACES = frozenset(
    (
        *("at_file", "atoms_filename", "gp_file", "gap_file", "config_file", "template_file"),
        *("do_copy_at_file", "do_copy_atoms_file", "sparse_separate_file"),
        "linear_system_dump_file",
    )
)
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
        description="Stress components. In eV/Å³ their squares are small: with a weight of 1 "
        "a fit hardly learns them, and its cells drift.",
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
"""Replay data by mace's names, which are refused: mace 0.3.16 takes those of `mp` for all of them,
and gives elements that the new cells lack an energy of zero."""


class Lora(Model):
    """Low-rank adaptation: small matrices are learnt beside the frozen weights, and added at the
    end."""

    rank: PositiveInt = Field(4, description="Rank of the matrices.")
    alpha: PositiveFloat = Field(1.0, description="Their scale is alpha / rank.")


class Replay(Model):
    """What the foundation was trained on, learnt again beside the new labels."""

    file: File = Field(
        min_length=1,
        description="extxyz with REF_ keys, such as the training set of the campaign that made the "
        "foundation (`results/NAME/datasets/gen0/train.extxyz`), or with `energy`, `forces` and "
        "`stress` as in mace's own replay data. Download those: mace's names of them (`mp`, …) "
        "are refused.",
    )
    cells: PositiveInt = Field(
        100,
        description="At most so many of its cells, chosen at random. Each counts as much as a new "
        "one: this number is what balances old and new.",
    )

    @model_validator(mode="after")
    def _is_a_file(self) -> Self:
        if self.file in REPLAY_SETS:
            raise ValueError(
                f"file: {self.file}: give a file; mace 0.3.16 would take the Materials Project's "
                "data for each of its names. Its sets are on "
                "https://github.com/ACEsuit/mace-foundations/releases"
            )
        return self


class Foundation(Model):
    """The model that a fine-tuning starts from, and what of it is kept."""

    model: File = Field(
        min_length=1,
        description="A name that mace knows and downloads on first use (`medium-0b3`, "
        "`medium-mpa-0`, `medium-omat-0`, `mh-1`, …), a path, the fit of another campaign "
        "(`results/NAME/fits/FIT/gen0/model/mace.model`, which is then made first), or an address "
        "with `sha256`. A path needs `sha256` or `trust`: loading a model file runs code in it.",
    )
    sha256: Sha256 | None = Field(
        None, description="Checksum of the model file; compared before the file is loaded."
    )
    trust: bool = Field(
        False,
        description="Load a path without `sha256`; fits of this pipeline are known, and for a name "
        "you trust mace's address.",
    )
    head: str | None = Field(None, description="Which head to start from, where it has several.")
    method: Literal["naive", "multihead"] = Field(
        "naive",
        description="`naive` goes on training with the new labels alone; `multihead` learns them "
        "with a readout of their own, beside replay data that keep the foundation's knowledge.",
    )
    replay: Replay | None = Field(None, description="Replay data of `multihead`.")
    e0s: Literal["estimated", "average", "isolated_atoms", "foundation"] = Field(
        "estimated",
        description="Energies of single atoms: the foundation's, shifted so that it fits the new "
        "energies as it is, in least squares (`estimated`); least squares of the new energies "
        "themselves (`average`); those of the isolated atoms of this campaign; or the "
        "foundation's. Labels without energies keep the foundation's.",
    )
    frozen_layers: Annotated[int, Field(ge=0, le=7)] = Field(
        0,
        description="What stays as it is (mace's `--freeze`): from 1 the embedding, from 5 also "
        "the interactions, from 6 the products, with 7 the readouts: then only the energy zero "
        "changes.",
    )
    lora: Lora | None = Field(None, description="Learn low-rank matrices only; none without it.")
    keep_elements: bool = Field(
        False, description="Keep all elements of the foundation, not only those of the new labels."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        is_path = "/" in self.model or self.model.endswith((".model", ".pt", ".pth"))
        if not is_path and self.model not in FOUNDATIONS:
            raise ValueError(
                f"'{self.model}' is no foundation model that mace knows "
                f"({', '.join(sorted(FOUNDATIONS))}), no path of a file (with / or .model) and no "
                "address"
            )
        if re.match(r"https?://[^/]*@", self.model):
            raise ValueError("no user or password in an address: it would be on record everywhere")
        if self.is_address and self.sha256 is None:
            raise ValueError("an address needs `sha256`: loading a model file runs code in it")
        if (self.method == "multihead") != (self.replay is not None):
            raise ValueError("`replay` and `method: multihead` belong together")
        if self.method == "multihead" and self.e0s == "average":
            raise ValueError("e0s: average does not go with multihead; use estimated")
        if self.lora and self.frozen_layers:
            raise ValueError("lora freezes all weights itself; drop frozen_layers")
        return self

    @model_serializer(mode="wrap")
    def _without_trust(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """No result depends on `trust: false`, the default: leave it out."""
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
        """Path of the model where it is a file here."""
        return None if self.is_address or self.model in FOUNDATIONS else self.model


def _named(foundation: Any) -> Any:
    return {"model": foundation} if isinstance(foundation, str) else foundation


ARCHITECTURE = ("num_channels", "max_l", "num_interactions", "correlation", "cutoff_angstrom")
"""Keys of a MACE that its foundation decides."""

FINE_TUNING = {"learning_rate": 1e-4, "batch_size": 1, "max_epochs": 200, "patience": 20}
"""Other defaults where there is a foundation: those of the fine-tuning in autoplex."""

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
"""Options of mace_run_train that have a key of their own here."""


class MaceFit(TrainedFit):
    """MACE, trained from scratch or fine-tuned from a foundation model."""

    NOT_RESULT: ClassVar[dict[str, Any]] = {
        **FitBase.NOT_RESULT,
        "device": True,
        "foundation": {"trust": True},
    }

    kind: Literal["mace"] = Field(description="Which kind of fit this is.")
    foundation: Annotated[
        Foundation | None,
        BeforeValidator(_named, json_schema_input_type=str | Foundation | None),
    ] = Field(
        None,
        description="Fine-tune this model: its name or path alone, or with settings. It decides "
        f"{', '.join(ARCHITECTURE)}, and other defaults hold: "
        f"{', '.join(f'{key} {value:g}' for key, value in FINE_TUNING.items())}.",
    )
    num_channels: PositiveInt = Field(16, description="Channels of the hidden features.")
    max_l: Annotated[int, Field(ge=0, le=3)] = Field(
        0, description="Largest order of the messages."
    )
    num_interactions: PositiveInt = Field(2, description="Message-passing layers.")
    correlation: Annotated[int, Field(ge=1, le=4)] = Field(3, description="Correlation order.")
    cutoff_angstrom: PositiveFloat = Field(5.0, description="Cutoff radius of a layer.")
    max_epochs: PositiveInt = Field(100, description="Passes over the training set.")
    batch_size: PositiveInt = Field(2, description="Cells per optimisation step.")
    learning_rate: PositiveFloat = Field(0.01, description="Learning rate of AMSGrad Adam.")
    weights: MaceWeights = MaceWeights()
    stage_two_start_epoch: PositiveInt | None = Field(
        None,
        description="Epoch from which stage two (small learning rate, weight averaging) runs; "
        "none without it.",
    )
    stage_two_weights: MaceWeights = MaceWeights(energy=1000.0)
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        0.99, description="Decay of the exponential moving average of the weights."
    )
    patience: PositiveInt = Field(100, description="Epochs without gain before it stops.")
    valid_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.1, description="Share of the training cells that steers the training; never test cells."
    )
    dtype: Literal["float32", "float64"] = Field("float64", description="Precision of training.")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="`auto` takes a GPU where there is one."
    )
    extra_arguments: dict[str, str | int | float | bool] = Field(
        default_factory=dict, description="Any further option of mace_run_train, without dashes."
    )

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
            raise ValueError(f"{', '.join(given)}: the foundation decides this; drop it")
        for option in OF_FOUNDATION.keys() & self.extra_arguments.keys():
            raise ValueError(f"extra_arguments.{option}: use {OF_FOUNDATION[option]}")
        return self

    @model_serializer(mode="wrap")
    def _without_needless(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what says nothing: the architecture beside a foundation, or no foundation.

        What fine-tuning has in place of defaults stays: the defaults that it may equal are not its.
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
        _refuse_places(self.extra_arguments, _MACE_PLACES)
        return self


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

    Nothing is trained, relaxed or computed; errors of forces are those on displaced cells that are
    the reference's own, and there are no applications.
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


Fit = Annotated[GapFit | MaceFit | ExistingFit | RecordedFit, Field(discriminator="kind")]


def takes_gpu(fit: Fit) -> bool:
    """Whether a fit is a MACE that takes a GPU where it finds one."""
    if isinstance(fit, ExistingFit):
        return fit.potential.takes_gpu
    return isinstance(fit, MaceFit) and fit.device != "cpu"
