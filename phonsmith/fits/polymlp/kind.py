"""Registry entry of polynomial potentials."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from phonsmith.fits.kind import TrainedKind
from phonsmith.fits.polymlp.settings import PolymlpFit

if TYPE_CHECKING:
    from ase import Atoms

    from phonsmith.fits.record import TrainingRecord
    from phonsmith.fits.task import TrainingTask
    from phonsmith.running.costs import Cost


class Polymlp(TrainedKind[PolymlpFit]):
    """Polynomial potentials by pypolymlp."""

    settings = PolymlpFit
    calculator = "polymlp"
    packages = ()

    def train(self, fit: PolymlpFit, task: "TrainingTask") -> "TrainingRecord":
        """Fit in the environment of pypolymlp."""
        from phonsmith.fits.polymlp.training import train

        return train(fit, task)

    def busy_cores(self, fit: PolymlpFit) -> int:
        """All threads."""
        return fit.resources.threads

    def seconds_per_atom(self, fit: PolymlpFit, cells: "Sequence[Atoms]") -> float:
        """By the number of terms."""
        from phonsmith.fits.polymlp.cost import seconds_per_atom

        return seconds_per_atom(fit, cells)

    def training_cost(self, fit: PolymlpFit, cells: "Sequence[Atoms]", stresses: bool) -> "Cost":
        """Estimate time and memory from features and equations."""
        from phonsmith.fits.polymlp.cost import training_cost

        return training_cost(fit, cells)

    def in_lammps(self, model: Path, elements: Sequence[str]) -> str:
        """Return the lines for the package of pypolymlp's authors."""
        return (
            "# needs lammps-polymlp-package\n"
            "pair_style polymlp\n"
            f"pair_coeff * * {model.name} {' '.join(elements)}"
        )


KIND = Polymlp()
