"""Registry entry of ASE calculators."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from phonsmith.labels.calculator.settings import CalculatorReference
from phonsmith.labels.kind import Draft, MethodKind, Occasion
from phonsmith.potentials.ready import READY
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

    def drafts(self) -> list[str]:
        """Return the ready calculators that need no model file."""
        return [name for name, ready in READY.items() if ready.models or not ready.has_model]

    def draft(self, name: str, elements: Sequence[str]) -> Draft:
        """Write settings of a ready calculator."""
        ready = READY[name]
        model = f", model: {next(iter(ready.models))}" if ready.models else ""
        others = f" # or {', '.join([*ready.models][1:])}" if ready.models else ""
        lines = [
            "method: calculator",
            "# A model of your own: {calculator: mace, model: my.model, trust: true}; any ASE",
            "# calculator: {calculator: package.module:Class}.",
            f"potential: {{calculator: {name}{model}}}{others}",
        ]
        if not ready.isolated_atoms:
            lines.append("isolated_atoms: false # it has no meaningful energies of isolated atoms")
        return Draft(reference="\n".join(lines), displacement_angstrom=ready.cusp_angstrom or 0.01)

    def potential(self, reference: CalculatorReference) -> PotentialSource:
        """Return the calculator's potential."""
        return reference.potential

    def takes_gpu(self, reference: CalculatorReference) -> bool:
        """Return whether the calculator can use a GPU."""
        return reference.potential.takes_gpu


KIND = AnyCalculator()
