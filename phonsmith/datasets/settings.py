"""Settings of training and test sets, and of existing data sets added to them."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from phonsmith.files.quantities import EnergyError, ForceError
from phonsmith.files.settings import Fraction, Model, Name, Once, RelativePath, Source
from phonsmith.labels.settings import AllowMixed, ExtxyzKeys, check_keys


class ConstraintCells(Model):
    """Pseudo-observations: pristine cells with forces and stress set to zero."""

    structures: Annotated[list[Name] | Literal["all"], Once] = Field(
        "all", description="Crystals that the reference method relaxed to zero stress."
    )
    force_sigma_ev_per_angstrom: ForceError = Field(
        1e-4, description="Regularisation of the zero forces (GAP)."
    )
    virial_sigma_ev_per_atom: EnergyError = Field(
        1e-3, description="Regularisation of the zero virial (GAP)."
    )


class Database(Model):
    """An existing labelled data set to add to the training set (kind `recorded`)."""

    source: Source
    format: Literal["extxyz", "mlearn", "vasprun", "outcar", "espresso"] = Field(
        "extxyz", description="Format: extxyz, mlearn JSON, or outputs of VASP or pw.x."
    )
    keys: ExtxyzKeys | None = Field(
        None, description="With `extxyz`: keys of the labels, if not the usual ones."
    )
    level_of_theory: str = Field(min_length=1, description="Code and functional.")
    allow_mixed_levels_of_theory: AllowMixed = False
    train_files: Annotated[list[RelativePath], Once] = Field(
        default_factory=list,
        description="Training files; if empty, the data set is used for testing only.",
    )
    test_files: Annotated[list[RelativePath], Once] = Field(
        default_factory=list, description="Test files."
    )
    relabel: bool = Field(
        False,
        description="Relabel the cells with the reference method (a teacher); false keeps the "
        "recorded labels, whose level of theory must then match the reference.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_keys(self.keys, self.format)
        if not self.train_files and not self.test_files:
            raise ValueError("give `train_files`, `test_files` or both")
        return self


class Datasets(Model):
    """Division of labels into training and test sets."""

    test_fraction: Fraction = Field(
        0.1, description="Fraction of the cells of each kind, per structure, held out for testing."
    )
    min_group_to_split: PositiveInt = Field(
        5, description="A structure with fewer cells of a kind uses all of them for training."
    )
    split_displaced: bool = Field(
        False,
        description="Also hold out displaced cells. Each displaced cell contributes unique force "
        "constants of the crystal: do not call a fit without them trained on that crystal.",
    )
    max_force_ev_per_angstrom: Annotated[float, Field(ge=0.5, le=10_000)] = Field(
        40.0, description="Cells with a larger force component are omitted as outliers."
    )
    max_energy_above_median_ev_per_atom: Annotated[float, Field(ge=0.01, le=1000)] = Field(
        5.0,
        description="Cells with an energy further above the median of their structure are omitted.",
    )
    constraints: ConstraintCells | None = Field(
        None, description="Pseudo-observations; none by default."
    )
    databases: dict[Name, Database] = Field(
        default_factory=dict, description="Existing data sets to add, by name."
    )
    allow_mixed_levels_of_theory: bool = Field(
        False,
        description="Allow databases and recorded crystals of different levels of theory in one "
        "fit.",
    )
