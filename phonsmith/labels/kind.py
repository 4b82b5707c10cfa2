"""What other stages ask about a reference method: the form of an entry of the registry."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from phonsmith.files.sources import DEFAULT_PLACES, Places
from phonsmith.labels.reference import DftReference, ReferenceBase
from phonsmith.potentials.settings import PotentialSource

if TYPE_CHECKING:
    from ase import Atoms

    from phonsmith.labels.protocol import Allocation, ReferenceMethod
    from phonsmith.running.costs import ElectronicSize, PlaneWaveCost


@dataclass(frozen=True)
class Occasion:
    """For what a reference method is made.

    ``structure`` is the id of the crystal, which may have settings of its own. For recorded data:
    ``recorded`` are its files in the data set, ``crystal`` is the file of the crystal where the
    data set does not hold it, ``recorded_as`` are the crystal's settings (``recorded_format``,
    ``recorded_supercell``), and ``places`` are the folders in which data sets are.
    """

    allocation: "Allocation"
    structure: str | None = None
    recorded: str | list[str] | None = None
    places: Places = DEFAULT_PLACES
    crystal: str | None = None
    recorded_as: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Draft:
    """Part of a reference method in a new campaign file (:mod:`phonsmith.campaign.drafting`).

    Text is YAML with comments. A line of settings that begins with ``#`` without a space is an
    optional setting, switched off.
    """

    reference: str
    """Keys of the section `reference`, without indentation."""

    labels: str = ""
    """Keys of the section `labels`; empty without any."""

    displacement_angstrom: float = 0.01
    """Length of displacements whose forces the method resolves."""


DFT_LABELS = """\
batches_per_structure: 5 # jobs that share the cells of a crystal
#side_by_side: 4 # simultaneous runs of a job, each on its own cores"""
"""Section `labels` of the :class:`Draft` of a DFT code."""

_OFTEN_MAGNETIC = ("Cr", "Mn", "Fe", "Co", "Ni", "Eu", "Gd")


def magnetic_comment(elements: Sequence[str]) -> str:
    """Return a line of a draft on elements that are magnetic in many crystals; empty without."""
    found = [element for element in elements if element in _OFTEN_MAGNETIC]
    verb = "is" if len(found) == 1 else "are"
    return f"# {', '.join(found)} {verb} often magnetic: decide.\n" if found else ""


R = TypeVar("R", bound=ReferenceBase)
D = TypeVar("D", bound=DftReference)


class MethodKind(ABC, Generic[R]):
    """A reference method. Functions import what computes only when they are called."""

    settings: ClassVar[type[ReferenceBase]]
    """Its settings; their field ``method`` is its name."""

    citation: ClassVar[str] = ""
    """What to cite for it; empty without a paper of its own."""

    @abstractmethod
    def make(self, reference: R, occasion: Occasion) -> "ReferenceMethod":
        """Build the method itself."""

    def drafts(self) -> list[str]:
        """Return the names by which :meth:`draft` knows its references; default: none."""
        return []

    def draft(self, name: str, elements: Sequence[str]) -> Draft:
        """Write the settings of a new campaign.

        Parameters
        ----------
        name
            One of :meth:`drafts`.
        elements
            Elements of the crystals.
        """
        raise NotImplementedError(name)

    def potential(self, reference: R) -> PotentialSource | None:
        """Return the potential that labels, if one does."""
        return None

    def takes_gpu(self, reference: R) -> bool:
        """Return whether it runs on a GPU where there is one."""
        return False

    def files(self, reference: R) -> list[str]:
        """Return the files that it computes with and that are named one by one."""
        return []

    def contents(self, reference: R) -> dict[str, str]:
        """SHA-256 of the pseudopotential files that it computes with, by element or name.

        Nothing heavy is imported, since Snakemake asks at every start. What cannot be read is
        ``missing``.
        """
        return {}

    def check_files(
        self, reference: R, elements: Collection[str], structures: Collection[str]
    ) -> None:
        """Check the files and keys that the settings name before any job runs.

        Parameters
        ----------
        reference
            Settings of the reference method.
        elements
            Elements of the crystals.
        structures
            Ids of the campaign's crystals.

        Raises
        ------
        PhonsmithError
            A file is missing, or a key is misspelt.
        """


class DftKind(MethodKind[D]):
    """A reference method that runs a DFT code."""

    @abstractmethod
    def electronic_size(
        self, cell: "Atoms", reference: D, structure: str | None
    ) -> "ElectronicSize":
        """Return electrons, k-points and plane waves of a cell, from which costs are estimated.

        Parameters
        ----------
        cell
            Cell.
        reference
            Settings of the reference method.
        structure
            Id of the structure, which may have settings of its own.
        """

    @abstractmethod
    def cost(self) -> "PlaneWaveCost":
        """Return the constants of the code's cost model."""
