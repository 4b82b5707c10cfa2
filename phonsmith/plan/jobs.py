"""What the jobs of a plan ask a cluster for: partition, cores, memory and time limit.

The numbers of DFT jobs are those of :mod:`phonsmith.plan.job_resources`, as the rules take them
once the cells are there; those of fits stand in the campaign.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ase import Atoms

from phonsmith.campaign.model import Campaign
from phonsmith.files.errors import PhonsmithError
from phonsmith.fits.registry import takes_gpu
from phonsmith.fits.settings import TrainedFit
from phonsmith.labels.reference import DftReference
from phonsmith.plan.job_resources import (
    JOB_MEMORY_MB,
    Need,
    need_of_atoms,
    need_of_crystal,
    need_of_labels,
    need_of_thermodynamics,
)
from phonsmith.transitions.settings import PressureTransition


@dataclass(frozen=True)
class Site:
    """Where jobs go, and limits; None where nothing limits it.

    ``memory_limit_mb`` is what all jobs of this machine may have together (its profile),
    ``max_memory_mb`` and ``max_minutes`` the most that a job on a cluster may ask for.
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


@dataclass(frozen=True)
class JobKind:
    """Jobs of one kind; memory in MB and the time limit in minutes of the largest."""

    what: str
    jobs: int
    partition: str
    cores: int
    memory_mb: float
    minutes: float


@dataclass(frozen=True)
class Work:
    """The cells of a campaign: crystals, by structure cells of all generations, and others."""

    crystals: Mapping[str, Atoms]
    cells: Mapping[str, Sequence[Atoms]]
    databases: Mapping[str, Sequence[Atoms]]
    third_order: Mapping[str, Sequence[Atoms]]


def jobs_of(campaign: Campaign, work: Work, site: Site) -> list[JobKind]:
    """The jobs of DFT codes and of fits, one row for each kind.

    Jobs without a row have the fixed numbers of docs/cluster.md.
    """
    kinds = []
    if isinstance(campaign.reference, DftReference):
        kinds += _dft_jobs(campaign, campaign.reference, work, site)
    for name, fit in campaign.fits.items():
        if isinstance(fit, TrainedFit):
            asked = fit.resources
            partition = site.gpu if takes_gpu(fit) else site.cpu
            kind = JobKind(
                f"fit {name}",
                1,
                partition,
                asked.threads,
                asked.memory_mb,
                asked.runtime_minutes,
            )
            kinds.append(_capped(site, kind))
    return kinds


def _dft_jobs(campaign: Campaign, reference: DftReference, work: Work, site: Site) -> list[JobKind]:
    labels = campaign.labels
    batches, side = labels.batches_per_structure, labels.side_by_side

    def of_cells(structure: str | None, cells: Sequence[Atoms]) -> Callable[[], Need]:
        return lambda: need_of_labels(
            cells, reference, structure, batches=batches, side_by_side=side
        )

    def of_crystal(structure: str, relaxations: int = 1) -> Callable[[], Need]:
        crystal = work.crystals[structure]
        return lambda: need_of_crystal(crystal, reference, structure, relaxations=relaxations)

    elements = {symbol for one in work.crystals.values() for symbol in one.symbols}
    relaxed = campaign.crystals_relaxed if hasattr(campaign, "crystals_relaxed") else work.crystals
    needs: dict[str, tuple[int, int, list[Callable[[], Need]]]] = {
        "relaxation": (
            1,
            1,
            [of_crystal(name) for name in relaxed] if campaign.relaxation.reference else [],
        ),
        "isolated atoms": (
            1,
            1,
            [lambda: need_of_atoms(elements, reference)] if reference.isolated_atoms else [],
        ),
        "Born charges": (
            1,
            1,
            [
                of_crystal(name)
                for name in work.crystals
                if reference.born_charges and campaign.structures[name].born is None
            ],
        ),
        "labels": (batches, side, [of_cells(*one) for one in work.cells.items() if one[1]]),
        "labels of data sets": (
            batches,
            side,
            [of_cells(None, cells) for cells in work.databases.values() if cells],
        ),
        "third-order labels": (
            batches,
            side,
            [of_cells(*one) for one in work.third_order.items() if one[1]],
        ),
        "thermodynamics": (1, side, list(_thermodynamics(campaign, reference, work, side))),
        "enthalpies": (
            1,
            1,
            [
                of_crystal(name, transition.relaxations)
                for transition in campaign.transitions.values()
                if isinstance(transition, PressureTransition)
                for name in transition.structures
            ],
        ),
    }
    kinds = []
    for what, (each, runs, wanted) in needs.items():
        found = [_or_nothing(one) for one in wanted]
        known = [need for need in found if need is not None]
        if not known:
            continue
        memory = reference.memory_mb or max(need.memory_mb for need in known)
        minutes = labels.runtime_minutes or max(need.minutes for need in known)
        kind = JobKind(
            what,
            each * len(known),
            site.cpu,
            reference.cores * runs,
            math.ceil(JOB_MEMORY_MB + runs * memory),
            minutes,
        )
        kinds.append(_capped(site, kind))
    return kinds


def _thermodynamics(
    campaign: Campaign, reference: DftReference, work: Work, side: int
) -> list[Callable[[], Need]]:
    settings = campaign.thermodynamics
    if settings is None:
        return []

    def of(structure: str) -> Callable[[], Need]:
        cells = [one for one in work.cells.get(structure, []) if one.info["kind"] == "displaced"]
        return lambda: need_of_thermodynamics(
            work.crystals[structure], cells, reference, structure, settings, side_by_side=side
        )

    return [of(structure) for structure in campaign.warmed]


def _or_nothing(need: Callable[[], Need]) -> Need | None:
    try:
        return need()
    except PhonsmithError:  # pseudopotentials may be seen by the nodes alone
        return None


def _capped(site: Site, kind: JobKind) -> JobKind:
    """The same jobs within the limits of a cluster."""
    return replace(
        kind,
        memory_mb=min(kind.memory_mb, site.max_memory_mb or math.inf),
        minutes=min(kind.minutes, site.max_minutes or math.inf),
    )
