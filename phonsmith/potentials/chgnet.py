"""CHGNet with the weights of its package, on the CPU in float32."""

from ase.calculators.calculator import BaseCalculator
from ase.data import chemical_symbols

from phonsmith.potentials.settings import PotentialSource
from phonsmith.potentials.torch_precision import with_dtype

# MPtrj, the training set of CHGNet, has all elements up to Pu but these five
ELEMENTS = frozenset(chemical_symbols[1:95]) - {"Po", "At", "Rn", "Fr", "Ra"}


def build(source: PotentialSource) -> BaseCalculator:
    """Build the calculator."""
    from chgnet.model.dynamics import CHGNetCalculator

    arguments = {"use_device": "cpu", "on_isolated_atoms": "ignore", **source.arguments}
    return with_dtype("float32", lambda: CHGNetCalculator(**arguments))


def elements(source: PotentialSource) -> frozenset[str]:
    """Return the elements of its training set."""
    return ELEMENTS


def check_model(source: PotentialSource) -> None:
    """Accept: it has no model file."""


def check_arguments(source: PotentialSource) -> None:
    """Accept: no argument loads a file."""
