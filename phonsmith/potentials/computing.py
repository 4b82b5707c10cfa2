"""Modules of ready calculators, loaded on use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from phonsmith.potentials.ready import READY
from phonsmith.potentials.settings import PotentialSource

if TYPE_CHECKING:
    from ase.calculators.calculator import BaseCalculator


class Computing(Protocol):
    """Interface of the module of a ready calculator."""

    def build(self, source: PotentialSource) -> "BaseCalculator":
        """Build the ASE calculator."""

    def elements(self, source: PotentialSource) -> frozenset[str] | None:
        """Return the supported elements; None if unknown before it is loaded."""

    def check_model(self, source: PotentialSource) -> None:
        """Check an existing model file without loading it; raises PhonsmithError."""

    def check_arguments(self, source: PotentialSource) -> None:
        """Check that the arguments load nothing; raises PhonsmithError."""


class Centrewise(Protocol):
    """Interface of the module of a potential that is a sum over centres of finite range."""

    def cutoff_angstrom(self, source: PotentialSource) -> float | None:
        """Return the range of all terms around a centre; None if unknown."""

    def masked(self, mask: str) -> dict[str, Any]:
        """Return the arguments of the calculator's ``calculate`` for a sum over some centres.

        They are marked in the array ``mask`` of the atoms. Properties are ``forces`` and
        ``energies``, those of single atoms.
        """


def computing(source: PotentialSource) -> Computing | None:
    """Return the module of a ready calculator; None for an import path."""
    ready = READY.get(source.calculator)
    if ready is None:
        return None
    return cast(Computing, import_module(f"phonsmith.potentials.{ready.module}"))


def centrewise(source: PotentialSource) -> Centrewise | None:
    """Return the module of a ready calculator that can compute selected centres."""
    ready = READY.get(source.calculator)
    if ready is None or not ready.centrewise:
        return None
    return cast(Centrewise, import_module(f"phonsmith.potentials.{ready.module}"))
