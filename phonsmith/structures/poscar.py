"""Crystals in VASP's POSCAR format, read as VASP reads them or refused with the line.

A reader of our own: ASE's takes what is left of a file that is cut off, and refuses numbered
symbols; pymatgen's guesses elements (H, He, Li, …) where a VASP 4 file has none.
"""

import re
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from phonsmith.files.errors import PhonsmithError
from phonsmith.structures.elements import Element, element_of, known_element

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eEdD][+-]?\d+)?")
_NAME = re.compile(r"([A-Za-z]{1,2})(\d*)(_[A-Za-z0-9_.]+)?(/[0-9A-Za-z]*)?")
Floats = NDArray[np.float64]

_MOST_ATOMS = 100_000  # of a line of counts, before any array is made of them


@dataclass
class _Lines:
    """The lines of a file, read from the top."""

    lines: list[str]
    where: str
    at: int = 0

    def next(self, what: str) -> list[str]:
        """Words of the next line, without a comment behind ``!`` or ``#``."""
        if self.at >= len(self.lines):
            raise PhonsmithError(
                f"{self.where}: ends before line {self.at + 1} ({what}); the file is cut off, get "
                "it again"
            )
        self.at += 1
        return self._words(self.at - 1)

    def peek(self) -> list[str]:
        """Words of the next line, without advancing; none at the end of the file."""
        return self._words(self.at) if self.at < len(self.lines) else []

    def _words(self, index: int) -> list[str]:
        return re.split(r"[!#]", self.lines[index])[0].split()

    def fail(self, why: str) -> NoReturn:
        raise PhonsmithError(f"{self.where}: line {self.at}: {why}")

    def numbers(self, words: list[str], count: int, what: str) -> list[float]:
        """The first ``count`` words as numbers; Fortran's exponents (1.0d0) are numbers too."""
        if len(words) < count or not all(_NUMBER.fullmatch(word) for word in words[:count]):
            found = " ".join(words)[:60] or "nothing"
            self.fail(f"{what} must be {count} number{'s' * (count > 1)}, found '{found}'")
        return [float(re.sub("[dD]", "e", word)) for word in words[:count]]


def read_poscar(text: str, where: str) -> Atoms:
    """Read the crystal of a POSCAR or CONTCAR; ``where`` (the file) opens every message.

    Symbols may be numbered (``Fe1 Fe2``) or name a POTCAR (``Sn_d``, VASP 6's ``Si/0123abcd``),
    and be on several lines. VASP 4's files, which have none, take them from the first line where
    that holds nothing else. Selective dynamics and velocities are dropped.

    Raises
    ------
    PhonsmithError
        The file is cut off, or a line is not what VASP would read there.
    """
    lines = _Lines(text.splitlines(), where)
    title = lines.next("title")
    factors = _scale(lines)
    vectors = [
        lines.numbers(lines.next(f"lattice vector {i}"), 3, f"lattice vector {i}") for i in "abc"
    ]
    cell = np.array(vectors)
    scale = _scale_of(factors, cell, lines)
    cell = cell * scale
    elements = _elements(lines, title)
    direct = _mode(lines)
    coordinates = _coordinates(lines, elements)
    _nothing_more(lines, len(elements))
    atoms = Atoms([one.number for one in elements], cell=cell, pbc=True)
    if direct:
        atoms.set_scaled_positions(coordinates)
    else:
        atoms.set_positions(coordinates * scale)
    if any(one.mass for one in elements):
        atoms.set_masses([one.mass for one in elements])  # None: the element's own
    return atoms


def _scale(lines: _Lines) -> list[float]:
    words = lines.next("scale factor")
    three = len(words) >= 3 and all(_NUMBER.fullmatch(word) for word in words[:3])
    numbers = lines.numbers(words, 3 if three else 1, "the scale factor")
    if not three and len(words) > 1 and _NUMBER.fullmatch(words[1]):
        lines.fail("the scale factor must be one number or three, found two")
    if 0 in numbers:
        lines.fail("the scale factor is 0; write 1.0 for lattice vectors in Å")
    if three and min(numbers) < 0:
        lines.fail(
            "three scale factors must be positive; a negative factor gives the volume and must be "
            "alone"
        )
    return numbers


