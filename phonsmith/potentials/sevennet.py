"""SevenNet in a separate environment, in float32: a model of its package or a checkpoint."""

from pathlib import Path

from ase.calculators.calculator import BaseCalculator

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.pickles import check_torch_file
from phonsmith.potentials.chgnet import ELEMENTS
from phonsmith.potentials.outside import OutsideCalculator
from phonsmith.potentials.settings import PotentialSource

MODALS = {"7net-mf-0": ("PBE", "R2SCAN")}
"""Levels of theory of multi-fidelity models."""


def build(source: PotentialSource) -> BaseCalculator:
    """Build the calculator; with ``device: auto`` on a GPU if available."""
    # a full path, which sevenn cannot confuse with the name of a model
    model = str(Path(source.model_file).absolute()) if source.model_file else source.model
    arguments = {"device": "auto", **source.arguments, "model": model}
    assert source.computes_in is not None
    return OutsideCalculator(source.computes_in, "sevenn.calculator:SevenNetCalculator", arguments)


def elements(source: PotentialSource) -> frozenset[str] | None:
    """Return the elements of its training set, which is CHGNet's; None of a checkpoint."""
    return None if source.model_file else ELEMENTS


def check_model(source: PotentialSource) -> None:
    """Check that a checkpoint is a file of torch."""
    if source.model_file:
        check_torch_file(Path(source.model_file))


def check_arguments(source: PotentialSource) -> None:
    """Check the level of theory of a multi-fidelity model; that of a checkpoint is unknown."""
    if source.model_file:
        return
    modals, found = MODALS.get(source.model or "", ()), source.arguments.get("modal")
    if found not in (modals or (None,)):
        allowed = f"`modal: {' or '.join(modals)}`" if modals else "no `modal`"
        raise PhonsmithError(
            f"calculator 'sevennet': model {source.model} has {allowed} in `arguments`; found "
            f"{found}"
        )
