"""Symmetry of crystals: magnetic moments and masses distinguish sites."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from phonsmith.files.errors import PhonsmithError
from phonsmith.structures.sites import kinds_of, moments_of, plain, with_sites_of

MASS_SYMPREC = 1e-2
"""Å. Tolerance of the symmetry that masses have to follow."""


def check_masses(atoms: Atoms, where: str) -> None:
    """Refuse masses that differ between atoms which the symmetry of the crystal relates.

    phonopy finds symmetry from elements alone, and would weight wave vectors wrongly.

    Raises
    ------
    PhonsmithError
        Such masses, or numbers that are not masses.
    """
    if not atoms.has("masses"):
        return
    masses = atoms.get_masses()
    if not (np.isfinite(masses).all() and (masses > 0).all() and (masses < 500).all()):
        raise PhonsmithError(f"{where}: masses must lie between 0 and 500 u")
    kinds = symmetry_dataset(atoms, MASS_SYMPREC).equivalent_atoms
    for atom, kind in enumerate(kinds):
        if abs(masses[atom] - masses[kind]) > 1e-6:
            raise PhonsmithError(
                f"{where}: atoms {kind} and {atom} (counted from 0) are equivalent by symmetry, "
                f"but have masses of {masses[kind]:g} and {masses[atom]:g} u; give equivalent "
                "atoms one mass (the mean for a mixture of isotopes)"
            )


def own_masses(atoms: Atoms, masses: Mapping[str, float] | Sequence[float], where: str) -> Atoms:
    """Return a copy with other masses.

    Parameters
    ----------
    atoms
        Crystal; remains unchanged.
    masses
        Masses in u, by element or one per atom. Elements without an entry keep their masses.
    where
        File or key named in error messages.

    Raises
    ------
    PhonsmithError
        An element does not occur in the crystal, the number of masses differs from the number of
        atoms, or :func:`check_masses` refuses the result.
    """
    if isinstance(masses, Mapping):
        if unknown := sorted({*masses} - {*atoms.symbols}):
            raise PhonsmithError(
                f"{where}: masses of {', '.join(unknown)}, which {atoms.get_chemical_formula()} "
                "does not contain; give masses of its elements"
            )
        new = [masses.get(s, m) for s, m in zip(atoms.symbols, atoms.get_masses(), strict=True)]
    elif len(masses) != len(atoms):
        raise PhonsmithError(
            f"{where}: {len(masses)} masses for {len(atoms)} atoms; give one mass per atom of the "
            "crystal, or masses by element such as {H: 2.014}"
        )
    else:
        new = list(masses)
    copy = atoms.copy()
    copy.set_masses(new)
    check_masses(copy, where)
    return copy


@dataclass(frozen=True)
class MagneticSymmetry:
    """Symmetry of a crystal with collinear moments, in the words of spglib's dataset.

    Operations are those of the forces, which spins alone do not turn: they keep all moments or
    reverse all. ``number`` and ``international`` are of the space group that they make up.
    """

    number: int
    international: str
    rotations: NDArray[np.int64]
    translations: NDArray[np.float64]
    equivalent_atoms: NDArray[np.int64]
    mapping_to_primitive: NDArray[np.int64]
    """Atoms that a lattice translation of the magnetic crystal relates have one number."""


def _magnetic_symmetry(atoms: Atoms, symprec: float) -> MagneticSymmetry | None:
    import spglib

    lattice, positions = atoms.cell[:], atoms.get_scaled_positions()
    found = spglib.get_magnetic_symmetry(
        (lattice, positions, atoms.numbers, moments_of(atoms)), symprec=symprec
    )
    lattice_of = spglib.get_symmetry_dataset((lattice, positions, kinds_of(atoms)), symprec=symprec)
    if found is None or lattice_of is None:
        return None
    rotations, translations = found["rotations"], found["translations"]
    group = spglib.get_spacegroup_type_from_symmetry(
        rotations, translations, lattice=lattice, symprec=symprec
    )
    if group is None:
        return None
    return MagneticSymmetry(
        int(group.number),
        str(group.international_short),
        np.asarray(rotations, dtype=np.int64),
        np.asarray(translations),
        np.asarray(found["equivalent_atoms"], dtype=np.int64),
        np.asarray(lattice_of.mapping_to_primitive, dtype=np.int64),
    )


def symmetry_dataset(atoms: Atoms, symprec: float) -> Any:
    """spglib's dataset of a crystal; ``symprec`` in Å. With moments a :class:`MagneticSymmetry`.

    Raises
    ------
    PhonsmithError
        spglib finds no symmetry, not even the identity (atoms too close).
    """
    import spglib

    cell = (atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers)
    dataset: Any
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if moments_of(atoms) is None:
                dataset = spglib.get_symmetry_dataset(cell, symprec=symprec)
            else:
                dataset = _magnetic_symmetry(atoms, symprec)
    except Exception:  # newer releases raise where older ones return None
        dataset = None
    if dataset is None:
        raise PhonsmithError(
            f"{atoms.get_chemical_formula()}: spglib finds no space group at symprec {symprec} Å; "
            "check the crystal and symprec_angstrom"
        )
    return dataset


def space_group(atoms: Atoms, symprec: float) -> tuple[int, str]:
    """Return the number and Hermann–Mauguin symbol of the space group; ``symprec`` in Å."""
    dataset = symmetry_dataset(atoms, symprec)
    return int(dataset.number), str(dataset.international)


def symmetrized(atoms: Atoms, symprec: float) -> Atoms:
    """Move cell and positions of a crystal to the exact symmetry found at ``symprec`` (Å).

    Order of the atoms, setting and orientation stay; moves are of the size of the noise.

    Raises
    ------
    PhonsmithError
        The symmetry at ``symprec`` cannot be made exact without changing the crystal.
    """
    before = space_group(atoms, symprec)
    failure = PhonsmithError(
        f"{atoms.get_chemical_formula()}: the space group {before[1]} found at symprec {symprec} Å "
        "cannot be made exact; lower symprec_angstrom"
    )
    refined = _refined(atoms, symprec)
    if refined is None:
        raise failure
    move = refined.positions - atoms.positions
    if (
        abs(refined.get_volume() / atoms.get_volume() - 1) > 1e-3
        or np.abs(refined.cell[:] - atoms.cell[:]).max() > 10 * symprec
        or np.abs(move).max() > 10 * symprec
    ):
        raise failure
    return plain(with_sites_of(atoms, refined))


def _refined(atoms: Atoms, symprec: float) -> Atoms | None:
    from ase.spacegroup.symmetrize import IntermediateDatasetError, get_symmetrized_atoms

    if moments_of(atoms) is not None:
        return _averaged(atoms, symmetry_dataset(atoms, symprec))
    try:
        refined, _ = get_symmetrized_atoms(plain(atoms), symprec=symprec, final_symprec=1e-5)
    except (IntermediateDatasetError, AssertionError):
        return None
    return plain(refined)


def _averaged(atoms: Atoms, symmetry: MagneticSymmetry) -> Atoms:
    """Lattice and positions averaged over operations, which spglib does for space groups alone.

    Operations act on positions up to a common shift of all atoms; without it they are a finite
    group, whose mean is exactly symmetric.
    """
    from scipy.linalg import sqrtm

    lattice, before = np.array(atoms.cell[:]), atoms.get_scaled_positions(wrap=False)
    rotations = symmetry.rotations.astype(float)
    metric = np.mean(rotations.transpose(0, 2, 1) @ (lattice @ lattice.T) @ rotations, axis=0)
    inverse = np.linalg.inv(lattice)
    strain = np.real(sqrtm(inverse @ metric @ inverse.T))
    unlike = atoms.numbers[:, None] != atoms.numbers
    moves = np.zeros_like(before)
    for rotation, translation in zip(rotations, symmetry.translations, strict=True):
        difference = (before @ rotation.T + translation)[:, None] - before
        difference -= np.rint(difference)
        far = np.linalg.norm(difference @ lattice, axis=2)
        far[unlike] = np.inf
        images = far.argmin(axis=1)
        shifts = difference[np.arange(len(images)), images]
        moves[images] += shifts - shifts.mean(axis=0)
    cell = lattice @ strain
    return Atoms(
        atoms.numbers,
        cell=cell,
        positions=(before + moves / len(rotations)) @ cell,
        pbc=True,
    )
