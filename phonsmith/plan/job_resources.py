"""What jobs of a DFT code ask a cluster for: from the cost model, where the cells are known.

The model may be wrong by a factor of two (:mod:`phonsmith.plan.costs`), so that jobs request more:
a short request starts earlier, but a too short one costs a second attempt.
"""

import math
import os
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from pydantic import TypeAdapter

from phonsmith.labels.reference import DftReference
from phonsmith.labels.registry import Reference
from phonsmith.plan.costs import (
    BORN_RUNS,
    RELAXATION_STEPS,
    electronic_size,
    isolated_atom_size,
    plane_wave_cost,
)
from phonsmith.running.costs import Cost, ElectronicSize
from phonsmith.thermodynamics.settings import Thermodynamics

MEMORY_FACTOR = 1.5
TIME_FACTOR = 3.0
JOB_MEMORY_MB = 500
"""What a labelling job needs beside the runs of its code (rules/reference.smk)."""

JOB_MINUTES = 10.0
"""Beside the runs: starting, loading libraries, a slow file system."""


@dataclass(frozen=True)
class Need:
    """Memory of one run in MB, and minutes of the whole job."""

    memory_mb: int
    minutes: int


def need_of_labels(
    cells: Sequence[Atoms],
    reference: DftReference,
    structure: str | None,
    *,
    batches: int = 1,
    side_by_side: int = 1,
) -> Need:
    """Estimate memory and time of one labelling job.

    Cells of equal kind, formula and size have equal costs, so that a single cell of each is
    examined.

    Parameters
    ----------
    cells
        Cells to label in all jobs.
    reference
        Settings of the reference method.
    structure
        Id of the crystal; None for a data set.
    batches
        Number of jobs.
    side_by_side
        Number of cells labelled in parallel in a job.
    """
    kinds = [_kind(cell) for cell in cells]
    costs = {
        kind: _cost(electronic_size(cell, reference, structure), reference)
        for kind, cell in dict(zip(kinds, cells, strict=True)).items()
    }
    rounds = math.ceil(math.ceil(len(cells) / max(1, batches)) / side_by_side)
    return _need([costs[kind] for kind in kinds], rounds, reference)


def _kind(cell: Atoms) -> tuple[Hashable, ...]:
    """A key of cells with equal costs: lengths are rounded to an Å."""
    return cell.info.get("kind"), cell.get_chemical_formula(), *np.round(cell.cell.lengths())


def most_minutes(
    cells: Sequence[Atoms],
    reference: dict[str, Any],
    structure: str | None,
    attempt: int,
    runtime_minutes: int | None = None,
) -> float:
    """Return the time limit of a run in minutes, so that its job on a cluster outlives it.

    A job of :func:`need_of_labels` has this time for one cell and enough for the others: a run that
    hangs is recorded, and the runs after it are executed. The limit is infinite outside a cluster,
    for methods without a cost model, and if the time of jobs is set.

    Parameters
    ----------
    cells
        Cells of the job.
    reference
        Settings of the reference method.
    structure
        Id of the crystal; None for a data set.
    attempt
        Number of the attempt, from 1.
    runtime_minutes
        Time of jobs, if the campaign sets it.
    """
    if runtime_minutes is not None:
        return math.inf
    checked: Reference = TypeAdapter(Reference).validate_python(reference)
    if not isinstance(checked, DftReference) or "SLURM_JOB_ID" not in os.environ:
        return math.inf
    one = need_of_labels(cells, checked, structure, side_by_side=max(1, len(cells)))
    return float(attempt * one.minutes)


def need_of_crystal(
    crystal: Atoms, reference: DftReference, structure: str, *, relaxations: int = 1
) -> Need:
    """Estimate memory and time of relaxations of a crystal or of its Born charges.

    Parameters
    ----------
    crystal
        Unit cell.
    reference
        Settings of the reference method.
    structure
        Id of the crystal.
    relaxations
        Number of relaxations, one after another.
    """
    runs = max(RELAXATION_STEPS * relaxations, BORN_RUNS)
    size = electronic_size(crystal, reference, structure)
    return _need([_cost(size, reference)], runs, reference)


def need_of_thermodynamics(
    crystal: Atoms,
    displaced: Sequence[Atoms],
    reference: DftReference,
    structure: str,
    settings: Thermodynamics,
    *,
    side_by_side: int = 1,
) -> Need:
    """Estimate memory and time of the relaxations and displaced cells at all volumes.

    Volumes that are added later are not included; completed runs are kept when the time is over.

    Parameters
    ----------
    crystal
        Unit cell.
    displaced
        Displaced cells at one volume.
    reference
        Settings of the reference method.
    structure
        Id of the crystal.
    settings
        Settings of thermodynamics.
    side_by_side
        Number of cells labelled in parallel.
    """
    crystals = need_of_crystal(crystal, reference, structure, relaxations=settings.relaxations)
    # a round at one volume is over before the next volume begins
    one = need_of_labels(displaced, reference, structure, side_by_side=side_by_side)
    labels = settings.vibrations * (one.minutes - JOB_MINUTES)
    return Need(
        memory_mb=max(crystals.memory_mb, one.memory_mb),
        minutes=math.ceil(crystals.minutes + labels),
    )


def need_of_atoms(elements: Iterable[str], reference: DftReference) -> Need:
    """Return what isolated atoms need, one after the other."""
    elements = sorted(set(elements))
    costs = [_cost(isolated_atom_size(one, reference), reference) for one in elements]
    return _need(costs, len(elements), reference)


def _cost(size: ElectronicSize, reference: DftReference) -> Cost:
    return plane_wave_cost(reference).run(size, reference.cores)


def _need(costs: Sequence[Cost], rounds: int, reference: DftReference) -> Need:
    """So many rounds of these runs, one of the costs each, on the cores that a run has."""
    memory = max((cost.memory_mb or 0.0 for cost in costs), default=0.0)
    seconds = [(cost.core_seconds or 0.0) / reference.cores for cost in costs] or [0.0]
    whole = max(*seconds, rounds * sum(seconds) / len(seconds)) if rounds else 0.0
    return Need(
        memory_mb=math.ceil(MEMORY_FACTOR * memory / 100) * 100,
        minutes=math.ceil(JOB_MINUTES + TIME_FACTOR * whole / 60),
    )
