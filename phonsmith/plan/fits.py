"""Tasks of fits: training and computations with them."""

from collections.abc import Iterator
from dataclasses import dataclass

from ase import Atoms

from phonsmith.datasets.sets import make_dataset
from phonsmith.files.errors import PhonsmithError
from phonsmith.fits.registry import Fit, computes, kind_of, takes_gpu
from phonsmith.fits.settings import TrainedFit
from phonsmith.fits.training import learnable
from phonsmith.plan.applications import Evaluations, evaluations_of_applications
from phonsmith.plan.costs import (
    EOS_AND_ELASTIC_RUNS,
    PHONON_RELAXATION_RUNS,
    fit_cost,
    seconds_per_atom,
)
from phonsmith.plan.inputs import PlanInputs
from phonsmith.plan.tasks import Task
from phonsmith.running.costs import JOB_START_S, UNKNOWN, Cost


@dataclass(frozen=True)
class Dataset:
    """Planned training and test set, without labels; ``problem`` explains why there is none."""

    train: list[Atoms]
    test: list[Atoms]
    problem: str = ""


def planned_dataset(inputs: PlanInputs, generation: int) -> Dataset:
    """Return the data set that the fits of a generation learn from and are tested on."""
    campaign = inputs.campaign
    learnt: list[Atoms] = []
    others: list[Atoms] = []
    for (g, structure), group in inputs.cells.items():
        if g <= generation:
            (learnt if structure in campaign.learnt else others).extend(group.cells)
    parts: dict[str, list[Atoms]] = {"train": [], "test": []}
    for database in inputs.databases.values():
        for part, group in (database or {}).items():
            parts[part] += group.cells
    try:
        for name, runs in campaign.distillation.items():
            parts[runs.use] += inputs.snapshots(name)
        dataset = make_dataset(
            campaign.datasets,
            campaign.seed,
            labels=learnt,
            kinds=None if campaign.recorded else campaign.supercells.kinds,
            test_labels=others,
            crystals={name: inputs.crystals[name] for name in campaign.learnt},
            database_train=parts["train"],
            database_test=parts["test"],
        )
    except PhonsmithError as error:
        return Dataset([], [], str(error))
    return Dataset(dataset.train, dataset.test)


# --- training ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Training:
    """A fit to be trained: the cells it learns from, and what that costs.

    ``problem`` explains why it is unknown.
    """

    generation: int
    name: str
    fit: Fit
    cells: list[Atoms]
    cost: Cost
    done: bool
    problem: str = ""

    @property
    def busy_cores(self) -> int:
        """Cores that compute: gap_fit, for example, keeps one core busy."""
        return kind_of(self.fit).busy_cores(self.fit)


def trainings(inputs: PlanInputs, generation: int, train: list[Atoms]) -> Iterator[Training]:
    """List the trainings of a generation.

    Parameters
    ----------
    inputs
        Campaign and its cells.
    generation
        Number of the generation.
    train
        Training set, without labels.
    """
    for name, fit in inputs.campaign.fits.items():
        if not isinstance(fit, TrainedFit):
            continue
        done = inputs.is_done("fit", generation, name)
        try:
            cells = learnable(train, fit, has_energies=False)
            cost = fit_cost(fit, cells, inputs.campaign.reference.has_stresses)
        except PhonsmithError as error:
            yield Training(generation, name, fit, [], UNKNOWN, done, f"fit {name}: {error}")
        else:
            yield Training(generation, name, fit, cells, cost, done)


def training_task(inputs: PlanInputs, training: Training) -> Task:
    """Return a training."""
    task = Task(
        stage="fit",
        partition=inputs.site.partition(takes_gpu(training.fit)),
        generation=training.generation,
        fit=training.name,
        kind=training.fit.kind,
        runs=1,
        done=int(training.done),
        atoms=sum(len(cell) for cell in training.cells),
        cores=training.fit.resources.threads,
    )
    return task.of_costs([training.cost], [not training.done], training.busy_cores)


# --- force evaluations ---------------------------------------------------------------------------


def evaluation_tasks(inputs: PlanInputs, generation: int, dataset: Dataset) -> Iterator[Task]:
    """List the force evaluations of all fits: errors, phonons, mechanics, applications.

    Parameters
    ----------
    inputs
        Campaign and its cells.
    generation
        Number of the generation.
    dataset
        Training and test set, without labels.
    """
    for name, fit in inputs.campaign.fits.items():
        if not computes(fit):
            continue
        each = seconds_per_atom(fit, list(inputs.crystals.values()))
        for found in _evaluations(inputs, generation, name, dataset):
            seconds = None if each is None else JOB_START_S + each * sum(found.atoms)
            task = Task(
                stage=found.stage,
                partition=inputs.site.partition(takes_gpu(fit)),
                generation=generation,
                fit=name,
                structure=found.structure,
                kind=found.kind,
                runs=len(found.atoms),
                done=len(found.atoms) if found.done else 0,
                atoms=max(found.atoms, default=0),
            )
            yield task.of_costs([Cost(seconds)], [not found.done])


def _evaluations(
    inputs: PlanInputs, generation: int, name: str, dataset: Dataset
) -> Iterator[Evaluations]:
    campaign = inputs.campaign
    if name in campaign.trained:
        atoms = [len(cell) for cell in [*dataset.train, *dataset.test]]
        yield Evaluations(
            "fit errors", "", "", atoms, inputs.is_done("fit errors", generation, name)
        )
    for structure in campaign.benchmarked:
        crystal = len(inputs.crystals[structure])
        displaced = [len(cell) for cell in inputs.displaced(structure)]
        for cell in campaign.phonons.cells:
            steps = PHONON_RELAXATION_RUNS if cell == "relaxed" else 0
            done = inputs.is_done("phonons", generation, name, cell, structure)
            yield Evaluations("phonons", structure, cell, [crystal] * steps + displaced, done)
        if campaign.benchmarks.mechanics and structure in campaign.at_rest:
            done = inputs.is_done("mechanics", generation, name, structure)
            atoms = [crystal] * EOS_AND_ELASTIC_RUNS
            yield Evaluations("mechanics", structure, "", atoms, done)
    yield from evaluations_of_applications(inputs, generation, name)
