"""Settings of the comparison of fits with the reference method."""

from pydantic import Field

from phonsmith.files.quantities import Terahertz
from phonsmith.files.settings import Model


class Benchmarks(Model):
    """Comparison of phonons."""

    imaginary_tolerance_thz: Terahertz = Field(
        0.1, description="Modes below minus this frequency are imaginary."
    )
    mechanics: bool = Field(
        False,
        description="Also compare equations of state and elastic constants; the reference must be "
        "a calculator.",
    )
