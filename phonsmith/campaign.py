"""The settings of a campaign: typed, with units in the names and a text for every key.

These models are the only source of settings: the JSON schema in ``config/`` and the settings
page of the docs are generated from them. This module stays light (no numerical libraries), since
Snakemake imports it to plan.
"""

import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    StringConstraints,
    ValidationError,
    model_validator,
)

from phonsmith.errors import PhonsmithError


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", text):
        raise ValueError(
            "a name has letters, digits and . _ - only, starts with a letter or digit, and has "
            "at most 80 characters"
        )
    return text


Name = Annotated[str, AfterValidator(_name)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Kind = Literal["displaced", "rattled", "recorded", "constraint"]
CellChoice = Literal["relaxed", "reference"]
Fraction = Annotated[float, Field(ge=0, lt=1)]

RESERVED_FIT_NAMES = {"reference"}


def _inside(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError("must be a path inside its folder, without a leading / and without ..")
    return name


RelativePath = Annotated[str, StringConstraints(min_length=1), AfterValidator(_inside)]


class Model(BaseModel):
    """Base of all settings: unknown keys are errors, numbers are finite, nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


# --- where data come from -------------------------------------------------------------------


class Source(Model):
    """A public data set: files with checksums, taken from a mirror folder or from the web."""

    name: Name = Field(description="Name of the data set; its folder in every mirror.")
    url: str | None = Field(
        None,
        pattern=r"^https?://",
        description="Address of the folder with the files; without it only mirrors are tried.",
    )
    files: dict[RelativePath, Sha256] = Field(
        min_length=1, description="Path of each file below the folder, and its SHA-256."
    )


class PotentialSource(Model):
    """An interatomic potential that exists already, as an ASE calculator."""

    calculator: str = Field(
        description="`stillinger-weber`, `chgnet`, `gap`, `mace`, or an import path "
        "`package.module:Class` of any ASE calculator."
    )
    arguments: dict[str, Any] = Field(
        default_factory=dict, description="Keyword arguments of the calculator."
    )
    model: str | None = Field(
        None, description="Model file of `gap` (xml) or `mace` (model), relative to the project."
    )
    sha256: Sha256 | None = Field(
        None, description="Checksum of `model`; compared before the file is loaded."
    )
    elements: list[str] | None = Field(
        None, description="Elements it knows; needed only where the calculator does not tell."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        ready = ("stillinger-weber", "chgnet", "gap", "mace")
        if self.calculator not in ready and self.calculator.count(":") != 1:
            raise ValueError(
                f"calculator '{self.calculator}' is neither one of {', '.join(ready)} "
                "nor an import path package.module:Class"
            )
        if self.calculator in ("gap", "mace") and self.model is None:
            raise ValueError(f"calculator '{self.calculator}' needs `model`, the path of its file")
        if self.calculator in ("stillinger-weber", "chgnet") and self.model is not None:
            raise ValueError(f"calculator '{self.calculator}' brings its own model: drop `model`")
        return self


# --- crystals -------------------------------------------------------------------------------


class Structure(Model):
    """One crystal of a campaign."""

    file: str | None = Field(
        None, description="Crystal file (POSCAR, CIF or extxyz), relative to the project."
    )
    recorded: RelativePath | None = Field(
        None,
        description="With the reference method `recorded`: the phonopy YAML, the "
        "phono3py_disp.yaml beside its FORCES_FC3, or the extxyz of this crystal.",
    )
    role: Literal["train", "test"] = Field(
        "train",
        description="`test`: its labelled cells only measure errors, no fit ever learns from them, "
        "and it has no phonon benchmark.",
    )
    born: str | None = Field(
        None,
        description="phonopy BORN file for the non-analytical correction, used for the "
        "reference and every fit alike.",
    )

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.file is None) == (self.recorded is None):
            raise ValueError("give exactly one of `file` and `recorded`")
        return self


class Relaxation(Model):
    """Relaxation of cell and positions, without imposed symmetry."""

    reference: bool = Field(
        True,
        description="Relax the crystals with the reference method first; false takes them as "
        "they are. Recorded crystals are never relaxed.",
    )
    fmax_ev_per_angstrom: PositiveFloat = Field(
        1e-4, description="Largest force (and stress times volume, per ASE's cell filter) left."
    )
    max_steps: PositiveInt = Field(500, description="Steps after which a relaxation has failed.")
    symprec_angstrom: PositiveFloat = Field(
        1e-2, description="Tolerance of the space group before and after relaxation."
    )
    ltol: PositiveFloat = Field(0.1, description="StructureMatcher: fractional length tolerance.")
    stol: PositiveFloat = Field(0.1, description="StructureMatcher: site tolerance.")
    angle_tol_degree: PositiveFloat = Field(3.0, description="StructureMatcher: angle tolerance.")
    on_change: Literal["stop", "report"] = Field(
        "report",
        description="What to do where the reference method turns a crystal into another one or "
        "changes its space group.",
    )


# --- reference method ------------------------------------------------------------------------


class CalculatorReference(Model):
    """Labels from any ASE calculator."""

    method: Literal["calculator"] = Field(description="Which reference method this is.")
    potential: PotentialSource = Field(description="The calculator.")
    isolated_atoms: bool = Field(
        True,
        description="Compute isolated atoms for the energy zero of the fits; false (for a "
        "potential without meaningful isolated atoms) uses a least-squares fit of the labels.",
    )


class RecordedReference(Model):
    """Labels that exist already: an earlier calculation or a published data set."""

    method: Literal["recorded"] = Field(description="Which reference method this is.")
    level_of_theory: str = Field(
        min_length=1, description="Code and functional, e.g. `CASTEP PW91`: printed everywhere."
    )
    source: Source
    format: Literal["phonopy", "phono3py", "extxyz", "vasprun", "outcar"] = Field(
        "phonopy",
        description="What the files are: phonopy YAML with forces, phono3py_disp.yaml with "
        "FORCES_FC3, extxyz, or folders of vasprun.xml or OUTCAR files.",
    )


Reference = Annotated[CalculatorReference | RecordedReference, Field(discriminator="method")]


# --- supercells and labels ----------------------------------------------------------------------


class Displaced(Model):
    """Cells with one displaced atom, as phonopy makes them from symmetry."""

    distance_angstrom: PositiveFloat = Field(0.01, description="Length of the displacement.")
    plus_minus: Literal["auto", "always", "never"] = Field(
        "auto", description="Displace along both signs where symmetry does not relate them."
    )


class Rattled(Model):
    """Cells with all atoms moved and the lattice strained."""

    count: NonNegativeInt = Field(10, description="Cells per structure.")
    method: Literal["gaussian", "monte-carlo"] = Field(
        "gaussian",
        description="Independent Gaussian moves, or a Monte Carlo rattle that refuses moves "
        "bringing atoms closer than the minimum distance.",
    )
    std_angstrom: PositiveFloat = Field(0.01, description="Standard deviation of each component.")
    min_distance_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.75,
        description="No two atoms come closer than this fraction of the shortest distance in the "
        "unrattled strained cell.",
    )
    volume_factors: list[PositiveFloat] = Field(
        [0.97, 0.985, 1.0, 1.015, 1.03],
        min_length=1,
        description="Volume of the cell relative to the relaxed one; cell i takes factor i modulo "
        "their number.",
    )
    max_angle_strain_degree: NonNegativeFloat = Field(
        1.0,
        lt=20,
        description="Each angle of the cell changes by a uniform random number up to this.",
    )


class Supercells(Model):
    """Which supercells are labelled, and how large they are."""

    kinds: list[Literal["displaced", "rattled"]] = Field(
        ["displaced", "rattled"], min_length=1, description="Kinds of cells to label."
    )
    min_length_angstrom: PositiveFloat = Field(
        15.0, description="Shortest distance between periodic images."
    )
    min_atoms: PositiveInt = Field(50, description="Smallest number of atoms.")
    max_atoms: PositiveInt = Field(500, description="Largest number of atoms.")
    displaced: Displaced = Displaced()
    rattled: Rattled = Rattled()

    @model_validator(mode="after")
    def _sizes(self) -> Self:
        if self.min_atoms > self.max_atoms:
            raise ValueError("min_atoms is larger than max_atoms")
        if len(set(self.kinds)) != len(self.kinds):
            raise ValueError("kinds has an entry twice")
        return self


class Labels(Model):
    """How the reference method is run, and what a label must fulfil."""

    batches_per_structure: PositiveInt = Field(
        1, description="Jobs per structure and generation: cell i goes to job i modulo this."
    )
    max_force_sum_ev_per_angstrom: PositiveFloat = Field(
        0.05, description="Forces of a cell must sum to zero within this, per component."
    )
    max_energy_spread_ev_per_atom: PositiveFloat = Field(
        10.0, description="Energies per atom of one structure must lie within this of each other."
    )


# --- data sets -------------------------------------------------------------------------------


class ConstraintCells(Model):
    """Pseudo-observations: pristine cells on which forces and stress are stated to be zero."""

    structures: list[Name] | Literal["all"] = Field(
        "all", description="Crystals that the reference method relaxed to zero stress."
    )
    force_sigma_ev_per_angstrom: PositiveFloat = Field(
        1e-4, description="Regularisation of the zero forces (GAP)."
    )
    virial_sigma_ev_per_atom: PositiveFloat = Field(
        1e-3, description="Regularisation of the zero virial (GAP)."
    )


class Database(Model):
    """An existing labelled data set that joins the training set (kind `recorded`)."""

    source: Source
    format: Literal["extxyz", "mlearn", "vasprun", "outcar"] = Field(
        "extxyz", description="extxyz with REF_ keys, mlearn JSON, or VASP outputs."
    )
    level_of_theory: str = Field(min_length=1, description="Code and functional.")
    train_files: list[RelativePath] = Field(min_length=1, description="Files to learn from.")
    test_files: list[RelativePath] = Field(default_factory=list, description="Files to test on.")
    relabel: bool = Field(
        False,
        description="Label the cells anew with the reference method (a teacher); false keeps the "
        "recorded labels, and then the level of theory has to be that of the reference.",
    )


class Datasets(Model):
    """How labels become training and test sets."""

    test_fraction: Fraction = Field(
        0.1, description="Share of each structure's cells of each kind that is kept for testing."
    )
    min_group_to_split: PositiveInt = Field(
        5, description="A structure with fewer cells of a kind gives all of them to training."
    )
    split_displaced: bool = Field(
        False,
        description="Also hold out displaced cells. Each of them holds unique force constants of "
        "the crystal, so that a fit without them must not be called trained on that crystal.",
    )
    max_force_ev_per_angstrom: PositiveFloat = Field(
        40.0, description="Cells with a larger force component are left out as outliers."
    )
    max_energy_above_median_ev_per_atom: PositiveFloat = Field(
        5.0, description="Cells further above their structure's median energy are left out."
    )
    constraints: ConstraintCells | None = Field(None, description="Pseudo-observations, if any.")
    databases: dict[Name, Database] = Field(
        default_factory=dict, description="Existing data sets that join this one."
    )
    allow_mixed_levels_of_theory: bool = Field(
        False, description="Permit databases of another level of theory in the same fit."
    )


# --- fits ------------------------------------------------------------------------------------


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
    n_max: PositiveInt = Field(10, description="Radial functions.")
    l_max: NonNegativeInt = Field(6, description="Largest angular momentum.")
    zeta: PositiveInt = Field(4, description="Power of the dot-product kernel.")
    delta_ev: PositiveFloat = Field(1.0, description="Prior standard deviation of the energy.")
    n_sparse: PositiveInt = Field(1000, description="Sparse points in all.")
    sparse_method: Literal["cur_points", "random", "pivot"] = Field(
        "cur_points", description="How gap_fit chooses sparse points."
    )
    sparse_from: Literal["training", "rattled"] = Field(
        "training",
        description="Environments that sparse points are chosen from: those of the training cells, "
        "or, in place of displaced and constraint cells (whose environments are nearly all alike), "
        "those of rattled copies of them. The copies have no labels.",
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
    force_ev_per_angstrom: PositiveFloat = Field(0.1, description="Force components.")
    virial_ev_per_atom: PositiveFloat = Field(0.05, description="Virials.")


class ForceProportional(Model):
    """σ of each atom's force: f·max(|F|, F_min) (George et al. 2020, equation 8)."""

    factor: PositiveFloat = Field(description="f, dimensionless.")
    minimum_force_ev_per_angstrom: PositiveFloat = Field(0.01, description="F_min.")
    kinds: list[Kind] = Field(["displaced"], min_length=1, description="Cells it applies to.")


class GapFit(FitBase):
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
    force_proportional: ForceProportional | None = None
    balance_exponent: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0,
        description="Force sigmas of displaced cells are multiplied by n to this power, n being "
        "the displaced cells of the structure: a crystal of high symmetry has one or two of them "
        "and would else count for little beside one that has twenty.",
    )
    sparse_jitter: PositiveFloat = Field(1e-8, description="gap_fit's sparse_jitter.")
    seed: NonNegativeInt = Field(0, description="Random seed of gap_fit's choices.")
    extra_arguments: dict[str, str | int | float] = Field(
        default_factory=dict, description="Any further `keyword=value` of gap_fit."
    )

    @model_validator(mode="after")
    def _has_descriptor(self) -> Self:
        if self.two_body is None and self.three_body is None and self.soap is None:
            raise ValueError("a GAP needs at least one of two_body, three_body and soap")
        return self


class MaceWeights(Model):
    """Weights of the MACE loss."""

    energy: NonNegativeFloat = Field(1.0, description="Energies per atom.")
    forces: NonNegativeFloat = Field(100.0, description="Force components.")
    stress: NonNegativeFloat = Field(1.0, description="Stress components.")


class MaceFit(FitBase):
    """MACE, trained from scratch."""

    kind: Literal["mace"] = Field(description="Which kind of fit this is.")
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
    stage_two_weights: MaceWeights = MaceWeights(energy=1000.0, forces=100.0, stress=10.0)
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        0.99, description="Decay of the exponential moving average of the weights."
    )
    patience: PositiveInt = Field(100, description="Epochs without gain before it stops.")
    valid_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.1, description="Share of the training cells that steers the training; never test cells."
    )
    seed: NonNegativeInt = Field(0, description="Random seed.")
    dtype: Literal["float32", "float64"] = Field("float64", description="Precision of training.")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="`auto` takes a GPU where there is one."
    )
    extra_arguments: dict[str, str | int | float | bool] = Field(
        default_factory=dict, description="Any further option of mace_run_train, without dashes."
    )


