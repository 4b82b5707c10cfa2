"""Atoms without what is known about them."""

import hashlib

import numpy as np
from ase import Atoms


def bare(atoms: Atoms) -> Atoms:
    """Copy elements, positions, lattice and periodicity alone: no labels, no calculator."""
    return Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)


def geometry(atoms: Atoms) -> str:
    """Return a fingerprint of species, lattice and positions, to 1e-6 Å."""
    digest = hashlib.sha256(atoms.numbers.astype(np.int64).tobytes())
    for lengths in (atoms.cell.array, atoms.positions):
        # adding zero turns -0.0 into 0.0
        digest.update((np.round(lengths, 6) + 0.0).tobytes())
    return digest.hexdigest()
