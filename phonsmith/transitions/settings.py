"""Settings of phase transitions."""

import itertools
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, model_validator

from phonsmith.files.quantities import Gigapascal, Kelvin, NonNegativeGigapascal
from phonsmith.files.settings import Model, Name


class PublishedTransition(Model):
    """Published transition, printed and drawn for comparison."""

    label: str = Field(min_length=1, description="Label in legends.")
    source: str = Field(min_length=1, description="Publication that reports the value.")
    structures: tuple[Name, Name] = Field(description="Crystals before and after the transition.")
    value: PositiveFloat = Field(description="Temperature in K, or pressure in GPa.")
    up_to: PositiveFloat | None = Field(None, description="Upper end of a range.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.up_to is not None and self.up_to <= self.value:
            raise ValueError("up_to must be larger than value")
        return self


class TransitionBase(Model):
    """Settings of all transitions."""

    structures: list[Name] = Field(
        min_length=2,
        description="Crystals of one composition, by id. Figures compare the others with the "
        "first; the loop's goal uses the transition between the first two.",
    )
    all_generations: bool = Field(
        True,
        description="With a loop: compute it with the fits of every generation, not only of the "
        "accepted one.",
    )
    published: list[PublishedTransition] = Field(
        default_factory=list, description="Published transitions, printed and drawn for comparison."
    )

    @model_validator(mode="after")
    def _crystals(self) -> Self:
        if len(set(self.structures)) != len(self.structures):
            raise ValueError("structures contains an entry twice")
        for one in self.published:
            for name in one.structures:
                if name not in self.structures:
                    raise ValueError(f"published: '{name}' is not in structures")
        return self


class TemperatureTransition(TransitionBase):
    """Crystal of lowest free energy as a function of temperature; needs `thermodynamics`."""

    driven_by: Literal["temperature"] = Field(description="Variable that drives the transition.")
    pressure_gpa: Gigapascal = Field(
        0.0,
        description="Pressure of the quasi-harmonic Gibbs energies, one of "
        "thermodynamics.pressures_gpa. At zero pressure, harmonic free energies are also compared.",
    )


class Pressing(Model):
    """Pressures and volumes at which a crystal is relaxed."""

    pressures_gpa: Annotated[list[NonNegativeGigapascal], Field(min_length=3)] = Field(
        description="Pressures of the relaxations, in ascending order."
    )
    volumes: Annotated[int, Field(ge=6)] = Field(
        9,
        description="Relaxations at fixed volumes for the equation of state, which gives a second "
        "value of the enthalpy.",
    )
    tolerance_mev_per_atom: Annotated[float, Field(ge=0.02, le=1000)] = Field(
        5.0,
        description="Largest difference between the two enthalpies at a pressure; larger ones are "
        "reported.",
    )

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        for low, high in itertools.pairwise(self.pressures_gpa):
            if high <= low:
                raise ValueError("pressures_gpa: give pressures in ascending order, each once")
        return self

    @property
    def relaxations(self) -> int:
        """Relaxations of a crystal."""
        return len(self.pressures_gpa) + self.volumes


class PressureTransition(TransitionBase, Pressing):
    """Crystal of lowest enthalpy as a function of pressure."""

    driven_by: Literal["pressure"] = Field(description="Variable that drives the transition.")
    temperatures_kelvin: list[Kelvin] = Field(
        default_factory=list,
        description="Temperatures for an additional comparison of (quasi-harmonic) Gibbs energies "
        "at thermodynamics.pressures_gpa.",
    )


Transition = Annotated[TemperatureTransition | PressureTransition, Field(discriminator="driven_by")]
