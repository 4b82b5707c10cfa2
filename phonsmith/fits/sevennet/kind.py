"""Registry entry of SevenNet."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from phonsmith.fits.kind import TrainedKind
from phonsmith.fits.sevennet.settings import SevennetFit
from phonsmith.potentials.ready import READY

if TYPE_CHECKING:
    from ase import Atoms

    from phonsmith.fits.record import TrainingRecord
    from phonsmith.fits.task import TrainingTask
    from phonsmith.running.costs import Cost


class Sevennet(TrainedKind[SevennetFit]):
    """SevenNet, fine-tuned."""

    settings = SevennetFit
    calculator = "sevennet"
    packages = ()

    def train(self, fit: SevennetFit, task: "TrainingTask") -> "TrainingRecord":
        """Train with sevenn in the environment of SevenNet."""
        from phonsmith.fits.sevennet.training import train

        return train(fit, task)

    def busy_cores(self, fit: SevennetFit) -> int:
        """All threads."""
        return fit.resources.threads

    def takes_gpu(self, fit: SevennetFit) -> bool:
        """Return true unless the settings request the CPU."""
        return fit.device != "cpu"

    def seconds_per_atom(self, fit: SevennetFit, cells: "Sequence[Atoms]") -> float:
        """By the foundation model."""
        return READY["sevennet"].models[fit.foundation]

    def training_cost(self, fit: SevennetFit, cells: "Sequence[Atoms]", stresses: bool) -> "Cost":
        """Estimate time and memory from epochs and atoms."""
        from phonsmith.fits.sevennet.cost import training_cost

        return training_cost(fit, cells)

    def in_lammps(self, model: Path, elements: Sequence[str]) -> str:
        """Return the lines for SevenNet's pair style, and the command that exports the model."""
        return (
            "# needs LAMMPS with SevenNet's pair styles (`sevenn patch_lammps`), and first\n"
            f"#   sevenn get_model {model.name}\n"
            "pair_style e3gnn\n"
            f"pair_coeff * * deployed_serial.pt {' '.join(elements)}"
        )


KIND = Sevennet()
