"""What sites of a crystal have beside positions: masses and magnetic moments."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from phonsmith.files.errors import PhonsmithError

MOMENTS = "initial_magmoms"
"""ASE's array of the starting magnetic moments (Bohr magnetons), a column of extxyz files."""


def moments_of(atoms: Atoms) -> NDArray[np.float64] | None:
    """Collinear magnetic moments of the atoms (Bohr magnetons); None where all are zero.

    Vectors, as recorded calculations may have them, are none.
    """
    moments = np.asarray(atoms.get_initial_magnetic_moments(), dtype=float)
    return moments if moments.ndim == 1 and moments.any() else None


def own_moments(atoms: Atoms, moments: Sequence[float], where: str) -> Atoms:
    """Return a copy with starting magnetic moments.

    Parameters
    ----------
    atoms
        Crystal; remains unchanged.
    moments
        One moment per atom in Bohr magnetons, in the order of the atoms.
    where
        File or key named in error messages.

    Raises
    ------
    PhonsmithError
        The number of moments differs from the number of atoms, a moment is not finite, or all are
        zero.
    """
    given = np.asarray(moments, dtype=float)
    if given.shape != (len(atoms),):
        found = f"{len(given)} numbers" if given.ndim == 1 else "vectors (non-collinear moments)"
        raise PhonsmithError(
            f"{where}: magnetic moments: {found} for {len(atoms)} atoms ({atoms.symbols}); give "
            "one number per atom, in the order of the file"
        )
    if not (np.isfinite(given).all() and given.any()):
        raise PhonsmithError(
            f"{where}: magnetic moments are all zero or not finite; omit them, or give signed "
            "numbers in Bohr magnetons, e.g. [2, -2, 0, 0]"
        )
    copy = atoms.copy()
    copy.set_initial_magnetic_moments(given)
    return copy


def kinds_of(atoms: Atoms) -> NDArray[np.int64]:
    """Numbers that differ where elements or magnetic moments do: atomic numbers without moments.

    Lattice translations that keep them are those of the magnetic crystal.
    """
    moments = moments_of(atoms)
    if moments is None:
        return np.asarray(atoms.numbers, dtype=np.int64)
    pairs = list(zip(atoms.numbers.tolist(), moments.round(6).tolist(), strict=True))
    ranks = {pair: rank for rank, pair in enumerate(dict.fromkeys(pairs), 1)}
    return np.array([ranks[pair] for pair in pairs], dtype=np.int64)


def at_volume(atoms: Atoms, volume: float) -> Atoms:
    """Return the crystal scaled to a volume of its cell (Å³), its shape and fractions kept."""
    scaled = atoms.copy()
    scaled.set_cell(atoms.cell[:] * (volume / atoms.get_volume()) ** (1 / 3), scale_atoms=True)
    return scaled


def plain(atoms: Atoms) -> Atoms:
    """Elements, positions, cell, masses and moments alone, periodic in all directions."""
    return with_sites_of(
        atoms, Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell[:], pbc=True)
    )


def with_sites_of(origin: Atoms, atoms: Atoms) -> Atoms:
    """``atoms`` with masses and magnetic moments of ``origin`` (same atoms, same order), if any."""
    if origin.has("masses"):
        atoms.set_masses(origin.get_masses())
    if moments_of(origin) is not None:
        atoms.set_initial_magnetic_moments(origin.get_initial_magnetic_moments())
    return atoms
