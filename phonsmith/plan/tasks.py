"""A plan as data: its tasks, what it has learnt from finished labels, jobs and warnings."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Self

from phonsmith.plan.jobs import JobKind
from phonsmith.running.costs import Cost, ElectronicSize
from phonsmith.supercells.choice import Option

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Task:
    """A row of the plan: some runs of one kind, by default work of unknown size.

    ``stage`` is relaxation, isolated atom, Born charges, label, database, distillation, driver,
    fit, fit errors, phonons, mechanics, thermodynamics, enthalpies, third order or disorder;
    ``fit`` is empty for the reference method.
    ``runs`` are runs of the reference method, trainings, or evaluations of forces; None where it is
    not known yet. ``atoms``, ``electrons``, ``kpoints``, ``plane_waves``, ``hours_per_run`` (wall
    time on ``cores``) and ``memory_mb`` are those of the largest run.
    """

    generation: int = 0
    stage: str
    fit: str = ""
    structure: str = ""
    kind: str = ""
    runs: int | None = None
    done: int = 0
    failed: int = 0
    atoms: int = 0
    electrons: float | None = None
    kpoints: int | None = None
    plane_waves: int | None = None
    cores: int = 1
    hours_per_run: float | None = None
    core_hours: float | None = None
    core_hours_left: float | None = None
    memory_mb: float | None = None
    partition: str

    def of_sizes(self, sizes: Sequence[ElectronicSize]) -> Self:
        """Return the task with the numbers of its largest runs."""
        return replace(
            self,
            electrons=max((size.electrons for size in sizes), default=None),
            kpoints=max((size.kpoints for size in sizes), default=None),
            plane_waves=max((round(size.plane_waves) for size in sizes), default=None),
        )

    def of_costs(
        self, costs: Sequence[Cost], left: Sequence[bool], busy_cores: int | None = None
    ) -> Self:
        """Return the task with time and memory.

        Parameters
        ----------
        costs
            Cost of each run, or the total cost if one job does them all.
        left
            Whether each of the ``costs`` is still to be paid.
        busy_cores
            Number of cores that compute; all by default.
        """
        seconds = [cost.core_seconds for cost in costs]
        longest = _largest(seconds)
        return replace(
            self,
            hours_per_run=None if longest is None else longest / 3600 / (busy_cores or self.cores),
            core_hours=_hours(seconds),
            core_hours_left=_hours(s for s, todo in zip(seconds, left, strict=True) if todo),
            memory_mb=_largest(cost.memory_mb for cost in costs),
        )


COLUMNS = tuple(Task.__dataclass_fields__)


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
