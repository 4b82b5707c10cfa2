"""Cost model of MACE."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from phonsmith.fits.mace.settings import MaceFit
from phonsmith.running.costs import JOB_START_S, Cost, neighbours

_STEP = (0.9e-3, 0.09e-3)  # s per atom and training step: constant, and for a channel
_FOUNDATION = (128, 1, 6.0, 2)  # channels, order, cutoff and layers of the medium models
_EDGES = 28  # neighbours within the cutoff in silicon at 5 Å, where these were measured
_OVERHEAD = 2.0  # CPU seconds of whole trainings over those of the steps alone
_EVALUATE = 0.4  # forces of one atom over a training step


def seconds_per_atom(fit: MaceFit, cells: Sequence[Atoms]) -> float:
    """Core seconds of energy, forces and stress of one atom."""
    return _EVALUATE * _step(fit, cells)


def training_cost(fit: MaceFit, cells: Sequence[Atoms]) -> Cost:
    """Estimate the cost of all epochs (``patience`` may end earlier); memory of libraries only."""
    atoms = sum(len(cell) for cell in cells)
    seconds = fit.max_epochs * atoms * _step(fit, cells) * _OVERHEAD
    return Cost(10 * JOB_START_S + seconds, None)


def _step(fit: MaceFit, cells: Sequence[Atoms]) -> float:
    """Core seconds of a training step for one atom."""
    constant, channel = _STEP
    channels, max_l, cutoff, layers = (
        _FOUNDATION
        if fit.foundation
        else (fit.num_channels, fit.max_l, fit.cutoff_angstrom, fit.num_interactions)
    )
    work = constant + channel * channels * (max_l + 1) ** 1.2
    edges = float(np.mean([neighbours(one, cutoff) for one in cells] or [_EDGES]))
    precision = 0.5 if fit.dtype == "float32" else 1.0
    return float(work * precision * edges / _EDGES * layers / 2)
