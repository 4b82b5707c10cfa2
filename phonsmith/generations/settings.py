"""Settings of the loop and of its goal."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from phonsmith.files.quantities import ForceError, Kelvin, Terahertz, Tolerance
from phonsmith.files.settings import CellChoice, Model, Name, Once
from phonsmith.supercells.settings import Selection


class ConductivityGoal(Model):
    """Convergence of the thermal conductivity of a crystal, by the first kind of calculation."""

    of: Literal["conductivity"] = Field(description="Property.")
    structure: Name = Field(description="Id of the crystal.")
    temperature_kelvin: Kelvin = Field(description="One of `conductivity.temperatures_kelvin`.")
    within_percent: Tolerance = Field(
        description="Largest change of the mean over repeats since the last generation."
    )
    uncertainty_percent: Tolerance | None = Field(
        None,
        description="Largest uncertainty: by the jackknife (`conductivity.jackknife_groups`), "
        "together with the standard deviation over repeats. Default: `within_percent` where there "
        "is a jackknife, otherwise no limit.",
    )

    @property
    def largest_change(self) -> tuple[float, str]:
        """Largest allowed change, and its unit."""
        return self.within_percent, "%"

    def change(self, value: float, before: float) -> float:
        """Change of the property in this unit."""
        return 100 * (value - before) / abs(before)


class TransitionGoal(Model):
    """Convergence of the transition between the first two crystals of a transition.

    The transition temperature or pressure is harmonic or from relaxations under pressure, or
    quasi-harmonic where the transition is at a pressure.
    """

    of: Literal["transition"] = Field(description="Property.")
    transition: Name = Field(description="Key in `transitions`.")
    within_kelvin: Annotated[float, Field(gt=0, le=1000)] | None = Field(
        None, description="Largest change of the mean over repeats since the last generation."
    )
    within_gpa: Annotated[float, Field(gt=0, le=100)] | None = Field(
        None,
        description="Largest change of the mean over repeats since the last generation, for a "
        "transition driven by pressure.",
    )

    @property
    def largest_change(self) -> tuple[float, str]:
        """Largest allowed change, and its unit."""
        if self.within_kelvin is not None:
            return self.within_kelvin, "K"
        assert self.within_gpa is not None
        return self.within_gpa, "GPa"

    def change(self, value: float, before: float) -> float:
        """Change of the property in this unit."""
        return value - before

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if (self.within_kelvin is None) == (self.within_gpa is None):
            raise ValueError("give either within_kelvin or within_gpa")
        return self


AnyPropertyGoal = Annotated[ConductivityGoal | TransitionGoal, Field(discriminator="of")]
"""Criterion on a property, distinguished by `of`."""


class Goal(Model):
    """Criteria that end the loop."""

    rmse_thz: Terahertz = Field(description="Largest phonon RMSE of a structure.")
    structures_percent: Annotated[float, Field(gt=1, le=100)] = Field(
        100.0, description="Percentage of the structures that must meet the criteria."
    )
    cell: CellChoice = Field("relaxed", description="Cell of the phonons that are judged.")
    no_false_imaginary: bool = Field(
        True, description="Refuse imaginary modes where the reference has none."
    )
    max_volume_error_percent: Tolerance | None = Field(
        1.0,
        description="Largest error of the volume relaxed with the fit, whichever `cell` is judged; "
        "null: no limit. The limit needs `relaxed` in `phonons.cells`; without it, the default is "
        "ignored.",
    )
    max_force_rmse_ev_per_angstrom: ForceError | None = Field(
        None,
        description="Largest RMSE of the force components on the test set, including anharmonic "
        "cells.",
    )
    properties: dict[Name, AnyPropertyGoal] = Field(
        default_factory=dict,
        description="Properties that must converge, by name, computed in every generation.",
    )
    harmonic_only: bool = Field(
        False,
        description="Set true to stop on harmonic phonons alone: potentials with accurate phonons "
        "can be inaccurate for anharmonic properties such as the thermal conductivity.",
    )

    @model_validator(mode="after")
    def _more_than_harmonic(self) -> Self:
        more = self.max_force_rmse_ev_per_angstrom is not None or self.properties
        if not more and not self.harmonic_only:
            raise ValueError(
                "these criteria are harmonic only; add max_force_rmse_ev_per_angstrom or "
                "properties, or set `harmonic_only: true`"
            )
        return self


class Loop(Model):
    """Generations: label new cells until the goal is met."""

    goal: Goal
    max_generations: Annotated[int, Field(ge=1, le=100)] = Field(
        5, description="Maximum number of generations, including the first."
    )
    cells_per_structure: PositiveInt = Field(
        5, description="New cells per structure that does not meet the goal."
    )
    selection: Selection = Selection()
    judges: Name | None = Field(
        None,
        description="Recipe whose fits of the last generation form the committee, run the "
        "molecular dynamics and provide the features of the selection; default: the first trained "
        "recipe.",
    )
    decided_by: Annotated[list[Name], Once] | None = Field(
        None,
        min_length=1,
        description="Recipes that end the loop when they meet the goal; all trained recipes are "
        "judged. Default: the trained potentials, or force constants where no potential is "
        "trained. The goal of a recipe that decides determines which crystals get new cells.",
    )
