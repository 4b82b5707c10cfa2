"""What a training leaves behind, whatever the architecture."""

from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from phonsmith.files.reading_writing import read_as, write_json

DRAWN_AGAIN = "drawn_again"
"""Key in ``info`` of further copies of a training cell, where cells are drawn with replacement."""


class TargetCounts(BaseModel):
    """Numbers that a fit learnt from: energies, force components, virial components."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    energies: int
    forces: int
    virials: int


class TrainingRecord(BaseModel):
    """The account of one training: written beside the model as JSON."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    """Name of the model file in the folder of the fit."""
    wall_time_s: float
    """Of the training program; after a restart, of its last run."""
    peak_memory_mb: float
    """Largest resident memory of the training program."""
    counts: TargetCounts
    """As the training program reports them, compared with its input."""
    settings: dict[str, Any]
    """The fit of the campaign, with all defaults."""
    command: list[str]
    baseline: dict[str, float]
    """Energy of single atoms by element, eV."""
    baseline_origin: str
    versions: dict[str, str]
    details: dict[str, Any] = {}
    """What else is worth knowing: device, restart, validation cells."""
    digest: str = ""
    """Of all that the potential was made from, see :mod:`phonsmith.fits.kept`."""
    cautions: list[str] = []
    """Warnings for the reader, see :mod:`phonsmith.files.cautions`."""

    def save(self, path: str | Path) -> None:
        """Write as JSON."""
        write_json(path, self.model_dump(mode="json"))

    @classmethod
    def load(cls, path: str | Path) -> Self | None:
        """Read what :meth:`save` wrote; None of a potential that was not trained."""
        return read_as(
            path,
            "a record of a training",
            lambda content: None if content is None else cls.model_validate(content),
        )
