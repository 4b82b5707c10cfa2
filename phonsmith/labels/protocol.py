"""What every reference method offers."""

import math
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ase import Atoms

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.reading_writing import expanded
from phonsmith.labels.store import LabelStore
from phonsmith.structures.relaxation import FREE, Load, RelaxationResult
from phonsmith.structures.settings import Relaxation


class ReferenceMethod(Protocol):
    """A source of labels. Methods can be pickled, so that worker processes may use them."""

    name: str
    """The level of theory, as it stands in the labels' info."""

    cores: int
    """Cores that one label keeps busy."""

    def fingerprint(self, elements: Iterable[str]) -> str:
        """Return all that a label of these elements depends on beside the cell, as canonical JSON.

        Method, settings, versions, and the pseudopotentials of these elements alone: another
        element in the campaign must not make labels stale.
        """

    def label(self, cell: Atoms) -> Atoms:
        """Copy of the cell with REF_ keys; raises LabelFailed with the reason."""

    def relax(self, atoms: Atoms, settings: Relaxation, load: Load = FREE) -> RelaxationResult:
        """Relax cell and positions under a load, without imposed symmetry.

        Parameters
        ----------
        atoms
            Crystal; remains unchanged.
        settings
            Force tolerance (eV/Å) and largest number of steps.
        load
            Pressure (GPa) or fixed volume; no load by default.
        """

    def isolated_atom(self, element: str) -> Atoms | None:
        """Return the atom in a box, with REF_energy; None if the method does not offer it."""

    def elements(self) -> frozenset[str] | None:
        """Return the elements the method knows; None if unknown."""


@runtime_checkable
class BatchedMethod(Protocol):
    """A reference method that labels several cells in one pass."""

    def label_in_batches(
        self, cells: Sequence[Atoms], found: Callable[[int], Atoms | None], processes: int
    ) -> Iterator[tuple[int, Atoms | Exception]] | None:
        """Yield (index, label or exception); None where one by one is better.

        Parameters
        ----------
        cells
            Cells to label.
        found
            Function that returns the label of a cell that another job has computed meanwhile.
        processes
            Number of processes that may share the work.
        """


class BornMethod(ReferenceMethod, Protocol):
    """A DFT code whose settings offer ``born_charges``."""

    def born(self, crystal: Atoms) -> str:
        """Return the text of a BORN file, see :func:`phonsmith.labels.born.born_file`."""


@runtime_checkable
class LoadedMethod(Protocol):
    """A reference method whose settings may hold the volume in all relaxations."""

    def load_of(self, load: Load) -> Load:
        """Return the load that a relaxation has in fact."""


@dataclass(frozen=True)
class Allocation:
    """What a job has for running a code: cores, a folder for its runs, and which try it is.

    Memory and time limits of a run grow with ``attempt``, as the resources of the job do. ``store``
    keeps the steps of relaxations that are labels. No run takes more than ``run_minutes``, see
    :func:`phonsmith.plan.job_resources.most_minutes`.
    """

    cores: int = 1
    work: str | Path = "work"
    attempt: int = 1
    store: LabelStore | None = None
    run_minutes: float = math.inf

    def limit_s(self, minutes: float) -> float:
        """Return the time limit of a run (s), given that of the settings."""
        return 60 * min(minutes * self.attempt, self.run_minutes)

    def here(self) -> "Allocation":
        """Expand the folder for this machine: SLURM sets variables on nodes alone.

        Raises
        ------
        PhonsmithError
            An environment variable in it is not set.
        """
        try:
            return replace(self, work=Path(expanded(str(self.work))).absolute())
        except ValueError as error:
            raise PhonsmithError(
                f"config/site.yaml: scratch: {self.work} (on {socket.gethostname()}): {error}, or "
                "set the variable in `setup`"
            ) from None


@dataclass(frozen=True)
class Failure:
    """A cell that has no label, and why."""

    structure: str
    kind: str
    generation: int
    index: int
    reason: str
    wants: str = ""
    output: str = ""
    """Last lines of what the code has said."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON and tables."""
        return {key: value for key, value in asdict(self).items() if key != "wants"}
