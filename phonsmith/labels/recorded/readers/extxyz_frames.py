"""The frames of an extxyz file one by one, with bounds, so that one damaged frame is one loss."""

import bz2
import gzip
import io
import lzma
import re
import warnings
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from ase import Atoms
from ase.io.extxyz import read_xyz

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import LONGEST_LINE, MOST_COLUMNS, header_keys
from phonsmith.labels.recorded.readers.extxyz_keys import is_label

_OPENERS: dict[str, Callable[[Path], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
}
_BROKEN_PACKING = (OSError, EOFError, zlib.error, lzma.LZMAError)
_STRUCTURAL = {"lattice": "Lattice", "properties": "Properties", "pbc": "pbc"}
_COLUMN = "label "
_QUOTED = re.compile(r""""(?:\\.|[^"\\])*"|'[^']*'|\{[^{}]*\}|\[[^][]*\]""")
_CELL = {"numbers", "positions"}
FREE = "move_mask"
"""ASE's column of atoms, or of their components, that are free to move."""
_OTHER_LATTICES = ("cell", "unit_cell", "unitcell", "box", "lattice_vectors", "cell_vectors")


@dataclass(frozen=True)
class Frame:
    """One frame as the file has it: ``values`` of its header, ``columns`` of its table.

    ``atoms`` has the cell, and in ``info`` and ``arrays`` what is plain and no label.
    """

    atoms: Atoms
    values: dict[str, Any]
    columns: dict[str, Any]


def frames_of(path: Path) -> Iterator[Frame | str]:
    """Each frame of a file in turn, or in words what is wrong with it.

    Raises
    ------
    PhonsmithError
        There is no such regular file, or it cannot be read or unpacked.
    """
    if not path.is_file():
        raise PhonsmithError(f"{path}: no such regular file; give an extxyz file")
    try:
        with _OPENERS.get(path.suffix.lower(), _open)(path) as stream:
            for lines in _split(stream):
                yield lines if isinstance(lines, str) else _parsed(lines)
    except _BROKEN_PACKING as error:
        raise PhonsmithError(f"{path}: cannot be read ({error or 'the file is cut'})") from None


def _open(path: Path) -> IO[bytes]:
    return path.open("rb")


def _split(stream: IO[bytes]) -> Iterator[list[bytes] | str]:
    """The lines of each frame; after a fault reading resumes at the next header."""
    lines = _Lines(stream)
    lost = False  # whether the next lines belong to a frame that was refused
    try:
        while count_line := lines.next():
            if not count_line.strip():
                continue
            try:
                count = int(count_line)
            except ValueError:
                if not lost:
                    shown = count_line[:40].decode(errors="replace").strip()
                    yield (
                        f"begins with '{shown}' where the number of atoms is expected: not a "
                        "readable extxyz file from there to the next frame"
                    )
                lost = True
                continue
            header = lines.next()
            if lost and not _is_header(header):  # a number in a table, not the count of a frame
                lines.put_back(header)
                continue
            frame = [count_line, header, *lines.table(count)]
            lost = count < 1
            if lost:
                yield f"has {count} atoms"
            elif len(frame) - 2 != count or not frame[-1].strip():
                yield f"has {len(frame) - 2} of its {count} atoms; the file is cut there"
            else:
                yield frame
    except _LongLineError:
        yield f"has a line of more than {LONGEST_LINE} bytes; the rest of the file is not read"


class _Lines:
    """The lines of a file, of which some can be put back."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._ahead: deque[bytes] = deque()

    def next(self) -> bytes:
        """The next line; empty at the end."""
        if self._ahead:
            return self._ahead.popleft()
        text = self._stream.readline(LONGEST_LINE + 1)
        if len(text) > LONGEST_LINE:
            raise _LongLineError
        return text

    def put_back(self, line: bytes) -> None:
        """Make this line the next one."""
        if line:
            self._ahead.appendleft(line)

    def table(self, count: int) -> list[bytes]:
        """``count`` lines, or fewer if the file ends or the next frame begins before."""
        table: list[bytes] = []
        while text := self.next():
            if _is_header(text):  # of the next frame, with its number of atoms before it
                self.put_back(text)
                if table:
                    self.put_back(table.pop())
                break
            if len(table) >= count:
                self.put_back(text)
                break
            table.append(text)
        return table


class _LongLineError(Exception):
    pass


def _is_header(line: bytes) -> bool:
    lowered = line.lower()
    return b"properties=" in lowered or b"lattice=" in lowered


def _parsed(lines: list[bytes]) -> Frame | str:
    text = b"".join(lines).decode(errors="replace")
    widths = sorted({len(line.split()) for line in lines[2:]})
    kept: dict[str, Any] = {}

    def header(line: str) -> dict[str, Any]:
        _refuse_repeated(line)
        # ASE wants nine numbers for these two, under these very names
        line = re.sub(r"(?<!\S)(stress|virial)(?=\s*=)", r"\1!", line)
        structural = {}
        for key, value in header_keys(_with_usual_case(line)).items():
            if key in _STRUCTURAL.values():
                structural[key] = value
            else:
                kept[key.removesuffix("!")] = _plain(value)
        structural["Properties"] = _checked(
            structural.get("Properties", "species:S:1:pos:R:3"), widths[0]
        )
        return structural

    if len(widths) > 1:
        return f"has lines of {widths[0]} and of {widths[-1]} columns; rewrite or remove it"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            atoms = next(iter(read_xyz(io.StringIO(text), index=0, properties_parser=header)))
    except StopIteration:
        return "holds no atoms"
    except Exception as error:  # ASE and numpy raise many kinds for broken frames
        return f"is not readable extxyz ({_short(error)}); rewrite or remove it"
    if not atoms.cell.any() and (others := [key for key in kept if _is_lattice(key, kept[key])]):
        return f"has its lattice as {others[0]}, which is not read; rename it to Lattice"
    columns = {
        key.removeprefix(_COLUMN): atoms.arrays.pop(key)
        for key in list(atoms.arrays)
        if key.startswith(_COLUMN)
    }
    columns |= {key: value for key, value in atoms.arrays.items() if key not in _CELL}
    atoms.calc = None
    atoms.set_constraint()
    atoms.info = {
        key: value
        for key, value in kept.items()
        if isinstance(value, str | bool | int | float) and not is_label(key)
    }
    return Frame(atoms, kept, columns)


def _is_lattice(key: str, value: Any) -> bool:
    return key.lower() in _OTHER_LATTICES and np.size(value) in (3, 6, 9)


def _refuse_repeated(line: str) -> None:
    """Refuse labels that a header gives twice, of which ASE takes the last."""
    keys = re.findall(r"(?<!\S)([^\s=]+)\s*=", _QUOTED.sub("", line))
    for key, number in Counter(keys).items():
        if number > 1 and (is_label(key) or key.lower() in _STRUCTURAL):
            raise ValueError(f"{key} is given {number} times")


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value


def _with_usual_case(line: str) -> str:
    """``lattice=`` as NEP files may have it is ``Lattice=``, without which ASE sees no cell."""
    return re.sub(
        r"(?<!\S)(lattice|properties|pbc)(?=\s*=)",
        lambda match: _STRUCTURAL[match[1].lower()],
        line,
        flags=re.IGNORECASE,
    )


def _checked(properties: Any, columns: int) -> str:
    """The list of columns, with labels under names that ASE leaves alone; refused if too long."""
    fields = str(properties).split(":")
    if len(fields) % 3:
        raise ValueError(f"Properties={properties} is not a list of name:type:columns")
    total = 0
    for place in range(0, len(fields), 3):
        number = int(fields[place + 2])
        if number < 1:
            raise ValueError(f"Properties gives {fields[place]} {number} columns")
        total += number
        if is_label(fields[place]) or fields[place] == FREE:
            fields[place] = _COLUMN + fields[place]
    if total > min(columns, MOST_COLUMNS):
        raise ValueError(f"Properties lists {total} columns, the lines have {columns}")
    if total < columns:  # which of them were forgotten is unknown
        raise ValueError(f"Properties lists {total} of the {columns} columns of the lines")
    return ":".join(fields)


def _short(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"unknown element {error}"
    return " ".join(str(error).split())[:120] or type(error).__name__
