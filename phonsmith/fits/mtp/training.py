"""Train moment tensor potentials."""

import resource
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from ase import Atoms

from phonsmith.datasets.sets import Baseline
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import FORCES, elements_of, without_isolated_atoms
from phonsmith.files.reading_writing import replacing
from phonsmith.fits.digest import digest_of
from phonsmith.fits.least_squares import Triangle
from phonsmith.fits.mtp.equations import Trial, parts_of, potential, triangles
from phonsmith.fits.mtp.optimisation import (
    ITERATIONS_BELOW,
    STARTS,
    TOLERANCE_BELOW,
    Eliminate,
    Limits,
    State,
    best_start,
    history,
    initial,
    is_converged,
    levels_to,
    optimise,
    raised,
)
from phonsmith.fits.mtp.settings import MtpFit
from phonsmith.fits.record import TargetCounts, TrainingRecord
from phonsmith.fits.task import TrainingTask
from phonsmith.potentials.mtp import write
from phonsmith.running.process_pool import staying

MODEL = "potential.mtp"
STATE = "state.npz"
"""File in the work folder with the coefficients of an unfinished training."""


def train(fit: MtpFit, task: TrainingTask) -> TrainingRecord:
    """Train a moment tensor potential and write ``potential.mtp``.

    Equal data and settings give equal potentials, whatever the number of processes. Energies of
    single atoms are those of the baseline. An interrupted training goes on from its last iteration.

    Raises
    ------
    PhonsmithError
        The cells have no forces, or two atoms are too close.
    """
    begin = time.monotonic()
    cells = without_isolated_atoms(task.frames)
    e0s = energies_of_atoms(cells, task.baseline)
    if not any(FORCES in atoms.arrays for atoms in cells):
        raise PhonsmithError("a moment tensor potential needs cells with forces; found none")
    settings = {"recipe": fit.identity(), "e0s": e0s, "motep": version("motep")}
    memory = _Memory(task.work / STATE, digest_of(cells, settings))
    started = memory.load()
    with _elimination(fit, e0s, cells, task.threads) as eliminate:
        for state in iterations(fit, eliminate, len(e0s), started):
            memory.save(state)
            level, losses = state.losses[-1]
            print(
                f"level {level}: iteration {len(losses) - 1}, loss {losses[-1] / len(cells):.6g}",
                flush=True,
            )
    found = replace(state.trial, linear=state.linear)
    write(task.folder / MODEL, potential(fit, e0s, found), list(e0s))
    memory.forget()
    converged = is_converged(state, _limits(fit, fit.level))
    return TrainingRecord(
        model=MODEL,
        wall_time_s=time.monotonic() - begin,
        peak_memory_mb=_peak_memory_mb(task.threads),
        counts=_counts(fit, task.frames),
        settings=fit.model_dump(mode="json"),
        command=[],
        baseline=task.baseline.e0s,
        baseline_origin=task.baseline.origin,
        versions={"motep": version("motep")},
        details={
            "basis_functions": len(state.linear),
            "radial_coefficients": state.trial.radial.size,
            "species": list(e0s),
            "loss_by_level_and_iteration": history(state, len(cells)),
            "converged": converged,
            "restarted": started is not None,
        },
        cautions=[] if converged else [_not_converged(fit)],
    )


def energies_of_atoms(cells: Sequence[Atoms], baseline: Baseline) -> dict[str, float]:
    """Return energies of single atoms in eV by element, in the order of atomic numbers."""
    return {element: baseline.e0s.get(element, 0.0) for element in elements_of(cells)}


