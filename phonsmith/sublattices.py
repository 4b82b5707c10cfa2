"""The search for supercell matrices: sublattices that keep the symmetry and are nearly cubic.

A sublattice is an integer matrix ``m`` whose rows are its basis vectors in units of the lattice
vectors, the rows of ``lattice``. Its index, the number of cells in it, is ``|det m|``.
"""

import itertools
import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from ase.geometry import minkowski_reduce
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CUBIC_TOLERANCE = 0.1
"""Cells whose :func:`deviation_from_cube` differ by less count as equally cubic."""

_MOST_VECTORS = 600
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
    """The best sublattice of index ``least`` to ``most``, or None.

    ``rotations`` (n, 3, 3) act on columns of fractional coordinates, as spglib gives them.
    Sublattices that all of them leave as they are come first, then the nearly cubic ones, then
    those of small index; with ``fewest`` the index alone counts. The vectors of the result
    are as short as possible and point along the lattice vectors as well as they can.
    """
    group = np.asarray(rotations, dtype=np.int64).transpose(0, 2, 1)  # on rows from here on
    limits = (min_length, least, most)
    if most < least or most < smallest_index(lattice, min_length):
        return None
    if fewest:
        return _aligned(_best(lattice, _compact(lattice, *limits, None), min_length, True), lattice)
    if _laue_order(group) <= 4:  # triclinic, monoclinic: too many to go through them all
        candidates = _compact(lattice, *limits, group)
    else:
        candidates = _invariant(lattice, least, most, group)
    best = _best(lattice, candidates, min_length, False)
    if best is None:
        best = _best(lattice, _compact(lattice, *limits, None), min_length, False)
    return _aligned(best, lattice)


def smallest_index(lattice: Floats, min_length: float) -> int:
    """No sublattice of smaller index has all vectors that long (the densest packing is fcc)."""
    volume = abs(float(np.linalg.det(lattice)))
    return math.ceil((min_length - _MARGIN) ** 3 / math.sqrt(2) / volume)


def deviation_from_cube(basis: Floats) -> float:
    """Frobenius norm of the metric tensor, scaled to volume 1, minus the identity: 0 for a cube."""
    metric = basis @ basis.T
    return float(np.linalg.norm(metric / np.linalg.det(metric) ** (1 / 3) - np.eye(3)))


def shortest_vector(basis: Floats) -> float:
    """Length of the shortest vector of a lattice."""
    return float(np.linalg.norm(minkowski_reduce(basis)[0], axis=1).min())


def keeps(matrix: Integers, group: Integers) -> bool:
    """Whether every operation of ``group`` (n, 3, 3; on rows) maps the sublattice onto itself."""
    index = round(np.linalg.det(matrix))
    adjugate = np.rint(np.linalg.inv(matrix) * index).astype(np.int64)
    return not np.any((matrix @ group @ adjugate) % index)


def _laue_order(group: Integers) -> int:
    both = np.concatenate([group, -group]).reshape(-1, 9)
    return len(np.unique(both, axis=0))


def _best(
    lattice: Floats, candidates: list[Integers], min_length: float, fewest: bool
) -> Integers | None:
    """The best candidate whose images are far enough apart, as a reduced basis."""
    fine = []
    for matrix in candidates:
        reduced, operation = minkowski_reduce(matrix @ lattice)
        if np.linalg.norm(reduced, axis=1).min() >= min_length - _MARGIN:
            index = abs(round(np.linalg.det(matrix)))
            fine.append((index, round(deviation_from_cube(reduced), 6), operation @ matrix))
    if not fine:
        return None
    if not fewest:
        limit = min(deviation for _, deviation, _ in fine) + CUBIC_TOLERANCE
        fine = [entry for entry in fine if entry[1] <= limit]
    return np.asarray(min(fine, key=lambda entry: entry[:2])[2], dtype=np.int64)


# --- sublattices that a group leaves as they are --------------------------------------------------


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
