"""Variable projection: radial coefficients by Levenberg and Marquardt, all others linear.

At each set of radial coefficients the coefficients of the basis functions follow from linear least
squares. What remains is a small nonlinear problem, whose steps are those of L. Kaufman, BIT 15, 49
(1975); see G. Golub, V. Pereyra, Inverse Problems 19, R1 (2003). One QR decomposition of the
equations [A B | y] gives solution, loss and step.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from phonsmith.fits.least_squares import Triangle
from phonsmith.fits.mtp.basis import moment_basis, radial_functions
from phonsmith.fits.mtp.equations import Trial

Array = NDArray[np.float64]
Eliminate = Callable[[Trial], Array]
"""Returns R of the QR decomposition of the equations of all cells at a trial."""

FIRST_LEVEL = 8
STARTS = 5
"""Random radial functions to begin with: about one in six ends in a poor minimum."""
ITERATIONS_OF_STARTS = 4
"""Iterations after which the best start goes on."""
ITERATIONS_BELOW = 8
"""Most iterations at a level below the final one."""
TOLERANCE_BELOW = 3e-2
"""Relative decrease of the loss that ends a level below the final one."""
CALM = 2
"""Iterations in succession below the tolerance that end a level."""
REFUSED = 3
"""Refused steps after which derivatives are taken again."""
DAMPING, MOST_DAMPING, LEAST_DAMPING = 1e-2, 1e8, 1e-9


@dataclass(frozen=True)
class State:
    """Where an optimisation is.

    Attributes
    ----------
    trial
        Radial coefficients, and linear ones at which the derivatives B are taken.
    linear
        Linear coefficients of least squares.
    loss
        Sum of squares of the equations at them; infinite if not computed yet.
    damping
        Of the next step.
    calm
        Iterations in succession that lowered the loss by less than the tolerance.
    losses
        Loss of each iteration by level; the first is that of the initial radial functions.
    """

    trial: Trial
    linear: Array
    loss: float = np.inf
    damping: float = DAMPING
    calm: int = 0
    losses: tuple[tuple[int, tuple[float, ...]], ...] = ()


@dataclass(frozen=True)
class Limits:
    """When a level ends: relative decrease of the loss, and number of iterations."""

    tolerance: float
    iterations: int


def levels_to(level: int) -> list[int]:
    """Return the levels that lead to a level.

    >>> levels_to(14)
    [8, 10, 12, 14]
    >>> levels_to(6)
    [6]
    """
    return [*range(min(FIRST_LEVEL, level), level, 2), level]


def initial(level: int, species: int, size: int, seed: int, start: int = 0) -> State:
    """Return a state to begin with, of Chebyshev polynomials and small random numbers.

    Parameters
    ----------
    level
        First level.
    species, size
        Numbers of species and of radial basis functions.
    seed, start
        Random seed, and number of the start, of which each has other random numbers.
    """
    shape = (species, species, radial_functions(level), size)
    return _begun(level, _new_functions(shape, 0, [seed, 0, start]))


def raised(state: State, level: int, seed: int) -> State:
    """Return the state of a higher level with the radial functions of a lower one."""
    species, _, old, size = state.trial.radial.shape
    shape = (species, species, radial_functions(level), size)
    radial = _new_functions(shape, old, [seed, old])
    radial[:, :, :old] = state.trial.radial
    return replace(_begun(level, radial), losses=state.losses)


def _begun(level: int, radial: Array) -> State:
    zero = np.zeros(len(moment_basis(level).scalars))
    return State(Trial(level, radial, zero), zero)


def _new_functions(shape: tuple[int, int, int, int], begin: int, seed: Sequence[int]) -> Array:
    radial = 0.1 * np.random.default_rng(seed).standard_normal(shape)
    for function in range(begin, shape[2]):
        radial[:, :, function, function % shape[3]] += 1.0
    return radial


def best_start(
    eliminate: Eliminate, starts: Iterable[State], limits: Limits, regularisation: float
) -> State:
    """Return the state of lowest loss after a few iterations from each start.

    Parameters
    ----------
    eliminate
        Function that returns R of the equations [A B | y] at a trial.
    starts
        States to begin with.
    limits
        Limits of the level, which has more iterations.
    regularisation
        Weight of the squares of the linear coefficients.
    """
    short = Limits(limits.tolerance, min(ITERATIONS_OF_STARTS, limits.iterations))
    ends = []
    for start in starts:
        *_, end = optimise(eliminate, start, short, regularisation)
        ends.append(end)
    return min(ends, key=attrgetter("loss"))


def optimise(
    eliminate: Eliminate, state: State, limits: Limits, regularisation: float
) -> Iterator[State]:
    """Yield the states of a level after each iteration, the last of which is converged.

    Parameters
    ----------
    eliminate
        Function that returns R of the equations [A B | y] at a trial.
    state
        State to begin with, or to go on from.
    limits
        When to end.
    regularisation
        Weight of the squares of the linear coefficients.
    """
    if not np.isfinite(state.loss):
        # twice, since the derivatives B need the linear coefficients
        first = _Solved(eliminate(state.trial), state.trial, regularisation)
        trial = replace(state.trial, linear=first.linear)
        state = _noted(replace(state, trial=trial, linear=first.linear, loss=first.loss))
        yield state
    solved = _Solved(eliminate(state.trial), state.trial, regularisation)
    while not is_finished(state, limits):
        step, state = _descend(eliminate, solved, state, regularisation)
        if step is None:
            return
        solved = step
        calm = state.calm + 1 if _decrease(state) < limits.tolerance else 0
        state = replace(state, calm=calm)
        yield state


def is_finished(state: State, limits: Limits) -> bool:
    """Return whether a level has converged, or has had its iterations."""
    return state.calm >= CALM or len(state.losses[-1][1]) > limits.iterations


def is_converged(state: State, limits: Limits) -> bool:
    """Return whether a level has ended before its number of iterations."""
    return state.calm >= CALM or len(state.losses[-1][1]) <= limits.iterations


def _decrease(state: State) -> float:
    before, after = state.losses[-1][1][-2:]
    return 1 - after / before if before > 0 else 0.0


def _noted(state: State) -> State:
    level, losses = state.trial.level, state.losses
    if not losses or losses[-1][0] != level:
        losses = (*losses, (level, ()))
    return replace(state, losses=(*losses[:-1], (level, (*losses[-1][1], state.loss))))


def _descend(
    eliminate: Eliminate, solved: "_Solved", state: State, regularisation: float
) -> tuple["_Solved | None", State]:
    """Raise the damping until a step lowers the loss; None if no step does.

    The derivatives B were taken at linear coefficients that a linear extrapolation gave. If several
    steps are refused, they are taken again at those of least squares.
    """
    damping, refused = state.damping, 0
    while damping <= MOST_DAMPING:
        trial, predicted = solved.step(damping)
        found = _Solved(eliminate(trial), trial, regularisation)
        gain = (solved.loss - found.loss) / max(predicted, np.finfo(float).tiny)
        if found.loss < solved.loss:
            # more of the promised decrease, more trust in the next step
            damping = max(LEAST_DAMPING, damping * max(0.1, 1 - (2 * gain - 1) ** 3))
            after = replace(state, trial=trial, linear=found.linear, loss=found.loss)
            return found, _noted(replace(after, damping=damping))
        refused += 1
        damping *= 8
        if refused == REFUSED:
            trial = replace(state.trial, linear=solved.linear)
            solved, damping = _Solved(eliminate(trial), trial, regularisation), state.damping
    return None, state


class _Solved:
    """Solution of the linear coefficients at a trial, and steps from there."""

    def __init__(self, r: Array, trial: Trial, regularisation: float):
        self.trial, self.count = trial, len(trial.linear)
        norms = np.linalg.norm(r[:, : self.count], axis=0)
        ridge = np.zeros((len(r), len(r)))
        # columns without values must not make the triangle singular
        strength = np.sqrt(regularisation) * norms + 1e-12 * norms.max(initial=1e-300)
        np.fill_diagonal(ridge[: self.count, : self.count], strength)
        triangle = Triangle(np.array(r))
        triangle.merge(ridge)
        self.r = np.triu(triangle.r)
        self.loss = float(np.sum(self.r[self.count :, -1] ** 2))

    @property
    def linear(self) -> Array:
        """Linear coefficients of least squares."""
        return self._linear(np.zeros(self.trial.radial.size))

    def _linear(self, step: Array) -> Array:
        n = self.count
        side = self.r[:n, -1] - self.r[:n, n:-1] @ step
        return np.asarray(solve_triangular(self.r[:n, :n], side))

    def step(self, damping: float) -> tuple[Trial, float]:
        """Return the trial after a damped step, and the decrease of the loss that it promises."""
        n = self.count
        slopes, rest = self.r[n:-1, n:-1], self.r[n:-1, -1]
        norms = np.linalg.norm(slopes, axis=0)
        scale = np.maximum(norms, 1e-3 * norms.max(initial=0.0)) + 1e-300
        matrix = np.vstack((slopes, np.sqrt(damping) * np.diag(scale)))
        target = np.concatenate((rest, np.zeros(len(scale))))
        step = np.linalg.lstsq(matrix, target, rcond=None)[0]
        predicted = float(np.sum(rest**2) - np.sum((rest - slopes @ step) ** 2))
        radial = self.trial.radial + step.reshape(self.trial.radial.shape)
        return Trial(self.trial.level, radial, self._linear(step)), predicted


def history(state: State, cells: int) -> dict[str, Sequence[float]]:
    """Return the losses of a training, per cell, by level."""
    return {str(level): [loss / cells for loss in losses] for level, losses in state.losses}
