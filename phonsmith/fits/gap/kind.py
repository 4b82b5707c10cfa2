"""Registry entry of GAP."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from phonsmith.fits.gap.settings import GapFit
from phonsmith.fits.kind import TrainedKind

if TYPE_CHECKING:
    from ase import Atoms

    from phonsmith.fits.record import TrainingRecord
    from phonsmith.fits.task import TrainingTask
    from phonsmith.running.costs import Cost


class Gap(TrainedKind[GapFit]):
    """Gaussian approximation potentials."""

    settings = GapFit
    calculator = "gap"
    packages = ("quippy-ase",)

    def train(self, fit: GapFit, task: "TrainingTask") -> "TrainingRecord":
        """Fit with the chosen fitter."""
        from phonsmith.fits.gap.training import train

        return train(fit, task)

    def busy_cores(self, fit: GapFit) -> int:
        """All threads; gap_fit keeps one core busy."""
        return 1 if fit.fitter == "gap_fit" else fit.resources.threads

    def seconds_per_atom(self, fit: GapFit, cells: "Sequence[Atoms]") -> float:
        """By the dimension of SOAP."""
        from phonsmith.fits.gap.cost import seconds_per_atom

        return seconds_per_atom(fit, cells)

    def smaller(self, fit: GapFit) -> Iterator[tuple[str, Iterator[tuple[int, GapFit]]]]:
        """Yield radial functions and sparse points of SOAP."""
        soap = fit.soap
        if soap is None:
            return

        def of(key: str, values: Iterable[int]) -> Iterator[tuple[int, GapFit]]:
            for value in values:
                lower = soap.model_copy(update={key: value})
                yield value, fit.model_copy(update={"soap": lower})

        yield "soap.n_max", of("n_max", range(soap.n_max - 1, 2, -1))
        if soap.n_sparse_by_group is None:
            tenths = (round(soap.n_sparse * tenth / 10) for tenth in range(9, 0, -1))
            yield "soap.n_sparse", of("n_sparse", tenths)

    def training_cost(self, fit: GapFit, cells: "Sequence[Atoms]", stresses: bool) -> "Cost":
        """Estimate time and memory from environments, sparse points and gradients."""
        from phonsmith.fits.gap.cost import training_cost

        return training_cost(fit, cells, stresses)

    def in_lammps(self, model: Path, elements: Sequence[str]) -> str:
        """Return the lines for QUIP, with the label of the potential in its file."""
        from ase.data import atomic_numbers

        from phonsmith.fits.gap.training import label_of

        numbers = " ".join(str(atomic_numbers[element]) for element in elements)
        return (
            f"# needs package ML-QUIP with QUIP, and {model.name}.sparseX… beside this file\n"
            f"# types of atoms: {' '.join(elements)}\n"
            "pair_style quip\n"
            f'pair_coeff * * {model.name} "Potential xml_label={label_of(model)}" {numbers}'
        )

    def in_ase(self, model: str) -> str:
        """Return the lines for quippy."""
        return (
            "from quippy.potential import Potential\n\n"
            f'calculator = Potential(param_filename="{model}")'
        )


KIND = Gap()
