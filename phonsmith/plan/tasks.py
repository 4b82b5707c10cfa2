"""A plan as data: its tasks, what it has learnt from finished labels, jobs and warnings."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING

from phonsmith.plan.jobs import JobKind
from phonsmith.running.costs import UNKNOWN, Cost, ElectronicSize
from phonsmith.supercells.choice import Option

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Task:
    """A row of the plan: some runs of one kind.

    ``stage`` is relaxation, isolated atom, Born charges, label, database, distillation, driver,
    fit, fit errors, phonons, mechanics, thermodynamics, enthalpies, third order or disorder;
    ``fit`` is empty for the reference method.
    ``runs`` are runs of the reference method, trainings, or evaluations of forces; None where it is
    not known yet. ``atoms``, ``electrons``, ``kpoints``, ``plane_waves``, ``hours_per_run`` (wall
    time on ``cores``) and ``memory_mb`` are those of the largest run.
    """

    generation: int
    stage: str
    fit: str
    structure: str
    kind: str
    runs: int | None
    done: int
    failed: int
    atoms: int
    electrons: float | None
    kpoints: int | None
    plane_waves: int | None
    cores: int
    hours_per_run: float | None
    core_hours: float | None
    core_hours_left: float | None
    memory_mb: float | None
    partition: str


COLUMNS = tuple(Task.__dataclass_fields__)


def make_task(
    stage: str,
    partition: str,
    *,
    generation: int = 0,
    fit: str = "",
    structure: str = "",
    kind: str = "",
    runs: int | None = None,
    done: int = 0,
    failed: int = 0,
    atoms: int = 0,
    sizes: Sequence[ElectronicSize] = (),
    costs: Sequence[Cost] = (UNKNOWN,),
    left: Sequence[bool] = (True,),
    cores: int = 1,
    busy: int | None = None,
) -> Task:
    """Build a task from the costs of its runs; by default work of unknown size.

    Parameters
    ----------
    stage
        Name of the stage.
    partition
        Partition of the cluster.
    generation
        Number of the generation.
    fit
        Id of the fit.
    structure
        Id of the structure.
    kind
        Kind of the cells.
    runs, done, failed, atoms
        See :class:`Task`.
    sizes
        Sizes of the runs that have one.
    costs
        Cost of each run, or the total cost if one job does them all.
    left
        Whether each of the ``costs`` is still to be paid.
    cores
        Cores of a run.
    busy
        Number of cores that compute; all by default.
    """
    seconds = [cost.core_seconds for cost in costs]
    longest = _largest(seconds)
    return Task(
        generation=generation,
        stage=stage,
        fit=fit,
        structure=structure,
        kind=kind,
        runs=runs,
        done=done,
        failed=failed,
        atoms=atoms,
        electrons=max((size.electrons for size in sizes), default=None),
        kpoints=max((size.kpoints for size in sizes), default=None),
        plane_waves=max((round(size.plane_waves) for size in sizes), default=None),
        cores=cores,
        hours_per_run=None if longest is None else longest / 3600 / (busy or cores),
        core_hours=_hours(seconds),
        core_hours_left=_hours(s for s, todo in zip(seconds, left, strict=True) if todo),
        memory_mb=_largest(cost.memory_mb for cost in costs),
        partition=partition,
    )


def _largest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _hours(seconds: Iterable[float | None]) -> float | None:
    """Sum in hours; None where a summand is unknown."""
    values = list(seconds)
    known = [value for value in values if value is not None]
    return math.fsum(known) / 3600 if len(known) == len(values) else None


@dataclass(frozen=True)
class Experience:
    """How long the campaign's finished labels took against the estimate.

    ``ratio`` is the median of measured over estimated core seconds, ``low`` and ``high`` the 10th
    and 90th percentile; ``memory_ratio`` the largest of measured over estimated memory.
    """

    labels: int
    ratio: float = 1.0
    low: float = 1.0
    high: float = 1.0
    memory_ratio: float = 1.0

    def corrected(self, cost: Cost) -> Cost:
        """Return an estimate, corrected by the finished labels."""
        seconds, memory = cost.core_seconds, cost.memory_mb
        return Cost(
            None if seconds is None else seconds * self.ratio,
            None if memory is None else memory * self.memory_ratio,
        )


@dataclass(frozen=True)
class Plan:
    """The plan of one campaign."""

    campaign: str
    reference: str
    tasks: list[Task]
    warnings: list[str]
    experience: Experience
    as_read: list[str] = field(default_factory=list)
    """Structures whose crystals are not relaxed yet."""
    further: str = ""
    """Description of the generations that the loop may add."""
    jobs: list[JobKind] = field(default_factory=list)
    """Resources requested by DFT jobs and fits."""
    options: list[tuple[str, Option]] = field(default_factory=list)
    """Structures and the ways to their phonons on a grid of wave vectors."""

    def table(self) -> "pd.DataFrame":
        """Return one row for each task, with the campaign in front."""
        import pandas as pd

        table = pd.DataFrame([asdict(task) for task in self.tasks], columns=list(COLUMNS))
        table.insert(0, "campaign", self.campaign)
        counts = ("runs", "electrons", "kpoints", "plane_waves")
        return table.astype(dict.fromkeys(counts, "Int64"))

    def jobs_table(self) -> "pd.DataFrame":
        """Return one row for each kind of jobs, with the campaign in front."""
        import pandas as pd

        names = [one.name for one in fields(JobKind)]
        table = pd.DataFrame([asdict(job) for job in self.jobs], columns=names)
        table.insert(0, "campaign", self.campaign)
        return table
