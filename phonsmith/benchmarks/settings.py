"""Settings of the comparison of fits with the reference method."""

from pydantic import Field, PositiveFloat

from phonsmith.files.settings import Model


class Benchmarks(Model):
    """How phonons are compared."""

    imaginary_tolerance_thz: PositiveFloat = Field(
        0.1, description="A mode counts as imaginary below minus this."
    )
    mechanics: bool = Field(
        False,
        description="Also compare equation of state and elastic constants; needs a reference that "
        "is a calculator.",
    )
