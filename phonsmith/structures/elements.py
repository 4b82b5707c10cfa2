"""Elements as crystal files write them: charges, numbers, capitals, and isotopes of hydrogen."""

import re
from dataclasses import dataclass

from ase.data import atomic_numbers, chemical_symbols

from phonsmith.files.errors import PhonsmithError

ISOTOPES_U = {"D": 2.01410177811, "T": 3.01604927767}
"""Mass (u) of the isotopes of hydrogen with their own symbol; CODATA 2018 / AME 2016."""

_CHARGED = re.compile(r"([A-Za-z]{1,2})(?:\d*(?:\.\d+)?[+-]|[+-]\d+(?:\.\d+)?|\d+)?")


@dataclass(frozen=True)
class Element:
    """Atomic number, and the mass (u) where the file names an isotope."""

    number: int
    mass: float | None = None

    @property
    def symbol(self) -> str:
        """Chemical symbol; that of hydrogen for its isotopes."""
        return str(chemical_symbols[self.number])


def known_element(symbol: str) -> Element | None:
    """Return the element with exactly this symbol, in any capitals; D and T are hydrogen."""
    name = symbol.capitalize()
    if name in ISOTOPES_U:
        return Element(1, ISOTOPES_U[name])
    number = atomic_numbers.get(name, 0)
    return Element(number) if number > 0 else None


def element_of(text: str, where: str) -> Element:
    """Return the element of a symbol with or without charge or number: ``Fe3+``, ``SI``, ``Fe1``.

    Raises
    ------
    PhonsmithError
        It is none; ``where`` (file and place in it) opens the message.
    """
    found = _CHARGED.fullmatch(text)
    element = known_element(found[1]) if found else None
    if element is None:
        raise PhonsmithError(f"{where}: '{text}' is not an element; {_remedy(text)}")
    return element


def _remedy(text: str) -> str:
    if text.upper() in ("WAT", "HOH", "H2O", "OH", "OW", "OH2"):
        return "give its oxygen and hydrogen atoms with their positions"
    if re.fullmatch(r"\d+[A-Za-z]{1,2}", text):
        return "give the element, and the isotope's mass as `masses` of the structure"
    if text.capitalize() in ("X", "Xx", "Vac", "Va", "Vacancy", "M", "Q", "Du"):
        return "remove dummy atoms and vacancies, or give an ordered crystal"
    return "write a chemical symbol such as Si"
