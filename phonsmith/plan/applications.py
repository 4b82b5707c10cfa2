"""Applications: tasks of the reference method, and force evaluations of fits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from phonsmith.campaign.model import Campaign
from phonsmith.disorder.settings import SideBySide
from phonsmith.plan.costs import PHONON_RELAXATION_RUNS, RELAXATION_STEPS
from phonsmith.plan.inputs import PlanInputs
from phonsmith.plan.reference import ReferenceRuns, Run
from phonsmith.plan.tasks import Task
from phonsmith.transitions.settings import PressureTransition


def application_tasks(inputs: PlanInputs, reference: ReferenceRuns) -> Iterator[Task]:
    """What the reference method computes for applications."""
    campaign = inputs.campaign
    if campaign.recorded:
        return

    def task(names: tuple[str, ...], kind: str, runs: Sequence[Run]) -> Task:
        """Runs that are done together; ``names``: stage, names of its files, crystal last."""
        left = not inputs.is_done(*names)
        return reference.task(names[0], names[-1], kind, runs, left=[left] * len(runs))

    def relaxations(structure: str, times: int) -> list[Run]:
        return [reference.of_crystal(structure, RELAXATION_STEPS)] * times

    if thermal := campaign.thermodynamics:
        for structure in campaign.warmed:
            names = ("thermodynamics", "reference", structure)
            yield task(names, "relaxation", relaxations(structure, thermal.relaxations))
            cells = [reference.of_cell(cell) for cell in inputs.displaced(structure)]
            yield (
                task(names, "displaced", cells * thermal.vibrations)
                if cells
                else reference.unknown("thermodynamics", structure)
            )
    for name, transition in _pressed(campaign):
        for structure in transition.structures:
            runs = relaxations(structure, transition.relaxations)
            yield task(("enthalpies", "reference", name, structure), name, runs)
    for structure in campaign.conducting:
        cells = [reference.of_cell(cell) for cell in inputs.third_order_cells(structure)]
        yield (
            task(("third order", "reference", structure), "displaced", cells)
            if cells
            else reference.unknown("third order", structure)
        )
    for run, made in _disordered(campaign, "reference"):
        steps = reference.of_atoms(made.protocol.start.count).times(made.protocol.steps)
        yield task(("disorder", "reference", run), made.protocol.kind, [steps])


@dataclass(frozen=True)
class Evaluations:
    """Force evaluations of a fit that one job does; ``atoms`` are those of each."""

    stage: str
    structure: str
    kind: str
    atoms: list[int]
    done: bool


def evaluations_of_applications(
    inputs: PlanInputs, generation: int, fit: str
) -> Iterator[Evaluations]:
    """List the applications of a fit in a generation.

    Parameters
    ----------
    inputs
        Campaign and its cells.
    generation
        Number of the generation.
    fit
        Id of the fit.

    Returns
    -------
    All applications in the last generation, and those that the loop requires in every generation.
    """
    campaign = inputs.campaign
    last = generation == inputs.generations[-1]
    of_loop = _asked_in_all_generations(campaign) if fit in campaign.trained else set()
    for names, atoms in _evaluations(inputs, fit):
        stage, *others = names
        if last or names in of_loop:
            done = inputs.is_done(stage, f"{fit}/gen{generation}", *others)
            yield Evaluations(stage, others[-1], "", atoms, done)


def _evaluations(inputs: PlanInputs, fit: str) -> Iterator[tuple[tuple[str, ...], list[int]]]:
    """Stage, names of its files, and atoms of each force evaluation."""
    campaign = inputs.campaign

    def relaxations(structure: str, times: int) -> list[int]:
        return [len(inputs.crystals[structure])] * (PHONON_RELAXATION_RUNS * times)

    if thermal := campaign.thermodynamics:
        for structure in campaign.warmed:
            displaced = [len(cell) for cell in inputs.displaced(structure)] * thermal.vibrations
            relaxed = relaxations(structure, thermal.relaxations)
            yield ("thermodynamics", structure), relaxed + displaced
    for name, transition in _pressed(campaign):
        for structure in transition.structures:
            atoms = relaxations(structure, transition.relaxations)
            yield ("enthalpies", name, structure), atoms
    for structure in campaign.conducting:
        if cells := inputs.third_order_cells(structure):
            yield ("third order", structure), [len(cell) for cell in cells]
    for run, runs in _disordered(campaign, fit) if fit in campaign.disordering else ():
        yield ("disorder", run), [runs.protocol.start.count] * runs.protocol.steps


def _disordered(campaign: Campaign, method: str) -> Iterator[tuple[str, SideBySide]]:
    """PROTOCOL/NUMBER of each run of the reference method or of a fit, and its settings."""
    for name, runs in campaign.disorder.runs.items() if campaign.disorder else ():
        yield from ((f"{name}/{number}", runs) for number in range(runs.count(method)))


def _pressed(campaign: Campaign) -> Iterator[tuple[str, PressureTransition]]:
    for name, transition in campaign.transitions.items():
        if isinstance(transition, PressureTransition):
            yield name, transition


def _asked_in_all_generations(campaign: Campaign) -> set[tuple[str, ...]]:
    """Stage, transition where there is one, and crystal of what the loop asks every fit for."""
    found: set[tuple[str, ...]] = {("third order", name) for name in campaign.conducting_in_loop}
    for key in campaign.transitions_in_loop:
        transition = campaign.transitions[key]
        stages: list[tuple[str, ...]] = []
        if isinstance(transition, PressureTransition):
            stages.append(("enthalpies", key))
        if transition.driven_by == "temperature" or transition.temperatures_kelvin:
            stages.append(("thermodynamics",))
        found |= {(*stage, name) for stage in stages for name in transition.structures}
    return found
