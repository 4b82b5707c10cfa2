"""Static structure factor and its first sharp diffraction peak.

S(Q) is the direct sum over the wave vectors of the periodic cell, without the truncation of a
Fourier transform of g(r):

    S(Q) = |Σ_j exp(i Q·r_j)|² / N

(Hansen and McDonald, Theory of Simple Liquids, section 4.1). All atoms scatter alike, so that
compounds have their number-number structure factor.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from ase import Atoms
from numpy.typing import NDArray

from phonsmith.disorder.neighbours import checked
from phonsmith.disorder.settings import Scattering
from phonsmith.files.errors import PhonsmithError

Array = NDArray[np.float64]

_ATOMS_TOGETHER = 2048
_TERMS_TOGETHER = 1 << 21
_ENUMERATED = 4
"""Multiple of the wave vectors used, up to which those of a bin are listed and not drawn."""
_MOST_LISTED = 10**8
"""Wave vectors whose listing takes a minute."""
_FAR = 3.0
"""Standard deviations of the resolution beyond which S(Q) is not defined by any wave vector."""


@dataclass(frozen=True)
class Peak:
    """Maximum of S(Q): position in 1/Å and height."""

    position_inverse_angstrom: float
    height: float


def structure_factor(frame: Atoms, settings: Scattering) -> pd.DataFrame:
    """Compute the static structure factor S(Q), averaged over directions.

    Wave vectors are sorted into bins of Q. Each value of the curve is the average of the bins
    around it, weighted with their numbers of wave vectors and a Gaussian (the resolution). Q = 0
    is excluded. The effort does not grow with the volume: of bins with many wave vectors, a random
    sample is drawn, with a fixed seed.

    Parameters
    ----------
    frame
        Periodic structure.
    settings
        Range, step and resolution of Q; wave vectors per step.

    Returns
    -------
    Columns ``q_inverse_angstrom`` and ``structure_factor``; NaN where no wave vector is within
    three standard deviations of the resolution.

    Raises
    ------
    PhonsmithError
        The cell is so long in one direction that its wave vectors cannot be listed.
    """
    indices, counts, bins = _wave_vectors(checked(frame), settings)
    intensities = _intensities(frame, indices)
    used = np.maximum(1, np.bincount(bins, minlength=len(counts)))
    moduli = np.linalg.norm(indices @ _reciprocal(frame), axis=1)
    # the mean modulus of a bin, not its centre: Bragg peaks stay at their places
    centres = np.bincount(bins, moduli, minlength=len(counts)) / used
    means = np.bincount(bins, intensities, minlength=len(counts)) / used
    occupied = np.flatnonzero(np.bincount(bins, minlength=len(counts)))
    q = settings.q_step_inverse_angstrom * np.arange(1, len(counts) + 1)
    distances = (q[:, None] - centres[None, occupied]) / settings.q_resolution_inverse_angstrom
    weights = np.exp(-(distances**2) / 2) * counts[occupied]
    total = weights.sum(axis=1)
    known = np.abs(distances).min(axis=1, initial=np.inf) <= _FAR
    curve = np.full(len(q), np.nan)
    curve[known] = (weights @ means[occupied])[known] / total[known]
    return pd.DataFrame({"q_inverse_angstrom": q, "structure_factor": curve})


def first_peak(
    curve: pd.DataFrame, settings: Scattering, column: str = "structure_factor"
) -> Peak | None:
    """Find the first sharp diffraction peak.

    It is the highest point of the curve within ``first_peak_range_inverse_angstrom``, refined by
    the parabola through it and the points beside it. None if the highest point is at an end of the
    range or beside a gap.

    Parameters
    ----------
    curve
        Columns ``q_inverse_angstrom`` and ``column``, see :func:`structure_factor`.
    settings
        Range of the peak.
    column
        Column of S(Q); ``structure_factor_mean`` for a mean over seeds.
    """
    q = curve["q_inverse_angstrom"].to_numpy(dtype=float)
    values = curve[column].to_numpy(dtype=float)
    low, high = settings.first_peak_range_inverse_angstrom
    inside = np.flatnonzero((q >= low) & (q <= high) & np.isfinite(values))
    if not len(inside):
        return None
    top = int(inside[np.argmax(values[inside])])
    if top == 0 or top == len(q) - 1:
        return None
    left, middle, right = values[top - 1 : top + 2]
    if not (left <= middle >= right):  # NaN compares false
        return None
    curvature = left - 2 * middle + right
    shift = 0.5 * (left - right) / curvature if curvature < 0 else 0.0
    return Peak(
        position_inverse_angstrom=float(q[top] + shift * (q[1] - q[0])),
        height=float(middle - 0.25 * (left - right) * shift),
    )


def _reciprocal(frame: Atoms) -> Array:
    """Rows are the reciprocal lattice vectors with 2π, in 1/Å."""
    return np.asarray(2 * np.pi * frame.cell.reciprocal()[:])


def _wave_vectors(
    frame: Atoms, settings: Scattering
) -> tuple[NDArray[np.intp], Array, NDArray[np.intp]]:
    """Indices (vectors, 3) of the wave vectors used, number in each bin, and bin of each.

    One of each pair Q, -Q. Where a bin has too many vectors, each is kept with equal probability.
    """
    number = round(settings.q_max_inverse_angstrom / settings.q_step_inverse_angstrom)
    expected = _expected_counts(frame, settings, number)
    listed = _bins_listed(frame, settings, expected)
    counts = np.zeros(listed)
    for _, bins in _slices(frame, settings, listed):
        counts += np.bincount(bins, minlength=listed)
    probability = settings.vectors_per_step / np.maximum(counts, 1)
    random = np.random.default_rng(0)
    found, places = [np.empty((0, 3), dtype=np.intp)], [np.empty(0, dtype=np.intp)]
    for indices, bins in _slices(frame, settings, listed):
        kept = random.random(len(bins)) < probability[bins]
        found.append(indices[kept])
        places.append(bins[kept])
    for place in range(listed, number):
        found.append(_drawn(frame, settings, place, random))
        places.append(np.full(len(found[-1]), place))
    counts = np.concatenate([counts, expected[listed:]])
    return np.concatenate(found), counts, np.concatenate(places)


def _expected_counts(frame: Atoms, settings: Scattering, number: int) -> Array:
    """Wave vectors in half of the shell of each bin: its volume times V / (2π)³."""
    edges = settings.q_step_inverse_angstrom * (np.arange(number + 1) + 0.5)
    return np.asarray(frame.get_volume() * np.diff(edges**3) / (12 * np.pi**2))


def _bins_listed(frame: Atoms, settings: Scattering, expected: Array) -> int:
    """Number of bins, from the lowest, whose wave vectors are listed; beyond they are drawn."""
    q = settings.q_step_inverse_angstrom * np.arange(1, len(expected) + 1)
    many = expected > _ENUMERATED * settings.vectors_per_step
    drawn = np.flatnonzero(many & (q > 2 * _reach(frame)))
    listed = int(drawn[0]) if len(drawn) else len(expected)
    if np.prod(2.0 * _largest_indices(frame, settings, listed) + 1) > 2 * _MOST_LISTED:
        lengths = " × ".join(f"{length:.0f}" for length in frame.cell.lengths())
        raise PhonsmithError(
            f"{frame.get_chemical_formula()}: structure factor of a cell of {lengths} Å requires "
            f"more than {_MOST_LISTED:.0e} wave vectors; omit this structure, or lower "
            "scattering.q_max_inverse_angstrom"
        )
    return listed


def _reach(frame: Atoms) -> float:
    """Distance within which every point has a wave vector of the cell, in 1/Å."""
    return float(np.linalg.norm(_reciprocal(frame), axis=1).sum() / 2)


def _drawn(
    frame: Atoms, settings: Scattering, place: int, random: np.random.Generator
) -> NDArray[np.intp]:
    """Distinct wave vectors of a bin with many, all with equal probability.

    Points at random in a shell that holds the cells of the reciprocal lattice around all its wave
    vectors, which are of equal volume, rounded to wave vectors.
    """
    step, reciprocal, reach = (
        settings.q_step_inverse_angstrom,
        _reciprocal(frame),
        _reach(frame),
    )
    low, high = (place + 0.5) * step - reach, (place + 1.5) * step + reach
    share = ((place + 1.5) ** 3 - (place + 0.5) ** 3) * step**3 / (high**3 - low**3)
    found = np.empty((0, 3), dtype=np.intp)
    while len(found) < settings.vectors_per_step:
        points = random.normal(size=(int(1.2 * settings.vectors_per_step / share) + 1, 3))
        moduli = np.cbrt(random.uniform(low**3, high**3, len(points)))
        points *= (moduli / np.linalg.norm(points, axis=1))[:, None]
        indices = np.rint(points @ np.linalg.inv(reciprocal)).astype(np.intp)
        bins = np.rint(np.linalg.norm(indices @ reciprocal, axis=1) / step).astype(np.intp) - 1
        indices = indices[bins == place]
        # one of each pair Q, -Q: the first index that is not zero is positive
        signs = np.sign(indices)
        first = signs[np.arange(len(signs)), (signs != 0).argmax(axis=1)]
        both = np.concatenate([found, indices * first[:, None]])
        _, earliest = np.unique(both, axis=0, return_index=True)
        found = both[np.sort(earliest)]
    return found[: settings.vectors_per_step]


def _largest_indices(frame: Atoms, settings: Scattering, number: int) -> NDArray[np.intp]:
    """Largest index of each reciprocal lattice vector within the first bins.

    Q·a_i = 2π h_i, so that |h_i| is bounded by |Q| |a_i| / 2π.
    """
    largest = settings.q_step_inverse_angstrom * (number + 0.5)
    return np.asarray(largest * frame.cell.lengths() / (2 * np.pi), dtype=np.intp)


def _slices(
    frame: Atoms, settings: Scattering, number: int
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Wave vectors of half of the sphere of the first bins, a plane of indices at a time."""
    reciprocal = _reciprocal(frame)
    most = _largest_indices(frame, settings, number)
    second, third = np.meshgrid(
        np.arange(-most[1], most[1] + 1), np.arange(-most[2], most[2] + 1), indexing="ij"
    )
    plane = np.column_stack([np.zeros(second.size, dtype=np.intp), second.ravel(), third.ravel()])
    for first in range(most[0] + 1):
        plane[:, 0] = first
        moduli = np.linalg.norm(plane @ reciprocal, axis=1)
        # bin i is centred at (i + 1) steps
        bins = np.rint(moduli / settings.q_step_inverse_angstrom).astype(np.intp) - 1
        inside = (bins >= 0) & (bins < number)
        if first == 0:
            inside &= (plane[:, 1] > 0) | ((plane[:, 1] == 0) & (plane[:, 2] > 0))
        yield plane[inside].copy(), bins[inside]


