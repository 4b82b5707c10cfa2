"""A folder of arrays that are faster to read than to compute, of limited size.

It may be deleted at any time: what is missing is computed again.
"""

import hashlib
import json
import os
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from phonsmith.files.reading_writing import replacing

GB = 1e9

_UNREADABLE = (OSError, ValueError, KeyError, TypeError)
_PRUNINGS = 20
"""The size is checked whenever this fraction of the limit has been written."""
_HEAD = np.dtype([("length", "<u4"), ("checksum", "<u4")])
_ALIGNED = 64
"""Bytes. Arrays begin at multiples of this."""


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
            arrays = _unpacked(np.fromfile(path, np.uint8))
            os.utime(path)
        except _UNREADABLE:
            return None
        return arrays

    def save(self, key: str, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Keep arrays of numbers, unless there is no space for them."""
        size = sum(array.nbytes for array in arrays.values())
        if size > self.limit_bytes / _PRUNINGS:
            return
        with suppress(OSError), replacing(self._path(key)) as path, path.open("wb") as stream:
            for piece in _packed(arrays):
                stream.write(piece)
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
        return self.folder / name[:2] / name[2:]


# numpy's own files of several arrays take over a millisecond to read, most of it in Python


def _packed(arrays: Mapping[str, NDArray[np.generic]]) -> list[bytes | memoryview]:
    """Head, names with types and shapes, then the arrays."""
    pieces: list[bytes | memoryview] = []
    described, end = {}, 0
    for name, array in arrays.items():
        data = np.ascontiguousarray(array)
        described[name] = [data.dtype.str, list(data.shape), end]
        pieces += [data.reshape(-1).view(np.uint8).data, bytes(-data.nbytes % _ALIGNED)]
        end += data.nbytes + -data.nbytes % _ALIGNED
    words = json.dumps(described).encode()
    words += b" " * (-(_HEAD.itemsize + len(words)) % _ALIGNED)
    checksum = 0
    for piece in (words, *pieces):
        checksum = zlib.crc32(piece, checksum)
    return [np.array((len(words), checksum), _HEAD).tobytes(), words, *pieces]


def _unpacked(data: NDArray[np.uint8]) -> dict[str, NDArray[np.generic]]:
    """Read what :func:`_packed` writes; ValueError if it is damaged."""
    head = data[: _HEAD.itemsize].view(_HEAD)
    rest = data[_HEAD.itemsize :]
    if len(head) != 1 or zlib.crc32(rest.data) != head["checksum"][0]:
        raise ValueError("damaged")
    begin = int(head["length"][0])
    arrays = {}
    for name, (dtype, shape, offset) in json.loads(rest[:begin].tobytes()).items():
        kind, number = np.dtype(dtype), int(np.prod(shape))
        first = begin + offset
        piece = rest[first : first + number * kind.itemsize]
        arrays[name] = piece.view(kind).reshape(shape)
    return arrays
