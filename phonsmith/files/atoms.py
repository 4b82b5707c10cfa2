"""Atoms without what is known about them."""

from ase import Atoms


def bare(atoms: Atoms) -> Atoms:
    """Copy elements, positions, lattice and periodicity alone: no labels, no calculator."""
    return Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
