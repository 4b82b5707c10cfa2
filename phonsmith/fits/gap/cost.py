"""Cost model of gap_fit and of a GAP."""

from collections.abc import Sequence

from ase import Atoms

from phonsmith.fits.gap.settings import GapFit
from phonsmith.running.costs import JOB_START_S, MB, Cost, count_elements, neighbours

_MULTIPLY = 1.15e-9  # s per kernel element and dimension of SOAP
_SOLVE = 1.0e-10  # s per operation of the QR decomposition
_EVALUATE = 0.9e-5  # s per atom and dimension of SOAP
_EVALUATE_PAIRS = 7e-4  # s per atom for what does not depend on it


def seconds_per_atom(fit: GapFit, cells: Sequence[Atoms]) -> float:
    """Core seconds of energy, forces and stress of one atom."""
    return _EVALUATE_PAIRS + _EVALUATE * soap_dimension(fit, count_elements(cells))


def soap_dimension(fit: GapFit, elements: int) -> int:
    """Length of the power spectrum of gap_fit's soap descriptor; 0 without one."""
    if fit.soap is None:
        return 0
    radial = fit.soap.n_max * max(1, elements)
    return radial * (radial + 1) // 2 * (fit.soap.l_max + 1) + 1


def training_cost(fit: GapFit, cells: Sequence[Atoms], stresses: bool) -> Cost:
    """Estimate time and memory of a training with gap_fit.

    gap_fit keeps the gradients of all descriptors: atoms · neighbours · 3 (9 with virials). The
    estimate follows the "Memory Estimate" in the output of gap_fit. The time is that of products of
    these gradients with the sparse points and of the QR decomposition of the whole matrix.

    Parameters
    ----------
    fit
        Settings of the fit.
    cells
        Training cells.
    stresses
        Whether the labels have stresses.
    """
    atoms = sum(len(cell) for cell in cells)
    rows = 3 * atoms + (7 * len(cells) if stresses else 0)
    dimension = soap_dimension(fit, count_elements(cells))
    cutoff = fit.soap.cutoff_angstrom if fit.soap else 0.0
    gradients = sum(
        len(cell) * (1 + neighbours(cell, cutoff)) * (9 if stresses else 3) for cell in cells
    )
    bodies = sum(part.n_sparse for part in (fit.two_body, fit.three_body) if part)
    soap = fit.soap.sparse_points if fit.soap else 0
    sparse = soap + bodies
    # each element has its share of the points, which meet the environments of that element alone
    meeting = soap / max(1, count_elements(cells)) + bodies
    seconds = (
        JOB_START_S
        + _MULTIPLY * meeting * gradients * dimension
        + 2 * _SOLVE * sparse**2 * (rows + sparse)
    )
    memory = 150 + 8 * (gradients * dimension + 2 * sparse * (rows + sparse)) / MB
    return Cost(seconds, memory)
