"""The density of the last label, from which the next one may start."""

import shutil
import weakref
from pathlib import Path

from ase import Atoms

from phonsmith.labels.runs import LOCK, OwnFolder
from phonsmith.structures.sites import moments_of

_FILES = ("charge-density*", "paw.*", "occup.*", "ekin-density*")
"""What pw.x reads with ``startingpot = 'file'``: density, and what belongs to it for PAW and +U."""


class LastDensity:
    """Keeps the files of one density for cells with equal atoms in equal order."""

    def __init__(self) -> None:
        self._folder: OwnFolder | None = None
        self._atoms = ""

    def keep(self, cell: Atoms, save: Path) -> None:
        """Take the density out of pw.x's save folder."""
        if self._folder is None:
            self._folder = OwnFolder(save.parents[3], "density")
            weakref.finalize(self, self._folder.remove)
        kept = self._folder.path
        self._atoms = ""
        for old in self._files():
            old.unlink()
        for pattern in _FILES:
            for path in save.glob(pattern):
                shutil.move(path, kept / path.name)
        self._atoms = _atoms(cell)

    def suits(self, cell: Atoms) -> bool:
        """Return whether there is a density of a cell with these atoms."""
        return self._folder is not None and self._atoms == _atoms(cell)

    def put(self, save: Path) -> None:
        """Copy the density into a new save folder."""
        assert self._folder is not None
        save.mkdir(parents=True, exist_ok=True)
        for path in self._files():
            shutil.copyfile(path, save / path.name)

    def _files(self) -> list[Path]:
        assert self._folder is not None
        return [path for path in self._folder.path.iterdir() if path.name != LOCK]


def _atoms(cell: Atoms) -> str:
    moments = moments_of(cell)
    return f"{' '.join(cell.symbols)} {[] if moments is None else moments.tolist()}"
