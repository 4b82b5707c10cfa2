"""A crystal as a database gives it, and the file that keeps it."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import numpy as np
from ase import Atoms

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import read_frames, write_frames
from phonsmith.structures.reading import check_structure
from phonsmith.structures.sites import with_sites_of


def today() -> str:
    """Return the date in UTC, as YYYY-MM-DD."""
    return datetime.now(UTC).date().isoformat()


@dataclass(frozen=True)
class Origin:
    """Where a crystal comes from: ``origin`` in ``info`` of its file.

    ``database_version`` is the version stated by the database, or when the entry was last changed;
    ``energy_above_hull_ev_per_atom`` is the database's own number, at its level of theory.
    """

    database: str
    entry: str
    url: str
    fetched: str
    database_version: str = ""
    energy_above_hull_ev_per_atom: float | None = None


@dataclass(frozen=True)
class Entry:
    """A crystal and its origin."""

    atoms: Atoms
    origin: Origin

    @classmethod
    def checked(cls, atoms: Atoms, origin: Origin) -> Self:
        """Return the entry of a crystal fit for a campaign, in a right-handed cell.

        Raises
        ------
        PhonsmithError
            The crystal fails :func:`phonsmith.structures.reading.check_structure`.
        """
        cell = np.array(atoms.cell[:])
        if np.linalg.det(cell) < 0:  # the same lattice with two vectors exchanged
            cell = cell[[1, 0, 2]]
        plain = Atoms(atoms.numbers, positions=atoms.positions, cell=cell, pbc=True)
        check_structure(with_sites_of(atoms, plain), origin.url)
        return cls(plain, origin)

    def save(self, path: str | Path) -> None:
        """Write as extxyz with the origin in its second line.

        The origin is one JSON object, since extxyz takes a text such as 2025_09_25 for a number.
        """
        atoms = self.atoms.copy()
        atoms.info = {"origin": asdict(self.origin)}
        write_frames(path, [atoms])

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises
        ------
        PhonsmithError
            The file is missing or no such file.
        """
        frames = read_frames(path)
        try:
            (atoms,) = frames
            return cls(atoms, Origin(**atoms.info.pop("origin")))
        except (KeyError, TypeError, ValueError):
            raise PhonsmithError(
                f"{path}: not a downloaded crystal; delete the file and run again"
            ) from None

    def in_words(self) -> str:
        """Return one line for logs."""
        one = self.origin
        version = f" (version {one.database_version})" if one.database_version else ""
        formula = self.atoms.get_chemical_formula("metal")
        return f"{formula}, {one.entry} of {one.database}{version}, fetched {one.fetched}"
