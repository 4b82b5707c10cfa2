"""Settings of moment tensor potentials."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from phonsmith.files.quantities import Cutoff
from phonsmith.files.settings import Model
from phonsmith.fits.settings import FitResources, TrainedFit

PARTS = 8
"""Parts of the cells. A fixed number: the potential does not depend on the number of processes."""
BLOCK_ROWS = 2048
"""Rows that are eliminated together, at least."""

Level = Literal[2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24]


class MtpWeights(Model):
    """Weights of the squared errors of a cell of N atoms, as MLIP defines them.

    Defaults of energy, forces and stress are those of J. D. Morrow, V. L. Deringer, J. Chem. Phys.
    157, 104105 (2022).
    """

    energy: NonNegativeFloat = Field(1.0, description="Energies: (error in eV)² / N.")
    forces: PositiveFloat = Field(
        0.1, description="Forces: sum of (error in eV/Å)² over all components."
    )
    displaced_forces: PositiveFloat = Field(
        1e4,
        description="Forces of displaced cells, which determine the phonons and are smaller than "
        "those of rattled cells by a factor of hundred. The weight counts at the final level; "
        "below it, forces of all cells have the weight `forces`. MLIP has no such weight: that of "
        "`forces` gives its loss.",
    )
    stress: NonNegativeFloat = Field(
        0.001, description="Stresses: sum of (error times volume in eV)² over nine components / N."
    )


class MtpFit(TrainedFit):
    """Moment tensor potential, a polynomial of moments of the neighbours of an atom.

    Its file is that of MLIP 2, for use in LAMMPS. It is several times as fast as a GAP, and less
    accurate at a low level: a student of slower potentials.
    """

    VERSION: ClassVar[int] = 3

    kind: Literal["mtp"] = Field(description="Kind of fit.")
    resources: FitResources = FitResources(threads=2, memory_mb=4000)
    level: Level = Field(
        16,
        description="Level of the moments. The number of basis functions is 29 at 12, 92 at 16, "
        "288 at 20 and 864 at 24.",
    )
    cutoff_angstrom: Cutoff = Field(5.0, description="Cutoff radius.")
    min_distance_angstrom: NonNegativeFloat = Field(
        1.5, description="Lower end of the radial basis; below any distance in the cells."
    )
    radial_basis_size: Annotated[int, Field(ge=2, le=30)] = Field(
        8, description="Number of Chebyshev polynomials of each radial function."
    )
    weights: MtpWeights = MtpWeights()
    regularisation: NonNegativeFloat = Field(
        1e-10,
        description="Weight of the squares of the coefficients of the basis functions, relative to "
        "the square sum of their values in the data.",
    )
    max_iterations: PositiveInt = Field(
        50, description="Most iterations for the radial functions at the final level."
    )
    tolerance: PositiveFloat = Field(
        3e-3,
        description="The training ends when two iterations in succession lower the loss by less "
        "than this fraction.",
    )

    @property
    def reach_angstrom(self) -> tuple[float, float]:
        """Shortest and longest distance of atoms that it describes."""
        return self.min_distance_angstrom, self.cutoff_angstrom

    @model_validator(mode="after")
    def _cutoff_beyond_min_distance(self) -> Self:
        if self.cutoff_angstrom <= self.min_distance_angstrom:
            raise ValueError("cutoff_angstrom: must be larger than min_distance_angstrom")
        return self
