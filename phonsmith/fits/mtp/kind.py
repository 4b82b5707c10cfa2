"""Registry entry of moment tensor potentials."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from phonsmith.fits.kind import TrainedKind
from phonsmith.fits.mtp.settings import PARTS, Level, MtpFit

if TYPE_CHECKING:
    from ase import Atoms

    from phonsmith.fits.record import TrainingRecord
    from phonsmith.fits.task import TrainingTask
    from phonsmith.running.costs import Cost


class Mtp(TrainedKind[MtpFit]):
    """Moment tensor potentials with the basis of motep."""

    settings = MtpFit
    calculator = "mtp"
    packages = ("motep",)

    def train(self, fit: MtpFit, task: "TrainingTask") -> "TrainingRecord":
        """Train by variable projection."""
        from phonsmith.fits.mtp.training import train

        return train(fit, task)

    def busy_cores(self, fit: MtpFit) -> int:
        """All threads, up to the number of parts of the cells."""
        return min(fit.resources.threads, PARTS)

    def seconds_per_atom(self, fit: MtpFit, cells: "Sequence[Atoms]") -> float:
        """By products of moments and neighbours."""
        from phonsmith.fits.mtp.cost import seconds_per_atom

        return seconds_per_atom(fit, cells)

    def smaller(self, fit: MtpFit) -> Iterator[tuple[str, Iterator[tuple[int, MtpFit]]]]:
        """Yield lower levels."""
        lower = [level for level in get_args(Level) if level < fit.level]
        yield "level", ((at, fit.model_copy(update={"level": at})) for at in reversed(lower))

    def training_cost(self, fit: MtpFit, cells: "Sequence[Atoms]", stresses: bool) -> "Cost":
        """Estimate time and memory from iterations, atoms, moments and coefficients."""
        from phonsmith.fits.mtp.cost import training_cost

        return training_cost(fit, cells)

    def in_lammps(self, model: Path, elements: Sequence[str]) -> str:
        """Return the lines for MLIP 2, and its settings."""
        return (
            "# needs MLIP 2 with its interface, and a file mlip.ini with the two lines\n"
            f"#   mtp-filename {model.name}\n"
            "#   select FALSE\n"
            f"# types of atoms: {' '.join(elements)}\n"
            "pair_style mlip mlip.ini\n"
            "pair_coeff * *"
        )


KIND = Mtp()
