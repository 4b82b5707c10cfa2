"""The search for supercell matrices: sublattices that keep the symmetry and are nearly cubic.

A sublattice is an integer matrix ``m`` whose rows are its basis vectors in units of the lattice
vectors, the rows of ``lattice``. Its index, the number of cells in it, is ``|det m|``.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from functools import lru_cache, partial

import numpy as np
from ase.geometry import minkowski_reduce
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CUBIC_TOLERANCE = 0.1
"""Cells whose :func:`deviation_from_cube` differ by less count as equally cubic."""

LONG_AXIS = 5.0
"""Spacing of the layers over the edge of a square of the area of their cell."""

MOST_ACROSS = 2

_MOST_VECTORS = 600
_MOST_LAYERED = 3  # times the smallest index that can do
_MARGIN = 1e-6  # Å, so that a length that equals the limit passes


def choose_supercell(
    lattice: Floats,
    rotations: Integers,
    min_length: float,
    least: int,
    most: int,
    *,
    fewest: bool = False,
) -> Integers | None:
    """Choose the best sublattice within a range of indices.

    ``rotations`` (n, 3, 3) act on columns of fractional coordinates, as spglib gives them.
    Sublattices invariant under all of them come first, then the nearly cubic ones, then
    those of small index; with ``fewest`` the index alone counts. The vectors of the result
    are as short as possible and point along the lattice vectors as well as they can.

    A lattice with a long axis (``LONG_AXIS`` times the edge across, and longer than ``min_length``)
    cannot be nearly cubic but with needlessly many cells. There the cells are square across the
    axis, and have at most ``MOST_ACROSS`` times the smallest index.

    Parameters
    ----------
    lattice
        (3, 3) lattice vectors in rows, in Å.
    rotations
        (n, 3, 3) rotations that act on columns of fractional coordinates, as spglib returns them.
    min_length
        Smallest length of a vector of the sublattice, in Å.
    least, most
        Smallest and largest index of the sublattice.
    fewest
        Minimise the index alone.

    Returns
    -------
    (3, 3) supercell matrix, lattice vectors in rows; None if no sublattice fits.
    """
    group = np.asarray(rotations, dtype=np.int64).transpose(0, 2, 1)  # on rows from here on
    limits = (min_length, least, most)
    if most < least or most < smallest_index(lattice, min_length):
        return None
    if fewest:
        return _aligned(_best(lattice, _smallest(lattice, *limits), min_length), lattice)
    axis = _long_axis(lattice, min_length)
    if axis is not None:
        smallest = _smallest(lattice, *limits)
        if not smallest:
            return None
        most = min(most, MOST_ACROSS * min(round(np.linalg.det(one)) for one in smallest))
        limits = (min_length, least, most)
    shape = partial(deviation_from_cube, axis=axis)
    if _laue_order(group) <= 4:  # triclinic, monoclinic: too many to go through them all
        candidates = _any_shape(lattice, *limits, group)
    else:
        candidates = _invariant(lattice, least, most, group)
    best = _best(lattice, candidates, min_length, shape)
    if best is None:
        best = _best(lattice, _any_shape(lattice, *limits, None), min_length, shape)
    return _aligned(best, lattice)


def smallest_index(lattice: Floats, min_length: float) -> int:
    """No sublattice of smaller index has all vectors that long.

    The densest packing in space is fcc. Where the layers of the lattice are further apart than
    ``min_length``, it is the hexagonal one in the plane of the two shortest vectors.
    """
    length = min_length - _MARGIN
    volume = abs(float(np.linalg.det(lattice)))
    layers = _layers(lattice, min_length)
    if layers is None:
        return math.ceil(length**3 / math.sqrt(2) / volume)
    area = float(np.linalg.norm(np.cross(*(layers[:2] @ lattice))))
    return math.ceil(length**2 * math.sqrt(3) / 2 / area)


def deviation_from_cube(basis: Floats, axis: Floats | None = None) -> float:
    """Frobenius norm of the metric tensor, scaled to volume 1, minus the identity: 0 for a cube.

    With an ``axis`` (unit vector) lengths along it do not count: 0 for a square prism.
    """
    if axis is not None:
        volume = abs(float(np.linalg.det(basis)))
        along = basis @ axis
        layers = float(np.abs(along[np.abs(along) > 1e-6]).min())
        stretch = math.sqrt(volume / layers) / layers - 1
        basis = basis + stretch * np.outer(along, axis)
    metric = basis @ basis.T
    return float(np.linalg.norm(metric / np.linalg.det(metric) ** (1 / 3) - np.eye(3)))


def shortest_vector(basis: Floats) -> float:
    """Length of the shortest vector of a lattice."""
    return float(np.linalg.norm(minkowski_reduce(basis)[0], axis=1).min())


def keeps(matrix: Integers, group: Integers) -> bool:
    """Return whether all operations (n, 3, 3; on rows) of ``group`` preserve the sublattice."""
    index = round(np.linalg.det(matrix))
    adjugate = np.rint(np.linalg.inv(matrix) * index).astype(np.int64)
    return not np.any((matrix @ group @ adjugate) % index)


def _laue_order(group: Integers) -> int:
    both = np.concatenate([group, -group]).reshape(-1, 9)
    return len(np.unique(both, axis=0))


def _best(
    lattice: Floats,
    candidates: list[Integers],
    min_length: float,
    shape: Callable[[Floats], float] | None = None,
) -> Integers | None:
    """The best candidate whose images are far enough apart, as a reduced basis.

    Best is the smallest ``shape``, and among nearly equal shapes the smallest index; or the index
    alone.
    """
    fine = []
    for matrix in candidates:
        reduced, operation = minkowski_reduce(matrix @ lattice)
        if np.linalg.norm(reduced, axis=1).min() >= min_length - _MARGIN:
            index = abs(round(np.linalg.det(matrix)))
            deviation = round(shape(reduced), 6) if shape else 0.0
            fine.append((index, deviation, operation @ matrix))
    if not fine:
        return None
    limit = min(deviation for _, deviation, _ in fine) + CUBIC_TOLERANCE
    fine = [entry for entry in fine if entry[1] <= limit]
    return np.asarray(min(fine, key=lambda entry: entry[:2])[2], dtype=np.int64)


# --- sublattices invariant under a group ----------------------------------------------------------


def _invariant(lattice: Floats, least: int, most: int, group: Integers) -> list[Integers]:
    """The invariant sublattices with index in the limits, very elongated ones left out.

    Every invariant sublattice lies in a maximal one, and a maximal one of a lattice holds p times
    that lattice for a prime p: it is an invariant subspace over the field of p elements. So
    going down from maximal to maximal, starting at the lattice itself, meets them all. On the way
    down the reduced basis vectors only grow, so an elongated sublattice holds only such.
    """
    edge = (most * abs(float(np.linalg.det(lattice)))) ** (1 / 3)
    longest = 2 * max(edge, _longest_vector(lattice))
    largest_prime = math.ceil(6 * longest / shortest_vector(lattice))
    generators = _generators(group)
    one = np.eye(3, dtype=np.int64)
    found: dict[bytes, Integers] = {one.tobytes(): one}
    waiting = [one]
    while waiting:
        basis = waiting.pop()
        local = np.rint(basis @ generators @ np.linalg.inv(basis)).astype(np.int64)
        for step in _maximal(local, most // round(np.linalg.det(basis)), largest_prime):
            lower = _hermite(step @ basis)
            key = lower.tobytes()
            if key not in found:
                found[key] = lower
                if _longest_vector(lower @ lattice) <= longest:
                    waiting.append(lower)
    chosen = [m for m in found.values() if least <= round(np.linalg.det(m)) <= most]
    return sorted(chosen, key=lambda m: m.ravel().tolist())


def _longest_vector(basis: Floats) -> float:
    return float(np.linalg.norm(minkowski_reduce(basis)[0], axis=1).max())


def _maximal(generators: Integers, most: int, largest_prime: int) -> Iterator[Integers]:
    """Bases of invariant sublattices between the lattice and p times it, for primes p."""
    for p in range(2, min(most, largest_prime) + 1):
        if any(p % q == 0 for q in range(2, math.isqrt(p) + 1)):
            continue
        transposed = generators.transpose(0, 2, 1)
        for w in _eigenvectors((transposed % p).tobytes(), p):  # rows k with k·w = 0 mod p
            pivot = int(np.flatnonzero(w)[0])
            basis = np.eye(3, dtype=np.int64)
            basis[:, pivot] -= w
            basis[pivot, pivot] = p
            yield basis
        if p**2 <= most:
            for v in _eigenvectors((generators % p).tobytes(), p):  # multiples of v mod p
                basis = p * np.eye(3, dtype=np.int64)
                basis[int(np.flatnonzero(v)[0])] = v
                yield basis
        if p**3 <= most:
            yield p * np.eye(3, dtype=np.int64)


@lru_cache(maxsize=4096)
def _eigenvectors(generators: bytes, p: int) -> Integers:
    """Common eigenvectors (rows) of matrices over the field of p elements, one for each line."""
    a, b = (grid.ravel() for grid in np.meshgrid(np.arange(p), np.arange(p), indexing="ij"))
    line = np.arange(p)
    lines = np.concatenate(
        [
            np.stack([np.ones_like(a), a, b], axis=1),
            np.stack([np.zeros_like(line), np.ones_like(line), line], axis=1),
            [[0, 0, 1]],
        ]
    )
    for operation in np.frombuffer(generators, dtype=np.int64).reshape(-1, 3, 3):
        lines = lines[~np.any(np.cross(lines, lines @ operation) % p, axis=1)]
    return lines


def _generators(group: Integers) -> Integers:
    """A few operations that generate the group."""
    chosen: list[Integers] = []
    closure = {np.eye(3, dtype=np.int64).tobytes(): np.eye(3, dtype=np.int64)}
    for operation in group:
        if operation.tobytes() in closure:
            continue
        chosen.append(operation)
        waiting = list(closure.values())
        while waiting:
            element = waiting.pop()
            for generator in chosen:
                product = element @ generator
                if product.tobytes() not in closure:
                    closure[product.tobytes()] = product
                    waiting.append(product)
    return np.array(chosen or [np.eye(3, dtype=np.int64)])


def _hermite(matrix: Integers) -> Integers:
    """Hermite normal form (upper triangular, rows): one matrix for each sublattice."""
    m = matrix.copy()
    for column in range(3):
        while np.count_nonzero(m[column:, column]) > 1:
            rows = [r for r in range(column, 3) if m[r, column]]
            smallest = min(rows, key=lambda r: abs(int(m[r, column])))
            for r in rows:
                if r != smallest:
                    m[r] -= m[smallest] * (m[r, column] // m[smallest, column])
        pivot = next(r for r in range(column, 3) if m[r, column])
        m[[column, pivot]] = m[[pivot, column]]
        if m[column, column] < 0:
            m[column] = -m[column]
        for r in range(column):
            m[r] -= m[column] * (m[r, column] // m[column, column])
    return m


# --- compact sublattices, whatever their symmetry ---------------------------------------------


def _compact(
    lattice: Floats, min_length: float, least: int, most: int, group: Integers | None
) -> list[Integers]:
    """Sublattices spanned by three lattice vectors of about the length of a cube's edge.

    Each pair of them has an angle of 60° to 120°, as in every reduced basis. With
    ``group`` only invariant ones. Only the most cubic and, of each index, one are returned.
    """
    vectors = _vectors(lattice, min_length, least, most)
    cartesian = vectors @ lattice
    volume = abs(float(np.linalg.det(lattice)))
    gram = cartesian @ cartesian.T
    lengths = np.sqrt(np.diag(gram))
    steep = np.abs(gram) <= (0.5 + 1e-6) * np.outer(lengths, lengths)
    best: dict[int, tuple[float, Integers]] = {}
    for i in range(len(vectors)):
        near = np.flatnonzero(steep[i, i + 1 :]) + i + 1
        if len(near) < 2:
            continue
        cross = np.cross(cartesian[i], cartesian[near])
        index = np.rint(np.abs(cross @ cartesian[near].T) / volume).astype(np.int64)
        j, k = np.nonzero(np.triu(steep[np.ix_(near, near)] & (index >= least) & (index <= most)))
        index, j, k = index[j, k], near[j], near[k]
        scale = (index * volume) ** (2 / 3)
        deviation = (lengths[i] ** 2 / scale - 1) ** 2 + 2 * (gram[i, j] / scale) ** 2
        deviation += (lengths[j] ** 2 / scale - 1) ** 2 + 2 * (gram[i, k] / scale) ** 2
        deviation += (lengths[k] ** 2 / scale - 1) ** 2 + 2 * (gram[j, k] / scale) ** 2
        for t in np.lexsort((deviation, index)):
            n, now = int(index[t]), float(deviation[t])
            if n in best and best[n][0] <= now + 1e-9:
                continue
            matrix = _right_handed(vectors[[i, j[t], k[t]]])
            if group is not None and not keeps(matrix, group):
                continue
            if shortest_vector(matrix @ lattice) >= min_length - _MARGIN:
                best[n] = (now, matrix)
    return [best[n][1] for n in sorted(best)]


def _vectors(lattice: Floats, min_length: float, least: int, most: int) -> Integers:
    """Lattice vectors that can be edges, one of each pair ±v, the shortest first (integers)."""
    volume = abs(float(np.linalg.det(lattice)))
    shortest = max(min_length - _MARGIN, 0.75 * (least * volume) ** (1 / 3))
    longest = max(1.15 * (most * volume) ** (1 / 3), 1.2 * shortest)
    reduced, operation = minkowski_reduce(lattice)
    reach = np.ceil(longest * np.linalg.norm(np.linalg.inv(reduced), axis=0)).astype(int)
    grid = np.array(list(itertools.product(*(range(-n, n + 1) for n in reach))), dtype=np.int64)
    integers = grid @ np.asarray(operation, dtype=np.int64)
    lengths = np.linalg.norm(integers @ lattice, axis=1)
    flat = integers.tolist()
    order = sorted(
        (n for n in np.flatnonzero((lengths >= shortest) & (lengths <= longest))),
        key=lambda n: (round(float(lengths[n]), 6), flat[n]),
    )
    half = [n for n in order if flat[n] > [0, 0, 0]]
    return integers[half[:_MOST_VECTORS]]


# --- sublattices of a lattice with a long axis -------------------------------------------------


def _any_shape(
    lattice: Floats, min_length: float, least: int, most: int, group: Integers | None
) -> list[Integers]:
    """Compact sublattices, and of a lattice with a long axis those that keep the axis."""
    found = _compact(lattice, min_length, least, most, group)
    layers = _layers(lattice, min_length)
    if layers is not None:
        found += _layered(lattice, layers, min_length, least, most, group)
    return found


def _smallest(lattice: Floats, min_length: float, least: int, most: int) -> list[Integers]:
    """Sublattices among which that of smallest index is; with layers far apart, exactly."""
    layers = _layers(lattice, min_length)
    if layers is None:
        return _compact(lattice, min_length, least, most, None)
    return _layered(lattice, layers, min_length, least, most, None)


def _layers(lattice: Floats, min_length: float) -> Integers | None:
    """A reduced basis, the longest vector last; None unless its layers are far enough apart."""
    reduced, operation = minkowski_reduce(lattice)
    order = np.argsort(np.linalg.norm(reduced, axis=1), kind="stable")
    basis = np.asarray(operation, dtype=np.int64)[order]
    first, second, _ = basis @ lattice
    spacing = abs(float(np.linalg.det(lattice))) / float(np.linalg.norm(np.cross(first, second)))
    return basis if spacing >= min_length - _MARGIN else None


def _long_axis(lattice: Floats, min_length: float) -> Floats | None:
    """The normal of the layers of a lattice that has a long axis."""
    layers = _layers(lattice, 1.5 * min_length)
    if layers is None:
        return None
    normal = np.cross(*(layers[:2] @ lattice))
    area = float(np.linalg.norm(normal))
    spacing = abs(float(np.linalg.det(lattice))) / area
    return np.asarray(normal / area) if spacing >= LONG_AXIS * math.sqrt(area) else None


def _layered(  # noqa: PLR0917
    lattice: Floats,
    layers: Integers,
    min_length: float,
    least: int,
    most: int,
    group: Integers | None,
) -> list[Integers]:
    """Sublattices with every layer: of each index in the plane, those with long enough vectors.

    Any other sublattice, with every k-th layer, has k times the cells. With ``group`` only
    invariant ones; of each index the squarest.
    """
    plane = layers[:2] @ lattice
    gram = plane @ plane.T
    found = []
    smallest = smallest_index(lattice, min_length)
    for index in range(max(least, smallest), min(most, _MOST_LAYERED * max(least, smallest)) + 1):
        best: tuple[float, Integers] | None = None
        for first in (n for n in range(1, index + 1) if index % n == 0):
            for shift in range(index // first):
                flat = np.array([[first, shift], [0, index // first]], dtype=np.int64)
                squares = _reduced_squares(flat @ gram @ flat.T)
                if squares[0] < (min_length - _MARGIN) ** 2:
                    continue
                if best is not None and squares[1] >= best[0] - 1e-9:
                    continue
                matrix = _stacked(flat, layers, group)
                if matrix is not None:
                    best = (squares[1], _right_handed(matrix))
        if best is not None:
            found.append(best[1])
    return found


def _reduced_squares(gram: Floats) -> tuple[float, float]:
    """Squared lengths of the two shortest vectors of a lattice in a plane (Lagrange, Gauss)."""
    a, b, c = float(gram[0, 0]), float(gram[0, 1]), float(gram[1, 1])
    while True:
        if a > c:
            a, c = c, a
        turns = round(b / a)
        if not turns:
            return a, c
        b, c = b - turns * a, c - 2 * turns * b + turns**2 * a


def _stacked(flat: Integers, layers: Integers, group: Integers | None) -> Integers | None:
    """The sublattice of ``flat`` (in the layer) and a vector to the next layer, if it is kept."""
    rows = flat @ layers[:2]
    if group is None:
        return np.vstack([rows, layers[2:]])
    for i, j in itertools.product(range(int(flat[0, 0])), range(int(flat[1, 1]))):
        matrix = np.vstack([rows, layers[2:] + i * layers[:1] + j * layers[1:2]])
        if keeps(_right_handed(matrix), group):
            return matrix
    return None


# --- the final form --------------------------------------------------------------------------


def _right_handed(matrix: Integers) -> Integers:
    return matrix if np.linalg.det(matrix) > 0 else -matrix


def _aligned(reduced: Integers | None, lattice: Floats) -> Integers | None:
    """The reduced basis whose vectors point along the lattice vectors as well as possible."""
    if reduced is None:
        return None
    steps = np.array([s for s in itertools.product((-1, 0, 1), repeat=3) if any(s)])
    vectors = (steps @ reduced) @ lattice
    lengths = np.linalg.norm(vectors, axis=1)
    squares = (np.linalg.norm(reduced @ lattice, axis=1) ** 2).sum() * (1 + 1e-6)
    short = np.flatnonzero(lengths**2 <= squares)
    directions = lattice / np.linalg.norm(lattice, axis=1)[:, None]
    cosines = vectors @ directions.T / lengths[:, None]
    sign = round(np.sign(np.linalg.det(reduced)))
    a, b, c = (g.ravel() for g in np.meshgrid(short, short, short, indexing="ij"))
    right = np.einsum("ij,ij->i", steps[a], np.cross(steps[b], steps[c])) == sign
    right &= lengths[a] ** 2 + lengths[b] ** 2 + lengths[c] ** 2 <= squares
    a, b, c = a[right], b[right], c[right]
    score = np.round(cosines[a, 0] + cosines[b, 1] + cosines[c, 2], 6)
    top = np.flatnonzero(score == score.max())
    choices = [steps[[a[t], b[t], c[t]]] @ reduced for t in top]
    return np.asarray(max(choices, key=lambda m: m.ravel().tolist()), dtype=np.int64)
