"""Force constants of a grid from dynamical matrices of its non-diagonal supercells.

The dynamical matrix of a supercell is exact at its commensurate wave vectors. Symmetry and time
reversal take it to the whole star; where several supercells, or several operations, lead to a wave
vector, their mean is taken. The Fourier transform over the grid gives the force constants of the
grid's supercell (J. H. Lloyd-Williams, B. Monserrat, Phys. Rev. B 92, 184301 (2015)).

Matrices are those without masses, Φ(q), in phonopy's convention of phases: an element has the phase
of the vector between its two atoms. The operation {W|w}, which takes atom k to atom s(k), gives
Φ(W q) with elements s(k), s(l) as R Φ(q)[k, l] Rᵀ; and Φ(q + G)[k, l] = Φ(q)[k, l]
exp(2πi G·(x_l - x_k)).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phonsmith.files.errors import PhonsmithError
from phonsmith.phonons.files import with_forces

if TYPE_CHECKING:
    from phonopy import Phonopy

Complexes = NDArray[np.complex128]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def with_forces_of_parts(
    whole: "Phonopy", parts: Sequence["Phonopy"], forces: Sequence[ArrayLike]
) -> "Phonopy":
    """Compute the force constants of a grid from the forces of its non-diagonal supercells.

    Parameters
    ----------
    whole
        Crystal with the supercell of the grid; force constants are set in place.
    parts
        Supercells of its primitive cell with displacements; forces are set in place.
    forces
        Forces (atoms, 3) in eV/Å of the displaced cells of all parts, in their order.

    Returns
    -------
    ``whole``, with force constants and without displacements.

    Raises
    ------
    UnusablePotential
        A force is not a number.
    PhonsmithError
        No supercell is commensurate with a wave vector of the grid.
    """
    start = 0
    for part in parts:
        end = start + len(part.supercells_with_displacements)
        with_forces(part, forces[start:end])
        start = end
    return with_constants_of_parts(whole, parts)


def with_constants_of_parts(whole: "Phonopy", parts: Sequence["Phonopy"]) -> "Phonopy":
    """Set the force constants of a grid from those of its non-diagonal supercells.

    Parameters
    ----------
    whole
        Crystal with the supercell of the grid; it keeps no displacements.
    parts
        Supercells of its primitive cell with force constants.

    Returns
    -------
    ``whole``, with force constants on which the sum rules are imposed.

    Raises
    ------
    PhonsmithError
        No supercell is commensurate with a wave vector of the grid.
    """
    whole.dataset = None
    whole.force_constants = force_constants(whole, parts)
    whole.symmetrize_force_constants(show_drift=False)
    return whole


def force_constants(whole: "Phonopy", parts: Sequence["Phonopy"]) -> Floats:
    """Return the compact force constants (primitive atoms, atoms, 3, 3) of a grid, in eV/Å².

    Parameters
    ----------
    whole
        Crystal with the supercell of the grid.
    parts
        Supercells of its primitive cell with force constants.

    Raises
    ------
    PhonsmithError
        No supercell is commensurate with a wave vector of the grid.
    """
    from phonopy.harmonic.dynmat_to_fc import DynmatToForceConstants

    transform = DynmatToForceConstants(whole.primitive, whole.supercell, is_full_fc=False)
    points = transform.commensurate_points
    matrices = _at_all(whole, parts, points)
    masses = np.repeat(np.sqrt(whole.primitive.masses), 3)
    transform.dynamical_matrices = matrices / np.outer(masses, masses)
    transform.run()
    found: Floats | None = transform.force_constants
    assert found is not None
    return found


def _at_all(whole: "Phonopy", parts: Sequence["Phonopy"], points: Floats) -> Complexes:
    """Φ (points, 3 atoms, 3 atoms) at all wave vectors of the grid, without masses."""
    from phonsmith.supercells.choice import grid_of

    grid = grid_of(whole)
    numbers = np.rint(points * grid.order).astype(np.int64)
    if np.abs(points * grid.order - numbers).max() > 1e-6:
        raise AssertionError("phonopy's wave vectors are not those of the grid")
    row_of = np.argsort(grid.places(numbers))
    size = 3 * len(whole.primitive)
    total = np.zeros((len(points), size, size), dtype=complex)
    count = np.zeros(len(points), dtype=int)
    places: Floats = whole.primitive.scaled_positions
    operations = _operations(whole)
    for part in parts:
        for q, matrix in _of_part(part):
            for rotation, by_atoms in operations:
                # q' = q W⁻¹ for rows, W acting on columns of positions
                moved = np.rint(grid.order * q @ np.linalg.inv(rotation)).astype(np.int64)
                rotated = by_atoms @ matrix @ by_atoms.T
                for sign, image in ((1, rotated), (-1, rotated.conj())):
                    try:
                        (place,) = grid.places(sign * moved[None])
                    except KeyError:  # the rotation does not preserve the grid
                        continue
                    row = row_of[place]
                    shift = np.rint(sign * moved / grid.order - points[row])
                    phases = np.repeat(np.exp(2j * np.pi * places @ shift), 3)
                    total[row] += phases[:, None] * image * phases.conj()
                    count[row] += 1
    if not count.all():
        missing = ", ".join(f"{value:.4g}" for value in points[int(np.argmin(count))])
        raise PhonsmithError(
            f"phonons {whole.unitcell.formula}: no supercell is commensurate with wave vector "
            f"({missing}) of the grid; make the supercells again"
        )
    return np.asarray(total / count[:, None, None])


def _of_part(part: "Phonopy") -> list[tuple[Floats, Complexes]]:
    """Commensurate wave vectors of a supercell, and Φ at each."""
    from phonopy.harmonic.dynamical_matrix import (
        DynamicalMatrix,
        get_dynamical_matrices_at_qpoints,
    )
    from phonopy.harmonic.dynmat_to_fc import get_commensurate_points

    dynamical = DynamicalMatrix(part.supercell, part.primitive, part.force_constants)
    matrix = np.rint(np.linalg.inv(part.primitive.primitive_matrix)).astype(np.int64)
    points = get_commensurate_points(matrix)
    found = get_dynamical_matrices_at_qpoints(dynamical, points)
    masses = np.repeat(np.sqrt(part.primitive.masses), 3)
    return list(zip(points, found * np.outer(masses, masses), strict=True))


def _operations(whole: "Phonopy") -> list[tuple[Integers, Floats]]:
    """Rotations (3, 3) on fractional coordinates, and each as a matrix on displacements."""
    cell = whole.primitive
    lattice = cell.cell.T
    symmetry: Any = whole.primitive_symmetry.symmetry_operations
    tolerance = 10 * float(whole.symmetry.tolerance)
    found: dict[bytes, tuple[Integers, Floats]] = {}
    for rotation, translation in zip(symmetry["rotations"], symmetry["translations"], strict=True):
        moved = cell.scaled_positions @ rotation.T + translation
        away = moved[:, None] - cell.scaled_positions[None]
        distances = np.linalg.norm((away - np.rint(away)) @ cell.cell, axis=2)
        targets = distances.argmin(axis=1)
        if distances.min(axis=1).max() > tolerance:
            raise PhonsmithError(
                f"phonons {whole.unitcell.formula}: a symmetry operation does not map the atoms "
                "onto each other; symmetrise the crystal after its relaxation"
            )
        cartesian = lattice @ rotation @ np.linalg.inv(lattice)
        by_atoms = np.zeros((len(cell), 3, len(cell), 3))
        by_atoms[targets, :, np.arange(len(cell)), :] = cartesian
        found.setdefault(
            np.asarray(rotation, dtype=np.int64).tobytes(),
            (np.asarray(rotation, dtype=np.int64), by_atoms.reshape(3 * len(cell), -1)),
        )
    return list(found.values())
