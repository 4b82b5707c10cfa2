"""Settings of training and test sets, and of existing data sets that join them."""

from typing import Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from phonsmith.files.settings import Fraction, Model, Name, RelativePath, Source
from phonsmith.labels.settings import AllowMixed, ExtxyzKeys, check_keys


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
    format: Literal["extxyz", "mlearn", "vasprun", "outcar", "espresso"] = Field(
        "extxyz", description="extxyz, mlearn JSON, or outputs of VASP or pw.x."
    )
    keys: ExtxyzKeys | None = Field(
        None, description="With `extxyz`: the keys that hold the labels, if not the usual ones."
    )
    level_of_theory: str = Field(min_length=1, description="Code and functional.")
    allow_mixed_levels_of_theory: AllowMixed = False
    train_files: list[RelativePath] = Field(
        default_factory=list, description="Files to learn from; none: a set to test on."
    )
    test_files: list[RelativePath] = Field(default_factory=list, description="Files to test on.")
    relabel: bool = Field(
        False,
        description="Label the cells anew with the reference method (a teacher); false keeps the "
        "recorded labels, and then the level of theory has to be that of the reference.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_keys(self.keys, self.format)
        if not self.train_files and not self.test_files:
            raise ValueError("give `train_files`, `test_files` or both")
        return self


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
        False,
        description="Permit databases and recorded crystals of other levels of theory in one fit.",
    )
