"""Settings of the loop: its goal, and when it ends."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from phonsmith.files.settings import CellChoice, Model, Name
from phonsmith.supercells.settings import Selection


class ConductivityGoal(Model):
    """The thermal conductivity of one crystal, by the first kind of calculation, has settled."""

    of: Literal["conductivity"] = Field(description="Which property this is.")
    structure: Name = Field(description="Id of the crystal.")
    temperature_kelvin: PositiveFloat = Field(
        description="One of `conductivity.temperatures_kelvin`."
    )
    within_percent: PositiveFloat = Field(
        description="Largest change of the mean over repeats since the last generation."
    )

    @property
    def largest_change(self) -> tuple[float, str]:
        """How much it may change, and the unit of that."""
        return self.within_percent, "%"

    def change(self, value: float, before: float) -> float:
        """Its change in that unit."""
        return 100 * (value - before) / abs(before)


class TransitionGoal(Model):
    """Where a transition between the first two of its crystals takes place has settled.

    Temperature or pressure: harmonic, or from relaxations under pressure; quasi-harmonic where it
    is at a pressure.
    """

    of: Literal["transition"] = Field(description="Which property this is.")
    transition: Name = Field(description="One of `transitions`.")
    within_kelvin: PositiveFloat | None = Field(
        None, description="Largest change of the mean over repeats since the last generation."
    )
    within_gpa: PositiveFloat | None = Field(
        None, description="The same of a transition that is driven by pressure."
    )

    @property
    def largest_change(self) -> tuple[float, str]:
        """How much it may change, and the unit of that."""
        if self.within_kelvin is not None:
            return self.within_kelvin, "K"
        assert self.within_gpa is not None
        return self.within_gpa, "GPa"

    def change(self, value: float, before: float) -> float:
        """Its change in that unit."""
        return value - before

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if (self.within_kelvin is None) == (self.within_gpa is None):
            raise ValueError("give either within_kelvin or within_gpa")
        return self


AnyPropertyGoal = Annotated[ConductivityGoal | TransitionGoal, Field(discriminator="of")]
"""A criterion on a property; `of` tells which."""


class Goal(Model):
    """When a potential is good enough."""

    rmse_thz: PositiveFloat = Field(description="Largest phonon RMSE of a structure.")
    structures_percent: Annotated[float, Field(gt=0, le=100)] = Field(
        100.0, description="Share of the structures that have to meet the criteria."
    )
    cell: CellChoice = Field("relaxed", description="Cell of the phonons that count.")
    no_false_imaginary: bool = Field(
        True, description="No imaginary modes where the reference has none."
    )
    max_volume_error_percent: PositiveFloat | None = Field(
        1.0,
        description="Largest error of the volume relaxed with the fit, whichever `cell` counts for "
        "the phonons; null: any. The default holds where `phonons.cells` has `relaxed`, and "
        "nothing can be judged otherwise.",
    )
    max_force_rmse_ev_per_angstrom: PositiveFloat | None = Field(
        None, description="Largest RMSE of force components on the test set, anharmonic cells too."
    )
    properties: dict[Name, AnyPropertyGoal] = Field(
        default_factory=dict,
        description="Properties that must have settled, by name; they are computed in every "
        "generation.",
    )
    harmonic_only: bool = Field(
        False,
        description="Stop on harmonic phonons alone. Has to be said, since potentials with good "
        "phonons can be far off in anharmonic properties such as the thermal conductivity.",
    )

    @model_validator(mode="after")
    def _more_than_harmonic(self) -> Self:
        more = self.max_force_rmse_ev_per_angstrom is not None or self.properties
        if not more and not self.harmonic_only:
            raise ValueError(
                "these criteria are harmonic only; add max_force_rmse_ev_per_angstrom or "
                "properties, or say `harmonic_only: true`"
            )
        return self


class Loop(Model):
    """Generations: new cells until the goal is met."""

    goal: Goal
    max_generations: Annotated[int, Field(ge=1, le=100)] = Field(
        5, description="Generations in all, the first included."
    )
    cells_per_structure: PositiveInt = Field(
        5, description="New cells of each structure that does not meet the goal."
    )
    selection: Selection = Selection()
    judges: Name | None = Field(
        None,
        description="Recipe whose fits of the last generation are the committee, run the molecular "
        "dynamics and give the features of the selection; default: the first that is trained.",
    )
