"""The plan of a campaign: what it will compute, and what that costs, before anything runs.

Sizes are those of the cells as they would be made now: from the relaxed crystals where they are
there, and before from the crystals as read, so that k-points and the number of displaced cells may
still change with the relaxation. Costs are estimates of :mod:`phonsmith.plan.costs`; where the
campaign has labels already, their own effort corrects the estimate of those to come.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms

from phonsmith.campaign.model import Campaign
from phonsmith.datasets.sets import make_dataset
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import read_frames
from phonsmith.fits.existing.settings import ExistingFit
from phonsmith.fits.gap.settings import GapFit
from phonsmith.fits.mace.settings import MaceFit
from phonsmith.fits.recorded.settings import RecordedFit
from phonsmith.fits.registry import Fit, takes_gpu
from phonsmith.fits.settings import TrainedFit
from phonsmith.fits.training import learnable
from phonsmith.labels.calculator.settings import CalculatorReference
from phonsmith.labels.checks import unlabelled
from phonsmith.labels.provenance import Provenance
from phonsmith.labels.recorded.reading import load_recorded
from phonsmith.labels.recorded.settings import RecordedReference
from phonsmith.labels.reference import DftReference
from phonsmith.plan.costs import (
    BORN_RUNS,
    EOS_AND_ELASTIC_RUNS,
    PHONON_RELAXATION_RUNS,
    RELAXATION_STEPS,
    electronic_size,
    fit_cost,
    isolated_atom_size,
    label_cost,
    seconds_per_atom,
)
from phonsmith.plan.job_resources import JOB_MEMORY_MB, MEMORY_FACTOR
from phonsmith.plan.jobs import JobKind, Site, Work, jobs_of
from phonsmith.running.costs import JOB_START_S, UNKNOWN, Cost, ElectronicSize
from phonsmith.supercells.cells import make_supercells
from phonsmith.supercells.settings import Supercells
from phonsmith.transitions.settings import PressureTransition

if TYPE_CHECKING:
    import pandas as pd

    from phonsmith.labels.protocol import ReferenceMethod
    from phonsmith.labels.store import LabelStore

GOOD_JOB_MINUTES = 120.0
LONG_JOB_MINUTES = 480.0
"""How long a labelling job on a cluster should take: much longer than it takes to start."""

TYPICAL_BULK_MODULUS_GPA = 100.0
"""To judge pressures by before anything is known: that of silicon."""


# --- what a plan is made of ----------------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """A row of the plan: some runs of one kind.

    ``stage`` is relaxation, isolated atom, Born charges, label, database, fit, fit errors, phonons,
    mechanics, thermodynamics, enthalpies or third order; ``fit`` is empty for the reference method.
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
    """What the loop may add, in words."""
    jobs: list[JobKind] = field(default_factory=list)
    """What DFT jobs and fits ask for."""

    def table(self) -> "pd.DataFrame":
        """One row for each task, with the campaign in front."""
        import pandas as pd

        table = pd.DataFrame([asdict(task) for task in self.tasks], columns=list(COLUMNS))
        table.insert(0, "campaign", self.campaign)
        counts = ("runs", "electrons", "kpoints", "plane_waves")
        return table.astype(dict.fromkeys(counts, "Int64"))


def volumes_not_learnt(campaign: Campaign) -> list[str]:
    """Where applications leave the range of volumes that the fits learn from, a line each."""
    if campaign.recorded or not campaign.trained or "rattled" not in campaign.supercells.kinds:
        return []
    factors = campaign.supercells.rattled.volume_factors
    learnt = f"the rattled cells span {min(factors):g} to {max(factors):g} times the volume at rest"
    remedy = "widen supercells.rattled.volume_factors"
    found = []
    if campaign.thermodynamics:
        low, high = (1 + one / 100 for one in campaign.thermodynamics.first_volumes_percent)
        if low < min(factors) or high > max(factors):
            found.append(
                f"thermodynamics asks the fits for {low:g} to {high:g} times the volume at rest, "
                f"but {learnt}; {remedy}"
            )
    pressed = [one for one in campaign.transitions.values() if one.driven_by == "pressure"]
    highest = max((max(one.pressures_gpa) for one in pressed), default=0.0)
    least = 1 - highest / TYPICAL_BULK_MODULUS_GPA
    if highest and least < min(factors):
        found.append(
            f"transitions asks the fits for pressures up to {highest:g} GPa, but {learnt}; {remedy}"
            f" (a bulk modulus of B GPa: down to about 1 - {highest:g}/B)"
        )
    return found


