"""Facts in a CIF about its crystal, apart from the sites: formula, Z, density, volume."""

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

from ase import Atoms
from ase.cell import Cell
from ase.units import _amu

from phonsmith.structures.cif.tags import Tags
from phonsmith.structures.elements import ISOTOPES_U, known_element

VOLUME_TOLERANCE = 0.01
DENSITY_TOLERANCE = 0.03
_AMU_PER_CUBIC_ANGSTROM = _amu * 1e3 * 1e24  # in g/cm³
_TERM = re.compile(r"([A-Za-z]{1,2})(\d+\.?\d*|\.\d+)?")


@dataclass(frozen=True)
class Facts:
    """Formula (atoms of each symbol, D apart from H), formula units in the cell, and density."""

    formula: Mapping[str, float]
    units: float | None
    density: float | None

    @classmethod
    def of(cls, tags: Tags) -> "Facts":
        """Return the facts of a file; what it does not know is None or empty."""
        units = tags.number("_cell_formula_units_z")
        density = tags.number("_exptl_crystal_density_diffrn")
        if (units is not None and not 0 < units < 1e6) or (density is not None and density <= 0):
            tags.fail("_cell_formula_units_Z and the density must be above 0; correct them")
        return cls(_formula(tags), units, density)

    @property
    def counts(self) -> bool:
        """Whether the facts determine the number of atoms in the cell."""
        return bool(self.formula and self.units) or self.density is not None

    def against(self, atoms: Atoms) -> str:
        """Explain why the atoms of the cell contradict the file; empty if they do not."""
        return self._formula_against(atoms) or self._density_against(atoms)

    def _formula_against(self, atoms: Atoms) -> str:
        if not self.formula:
            return ""
        found = _counted(atoms)
        merged = Counter[str]()
        for symbol, amount in self.formula.items():
            merged["H" if symbol in ISOTOPES_U else symbol] += amount  # type: ignore[assignment]
        wanted = [
            {symbol: amount * number for symbol, amount in merged.items()}
            for number in self._multiples(merged, found)
        ]
        if not any(_equal(one, found) for one in wanted):
            return self._disagreement(found, merged)
        if any(symbol in ISOTOPES_U for symbol in self.formula) and not atoms.has("masses"):
            return (
                "the formula has deuterium or tritium, but the sites have hydrogen; write D or T "
                "as _atom_site_type_symbol"
            )
        return ""

    def _multiples(self, formula: Mapping[str, float], found: Mapping[str, int]) -> list[float]:
        """Formula units that the cell may hold.

        pymatgen writes the formula of the whole cell, and as Z the number of its reduced units.
        """
        whole = [round(amount) for amount in formula.values()]
        common = reduce(math.gcd, whole) if whole else 0
        if self.units is None:
            atoms, unit = sum(found.values()), sum(formula.values())
            return [max(1, round(atoms / unit))]
        return [self.units, *([1.0] if common == self.units else [])]

    def _disagreement(self, found: Mapping[str, int], formula: Mapping[str, float]) -> str:
        units = f" and Z = {self.units:g}" if self.units else ""
        words = f"the formula {_words(formula)}{units}"
        if missing := [symbol for symbol in formula if symbol not in found]:
            located = (
                "the hydrogens were not located; give a CIF with them"
                if missing == ["H"]
                else f"{', '.join(missing)} without position; correct the sites or the formula"
            )
            return f"the cell has {_words(found)}, but {words}: {located}"
        return (
            f"symmetry and sites give {_words(found)} in the cell, but {words}; correct the "
            "operations, the sites or the formula"
        )

    def _density_against(self, atoms: Atoms) -> str:
        if self.density is None:
            return ""
        here = float(atoms.get_masses().sum()) / atoms.get_volume() * _AMU_PER_CUBIC_ANGSTROM
        if abs(here / self.density - 1) <= DENSITY_TOLERANCE:
            return ""
        return (
            f"symmetry and sites give a density of {here:.3f} g/cm³, but "
            f"_exptl_crystal_density_diffrn is {self.density:g}; correct the operations, the "
            "sites, the cell or the density"
        )


def check_volume(tags: Tags, cell: Cell) -> None:
    """Refuse a cell whose lengths and angles disagree with the volume in the file."""
    stated = tags.number("_cell_volume")
    if stated and abs(float(cell.volume) / stated - 1) > VOLUME_TOLERANCE:
        tags.fail(
            f"lengths and angles of the cell give {cell.volume:.2f} Å³, but _cell_volume is "
            f"{stated:g}; correct the wrong value"
        )


def _formula(tags: Tags) -> dict[str, float]:
    text = tags.text("_chemical_formula_sum")
    formula: dict[str, float] = {}
    for word in re.findall(r"[A-Za-z]+[0-9.]*", text) if text else []:
        found = _TERM.fullmatch(word)
        element = known_element(found[1]) if found else None
        if found is None or element is None:
            tags.fail(
                f"_chemical_formula_sum '{text[:60]}': '{word}' is not an element; correct it"
            )
        symbol = found[1].capitalize()
        formula[symbol] = formula.get(symbol, 0.0) + float(found[2] or 1)
    return {symbol: amount for symbol, amount in formula.items() if amount}


def _counted(atoms: Atoms) -> Counter[str]:
    return Counter(atoms.get_chemical_symbols())


def _equal(wanted: Mapping[str, float], found: Mapping[str, int]) -> bool:
    return {*wanted} == {*found} and all(
        abs(wanted[symbol] - found[symbol]) < 0.02 * max(1, found[symbol] / 10) for symbol in found
    )


def _words(amounts: Mapping[str, float]) -> str:
    return " ".join(
        f"{symbol}{'' if n == 1 else f'{n:g}'}" for symbol, n in sorted(amounts.items())
    )
