"""Warnings: exceeded limits, impossible tasks, unknown costs."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

from ase import Atoms

from phonsmith.campaign.model import Campaign
from phonsmith.fits.registry import Fit, kind_of, potential_named, takes_gpu
from phonsmith.labels.reference import DftReference
from phonsmith.labels.registry import potential_of
from phonsmith.plan.costs import BORN_RUNS, RELAXATION_STEPS, fit_cost, seconds_per_atom
from phonsmith.plan.fits import Training
from phonsmith.plan.inputs import PlanInputs
from phonsmith.plan.job_resources import JOB_MEMORY_MB, MEMORY_FACTOR
from phonsmith.plan.tasks import Task
from phonsmith.running.costs import Cost

GOOD_JOB_MINUTES = 120.0
LONG_JOB_MINUTES = 480.0
"""How long a labelling job on a cluster should take: much longer than it takes to start."""

TYPICAL_BULK_MODULUS_GPA = 100.0
"""Value of silicon, to estimate volumes under pressure before the crystal is computed."""


# --- the reference method ------------------------------------------------------------------------


def warnings_of_reference(inputs: PlanInputs, tasks: Iterable[Task]) -> Iterator[str]:
    """Tasks of the reference method against its limits, and data sets that are not counted."""
    reference = inputs.campaign.reference
    for (stage, _, name), group in groupby(
        tasks, lambda task: (task.stage, task.generation, task.structure)
    ):
        together = list(group)
        if stage == "database" and together[0].runs is None:
            yield f"database {name}: not downloaded yet, its cells are not counted"
        elif isinstance(reference, DftReference) and stage != "driver":
            snapshots = stage == "distillation"
            key = f"distillation.{name}.protocol.start.atoms"
            for task in together:
                size = key if snapshots else size_key(inputs.campaign)
                yield from _warnings_of_run(task, reference, size)
            if snapshots or stage in ("label", "database"):
                groups = inputs.campaign.distillation[name].runs if snapshots else 1
                what = f"{stage} {name}"
                yield from _warnings_of_batches(inputs, reference, what, together, groups)


def size_key(campaign: Campaign) -> str:
    """Return what to lower for smaller supercells, as an advice."""
    return "supercells.grid" if campaign.supercells.grid is not None else "supercells.max_atoms"


def _warnings_of_run(task: Task, reference: DftReference, size: str) -> Iterator[str]:
    """One run against the limits of the reference; ``size`` is the key of smaller supercells."""
    if not task.core_hours_left:
        return
    what = " ".join(filter(None, [task.stage, task.structure, task.kind]))
    limit = reference.memory_mb
    if limit is not None and task.memory_mb is not None and task.memory_mb > limit:
        yield (
            f"{what}: a run may need {task.memory_mb:.0f} MB, more than reference.memory_mb = "
            f"{limit}; raise it, or lower {size}"
        )
    # a relaxation is a chain of runs, each with the limit
    relaxing = task.stage in ("relaxation", "enthalpies") or task.kind == "relaxation"
    steps = BORN_RUNS if task.stage == "Born charges" else RELAXATION_STEPS if relaxing else 1
    minutes = 60 * (task.hours_per_run or 0.0) / steps
    if minutes > reference.time_limit_minutes:
        yield (
            f"{what}: a run may need {minutes:.0f} minutes, more than reference.time_limit_minutes "
            f"= {reference.time_limit_minutes:g}; raise it, use more cores, or lower {size}"
        )


def _warnings_of_batches(
    inputs: PlanInputs, reference: DftReference, what: str, tasks: Sequence[Task], groups: int
) -> Iterator[str]:
    """A job with its batch of one of the groups of these cells against time and memory of a job."""
    labels = inputs.campaign.labels
    each = max(MEMORY_FACTOR * (task.memory_mb or 0.0) for task in tasks)
    memory = JOB_MEMORY_MB + labels.side_by_side * (reference.memory_mb or each)
    limit = inputs.site.memory_limit_mb
    if limit is not None and memory > limit:
        yield (
            f"labels: a job requests {memory:.0f} MB (labels.side_by_side times the memory of a "
            f"run), more than the {limit:.0f} MB of this machine's profile; lower "
            "labels.side_by_side, raise mem_mb in profiles/local if the machine has more, or use "
            "profiles/slurm"
        )
    hours = sum(task.core_hours_left or 0.0 for task in tasks) / reference.cores / groups
    minutes = 60 * hours / labels.batches_per_structure / labels.side_by_side
    if labels.runtime_minutes is None:
        cells = sum(task.runs or 0 for task in tasks) // groups
        yield from _advice_on_batches(what, minutes, labels.batches_per_structure, cells)
    elif minutes > labels.runtime_minutes:
        yield (
            f"{what}: a job may need {minutes:.0f} minutes, more than labels.runtime_minutes = "
            f"{labels.runtime_minutes}; raise it or labels.batches_per_structure (finished labels "
            "are kept at the time limit)"
        )


def _advice_on_batches(what: str, minutes: float, batches: int, cells: int) -> Iterator[str]:
    """A job of many hours waits long in a queue, and labels its cells one after the other."""
    better = min(cells, math.ceil(batches * minutes / GOOD_JOB_MINUTES))
    if minutes > LONG_JOB_MINUTES and better > batches:
        yield (
            f"{what}: {batches} {'job' if batches == 1 else 'jobs'} of "
            f"{minutes / 60:.0f} hours; on a cluster labels.batches_per_structure: {better} "
            "spreads the cells over more nodes"
        )


# --- trainings -----------------------------------------------------------------------------------


def warnings_of_training(inputs: PlanInputs, training: Training) -> Iterator[str]:
    """Memory and time of a training against its resources and the limits of the site."""
    if training.problem:
        yield training.problem
    if training.done:
        return
    resources, memory = training.fit.resources, training.cost.memory_mb
    most = inputs.site.memory
    if most is not None and memory is not None and memory > most[0]:
        yield (
            f"fit {training.name}: may need {memory:.0f} MB, more than the {most[0]:.0f} MB of "
            f"{most[1]}; {_smaller(inputs, training, most[0], lambda cost: cost.memory_mb)}"
        )
    elif memory is not None and memory > resources.memory_mb:
        yield (
            f"fit {training.name}: may need {memory:.0f} MB, more than resources.memory_mb = "
            f"{resources.memory_mb}; raise it"
        )
    if takes_gpu(training.fit):
        return
    busy, longest = training.busy_cores, inputs.site.max_minutes
    minutes = (training.cost.core_seconds or 0.0) / 60 / busy
    if longest is not None and minutes > longest:
        limit = 60 * longest * busy
        yield (
            f"fit {training.name}: may need {minutes:.0f} minutes, more than the {longest:.0f} of "
            "config/site.yaml (max_minutes); "
            + _smaller(inputs, training, limit, lambda cost: cost.core_seconds)
        )
    elif minutes > resources.runtime_minutes:
        yield (
            f"fit {training.name}: may need {minutes:.0f} minutes, more than "
            f"resources.runtime_minutes = {resources.runtime_minutes}; raise it"
        )


def _smaller(
    inputs: PlanInputs,
    training: Training,
    limit: float,
    cost_of: Callable[[Cost], float | None],
) -> str:
    """What to lower, and to what, so that an amount of memory or time is within its limit."""
    fit, cells = training.fit, training.cells
    stresses = inputs.campaign.reference.has_stresses

    def amount(fit: Fit, cells: Sequence[Atoms]) -> float:
        return cost_of(fit_cost(fit, cells, stresses)) or 0.0

    largest = max((len(cell) for cell in cells), default=0)
    always = amount(fit, [])
    share = (0.9 * limit - always) / max(amount(fit, cells) - always, 1e-9)
    ways = []
    if share > 0:
        atoms = math.floor(share * largest)
        size = f"about {atoms} (with min_length_angstrom)"
        if inputs.campaign.supercells.grid is not None:
            size = f"cells of about {atoms} atoms"
        ways.append(f"{size_key(inputs.campaign)} to {size}")
    for key, lower in kind_of(fit).smaller(fit):
        fitting = (value for value, one in lower if amount(one, cells) <= 0.9 * limit)
        if (value := next(fitting, None)) is not None:
            ways.append(f"{key} to {value}")
    if not ways:
        return "no smaller setting suffices; use a larger machine"
    return f"lower {', or '.join(ways)} (cells have up to {largest} atoms)"


# --- the campaign --------------------------------------------------------------------------------


def warnings_of_campaign(inputs: PlanInputs) -> Iterator[str]:
    """Cells that cannot be made, speeds that are not known, volumes that no fit learns."""
    yield from _problems_of_cells(inputs)
    yield from _unknown_speeds(inputs.campaign)
    yield from volumes_not_learnt(inputs.campaign)


def _problems_of_cells(inputs: PlanInputs) -> Iterator[str]:
    for (_, structure), group in inputs.cells.items():
        if group.problem:
            prefix = "" if group.problem.startswith(f"{structure}:") else f"{structure}: "
            yield prefix + group.problem
    for structure, found in inputs.third_order.items():
        if found.problem:
            yield f"{structure}: {found.problem}"


def _unknown_speeds(campaign: Campaign) -> Iterator[str]:
    potential = potential_of(campaign.reference)
    if potential and seconds_per_atom(potential) is None:
        yield (
            f"reference: the speed of {campaign.level_of_theory} is unknown; run `snakemake plan` "
            "again when some labels are done"
        )
    for name, fit in campaign.fits.items():
        named = potential_named(fit)
        if named and seconds_per_atom(named) is None:
            yield f"fit {name}: unknown speed of {named.calculator}"


def volumes_not_learnt(campaign: Campaign) -> list[str]:
    """List where applications leave the range of volumes that the fits learn from."""
    if campaign.recorded or not campaign.trained or "rattled" not in campaign.supercells.kinds:
        return []
    factors = campaign.supercells.rattled.volume_factors
    learnt = f"the rattled cells span {min(factors):g} to {max(factors):g} times the volume at rest"
    remedy = "widen supercells.rattled.volume_factors"
    found = []
    if campaign.thermodynamics:
        low, high = (1 + change / 100 for change in campaign.thermodynamics.first_volumes_percent)
        if low < min(factors) or high > max(factors):
            found.append(
                f"thermodynamics uses the fits at {low:g} to {high:g} times the volume at rest, "
                f"but {learnt}; {remedy}"
            )
    pressures = [
        pressure
        for transition in campaign.transitions.values()
        if transition.driven_by == "pressure"
        for pressure in transition.pressures_gpa
    ]
    highest = max(pressures, default=0.0)
    least = 1 - highest / TYPICAL_BULK_MODULUS_GPA
    if highest and least < min(factors):
        found.append(
            f"transitions uses the fits at pressures up to {highest:g} GPa, but {learnt}; {remedy} "
            f"(a bulk modulus of B GPa: down to about 1 - {highest:g}/B)"
        )
    return found
