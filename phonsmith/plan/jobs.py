"""What the jobs of a plan ask a cluster for: partition, cores, memory and time limit.

The numbers of DFT jobs are those of :mod:`phonsmith.plan.job_resources`, as the rules take them
once the cells are there; the numbers of fits are in the campaign.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ase import Atoms

from phonsmith.files.errors import PhonsmithError
from phonsmith.fits.registry import takes_gpu
from phonsmith.fits.settings import TrainedFit
from phonsmith.labels.reference import DftReference
from phonsmith.plan.inputs import PlanInputs, Site
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
class JobKind:
    """Jobs of one kind; memory in MB and the time limit in minutes of the largest."""

    what: str
    jobs: int
    partition: str
    cores: int
    memory_mb: float
    minutes: float


def jobs_of(inputs: PlanInputs) -> list[JobKind]:
    """Return the jobs of DFT codes and of fits, one row for each kind.

    Jobs without a row have the fixed numbers of docs/cluster.md.
    """
    campaign, site = inputs.campaign, inputs.site
    kinds = []
    if isinstance(campaign.reference, DftReference):
        kinds += _dft_jobs(inputs, campaign.reference)
    for name, fit in campaign.fits.items():
        if isinstance(fit, TrainedFit):
            asked = fit.resources
            kind = JobKind(
                f"fit {name}",
                1,
                site.partition(takes_gpu(fit)),
                asked.threads,
                asked.memory_mb,
                asked.runtime_minutes,
            )
            kinds.append(_capped(site, kind))
    return kinds


@dataclass(frozen=True)
class _DftJobs:
    """DFT jobs of one kind: batches of each, runs side by side, and what the runs need."""

    what: str
    each: int
    side_by_side: int
    needs: Sequence[Callable[[], Need]]

    def kind(self, inputs: PlanInputs, reference: DftReference) -> JobKind | None:
        """Return the requests of the largest job; None without jobs of known size."""
        found = [_or_nothing(one) for one in self.needs]
        known = [need for need in found if need is not None]
        if not known:
            return None
        memory = reference.memory_mb or max(need.memory_mb for need in known)
        labels = inputs.campaign.labels
        minutes = labels.runtime_minutes or max(need.minutes for need in known)
        kind = JobKind(
            self.what,
            self.each * len(known),
            inputs.site.cpu,
            reference.cores * self.side_by_side,
            math.ceil(JOB_MEMORY_MB + self.side_by_side * memory),
            minutes,
        )
        return _capped(inputs.site, kind)


def _dft_jobs(inputs: PlanInputs, reference: DftReference) -> list[JobKind]:
    kinds = [jobs.kind(inputs, reference) for jobs in _all_dft_jobs(inputs, reference)]
    return [kind for kind in kinds if kind is not None]


def _all_dft_jobs(inputs: PlanInputs, reference: DftReference) -> list[_DftJobs]:
    campaign, crystals, labels = inputs.campaign, inputs.crystals, inputs.campaign.labels
    batches, side = labels.batches_per_structure, labels.side_by_side

    def of_cells(structure: str | None, cells: Sequence[Atoms]) -> Callable[[], Need]:
        return lambda: need_of_labels(
            cells, reference, structure, batches=batches, side_by_side=side
        )

    def of_crystal(structure: str, relaxations: int = 1) -> Callable[[], Need]:
        crystal = crystals[structure]
        return lambda: need_of_crystal(crystal, reference, structure, relaxations=relaxations)

    elements = {symbol for crystal in crystals.values() for symbol in crystal.symbols}
    cells = inputs.cells_by_structure()
    third_order = {name: found.cells for name, found in inputs.third_order.items()}
    relaxed = crystals if campaign.relaxation.reference else {}
    alone = [lambda: need_of_atoms(elements, reference)] if reference.isolated_atoms else []
    uncharged = [name for name in crystals if campaign.structures[name].born is None]
    charged = uncharged if reference.born_charges else []
    sets = [group.cells for group in inputs.relabelled().values() if group and group.cells]
    driven = [
        cells[: campaign.distillation[name].protocol.cells]
        for name, cells in inputs.driven.items()
        if cells
        for _ in range(campaign.distillation[name].runs)
    ]
    pressed = [one for one in campaign.transitions.values() if isinstance(one, PressureTransition)]
    labelled = [of_cells(*group) for group in cells.items() if group[1]]
    third = [of_cells(*group) for group in third_order.items() if group[1]]
    enthalpies = [of_crystal(name, one.relaxations) for one in pressed for name in one.structures]
    return [
        _DftJobs("relaxation", 1, 1, [of_crystal(name) for name in relaxed]),
        _DftJobs("isolated atoms", 1, 1, alone),
        _DftJobs("Born charges", 1, 1, [of_crystal(name) for name in charged]),
        _DftJobs("labels", batches, side, labelled),
        _DftJobs("labels of data sets", batches, side, [of_cells(None, one) for one in sets]),
        _DftJobs("labels of snapshots", batches, side, [of_cells(None, one) for one in driven]),
        _DftJobs("third-order labels", batches, side, third),
        _DftJobs("thermodynamics", 1, side, _thermodynamics(inputs, reference, cells, side)),
        _DftJobs("enthalpies", 1, 1, enthalpies),
    ]


def _thermodynamics(
    inputs: PlanInputs,
    reference: DftReference,
    cells: Mapping[str, Sequence[Atoms]],
    side_by_side: int,
) -> list[Callable[[], Need]]:
    settings = inputs.campaign.thermodynamics
    if settings is None:
        return []

    def of(structure: str) -> Callable[[], Need]:
        displaced = [cell for cell in cells.get(structure, []) if cell.info["kind"] == "displaced"]
        return lambda: need_of_thermodynamics(
            inputs.crystals[structure],
            displaced,
            reference,
            structure,
            settings,
            side_by_side=side_by_side,
        )

    return [of(structure) for structure in inputs.campaign.warmed]


def _or_nothing(need: Callable[[], Need]) -> Need | None:
    try:
        return need()
    except PhonsmithError:  # pseudopotentials may be seen by the nodes alone
        return None


def _capped(site: Site, kind: JobKind) -> JobKind:
    """Restrict jobs to the limits of a cluster."""
    return replace(
        kind,
        memory_mb=min(kind.memory_mb, site.max_memory_mb or math.inf),
        minutes=min(kind.minutes, site.max_minutes or math.inf),
    )
