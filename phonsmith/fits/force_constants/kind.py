"""Registry entry of force constants without a potential."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from phonsmith.fits.force_constants.settings import ForceConstantsFit
from phonsmith.fits.kind import Made, TrainedKind
from phonsmith.potentials.settings import PotentialSource

if TYPE_CHECKING:
    from ase import Atoms

    from phonsmith.fits.record import TrainingRecord
    from phonsmith.fits.task import TrainingTask


class ForceConstants(TrainedKind[ForceConstantsFit]):
    """Force constants by symfc from the labelled cells of each crystal."""

    settings = ForceConstantsFit
    calculator = "force-constants"
    citation = "symfc: A. Seko, A. Togo, Phys. Rev. B 110, 214302 (2024)."
    packages = ("symfc", "phonopy")
    computes = False
    fits_crystals = True

    def potential(self, fit: ForceConstantsFit) -> PotentialSource | None:
        """Return the prior."""
        return fit.prior

    def takes_gpu(self, fit: ForceConstantsFit) -> bool:
        """As the prior does."""
        return fit.prior is not None and fit.prior.takes_gpu

    def begins_with(self, fit: ForceConstantsFit) -> list[str]:
        """The model of the prior."""
        return [fit.prior.model_file] if fit.prior and fit.prior.model_file else []

    def learns_beside(self, fit: ForceConstantsFit) -> dict[str, Any]:
        """The prior: its files and its source."""
        if fit.prior is None:
            return {}
        from phonsmith.labels.calculator.method import CalculatorMethod
        from phonsmith.labels.calculator.settings import CalculatorReference

        reference = CalculatorReference(method="calculator", potential=fit.prior)
        return {"prior": CalculatorMethod(reference).fingerprint()}

    def check_files(self, fit: ForceConstantsFit, where: str, made: Made) -> None:
        """Check the files of the prior."""
        from phonsmith.potentials.loaded_files import check_named_files

        if fit.prior is not None:
            check_named_files(fit.prior, f"{where}.prior", made)

    def train(self, fit: ForceConstantsFit, task: "TrainingTask") -> "TrainingRecord":
        """Write a phonopy YAML of each crystal."""
        from phonsmith.fits.force_constants.training import train

        return train(fit, task)

    def seconds_per_atom(self, fit: ForceConstantsFit, cells: "Sequence[Atoms]") -> float:
        """Nothing is computed."""
        return 0.0


KIND = ForceConstants()
