"""Settings of labels from an ASE calculator."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from phonsmith.labels.reference import ReferenceBase
from phonsmith.potentials.settings import PotentialSource


class CalculatorReference(ReferenceBase):
    """Labels from any ASE calculator."""

    NOT_PHYSICS: ClassVar[dict[str, Any]] = {"isolated_atoms": True, "potential": True}

    method: Literal["calculator"] = Field(description="Reference method.")
    potential: PotentialSource = Field(description="The calculator.")
    isolated_atoms: bool = Field(
        True,
        description="Compute isolated atoms for the energy zero of the fits; false (for potentials "
        "without meaningful isolated atoms) uses a least-squares fit of the labels.",
    )

    def physics(self) -> dict[str, Any]:
        """Return the settings that labels depend on, as plain JSON."""
        return {**super().physics(), "potential": self.potential.physics()}

    @property
    def level_of_theory(self) -> str:
        """Level of theory in tables and figures."""
        return self.potential.level_of_theory
