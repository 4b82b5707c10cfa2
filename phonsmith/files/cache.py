"""A folder of arrays that are faster to read than to compute, of limited size.

It may be deleted at any time: what is missing is computed again.
"""

import hashlib
import os
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from phonsmith.files.reading_writing import replacing

GB = 1e9

_UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
_PRUNINGS = 20
"""The size is checked whenever this fraction of the limit has been written."""


class Cache:
    """Arrays under a key; the ones that were not used for the longest time are deleted first.

    Several processes may use one folder: files appear whole, by renaming, and a file that is
    missing or damaged counts as absent. A full disk is no error.
    """

    def __init__(self, folder: str | Path, limit_gb: float):
        self.folder = Path(folder)
        self.limit_bytes = limit_gb * GB
        self._written = 0

    def load(self, key: str) -> dict[str, NDArray[np.generic]] | None:
        """Return the arrays of a key, if they are here."""
        path = self._path(key)
        try:
            with np.load(path, allow_pickle=False) as found:
                arrays = {name: found[name] for name in found.files}
            os.utime(path)
        except _UNREADABLE:
            return None
        return arrays

    def save(self, key: str, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Keep arrays, unless there is no space for them."""
        size = sum(array.nbytes for array in arrays.values())
        if size > self.limit_bytes / _PRUNINGS:
            return
        with suppress(OSError), replacing(self._path(key)) as path, path.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)
        self._written += size
        if self._written > self.limit_bytes / _PRUNINGS:
            self._written = 0
            self.prune()

    def prune(self) -> None:
        """Delete the least recently used files beyond the limit."""
        found = []
        for path in self.folder.glob("??/*"):
            with suppress(OSError):  # another process deleted it
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
        left = self.limit_bytes * (1 - 1 / _PRUNINGS)
        for _, size, path in sorted(found, reverse=True):
            left -= size
            if left < 0:
                with suppress(OSError):
                    path.unlink()

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()
        return self.folder / name[:2] / f"{name[2:]}.npz"
