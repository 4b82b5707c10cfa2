"""Random crystals of a random structure search: few symmetry operations, atoms at random places.

Space groups, Wyckoff positions and random lattices are those of PyXtal (S. Fredericks et al.,
Comput. Phys. Commun. 261, 107810 (2021)). Its ``random_crystal`` gives up after few places for each
atom and begins again with an empty cell: 16 atoms without symmetry at 20 Å³ per atom and 2 Å apart
take half a minute. The atoms are therefore placed here.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from phonsmith.distillation.settings import RandomSearch
from phonsmith.files.errors import PhonsmithError
from phonsmith.structures.sites import plain
from phonsmith.supercells.cells import to_ase, to_phonopy

Floats = NDArray[np.float64]

LATTICES = 100
"""Lattices tried for a crystal."""
PLACES = 300
"""Places tried one after another, before another lattice is tried."""


@dataclass(frozen=True)
class RandomCrystal:
    """A random crystal: its primitive cell, and the space group (number) that it was made with.

    Atoms may have more symmetry by chance: two equal atoms always have an inversion centre.
    """

    atoms: Atoms
    space_group: int


def random_crystal(settings: RandomSearch, random: np.random.Generator) -> RandomCrystal:
    """Make a random crystal.

    The number of symmetry operations, the number of formula units and the space group with so many
    operations (without translations) are drawn one after another, each with equal probabilities.

    Parameters
    ----------
    settings
        Composition, ranges, volume per atom (Å³), smallest distance (Å).
    random
        Generator of random numbers; equal states give equal crystals.

    Raises
    ------
    PhonsmithError
        The atoms do not fit into a cell of this volume.
    """
    operations = random.choice(settings.numbers_of_operations)
    units = random.choice(settings.formula_units)
    for number in random.permutation(space_groups(int(operations))):
        group = _group(int(number))
        formula = Atoms(settings.composition)
        counts = {str(one): int(units) * n for one, n in formula.symbols.formula.count().items()}
        compatible, _ = group.check_compatible([n * group.cellsize() for n in counts.values()])
        if compatible and (atoms := _placed(group, counts, settings, random)) is not None:
            return RandomCrystal(atoms, int(number))
    raise PhonsmithError(
        f"distillation: {sum(counts.values())} atoms do not fit into a random cell of "
        f"{settings.volume_per_atom_angstrom3:g} Å³ per atom with distances of "
        f"{settings.min_distance_angstrom:g} Å and {operations} symmetry operations; raise "
        "volume_per_atom_angstrom3 or lower min_distance_angstrom"
    )


@cache
def space_groups(operations: int) -> list[int]:
    """Return the numbers of the space groups with so many operations, without translations.

    This is the order of the point group, by spglib.
    """
    import spglib

    found = set()
    for hall in range(1, 531):
        rotations = spglib.get_symmetry_from_database(hall)["rotations"]
        if len(np.unique(rotations, axis=0)) == operations:
            found.add(int(spglib.get_spacegroup_type(hall).number))
    return sorted(found)


@cache
def _group(number: int) -> Any:
    from pyxtal.symmetry import Group

    return Group(number)


def _placed(
    group: Any, counts: dict[str, int], settings: RandomSearch, random: np.random.Generator
) -> Atoms | None:
    """The primitive cell of a crystal with these numbers of atoms, or None if they do not fit."""
    from phonopy.structure.cells import TrimmedCell, get_primitive_matrix_by_centring
    from pyxtal.lattice import Lattice
    from pyxtal.msg import VolumeError

    conventional = group.cellsize()
    volume = settings.volume_per_atom_angstrom3 * sum(counts.values()) * conventional
    for _ in range(LATTICES):
        try:
            lattice = Lattice(group.lattice_type, volume, random_state=random).matrix
        except VolumeError:
            continue
        sites = _Sites(lattice, settings.min_distance_angstrom)
        if sites.fits and all(
            _filled(sites, group, count * conventional, random) for count in counts.values()
        ):
            symbols = [symbol for symbol, n in counts.items() for _ in range(n * conventional)]
            cell = Atoms(symbols, scaled_positions=sites.placed, cell=lattice, pbc=True)
            matrix = get_primitive_matrix_by_centring(group.symbol[0])
            return plain(to_ase(TrimmedCell(matrix, to_phonopy(cell))))
    return None


def _filled(sites: "_Sites", group: Any, count: int, random: np.random.Generator) -> bool:
    """Whether a species got this number of atoms; they are added to the sites."""
    from pyxtal.symmetry import choose_wyckoff

    tries = 0
    while count and tries < PLACES:
        position = choose_wyckoff(group, count, random_state=random)
        if position is False:
            return False
        operations = np.array([one.affine_matrix for one in position.ops])
        if sites.add(operations[:, :3, :3] @ random.random(3) + operations[:, :3, 3]):
            count -= len(operations)
            tries = 0
        tries += 1
    return not count


class _Sites:
    """Fractional coordinates of atoms in a cell, none closer than a distance to another."""

    def __init__(self, lattice: Floats, distance: float) -> None:
        self.placed = np.empty((0, 3))
        self._lattice, self._distance = lattice, distance
        # a vector shorter than the distance has fractional coordinates below distance / width
        widths = 1 / np.linalg.norm(np.linalg.inv(lattice), axis=0)
        reach = [np.arange(-n, n + 1) for n in np.floor(distance / widths + 0.5).astype(int)]
        shifts = np.stack(np.meshgrid(*reach, indexing="ij"), axis=-1).reshape(-1, 3)
        self._images = shifts @ lattice
        itself = (shifts == 0).all(axis=1)
        self.fits = not self._close(self._images[~itself])

    def add(self, orbit: Floats) -> bool:
        """Add equivalent sites (n, 3); return whether there was place for them."""
        # operations map the first site to the others, and the sites placed before to one another
        differences = orbit[0] - np.vstack([orbit[1:], self.placed])
        nearest = (differences - np.rint(differences)) @ self._lattice
        if self._close(nearest[:, None] + self._images):
            return False
        self.placed = np.vstack([self.placed, orbit])
        return True

    def _close(self, vectors: Floats) -> bool:
        """Whether one of the vectors (…, 3) is shorter than the distance."""
        return bool((np.einsum("...i,...i", vectors, vectors) < self._distance**2).any())
