"""Runs of the reference method: their costs, corrected by finished labels, and tasks of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms

from phonsmith.labels.provenance import Provenance
from phonsmith.labels.reference import DftReference
from phonsmith.labels.registry import method_kind
from phonsmith.plan.costs import electronic_size, isolated_atom_size, label_cost
from phonsmith.plan.inputs import PlanInputs
from phonsmith.plan.tasks import Experience, Task
from phonsmith.running.costs import Cost, ElectronicSize


@dataclass(frozen=True)
class Run:
    """A run: its cost by the model alone, its atoms, and its size where a DFT code runs."""

    cost: Cost
    atoms: int
    size: ElectronicSize | None = None

    def times(self, runs: int) -> "Run":
        """Return a chain of so many runs, one after the other."""
        seconds = self.cost.core_seconds
        cost = replace(self.cost, core_seconds=None if seconds is None else runs * seconds)
        return replace(self, cost=cost)


class ReferenceRuns:
    """The runs of a campaign's reference method."""

    def __init__(self, inputs: PlanInputs) -> None:
        self._inputs = inputs
        self._reference = inputs.campaign.reference
        self._of_cells: dict[int, Run] = {}
        self.experience = self._experience()

    def of_cell(self, cell: Atoms) -> Run:
        """Return a label; worked out once for a cell."""
        found = self._of_cells.get(id(cell))
        if found is None:
            found = self._run(cell, str(cell.info.get("structure", "")))
            self._of_cells[id(cell)] = found
        return found

    def of_crystal(self, structure: str, runs: int) -> Run:
        """Return a run that costs as much as this number of static runs of the crystal."""
        return self._run(self._inputs.crystals[structure], structure).times(runs)

    def of_atoms(self, atoms: int) -> Run:
        """Return a label of so many atoms by a potential."""
        return Run(label_cost(Atoms(f"X{atoms}"), self._reference, None), atoms)

    def of_isolated_atom(self, element: str) -> Run:
        """Return a spin-polarised atom in its box, by a DFT code."""
        assert isinstance(self._reference, DftReference)
        size = isolated_atom_size(element, self._reference)
        return Run(label_cost(Atoms(element), self._reference, size), 1, size)

    def _run(self, cell: Atoms, structure: str) -> Run:
        dft = self._reference if isinstance(self._reference, DftReference) else None
        size = electronic_size(cell, dft, structure) if dft else None
        return Run(label_cost(cell, self._reference, size), len(cell), size)

    def _experience(self) -> Experience:
        """Finished labels against their estimates."""
        groups = [*self._inputs.cells.values()]
        for parts in self._inputs.databases.values():
            groups += (parts or {}).values()
        times, memories = [], []
        for group in groups:
            for cell, label in zip(group.cells, group.labels, strict=True):
                effort = Provenance.of(label) if label is not None else None
                if effort is None:
                    continue
                estimate = self.of_cell(cell).cost
                if not estimate.core_seconds:
                    continue
                times.append(effort.wall_time_s * effort.cores / estimate.core_seconds)
                if effort.memory_mb and estimate.memory_mb:
                    memories.append(effort.memory_mb / estimate.memory_mb)
        if not times:
            return Experience(0)
        low, ratio, high = np.percentile(times, [10, 50, 90])
        memory = max(memories, default=1.0)
        return Experience(len(times), float(ratio), float(low), float(high), float(memory))

    def task(
        self,
        stage: str,
        structure: str,
        kind: str,
        runs: Sequence[Run],
        *,
        left: Sequence[bool],
        failed: int = 0,
        generation: int = 0,
    ) -> Task:
        """Build the task of a number of runs.

        Parameters
        ----------
        stage
            Name of the stage.
        structure
            Id of the structure.
        kind
            Kind of the cells.
        runs
            Size and cost of each run.
        left
            Whether each run is still to be done.
        failed
            Number of failed runs.
        generation
            Number of the generation.
        """
        task = Task(
            stage=stage,
            partition=self._partition,
            generation=generation,
            structure=structure,
            kind=kind,
            runs=len(runs),
            done=len(runs) - sum(left) - failed,
            failed=failed,
            atoms=max((run.atoms for run in runs), default=0),
            cores=self._reference.cores if isinstance(self._reference, DftReference) else 1,
        )
        sized = task.of_sizes([run.size for run in runs if run.size is not None])
        return sized.of_costs([self.experience.corrected(run.cost) for run in runs], left)

    def unknown(self, stage: str, structure: str) -> Task:
        """Return a task of unknown size."""
        return Task(stage=stage, partition=self._partition, structure=structure)

    @property
    def _partition(self) -> str:
        on_gpu = method_kind(self._reference).takes_gpu(self._reference)
        return self._inputs.site.partition(on_gpu)
