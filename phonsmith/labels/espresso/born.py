"""Born charges and dielectric tensor from the output of ph.x."""

import re

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from phonsmith.labels.readers.pw import RunFailed

LARGEST_CHARGE_SUM = 0.5
"""Elementary charges. Born charges of a crystal sum to zero; more than this is no insulator."""


def born_text(output: str, crystal: Atoms) -> str:
    """phonopy's BORN file, for its primitive cell, from the output of ph.x.

    The tensors get the symmetry of the crystal and the charges the acoustic sum rule by phonopy.

    Raises
    ------
    RunFailed
        The tensors are not there, or not those of an insulator.
    """
    from phonopy.file_IO import get_BORN_lines

    from phonsmith.supercells import make_phonopy

    epsilon, charges = tensors(output, len(crystal))
    excess = float(np.abs(charges.sum(axis=0)).max())
    if excess > LARGEST_CHARGE_SUM or np.linalg.eigvalsh((epsilon + epsilon.T) / 2).min() < 1:
        raise RunFailed(
            "input",
            f"Born charges sum to {excess:.2g} e, or the dielectric tensor is below 1: more "
            "k-points are needed, or the crystal is no insulator; set born_charges: false for it",
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


def tensors(output: str, atoms: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Dielectric tensor (3, 3) and Born charges (atoms, 3, 3) as ph.x prints them.

    Rows of the charges are the field's direction, columns the displacement's; phonopy's BORN has
    them in the same way (phonopy-qe-born). That script of phonopy's expects words that ph.x prints
    since 7.0 only.
    """
    _, _, after = output.partition("Dielectric constant in cartesian axis")
    epsilon = _numbers(after, 3)
    _, _, after = output.partition("Effective charges (d Force / dE) in cartesian axis")
    charges = _numbers(after, 3 * atoms)
    return epsilon, charges.reshape(atoms, 3, 3)


def _numbers(text: str, rows: int) -> NDArray[np.float64]:
    """The first rows of three numbers in brackets."""
    found = re.findall(r"\(\s*(-?[\d.]+)\s+(-?[\d.]+)\s+(-?[\d.]+)\s*\)", text)[:rows]
    if len(found) < rows:
        raise RunFailed("incomplete", "ph.x gave no dielectric tensor and Born charges")
    return np.array(found, dtype=float)