@dataclass(frozen=True)
class Cells:
    """The cells to label of one structure in one generation.

    ``labels`` are those found in the label store, None for a cell without one; ``gathered`` says
    that labelling this structure is over, so that what has no label has failed. ``problem`` says
    why there are no cells. ``relaxed`` is whether they come from the relaxed crystal.
    """

    cells: list[Atoms]
    labels: list[Atoms | None]
    gathered: bool = False
    problem: str = ""
    relaxed: bool = False


@dataclass(frozen=True)
class ThirdOrderCells:
    """How many cells third-order force constants of a crystal ask for, and one of them.

    ``problem`` says why there are none.
    """

    cell: Atoms | None
    count: int | None
    problem: str = ""


def made(stage: str, *names: object) -> str:
    """The name under which a finished piece of work is known to :func:`make_plan`.

    E.g. ``made("phonons", 0, "gap", "relaxed", "mp-149")``; for each stage the names are those that
    its files go by: structure, element or database; generation and fit; and so on.
    """
    return "/".join([stage, *(str(name) for name in names)])


def finished_labels(
    cells: Sequence[Atoms], store: "LabelStore", method: "ReferenceMethod", known: Mapping[str, Any]
) -> list[Atoms | None]:
    """The labels of the cells that the store has.

    Where the code cannot be run here, so that its version is not known, the latest labels with the
    ``known`` settings count as the present ones.
    """
    from phonsmith.labels.store import LabelStore

    if not store.folder.is_dir():
        return [None] * len(cells)
    prints: dict[frozenset[str], str | None] = {}
    labels = []
    for cell in cells:
        elements = frozenset(cell.symbols)
        if elements not in prints:
            try:
                prints[elements] = method.fingerprint(elements)
            except PhonsmithError:
                prints[elements] = store.latest_fingerprint(elements, known)
        fingerprint = prints[elements]
        labels.append(store.get(LabelStore.key(cell, fingerprint)) if fingerprint else None)
    return labels


# --- cells to come -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Request:
    """Which cells are asked for: those of one crystal in one generation.

    Settings are plain data. Where cells are made, ``supercells`` and ``seed`` matter, and beyond
    generation 0 ``count``, how many the loop has asked for; ``chosen`` is the file of those that
    were chosen already. Where they are recorded, ``reference``, ``mirrors`` and ``sources`` do.
    ``verdict`` is the file that may say that the crystal is left out.
    """

    structure: str
    settings: dict[str, Any]
    crystal: Atoms
    generation: int
    supercells: dict[str, Any] | None
    seed: int | None
    reference: dict[str, Any]
    mirrors: list[str]
    sources: str
    count: int = 0
    chosen: str | None = None
    left_out: str = ""


def cells_to_come() -> Callable[[Request], tuple[list[Atoms], str]]:
    """A function, for worker processes, that gives the cells, or none and the reason in words."""
    return _cells_or_reason


def _cells_or_reason(request: Request) -> tuple[list[Atoms], str]:
    try:
        if request.left_out:
            return [], request.left_out
        return _cells(request), ""
    except PhonsmithError as error:  # a plan tells what cannot be done
        return [], str(error)


def _cells(request: Request) -> list[Atoms]:
    if request.chosen:
        return read_frames(request.chosen)
    structure = request.settings  # without its origin in a database
    if structure["recorded"]:
        reference = RecordedReference.model_validate(request.reference).of(structure)
        recorded = load_recorded(
            reference,
            structure["recorded"],
            request.mirrors,
            request.sources,
            request.structure,
            crystal=structure["file"],
            supercell=structure["recorded_supercell"],
        )
        return unlabelled(recorded.frames)
    settings = Supercells.model_validate(request.supercells)
    if request.generation > 0:
        if not request.count:
            return []
        rattled = settings.rattled.model_copy(update={"count": request.count})
        settings = settings.model_copy(update={"rattled": rattled})
    _, cells = make_supercells(
        request.structure, request.crystal, settings, request.seed or 0, request.generation
    )
    return cells


# --- making it -----------------------------------------------------------------------------------


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
    """The plan of a campaign.

    Parameters
    ----------
    crystals
        The crystals by structure, relaxed where they are already.
    cells
        By generation and structure.
    databases
        Their cells by part (``train``, ``test``); None for a data set that is not at hand.
    third_order
        By structure, for those whose thermal conductivity is asked for.
    done
        What exists, as :func:`made` names it.

    Raises
    ------
    PhonsmithError
        Something is missing that the estimate needs: a pseudopotential.
    """
    planner = _Planner(
        campaign,
        crystals,
        cells,
        databases=databases or {},
        third_order=third_order or {},
        done=set(done),
        site=site or Site(),
    )
    return planner.plan(name)


