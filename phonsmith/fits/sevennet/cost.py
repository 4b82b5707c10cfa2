"""Cost model of the fine-tuning of SevenNet."""

from collections.abc import Sequence

from ase import Atoms

from phonsmith.fits.sevennet.settings import SevennetFit
from phonsmith.potentials.ready import READY
from phonsmith.running.costs import JOB_START_S, Cost

_STEP = 4.0  # training step over energy, forces and stress
_BASE_MB = 1000.0
_ATOM_MB = 40.0  # of a batch


def training_cost(fit: SevennetFit, cells: Sequence[Atoms]) -> Cost:
    """Estimate time and memory of all epochs."""
    atoms = sum(map(len, cells))
    batch = fit.batch_size * max(map(len, cells), default=1)
    step = _STEP * READY["sevennet"].models[fit.foundation]
    return Cost(10 * JOB_START_S + fit.max_epochs * atoms * step, _BASE_MB + _ATOM_MB * batch)
