"""The density of the last label, from which the next one may start."""

import shutil
import tempfile
from pathlib import Path

from ase import Atoms

_FILES = ("charge-density*", "paw.*", "occup.*", "ekin-density*")
"""What pw.x reads with ``startingpot = 'file'``: density, and what belongs to it for PAW and +U."""


class LastDensity:
    """Keeps the files of one density for cells of the same atoms in the same order."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._atoms = ""

    def keep(self, cell: Atoms, save: Path) -> None:
        """Take the density out of pw.x's save folder."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="density-", dir=save.parents[3])
        kept = Path(self._folder.name)
        self._atoms = ""
        for old in kept.iterdir():
            old.unlink()
        for pattern in _FILES:
            for path in save.glob(pattern):
                shutil.move(path, kept / path.name)
        self._atoms = _atoms(cell)

    def suits(self, cell: Atoms) -> bool:
        """Whether there is a density of a cell with these atoms."""
        return self._folder is not None and self._atoms == _atoms(cell)

    def put(self, save: Path) -> None:
        """Copy the density into a new save folder."""
        assert self._folder is not None
        save.mkdir(parents=True, exist_ok=True)
        for path in Path(self._folder.name).iterdir():
            shutil.copyfile(path, save / path.name)


def _atoms(cell: Atoms) -> str:
    return " ".join(cell.symbols)
