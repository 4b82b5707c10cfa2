"""What other stages ask about a kind of fit: the form of an entry of the registry."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from phonsmith.files.settings import Source
from phonsmith.fits.settings import FitBase
from phonsmith.potentials.ready import READY
from phonsmith.potentials.settings import PotentialSource

if TYPE_CHECKING:
    from ase import Atoms

    from phonsmith.fits.files import FitFiles
    from phonsmith.fits.record import TrainingRecord
    from phonsmith.fits.task import TrainingTask
    from phonsmith.running.costs import Cost

Made = Callable[[str], bool]
"""Whether a file is one that the pipeline makes: then it need not exist yet."""

F = TypeVar("F", bound=FitBase)


class FitKind(ABC, Generic[F]):
    """A kind of fit. Methods import what computes only when they are called."""

    settings: ClassVar[type[FitBase]]
    """Its settings; their field ``kind`` is its name."""

    computes: ClassVar[bool] = True
    """Whether it gives energies and forces of any cell."""

    fits_crystals: ClassVar[bool] = False
    """Whether it is trained crystal by crystal, with their supercells."""

    def busy_cores(self, fit: F) -> int:
        """Return the number of cores that its training keeps busy."""
        return 1

    def takes_gpu(self, fit: F) -> bool:
        """Return whether it runs on a GPU where there is one."""
        return False

    def potential(self, fit: F) -> PotentialSource | None:
        """Return the potential that the settings name, if they do."""
        return None

    def environment(self, fit: F) -> str | None:
        """Return the environment in which its potential computes; None for that of phonsmith."""
        potential = self.potential(fit)
        return potential.computes_in if potential else None

    def source(self, fit: F) -> Source | None:
        """Return the data set that the fit is taken from, if it is."""
        return None

    def structures(self, fit: F) -> list[str] | None:
        """Return the only structures that it holds phonons of; None: any."""
        return None

    def begins_with(self, fit: F) -> list[str]:
        """Model and data files that must exist before it, beside the training set."""
        return []

    def finds_foundation(self, fit: F) -> bool:
        """Return whether a foundation model must be found or downloaded before the fit."""
        return False

    def check_files(self, fit: F, where: str, made: Made) -> None:
        """Check the files that the settings name, without loading them.

        Parameters
        ----------
        fit
            Settings of the fit.
        where
            Key of the fit in the campaign, named in error messages.
        made
            Function that returns whether a file will be made by the campaign; such files are not
            checked.

        Raises
        ------
        PhonsmithError
            A file is missing, damaged or unknown.
        """

    def adopt(self, name: str, fit: F, files: "FitFiles", recorded: Sequence[str]) -> None:
        """Write the files of a fit that is not trained.

        Parameters
        ----------
        name
            Id of the fit in the campaign.
        fit
            Settings of the fit.
        files
            Paths to write.
        recorded
            Files of the fit's data set, for kinds that have a :meth:`source`.
        """
        raise NotImplementedError(f"a fit of kind {fit.kind} must be trained")

    @abstractmethod
    def seconds_per_atom(self, fit: F, cells: "Sequence[Atoms]") -> float | None:
        """Core seconds of energy, forces and stress of one atom; None where it is unknown."""

    def smaller(self, fit: F) -> Iterator[tuple[str, Iterator[tuple[int, F]]]]:
        """Yield each setting that costs memory, with lower and lower values of it.

        Each entry is the key, and pairs of a value and the fit that has it.
        """
        return iter(())

    def training_cost(self, fit: F, cells: "Sequence[Atoms]", stresses: bool) -> "Cost":
        """Estimate time and memory of a training.

        Parameters
        ----------
        fit
            Settings of the fit.
        cells
            Training cells.
        stresses
            Whether the labels have stresses.
        """
        from phonsmith.running.costs import Cost

        return Cost(0.0, 0.0)


class TrainedKind(FitKind[F]):
    """A kind of fit that is trained on labels: an architecture."""

    calculator: ClassVar[str]
    """The calculator of its model, see :class:`phonsmith.potentials.settings.PotentialSource`."""

    citation: ClassVar[str] = ""
    """What to cite for it; not needed where the calculator is a ready one."""

    packages: ClassVar[tuple[str, ...]]
    """The packages of phonsmith's environment whose versions a trained model depends on."""

    @property
    def own_environment(self) -> str | None:
        """Return the environment of the architecture; None for that of phonsmith."""
        ready = READY.get(self.calculator)
        return ready.environment if ready else None

    def environment(self, fit: F) -> str | None:
        """Return the environment in which it trains and computes; None for that of phonsmith."""
        return self.own_environment or super().environment(fit)

    def check_files(self, fit: F, where: str, made: Made) -> None:
        """Check that the environment of the architecture can be made, if it has one."""
        if self.own_environment is None:
            return
        from phonsmith.files.errors import PhonsmithError
        from phonsmith.potentials.environments import check_makeable

        try:
            check_makeable(self.own_environment)
        except PhonsmithError as error:
            raise PhonsmithError(f"{where}: {error}") from None

    @abstractmethod
    def train(self, fit: F, task: "TrainingTask") -> "TrainingRecord":
        """Train a potential and write its model into ``task.folder``."""

    def in_lammps(self, model: Path, elements: Sequence[str]) -> str | None:
        """Return the lines of LAMMPS for a model, after a comment on what they need.

        Without a way to run it in LAMMPS, None.

        Parameters
        ----------
        model
            File of the model.
        elements
            Elements in the order of LAMMPS's types, that of atomic numbers.
        """
        return None

    def in_ase(self, model: str) -> str:
        """Return the lines of Python that make ``calculator`` from a model.

        By default phonsmith makes it. Kinds whose models load without phonsmith override this.

        Parameters
        ----------
        model
            Path of the model, beside ``potential.json`` or below.
        """
        return (
            "from phonsmith.potentials.calculators import load_potential, make_calculator\n\n"
            'calculator = make_calculator(load_potential("potential.json").source)'
        )

    def learns_beside(self, fit: F) -> dict[str, Any]:
        """Return what a trained potential depends on beside settings, labels and packages.

        By default the packages of the architecture's environment, if it has one.
        """
        if self.own_environment is None:
            return {}
        from phonsmith.potentials.environments import environment

        return {"environment": environment(self.own_environment).sha256}