class _Planner:
    """Collects tasks and warnings of one campaign."""

    def __init__(
        self,
        campaign: Campaign,
        crystals: Mapping[str, Atoms],
        cells: Mapping[tuple[int, str], Cells],
        *,
        databases: Mapping[str, dict[str, Cells] | None],
        third_order: Mapping[str, ThirdOrderCells],
        done: set[str],
        site: Site,
    ) -> None:
        self.campaign = campaign
        self.crystals = crystals
        self.cells = cells
        self.databases = databases
        self.third_order = third_order
        self.done = done
        self.site = site
        self.generations = sorted({generation for generation, _ in cells})
        self.warnings: list[str] = []
        self.costs: dict[int, tuple[Cost, ElectronicSize | None]] = {}
        self.experience = Experience(0)

    def plan(self, name: str) -> Plan:
        self.experience = self._experience()
        tasks = [*self._crystals(), *self._labels(), *self._databases(), *self._applications()]
        for generation in self.generations:
            tasks += self._fits(generation)
        self._warn_of_problems()
        self.warnings += volumes_not_learnt(self.campaign)
        relaxable = self.campaign.recorded is None and self.campaign.relaxation.reference
        as_read = {structure for (_, structure), one in self.cells.items() if not one.relaxed}
        return Plan(
            campaign=name,
            reference=self.campaign.level_of_theory,
            tasks=tasks,
            warnings=list(dict.fromkeys(self.warnings)),
            experience=self.experience,
            as_read=[one for one in self.crystals if relaxable and one in as_read],
            further=self._further(),
            jobs=jobs_of(self.campaign, self._work(), self.site),
        )

    def _work(self) -> Work:
        """The cells that jobs have to label, done or not."""
        cells: dict[str, list[Atoms]] = {}
        for (_, structure), group in self.cells.items():
            cells.setdefault(structure, []).extend(group.cells)
        relabelled = {
            name: [cell for part in parts.values() for cell in part.cells]
            for name, parts in self.databases.items()
            if parts and self.campaign.datasets.databases[name].relabel
        }
        third_order = {
            name: [found.cell] * found.count
            for name, found in self.third_order.items()
            if found.cell is not None and found.count
        }
        return Work(self.crystals, cells, relabelled, third_order)

    def _further(self) -> str:
        loop, known = self.campaign.loop, len(self.generations)
        if loop is None or known >= loop.max_generations:
            return ""
        return (
            f"The loop may add up to {loop.max_generations - known} further generations of at most "
            f"{loop.cells_per_structure} cells of each structure, each with all fits anew; they "
            "are counted when a verdict asks for them."
        )

    # --- the reference method --------------------------------------------------------------------

    def _size(self, cell: Atoms, structure: str) -> ElectronicSize | None:
        reference = self.campaign.reference
        if isinstance(reference, DftReference):
            return electronic_size(cell, reference, structure)
        return None

    def _cost(self, cell: Atoms) -> tuple[Cost, ElectronicSize | None]:
        """Estimated cost of a label, without what experience says; worked out once for a cell."""
        found = self.costs.get(id(cell))
        if found is None:
            size = self._size(cell, str(cell.info.get("structure", "")))
            found = label_cost(cell, self.campaign.reference, size), size
            self.costs[id(cell)] = found
        return found

    def _experience(self) -> Experience:
        """Finished labels against their estimates."""
        groups = [*self.cells.values()]
        groups += [part for parts in self.databases.values() for part in (parts or {}).values()]
        times, memories = [], []
        for group in groups:
            for cell, label in zip(group.cells, group.labels, strict=True):
                effort = Provenance.of(label) if label is not None else None
                estimate = self._cost(cell)[0] if effort else UNKNOWN
                if effort is None or not estimate.core_seconds:
                    continue
                times.append(effort.wall_time_s * effort.cores / estimate.core_seconds)
                if effort.memory_mb and estimate.memory_mb:
                    memories.append(effort.memory_mb / estimate.memory_mb)
        if not times:
            return Experience(0)
        low, ratio, high = np.percentile(times, [10, 50, 90])
        memory = max(memories, default=1.0)
        return Experience(len(times), float(ratio), float(low), float(high), float(memory))

    def _corrected(self, cost: Cost) -> Cost:
        """A cost with what the finished labels say."""
        seconds, memory = cost.core_seconds, cost.memory_mb
        return Cost(
            None if seconds is None else seconds * self.experience.ratio,
            None if memory is None else memory * self.experience.memory_ratio,
        )

    @property
    def _partition_of_reference(self) -> str:
        reference = self.campaign.reference
        on_gpu = isinstance(reference, CalculatorReference) and reference.potential.takes_gpu
        return self.site.gpu if on_gpu else self.site.cpu

    def _runs(
        self,
        stage: str,
        structure: str,
        kind: str,
        costs: Sequence[tuple[Cost, ElectronicSize | None, int]],
        *,
        left: Sequence[bool],
        failed: int = 0,
        generation: int = 0,
    ) -> Task:
        """A task of runs of the reference method: cost, size and atoms of each; which are left."""
        reference = self.campaign.reference
        cores = reference.cores if isinstance(reference, DftReference) else 1
        fixed = [self._corrected(cost) for cost, _, _ in costs]
        seconds = [cost.core_seconds for cost in fixed]
        sizes = [size for _, size, _ in costs if size is not None]
        longest = _largest(seconds)
        task = Task(
            generation=generation,
            stage=stage,
            fit="",
            structure=structure,
            kind=kind,
            runs=len(costs),
            done=len(costs) - sum(left) - failed,
            failed=failed,
            atoms=max((atoms for _, _, atoms in costs), default=0),
            electrons=max((size.electrons for size in sizes), default=None),
            kpoints=max((size.kpoints for size in sizes), default=None),
            plane_waves=max((round(size.plane_waves) for size in sizes), default=None),
            cores=cores,
            hours_per_run=None if longest is None else longest / 3600 / cores,
            core_hours=_hours(seconds),
            core_hours_left=_hours(s for s, todo in zip(seconds, left, strict=True) if todo),
            memory_mb=_largest([cost.memory_mb for cost in fixed]),
            partition=self._partition_of_reference,
        )
        self._check_run(task)
        return task

    def _crystals(self) -> list[Task]:
        """What the reference method does for crystals and elements, beside labels."""
        campaign, reference = self.campaign, self.campaign.reference
        if isinstance(reference, RecordedReference):
            return []
        tasks = []
        if campaign.relaxation.reference:
            tasks += [
                self._of_crystal("relaxation", structure, RELAXATION_STEPS)
                for structure in self.crystals
            ]
        if isinstance(reference, DftReference) and reference.born_charges:
            tasks += [
                self._of_crystal("Born charges", structure, BORN_RUNS)
                for structure in self.crystals
                if campaign.structures[structure].born is None
            ]
        if isinstance(reference, DftReference) and reference.isolated_atoms:
            left = [made("isolated atoms") not in self.done]
            elements = sorted({str(s) for one in self.crystals.values() for s in one.symbols})
            for element in elements:
                size = isolated_atom_size(element, reference)
                cost = label_cost(Atoms(element), reference, size)
                tasks.append(self._runs("isolated atom", element, "", [(cost, size, 1)], left=left))
        return tasks

    def _of_crystal(self, stage: str, structure: str, runs: int) -> Task:
        """A run that is worth so many static ones of the crystal."""
        left = [made(stage, structure) not in self.done]
        return self._runs(stage, structure, "", [self._worth(structure, runs)], left=left)

    def _worth(self, structure: str, runs: int) -> tuple[Cost, ElectronicSize | None, int]:
        """Cost of so many static runs of the crystal, its size and atoms."""
        crystal = self.crystals[structure]
        size = self._size(crystal, structure)
        one = label_cost(crystal, self.campaign.reference, size)
        seconds = None if one.core_seconds is None else runs * one.core_seconds
        return Cost(seconds, one.memory_mb), size, len(crystal)

    def _labels(self) -> list[Task]:
        tasks = []
        for (generation, structure), group in self.cells.items():
            kinds = list(dict.fromkeys(cell.info["kind"] for cell in group.cells))
            of_structure = [
                self._label_task("label", structure, kind, group, generation) for kind in kinds
            ]
            tasks += of_structure
            self._check_batches(f"label {structure}", of_structure, len(group.cells))
        return tasks

    def _label_task(
        self, stage: str, structure: str, kind: str, group: Cells, generation: int = 0
    ) -> Task:
        chosen = [
            (cell, label)
            for cell, label in zip(group.cells, group.labels, strict=True)
            if kind in ("", cell.info["kind"])
        ]
        free = self.campaign.recorded is not None
        missing = [label is None and not free for _, label in chosen]
        over = group.gathered and any(label is not None for label in group.labels)
        return self._runs(
            stage,
            structure,
            kind,
            [(*self._cost(cell), len(cell)) for cell, _ in chosen],
            left=[one and not over for one in missing],
            failed=sum(missing) if over else 0,
            generation=generation,
        )

    def _databases(self) -> list[Task]:
        """Data sets that get new labels; those with their own cost nothing."""
        tasks = []
        for database, settings in self.campaign.datasets.databases.items():
            parts = self.databases.get(database)
            if not settings.relabel:
                continue
            if parts is None:
                tasks.append(_not_known("database", database, self._partition_of_reference))
                self.warnings.append(
                    f"database {database}: its files are not here yet, so that its cells are not "
                    "counted"
                )
                continue
            whole = Cells(
                [cell for part in parts.values() for cell in part.cells],
                [label for part in parts.values() for label in part.labels],
                all(part.gathered for part in parts.values()),
            )
            task = self._label_task("database", database, "", whole)
            tasks.append(task)
            self._check_batches(f"database {database}", [task], len(whole.cells))
        return tasks

    # --- applications ----------------------------------------------------------------------------

    def _applications(self) -> list[Task]:
        """What the reference method computes for applications."""
        if self.campaign.recorded:
            return []
        return [*self._thermodynamics(), *self._enthalpies(), *self._third_order()]

    def _several(
        self,
        names: tuple[str, ...],
        kind: str,
        costs: Sequence[tuple[Cost, ElectronicSize | None, int]],
    ) -> Task:
        """Runs of an application, done together; ``names`` as for :func:`made`, crystal last."""
        left = made(*names) not in self.done
        return self._runs(names[0], names[-1], kind, costs, left=[left] * len(costs))

    def _thermodynamics(self) -> list[Task]:
        settings = self.campaign.thermodynamics
        if settings is None:
            return []
        tasks = []
        for structure in self.campaign.warmed:
            names = ("thermodynamics", "reference", structure)
            relaxation = self._worth(structure, RELAXATION_STEPS)
            tasks.append(self._several(names, "relaxation", [relaxation] * settings.relaxations))
            cells = self._displaced(structure)
            costs = [(*self._cost(cell), len(cell)) for cell in cells] * settings.vibrations
            tasks.append(
                self._several(names, "displaced", costs)
                if cells
                else _not_known("thermodynamics", structure, self._partition_of_reference)
            )
        return tasks

    def _enthalpies(self) -> list[Task]:
        tasks = []
        for name, transition in self.campaign.transitions.items():
            if not isinstance(transition, PressureTransition):
                continue
            for structure in transition.structures:
                relaxation = self._worth(structure, RELAXATION_STEPS)
                names = ("enthalpies", "reference", name, structure)
                tasks.append(self._several(names, name, [relaxation] * transition.relaxations))
        return tasks

    def _third_order(self) -> list[Task]:
        tasks = []
        for structure in self.campaign.conducting:
            found = self.third_order.get(structure)
            if found is None or found.cell is None or found.count is None:
                partition = self._partition_of_reference
                tasks.append(_not_known("third order", structure, partition))
                continue
            one = (*self._cost(found.cell), len(found.cell))
            names = ("third order", "reference", structure)
            tasks.append(self._several(names, "displaced", [one] * found.count))
        return tasks

    def _applications_of_fit(self, generation: int, name: str) -> list[tuple[str, str, list[int]]]:
        """Applications of a fit: stage, name under which it is done, and atoms of each evaluation.

        Those of the last generation, and those that the loop asks for in all.
        """
        campaign = self.campaign
        last, of_loop = generation == self.generations[-1], self._asked_in_all_generations()
        of_loop = of_loop if name in campaign.trained else set()
        method = f"{name}/gen{generation}"
        found = []

        def add(stage: str, names: tuple[str, ...], sizes: list[int]) -> None:
            if last or (stage, *names) in of_loop:
                found.append((stage, made(stage, method, *names), sizes))

        def relaxed(structure: str, times: int) -> list[int]:
            return [len(self.crystals[structure])] * (PHONON_RELAXATION_RUNS * times)

        settings = campaign.thermodynamics
        for one in campaign.warmed if settings else []:
            assert settings is not None
            displaced = [len(cell) for cell in self._displaced(one)] * settings.vibrations
            add("thermodynamics", (one,), relaxed(one, settings.relaxations) + displaced)
        for key, transition in campaign.transitions.items():
            if isinstance(transition, PressureTransition):
                for one in transition.structures:
                    add("enthalpies", (key, one), relaxed(one, transition.relaxations))
        for one in campaign.conducting:
            cells = self.third_order.get(one)
            if cells and cells.cell is not None and cells.count:
                add("third order", (one,), [len(cells.cell)] * cells.count)
        return found

    def _asked_in_all_generations(self) -> set[tuple[str, ...]]:
        """Stage, transition where there is one, and crystal of what is no matter of the last."""
        campaign = self.campaign
        found: set[tuple[str, ...]] = {("third order", one) for one in campaign.conducting_in_loop}
        for key in campaign.transitions_in_loop:
            transition = campaign.transitions[key]
            stages: list[tuple[str, ...]] = []
            if isinstance(transition, PressureTransition):
                stages.append(("enthalpies", key))
            if transition.driven_by == "temperature" or transition.temperatures_kelvin:
                stages.append(("thermodynamics",))
            found |= {(*stage, one) for stage in stages for one in transition.structures}
        return found

    # --- fits and what is computed with them -----------------------------------------------------

    def _fits(self, generation: int) -> list[Task]:
        train, test = self._dataset(generation)
        tasks = []
        for name, fit in self.campaign.fits.items():
            if isinstance(fit, TrainedFit):
                tasks.append(self._training(generation, name, fit, train))
        for name, fit in self.campaign.fits.items():
            if not isinstance(fit, RecordedFit):
                tasks += self._evaluations(generation, name, fit, [*train, *test])
        return tasks

    def _dataset(self, generation: int) -> tuple[list[Atoms], list[Atoms]]:
        """Training and test set as they will be, without labels."""
        campaign = self.campaign
        learnt: list[Atoms] = []
        others: list[Atoms] = []
        for (g, structure), group in self.cells.items():
            if g <= generation:
                (learnt if structure in campaign.learnt else others).extend(group.cells)
        parts: dict[str, list[Atoms]] = {"train": [], "test": []}
        for database in self.databases.values():
            for part, group in (database or {}).items():
                parts[part] += group.cells
        try:
            dataset = make_dataset(
                campaign.datasets,
                campaign.seed,
                labels=learnt,
                kinds=None if campaign.recorded else campaign.supercells.kinds,
                test_labels=others,
                crystals={name: self.crystals[name] for name in campaign.learnt},
                database_train=parts["train"],
                database_test=parts["test"],
            )
        except PhonsmithError as error:
            self.warnings.append(str(error))
            return [], []
        return dataset.train, dataset.test

    def _training(self, generation: int, name: str, fit: Any, train: list[Atoms]) -> Task:
        threads = fit.resources.threads
        try:
            cells = learnable(train, fit, has_energies=False)
            cost = fit_cost(fit, cells, self._has_stresses())
        except PhonsmithError as error:
            self.warnings.append(f"fit {name}: {error}")
            cells, cost = [], UNKNOWN
        left = made("fit", generation, name) not in self.done
        task = self._fit_task(
            generation,
            "fit",
            name,
            fit,
            runs=1,
            done=int(not left),
            atoms=sum(len(cell) for cell in cells),
            seconds=cost.core_seconds,
            left=left,
        )
        # gap_fit is busy on one core in effect
        busy = threads if isinstance(fit, MaceFit) else 1
        hours = None if cost.core_seconds is None else cost.core_seconds / 3600 / busy
        task = replace(task, cores=threads, hours_per_run=hours, memory_mb=cost.memory_mb)
        if left:
            self._check_fit(task, fit, cells)
        return task

    def _evaluations(self, generation: int, name: str, fit: Fit, data: list[Atoms]) -> list[Task]:
        """Force evaluations of a fit: errors on its data, phonons, mechanics."""
        campaign = self.campaign
        each = seconds_per_atom(fit, list(self.crystals.values()))

        def task(stage: str, structure: str, kind: str, sizes: list[int], finished: bool) -> Task:
            seconds = None if each is None else JOB_START_S + each * sum(sizes)
            planned = self._fit_task(
                generation,
                stage,
                name,
                fit,
                runs=len(sizes),
                done=len(sizes) if finished else 0,
                atoms=max(sizes, default=0),
                seconds=seconds,
                left=not finished,
            )
            return replace(planned, structure=structure, kind=kind)

        tasks = []
        if isinstance(fit, TrainedFit):
            sizes = [len(cell) for cell in data]
            finished = made("fit errors", generation, name) in self.done
            tasks.append(task("fit errors", "", "", sizes, finished))
        for structure in campaign.benchmarked:
            crystal = self.crystals[structure]
            displaced = [len(cell) for cell in self._displaced(structure)]
            for cell in campaign.phonons.cells:
                steps = PHONON_RELAXATION_RUNS if cell == "relaxed" else 0
                finished = made("phonons", generation, name, cell, structure) in self.done
                sizes = [len(crystal)] * steps + displaced
                tasks.append(task("phonons", structure, cell, sizes, finished))
            if campaign.benchmarks.mechanics and structure in campaign.at_rest:
                finished = made("mechanics", generation, name, structure) in self.done
                sizes = [len(crystal)] * EOS_AND_ELASTIC_RUNS
                tasks.append(task("mechanics", structure, "", sizes, finished))
        for stage, key, sizes in self._applications_of_fit(generation, name):
            tasks.append(task(stage, key.rpartition("/")[2], "", sizes, key in self.done))
        return tasks

    def _displaced(self, structure: str) -> list[Atoms]:
        """The displaced cells that the phonons of a structure need."""
        first = self.cells.get((0, structure))
        cells = first.cells if first else []
        return [cell for cell in cells if cell.info["kind"] == "displaced"]

    def _fit_task(
        self,
        generation: int,
        stage: str,
        name: str,
        fit: Fit,
        *,
        runs: int,
        done: int,
        atoms: int,
        seconds: float | None,
        left: bool,
    ) -> Task:
        hours = None if seconds is None else seconds / 3600
        return Task(
            generation=generation,
            stage=stage,
            fit=name,
            structure="",
            kind=fit.kind,
            runs=runs,
            done=done,
            failed=0,
            atoms=atoms,
            electrons=None,
            kpoints=None,
            plane_waves=None,
            cores=1,
            hours_per_run=hours,
            core_hours=hours,
            core_hours_left=hours if left else 0.0,
            memory_mb=None,
            partition=self.site.gpu if takes_gpu(fit) else self.site.cpu,
        )

    def _has_stresses(self) -> bool:
        recorded = self.campaign.recorded
        return recorded is None or recorded.format in ("extxyz", "vasprun", "outcar", "espresso")

    # --- limits ----------------------------------------------------------------------------------

    def _warn_of_problems(self) -> None:
        for (_, structure), group in self.cells.items():
            if group.problem:
                prefix = "" if group.problem.startswith(f"{structure}:") else f"{structure}: "
                self.warnings.append(prefix + group.problem)
        for structure, found in self.third_order.items():
            if found.problem:
                self.warnings.append(f"{structure}: {found.problem}")
        reference = self.campaign.reference
        unknown = isinstance(reference, CalculatorReference) and (
            seconds_per_atom(reference.potential) is None
        )
        if unknown:
            self.warnings.append(
                f"reference: nothing is known of the speed of {self.campaign.level_of_theory}; run "
                "`snakemake plan` again when some labels are done"
            )
        for name, fit in self.campaign.fits.items():
            if isinstance(fit, ExistingFit) and seconds_per_atom(fit) is None:
                self.warnings.append(
                    f"fit {name}: nothing is known of the speed of {fit.potential.calculator}"
                )

    def _check_run(self, task: Task) -> None:
        """One run against the limits of the reference."""
        reference = self.campaign.reference
        if not isinstance(reference, DftReference) or not task.core_hours_left:
            return
        what = " ".join(filter(None, [task.stage, task.structure, task.kind]))
        limit = reference.memory_mb
        if limit is not None and task.memory_mb is not None and task.memory_mb > limit:
            self.warnings.append(
                f"{what}: a run may take {task.memory_mb:.0f} MB, more than reference.memory_mb = "
                f"{limit}; raise it, or lower supercells.max_atoms"
            )
        # a relaxation is a chain of runs, each with the limit
        relaxing = task.stage in ("relaxation", "enthalpies") or task.kind == "relaxation"
        steps = BORN_RUNS if task.stage == "Born charges" else RELAXATION_STEPS if relaxing else 1
        minutes = 60 * (task.hours_per_run or 0.0) / steps
        if minutes > reference.time_limit_minutes:
            self.warnings.append(
                f"{what}: a run may take {minutes:.0f} minutes, more than "
                f"reference.time_limit_minutes = {reference.time_limit_minutes:g}; raise it, take "
                "more cores, or lower supercells.max_atoms"
            )

    def _check_batches(self, what: str, tasks: Sequence[Task], cells: int) -> None:
        """A job with its batch of so many cells against time and memory of a job."""
        reference, labels = self.campaign.reference, self.campaign.labels
        if not isinstance(reference, DftReference):
            return
        each = max((MEMORY_FACTOR * (task.memory_mb or 0.0) for task in tasks), default=0.0)
        memory = JOB_MEMORY_MB + labels.side_by_side * (reference.memory_mb or each)
        limit = self.site.memory_limit_mb
        if limit is not None and memory > limit:
            self.warnings.append(
                f"labels: a job asks for {memory:.0f} MB (labels.side_by_side times the memory of "
                f"a run), more than the {limit:.0f} MB of this machine's profile"
            )
        hours = sum(task.core_hours_left or 0.0 for task in tasks) / reference.cores
        minutes = 60 * hours / labels.batches_per_structure / labels.side_by_side
        if labels.runtime_minutes is None:
            self._advise_batches(what, minutes, cells)
        elif minutes > labels.runtime_minutes:
            self.warnings.append(
                f"{what}: a job may take {minutes:.0f} minutes, more than "
                f"labels.runtime_minutes = {labels.runtime_minutes}; raise it or "
                "labels.batches_per_structure (what is labelled when the time is over stays)"
            )

    def _advise_batches(self, what: str, minutes: float, cells: int) -> None:
        """A job of many hours waits long in a queue, and does one after the other."""
        batches = self.campaign.labels.batches_per_structure
        better = min(cells, math.ceil(batches * minutes / GOOD_JOB_MINUTES))
        if minutes > LONG_JOB_MINUTES and better > batches:
            self.warnings.append(
                f"{what}: {batches} {'job' if batches == 1 else 'jobs'} of "
                f"{minutes / 60:.0f} hours; on a cluster labels.batches_per_structure: {better} "
                "spreads the cells over more nodes"
            )

    def _check_fit(self, task: Task, fit: Any, cells: Sequence[Atoms]) -> None:
        """Memory and time of a training against its resources and the limits of the site."""
        resources = fit.resources
        most = self.site.memory
        if most is not None and task.memory_mb is not None and task.memory_mb > most[0]:
            self.warnings.append(
                f"fit {task.fit}: may take {task.memory_mb:.0f} MB, more than the {most[0]:.0f} MB "
                f"of {most[1]}; {self._smaller(fit, cells, most[0], lambda cost: cost.memory_mb)}"
            )
        elif task.memory_mb is not None and task.memory_mb > resources.memory_mb:
            self.warnings.append(
                f"fit {task.fit}: may take {task.memory_mb:.0f} MB, more than resources.memory_mb "
                f"= {resources.memory_mb}; raise it"
            )
        minutes = 60 * (task.hours_per_run or 0.0)
        longest = self.site.max_minutes
        busy = task.cores if isinstance(fit, MaceFit) else 1
        if takes_gpu(fit):
            return
        if longest is not None and minutes > longest:
            self.warnings.append(
                f"fit {task.fit}: may take {minutes:.0f} minutes, more than the {longest:.0f} of "
                "config/site.yaml (max_minutes); "
                + self._smaller(fit, cells, 60 * longest * busy, lambda cost: cost.core_seconds)
            )
        elif minutes > resources.runtime_minutes:
            self.warnings.append(
                f"fit {task.fit}: may take {minutes:.0f} minutes, more than "
                f"resources.runtime_minutes = {resources.runtime_minutes}; raise it"
            )

    def _smaller(
        self,
        fit: Any,
        cells: Sequence[Atoms],
        limit: float,
        cost_of: Callable[[Cost], float | None],
    ) -> str:
        """What to lower, and to what, so that an amount of memory or time is within its limit."""

        def amount(fit: Any, cells: Sequence[Atoms]) -> float:
            return cost_of(fit_cost(fit, cells, self._has_stresses())) or 0.0

        largest = max((len(cell) for cell in cells), default=0)
        always = amount(fit, [])
        share = (0.9 * limit - always) / max(amount(fit, cells) - always, 1e-9)
        ways = []
        if share > 0:
            atoms = math.floor(share * largest)
            ways.append(f"supercells.max_atoms to about {atoms} (with min_length_angstrom)")
        if isinstance(fit, GapFit) and fit.soap is not None:
            fewer = (round(fit.soap.n_sparse * tenths / 10) for tenths in range(9, 0, -1))
            for key, values in (
                ("n_max", range(fit.soap.n_max - 1, 2, -1)),
                ("n_sparse", fewer if fit.soap.n_sparse_by_group is None else ()),
            ):
                for value in values:
                    soap = fit.soap.model_copy(update={key: value})
                    if amount(fit.model_copy(update={"soap": soap}), cells) <= 0.9 * limit:
                        ways.append(f"soap.{key} to {value}")
                        break
        if not ways:
            return "no smaller setting is within it; take a larger machine"
        return f"lower {', or '.join(ways)} (cells have up to {largest} atoms)"


def _not_known(stage: str, structure: str, partition: str) -> Task:
    """Work of unknown size."""
    return Task(
        generation=0,
        stage=stage,
        fit="",
        structure=structure,
        kind="",
        runs=None,
        done=0,
        failed=0,
        atoms=0,
        electrons=None,
        kpoints=None,
        plane_waves=None,
        cores=1,
        hours_per_run=None,
        core_hours=None,
        core_hours_left=None,
        memory_mb=None,
        partition=partition,
    )


def _largest(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return max(known) if known else None


def _hours(seconds: Iterable[float | None]) -> float | None:
    """Sum in hours; None where one is unknown."""
    values = list(seconds)
    if any(value is None for value in values):
        return None
    return math.fsum(value for value in values if value is not None) / 3600
