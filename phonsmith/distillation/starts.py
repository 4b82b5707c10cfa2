"""First cells of runs: supercells of crystals, with vacancies, and random hard spheres."""

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from ase.optimize import FIRE
from numpy.typing import NDArray

from phonsmith.distillation.settings import Start
from phonsmith.files.errors import PhonsmithError
from phonsmith.structures.sites import plain
from phonsmith.supercells.cells import make_phonopy, supercell_matrix, to_ase
from phonsmith.supercells.settings import Supercells

VOLUME_PER_ATOM = 20.0
"""Å³. Diamond silicon."""
DIAMETER = 2.0
"""Å. Hard spheres of random cells of silicon, as in random structure search."""

TRIES_PER_ATOM = 10_000

SETTLED_FORCE, SETTLING_STEPS = 0.5, 300
"""eV/Å and steps. The rest of the energy is left to the thermostat."""


def first_cell(start: Start, crystal: Atoms | None, random: np.random.Generator) -> Atoms:
    """Make the first cell of a run.

    Parameters
    ----------
    start
        Settings of the cell.
    crystal
        Unit cell of its crystal; not used for a composition.
    random
        Generator of random numbers.

    Raises
    ------
    PhonsmithError
        The hard spheres do not fit into the cell, or the crystal has no such supercell.
    """
    if start.composition is not None:
        return hard_spheres(start, random)
    assert crystal is not None
    cell = near_cube(crystal, start.atoms)
    removed = random.choice(len(cell), start.vacancies, replace=False)
    del cell[removed]
    return cell


def settled(cell: Atoms, calculator: BaseCalculator) -> Atoms:
    """Move the atoms of a random cell until no force is large, so that it does not heat up.

    Parameters
    ----------
    cell
        Cell with atoms at random places; remains unchanged.
    calculator
        ASE calculator.
    """
    atoms = cell.copy()
    atoms.calc = calculator
    with FIRE(atoms, logfile=None) as optimizer:
        optimizer.run(fmax=SETTLED_FORCE, steps=SETTLING_STEPS)
    return plain(atoms)


def near_cube(crystal: Atoms, atoms: int) -> Atoms:
    """Return the supercell with at least so many atoms that is most like a cube."""
    edge = (max(atoms, len(crystal)) * crystal.get_volume() / len(crystal)) ** (1 / 3)
    most = max(3 * atoms // 2, atoms + 2 * len(crystal))
    limits = Supercells(min_length_angstrom=0.75 * edge, min_atoms=atoms, max_atoms=most)
    matrix = supercell_matrix(crystal, limits)
    return plain(to_ase(make_phonopy(crystal, matrix).supercell))


def hard_spheres(start: Start, random: np.random.Generator) -> Atoms:
    """Place atoms one after another at random, none closer than the diameter to another.

    Parameters
    ----------
    start
        Composition, number of atoms, volume per atom (Å³), diameter (Å).
    random
        Generator of random numbers.

    Raises
    ------
    PhonsmithError
        There is no place left for an atom: random sequential addition fills at most 38 % of the
        volume with spheres (J. Feder, J. Theor. Biol. 87, 237 (1980)).
    """
    formula = Atoms(start.composition).get_chemical_symbols()
    symbols = formula * max(1, round(start.atoms / len(formula)))
    volume = (start.volume_per_atom_angstrom3 or VOLUME_PER_ATOM) * len(symbols)
    diameter = start.min_distance_angstrom or DIAMETER
    edge = volume ** (1 / 3)
    placed = np.empty((0, 3))
    for _ in symbols:
        position = _free_place(placed, edge, diameter, random)
        if position is None:
            raise PhonsmithError(
                f"distillation: {len(placed)} of {len(symbols)} atoms fit into a random cell of "
                f"{volume / len(symbols):g} Å³ per atom with distances of {diameter:g} Å; raise "
                "start.volume_per_atom_angstrom3 or lower start.min_distance_angstrom"
            )
        placed = np.vstack([placed, position])
    return Atoms(symbols, positions=placed, cell=[edge] * 3, pbc=True)


def _free_place(
    placed: NDArray[np.float64], edge: float, diameter: float, random: np.random.Generator
) -> NDArray[np.float64] | None:
    for _ in range(TRIES_PER_ATOM):
        position = random.uniform(0, edge, 3)
        away = placed - position
        away -= edge * np.rint(away / edge)
        if not len(placed) or (away**2).sum(axis=1).min() >= diameter**2:
            return position
    return None
