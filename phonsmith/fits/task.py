"""What a training works on, whatever the architecture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ase import Atoms

    from phonsmith.datasets.sets import Baseline
    from phonsmith.files.cache import Cache


@dataclass(frozen=True)
class TrainingTask:
    """Data, folders and means of one training.

    Attributes
    ----------
    frames
        Training frames, isolated atoms included.
    baseline
        Energies of single atoms in eV.
    folder
        Existing folder for the model files.
    work
        Folder that outlives failures: input of the training program, checkpoints.
    threads
        Threads of the training program.
    cache
        Intermediate results of earlier trainings, for kinds that can use them.
    crystals
        phonopy YAML of the supercells of each structure, for kinds that are trained crystal by
        crystal.
    """

    frames: "Sequence[Atoms]"
    baseline: "Baseline"
    folder: Path
    work: Path
    threads: int = 1
    cache: "Cache | None" = None
    crystals: Mapping[str, Path] = field(default_factory=dict)
