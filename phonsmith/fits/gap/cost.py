"""Cost models of the fitters and of a GAP."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from phonsmith.fits.gap.settings import BATCH_MB, BLOCK_ROWS, PARTS, GapFit
from phonsmith.running.costs import JOB_START_S, MB, Cost, count_elements, neighbours

_MULTIPLY = 1.15e-9  # s per kernel element and dimension of SOAP, gap_fit
_SOLVE = 1.0e-10  # s per operation of gap_fit's QR decomposition
_CHOOSE = 8e-7  # s per atom and dimension: descriptors without gradients
_DESCRIBE = 1.1e-7  # s per component of a gradient
_PRODUCT = 7e-11  # s per component of a gradient and sparse point
_SCALE = 2e-8  # s per derivative of a covariance
_ELIMINATE = 4e-11  # s per operation of the QR decomposition by blocks
_KEPT = 60  # environments of the crystals that wait for the next cell
_EVALUATE = 0.9e-5  # s per atom and dimension of SOAP
_EVALUATE_PAIRS = 7e-4  # s per atom for what does not depend on it


def seconds_per_atom(fit: GapFit, cells: Sequence[Atoms]) -> float:
    """Core seconds of energy, forces and stress of one atom."""
    return _EVALUATE_PAIRS + _EVALUATE * soap_dimension(fit, count_elements(cells))


def soap_dimension(fit: GapFit, elements: int) -> int:
    """Return the length of the power spectrum of gap_fit's soap descriptor; 0 without SOAP."""
    if fit.soap is None:
        return 0
    radial = fit.soap.n_max * max(1, elements)
    return radial * (radial + 1) // 2 * (fit.soap.l_max + 1) + 1


def training_cost(fit: GapFit, cells: Sequence[Atoms], stresses: bool) -> Cost:
    """Estimate time and memory of a training; arguments of ``TrainedKind.training_cost``."""
    return _COSTS[fit.fitter](fit, _size_of(fit, cells, stresses))


@dataclass(frozen=True)
class _Size:
    """Numbers that determine the cost of a training.

    ``components`` is the number of atoms · neighbours · 3; ``points`` counts all sparse points,
    ``meeting`` those that the environment of one atom meets. ``different_rows`` and
    ``different_components`` count equal environments once.
    """

    atoms: int
    rows: int
    components: float
    different_rows: float
    different_components: float
    dimension: int
    points: int
    meeting: float
    stresses: bool


def _size_of(fit: GapFit, cells: Sequence[Atoms], stresses: bool) -> _Size:
    atoms = sum(len(cell) for cell in cells)
    elements = count_elements(cells)
    cutoff = fit.soap.cutoff_angstrom if fit.soap else 0.0
    bodies = sum(part.n_sparse for part in (fit.two_body, fit.three_body) if part)
    soap = fit.soap.sparse_points if fit.soap else 0
    others = 7 * len(cells) if stresses else 0
    around = [1 + neighbours(cell, cutoff) for cell in cells]
    # environments that a displacement changes, and atoms with a force from one of these
    changed = [_near(cell, near) for cell, near in zip(cells, around, strict=True)]
    pushed = [_near(cell, 8 * near) for cell, near in zip(cells, around, strict=True)]
    return _Size(
        atoms=atoms,
        rows=3 * atoms + others,
        components=sum(3 * len(cell) * near for cell, near in zip(cells, around, strict=True)),
        different_rows=3 * sum(pushed) + others,
        different_components=3 * float(np.dot(changed, around)),
        dimension=soap_dimension(fit, elements),
        points=soap + bodies,
        # each element has its share of the points, which meet the environments of that element
        meeting=soap / elements + bodies,
        stresses=stresses,
    )


def _near(cell: Atoms, number: float) -> float:
    """Atoms of a cell that count: of a displaced cell no more than so many."""
    return min(len(cell), number) if cell.info.get("kind") == "displaced" else len(cell)


def _by_gap_fit(fit: GapFit, size: _Size) -> Cost:
    """gap_fit keeps the gradients of all descriptors, three times as many with virials.

    The estimate follows the "Memory Estimate" in its output. The time is that of products of these
    gradients with the sparse points and of the QR decomposition of the whole matrix.
    """
    kept = size.components * size.dimension * (3 if size.stresses else 1)
    seconds = (
        JOB_START_S
        + _MULTIPLY * size.meeting * kept
        + 2 * _SOLVE * size.points**2 * (size.rows + size.points)
    )
    memory = 150 + 8 * (kept + 2 * size.points * (size.rows + size.points)) / MB
    return Cost(seconds, memory)


def _by_blocks(fit: GapFit, size: _Size) -> Cost:
    """phonsmith's fitter keeps a triangle and a block of rows for each process."""
    gradients = size.different_components * size.dimension
    seconds = (
        2 * JOB_START_S
        + _CHOOSE * size.atoms * size.dimension
        + _DESCRIBE * gradients
        + (_PRODUCT * size.dimension + _SCALE) * size.different_components * size.meeting
        + 2 * _ELIMINATE * size.points**2 * (size.different_rows + PARTS * size.points)
    )
    processes = min(fit.resources.threads, PARTS)
    triangle = 8 * (size.points + 1) ** 2 / MB
    block = 8 * BLOCK_ROWS * size.points / MB
    of_environment = 8 * size.points * size.components / max(1, size.atoms) / MB
    each = 250 + 3 * BATCH_MB + 3 * triangle + 4 * block + _KEPT * of_environment
    together = 2 * triangle if processes == 1 else 400 + 4 * triangle + (processes - 1) * each
    return Cost(seconds, each + together)


_COSTS: dict[str, Callable[[GapFit, _Size], Cost]] = {
    "gap_fit": _by_gap_fit,
    "phonsmith": _by_blocks,
}
