"""Settings of the recorded forces of a potential."""

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from phonsmith.files.settings import Name, RelativePath, Source
from phonsmith.fits.settings import FitBase


class RecordedFit(FitBase):
    """Recorded forces of a potential on displaced cells, to compare phonons only.

    Nothing is trained, relaxed or computed. Force errors are reported for displaced cells that
    are identical to cells of the reference, and there are no applications.
    """

    NOT_RESULT: ClassVar[dict[str, Any]] = {**FitBase.NOT_RESULT, "source": {"url": True}}

    kind: Literal["recorded"] = Field(description="Kind of fit.")
    level_of_theory: str = Field(
        min_length=1, description="Potential that computed the forces, e.g. `GAP-18`."
    )
    source: Source
    files: dict[Name, RelativePath] = Field(
        min_length=1,
        description="phonopy YAML of each structure, by id: a file in the source with the forces "
        "of the potential (or next to FORCE_SETS or force constants), for the same unit cell in "
        "the same orientation. Structures without a file are not compared.",
    )

    @model_validator(mode="after")
    def _of_the_source(self) -> Self:
        for structure, file in self.files.items():
            if not self.source.may_hold(file):
                raise ValueError(f"files.{structure}: '{file}' is not in source.files")
        return self
