"""Crystals in extended XYZ, by ASE's reader, with what that one would pass over in silence."""

import re
from io import StringIO

from ase import Atoms
from ase.io import read

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import MOST_COLUMNS, header_keys
from phonsmith.structures.elements import element_of

_MOST_ATOMS = 100_000


def read_extxyz(text: str, where: str) -> Atoms:
    """Read the one crystal of an extxyz file; ``where`` (the file) opens every message.

    A column ``masses`` (u) is kept; D and T are hydrogen with their mass.

    Raises
    ------
    PhonsmithError
        Not one crystal that is periodic in three directions, an unknown element, or no extxyz.
    """
    lines = text.splitlines()
    words = lines[0].split() if lines else []
    if len(words) != 1 or not (words[0].isascii() and words[0].isdecimal()) or len(words[0]) > 9:
        raise PhonsmithError(f"{where}: line 1 must be the number of atoms")
    number = int(words[0])
    if number > _MOST_ATOMS or len(lines) < 2 + number:
        raise PhonsmithError(
            f"{where}: {number} atoms in line 1, but {max(0, len(lines) - 2)} lines of atoms; the "
            "file is cut off, or the number is wrong"
        )
    header = _header(lines[1], where)
    species = _species_column(header, where)
    masses: dict[int, float] = {}
    for index in range(2, 2 + number):
        row = lines[index].split()
        if len(row) <= species:
            raise PhonsmithError(f"{where}: line {index + 1}: element of an atom is missing")
        if not row[species].isdecimal():  # atomic numbers are a way of ASE
            element = element_of(row[species], f"{where}: line {index + 1}")
            if element.mass is not None:
                masses[index - 2] = element.mass
            row[species] = element.symbol
            lines[index] = " ".join(row)
    frames = read(StringIO("\n".join(lines) + "\n"), index=":", format="extxyz")
    if len(frames) != 1:
        raise PhonsmithError(f"{where}: contains {len(frames)} crystals, must contain exactly one")
    atoms = frames[0]
    _check_periodic(atoms, where)
    if masses:
        atoms.set_masses([masses.get(index) for index in range(number)])
    return atoms


def _header(line: str, where: str) -> dict[str, object]:
    try:
        return {str(key).lower(): value for key, value in header_keys(line).items()}
    except Exception as error:  # ASE raises many kinds
        raise PhonsmithError(
            f"{where}: line 2 is not an extxyz header ({' '.join(str(error).split())[:100]})"
        ) from None


def _species_column(header: dict[str, object], where: str) -> int:
    """Column of the chemical symbols, as ``Properties`` has them."""
    properties = str(header.get("properties", "species:S:1:pos:R:3")).split(":")
    if len(properties) % 3 or not all(re.fullmatch(r"\d{1,6}", n) for n in properties[2::3]):
        raise PhonsmithError(
            f"{where}: line 2: Properties must be triples such as species:S:1:pos:R:3"
        )
    names, counts = properties[::3], [int(n) for n in properties[2::3]]
    if sum(counts) > MOST_COLUMNS or "pos" not in names or "species" not in names:
        raise PhonsmithError(
            f"{where}: line 2: Properties must contain species and pos, and at most {MOST_COLUMNS} "
            "columns"
        )
    return sum(counts[: names.index("species")])


def _check_periodic(atoms: Atoms, where: str) -> None:
    if not atoms.cell.array.any():
        raise PhonsmithError(
            f'{where}: line 2 has no Lattice; add Lattice="ax ay az bx by bz cx cy cz" in Å'
        )
    if not atoms.pbc.all():
        raise PhonsmithError(
            f"{where}: is periodic in {int(atoms.pbc.sum())} of 3 directions (pbc); give a bulk "
            'crystal, with pbc="T T T"'
        )
