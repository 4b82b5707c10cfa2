"""Inputs of a plan: campaign, crystals, cells, finished work and site."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from ase import Atoms

from phonsmith.campaign.model import Campaign
from phonsmith.distillation.starts import first_cell
from phonsmith.files.errors import PhonsmithError
from phonsmith.supercells.choice import Option


@dataclass(frozen=True)
class Cells:
    """The cells to label of one structure in one generation.

    ``labels`` holds labels found in the label store, None for a cell without label; ``gathered``:
    labelling of this structure has ended, so that a cell without a label has failed. ``problem``
    explains why there are no cells. ``relaxed``: the cells come from the relaxed crystal.
    ``options`` are the ways to the phonons of a grid of wave vectors.
    """

    cells: list[Atoms]
    labels: list[Atoms | None]
    gathered: bool = False
    problem: str = ""
    relaxed: bool = False
    options: Sequence[Option] = ()


@dataclass(frozen=True)
class ThirdOrderCells:
    """Number of cells that third-order force constants of a crystal need, and an example.

    ``problem`` explains why there are none.
    """

    cell: Atoms | None
    count: int | None
    problem: str = ""

    @property
    def cells(self) -> list[Atoms]:
        """As many copies of the cell; none where cell or count are unknown."""
        return [] if self.cell is None else [self.cell] * (self.count or 0)


@dataclass(frozen=True)
class Site:
    """Where jobs go, and limits; None where nothing limits it.

    ``memory_limit_mb`` is what all jobs of this machine may have together (its profile),
    ``max_memory_mb`` and ``max_minutes`` are the largest requests of a cluster job.
    """

    cpu: str = "cpu"
    gpu: str = "gpu"
    memory_limit_mb: float | None = None
    max_memory_mb: float | None = None
    max_minutes: float | None = None

    @property
    def memory(self) -> tuple[float, str] | None:
        """The most memory that a job can have, and where that is set; None without a limit."""
        known = [
            (self.memory_limit_mb, "this machine's profile (mem_mb)"),
            (self.max_memory_mb, "config/site.yaml (max_memory_mb)"),
        ]
        found = [(limit, where) for limit, where in known if limit is not None]
        return min(found) if found else None

    def partition(self, on_gpu: bool) -> str:
        """Return the partition of a job."""
        return self.gpu if on_gpu else self.cpu


def made(stage: str, *names: object) -> str:
    """Return the name under which a finished piece of work is known to a plan.

    For each stage the names are those in the path of its files: structure, element or database;
    generation and fit; and so on.

    >>> made("phonons", 0, "gap", "relaxed", "mp-149")
    'phonons/0/gap/relaxed/mp-149'
    """
    return "/".join([stage, *(str(name) for name in names)])


@dataclass(frozen=True)
class PlanInputs:
    """State of a campaign.

    Attributes
    ----------
    crystals
        The crystals by structure, relaxed where they are already.
    cells
        By generation and structure.
    databases
        Their cells by part (``train``, ``test``); None for a data set that is not at hand.
    third_order
        By structure, if its thermal conductivity is requested.
    done
        What exists, as :func:`made` names it.
    """

    campaign: Campaign
    crystals: Mapping[str, Atoms]
    cells: Mapping[tuple[int, str], Cells]
    databases: Mapping[str, dict[str, Cells] | None] = field(default_factory=dict)
    third_order: Mapping[str, ThirdOrderCells] = field(default_factory=dict)
    done: frozenset[str] = frozenset()
    site: Site = Site()

    @property
    def generations(self) -> list[int]:
        """The generations that are known to come."""
        return sorted({generation for generation, _ in self.cells})

    def is_done(self, stage: str, *names: object) -> bool:
        """Return whether a piece of work exists; names as for :func:`made`."""
        return made(stage, *names) in self.done

    def displaced(self, structure: str) -> list[Atoms]:
        """Return the displaced cells that the phonons of a structure need."""
        first = self.cells.get((0, structure))
        cells = first.cells if first else []
        return [cell for cell in cells if cell.info["kind"] == "displaced"]

    def third_order_cells(self, structure: str) -> list[Atoms]:
        """Return the cells of third-order force constants; none where they are unknown."""
        found = self.third_order.get(structure)
        return found.cells if found else []

    def snapshots(self, name: str) -> list[Atoms]:
        """Return cells of the size and density of all cells of runs.

        Raises
        ------
        PhonsmithError
            There is no such first cell.
        """
        runs = self.campaign.distillation[name]
        start = runs.protocol.typical_cell
        crystal = None if start.structure is None else self.crystals[start.structure]
        cell = first_cell(start, crystal, np.random.default_rng(0))
        cell.info = {"structure": "distilled", "kind": "distilled"}
        return [cell] * (runs.runs * runs.protocol.cells)

    @cached_property
    def driven(self) -> dict[str, list[Atoms] | None]:
        """The snapshots of each driver; None where there is no first cell."""
        found: dict[str, list[Atoms] | None] = {}
        for name in dict(self.campaign.driven):
            try:
                found[name] = self.snapshots(name)
            except PhonsmithError:  # planned_dataset reports it
                found[name] = None
        return found

    def cells_by_structure(self) -> dict[str, list[Atoms]]:
        """Return the cells of all generations."""
        cells: dict[str, list[Atoms]] = {}
        for (_, structure), group in self.cells.items():
            cells.setdefault(structure, []).extend(group.cells)
        return cells

    def relabelled(self) -> dict[str, Cells | None]:
        """Return the whole cells of the data sets that get new labels; None for one not at hand."""
        found: dict[str, Cells | None] = {}
        for name, settings in self.campaign.datasets.databases.items():
            parts = self.databases.get(name)
            if settings.relabel:
                found[name] = None if parts is None else _joined(list(parts.values()))
        return found


def _joined(parts: list[Cells]) -> Cells:
    return Cells(
        [cell for part in parts for cell in part.cells],
        [label for part in parts for label in part.labels],
        gathered=all(part.gathered for part in parts),
    )
