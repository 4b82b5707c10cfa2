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

Array = NDArray[np.float64]

_ATOMS_TOGETHER = 2048
_TERMS_TOGETHER = 1 << 21
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
    is excluded.

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
    counts = np.zeros(number)
    for _, bins in _slices(frame, settings, number):
        counts += np.bincount(bins, minlength=number)
    probability = settings.vectors_per_step / np.maximum(counts, 1)
    random = np.random.default_rng(0)
    found, places = [np.empty((0, 3), dtype=np.intp)], [np.empty(0, dtype=np.intp)]
    for indices, bins in _slices(frame, settings, number):
        kept = random.random(len(bins)) < probability[bins]
        found.append(indices[kept])
        places.append(bins[kept])
    return np.concatenate(found), counts, np.concatenate(places)


def _slices(
    frame: Atoms, settings: Scattering, number: int
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Wave vectors of half of the sphere and their bins, a plane of indices at a time."""
    reciprocal = _reciprocal(frame)
    # Q·a_i = 2π h_i, so that |h_i| is bounded by |Q| |a_i| / 2π
    largest = settings.q_max_inverse_angstrom + settings.q_step_inverse_angstrom / 2
    most = np.floor(largest * frame.cell.lengths() / (2 * np.pi)).astype(int)
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
    for begin in range(0, len(positions), _ATOMS_TOGETHER):
        block = positions[begin : begin + _ATOMS_TOGETHER]
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
