"""What a fitter of GAPs works on, and what it reports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ase import Atoms

from phonsmith.files.cache import Cache
from phonsmith.fits.gap.settings import GapFit
from phonsmith.fits.gap.sparse import SparsePlan


@dataclass(frozen=True)
class GapTask:
    """A GAP to be fitted.

    ``frames`` are the training frames, ``e0s`` the energies of single atoms in eV, ``plan`` the
    sparse points. ``work`` is the folder for the input and output of gap_fit, in which the fitter
    leaves the potential; ``threads`` the number of processes, or of OpenMP threads of gap_fit;
    ``cache`` holds results of earlier fits.
    """

    fit: GapFit
    frames: Sequence[Atoms]
    e0s: Mapping[str, float]
    plan: SparsePlan
    work: Path
    threads: int
    cache: Cache | None = None


@dataclass(frozen=True)
class Fitted:
    """Command, time and memory of a fitter. The potential is in its folder."""

    command: list[str]
    wall_time_s: float
    peak_memory_mb: float
