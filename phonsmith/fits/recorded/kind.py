"""The registry's entry of recorded forces."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from phonsmith.files.settings import Source
from phonsmith.fits.kind import FitKind
from phonsmith.fits.recorded.settings import RecordedFit

if TYPE_CHECKING:
    from ase import Atoms

    from phonsmith.fits.files import FitFiles


class RecordedForces(FitKind[RecordedFit]):
    """Forces of a potential that others recorded: phonons, and nothing to compute with."""

    settings = RecordedFit
    computes = False

    def source(self, fit: RecordedFit) -> Source:
        """Return the data set with the forces."""
        return fit.source

    def structures(self, fit: RecordedFit) -> list[str]:
        """Those that have a file."""
        return list(fit.files)

    def adopt(
        self, name: str, fit: RecordedFit, files: "FitFiles", recorded: Sequence[str]
    ) -> None:
        """Write the recorded phonons."""
        from phonsmith.fits.recorded.taking import take

        take(fit, files, recorded)

    def seconds_per_atom(self, fit: RecordedFit, cells: "Sequence[Atoms]") -> float:
        """Nothing is computed."""
        return 0.0


KIND = RecordedForces()
