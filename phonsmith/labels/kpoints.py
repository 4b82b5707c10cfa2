"""Meshes of k-points from a spacing."""

import math

import numpy as np
from ase import Atoms


def mesh(cell: Atoms, spacing_per_angstrom: float) -> tuple[int, int, int]:
    """Divisions along the reciprocal lattice vectors, as VASP makes them from KSPACING.

    N_i = max(1, ceil(|b_i| / spacing)), where b_i holds the factor 2π: |b| = 2π/a for a cubic cell
    (VASP manual, KSPACING).
    """
    lengths = 2 * np.pi * np.linalg.norm(cell.cell.reciprocal()[:], axis=1)
    first, second, third = (
        max(1, math.ceil(length / spacing_per_angstrom - 1e-9)) for length in lengths
    )
    return first, second, third
