"""The registry's entry of MACE."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phonsmith.fits.kind import Made, TrainedKind
from phonsmith.fits.mace.settings import MaceFit

if TYPE_CHECKING:
    from ase import Atoms

    from phonsmith.fits.record import TrainingRecord
    from phonsmith.fits.task import TrainingTask
    from phonsmith.running.costs import Cost


class Mace(TrainedKind[MaceFit]):
    """MACE, from scratch or from a foundation model."""

    settings = MaceFit
    calculator = "mace"
    packages = ("mace-torch", "torch")

    def busy_cores(self, fit: MaceFit) -> int:
        """All threads."""
        return fit.resources.threads

    def takes_gpu(self, fit: MaceFit) -> bool:
        """Return true unless the settings request the CPU."""
        return fit.device != "cpu"

    def begins_with(self, fit: MaceFit) -> list[str]:
        """Return the foundation model and its replay data."""
        if fit.foundation is None:
            return []
        replay = fit.foundation.replay.file if fit.foundation.replay else None
        return [file for file in (fit.foundation.file, replay) if file]

    def finds_foundation(self, fit: MaceFit) -> bool:
        """Return whether the settings name a foundation model."""
        return fit.foundation is not None

    def check_files(self, fit: MaceFit, where: str, made: Made) -> None:
        """Check the foundation model and its replay data."""
        from phonsmith.fits.mace.foundation_files import check_foundation

        if fit.foundation:
            check_foundation(fit.foundation, f"{where}.foundation", made)

    def train(self, fit: MaceFit, task: "TrainingTask") -> "TrainingRecord":
        """Train with mace_run_train."""
        from phonsmith.fits.mace.training import train

        return train(fit, task)

    def learns_beside(self, fit: MaceFit) -> dict[str, Any]:
        """Return the replay data of a fine-tuning."""
        from phonsmith.files.sources import sha256_of

        replay = fit.foundation.replay if fit.foundation else None
        return {"replay": sha256_of(replay.file)} if replay else {}

    def seconds_per_atom(self, fit: MaceFit, cells: "Sequence[Atoms]") -> float:
        """By channels, layers and neighbours."""
        from phonsmith.fits.mace.cost import seconds_per_atom

        return seconds_per_atom(fit, cells)

    def training_cost(self, fit: MaceFit, cells: "Sequence[Atoms]", stresses: bool) -> "Cost":
        """Estimate time and memory from epochs and atoms."""
        from phonsmith.fits.mace.cost import training_cost

        return training_cost(fit, cells)

    def in_lammps(self, model: Path, elements: Sequence[str]) -> str:
        """Return the lines for ML-IAP, and the command that exports the model for it."""
        return (
            "# needs package ML-IAP with Python, and on a GPU of the kind that will run it first\n"
            f"#   python -m mace.cli.create_lammps_model {model.name} --format=mliap\n"
            f"pair_style mliap unified {model.name}-mliap_lammps.pt 0\n"
            f"pair_coeff * * {' '.join(elements)}"
        )

    def in_ase(self, model: str) -> str:
        """Return the lines for MACE, in double precision as phonons need it."""
        return (
            "from mace.calculators import MACECalculator\n\n"
            f'calculator = MACECalculator(model_paths="{model}", device="cpu", '
            'default_dtype="float64")'
        )


KIND = Mace()
