"""The registry's entry of potentials that exist already."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from phonsmith.fits.existing.settings import ExistingFit
from phonsmith.fits.kind import FitKind, Made
from phonsmith.potentials.settings import PotentialSource

if TYPE_CHECKING:
    from ase import Atoms

    from phonsmith.fits.files import FitFiles


class Existing(FitKind[ExistingFit]):
    """An existing potential, used without training."""

    settings = ExistingFit

    def takes_gpu(self, fit: ExistingFit) -> bool:
        """As its calculator does."""
        return fit.potential.takes_gpu

    def potential(self, fit: ExistingFit) -> PotentialSource:
        """Return the potential itself."""
        return fit.potential

    def begins_with(self, fit: ExistingFit) -> list[str]:
        """Its model."""
        return [fit.potential.model_file] if fit.potential.model_file else []

    def check_files(self, fit: ExistingFit, where: str, made: Made) -> None:
        """Check the model and what the arguments name."""
        from phonsmith.potentials.loaded_files import check_named_files

        check_named_files(fit.potential, f"{where}.potential", made)

    def adopt(
        self, name: str, fit: ExistingFit, files: "FitFiles", recorded: Sequence[str]
    ) -> None:
        """Load the potential once and write its location."""
        from phonsmith.fits.existing.taking import take

        take(name, fit, files)

    def seconds_per_atom(self, fit: ExistingFit, cells: "Sequence[Atoms]") -> float | None:
        """By its calculator."""
        return fit.potential.seconds_per_atom


KIND = Existing()
