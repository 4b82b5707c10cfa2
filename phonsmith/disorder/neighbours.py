"""Pair distribution, coordination numbers and bond angles of a structure.

Neighbours are found by matscipy, with all periodic images: cells may be smaller than twice the
cutoff.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from ase import Atoms
from matscipy.neighbours import neighbour_list
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from phonsmith.disorder.settings import Analysis
from phonsmith.files.errors import PhonsmithError

Array = NDArray[np.float64]

_SMOOTHING = 0.05
"""Å. Width of the Gaussian that smooths g(r) before its minimum is searched."""
_FLANK = 1.4
"""The first peak lies below this multiple of the distance at which g(r) exceeds one."""
_SHELL = 1.5
"""The minimum lies below this multiple of the first peak's distance; the second neighbours of
diamond are at 1.63, those of a close packing at 1.41."""


@dataclass(frozen=True)
class Bonds:
    """Pairs of neighbours within a cutoff, each in both directions, sorted by their first atom.

    ``centre`` and ``atom``, shape (bonds,), are indices of atoms; ``vectors``, shape (bonds, 3),
    point from the first to the second, in Å; ``lengths``, shape (bonds,), in Å. ``atoms`` is the
    number of atoms of the structure.
    """

    centre: NDArray[np.intp]
    atom: NDArray[np.intp]
    vectors: Array
    lengths: Array
    atoms: int

    @property
    def coordination(self) -> NDArray[np.intp]:
        """Number of neighbours of each atom, shape (atoms,)."""
        return np.bincount(self.centre, minlength=self.atoms)


def checked(frame: Atoms) -> Atoms:
    """Return the structure if it can be analysed.

    Raises
    ------
    PhonsmithError
        It has no atoms, is not periodic in three directions, or has positions that are not finite.
    """
    name = frame.get_chemical_formula() or "structure"
    if not len(frame):
        raise PhonsmithError("structure without atoms: nothing to analyse")
    if not frame.pbc.all() or frame.cell.rank < 3:
        raise PhonsmithError(
            f"{name}: the analysis requires three lattice vectors and periodic boundaries in all "
            f"directions; pbc is {frame.pbc.tolist()}"
        )
    if not (np.isfinite(frame.positions).all() and np.isfinite(frame.cell.array).all()):
        raise PhonsmithError(
            f"{name}: positions or lattice vectors are not finite; omit this snapshot"
        )
    return frame


def bonds_within(frame: Atoms, cutoff: float) -> Bonds:
    """Find all pairs of atoms up to a distance.

    Parameters
    ----------
    frame
        Periodic structure.
    cutoff
        Largest distance in Å.
    """
    centre, atom, vectors, lengths = neighbour_list("ijDd", checked(frame), float(cutoff))
    order = np.argsort(centre, kind="stable")
    return Bonds(centre[order], atom[order], vectors[order], lengths[order], len(frame))


def pair_distribution(frame: Atoms, settings: Analysis) -> pd.DataFrame:
    """Return the pair distribution g(r).

    g(r) = n(r) / (N ρ V(r)), where n(r) counts ordered pairs of atoms, periodic images included,
    in the spherical shell of volume V(r) (Allen and Tildesley, Computer Simulation of Liquids,
    section 2.6). Pairs of all elements are counted. An ideal gas has g = (N - 1) / N within half
    of the cell.

    Parameters
    ----------
    frame
        Periodic structure.
    settings
        Largest distance and bin width (Å).

    Returns
    -------
    Columns ``r_angstrom`` (centre of the bin) and ``pair_distribution``.
    """
    bins = max(1, round(settings.r_max_angstrom / settings.r_step_angstrom))
    edges = np.linspace(0, settings.r_max_angstrom, bins + 1)
    distances = neighbour_list("d", checked(frame), settings.r_max_angstrom)
    counts, _ = np.histogram(distances, edges)
    shells = 4 * np.pi / 3 * np.diff(edges**3)
    density = len(frame) / frame.get_volume()
    return pd.DataFrame(
        {
            "r_angstrom": (edges[:-1] + edges[1:]) / 2,
            "pair_distribution": counts / (len(frame) * density * shells),
        }
    )


def first_minimum(distribution: pd.DataFrame) -> float | None:
    """Find the minimum of g(r) after its first peak, in Å; None without any pair.

    The first peak is the highest value of the smoothed g(r) (Gaussian, 0.05 Å) near the distance
    at which it exceeds one; the minimum is searched up to 1.5 times its distance. If g(r) vanishes
    over a range, its middle is taken.

    Parameters
    ----------
    distribution
        Pair distribution, see :func:`pair_distribution`.
    """
    r = distribution["r_angstrom"].to_numpy(dtype=float)
    raw = distribution["pair_distribution"].to_numpy(dtype=float)
    smooth = gaussian_filter1d(raw, _SMOOTHING / (r[1] - r[0]), mode="nearest")
    if not raw.any():
        return None
    # the first peak rises above one; its onset is not that of single close pairs
    onset = r[np.argmax(smooth >= min(1.0, smooth.max()))]
    first = np.where(r <= _FLANK * onset, smooth, 0)
    peak = int(np.argmax(first))
    behind = np.flatnonzero((np.arange(len(r)) > peak) & (r <= _SHELL * r[peak]))
    if not len(behind):
        return None
    lowest = smooth[behind].min()
    return float(r[behind[smooth[behind] <= lowest + 1e-9]].mean())


def neighbour_cutoff(frame: Atoms, settings: Analysis) -> float:
    """Return the largest distance of bonded neighbours in Å: as set, or the minimum of g(r).

    Raises
    ------
    PhonsmithError
        No cutoff is set and no atom has a neighbour within ``r_max_angstrom``.
    """
    if settings.neighbour_cutoff_angstrom is not None:
        return settings.neighbour_cutoff_angstrom
    found = first_minimum(pair_distribution(frame, settings))
    if found is None:
        raise PhonsmithError(
            f"{frame.get_chemical_formula()}: no minimum of the pair distribution up to "
            f"r_max_angstrom = {settings.r_max_angstrom:g}; set neighbour_cutoff_angstrom"
        )
    return found


def bond_angles(bonds: Bonds) -> Array:
    """Return all angles between two bonds of an atom in degrees, shape (angles,).

    An atom with n neighbours has n (n - 1) / 2 angles.
    """
    unit = bonds.vectors / np.maximum(bonds.lengths, 1e-12)[:, None]
    numbers = bonds.coordination
    first = np.concatenate([[0], np.cumsum(numbers)[:-1]])
    angles = [np.empty(0)]
    for number in np.unique(numbers[numbers > 1]):
        of_atom = first[numbers == number][:, None] + np.arange(number)
        left, right = np.triu_indices(number, 1)
        cosines = np.einsum("aik,aik->ai", unit[of_atom[:, left]], unit[of_atom[:, right]])
        angles.append(np.degrees(np.arccos(np.clip(cosines, -1, 1))).ravel())
    return np.concatenate(angles)


def angle_distribution(bonds: Bonds, settings: Analysis) -> pd.DataFrame:
    """Return the distribution of bond angles, normalised to one over the angle in degrees.

    Parameters
    ----------
    bonds
        Bonds of a structure.
    settings
        Bin width (degrees).

    Returns
    -------
    Columns ``angle_degree`` (centre of the bin) and ``density_per_degree``.
    """
    bins = max(1, round(180 / settings.angle_step_degree))
    edges = np.linspace(0, 180, bins + 1)
    counts, _ = np.histogram(bond_angles(bonds), edges)
    return pd.DataFrame(
        {
            "angle_degree": (edges[:-1] + edges[1:]) / 2,
            "density_per_degree": counts / max(1, counts.sum()) / np.diff(edges),
        }
    )