class ExistingFit(FitBase):
    """A potential that exists already: benchmarked like a fit, without labels or training."""

    kind: Literal["existing"] = Field(description="Which kind of fit this is.")
    potential: PotentialSource


Fit = Annotated[GapFit | MaceFit | ExistingFit, Field(discriminator="kind")]


# --- phonons, benchmarks, figures -----------------------------------------------------------


class Phonons(Model):
    """Phonons of the reference and of every fit."""

    band_path: Literal["seekpath", "setyawan-curtarolo"] = Field(
        "seekpath",
        description="High-symmetry path; found once, on the reference crystal. "
        "`setyawan-curtarolo` is pymatgen's, the one of the papers.",
    )
    points_per_segment: Annotated[int, Field(ge=2)] = Field(
        51, description="Points from one special point to the next, both included."
    )
    mesh_length_angstrom: PositiveFloat = Field(
        60.0, description="Density of the mesh of the density of states, as phonopy's mesh length."
    )
    cells: list[CellChoice] = Field(
        ["relaxed", "reference"],
        min_length=1,
        description="Cells for the phonons of a fit: relaxed with the fit, or the reference's.",
    )


class Benchmarks(Model):
    """How phonons are compared."""

    imaginary_tolerance_thz: PositiveFloat = Field(
        0.1, description="A mode counts as imaginary below minus this."
    )
    mechanics: bool = Field(
        False,
        description="Also compare equation of state and elastic constants; needs a reference that "
        "is a calculator.",
    )


