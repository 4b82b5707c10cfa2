"""Settings of thermodynamics."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, model_validator

from phonsmith.files.settings import Model, Name


class Thermodynamics(Model):
    """Energies of volumes, harmonic and quasi-harmonic free energies, by reference and fits."""

    structures: list[Name] | Literal["all"] = Field(
        "all", description="Crystals, by id; `all` are those whose phonons are compared."
    )
    max_temperature_kelvin: PositiveFloat = Field(1000.0, description="Highest temperature.")
    temperature_step_kelvin: PositiveFloat = Field(10.0, description="From one to the next.")
    pressures_gpa: list[float] = Field([0.0], min_length=1, description="Pressures.")
    quasi_harmonic: bool = Field(
        True,
        description="Phonons at every volume, and the Gibbs energy; false: phonons at the minimum "
        "of the energy alone.",
    )
    equation_of_state: Literal["birch-murnaghan", "vinet"] = Field(
        "vinet", description="Form that the free energies are fitted to at each temperature."
    )
    volumes: Annotated[int, Field(ge=5)] = Field(9, description="Volumes to begin with.")
    first_volumes_percent: tuple[float, float] = Field(
        (-4.0, 6.0),
        description="First and last of them, relative to the volume at rest. More are added in "
        "the same steps where the volume at equilibrium is not bracketed.",
    )
    largest_volume_change_percent: Annotated[float, Field(gt=0, lt=50)] = Field(
        20.0, description="No volume is further from that at rest."
    )
    imaginary: Literal["exclude", "report", "stop"] = Field(
        "exclude",
        description="Volumes with imaginary modes (beyond benchmarks.imaginary_tolerance_thz): "
        "left out, used without these modes, or no result for the crystal. The share is reported.",
    )
    mesh_length_angstrom: PositiveFloat = Field(
        60.0, description="Density of the mesh of q points, as phonopy's mesh length."
    )

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        low, high = self.first_volumes_percent
        largest = self.largest_volume_change_percent
        if not -largest <= low < 0 < high <= largest:
            raise ValueError(
                "first_volumes_percent: give one below and one above zero, within "
                f"largest_volume_change_percent ({largest:g})"
            )
        if self.temperature_step_kelvin * 4 > self.max_temperature_kelvin:
            raise ValueError("temperature_step_kelvin: at least five temperatures are needed")
        if len(set(self.pressures_gpa)) != len(self.pressures_gpa):
            raise ValueError("pressures_gpa has an entry twice")
        return self

    @property
    def relaxations(self) -> int:
        """Relaxations of a crystal, as long as no volumes are added: at rest before and after."""
        return self.volumes + 2

    @property
    def vibrations(self) -> int:
        """How often its displaced cells are computed: at rest, and at the volumes."""
        return 1 + (self.volumes if self.quasi_harmonic else 0)
