"""Structures whose analysis is known."""

import numpy as np
from ase import Atoms
from ase.build import bulk


def diamond(repeats: int = 2) -> Atoms:
    return bulk("Si", "diamond", 5.43, cubic=True).repeat(repeats)


def lonsdaleite(repeats: tuple[int, int, int] = (5, 5, 3)) -> Atoms:
    """Hexagonal diamond with ideal tetrahedra."""
    a, u = 3.84, 1 / 16
    places = [
        [1 / 3, 2 / 3, u],
        [2 / 3, 1 / 3, 0.5 + u],
        [2 / 3, 1 / 3, -u],
        [1 / 3, 2 / 3, 0.5 - u],
    ]
    cell = [[a, 0, 0], [-a / 2, a * np.sqrt(3) / 2, 0], [0, 0, a * np.sqrt(8 / 3)]]
    return Atoms("Si4", scaled_positions=places, cell=cell, pbc=True).repeat(repeats)


def half_crystalline() -> Atoms:
    """512 atoms: one half is diamond with thermal displacements, the other is disordered."""
    cell = diamond(4)
    std = np.where(cell.get_scaled_positions()[:, 0] < 0.5, 0.1, 0.6)
    rng = np.random.default_rng(7)
    cell.positions += rng.normal(0, std[:, None], (len(cell), 3))
    return cell


def strained_lonsdaleite() -> Atoms:
    """300 atoms with thermal displacements in a sheared cell."""
    cell = lonsdaleite()
    rng = np.random.default_rng(8)
    cell.positions += rng.normal(0, 0.12, (len(cell), 3))
    strain = np.array([[1, 0.03, 0], [0, 1, 0.02], [0.01, 0, 1]])
    cell.set_cell(cell.cell.array @ strain, scale_atoms=True)
    return cell


def ideal_gas(atoms: int, seed: int = 0) -> Atoms:
    """Independent atoms in a triclinic cell, with the number density of silicon."""
    length = (20.0 * atoms) ** (1 / 3)
    cell = length * np.array([[1, 0, 0], [0.2, 1, 0], [-0.1, 0.15, 1]])
    places = np.random.default_rng(seed).random((atoms, 3))
    return Atoms(f"Si{atoms}", scaled_positions=places, cell=cell, pbc=True)


def rigid_pairs(pairs: int, length: float, box: float) -> Atoms:
    """Pairs of atoms of one length (Å) in random places and directions of a cube (Å)."""
    random = np.random.default_rng(5)
    places = random.random((pairs, 3)) * box
    directions = random.normal(size=(pairs, 3))
    directions *= length / np.linalg.norm(directions, axis=1)[:, None]
    positions = np.concatenate([places, places + directions])
    return Atoms(f"Si{2 * pairs}", positions=positions, cell=[box] * 3, pbc=True)


def rotated(frame: Atoms) -> Atoms:
    """The structure in another orientation, with its atoms in another order and moved cell."""
    copy = frame.copy()
    copy.rotate(37, (1, 2, -1), rotate_cell=True)
    copy.positions += [0.3, -1.2, 2.5]
    copy.wrap()
    return copy[np.random.default_rng(3).permutation(len(copy))]