class Sweep(Model):
    """A figure: RMSE against one setting of the fits."""

    setting: str = Field(description="Dotted key in the fit, e.g. `force_proportional.factor`.")
    fits: list[Name] = Field(min_length=2, description="Fits to show.")
    axis_label: str | None = Field(None, description="Label of the axis; default: the key.")


class Figures(Model):
    """What is drawn, and how."""

    formats: list[Literal["svg", "png", "pdf"]] = Field(
        ["svg", "png"], min_length=1, description="File formats."
    )
    dpi: PositiveInt = Field(200, description="Resolution of PNG.")
    rmse_against: dict[Name, Sweep] = Field(
        default_factory=dict, description="Figures of RMSE against a swept setting."
    )


# --- the campaign ----------------------------------------------------------------------------


class Campaign(Model):
    """One campaign: the file ``config/campaigns/NAME.yaml``."""

    description: str = Field("", description="One line for tables and reports.")
    seed: NonNegativeInt = Field(0, description="Seed of every random choice.")
    structures: dict[Name, Structure] = Field(min_length=1, description="The crystals, by id.")
    reference: Reference
    relaxation: Relaxation = Relaxation()
    supercells: Supercells = Supercells()
    labels: Labels = Labels()
    datasets: Datasets = Datasets()
    fits: dict[Name, Fit] = Field(min_length=1, description="The potentials, by name.")
    phonons: Phonons = Phonons()
    benchmarks: Benchmarks = Benchmarks()
    figures: Figures = Figures()

    @property
    def recorded(self) -> RecordedReference | None:
        """The recorded reference, or none where labels are computed."""
        return self.reference if isinstance(self.reference, RecordedReference) else None

    @property
    def benchmarked(self) -> list[str]:
        """Ids of the crystals whose phonons are compared."""
        return [name for name, one in self.structures.items() if one.role == "train"]

    @property
    def trained(self) -> list[str]:
        """Names of the fits that are trained on labels."""
        return [name for name, fit in self.fits.items() if fit.kind != "existing"]

    @property
    def has_energies(self) -> bool:
        """False where labels have forces only, so that energies of fits mean nothing."""
        return not (self.recorded and self.recorded.format in ("phonopy", "phono3py"))

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for name, structure in self.structures.items():
            if structure.recorded and not self.recorded:
                raise ValueError(
                    f"structures.{name}.recorded needs `reference: method: recorded`; "
                    "give a crystal `file` instead"
                )
            if self.recorded and structure.recorded is None:
                raise ValueError(f"structures.{name}: a recorded reference needs `recorded`")
            if (
                self.recorded
                and structure.recorded is not None
                and not _covers(self.recorded.source.files, structure.recorded)
            ):
                raise ValueError(
                    f"structures.{name}.recorded: '{structure.recorded}' is not among "
                    "reference.source.files"
                )
        for name in self.fits:
            if name in RESERVED_FIT_NAMES:
                raise ValueError(f"fits.{name}: this name is taken; choose another")
        if not self.benchmarked:
            raise ValueError("structures: at least one needs `role: train`")
        self._check_datasets()
        self._check_figures()
        if self.benchmarks.mechanics and self.recorded:
            raise ValueError("benchmarks.mechanics: recorded data cannot be strained; set false")
        return self

    def _check_datasets(self) -> None:
        constraints = self.datasets.constraints
        if constraints and constraints.structures != "all":
            for name in constraints.structures:
                if name not in self.structures:
                    raise ValueError(f"datasets.constraints.structures: no structure '{name}'")
        for name, database in self.datasets.databases.items():
            if name in self.structures:
                raise ValueError(f"datasets.databases.{name}: a structure has this name")
            for file in (*database.train_files, *database.test_files):
                if not _covers(database.source.files, file):
                    raise ValueError(
                        f"datasets.databases.{name}: '{file}' is not among its source.files"
                    )
            if set(database.train_files) & set(database.test_files):
                raise ValueError(
                    f"datasets.databases.{name}: a file is in train_files and test_files"
                )
            if database.relabel and self.recorded:
                raise ValueError(
                    f"datasets.databases.{name}.relabel: recorded data cannot label new cells"
                )
            if (
                not database.relabel
                and not self.datasets.allow_mixed_levels_of_theory
                and database.level_of_theory != self.level_of_theory
            ):
                raise ValueError(
                    f"datasets.databases.{name}: level of theory '{database.level_of_theory}' is "
                    f"not the reference's '{self.level_of_theory}'; set `relabel: true`, or "
                    "`datasets.allow_mixed_levels_of_theory: true` if you want the mixture"
                )

    def _check_figures(self) -> None:
        for figure, sweep in self.figures.rmse_against.items():
            for name in sweep.fits:
                if name not in self.fits:
                    raise ValueError(f"figures.rmse_against.{figure}.fits: no fit '{name}'")
                if not isinstance(setting_of(self.fits[name], sweep.setting), (int, float)):
                    raise ValueError(
                        f"figures.rmse_against.{figure}: fit '{name}' has no number at "
                        f"'{sweep.setting}'"
                    )

    @property
    def level_of_theory(self) -> str:
        """What the labels are: code and functional, or the name of the calculator."""
        if isinstance(self.reference, RecordedReference):
            return self.reference.level_of_theory
        return self.reference.potential.calculator


