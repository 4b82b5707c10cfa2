"""Cells of silicon."""

import numpy as np
from ase import Atoms
from ase.build import bulk

from phonsmith.potentials.settings import PotentialSource
from phonsmith.supercells.cells import rattled_cells
from phonsmith.supercells.settings import Rattled, Supercells

DIAMOND = bulk("Si", "diamond", a=5.431)
SMALL = Supercells(min_length_angstrom=5.0, min_atoms=8, max_atoms=16)
SILICON = PotentialSource(calculator="stillinger-weber")


def rattled(std: float, count: int, first_seed: int = 0, factor: float = 1.0) -> list[Atoms]:
    settings = Rattled(std_angstrom=std, volume_factors=[factor], max_angle_strain_degree=0)
    seeds = range(first_seed, first_seed + count)
    return rattled_cells(DIAMOND, 2 * np.eye(3, dtype=int), settings, seeds)


def same(one: Atoms, other: Atoms) -> bool:
    return bool(
        np.array_equal(one.positions, other.positions) and np.array_equal(one.cell, other.cell)
    )
