"""Settings of an existing potential."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from phonsmith.fits.settings import FitBase
from phonsmith.potentials.settings import PotentialSource


class ExistingFit(FitBase):
    """An existing potential: benchmarked like a fit, without labels or training."""

    NOT_RESULT: ClassVar[dict[str, Any]] = {**FitBase.NOT_RESULT, "potential": True}

    kind: Literal["existing"] = Field(description="Kind of fit.")
    potential: PotentialSource

    def identity(self) -> dict[str, Any]:
        """Return the settings that the potential depends on, as plain JSON."""
        return {**super().identity(), "potential": self.potential.physics()}
