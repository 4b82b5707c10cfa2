"""Cost model of moment tensor potentials; ``benchmarks/mtp.py cost`` measures its constants."""

from collections.abc import Sequence

from ase import Atoms

from phonsmith.fits.mtp.basis import moment_basis, radial_functions
from phonsmith.fits.mtp.optimisation import (
    ITERATIONS_BELOW,
    ITERATIONS_OF_STARTS,
    STARTS,
    levels_to,
)
from phonsmith.fits.mtp.settings import BLOCK_ROWS, PARTS, MtpFit
from phonsmith.running.costs import JOB_START_S, MB, Cost, count_elements, mean_neighbours

_LIST = 1e-5  # s per atom: neighbours
_BASIC = 6.9e-9  # s per basic moment and neighbour
_PRODUCT = 2.5e-9  # s per product of moments
_PASS = 2e-5  # s per atom and pass over the training cells
_PASS_BASIC = 8.6e-8  # s per basic moment and neighbour, with derivatives
_PASS_PRODUCT = 9.6e-9  # s per product of moments and neighbour, with derivatives
_ELIMINATE = 2e-10  # s per operation of the QR decomposition by blocks
_ITERATIONS = 20  # at the final level, if no limit ends it
_TRIALS = 1.3  # passes for an iteration: some steps are refused
_PROCESS_MB = 200


def seconds_per_atom(fit: MtpFit, cells: Sequence[Atoms]) -> float:
    """Core seconds of energy, forces and stress of one atom."""
    basis = moment_basis(fit.level)
    return (
        _LIST
        + _BASIC * len(basis.basic) * mean_neighbours(cells, fit.cutoff_angstrom)
        + _PRODUCT * len(basis.products)
    )


def training_cost(fit: MtpFit, cells: Sequence[Atoms]) -> Cost:
    """Estimate time and memory of a training."""
    atoms = sum(len(cell) for cell in cells)
    near, elements = mean_neighbours(cells, fit.cutoff_angstrom), count_elements(cells)
    final = min(_ITERATIONS, fit.max_iterations)
    tried = 2 + _TRIALS * min(ITERATIONS_OF_STARTS, fit.max_iterations)
    first = levels_to(fit.level)[0]
    seconds = (STARTS - 1) * tried * atoms * _pass(fit, first, near, elements)
    for level in levels_to(fit.level):
        passes = 2 + _TRIALS * (final if level == fit.level else min(final, ITERATIONS_BELOW))
        seconds += passes * atoms * _pass(fit, level, near, elements)
    processes = min(fit.resources.threads, PARTS)
    columns = _columns(fit, fit.level, elements)
    largest = 3 * max((len(cell) for cell in cells), default=1)
    rows = 2 * max(BLOCK_ROWS, columns) + 4 * largest
    each = _PROCESS_MB + 8 * columns * (rows + 3 * columns) / MB
    together = 8 * columns**2 * (PARTS + 3) / MB + _PROCESS_MB
    return Cost(2 * JOB_START_S + seconds, each if processes == 1 else together + processes * each)


def _pass(fit: MtpFit, level: int, near: float, elements: int) -> float:
    """Core seconds of an atom in a pass over the training cells."""
    basis = moment_basis(level)
    moments = _PASS_BASIC * len(basis.basic) + _PASS_PRODUCT * len(basis.products)
    return _PASS + moments * near + 6 * _ELIMINATE * _columns(fit, level, elements) ** 2


def _columns(fit: MtpFit, level: int, elements: int) -> int:
    radial = elements**2 * radial_functions(level) * fit.radial_basis_size
    return len(moment_basis(level).scalars) + radial
