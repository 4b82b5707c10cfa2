"""Settings of the analysis of disordered structures."""

import math
from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from phonsmith.distillation.settings import Dynamics, Runs
from phonsmith.files.elements import Element
from phonsmith.files.quantities import Gigapascal
from phonsmith.files.settings import Model, Name, Once


class Scattering(Model):
    """Static structure factor S(Q)."""

    q_max_inverse_angstrom: PositiveFloat = Field(10.0, description="Largest wave vector.")
    q_step_inverse_angstrom: Annotated[float, Field(gt=0, le=1)] = Field(
        0.02, description="Distance of points of S(Q)."
    )
    q_resolution_inverse_angstrom: PositiveFloat = Field(
        0.05,
        description="Standard deviation of the Gaussian that smooths S(Q). The height of the first "
        "peak depends on it: compare only values of equal resolution. Cells of 64 atoms require "
        "about 0.1, since they have few wave vectors.",
    )
    first_peak_range_inverse_angstrom: tuple[NonNegativeFloat, PositiveFloat] = Field(
        (1.0, 3.0), description="Range of the first sharp diffraction peak."
    )
    vectors_per_step: PositiveInt = Field(
        300,
        description="Wave vectors per step in Q; large cells have more, of which a random sample "
        "with a fixed seed is used.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        low, high = self.first_peak_range_inverse_angstrom
        if not low < high <= self.q_max_inverse_angstrom:
            raise ValueError(
                "first_peak_range_inverse_angstrom: give two ascending values up to "
                "q_max_inverse_angstrom"
            )
        return self


class SimilaritySoap(Model):
    """SOAP similarity of structures; the defaults are those of Morrow and Deringer 2022."""

    cutoff_angstrom: PositiveFloat = Field(5.0, description="Cutoff radius.")
    transition_width_angstrom: PositiveFloat = Field(
        2.0, description="Width of the smooth transition to zero within the cutoff radius."
    )
    atom_sigma_angstrom: PositiveFloat = Field(0.5, description="Width of the atomic densities.")
    n_max: PositiveInt = Field(10, description="Number of radial functions.")
    l_max: NonNegativeInt = Field(6, description="Largest angular momentum.")
    zeta: PositiveInt = Field(4, description="Exponent of the normalised kernel.")
    average: Literal["power-spectrum", "density"] = Field(
        "power-spectrum",
        description="Average over the atoms of a structure. `power-spectrum`: average of the SOAP "
        "vectors. `density`: SOAP vector of the averaged expansion coefficients of the "
        "neighbour densities (quippy's `average=T`).",
    )
    pressure_tolerance_gpa: NonNegativeFloat = Field(
        0.5,
        description="Largest difference between the pressures of a structure and of a relaxed "
        "crystal that it is compared with; the crystal of the nearest pressure is used.",
    )

    @model_validator(mode="after")
    def _inside(self) -> Self:
        if self.transition_width_angstrom > self.cutoff_angstrom:
            raise ValueError("transition_width_angstrom must not exceed cutoff_angstrom")
        return self


Prototype = Literal[
    "diamond",
    "lonsdaleite",
    "beta-tin",
    "imma",
    "simple-hexagonal",
    "cmca",
    "hcp",
    "bc8",
    "r8",
    "bct5",
]


class Analysis(Model):
    """Analysis of disordered structures."""

    neighbour_cutoff_angstrom: Annotated[float, Field(ge=0.8)] | None = Field(
        None,
        description="Largest distance of bonded neighbours, for coordination and bond angles. "
        "Default: the minimum of the pair distribution after its first peak, of each structure. "
        "A fixed value makes structures comparable; 2.85 is common for silicon.",
    )
    r_max_angstrom: Annotated[float, Field(ge=4)] = Field(
        8.0, description="Largest distance of the pair distribution."
    )
    r_step_angstrom: Annotated[float, Field(gt=0, le=1)] = Field(
        0.02, description="Bin width of the pair distribution."
    )
    angle_step_degree: Annotated[float, Field(gt=0, le=30)] = Field(
        1.0, description="Bin width of the distribution of bond angles."
    )
    scattering: Scattering = Scattering()
    similarity: SimilaritySoap = SimilaritySoap()

    @model_validator(mode="after")
    def _reach(self) -> Self:
        cutoff = self.neighbour_cutoff_angstrom
        if cutoff is not None and cutoff > self.r_max_angstrom:
            raise ValueError("neighbour_cutoff_angstrom must not exceed r_max_angstrom")
        return self


class SideBySide(Runs):
    """Runs of a protocol by the reference method and by every fit."""

    protocol: Dynamics
    reference_runs: PositiveInt | None = Field(
        None,
        description="Number of runs by the reference method, if it is too slow for as many as "
        "`runs`.",
    )

    def count(self, method: str) -> int:
        """Return the number of runs by the reference method (`reference`) or by a fit."""
        return (self.reference_runs or self.runs) if method == "reference" else self.runs

    @model_validator(mode="after")
    def _not_more(self) -> Self:
        if (self.reference_runs or 0) > self.runs:
            raise ValueError("reference_runs must not exceed `runs`")
        return self


class Disorder(Model):
    """Disordered structures made by the reference method and by every fit, side by side."""

    runs: dict[Name, SideBySide] = Field(
        min_length=1,
        description="Protocols, by name; all potentials start from equal cells with equal seeds.",
    )
    fits: Annotated[list[Name], Once] | None = Field(
        None,
        min_length=1,
        description="Recipes that make the runs besides the reference method; default: all "
        "potentials. Leave out slow ones.",
    )
    element: Element = Field("Si", description="Element of the reference crystals.")
    crystals: Annotated[list[Prototype], Once] = Field(
        ["diamond", "beta-tin", "simple-hexagonal"],
        description="Crystals that the structures are compared with, relaxed with each potential "
        "at each pressure of `crystal_pressures_gpa`.",
    )
    crystal_pressures_gpa: list[Gigapascal] | None = Field(
        None,
        description="Default: every GPa between the lowest and the highest pressure of the runs.",
    )
    ground_state: Prototype | None = Field(
        "diamond", description="Crystal of `crystals` that energies refer to; null: none."
    )
    analysis: Analysis = Analysis()

    @property
    def pressures_gpa(self) -> list[float]:
        """Pressures of the reference crystals, in ascending order."""
        if self.crystal_pressures_gpa is not None:
            return sorted(set(self.crystal_pressures_gpa))
        ends = [
            pressure
            for runs in self.runs.values()
            for part in runs.protocol.program()
            for pressure in part.gpa or (0.0,)
        ]
        return [float(gpa) for gpa in range(math.floor(min(ends)), math.ceil(max(ends)) + 1)]

    @model_validator(mode="after")
    def _known_ground_state(self) -> Self:
        if self.ground_state is not None and self.ground_state not in self.crystals:
            raise ValueError(
                f"ground_state '{self.ground_state}' is not one of `crystals`; add it, or set null"
            )
        return self
