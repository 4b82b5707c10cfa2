"""Lengths of bonds beside covalent radii: crystals in other units than Å, or damaged ones."""

from dataclasses import dataclass

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
    return _in_bohr(_pairs(atoms))


def _in_bohr(pairs: "_Pairs") -> float:
    atoms, ratios = pairs.atoms, pairs.nearest()
    if _has_noble_gas(atoms) or not len(ratios):
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
    pairs = _pairs(atoms)
    if ratio := _in_bohr(pairs):
        raise PhonsmithError(
            f"{where}: bonds are {ratio:.1f} times as long as sums of covalent radii, as if "
            "the file is in bohr; convert cell and positions to Å (1 bohr is 0.529 Å)"
        )
    ratio, pair = pairs.shortest()
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
    pairs = _pairs(atoms)
    ratio, pair = pairs.shortest()
    if ratio < SHORT:
        return f"{pair}, {ratio:.2f} times the sum of the covalent radii; check the positions"
    ratios = pairs.nearest()
    if len(ratios) and ratios.min() > LONG and not _has_noble_gas(atoms):
        return (
            f"the shortest bond is {ratios.min():.1f} times the sum of the covalent radii "
            f"({atoms.get_volume() / len(atoms):.0f} Å³ per atom); check that lengths are in Å"
        )
    return ""


def _has_noble_gas(atoms: Atoms) -> bool:
    return not NOBLE.isdisjoint(atoms.numbers.tolist())


@dataclass(frozen=True)
class _Pairs:
    """Close pairs of atoms of a crystal, each in both directions.

    Attributes
    ----------
    atoms
        The crystal.
    first, second
        (pairs,) indices of the atoms.
    distances
        (pairs,) in Å.
    ratios
        (pairs,) distances over sums of covalent radii.
    """

    atoms: Atoms
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    distances: Floats
    ratios: Floats

    def nearest(self) -> Floats:
        """Smallest ratio of each atom, shape (atoms,); empty where an atom has no close pair."""
        if len(set(self.first)) < len(self.atoms):
            return np.empty(0)
        nearest = np.full(len(self.atoms), np.inf)
        np.minimum.at(nearest, self.first, self.ratios)
        return nearest

    def shortest(self) -> tuple[float, str]:
        """Smallest ratio of all, and its atoms and length in words."""
        if not len(self.ratios):
            return 1.0, ""
        pair = int(np.argmin(self.ratios))
        one, other = (
            f"{chemical_symbols[self.atoms.numbers[i]]}{i}"
            for i in (self.first[pair], self.second[pair])
        )
        return float(self.ratios[pair]), (
            f"atoms {one} and {other} (counted from 0) are {self.distances[pair]:.2f} Å apart"
        )


def _pairs(atoms: Atoms) -> _Pairs:
    spacing = (atoms.get_volume() / len(atoms)) ** (1 / 3)
    if not 0.5 < spacing < 12.0:
        none = np.empty(0, dtype=np.int64)
        return _Pairs(atoms, none, none, np.empty(0), np.empty(0))
    first, second, distances = neighbor_list("ijd", atoms, 1.6 * spacing)
    radii = covalent_radii[atoms.numbers]
    return _Pairs(atoms, first, second, distances, distances / (radii[first] + radii[second]))
