"""Energy, forces and stress of a geometry in one calculation.

Some calculators, such as quippy, repeat the calculation for each property requested.
"""

from typing import Any

from ase import Atoms
from ase.calculators.abc import GetPropertiesMixin
from ase.calculators.calculator import BaseCalculator, Calculator, all_changes


def compute(atoms: Atoms, calculator: BaseCalculator) -> None:
    """Compute energy, forces and stress as far as available.

    Calculators without ASE's ``calculate`` compute a property when it is requested.
    """
    if isinstance(calculator, Calculator):
        calculator.calculate(atoms, offered(atoms, calculator), list(all_changes))


def offered(atoms: Atoms, calculator: BaseCalculator) -> list[str]:
    """Return those of energy, free energy, forces and stress that a calculator has of the atoms."""
    known = getattr(calculator, "implemented_properties", [])
    wanted = [name for name in ("energy", "free_energy", "forces", "stress") if name in known]
    if atoms.cell.rank < 3 and "stress" in wanted:
        wanted.remove("stress")
    return wanted


class AtOnce(GetPropertiesMixin):  # type: ignore[misc]
    """A calculator that runs :func:`compute` when the first property is requested.

    >>> from ase.build import bulk
    >>> from ase.calculators.emt import EMT
    >>> copper = bulk("Cu")
    >>> copper.calc = AtOnce(EMT())
    >>> forces = copper.get_forces()
    >>> "stress" in copper.calc.calculator.results
    True
    """

    def __init__(self, calculator: BaseCalculator) -> None:
        self.calculator = calculator

    def get_property(
        self, name: str, atoms: Atoms | None = None, allow_calculation: bool = True
    ) -> Any:
        """Return a property of the calculator."""
        if allow_calculation and atoms is not None and self.calculator.check_state(atoms):
            compute(atoms, self.calculator)
        return self.calculator.get_property(name, atoms, allow_calculation)
