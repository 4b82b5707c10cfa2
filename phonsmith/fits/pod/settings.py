"""Settings of potentials of proper orthogonal descriptors."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, model_validator

from phonsmith.files.settings import Model
from phonsmith.fits.settings import FitResources, TrainedFit

BODIES = ("two", "three", "four", "five", "six", "seven")
"""Orders of the descriptors: number of atoms that interact."""


class PodWeights(Model):
    """Weights of errors in the loss of fitpod, in which their squares appear."""

    energy: NonNegativeFloat = Field(100.0, description="Energies: error in eV per atom.")
    forces: PositiveFloat = Field(1.0, description="Forces: error in eV/Å, of each component.")
    displaced_forces: PositiveFloat = Field(
        1000.0,
        description="Forces of displaced cells, which determine the phonons and are smaller than "
        "those of rattled cells by a factor of hundred.",
    )

    @model_validator(mode="before")
    @classmethod
    def _without_stress(cls, given: Any) -> Any:
        if isinstance(given, dict) and "stress" in given:
            raise ValueError("stress: fitpod learns energies and forces only; remove this key")
        return given


class PodFit(TrainedFit):
    """Potential of proper orthogonal descriptors (POD), trained by fitpod of LAMMPS.

    Linear in descriptors of two to seven atoms; it runs in LAMMPS without further packages. Default
    descriptors and weights are those of its authors for silicon
    (https://github.com/cesmix-mit/pod-examples, FastPOD/Si). Stresses are not learnt.
    """

    kind: Literal["pod"] = Field(description="Kind of fit.")
    resources: FitResources = FitResources(memory_mb=4000)
    cutoff_angstrom: PositiveFloat = Field(5.0, description="Cutoff radius (`rcut`).")
    inner_cutoff_angstrom: PositiveFloat = Field(
        1.0,
        description="Lower end of the radial functions (`rin`); below any distance in the cells.",
    )
    bessel_degree: Annotated[int, Field(ge=1, le=12)] = Field(
        4, description="Degree of the Bessel functions that radial functions are made of."
    )
    inverse_degree: Annotated[int, Field(ge=1, le=16)] = Field(
        8, description="Degree of the inverse powers that radial functions are made of."
    )
    radial_functions: list[NonNegativeInt] = Field(
        [10, 8, 6, 4, 3, 2],
        min_length=1,
        max_length=6,
        description="Number of radial functions for two, three, … seven atoms; not increasing from "
        "three atoms on. Zero, or a shorter list, leaves out descriptors.",
    )
    angular_degrees: list[NonNegativeInt] = Field(
        [4, 3, 3, 2, 2],
        max_length=5,
        description="Angular degrees for three, four, … seven atoms: at most 12 for three, 6 for "
        "four, and not above that of four for five to seven.",
    )
    weights: PodWeights = PodWeights()
    regularisation: PositiveFloat = Field(
        1e-12,
        description="Relative increase of the diagonal of the normal equations "
        "(`fitting_regularization_parameter`).",
    )

    @property
    def reach_angstrom(self) -> tuple[float, float]:
        """Shortest and longest distance of atoms that it describes."""
        return self.inner_cutoff_angstrom, self.cutoff_angstrom

    @property
    def radial(self) -> list[int]:
        """Numbers of radial functions for two to seven atoms."""
        return [*self.radial_functions, *[0] * 6][:6]

    @property
    def angular(self) -> list[int]:
        """Angular degrees for three to seven atoms, zero where there are no descriptors."""
        given = [*self.angular_degrees, *[0] * 5][:5]
        return [a if r else 0 for a, r in zip(given, self.radial[1:], strict=True)]

    @model_validator(mode="after")
    def _as_lammps_takes_them(self) -> Self:
        if self.cutoff_angstrom <= self.inner_cutoff_angstrom:
            raise ValueError("cutoff_angstrom: must be larger than inner_cutoff_angstrom")
        _, three, four, *more = self.radial
        if four > three or max(more) > four:
            raise ValueError(
                "radial_functions: four atoms must not have more than three atoms, and five to "
                f"seven not more than four; found {self.radial_functions}"
            )
        three, four, *more = self.angular
        if three > 12 or four > min(6, three) or max(more) > four:
            raise ValueError(
                "angular_degrees: at most 12 for three atoms, 6 for four and not above that of "
                f"three, for five to seven not above that of four; found {self.angular_degrees}"
            )
        if self.radial[0] < 1:
            raise ValueError("radial_functions: two atoms need at least one")
        return self