def _intensities(frame: Atoms, indices: NDArray[np.intp]) -> Array:
    """|Σ_j exp(i Q·r_j)|² / N of each wave vector, from the powers along the three axes."""
    positions = np.linalg.solve(frame.cell.array.T, frame.positions.T).T  # fractional
    most = np.abs(indices).max(axis=0, initial=0)
    amplitudes = np.zeros(len(indices), dtype=complex)
    atoms = max(1, min(_ATOMS_TOGETHER, _TERMS_TOGETHER // (2 * int(most.max()) + 1)))
    for begin in range(0, len(positions), atoms):
        block = positions[begin : begin + atoms]
        # single precision of the terms is ample; the sums are double
        waves = [
            np.exp(2j * np.pi * np.outer(np.arange(-most[i], most[i] + 1), block[:, i])).astype(
                np.complex64
            )
            for i in range(3)
        ]
        together = max(1, _TERMS_TOGETHER // len(block))
        for start in range(0, len(indices), together):
            part = indices[start : start + together] + most
            product = waves[0][part[:, 0]] * waves[1][part[:, 1]]
            amplitudes[start : start + together] += np.einsum(
                "qa,qa->q", product, waves[2][part[:, 2]]
            )
    return np.asarray(np.abs(amplitudes) ** 2 / len(positions))
