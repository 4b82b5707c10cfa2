"""Descriptors of a cell and their derivatives: SOAP and triplets by quippy, pairs here."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache as cache_of_function
from importlib.metadata import version
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from phonsmith.files.cache import Cache
from phonsmith.fits.gap.environments import neighbour_vectors
from phonsmith.fits.gap.settings import BATCH_MB
from phonsmith.running.costs import MB, neighbours

Array = NDArray[np.float64]


_OF_FITS = frozenset(
    (
        *("covariance_type", "delta", "zeta", "theta_uniform", "f0"),
        *("sparse_method", "n_sparse", "config_type_n_sparse"),
    )
)
"""Keys in the text of a descriptor that do not affect its numbers."""


@dataclass(frozen=True)
class Descriptors:
    """Descriptors of one centre.

    ``values`` has shape (descriptors, dimensions); ``cutoffs``, shape (descriptors,), multiply the
    covariance. Each derivative belongs to a descriptor (``owner``, shape (derivatives,)):
    ``gradients`` are those of the descriptor in 1/Å, shape (derivatives, 3, dimensions),
    ``cutoff_gradients`` those of its cutoff, shape (derivatives, 3), and ``offsets`` the position
    of the atom that moves, seen from the centre in Å, shape (derivatives, 3).
    """

    values: Array
    cutoffs: Array
    gradients: Array
    cutoff_gradients: Array
    owner: NDArray[np.intp]
    offsets: Array


def descriptors(
    descriptor: str, cell: Atoms, centres: NDArray[np.intp], gradients: bool
) -> Iterator[tuple[int, Descriptors]]:
    """Yield each centre that has descriptors, with its descriptors.

    Parameters
    ----------
    descriptor
        QUIP's text of the descriptor.
    cell
        Cell.
    centres
        Indices of the centres in ascending order; of pairs, those of their first atom.
    gradients
        Compute derivatives.
    """
    if (pair := _plain_pair(descriptor)) is not None:
        yield from _pairs(pair, cell, centres, gradients)
        return
    quip = _quip(descriptor)
    around = neighbours(cell, quip.cutoff()) if cell.cell.rank == 3 else len(cell)
    size = 24 * (1 + around) * quip.dimensions()
    together = max(1, int(BATCH_MB * MB / size)) if gradients else max(1, len(centres))
    for begin in range(0, len(centres), together):
        yield from _by_quippy(descriptor, cell, centres[begin : begin + together], gradients)


def cutoff_of(descriptor: str) -> float:
    """Return the cutoff of a descriptor in Å."""
    return float(_quip(descriptor).cutoff())


def dimensions_of(descriptor: str) -> int:
    """Return the dimensions of a descriptor."""
    return int(_quip(descriptor).dimensions())


@cache_of_function
def _quip(descriptor: str) -> Any:
    from quippy.descriptors import Descriptor

    return Descriptor(descriptor)


def _by_quippy(
    descriptor: str, cell: Atoms, centres: NDArray[np.intp], gradients: bool
) -> Iterator[tuple[int, Descriptors]]:
    bare = Atoms(cell.numbers, cell.positions, cell=cell.cell, pbc=cell.pbc)
    mask = np.zeros(len(cell), dtype=bool)
    mask[centres] = True
    bare.set_array("mask", mask)
    found = _quip(descriptor).calc(bare, grad=gradients, args_str="atom_mask_name=mask")
    number = len(found.get("has_data", ()))
    if not number:
        return
    values = np.ascontiguousarray(found["data"])
    cutoffs = np.asarray(found["covariance_cutoff"], dtype=float)
    # several descriptors of a centre, triplets for example, follow each other
    centre = np.asarray(found["ci"]).reshape(number, -1)[:, 0] - 1
    if not gradients:
        yield from _by_centre(centre, _without_gradients(values, cutoffs))
        return
    counts = [len(atoms) for atoms in found["ii"]]
    owner = np.repeat(np.arange(number), counts)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    yield from _by_centre(
        centre,
        Descriptors(
            values=values,
            cutoffs=cutoffs,
            gradients=np.ascontiguousarray(found["grad_data"]),
            cutoff_gradients=np.asarray(found["grad_covariance_cutoff"]),
            owner=owner,
            offsets=found["pos"] - found["pos"][first][owner],
        ),
    )


def _without_gradients(values: Array, cutoffs: Array) -> Descriptors:
    none = np.empty((0, 3))
    return Descriptors(
        values=values,
        cutoffs=cutoffs,
        gradients=none[:, :, None],
        cutoff_gradients=none,
        owner=np.empty(0, dtype=int),
        offsets=none,
    )


def _by_centre(centre: NDArray[np.intp], found: Descriptors) -> Iterator[tuple[int, Descriptors]]:
    """Cut the descriptors of a cell, sorted by centre, into those of each centre."""
    if not len(centre):
        return
    begins = np.flatnonzero(np.diff(centre, prepend=-1))
    ends = np.append(begins[1:], len(centre))
    firsts, lasts = np.searchsorted(found.owner, begins), np.searchsorted(found.owner, ends)
    for begin, end, first, last in zip(begins, ends, firsts, lasts, strict=True):
        mine, its = slice(begin, end), slice(first, last)
        yield (
            int(centre[begin]),
            Descriptors(
                values=found.values[mine],
                cutoffs=found.cutoffs[mine],
                gradients=found.gradients[its],
                cutoff_gradients=found.cutoff_gradients[its],
                owner=found.owner[its] - begin,
                offsets=found.offsets[its],
            ),
        )


# --- between fits --------------------------------------------------------------------------------


def is_costly(descriptor: str) -> bool:
    """Return whether a descriptor takes longer to compute than to read."""
    return descriptor.split(maxsplit=1)[0] == "soap"


def kept_descriptors(cache: Cache, descriptor: str, environment: bytes) -> Descriptors | None:
    """Return the descriptors of an environment, if an earlier fit computed them.

    Parameters
    ----------
    cache
        Descriptors of earlier fits.
    descriptor
        QUIP's text of the descriptor.
    environment
        Key of the environment.
    """
    found: Any = cache.load(_key(descriptor, environment))
    if found is None or set(found) != {field.name for field in fields(Descriptors)}:
        return None
    return Descriptors(**found)


def keep_descriptors(cache: Cache, descriptor: str, environment: bytes, found: Descriptors) -> None:
    """Keep the descriptors of an environment.

    Parameters
    ----------
    cache
        Descriptors of earlier fits.
    descriptor
        QUIP's text of the descriptor.
    environment
        Key of the environment.
    found
        Its descriptors with derivatives.
    """
    cache.save(_key(descriptor, environment), vars(found))


@cache_of_function
def _identity(descriptor: str) -> str:
    """Return all settings that affect the numbers; δ, ζ and sparse points do not."""
    name, *words = descriptor.split()
    pairs = re.findall(r"(\w+)=(\{[^}]*\}|\S+)", " ".join(words))
    mine = sorted(f"{key}={value}" for key, value in pairs if key not in _OF_FITS)
    return f"quippy-ase {version('quippy-ase')} {name} {' '.join(mine)}"


def _key(descriptor: str, environment: bytes) -> str:
    return f"{_identity(descriptor)} {environment.hex()}"


# --- pairs -------------------------------------------------------------------------------------
# quippy converts each of the thousands of pairs of a cell one by one, which takes seconds


@dataclass(frozen=True)
class _Pair:
    cutoff: float
    first: int
    second: int


_TRANSITION = 0.5
"""Å. Width of the cutoff of distance_2b, as QUIP sets it."""


def _plain_pair(descriptor: str) -> _Pair | None:
    """The pair descriptor of a text that says no more than elements and cutoff."""
    name, *words = descriptor.split()
    pairs = dict(re.findall(r"(\w+)=(\S+)", " ".join(words)))
    if name != "distance_2b" or set(pairs) - _OF_FITS - {"cutoff", "Z1", "Z2"}:
        return None
    return _Pair(float(pairs["cutoff"]), int(pairs.get("Z1", 0)), int(pairs.get("Z2", 0)))


def _pairs(
    pair: _Pair, cell: Atoms, centres: NDArray[np.intp], gradients: bool
) -> Iterator[tuple[int, Descriptors]]:
    """All pairs, from both ends, as QUIP's distance_2b counts them."""
    i, j, vectors = neighbour_vectors(cell, pair.cutoff)
    lengths = np.linalg.norm(vectors, axis=1)

    def are(element: int, atoms: NDArray[np.intp]) -> NDArray[np.bool_]:
        return np.asarray((cell.numbers[atoms] == element) | (element == 0))

    chosen = are(pair.first, i) & are(pair.second, j) | are(pair.second, i) & are(pair.first, j)
    chosen &= np.isin(i, centres) & (lengths < pair.cutoff)
    i, lengths, vectors = i[chosen], lengths[chosen], vectors[chosen]
    within = np.maximum(0.0, lengths - pair.cutoff + _TRANSITION) * np.pi / _TRANSITION
    cutoffs = (np.cos(within) + 1) / 2
    values = lengths[:, None]
    if not gradients:
        yield from _by_centre(i, _without_gradients(values, cutoffs))
        return
    directions = vectors / lengths[:, None]
    slopes = -np.sin(within)[:, None] * np.pi / _TRANSITION / 2 * directions
    yield from _by_centre(
        i,
        Descriptors(
            values=values,
            cutoffs=cutoffs,
            gradients=_of_both(-directions, directions)[:, :, None],
            cutoff_gradients=_of_both(-slopes, slopes),
            owner=np.repeat(np.arange(len(i)), 2),
            offsets=_of_both(np.zeros_like(vectors), vectors),
        ),
    )


def _of_both(centre: Array, neighbour: Array) -> Array:
    return np.stack([centre, neighbour], axis=1).reshape(-1, 3)
