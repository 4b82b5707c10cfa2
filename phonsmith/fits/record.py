"""What a training leaves behind, whatever the architecture."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field

from phonsmith.files.extxyz import ENERGY, FORCES, STRESS
from phonsmith.files.json_records import Record, StoredRecord
from phonsmith.files.reading_writing import read_as

if TYPE_CHECKING:
    from ase import Atoms

DRAWN_AGAIN = "drawn_again"
"""Key in ``info`` of further copies of a training cell, where cells are drawn with replacement."""


class TargetCounts(Record):
    """Numbers that a fit learnt from: energies, force components, virial components."""

    energies: int
    forces: int
    virials: int

    @classmethod
    def of(cls, frames: "Sequence[Atoms]") -> Self:
        """Count the labels of frames; a virial has six independent components."""
        return cls(
            energies=sum(ENERGY in atoms.info for atoms in frames),
            forces=sum(3 * len(atoms) for atoms in frames if FORCES in atoms.arrays),
            virials=sum(6 for atoms in frames if STRESS in atoms.info),
        )


class TrainingRecord(StoredRecord):
    """The account of one training: written beside the model as JSON."""

    IN_WORDS = "a record of a training"

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
    details: dict[str, Any] = Field(default_factory=dict)
    """Further information: device, restart, validation cells."""
    digest: str = ""
    """Of all that the potential was made from, see :mod:`phonsmith.fits.kept`."""
    cautions: list[str] = Field(default_factory=list)
    """Warnings for the reader, see :mod:`phonsmith.files.cautions`."""

    @classmethod
    def load_if_trained(cls, path: str | Path) -> Self | None:
        """Read the record of a fit; None of a potential that was not trained."""
        return read_as(
            path,
            cls.IN_WORDS,
            lambda content: None if content is None else cls.model_validate(content),
        )
