"""Labelled cells as displacements and forces of the sites of a supercell."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from phonsmith.files.extxyz import FORCES
from phonsmith.phonons.force_constants import LARGEST_MOVE, SAME_CELL_STRAIN

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Distortion:
    """A labelled cell: displacements (Å) and forces (eV/Å) of all sites, both (sites, 3).

    ``order`` holds the atom of the cell on each site.
    """

    displacements: Floats
    forces: Floats
    order: NDArray[np.int64]


def distortion_of(supercell: "PhonopyAtoms", frame: Atoms) -> Distortion | None:
    """Find the site of each atom of a labelled cell, whatever the order of its atoms.

    Returns
    -------
    Displacements and forces in the order of the sites. None if the cell has other lattice vectors
    (strained, or another supercell), other elements, or an atom that is on no site of its own
    within :data:`phonsmith.phonons.force_constants.LARGEST_MOVE`.
    """
    if sorted(frame.numbers) != sorted(supercell.numbers):
        return None
    strain = np.linalg.solve(supercell.cell, frame.cell[:]) - np.eye(3)
    if np.abs(strain).max() > SAME_CELL_STRAIN:
        return None
    away = frame.get_scaled_positions(wrap=False)[None] - supercell.scaled_positions[:, None]
    away = (away - np.rint(away)) @ supercell.cell
    distances = np.linalg.norm(away, axis=2)
    distances[supercell.numbers[:, None] != frame.numbers] = np.inf
    order = distances.argmin(axis=1)
    sites = np.arange(len(order))
    if len(set(order)) < len(order) or distances[sites, order].max() > LARGEST_MOVE:
        return None
    return Distortion(away[sites, order], np.asarray(frame.arrays[FORCES])[order], order)
