"""SOAP vectors of atoms, by quippy (Bartók, Kondor, Csányi, Phys. Rev. B 87, 184115 (2013))."""

from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from phonsmith.files.atoms import bare


def soap_text(
    numbers: Iterable[int],
    *,
    cutoff: float,
    transition_width: float,
    atom_sigma: float,
    n_max: int,
    l_max: int,
    average: bool = False,
) -> str:
    """Return QUIP's text of a SOAP descriptor that distinguishes elements.

    Parameters
    ----------
    numbers
        Atomic numbers of the elements.
    cutoff, transition_width
        Cutoff radius and width of the transition to zero within it, in Å.
    atom_sigma
        Width of the atomic densities in Å.
    n_max, l_max
        Number of radial functions and largest angular momentum.
    average
        Average the expansion coefficients over all atoms: one vector for a structure.

    Examples
    --------
    >>> soap_text([14], cutoff=5.0, transition_width=1.0, atom_sigma=0.5, n_max=8, l_max=6)
    'soap cutoff=5.0 atom_sigma=0.5 n_max=8 l_max=6 cutoff_transition_width=1.0 n_species=1 \
species_Z={14} n_Z=1 Z={14}'
    """
    elements = sorted(set(numbers))
    kinds = "{" + " ".join(str(number) for number in elements) + "}"
    text = (
        f"soap cutoff={cutoff} atom_sigma={atom_sigma} n_max={n_max} l_max={l_max} "
        f"cutoff_transition_width={transition_width} n_species={len(elements)} species_Z={kinds} "
        f"n_Z={len(elements)} Z={kinds}"
    )
    return f"{text} average=T" if average else text


def soap_vectors(cell: Atoms, text: str) -> NDArray[np.float64]:
    """Compute the SOAP vectors of a cell, of length one as GAP's kernel takes them.

    Parameters
    ----------
    cell
        Periodic cell.
    text
        Descriptor, see :func:`soap_text`.

    Returns
    -------
    Shape (atoms, dimensions), in the order of the atoms; (1, dimensions) if ``text`` averages.
    """
    found = _descriptor(text).calc(bare(cell))
    if " average=T" in text:
        return np.asarray(found["data"], dtype=float)
    centres = np.asarray(found["ci"]).ravel() - 1
    vectors: NDArray[np.float64] = np.empty_like(found["data"])
    vectors[centres] = found["data"]
    return vectors


@cache
def _descriptor(text: str) -> Any:
    from quippy.descriptors import Descriptor

    return Descriptor(text)
