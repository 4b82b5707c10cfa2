"""The modules of ready calculators, loaded when they are used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from phonsmith.potentials.ready import READY
from phonsmith.potentials.settings import PotentialSource

if TYPE_CHECKING:
    from ase.calculators.calculator import BaseCalculator


class Computing(Protocol):
    """What the module of a ready calculator offers."""

    def build(self, source: PotentialSource) -> "BaseCalculator":
        """Build the ASE calculator."""

    def elements(self, source: PotentialSource) -> frozenset[str] | None:
        """Return the symbols of the elements it knows; None if it has to be loaded to know."""

    def check_model(self, source: PotentialSource) -> None:
        """Check a model file that exists, without loading it; raises PhonsmithError."""

    def check_arguments(self, source: PotentialSource) -> None:
        """Check that the arguments load nothing; raises PhonsmithError."""


class Centrewise(Protocol):
    """What the module of a potential offers that is a sum over centres of finite range."""

    def cutoff_angstrom(self, source: PotentialSource) -> float | None:
        """Return the range of all terms around a centre; None where it is unknown."""

    def masked(self, mask: str) -> dict[str, Any]:
        """Return the arguments of the calculator's ``calculate`` for a sum over some centres.

        They are marked in the array ``mask`` of the atoms. Properties are ``forces`` and
        ``energies``, those of single atoms.
        """


def computing(source: PotentialSource) -> Computing | None:
    """Return the module of a ready calculator; None for one with an import path."""
    ready = READY.get(source.calculator)
    if ready is None:
        return None
    return cast(Computing, import_module(f"phonsmith.potentials.{ready.module}"))


def centrewise(source: PotentialSource) -> Centrewise | None:
    """Return the module of a ready calculator that can compute some centres alone."""
    ready = READY.get(source.calculator)
    if ready is None or not ready.centrewise:
        return None
    return cast(Centrewise, import_module(f"phonsmith.potentials.{ready.module}"))
