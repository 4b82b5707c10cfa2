"""SevenNet with the weights of its package, in a separate environment, in float32."""

from ase.calculators.calculator import BaseCalculator

from phonsmith.files.errors import PhonsmithError
from phonsmith.potentials.chgnet import ELEMENTS
from phonsmith.potentials.outside import OutsideCalculator
from phonsmith.potentials.settings import PotentialSource

MODALS = {"7net-mf-0": ("PBE", "R2SCAN")}
"""Levels of theory of multi-fidelity models."""


def build(source: PotentialSource) -> BaseCalculator:
    """Build the calculator; with ``device: auto`` on a GPU if available."""
    arguments = {"device": "auto", **source.arguments, "model": source.model}
    assert source.computes_in is not None
    return OutsideCalculator(source.computes_in, "sevenn.calculator:SevenNetCalculator", arguments)


def elements(source: PotentialSource) -> frozenset[str]:
    """Return the elements of its training set, which is CHGNet's."""
    return ELEMENTS


def check_model(source: PotentialSource) -> None:
    """Accept: it has no model file."""


def check_arguments(source: PotentialSource) -> None:
    """Check the level of theory of a multi-fidelity model."""
    modals, found = MODALS.get(source.model or "", ()), source.arguments.get("modal")
    if found not in (modals or (None,)):
        allowed = f"`modal: {' or '.join(modals)}`" if modals else "no `modal`"
        raise PhonsmithError(
            f"calculator 'sevennet': model {source.model} has {allowed} in `arguments`; found "
            f"{found}"
        )
