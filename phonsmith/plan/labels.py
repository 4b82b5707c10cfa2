"""Tasks of the reference method for crystals, elements, cells and data sets."""

from collections.abc import Iterator

from phonsmith.labels.reference import DftReference
from phonsmith.plan.costs import BORN_RUNS, RELAXATION_STEPS, seconds_per_atom
from phonsmith.plan.inputs import Cells, PlanInputs
from phonsmith.plan.reference import ReferenceRuns
from phonsmith.plan.tasks import Task
from phonsmith.running.costs import JOB_START_S, Cost


def crystal_tasks(inputs: PlanInputs, reference: ReferenceRuns) -> Iterator[Task]:
    """Relaxations, Born charges and isolated atoms."""
    campaign, settings = inputs.campaign, inputs.campaign.reference
    if campaign.recorded:
        return

    def of_crystal(stage: str, structure: str, runs: int) -> Task:
        left = [not inputs.is_done(stage, structure)]
        return reference.task(
            stage, structure, "", [reference.of_crystal(structure, runs)], left=left
        )

    if campaign.relaxation.reference:
        for structure in inputs.crystals:
            yield of_crystal("relaxation", structure, RELAXATION_STEPS)
    if not isinstance(settings, DftReference):
        return
    if settings.born_charges:
        for structure in inputs.crystals:
            if campaign.structures[structure].born is None:
                yield of_crystal("Born charges", structure, BORN_RUNS)
    if settings.isolated_atoms:
        symbols = {
            str(symbol) for crystal in inputs.crystals.values() for symbol in crystal.symbols
        }
        left = [not inputs.is_done("isolated atoms")]
        for element in sorted(symbols):
            run = reference.of_isolated_atom(element)
            yield reference.task("isolated atom", element, "", [run], left=left)


def label_tasks(inputs: PlanInputs, reference: ReferenceRuns) -> Iterator[Task]:
    """Labels, by generation, structure and kind of cell."""
    for (generation, structure), group in inputs.cells.items():
        for kind in dict.fromkeys(cell.info["kind"] for cell in group.cells):
            yield _labels(
                inputs, reference, group, "label", structure, kind=kind, generation=generation
            )


def database_tasks(inputs: PlanInputs, reference: ReferenceRuns) -> Iterator[Task]:
    """Data sets that get new labels; those with their own cost nothing."""
    for database, cells in inputs.relabelled().items():
        if cells is None:
            yield reference.unknown("database", database)
        else:
            yield _labels(inputs, reference, cells, "database", database)


def distillation_tasks(inputs: PlanInputs, reference: ReferenceRuns) -> Iterator[Task]:
    """Runs of the teacher, a label in each step, or of a driver, and labels of its snapshots."""
    for name, runs in inputs.campaign.distillation.items():
        left = [not inputs.is_done("distillation", name, number) for number in range(runs.runs)]
        kind = f"{runs.protocol.kind}, {runs.protocol.steps} steps"
        atoms, steps = runs.protocol.typical_cell.count, runs.protocol.steps
        if runs.driver is None:
            run = reference.of_atoms(atoms).times(steps)
            yield reference.task("distillation", name, kind, [run] * runs.runs, left=left)
            continue
        each = seconds_per_atom(runs.driver)
        seconds = None if each is None else JOB_START_S + each * atoms * steps
        task = Task(
            stage="driver",
            partition=inputs.site.partition(runs.driver.takes_gpu),
            structure=name,
            kind=kind,
            runs=runs.runs,
            done=runs.runs - sum(left),
            atoms=atoms,
        )
        yield task.of_costs([Cost(seconds)] * runs.runs, left)
        cells = inputs.driven[name]
        if cells is None:
            yield reference.unknown("distillation", name)
            continue
        unlabelled = [
            not inputs.is_done("snapshot labels", name, number)
            for number in range(runs.runs)
            for _ in range(runs.protocol.cells)
        ]
        labels = [reference.of_cell(cell) for cell in cells]
        yield reference.task("distillation", name, "snapshots", labels, left=unlabelled)


def _labels(
    inputs: PlanInputs,
    reference: ReferenceRuns,
    group: Cells,
    stage: str,
    structure: str,
    *,
    kind: str = "",
    generation: int = 0,
) -> Task:
    """The labels of a group, of one kind of cell or, without ``kind``, of all."""
    chosen = [
        (cell, label)
        for cell, label in zip(group.cells, group.labels, strict=True)
        if kind in ("", cell.info["kind"])
    ]
    free = inputs.campaign.recorded is not None
    missing = [label is None and not free for _, label in chosen]
    over = group.gathered and any(label is not None for label in group.labels)
    return reference.task(
        stage,
        structure,
        kind,
        [reference.of_cell(cell) for cell, _ in chosen],
        left=[without and not over for without in missing],
        failed=sum(missing) if over else 0,
        generation=generation,
    )
