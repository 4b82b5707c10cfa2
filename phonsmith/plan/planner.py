"""The plan of a campaign: what it will compute, and what that costs, before anything runs.

Sizes are those of the cells as they would be made now: from the relaxed crystals where they are
there, and before from the crystals as read, so that k-points and the number of displaced cells may
still change with the relaxation. Costs are estimates of :mod:`phonsmith.plan.costs`; where the
campaign has labels already, their own effort corrects the estimate of those to come.
"""

from collections.abc import Collection, Mapping

from ase import Atoms

from phonsmith.campaign.model import Campaign
from phonsmith.plan.applications import application_tasks
from phonsmith.plan.fits import evaluation_tasks, planned_dataset, training_task, trainings
from phonsmith.plan.inputs import Cells, PlanInputs, Site, ThirdOrderCells
from phonsmith.plan.jobs import jobs_of
from phonsmith.plan.labels import (
    crystal_tasks,
    database_tasks,
    distillation_tasks,
    label_tasks,
)
from phonsmith.plan.limits import (
    warnings_of_campaign,
    warnings_of_reference,
    warnings_of_training,
)
from phonsmith.plan.reference import ReferenceRuns
from phonsmith.plan.tasks import Plan


def make_plan(
    name: str,
    campaign: Campaign,
    crystals: Mapping[str, Atoms],
    cells: Mapping[tuple[int, str], Cells],
    *,
    databases: Mapping[str, dict[str, Cells] | None] | None = None,
    third_order: Mapping[str, ThirdOrderCells] | None = None,
    done: Collection[str] = (),
    site: Site | None = None,
) -> Plan:
    """Plan a campaign.

    Parameters
    ----------
    name
        Name of the campaign.
    campaign
        The campaign.
    crystals, cells, databases, third_order, done, site
        See :class:`phonsmith.plan.inputs.PlanInputs`.

    Raises
    ------
    PhonsmithError
        A pseudopotential that the estimate needs is missing.
    """
    inputs = PlanInputs(
        campaign,
        crystals,
        cells,
        databases=databases or {},
        third_order=third_order or {},
        done=frozenset(done),
        site=site or Site(),
    )
    reference = ReferenceRuns(inputs)
    tasks = [
        *crystal_tasks(inputs, reference),
        *label_tasks(inputs, reference),
        *database_tasks(inputs, reference),
        *distillation_tasks(inputs, reference),
        *application_tasks(inputs, reference),
    ]
    warnings = list(warnings_of_reference(inputs, tasks))
    for generation in inputs.generations:
        dataset = planned_dataset(inputs, generation)
        warnings += filter(None, [dataset.problem])
        for training in trainings(inputs, generation, dataset.train):
            tasks.append(training_task(inputs, training))
            warnings += warnings_of_training(inputs, training)
        tasks += evaluation_tasks(inputs, generation, dataset)
    warnings += warnings_of_campaign(inputs)
    return Plan(
        campaign=name,
        reference=campaign.level_of_theory,
        tasks=tasks,
        warnings=list(dict.fromkeys(warnings)),
        experience=reference.experience,
        as_read=_crystals_as_read(inputs),
        further=_further_generations(inputs),
        jobs=jobs_of(inputs),
        options=[
            (structure, option)
            for (generation, structure), group in inputs.cells.items()
            if generation == 0
            for option in group.options
        ],
    )


def _crystals_as_read(inputs: PlanInputs) -> list[str]:
    """The structures whose crystals are not relaxed yet."""
    campaign = inputs.campaign
    if campaign.recorded is not None or not campaign.relaxation.reference:
        return []
    as_read = {structure for (_, structure), group in inputs.cells.items() if not group.relaxed}
    return [structure for structure in inputs.crystals if structure in as_read]


def _further_generations(inputs: PlanInputs) -> str:
    """Describe the generations that the loop may add."""
    loop, known = inputs.campaign.loop, len(inputs.generations)
    if loop is None or known >= loop.max_generations:
        return ""
    return (
        f"The loop may add up to {loop.max_generations - known} further generations of at most "
        f"{loop.cells_per_structure} cells of each structure, and trains all fits in each; they "
        "are counted once a verdict requests them."
    )
