"""All reference methods. A new one is its folder beside this file and its name here."""

import operator
from functools import reduce
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from phonsmith.labels.kind import MethodKind
from phonsmith.labels.reference import ReferenceBase
from phonsmith.potentials.settings import PotentialSource

FOLDERS = ("calculator", "recorded", "espresso", "vasp")

KINDS: dict[str, MethodKind[Any]] = {
    name: import_module(f"phonsmith.labels.{name}.kind").KIND for name in FOLDERS
}
"""By the ``method`` in their settings; ``kind.py`` of a folder holds its entry."""

if TYPE_CHECKING:
    Reference = ReferenceBase
else:
    _SETTINGS = [kind.settings for kind in KINDS.values()]
    Reference = Annotated[reduce(operator.or_, _SETTINGS), Field(discriminator="method")]


def method_kind(reference: Reference) -> MethodKind[Any]:
    """Return the entry of a reference method."""
    return KINDS[reference.method]


def potential_of(reference: Reference) -> PotentialSource | None:
    """Return the potential that labels, if one does."""
    return method_kind(reference).potential(reference)


def drafts() -> dict[str, MethodKind[Any]]:
    """Return the references of which a new campaign file can be drafted, by name; DFT first."""
    return {name: kind for kind in reversed(KINDS.values()) for name in kind.drafts()}
