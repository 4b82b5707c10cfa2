"""phonsmith's fitter of GAPs: covariances as products of matrices, QR by blocks of cells.

It solves the equations of gap_fit (Bartók and Csányi, Int. J. Quantum Chem. 115, 1051 (2015)):
least squares of the rows K_nm/σ and the Cholesky factor of K_mm. gap_fit chooses the sparse points
and writes the file of the potential; everything else is computed here, by several processes.
"""

import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, block_diag, cholesky

from phonsmith.files.cache import Cache
from phonsmith.files.errors import PhonsmithError
from phonsmith.fits.gap.choice import choose_sparse_points
from phonsmith.fits.gap.covariances import sparse_covariance
from phonsmith.fits.gap.descriptors import dimensions_of, is_costly
from phonsmith.fits.gap.design import Caches, Design, TrainingCell, training_cells
from phonsmith.fits.gap.gap_fit import MODEL
from phonsmith.fits.gap.model import Term, read_terms, write_coefficients
from phonsmith.fits.gap.settings import BLOCK_ROWS, PARTS
from phonsmith.fits.gap.targets import balance, targets_of
from phonsmith.fits.gap.task import Fitted, GapTask
from phonsmith.fits.least_squares import Triangle, divided
from phonsmith.running.costs import MB
from phonsmith.running.process_pool import each

Array = NDArray[np.float64]


def fit_by_blocks(task: GapTask) -> Fitted:
    """Fit a GAP, and leave ``gap.xml`` with its companion files in the work folder.

    Raises
    ------
    PhonsmithError
        gap_fit fails to choose sparse points, or sparse points are too similar.
    """
    fit, frames, model = task.fit, task.frames, task.work / MODEL
    begin = time.monotonic()
    chosen = choose_sparse_points(task)
    print(f"sparse points after {time.monotonic() - begin:.0f} s", flush=True)
    terms = read_terms(model)
    scales = balance(frames, fit.balance_exponent)
    cells = [
        (atoms, targets_of(atoms, fit, task.e0s, scale))
        for atoms, scale in zip(frames, scales, strict=True)
    ]
    known = training_cells(cells, terms)
    parts = _parts(known)
    caches = _caches(task.cache, known, terms)
    prior = _prior(terms, fit.sparse_jitter)
    triangle = Triangle(np.zeros_like(prior))
    processes = min(task.threads, len(parts))
    memory = 0.0
    for number, (rows, used) in enumerate(_in_order(terms, parts, processes, caches), 1):
        triangle.merge(rows)
        memory = max(memory, used)
        print(f"part {number}/{len(parts)} after {time.monotonic() - begin:.0f} s", flush=True)
    # last: its rows are small, and Householder reflections keep small rows below large ones
    triangle.merge(prior)
    write_coefficients(model, triangle.solve())
    own = _peak_memory_mb() + (processes * memory if processes > 1 else 0.0)
    return Fitted(
        command=chosen.command,
        wall_time_s=time.monotonic() - begin,
        peak_memory_mb=max(chosen.peak_memory_mb, own),
    )


def _prior(terms: Sequence[Term], jitter: float) -> Array:
    """The Cholesky factor of the covariance of the sparse points, and zeros as its targets."""
    factors = []
    for term in terms:
        try:
            factors.append(cholesky(sparse_covariance(term, jitter)))
        except LinAlgError:
            raise PhonsmithError(
                f"GAP: the covariance of the sparse points of {term.descriptor.split()[0]} is "
                "singular because points are too similar; lower n_sparse, or raise sparse_jitter"
            ) from None
    factor = np.asarray(block_diag(*factors))
    return np.pad(factor, (0, 1))


def _parts(cells: Sequence[TrainingCell]) -> list[list[TrainingCell]]:
    """Divide the cells, in their order, into parts with nearly equal numbers of environments.

    An environment counts where it occurs first.
    """
    seen: set[bytes] = set()
    work = []
    for cell in cells:
        new = set(cell.environments.keys) - seen
        seen |= new
        work.append(1 + len(new))
    return divided(cells, work, PARTS)


def _caches(cache: Cache | None, cells: Sequence[TrainingCell], terms: Sequence[Term]) -> Caches:
    """The cache for what fills no more than half of it: the rest would be deleted before use."""
    if cache is None:
        return Caches()
    half = cache.limit_bytes / 2
    rows = 8.0 * sum(len(cell.targets.values) for cell in cells)
    columns = sum(len(term.points) for term in terms)
    return Caches(
        descriptors=cache if _descriptor_bytes(cells, terms) < half else None,
        rows=cache if rows * columns < half else None,
    )


def _descriptor_bytes(cells: Sequence[TrainingCell], terms: Sequence[Term]) -> float:
    """Memory of all descriptors that are worth keeping, with their derivatives."""
    slots: dict[bytes, int] = {}
    for cell in cells:
        counts = np.bincount(cell.environments.centre)
        slots.update(zip(cell.environments.keys, counts.tolist(), strict=True))
    dimensions = [dimensions_of(t.descriptor) for t in terms if is_costly(t.descriptor)]
    # each environment has the descriptor of its element
    return 24.0 * sum(slots.values()) * max(dimensions, default=0)


def _in_order(
    terms: Sequence[Term],
    parts: Sequence[list[TrainingCell]],
    processes: int,
    caches: Caches,
) -> Iterator[tuple[Array, float]]:
    """Triangle and memory of each part, in the order of the parts."""
    waiting: dict[int, tuple[Array, float]] = {}
    wanted = 0
    for index, outcome in each(partial(_worker, terms, caches), parts, processes):
        if isinstance(outcome, Exception):
            raise outcome
        waiting[index] = outcome
        while wanted in waiting:
            yield waiting.pop(wanted)
            wanted += 1


def _worker(
    terms: Sequence[Term], caches: Caches
) -> Callable[[list[TrainingCell]], tuple[Array, float]]:
    def work(part: list[TrainingCell]) -> tuple[Array, float]:
        design = Design(terms, part, caches)
        try:
            triangle = _triangle(design.kept_rows(), design.columns)
        except LookupError:
            triangle = _triangle(design.all_rows(), design.columns)
        return triangle.r, _peak_memory_mb()

    return work


def _triangle(cells: Iterable[Array], columns: int) -> Triangle:
    """Eliminate the rows of cells."""
    triangle = Triangle(np.zeros([columns + 1] * 2))
    block: list[Array] = []
    for rows in cells:
        block.append(rows)
        if sum(len(rows) for rows in block) >= BLOCK_ROWS:
            triangle.add(block)
            block = []
    triangle.add(block)
    return triangle


def _peak_memory_mb() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used * (1 if sys.platform == "darwin" else 1024) / MB