def _scale_of(numbers: list[float], cell: Floats, lines: _Lines) -> float | Floats:
    """One factor (of a negative one, which gives the volume in Å³) or that of x, y and z."""
    if len(numbers) == 3:
        return np.array(numbers)
    if numbers[0] > 0:
        return numbers[0]
    volume = abs(float(np.linalg.det(cell)))
    if volume == 0:
        lines.fail("the lattice vectors span no volume to be scaled")
    return float((-numbers[0] / volume) ** (1 / 3))


def _elements(lines: _Lines, title: list[str]) -> list[Element]:
    """The element of every atom, in the order of the file."""
    names: list[str] = []
    kinds: list[Element] = []
    while not (words := lines.next("numbers of atoms")) or not re.match(r"[+-]?\d", words[0]):
        if not words:
            lines.fail("is empty; expected chemical symbols or numbers of atoms")
        names += words
        kinds += [_element(lines, name) for name in words]
    counts = _counts(lines, words)
    while names and len(counts) < len(names) and lines.peek() and lines.peek()[0].isdecimal():
        counts += _counts(lines, lines.next("numbers of atoms"))
    if not names:
        kinds = _from_title(lines, title, counts)
    if len(kinds) != len(counts):
        lines.fail(f"{len(counts)} numbers of atoms for {len(kinds)} symbols ({' '.join(names)})")
    if sum(counts) > _MOST_ATOMS:
        lines.fail(f"{sum(counts)} atoms; allowed are at most {_MOST_ATOMS}")
    return [kind for kind, count in zip(kinds, counts, strict=True) for _ in range(count)]


def _counts(lines: _Lines, words: list[str]) -> list[int]:
    numbers = [word for word in words if word.isascii() and word.isdecimal()]
    if numbers != words or any(len(word) > 9 or int(word) < 1 for word in words):
        lines.fail(f"numbers of atoms must be integers above 0, found '{' '.join(words)[:60]}'")
    return [int(word) for word in words]


def _element(lines: _Lines, name: str) -> Element:
    found = _NAME.fullmatch(name)
    return element_of(found[1] if found else name, f"{lines.where}: line {lines.at}")


def _from_title(lines: _Lines, title: list[str], counts: list[int]) -> list[Element]:
    """The elements of a VASP 4 file, if its first line is symbols and no more."""
    words = title[0].split() if len(title) == 1 else title
    if len(title) == 1 and (parts := re.findall(r"([A-Z][a-z]?)(\d*)", title[0])):
        amounts = [int(number or 1) for _, number in parts]
        whole = "".join(symbol + number for symbol, number in parts) == title[0]
        shares = [count * amounts[0] for count in counts]
        if whole and shares == [counts[0] * amount for amount in amounts]:
            words = [symbol for symbol, _ in parts]
    known = [known_element(word) if re.fullmatch(r"[A-Z][a-z]?", word) else None for word in words]
    kinds = [one for one in known if one is not None]
    if len(kinds) != len(words) or len(kinds) != len(counts):
        lines.fail(
            "chemical symbols above the numbers of atoms are missing; add a line such as 'Si O'"
        )
    return kinds


def _mode(lines: _Lines) -> bool:
    """Whether positions are fractional."""
    words = lines.next("Direct or Cartesian")
    if words and words[0][0] in "sS":
        words = lines.next("Direct or Cartesian")
    if not words or words[0][0] not in "dDcCkK":
        found = " ".join(words)[:60]
        lines.fail(f"must be Direct or Cartesian, found '{found}'")
    return words[0][0] in "dD"


def _coordinates(lines: _Lines, elements: list[Element]) -> Floats:
    rows = []
    for number, element in enumerate(elements):
        words = lines.next(f"position of atom {number + 1} of {len(elements)}")
        rows.append(lines.numbers(words, 3, f"position of atom {number + 1}"))
        named = [word for word in words[3:] if re.fullmatch(r"[A-Z][a-z]?", word)]
        flags = {"T", "F"}
        for word in named:  # pymatgen writes the symbol behind
            other = None if word in flags else known_element(word)
            if other is not None and other.number != element.number:
                lines.fail(
                    f"atom {number + 1} is {element.symbol} by the numbers of atoms, but {word} in "
                    "its own line; correct one of the two"
                )
    return np.array(rows)


def _nothing_more(lines: _Lines, atoms: int) -> None:
    words = lines.peek()
    if len(words) >= 3 and all(_NUMBER.fullmatch(word) for word in words[:3]):
        lines.at += 1
        lines.fail(f"more positions than the {atoms} atoms in the numbers of atoms; correct these")
