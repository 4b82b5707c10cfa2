"""Settings of thermodynamics."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, model_validator

from phonsmith.files.quantities import Gigapascal, Kelvin
from phonsmith.files.settings import Model, Name, Once

LEAST_PERCENT = 0.2
"""Least change of the volume that an equation of state shows clearly."""


class Thermodynamics(Model):
    """Equations of state, harmonic and quasi-harmonic free energies, for reference and fits."""

    structures: Annotated[list[Name] | Literal["all"], Once] = Field(
        "all", description="Crystals, by id; `all`: the crystals whose phonons are compared."
    )
    max_temperature_kelvin: Kelvin = Field(1000.0, description="Highest temperature.")
    temperature_step_kelvin: PositiveFloat = Field(10.0, description="Temperature step.")
    pressures_gpa: list[Gigapascal] = Field([0.0], min_length=1, description="Pressures.")
    quasi_harmonic: bool = Field(
        True,
        description="Compute phonons at every volume and the Gibbs energy; false: phonons at the "
        "energy minimum only.",
    )
    equation_of_state: Literal["birch-murnaghan", "vinet"] = Field(
        "vinet", description="Equation of state fitted to the free energies at each temperature."
    )
    volumes: Annotated[int, Field(ge=5)] = Field(9, description="Initial number of volumes.")
    first_volumes_percent: tuple[float, float] = Field(
        (-4.0, 6.0),
        description="Smallest and largest initial volume, relative to the volume at rest. If they "
        "do not bracket the equilibrium volume, volumes are added with equal spacing.",
    )
    largest_volume_change_percent: Annotated[float, Field(ge=0.5, lt=50)] = Field(
        20.0, description="Largest deviation of a volume from the volume at rest."
    )
    imaginary: Literal["exclude", "report", "stop"] = Field(
        "exclude",
        description="Treatment of volumes with imaginary modes (beyond "
        "benchmarks.imaginary_tolerance_thz): `exclude` omits the volume, `report` omits these "
        "modes, `stop` gives no result for the crystal. The fraction of imaginary modes is "
        "reported.",
    )
    mesh_length_angstrom: Annotated[float, Field(ge=10)] = Field(
        60.0, description="Density of the q-point mesh, as phonopy's mesh length."
    )

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        low, high = self.first_volumes_percent
        largest = self.largest_volume_change_percent
        if not -largest <= low < 0 < high <= largest:
            raise ValueError(
                "first_volumes_percent: give one value below and one above zero, within "
                f"largest_volume_change_percent ({largest:g})"
            )
        if low > -LEAST_PERCENT or high < LEAST_PERCENT:
            raise ValueError(
                f"first_volumes_percent: {low:g} to {high:g} % is too narrow for an equation of "
                "state; give percentages, [-4, 6] for volumes of 0.96 to 1.06"
            )
        if self.temperature_step_kelvin * 4 > self.max_temperature_kelvin:
            raise ValueError("temperature_step_kelvin: at least five temperatures are required")
        if len(set(self.pressures_gpa)) != len(self.pressures_gpa):
            raise ValueError("pressures_gpa contains an entry twice")
        return self

    @property
    def relaxations(self) -> int:
        """Relaxations per crystal without added volumes: two at rest, one per volume."""
        return self.volumes + 2

    @property
    def vibrations(self) -> int:
        """Number of sets of displaced cells: at rest, and at each volume."""
        return 1 + (self.volumes if self.quasi_harmonic else 0)
