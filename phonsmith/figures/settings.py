"""Settings of the figures."""

from typing import Literal

from pydantic import Field, PositiveInt

from phonsmith.files.settings import Model


class Figures(Model):
    """Formats of the figures."""

    formats: list[Literal["svg", "png", "pdf"]] = Field(
        ["svg", "png"], min_length=1, description="File formats."
    )
    dpi: PositiveInt = Field(200, description="Resolution of PNG files.")
