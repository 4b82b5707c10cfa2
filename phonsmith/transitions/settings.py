"""Settings of phase transitions."""

import itertools
from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator

from phonsmith.files.settings import Model, Name


class PublishedTransition(Model):
    """A published transition to print and draw beside."""

    label: str = Field(min_length=1, description="What it is, for legends.")
    source: str = Field(min_length=1, description="Where it stands.")
    structures: tuple[Name, Name] = Field(description="From and to which crystal.")
    value: PositiveFloat = Field(description="Temperature in K, or pressure in GPa.")
    up_to: PositiveFloat | None = Field(None, description="Upper end, where a range is given.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.up_to is not None and self.up_to <= self.value:
            raise ValueError("up_to has to be larger than value")
        return self


class TransitionBase(Model):
    """What all transitions share."""

    structures: list[Name] = Field(
        min_length=2,
        description="Crystals of one composition, by id. The first is the one that the others are "
        "compared with in figures; the transition of the loop's goal is that of the first two.",
    )
    all_generations: bool = Field(
        True,
        description="With a loop: for the fits of every generation, not of the accepted one alone.",
    )
    published: list[PublishedTransition] = Field(
        default_factory=list, description="Published transitions to print and draw beside."
    )

    @model_validator(mode="after")
    def _crystals(self) -> Self:
        if len(set(self.structures)) != len(self.structures):
            raise ValueError("structures has an entry twice")
        for one in self.published:
            for name in one.structures:
                if name not in self.structures:
                    raise ValueError(f"published: '{name}' is none of the structures")
        return self


class TemperatureTransition(TransitionBase):
    """Which crystal has the lowest free energy at a temperature; needs `thermodynamics`."""

    driven_by: Literal["temperature"] = Field(description="What drives the transition.")
    pressure_gpa: float = Field(
        0.0,
        description="Pressure of the quasi-harmonic Gibbs energies, one of "
        "thermodynamics.pressures_gpa. At zero, harmonic free energies are compared as well.",
    )


class Pressing(Model):
    """At which pressures and volumes a crystal is relaxed."""

    pressures_gpa: Annotated[list[NonNegativeFloat], Field(min_length=3)] = Field(
        description="Pressures at which the crystals are relaxed, in ascending order."
    )
    volumes: Annotated[int, Field(ge=6)] = Field(
        9,
        description="Relaxations at fixed volumes for the equation of state, from which the "
        "enthalpy follows once more.",
    )
    tolerance_mev_per_atom: PositiveFloat = Field(
        5.0,
        description="Largest difference of both enthalpies at a pressure; more is reported.",
    )

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        for low, high in itertools.pairwise(self.pressures_gpa):
            if high <= low:
                raise ValueError("pressures_gpa: give them in ascending order, each once")
        return self

    @property
    def relaxations(self) -> int:
        """Relaxations of a crystal."""
        return len(self.pressures_gpa) + self.volumes


class PressureTransition(TransitionBase, Pressing):
    """Which crystal has the lowest enthalpy at a pressure."""

    driven_by: Literal["pressure"] = Field(description="What drives the transition.")
    temperatures_kelvin: list[PositiveFloat] = Field(
        default_factory=list,
        description="Temperatures at which Gibbs energies at thermodynamics.pressures_gpa are "
        "compared as well (quasi-harmonic).",
    )


Transition = Annotated[TemperatureTransition | PressureTransition, Field(discriminator="driven_by")]
