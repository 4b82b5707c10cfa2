"""Random structure searches: random crystals, relaxed by a potential at random pressures.

Labels are the energies, forces and stresses that the relaxations computed anyway. An interrupted
search continues after the last finished crystal with equal results. A relaxation that fails is
recorded; the other crystals are kept.
"""

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator

from phonsmith.distillation.random_crystals import random_crystal
from phonsmith.distillation.runs import Run
from phonsmith.distillation.settings import MOST_RUNS, RandomSearch
from phonsmith.files.errors import PhonsmithError, UnusablePotential
from phonsmith.files.extxyz import read_frames, write_frames
from phonsmith.files.json_records import Record, StoredRecord
from phonsmith.labels.checks import labelled
from phonsmith.potentials.calculators import one_line, results_of
from phonsmith.structures.relaxation import Load, RelaxationResult, relax
from phonsmith.structures.settings import Relaxation
from phonsmith.structures.sites import plain


class CrystalRecord(Record):
    """A random crystal and how its relaxation ended."""

    crystal: int
    """Number in the run."""
    atoms: int
    space_group: int
    """That the random crystal was made with."""
    pressure_gpa: float
    steps: int
    converged: bool
    reason: str
    """Why the relaxation stopped early; empty if it converged or took all steps."""
    energy_ev_per_atom: float | None
    volume_per_atom_angstrom3: float
    """Of the last cell."""
    cpu_s_per_atom_step: float
    """CPU seconds of this process."""


class SearchOutcome(StoredRecord):
    """How a random structure search ended."""

    IN_WORDS: ClassVar[str] = "the outcome of a random structure search"

    crystals: list[CrystalRecord]
    cautions: list[str]
    """Sentences for the table of warnings."""

    @classmethod
    def of(cls, crystals: list[CrystalRecord]) -> "SearchOutcome":
        """Return the outcome, with cautions on failed and unconverged relaxations."""
        failed = [one for one in crystals if one.reason]
        longer = sum(not one.converged and not one.reason for one in crystals)
        cautions = []
        if failed:
            cautions.append(
                f"{len(failed)} of {len(crystals)} relaxations failed and have no last cell; the "
                f"first: crystal {failed[0].crystal}, {failed[0].reason}."
            )
        if longer:
            cautions.append(
                f"{longer} of {len(crystals)} relaxations did not converge within the largest "
                "number of steps; their last cells are labels, too."
            )
        return cls(crystals=crystals, cautions=cautions)


class _Finished(StoredRecord):
    """Checkpoint of a crystal, beside the file of its cells."""

    IN_WORDS: ClassVar[str] = "a checkpoint of a random structure search"

    key: str
    record: CrystalRecord


def search(
    run: Run[RandomSearch], calculator: BaseCalculator, work: Path
) -> tuple[list[Atoms], SearchOutcome]:
    """Make a random structure search, or continue it from the checkpoints in a folder.

    Parameters
    ----------
    run
        The run.
    calculator
        ASE calculator with stress.
    work
        Folder for checkpoints.

    Returns
    -------
    Labelled cells, crystal by crystal in the order of the relaxation, and the outcome. The last
    cell of a crystal has ``origin`` ``relaxed`` if it converged, other cells ``relaxation``.

    Raises
    ------
    PhonsmithError
        The calculator has no stress, or random crystals of these settings are impossible.
    """
    frames: list[Atoms] = []
    records = []
    work.mkdir(parents=True, exist_ok=True)
    key = run.digest(without={"crystals"})  # more crystals do not repeat the first ones
    for number in range(run.protocol.crystals):
        finished = work / f"{number}.json"
        cells = work / f"{number}.extxyz"
        with suppress(PhonsmithError):
            known = _Finished.load(finished)
            if known.key == key:
                frames += read_frames(cells)
                records.append(known.record)
                continue
        made, record = _relaxed(run, number, calculator)
        write_frames(cells, made)
        _Finished(key=key, record=record).save(finished)
        frames += made
        records.append(record)
    return frames, SearchOutcome.of(records)


def pressure(settings: RandomSearch, random: np.random.Generator) -> float:
    """Draw a pressure in GPa from the truncated exponential distribution.

    Parameters
    ----------
    settings
        Width w and largest pressure p_max of the distribution.
    random
        Generator of random numbers: u uniform from 0 to 1 gives
        p = -w ln(1 - u (1 - exp(-p_max / w))).
    """
    width, largest = settings.pressure_width_gpa, settings.max_pressure_gpa
    return float(-width * np.log1p(random.random() * np.expm1(-largest / width)))


class _Path:
    """Labelled cells along a relaxation: the chosen ones, and the present one."""

    def __init__(self, calculator: BaseCalculator, method: str, chosen: Sequence[int]) -> None:
        self.frames: dict[int, Atoms] = {}
        self._calculator, self._method, self._chosen = calculator, method, chosen

    def take(self, step: int, atoms: Atoms) -> None:
        """Label the present cell with what the relaxation computed of it."""
        self.keep_chosen()
        found = results_of(atoms, self._calculator)
        self.frames[step] = labelled(
            plain(atoms), self._method, found.energy, found.forces, found.stress
        )

    def keep_chosen(self) -> None:
        """Forget the last cell, unless it is a chosen one."""
        self.frames = {step: one for step, one in self.frames.items() if step in self._chosen}


def _relaxed(
    run: Run[RandomSearch], number: int, calculator: BaseCalculator
) -> tuple[list[Atoms], CrystalRecord]:
    """Labelled cells of a crystal and its record."""
    settings = run.protocol
    random = np.random.default_rng([run.seed, number])
    gpa = pressure(settings, random)
    crystal = random_crystal(settings, random)
    path = _Path(calculator, run.method, settings.path_steps)
    start = time.process_time()
    result = _end_of_relaxation(crystal.atoms, calculator, settings, gpa, path)
    seconds = time.process_time() - start
    if result.stopped:
        path.keep_chosen()
    last = result.steps if result.converged else None
    frames = list(path.frames.items())
    for place, (step, frame) in enumerate(frames):
        frame.info |= {
            "structure": run.name,
            "kind": "distilled",
            "generation": 0,
            # of the numbers of crystals and runs it is independent
            "index": (number * MOST_RUNS + run.number) * (len(settings.path_steps) + 1) + place,
            "seed": run.seed,
            "origin": "relaxed" if step == last else "relaxation",
            "run": run.number,
            "crystal": number,
            "space_group": crystal.space_group,
            "step": step,
            "barostat_gpa": gpa,
        }
    atoms = len(crystal.atoms)
    return [frame for _, frame in frames], CrystalRecord(
        crystal=number,
        atoms=atoms,
        space_group=crystal.space_group,
        pressure_gpa=gpa,
        steps=result.steps,
        converged=result.converged,
        reason=result.stopped,
        energy_ev_per_atom=None if result.energy_ev is None else result.energy_ev / atoms,
        volume_per_atom_angstrom3=result.atoms.get_volume() / atoms,
        cpu_s_per_atom_step=seconds / ((result.steps + 1) * atoms),
    )


def _end_of_relaxation(
    crystal: Atoms,
    calculator: BaseCalculator,
    settings: RandomSearch,
    gpa: float,
    path: _Path,
) -> RelaxationResult:
    limits = Relaxation(
        fmax_ev_per_angstrom=settings.fmax_ev_per_angstrom, max_steps=settings.max_steps
    )
    try:
        return relax(crystal, calculator, limits, Load(pressure_gpa=gpa), on_step=path.take)
    except UnusablePotential as error:  # it fails on the random crystal
        return RelaxationResult(crystal, False, 0, math.inf, None, one_line(error))