def iterations(
    fit: MtpFit, eliminate: Eliminate, species: int, started: State | None = None
) -> Iterator[State]:
    """Yield the state to begin with, the best of several, and that after each iteration.

    Parameters
    ----------
    fit
        Settings of the fit.
    eliminate
        Function that returns R of the equations [A B | y] at a trial.
    species
        Number of species.
    started
        State of an interrupted training to go on from.
    """
    state = started or _start(fit, eliminate, species)
    yield state
    for level in levels_to(fit.level):
        if level < state.trial.level:
            continue
        if level > state.trial.level:
            state = raised(state, level, fit.seed)
        for after in optimise(eliminate, state, _limits(fit, level), fit.regularisation):
            state = after
            yield state


def _start(fit: MtpFit, eliminate: Eliminate, species: int) -> State:
    first = levels_to(fit.level)[0]
    starts = (
        initial(first, species, fit.radial_basis_size, fit.seed, number) for number in range(STARTS)
    )
    return best_start(eliminate, starts, _limits(fit, first), fit.regularisation)


def _limits(fit: MtpFit, level: int) -> Limits:
    if level == fit.level:
        return Limits(fit.tolerance, fit.max_iterations)
    return Limits(max(fit.tolerance, TOLERANCE_BELOW), min(fit.max_iterations, ITERATIONS_BELOW))


@contextmanager
def _elimination(
    fit: MtpFit, e0s: Mapping[str, float], cells: Sequence[Atoms], processes: int
) -> Iterator[Eliminate]:
    """Yield the function that eliminates the equations of all cells by several processes."""
    parts = parts_of(cells)
    setup = partial(triangles, fit, e0s, parts)
    with staying(setup, min(processes, len(parts))) as work:
        yield partial(_merged, work, len(parts))


def _merged(
    work: Callable[[Sequence[tuple[int, Trial]]], list[np.ndarray]], parts: int, trial: Trial
) -> np.ndarray:
    first, *others = work([(part, trial) for part in range(parts)])
    triangle = Triangle(first)
    for other in others:
        triangle.merge(other)
    return triangle.r


def _not_converged(fit: MtpFit) -> str:
    return (
        f"The training ended after {fit.max_iterations} iterations, before the loss converged to "
        f"{fit.tolerance:g}. Raise max_iterations."
    )


def _counts(fit: MtpFit, frames: Sequence[Atoms]) -> TargetCounts:
    found = TargetCounts.of(frames)
    unused = {
        key: 0
        for key, weight in (("energies", fit.weights.energy), ("virials", fit.weights.stress))
        if weight == 0
    }
    return found.model_copy(update=unused)


def _peak_memory_mb(processes: int) -> float:
    """Of this process and, if it has some, of all its children as large as the largest."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss if processes > 1 else 0
    return (own + processes * child) / 1024


class _Memory:
    """The state of an unfinished training in a file."""

    def __init__(self, path: Path, digest: str):
        self.path, self.digest = path, digest

    def load(self) -> State | None:
        """Return the state of this very training; None if there is none."""
        try:
            with np.load(self.path, allow_pickle=False) as found:
                if str(found["digest"]) != self.digest:
                    return None
                trial = Trial(int(found["level"]), found["radial"], found["linear"])
                losses = tuple(
                    (int(level), tuple(float(loss) for loss in found[f"losses_{level}"]))
                    for level in found["levels"]
                )
                loss, damping, calm = found["numbers"]
                linear = found["solution"]
        except (OSError, KeyError, ValueError, EOFError, BadZipFile):
            return None
        return State(trial, linear, float(loss), float(damping), int(calm), losses)

    def save(self, state: State) -> None:
        """Write a state."""
        with replacing(self.path) as made, made.open("wb") as stream:
            levels = {f"losses_{level}": np.array(losses) for level, losses in state.losses}
            content = {
                "digest": np.array(self.digest),
                "level": np.array(state.trial.level),
                "radial": state.trial.radial,
                "linear": state.trial.linear,
                "solution": state.linear,
                "numbers": np.array([state.loss, state.damping, state.calm]),
                "levels": np.array([level for level, _ in state.losses], dtype=int),
                **levels,
            }
            np.savez(stream, allow_pickle=False, **content)

    def forget(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)
