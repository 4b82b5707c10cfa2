"""Born charges and dielectric tensor as phonopy's BORN file, whatever code they come from."""

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from phonsmith.labels.checks import LabelFailed

LARGEST_CHARGE_SUM = 0.5
"""Elementary charges. Born charges of a crystal sum to zero; more than this is no insulator."""


def born_file(crystal: Atoms, charges: NDArray[np.float64], epsilon: NDArray[np.float64]) -> str:
    """phonopy's BORN file of a crystal, for its primitive cell.

    ``charges`` (atoms, 3, 3) in elementary charges and ``epsilon`` (3, 3) get the symmetry of the
    crystal, and the charges the acoustic sum rule, by phonopy.

    Raises
    ------
    LabelFailed
        They are not those of an insulator.
    """
    from phonopy.file_IO import get_BORN_lines

    from phonsmith.supercells import make_phonopy

    if not (np.isfinite(charges).all() and np.isfinite(epsilon).all()):
        raise LabelFailed("Born charges or dielectric tensor are not finite")
    excess = float(np.abs(charges.sum(axis=0)).max())
    if excess > LARGEST_CHARGE_SUM or np.linalg.eigvalsh((epsilon + epsilon.T) / 2).min() < 1:
        raise LabelFailed(
            f"Born charges sum to {excess:.2g} e, or the dielectric tensor is below 1: more "
            "k-points are needed, or the crystal is no insulator; set born_charges: false for it"
        )
    phonon = make_phonopy(crystal, np.eye(3, dtype=int))
    lines = get_BORN_lines(
        phonon.unitcell,
        charges,
        epsilon,
        primitive_matrix=phonon.primitive_matrix,
        supercell_matrix=np.eye(3, dtype=int),
    )
    return "\n".join(lines) + "\n"
