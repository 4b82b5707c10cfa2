"""Reading and writing labelled cells as extended XYZ, the one exchange format of the pipeline.

Keys of a frame (``atoms.info`` unless noted):

``REF_energy``   eV per cell
``REF_forces``   eV/Å, ``atoms.arrays``, shape (atoms, 3)
``REF_stress``   eV/Å³, nine numbers, row by row, ASE's sign (positive: the cell tends to shrink)
``structure``    id of the crystal in the campaign, or the name of a database
``kind``         displaced, rattled, isolated_atom, recorded, distilled or constraint
``generation``   generation that requested the cell
``index``        number of the cell within its structure and generation
``seed``         random seed of a rattled cell; -1 where no random number went in
``origin``       of a candidate that was chosen later: rattled, or dynamics for a snapshot of it;
                 of a distilled cell: dynamics, relaxation or relaxed
``time_ps``, ``thermostat_kelvin``, ``barostat_gpa``  of a distilled cell: when it was taken
``crystal``, ``space_group``, ``step``  of a random structure search: number of the random crystal,
                 space group that it was made with, step of its relaxation
``method``       the reference method that gave the label
``initial_magmoms``  magnetic moments in Bohr magnetons that the label started from, in
                 ``atoms.arrays``, if the crystal has its own moments

A label that was computed here also holds its provenance; the keys are those of
:class:`phonsmith.labels.provenance.Provenance`.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.io import read, write
from ase.io.extxyz import escape, key_val_str_to_dict
from numpy.typing import NDArray

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.reading_writing import DAMAGED, replacing, unpacked

ENERGY = "REF_energy"
FORCES = "REF_forces"
STRESS = "REF_stress"

LONGEST_LINE = 1 << 22
"""Bytes. Headers with whole spectra in them stay below; a binary file does not."""
MOST_COLUMNS = 10_000
"""Of one line. Descriptors of an atom have some thousands."""
MOST_NESTED = 50
"""JSON lists within lists."""


def read_frames(path: str | Path) -> list[Atoms]:
    """Read all frames of an extxyz file; an empty file has none.

    Stresses come back as 3×3 arrays in ``info["REF_stress"]``.

    Raises
    ------
    PhonsmithError
        The file is missing or not extxyz, is cut off, or has lines or tables beyond all bounds.
    """
    path = Path(path)
    if not count_frames(path):
        return []
    try:
        frames: list[Atoms] = read(path, index=":", format="extxyz", properties_parser=_header)
    except Exception as error:  # ASE raises many kinds for broken files
        raise PhonsmithError(f"{path}: not a readable extxyz file ({error})") from error
    for number, atoms in enumerate(frames):
        try:
            _as_numbers(atoms)
        except (TypeError, ValueError) as error:
            raise PhonsmithError(
                f"{path}: frame {number} has labels that are not numbers ({error})"
            ) from None
    return frames


def _as_numbers(atoms: Atoms) -> None:
    """Energy, forces and stress as numbers of the right shape; raises where they are not."""
    if ENERGY in atoms.info:
        atoms.info[ENERGY] = float(atoms.info[ENERGY])
    if STRESS in atoms.info:
        atoms.info[STRESS] = np.asarray(atoms.info[STRESS], dtype=float).reshape(3, 3)
    if FORCES in atoms.arrays:
        forces = np.asarray(atoms.arrays[FORCES], dtype=float)
        atoms.arrays[FORCES] = forces.reshape(len(atoms), 3)


def header_keys(line: str) -> dict[str, Any]:
    """Return the keys and values of a header as ASE reads them.

    Raises
    ------
    ValueError
        JSON values are nested so deeply that Python could crash: symfc raises the recursion limit.
    """
    opened = np.cumsum([1 if bracket in "[{" else -1 for bracket in re.findall(r"[][{}]", line)])
    if len(opened) and np.ptp(opened) > MOST_NESTED:
        raise ValueError(f"values are nested more than {MOST_NESTED} times")
    found: dict[str, Any] = key_val_str_to_dict(line)
    return found


def _header(line: str) -> dict[str, Any]:
    """The keys of a header, with a table that ASE can make."""
    found = header_keys(line)
    counts = str(found.get("Properties", "species:S:1:pos:R:3")).split(":")[2::3]
    if sum(map(int, counts)) > MOST_COLUMNS or any(int(count) < 1 for count in counts):
        raise ValueError(f"Properties must list 1 to {MOST_COLUMNS} columns")
    return found


def count_frames(path: str | Path) -> int:
    """Return the number of frames of an extxyz file, without reading them; an empty file has none.

    Raises
    ------
    PhonsmithError
        The file is missing or no regular one, has other lines than extxyz, or is cut off.
    """
    path = Path(path)
    if not path.exists():
        raise PhonsmithError(f"{path}: no such file")
    if not path.is_file():
        raise PhonsmithError(f"{path}: not a regular file")
    count = 0
    try:
        with unpacked(path) as stream:
            for atoms, lines in _tables(stream):
                if lines < atoms:
                    raise PhonsmithError(
                        f"{path}: frame {count} has {lines} of its {atoms} atoms; the file is cut "
                        "off, write it again"
                    )
                count += 1
    except DAMAGED as error:
        raise PhonsmithError(
            f"{path}: frame {count}: not a readable extxyz file ({error})"
        ) from None
    return count


def _tables(stream: Any) -> Iterator[tuple[int, int]]:
    """Of each frame the number of atoms that it states, and of lines that it has."""
    while (line := _line(stream)).strip():
        shown = line[:40].decode(errors="replace").strip()
        if not line.strip().isdigit() or len(line) > 20:
            raise ValueError(f"'{shown}' found where a number of atoms is expected")
        atoms, lines = int(line), 0
        _line(stream)  # the header
        while lines < atoms and _line(stream):
            lines += 1
        yield atoms, lines


def _line(stream: Any) -> bytes:
    """The next line; empty at the end."""
    line: bytes = stream.readline(LONGEST_LINE + 1)
    if len(line) > LONGEST_LINE:
        raise ValueError(f"a line longer than {LONGEST_LINE} bytes")
    return line


def write_frames(path: str | Path, frames: Iterable[Atoms]) -> None:
    """Write frames as extxyz: first to a temporary file beside ``path``, then renamed.

    Matrices in ``info`` are written as plain numbers, since gap_fit passes over the JSON text
    that ASE would write for them; texts that would come back as something else (``T``, ``1e5``)
    as JSON. Calculators are not written. No frames give an empty file.
    """
    plain = [_plain(atoms) for atoms in frames]
    with replacing(path) as temporary:
        if plain:
            write(temporary, plain, format="extxyz", write_results=False)


def _plain(atoms: Atoms) -> Atoms:
    copy = atoms.copy()
    for key, value in atoms.info.items():
        if isinstance(value, np.ndarray) and value.ndim > 1:
            copy.info[key] = value.ravel()
        elif isinstance(value, str) and not value:
            del copy.info[key]  # an empty text would swallow the next key on reading
        elif isinstance(value, str):
            copy.info[key] = _as_written(value)
    return copy


@lru_cache(maxsize=10_000)
def _as_written(text: str) -> str:
    """A text as ASE has to be given it, so that it reads the same again."""
    try:
        found = key_val_str_to_dict(f"text={escape(text)} next=1")
    except ValueError:  # it begins like ASE's JSON
        found = {}
    same = isinstance(found.get("text"), str) and found["text"] == text and "next" in found
    if same and text.isprintable():
        return text
    return f"_JSON {json.dumps(text)}".replace("\\", "\\\\")


def of_kinds(frames: Sequence[Atoms], kinds: Iterable[str]) -> list[Atoms]:
    """Return the frames whose ``kind`` is one of ``kinds``, in their order."""
    wanted = set(kinds)
    return [atoms for atoms in frames if atoms.info.get("kind") in wanted]


def without_isolated_atoms(frames: Sequence[Atoms]) -> list[Atoms]:
    """Return the frames that are not isolated atoms, in their order."""
    return [atoms for atoms in frames if atoms.info.get("kind") != "isolated_atom"]


def elements_of(frames: Sequence[Atoms]) -> list[str]:
    """Return the elements of frames in the order of atomic numbers.

    >>> elements_of([Atoms("Cl2"), Atoms("NaCl")])
    ['Na', 'Cl']
    """
    numbers = sorted({int(number) for atoms in frames for number in atoms.numbers})
    return [chemical_symbols[number] for number in numbers]


def virial_of(atoms: Atoms) -> NDArray[np.float64]:
    """Return the virial of a labelled frame in eV, shape (3, 3): −stress · volume, symmetric."""
    virial = -np.asarray(atoms.info[STRESS], dtype=float).reshape(3, 3) * atoms.get_volume()
    return np.asarray((virial + virial.T) / 2)
