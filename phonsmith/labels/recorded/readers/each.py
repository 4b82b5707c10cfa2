"""Data returned by readers of recorded data, and reading of many files."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ase import Atoms

from phonsmith.files.errors import PhonsmithError
from phonsmith.labels.failed import LabelFailed

if TYPE_CHECKING:
    from phono3py import Phono3py
    from phonopy import Phonopy

    from phonsmith.labels.recorded.readers.levels import Level


@dataclass
class Recorded:
    """Content of a recorded data set for a crystal.

    ``frames`` are labelled cells (see :mod:`phonsmith.files.extxyz`); ``crystal`` is the unit cell
    and ``phonon`` holds supercell, displacements and forces, if the format has them. The first
    frames are the displaced cells of ``phonon``, in its order; ``third`` has displacements and
    forces of third order. ``refused`` lists omitted data with reasons, one line each; ``found``
    the data used if a format leaves a choice. ``levels`` holds file and level of theory of
    runs that report it.
    """

    frames: list[Atoms]
    crystal: Atoms | None = None
    phonon: "Phonopy | None" = None
    refused: list[str] = field(default_factory=list)
    third: "Phono3py | None" = None
    found: list[str] = field(default_factory=list)
    levels: "list[tuple[str, Level]]" = field(default_factory=list)

    def add(self, other: "Recorded") -> None:
        """Append the content of another file."""
        self.frames += other.frames
        self.refused += other.refused
        self.found += other.found
        self.levels += other.levels


def each_file(
    path: Path, patterns: tuple[str, ...], reader: Callable[[Path], Recorded]
) -> Recorded:
    """Read a file, or all files in a folder and its subfolders whose names match.

    Files that raise any exception are refused; the remaining files are read.

    Parameters
    ----------
    path
        File or folder.
    patterns
        Patterns of file names in a folder, such as ``*.xml``.
    reader
        Function that reads one file.

    Raises
    ------
    PhonsmithError
        The folder contains no such file.
    """
    files = [path]
    if path.is_dir():
        found = {file for pattern in patterns for file in path.rglob(pattern)}
        files = sorted(file for file in found if file.is_file())
    if not files:
        raise PhonsmithError(
            f"{path}: no file {' or '.join(patterns)} in this folder or its subfolders"
        )
    recorded = Recorded(frames=[])
    for file in files:
        try:
            if not file.is_file():
                raise LabelFailed("is not a regular file")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read = reader(file)
        except LabelFailed as failed:
            recorded.refused.append(f"{file}: {failed}")
        except Exception as error:  # parsers of damaged files raise anything
            words = " ".join(str(error).split())[:120]
            recorded.refused.append(
                f"{file}: cannot be read ({type(error).__name__}{f': {words}' if words else ''}); "
                "repair or remove the file"
            )
        else:
            recorded.frames += read.frames
            recorded.refused += [f"{file}: {line}" for line in read.refused]
            recorded.levels += [(str(file), level) for _, level in read.levels]
    return recorded