def _covers(files: dict[str, str], wanted: str) -> bool:
    """Whether ``wanted`` is one of the files or a folder that holds some of them."""
    return wanted in files or any(name.startswith(wanted.rstrip("/") + "/") for name in files)


def setting_of(fit: BaseModel, dotted: str) -> Any:
    """The value at a dotted key of a fit, or None where the fit has no such key."""
    value: Any = fit
    for part in dotted.split("."):
        value = getattr(value, part, None)
    return value


# --- reading ---------------------------------------------------------------------------------


class _StrictLoader(yaml.SafeLoader):
    """YAML in which a key may stand once only."""


def _mapping_without_repetition(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set()
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            continue
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key '{key}' stands here twice", key_node.start_mark
            )
        seen.add(key)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_StrictLoader.add_constructor(
    yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_repetition
)


def load_campaign(path: str | Path) -> Campaign:
    """Read and check one campaign file.

    Raises
    ------
    PhonsmithError
        One line: the file, the key's path, what was found and what is allowed.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise PhonsmithError(f"{path}: no such campaign file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise PhonsmithError(f"{path}: cannot be read as UTF-8 text ({error})") from None
    try:
        settings = yaml.load(text, Loader=_StrictLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}:" if mark else ""
        problem = getattr(error, "problem", None) or "not valid YAML"
        raise PhonsmithError(f"{path}:{line} {problem}") from None
    if not isinstance(settings, dict):
        raise PhonsmithError(f"{path}: has to be a mapping of keys to values")
    try:
        return Campaign.model_validate(settings)
    except ValidationError as error:
        raise PhonsmithError(f"{path}: {_in_words(error)}") from None


def _in_words(error: ValidationError) -> str:
    """The first error of a validation in one line, and how many more there are."""
    errors = error.errors()
    first = errors[0]
    # discriminated unions put the tag into the location; it is no key of the file
    tags = {"gap", "mace", "existing", "calculator", "recorded"}
    keys = [
        str(part)
        for i, part in enumerate(first["loc"])
        if part != "[key]" and not _is_tag(part, i, first, tags)
    ]
    where = ".".join(keys)
    if first["type"] == "extra_forbidden":
        message = "unknown key"
    elif first["type"] == "missing":
        message = "is missing"
    else:
        message = first["msg"].removeprefix("Value error, ")
        if not isinstance(first["input"], dict):
            message += f" (found {first['input']!r})"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{where}: {message}{more}" if where else f"{message}{more}"


def _is_tag(part: int | str, position: int, error: Any, tags: set[str]) -> bool:
    location = error["loc"]
    if part not in tags:
        return False
    after_fit = position == 2 and location[0] == "fits"
    after_reference = position == 1 and location[0] == "reference"
    return after_fit or after_reference
