"""Settings of force constants fitted to labelled cells."""

from typing import Literal, Self

from pydantic import Field, model_validator

from phonsmith.files.quantities import Cutoff
from phonsmith.fits.settings import FitResources, TrainedFit
from phonsmith.potentials.settings import PotentialSource


class ForceConstantsFit(TrainedFit):
    """Force constants of each crystal by symfc from its labelled cells: no potential.

    The baseline of a comparison of potentials: it has phonons in the reference's cell and, with
    `third_order`, a thermal conductivity, but no energies or stresses. It uses displaced and
    rattled cells whose lattice is that of the reference; strained cells are omitted.
    """

    kind: Literal["force-constants"] = Field(description="Kind of fit.")
    resources: FitResources = FitResources(memory_mb=4000)
    third_order: bool = Field(
        False,
        description="Fit second and third order together, as the thermal conductivity requires. "
        "Needs more cells; default: second order alone.",
    )
    pair_cutoff_angstrom: Cutoff | None = Field(
        None,
        description="With `third_order`: third-order force constants of more distant pairs of "
        "atoms are zero. Set it to `conductivity.third_order.pair_cutoff_angstrom`, too.",
    )

    prior: PotentialSource | None = Field(
        None,
        description="A potential, e.g. a universal one, whose second-order force constants hold "
        "where the labels leave them open: scaled by one number, plus a difference fitted to the "
        "labels. A few rattled cells then suffice for a crystal of low symmetry.",
    )

    @model_validator(mode="after")
    def _prior_of_second_order(self) -> Self:
        if self.prior is not None and self.third_order:
            raise ValueError(
                "prior: applies to second-order force constants only; remove it or third_order"
            )
        return self

    @model_validator(mode="after")
    def _cutoff_of_third_order(self) -> Self:
        if self.pair_cutoff_angstrom is not None and not self.third_order:
            raise ValueError(
                "pair_cutoff_angstrom: applies to third-order force constants only; set "
                "third_order: true or remove it"
            )
        return self

    @property
    def orders(self) -> tuple[int, ...]:
        """Orders of the force constants that are fitted together."""
        return (2, 3) if self.third_order else (2,)
