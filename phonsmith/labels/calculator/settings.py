"""Settings of labels from an ASE calculator."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from phonsmith.labels.reference import ReferenceBase
from phonsmith.potentials.settings import PotentialSource


class CalculatorReference(ReferenceBase):
    """Labels from any ASE calculator."""

    NOT_PHYSICS: ClassVar[dict[str, Any]] = {"isolated_atoms": True, "potential": True}

    method: Literal["calculator"] = Field(description="Which reference method this is.")
    potential: PotentialSource = Field(description="The calculator.")
    isolated_atoms: bool = Field(
        True,
        description="Compute isolated atoms for the energy zero of the fits; false (for a "
        "potential without meaningful isolated atoms) uses a least-squares fit of the labels.",
    )

    def physics(self) -> dict[str, Any]:
        """Return the settings that labels depend on, as plain JSON."""
        return {**super().physics(), "potential": self.potential.physics()}

    @property
    def level_of_theory(self) -> str:
        """What the labels are, as tables and figures name it."""
        return self.potential.calculator
