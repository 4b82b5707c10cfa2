"""Descriptors of a cell and their derivatives: SOAP and triplets by quippy, pairs here."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from phonsmith.fits.gap.settings import BATCH_MB
from phonsmith.running.costs import MB, neighbours


@dataclass(frozen=True)
class Descriptors:
    """Descriptors of a cell.

    ``values`` has shape (descriptors, dimensions); ``cutoffs``, shape (descriptors,), multiply the
    covariance. Each derivative belongs to a descriptor (``owner``) and an atom (``atom``), both of
    shape (derivatives,): ``gradients`` are those of the descriptor in 1/Å, shape (derivatives, 3,
    dimensions), ``cutoff_gradients`` those of its cutoff, shape (derivatives, 3), and ``offsets``
    the position of the atom, or of its image, from the centre in Å, shape (derivatives, 3).
    """

    values: NDArray[np.float64]
    cutoffs: NDArray[np.float64]
    gradients: NDArray[np.float64]
    cutoff_gradients: NDArray[np.float64]
    owner: NDArray[np.intp]
    atom: NDArray[np.intp]
    offsets: NDArray[np.float64]


def descriptors(
    descriptor: str, cell: Atoms, centres: NDArray[np.intp], gradients: bool
) -> Iterator[Descriptors]:
    """Yield the descriptors of some centres, in batches of limited memory.

    Parameters
    ----------
    descriptor
        QUIP's text of the descriptor.
    cell
        Cell.
    centres
        Indices of the centres; of pairs, those of their first atom.
    gradients
        Compute derivatives.
    """
    if (pair := _plain_pair(descriptor)) is not None:
        if len(centres):
            yield _pairs(pair, cell, centres, gradients)
        return
    quip = _quip(descriptor)
    size = 24 * (1 + neighbours(cell, quip.cutoff())) * quip.dimensions() if any(cell.pbc) else 1
    together = max(1, int(BATCH_MB * MB / size)) if gradients else len(centres)
    for begin in range(0, len(centres), max(1, together)):
        found = _by_quippy(descriptor, cell, centres[begin : begin + together], gradients)
        if found is not None:
            yield found


@cache
def _quip(descriptor: str) -> Any:
    from quippy.descriptors import Descriptor

    return Descriptor(descriptor)


def _by_quippy(
    descriptor: str, cell: Atoms, centres: NDArray[np.intp], gradients: bool
) -> Descriptors | None:
    bare = Atoms(cell.numbers, cell.positions, cell=cell.cell, pbc=cell.pbc)
    mask = np.zeros(len(cell), dtype=bool)
    mask[centres] = True
    bare.set_array("mask", mask)
    found = _quip(descriptor).calc(bare, grad=gradients, args_str="atom_mask_name=mask")
    if "has_data" not in found or not len(found["has_data"]):
        return None
    values = np.ascontiguousarray(found["data"])
    cutoffs = np.asarray(found["covariance_cutoff"], dtype=float)
    if not gradients:
        return _without_gradients(values, cutoffs)
    counts = [len(atoms) for atoms in found["ii"]]
    owner = np.repeat(np.arange(len(counts)), counts)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return Descriptors(
        values=values,
        cutoffs=cutoffs,
        gradients=np.ascontiguousarray(found["grad_data"]),
        cutoff_gradients=np.asarray(found["grad_covariance_cutoff"]),
        owner=owner,
        atom=np.concatenate(found["ii"]) - 1,
        offsets=found["pos"] - found["pos"][first][owner],
    )


def _without_gradients(values: NDArray[np.float64], cutoffs: NDArray[np.float64]) -> Descriptors:
    none = np.empty(0, dtype=int)
    return Descriptors(
        values=values,
        cutoffs=cutoffs,
        gradients=np.empty((0, 3, values.shape[1])),
        cutoff_gradients=np.empty((0, 3)),
        owner=none,
        atom=none,
        offsets=np.empty((0, 3)),
    )


# --- pairs -------------------------------------------------------------------------------------
# quippy converts each of the thousands of pairs of a cell one by one, which takes seconds


@dataclass(frozen=True)
class _Pair:
    cutoff: float
    first: int
    second: int


_OF_FITS = frozenset(
    ("covariance_type", "delta", "theta_uniform", "sparse_method", "n_sparse", "f0")
)
_TRANSITION = 0.5
"""Å. Width of the cutoff of distance_2b, as QUIP sets it."""


def _plain_pair(descriptor: str) -> _Pair | None:
    """The pair descriptor of a text that says no more than elements and cutoff."""
    name, *words = descriptor.split()
    pairs = dict(re.findall(r"(\w+)=(\S+)", " ".join(words)))
    if name != "distance_2b" or set(pairs) - _OF_FITS - {"cutoff", "Z1", "Z2"}:
        return None
    return _Pair(float(pairs["cutoff"]), int(pairs.get("Z1", 0)), int(pairs.get("Z2", 0)))


def _pairs(pair: _Pair, cell: Atoms, centres: NDArray[np.intp], gradients: bool) -> Descriptors:
    """All pairs, from both ends, as QUIP's distance_2b counts them."""
    bare = Atoms(cell.numbers, cell.positions, cell=cell.cell, pbc=cell.pbc)
    i, j, lengths, vectors = neighbor_list("ijdD", bare, pair.cutoff)

    def are(element: int, atoms: NDArray[np.intp]) -> NDArray[np.bool_]:
        return np.asarray((cell.numbers[atoms] == element) | (element == 0))

    chosen = are(pair.first, i) & are(pair.second, j) | are(pair.second, i) & are(pair.first, j)
    chosen &= np.isin(i, centres) & (lengths < pair.cutoff)
    i, j, lengths, vectors = i[chosen], j[chosen], lengths[chosen], vectors[chosen]
    within = np.maximum(0.0, lengths - pair.cutoff + _TRANSITION) * np.pi / _TRANSITION
    cutoffs = (np.cos(within) + 1) / 2
    if not gradients:
        return _without_gradients(lengths[:, None], cutoffs)
    directions = vectors / lengths[:, None]
    slopes = -np.sin(within)[:, None] * np.pi / _TRANSITION / 2 * directions
    return Descriptors(
        values=lengths[:, None],
        cutoffs=cutoffs,
        gradients=np.concatenate([-directions, directions])[:, :, None],
        cutoff_gradients=np.concatenate([-slopes, slopes]),
        owner=np.tile(np.arange(len(i)), 2),
        atom=np.concatenate([i, j]),
        offsets=np.concatenate([np.zeros_like(vectors), vectors]),
    )
