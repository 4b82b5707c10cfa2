"""SevenNet with the weights of its package, in an environment of its own, in float32."""

from ase.calculators.calculator import BaseCalculator

from phonsmith.files.errors import PhonsmithError
from phonsmith.potentials.chgnet import ELEMENTS
from phonsmith.potentials.outside import OutsideCalculator
from phonsmith.potentials.settings import PotentialSource

MODALS = {"7net-mf-0": ("PBE", "R2SCAN")}
"""Levels of theory of models that have several."""


def build(source: PotentialSource) -> BaseCalculator:
    """Build the calculator; with ``device: auto`` on a GPU where there is one."""
    arguments = {"device": "auto", **source.arguments, "model": source.model}
    assert source.computes_in is not None
    return OutsideCalculator(source.computes_in, "sevenn.calculator:SevenNetCalculator", arguments)


def elements(source: PotentialSource) -> frozenset[str]:
    """Those of its training set, which is CHGNet's."""
    return ELEMENTS


def check_model(source: PotentialSource) -> None:
    """It has no model file."""


def check_arguments(source: PotentialSource) -> None:
    """Check the level of theory of a model that has several."""
    modals, found = MODALS.get(source.model or "", ()), source.arguments.get("modal")
    if found not in (modals or (None,)):
        allowed = f"`modal: {' or '.join(modals)}`" if modals else "no `modal`"
        raise PhonsmithError(
            f"calculator 'sevennet': model {source.model} has {allowed} in `arguments`; found "
            f"{found}"
        )
