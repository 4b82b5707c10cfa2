"""Registry entry of force constants without a potential."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from phonsmith.fits.force_constants.settings import ForceConstantsFit
from phonsmith.fits.kind import TrainedKind

if TYPE_CHECKING:
    from ase import Atoms

    from phonsmith.datasets.sets import Baseline
    from phonsmith.files.cache import Cache
    from phonsmith.fits.record import TrainingRecord


class ForceConstants(TrainedKind[ForceConstantsFit]):
    """Force constants by symfc from the labelled cells of each crystal."""

    settings = ForceConstantsFit
    calculator = "force-constants"
    citation = "symfc: A. Seko, A. Togo, Phys. Rev. B 110, 214302 (2024)."
    packages = ("symfc", "phonopy")
    computes = False
    fits_crystals = True

    def train(
        self,
        fit: ForceConstantsFit,
        frames: "Sequence[Atoms]",
        baseline: "Baseline",
        *,
        folder: Path,
        work: Path,
        threads: int,
        cache: "Cache | None" = None,
        crystals: Mapping[str, Path] | None = None,
    ) -> "TrainingRecord":
        """Write a phonopy YAML of each crystal."""
        from phonsmith.fits.force_constants.training import train

        return train(fit, frames, baseline, folder=folder, crystals=crystals or {})

    def seconds_per_atom(self, fit: ForceConstantsFit, cells: "Sequence[Atoms]") -> float:
        """Nothing is computed."""
        return 0.0


KIND = ForceConstants()
