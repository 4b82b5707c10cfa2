"""All kinds of fits. A new architecture is its folder beside this file and its name here."""

import operator
from functools import reduce
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from phonsmith.fits.kind import FitKind, TrainedKind
from phonsmith.fits.settings import FitBase, TrainedFit
from phonsmith.potentials.settings import PotentialSource

FOLDERS = (
    "gap",
    "mace",
    "mtp",
    "polymlp",
    "pod",
    "sevennet",
    "force_constants",
    "existing",
    "recorded",
)

KINDS: dict[str, FitKind[Any]] = {
    name.replace("_", "-"): import_module(f"phonsmith.fits.{name}.kind").KIND for name in FOLDERS
}
"""By the ``kind`` in their settings: the name of the folder, with hyphens for underscores.

``kind.py`` of a folder holds its entry."""

if TYPE_CHECKING:
    Fit = FitBase
else:
    Fit = Annotated[
        reduce(operator.or_, (kind.settings for kind in KINDS.values())),
        Field(discriminator="kind"),
    ]


def kind_of(fit: Fit) -> FitKind[Any]:
    """Return the entry of a fit's kind."""
    return KINDS[fit.kind]


def trained_kind(fit: TrainedFit) -> TrainedKind[Any]:
    """Return the entry of an architecture."""
    kind = kind_of(fit)
    assert isinstance(kind, TrainedKind)
    return kind


def takes_gpu(fit: Fit) -> bool:
    """Return whether a fit runs on a GPU where there is one."""
    return kind_of(fit).takes_gpu(fit)


def potential_named(fit: Fit) -> PotentialSource | None:
    """Return the potential that the settings of a fit name, if they do."""
    return kind_of(fit).potential(fit)


def environment_named(fit: Fit) -> str | None:
    """Return the environment in which a fit computes; None for that of phonsmith."""
    return kind_of(fit).environment(fit)


def computes(fit: Fit) -> bool:
    """Return whether a fit gives energies and forces of any cell."""
    return kind_of(fit).computes
