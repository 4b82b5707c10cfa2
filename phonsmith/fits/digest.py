"""Digests of what a potential is made from."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike


def digest_of(frames: Sequence[Atoms], settings: Mapping[str, Any]) -> str:
    """SHA-256 of all that a potential is made from.

    Parameters
    ----------
    frames
        The cells that it learns from, in their order, with labels.
    settings
        Plain data that it depends on beside them.
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for atoms in frames:
        _add(digest, {**atoms.arrays, "cell": atoms.cell[:], "pbc": atoms.pbc})
        info = {key: np.asarray(value).tolist() for key, value in atoms.info.items()}
        digest.update(json.dumps(info, sort_keys=True).encode())
    return digest.hexdigest()


def digest_of_arrays(arrays: Mapping[str, ArrayLike]) -> str:
    """SHA-256 of named arrays."""
    digest = hashlib.sha256()
    _add(digest, arrays)
    return digest.hexdigest()


def _add(digest: "hashlib._Hash", arrays: Mapping[str, ArrayLike]) -> None:
    for name in sorted(arrays):
        values = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {values.dtype} {values.shape}".encode())
        digest.update(values.tobytes())
