"""Lengths of bonds beside covalent radii: crystals in other units than Å, or damaged ones."""

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from phonsmith.files.errors import PhonsmithError

SHORTEST_IN_BOHR, TYPICAL_IN_BOHR, DENSE = 1.5, 2.6, 100.0
"""The shortest bond and the median of the shortest bonds of all atoms over sums of covalent radii,
and the volume over that of spheres with covalent radii, where positions are in bohr. In Å, the
shortest bond of 350 crystals, of metals to molecules, has 0.7 to 1.26, and noble gases have 1.5 to
6. Cells of two atoms in vacuum are less dense."""

IMPOSSIBLE, SHORT, LONG = 0.45, 0.65, 1.4
"""Bonds over sums of covalent radii. The shortest bonds known, of uranium to nitrogen or oxygen and
fivefold ones of chromium, have 0.62 to 0.67; caesium at 200 GPa has 0.6."""

ACROSS = (0.62, 1.25)
"""Bonds over sums of covalent radii that may join a crystal with its periodic images. Images of a
cluster in a box without empty space overlap, those in a larger box are farther away."""

NOBLE = frozenset((2, 10, 18, 36, 54, 86))

Floats = NDArray[np.float64]


def in_bohr(atoms: Atoms) -> float:
    """Return the typical length of bonds over sums of covalent radii where it is as if in bohr.

    Zero for a crystal with a bond of usual length, with noble gases, which have no covalent bonds,
    or with much empty space, as in boxes of isolated atoms and of molecules.
    """
    if not NOBLE.isdisjoint(atoms.numbers.tolist()):
        return 0.0
    ratios = _nearest(atoms)
    if not len(ratios):
        return 0.0
    typical = float(np.median(ratios))
    spheres = float((4 / 3 * np.pi * covalent_radii[atoms.numbers] ** 3).sum())
    as_in_bohr = ratios.min() > SHORTEST_IN_BOHR and typical < TYPICAL_IN_BOHR
    return typical if as_in_bohr and atoms.get_volume() < DENSE * spheres else 0.0


def check_bonds(atoms: Atoms, where: str) -> None:
    """Refuse a crystal whose bonds are too long or too short for any; ``where`` opens the message.

    Raises
    ------
    PhonsmithError
        Bonds are as long as if in bohr, or a bond is impossibly short.
    """
    if ratio := in_bohr(atoms):
        raise PhonsmithError(
            f"{where}: bonds are {ratio:.1f} times as long as sums of covalent radii, as if "
            "the file is in bohr; convert cell and positions to Å (1 bohr is 0.529 Å)"
        )
    ratio, pair = _shortest(atoms)
    if ratio < IMPOSSIBLE:
        raise PhonsmithError(
            f"{where}: {pair}, {ratio:.2f} times the sum of the covalent radii; "
            "check the unit (Å), and whether scaled coordinates are marked as Cartesian ones"
        )


def bond_across(atoms: Atoms) -> float:
    """Return the shortest bond (Å) across the sides of the cell in which it is not periodic.

    Zero for a cluster: there is no such bond, or images would overlap.
    """
    from matscipy.neighbours import neighbour_list

    radii = covalent_radii[atoms.numbers]
    crystal = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
    first, second, distances, shifts = neighbour_list(
        "ijdS", crystal, ACROSS[1] * 2 * float(radii.max())
    )
    across = shifts[:, ~atoms.pbc].any(axis=1)
    distances, sums = distances[across], (radii[first] + radii[second])[across]
    ratios = distances / sums
    if not len(ratios) or not ACROSS[0] < ratios.min() < ACROSS[1]:
        return 0.0
    return float(distances[ratios.argmin()])


def doubts_about_bonds(atoms: Atoms) -> str:
    """Return what is unusual about the bonds of a crystal that :func:`check_bonds` accepts."""
    ratio, pair = _shortest(atoms)
    if ratio < SHORT:
        return f"{pair}, {ratio:.2f} times the sum of the covalent radii; check the positions"
    ratios = _nearest(atoms)
    if len(ratios) and ratios.min() > LONG and NOBLE.isdisjoint(atoms.numbers.tolist()):
        return (
            f"the shortest bond is {ratios.min():.1f} times the sum of the covalent radii "
            f"({atoms.get_volume() / len(atoms):.0f} Å³ per atom); check that lengths are in Å"
        )
    return ""


def _pairs(atoms: Atoms) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats, Floats]:
    """Close pairs: both atoms, distances in Å, and distances over sums of covalent radii."""
    spacing = (atoms.get_volume() / len(atoms)) ** (1 / 3)
    if not 0.5 < spacing < 12.0:
        empty = np.empty(0, dtype=np.int64)
        return empty, empty, np.empty(0), np.empty(0)
    first, second, distances = neighbor_list("ijd", atoms, 1.6 * spacing)
    radii = covalent_radii[atoms.numbers]
    return first, second, distances, distances / (radii[first] + radii[second])


def _nearest(atoms: Atoms) -> Floats:
    """The shortest bond of each atom over the sum of covalent radii; empty where one has none."""
    first, _, _, ratios = _pairs(atoms)
    if len(set(first)) < len(atoms):
        return np.empty(0)
    nearest = np.full(len(atoms), np.inf)
    np.minimum.at(nearest, first, ratios)
    return nearest


def _shortest(atoms: Atoms) -> tuple[float, str]:
    """The shortest bond over the sum of covalent radii, and its atoms and length in words."""
    first, second, distances, ratios = _pairs(atoms)
    if not len(ratios):
        return 1.0, ""
    pair = int(np.argmin(ratios))
    one, other = (f"{chemical_symbols[atoms.numbers[i]]}{i}" for i in (first[pair], second[pair]))
    return float(ratios[pair]), (
        f"atoms {one} and {other} (counted from 0) are {distances[pair]:.2f} Å apart"
    )
