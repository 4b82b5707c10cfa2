"""Settings of force constants fitted to labelled cells."""

from typing import Literal, Self

from pydantic import Field, PositiveFloat, model_validator

from phonsmith.fits.settings import FitResources, TrainedFit


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
    pair_cutoff_angstrom: PositiveFloat | None = Field(
        None,
        description="With `third_order`: third-order force constants of more distant pairs of "
        "atoms are zero. Set it to `conductivity.third_order.pair_cutoff_angstrom`, too.",
    )

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
