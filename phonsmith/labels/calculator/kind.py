"""Registry entry of ASE calculators."""

from typing import TYPE_CHECKING

from phonsmith.labels.calculator.settings import CalculatorReference
from phonsmith.labels.kind import MethodKind, Occasion
from phonsmith.potentials.settings import PotentialSource

if TYPE_CHECKING:
    from phonsmith.labels.protocol import ReferenceMethod


class AnyCalculator(MethodKind[CalculatorReference]):
    """Labels from any ASE calculator."""

    settings = CalculatorReference

    def make(self, reference: CalculatorReference, occasion: Occasion) -> "ReferenceMethod":
        """Build the reference method."""
        from phonsmith.labels.calculator.method import CalculatorMethod

        return CalculatorMethod(reference)

    def potential(self, reference: CalculatorReference) -> PotentialSource:
        """Return the calculator's potential."""
        return reference.potential

    def takes_gpu(self, reference: CalculatorReference) -> bool:
        """Return whether the calculator can use a GPU."""
        return reference.potential.takes_gpu


KIND = AnyCalculator()
