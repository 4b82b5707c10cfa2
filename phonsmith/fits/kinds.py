"""All kinds of fits."""

from typing import Annotated

from pydantic import Field

from phonsmith.fits.gap.settings import GapFit
from phonsmith.fits.mace.settings import MaceFit
from phonsmith.fits.settings import ExistingFit, RecordedFit

Fit = Annotated[GapFit | MaceFit | ExistingFit | RecordedFit, Field(discriminator="kind")]


def takes_gpu(fit: Fit) -> bool:
    """Whether a fit is a MACE that takes a GPU where it finds one."""
    if isinstance(fit, ExistingFit):
        return fit.potential.takes_gpu
    return isinstance(fit, MaceFit) and fit.device != "cpu"
