"""Vacuum in a cell: slabs and molecules treated as bulk."""

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce
from numpy.typing import NDArray

VACUUM = 7.0
"""Å between planes of atoms. Layers of graphite are 3.4 Å apart, large ions at most 6 Å."""


def vacuum_thicknesses(atoms: Atoms) -> list[float]:
    """Å of empty space between layers of atoms, one number for each direction that has it.

    A direction is the normal of two lattice vectors, of the cell as given or of the reduced one;
    its empty space is the largest distance between neighbouring planes of atoms, if at least
    ``VACUUM``. Layered crystals have 3 to 4 Å there.
    """
    both = [_gaps(atoms, cell) for cell in (atoms.cell[:], minkowski_reduce(atoms.cell)[0])]
    return max(both, key=lambda gaps: (len(gaps), sum(gaps)))


def _gaps(atoms: Atoms, cell: NDArray[np.float64]) -> list[float]:
    inverse = np.linalg.inv(cell)
    spacings = 1 / np.linalg.norm(inverse, axis=0)
    gaps = []
    for axis, spacing in enumerate(spacings):
        heights = np.sort((atoms.positions @ inverse)[:, axis] % 1)
        largest = np.diff([*heights, heights[0] + 1]).max() * spacing
        if largest >= VACUUM:
            gaps.append(float(largest))
    return gaps


def vacuum_caution(atoms: Atoms) -> str:
    """Return the caution for a slab, chain or molecule that is treated as a bulk crystal."""
    found = vacuum_thicknesses(atoms)
    if not found:
        return ""
    kind = ("a slab or layer", "a chain", "a molecule")[len(found) - 1]
    thickness = " and ".join(f"{gap:.1f}" for gap in sorted(found))
    return (
        f"The cell has {thickness} Å of empty space, as of {kind}, and is treated as a bulk "
        "crystal: volume, stress, elastic constants, thermal expansion and conductivity include "
        "the empty space, and relaxation may close it. Give the bulk crystal, or fix the cell "
        "(relaxation.reference: false) and use only frequencies."
    )
