"""Equation of state and elastic constants of a fit for the crystals of a campaign."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phonsmith.benchmarks.mechanics import MechanicsResult, mechanics_of_fit
from phonsmith.files.extxyz import read_frames
from phonsmith.files.reading_writing import read_as, write_json
from phonsmith.potentials.calculators import (
    has_calculator,
    load_potential,
    on_gpu,
    require_energies,
    why_without_energies,
)
from phonsmith.running.single_results import Task, compute_each, made_from, record_file
from phonsmith.running.versions import versions
from phonsmith.structures.settings import RELAXATION_EFFORT, Relaxation
from phonsmith.structures.verdicts import left_out


@dataclass(frozen=True)
class Crystal:
    """A crystal whose mechanics are computed.

    Attributes
    ----------
    structure
        Id of the structure.
    relaxed
        extxyz of the crystal relaxed with the reference.
    accepted
        Decision of the gate.
    again
        How often the result has been computed again, see
        :class:`phonsmith.structures.verdicts.Effort`.
    """

    structure: str
    relaxed: Path
    accepted: Path
    again: int = 0


@dataclass(frozen=True)
class MechanicsOfFit:
    """Computes the mechanics of one fit.

    Attributes
    ----------
    potential
        ``potential.json`` of the fit.
    model
        Folder of the model.
    relaxation
        Settings of the campaign.
    index
        JSON file for all results; those of the crystals lie in the folder of the same name.
    """

    potential: Path
    model: Path
    relaxation: Relaxation
    index: Path

    def run(self, crystals: Sequence[Crystal], threads: int = 1) -> None:
        """Compute the mechanics of the crystals, side by side, and write all files.

        Raises
        ------
        PhonsmithError
            The potential has no energies, or see
            :func:`phonsmith.running.single_results.compute_each`.
        """
        if not has_calculator(self.potential):
            why = why_without_energies(self.potential, "the equation of state")
            none = MechanicsResult(mechanics=None, reason=why).model_dump(mode="json")
            write_json(self.index, {crystal.structure: none for crystal in crystals})
            return
        potential = load_potential(self.potential)
        require_energies(potential, "the equation of state")
        processes = 1 if on_gpu(potential.source) else threads
        tasks = [self._task(crystal) for crystal in crystals]
        results = compute_each(self.setup, tasks, processes)
        write_json(self.index, {task.name: results[task.name] for task in tasks})

    def _task(self, crystal: Crystal) -> Task[Crystal]:
        settings = {
            "relaxation": self.relaxation.model_dump(mode="json", exclude=RELAXATION_EFFORT),
            "again": crystal.again,
            "version": versions("benchmarks", "structures"),
        }
        files = [self.potential, self.model, crystal.relaxed, crystal.accepted]
        record = record_file(self.index, crystal.structure)
        return Task(crystal.structure, record, made_from(files, settings), crystal)

    def setup(self) -> Callable[[Crystal], dict[str, Any]]:
        """Return the function that computes the result of a crystal."""
        return self.of_crystal

    def of_crystal(self, crystal: Crystal) -> dict[str, Any]:
        """Return the mechanics of a crystal as plain values."""
        if why := left_out(crystal.accepted):
            result = MechanicsResult(mechanics=None, reason=why)
        else:
            (atoms,) = read_frames(crystal.relaxed)
            source = load_potential(self.potential).source
            result = mechanics_of_fit(atoms, source, self.relaxation)
        return result.tried(self.relaxation.max_steps, crystal.again).model_dump(mode="json")


def load_mechanics(index: str | Path) -> dict[str, MechanicsResult]:
    """Read the mechanics of all crystals by structure.

    Raises
    ------
    PhonsmithError
        The file is missing or holds something else.
    """

    def results(content: dict[str, Any]) -> dict[str, MechanicsResult]:
        return {name: MechanicsResult.model_validate(one) for name, one in content.items()}

    return read_as(index, "a record of mechanics", results)
