"""Settings of the figures."""

from typing import Annotated, Literal

from pydantic import Field

from phonsmith.files.settings import Model, Once


class Figures(Model):
    """Formats of the figures."""

    formats: Annotated[list[Literal["svg", "png", "pdf"]], Once] = Field(
        ["svg", "png"], min_length=1, description="File formats."
    )
    dpi: Annotated[int, Field(ge=30, le=2400)] = Field(200, description="Resolution of PNG files.")
