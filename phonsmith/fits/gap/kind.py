"""The registry's entry of GAP."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from phonsmith.fits.gap.settings import GapFit
from phonsmith.fits.kind import TrainedKind

if TYPE_CHECKING:
    from ase import Atoms

    from phonsmith.datasets.sets import Baseline
    from phonsmith.fits.record import TrainingRecord
    from phonsmith.running.costs import Cost


class Gap(TrainedKind[GapFit]):
    """Gaussian approximation potentials, fitted with gap_fit."""

    settings = GapFit
    calculator = "gap"
    packages = ("quippy-ase",)

    def train(
        self,
        fit: GapFit,
        frames: "Sequence[Atoms]",
        baseline: "Baseline",
        *,
        folder: Path,
        work: Path,
        threads: int,
    ) -> "TrainingRecord":
        """Fit with gap_fit."""
        from phonsmith.fits.gap.training import train

        return train(fit, frames, baseline, folder=folder, work=work, threads=threads)

    def seconds_per_atom(self, fit: GapFit, cells: "Sequence[Atoms]") -> float:
        """By the dimension of SOAP."""
        from phonsmith.fits.gap.cost import seconds_per_atom

        return seconds_per_atom(fit, cells)

    def training_cost(self, fit: GapFit, cells: "Sequence[Atoms]", stresses: bool) -> "Cost":
        """Estimate time and memory from environments, sparse points and gradients."""
        from phonsmith.fits.gap.cost import training_cost

        return training_cost(fit, cells, stresses)


KIND = Gap()
