"""Born charges and dielectric tensor from the output of ph.x."""

import re

import numpy as np
from numpy.typing import NDArray

from phonsmith.labels.recorded.readers.pw import RunFailed


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
