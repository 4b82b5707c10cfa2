"""Settings of polynomial potentials."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, model_validator

from phonsmith.files.quantities import EnergyError, ForceError
from phonsmith.files.settings import Model
from phonsmith.fits.settings import FitResources, TrainedFit


class PolymlpSigma(Model):
    """Expected errors of the data, whose inverses are the weights of the regression."""

    energy_ev_per_atom: EnergyError = Field(1e-3, description="Energies.")
    force_ev_per_angstrom: ForceError = Field(3e-3, description="Force components.")
    displaced_force_ev_per_angstrom: ForceError = Field(
        1e-5, description="Force components of displaced cells, which determine the phonons."
    )
    virial_ev_per_atom: EnergyError = Field(1e-3, description="Virials.")


class PolymlpFit(TrainedFit):
    """Polynomial potential by pypolymlp, in an environment of its own.

    The energy of an atom is a polynomial of rotation invariants of its neighbours. Coefficients
    follow from a linear regression, whose strength of regularisation is chosen by the evidence of
    the data.
    """

    kind: Literal["polymlp"] = Field(description="Kind of fit.")
    resources: FitResources = FitResources(memory_mb=4000)
    cutoff_angstrom: PositiveFloat = Field(7.0, description="Cutoff radius.")
    n_gaussians: Annotated[int, Field(ge=2, le=50)] = Field(
        10, description="Number of radial functions, including a constant."
    )
    max_l: list[Annotated[int, Field(ge=0, le=12)]] = Field(
        [6, 4],
        min_length=1,
        max_length=5,
        description="Largest angular momenta of the invariants of second, third, … order "
        "(`gtinv_maxl` of pypolymlp). Their number sets the highest order.",
    )
    model_type: Literal[1, 2, 3, 4] = Field(
        3,
        description="Form of the energy. 1: linear in the invariants; 2: polynomial of all "
        "invariants; 3: polynomial of the pair invariants; 4: polynomial of the pair and the "
        "second-order invariants; 3 and 4 are linear in the others. The number of features, which "
        "the log reports, grows steeply with the number of elements, least with 3.",
    )
    polynomial_order: Literal[1, 2, 3] = Field(
        2, description="Order of the polynomial (`max_p` of pypolymlp)."
    )
    sigma: PolymlpSigma = PolymlpSigma()
    regularisation_exponents: list[Annotated[float, Field(ge=-30, le=3)]] = Field(
        [float(exponent) for exponent in range(-15, 0)],
        min_length=1,
        description="Decimal logarithms of the strengths of regularisation that are tried. The "
        "data choose among them by their evidence.",
    )

    @property
    def reach_angstrom(self) -> tuple[float, float]:
        """Shortest and longest distance of atoms that it describes."""
        return 0.0, self.cutoff_angstrom

    @model_validator(mode="after")
    def _cutoff_beyond_gaussians(self) -> Self:
        if self.cutoff_angstrom <= 1.0:
            raise ValueError("cutoff_angstrom: must be larger than 1 Å")
        return self
