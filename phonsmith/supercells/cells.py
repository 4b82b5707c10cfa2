"""Supercells: their matrix, cells with one displaced atom, and rattled and strained cells.

Lattice vectors are rows everywhere: a supercell is ``matrix @ cell``.
"""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import make_supercell
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms
from phonopy.structure.cells import guess_primitive_matrix
from spglib.error import SpglibError

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.phonopy_files import SYMPREC  # crystals are symmetrised before they come here
from phonsmith.structures.sites import kinds_of, moments_of
from phonsmith.structures.symmetry import symmetry_dataset
from phonsmith.supercells.grids import grid_matrix, in_units_of
from phonsmith.supercells.settings import Displaced, Rattled, Supercells
from phonsmith.supercells.sublattices import choose_supercell, smallest_index

_TRIES = 1000
_OUT_OF_REACH = 1000  # cells; too large to label
_LARGEST_MOVE = 5.0  # standard deviations; larger ones are drawn again

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


# --- phonopy ---------------------------------------------------------------------------------


def to_phonopy(atoms: Atoms) -> PhonopyAtoms:
    """Return the crystal for phonopy: elements, cell, positions, and special masses and moments."""
    return PhonopyAtoms(
        numbers=atoms.numbers,
        cell=atoms.cell[:],
        scaled_positions=atoms.get_scaled_positions(),
        masses=atoms.get_masses() if atoms.has("masses") else None,
        magnetic_moments=moments_of(atoms),
    )


def to_ase(phonopy_atoms: PhonopyAtoms) -> Atoms:
    """Return the crystal or supercell for ASE: elements, cell, positions and moments; no masses."""
    return Atoms(
        phonopy_atoms.numbers,
        cell=phonopy_atoms.cell,
        scaled_positions=phonopy_atoms.scaled_positions,
        magmoms=phonopy_atoms.magnetic_moments,
        pbc=True,
    )


def make_phonopy(
    atoms: Atoms, matrix: Any, primitive_matrix: Any = None, symprec: float = SYMPREC
) -> Phonopy:
    """Create phonopy for a crystal as given (its unit cell) and its supercell.

    Without ``primitive_matrix`` a crystal that is primitive is its own primitive cell, axes
    included, and for other crystals phonopy chooses the primitive cell. Where fractional wave
    vectors of a crystal are used for another (relaxed by a fit, for example), pass the matrix of
    the first: phonopy's choice of axes depends on the symmetry it finds. Magnetic moments are taken
    into account in the primitive cell.

    Parameters
    ----------
    atoms
        Unit cell.
    matrix
        (3, 3) supercell matrix with lattice vectors in rows (phonopy expects them in columns).
    primitive_matrix
        (3, 3) primitive matrix in phonopy's convention, or None.
    symprec
        Symmetry precision in Å.

    Raises
    ------
    PhonsmithError
        spglib cannot classify the symmetry of the moments in the supercell.
    """
    if primitive_matrix is None:
        primitive_matrix = "P" if _is_primitive(atoms) else _primitive_matrix(atoms, symprec)
    try:
        return _phonopy(atoms, matrix, primitive_matrix, symprec)
    except (AssertionError, SpglibError):
        if moments_of(atoms) is None:
            raise
        rows = np.asarray(matrix).tolist()
        raise PhonsmithError(
            f"{atoms.get_chemical_formula()}: spglib cannot classify the magnetic symmetry of the "
            f"supercell {rows}; choose a supercell that keeps the symmetry of the crystal, such as "
            "[2, 2, 2], in supercells.multiples"
        ) from None


def _phonopy(atoms: Atoms, matrix: Any, primitive_matrix: Any, symprec: float) -> Phonopy:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # phonopy 4 announces what "auto" found
        return Phonopy(
            to_phonopy(atoms),
            supercell_matrix=np.asarray(matrix).T,
            primitive_matrix=primitive_matrix,
            symprec=symprec,
        )


def _primitive_matrix(atoms: Atoms, symprec: float) -> Any:
    """The primitive cell that phonopy chooses; it does not offer to with magnetic moments."""
    if moments_of(atoms) is None:
        return "auto"
    by_kind = to_phonopy(atoms)
    by_kind = PhonopyAtoms(
        numbers=kinds_of(atoms), cell=by_kind.cell, scaled_positions=by_kind.scaled_positions
    )
    return guess_primitive_matrix(by_kind, symprec)


def _is_primitive(atoms: Atoms) -> bool:
    return len(set(symmetry_dataset(atoms, SYMPREC).mapping_to_primitive)) == len(atoms)


# --- size and shape --------------------------------------------------------------------------


def matrix_of(structure: str, atoms: Atoms, settings: Supercells) -> Integers:
    """Return the supercell matrix of a crystal.

    Parameters
    ----------
    structure
        Id of the structure.
    atoms
        Unit cell.
    settings
        Supercell settings; ``multiples`` and ``grid`` override the choice of
        :func:`supercell_matrix`.

    Returns
    -------
    (3, 3) integers, lattice vectors in rows. Of a grid, the supercell of all its wave vectors.

    Raises
    ------
    PhonsmithError
        No supercell is within the limits, or that of the grid has no whole unit cells.
    """
    if settings.grid is not None:
        phonon = make_phonopy(atoms, np.eye(3, dtype=int))
        matrix = grid_matrix(phonon.primitive.cell, settings.grid)
        return in_units_of(matrix, phonon.primitive_matrix)
    if structure in settings.multiples:
        given = np.array(settings.multiples[structure], dtype=np.int64)
        return given if given.ndim == 2 else np.diag(given)
    return supercell_matrix(atoms, settings)


def supercell_matrix(atoms: Atoms, settings: Supercells) -> Integers:
    """Return the supercell of a crystal within the limits of size: integers, (3, 3), rows.

    No two periodic images are closer than ``min_length_angstrom``, and the number of atoms is
    within its limits. Of all such supercells those that keep every point-group operation of the
    crystal are preferred, since others need more displaced cells; then the nearest to a cube;
    among the about equally cubic the one with fewest atoms.

    Raises
    ------
    PhonsmithError
        There is none.
    """
    symmetry = symmetry_dataset(atoms, SYMPREC)
    rotations = np.unique(symmetry.rotations, axis=0)
    n = len(atoms)
    allowed = settings.numbers_of_cells(n)
    least, most = allowed.start, allowed.stop - 1
    lattice = np.array(atoms.cell[:])
    matrix = choose_supercell(lattice, rotations, settings.min_length_angstrom, least, most)
    if matrix is not None:
        return matrix
    name = atoms.get_chemical_formula()
    if not allowed:
        raise PhonsmithError(
            f"{name}: no multiple of {n} atoms lies between min_atoms {settings.min_atoms} and "
            f"max_atoms {settings.max_atoms}; "
            f"{_smaller_cell(n, len(set(symmetry.mapping_to_primitive)))}"
            f"set supercells.max_atoms to {least * n} or more"
        )
    length = settings.min_length_angstrom
    smallest = _smallest_supercell(lattice, rotations, length, most + 1) * n
    raise PhonsmithError(
        f"{name}: no supercell of at most {settings.max_atoms} atoms has its periodic images "
        f"{length:g} Å apart; set supercells.max_atoms to {smallest} or more, or lower "
        "supercells.min_length_angstrom"
    )


def _smaller_cell(atoms: int, primitive: int) -> str:
    """Advise a smaller cell of a crystal that is given as several primitive cells."""
    if atoms == primitive:
        return ""
    return (
        f"the crystal is given as {atoms // primitive} primitive cells of {primitive} atoms; give "
        "a smaller cell, or "
    )


def _smallest_supercell(lattice: Floats, rotations: Any, length: float, above: int) -> int:
    """Number of cells of the smallest supercell, or a lower bound where that is out of reach."""
    index = max(above, smallest_index(lattice, length))
    while index < _OUT_OF_REACH:
        limit = math.ceil(1.25 * index)
        found = choose_supercell(lattice, rotations, length, index, limit, fewest=True)
        if found is not None:
            return round(float(np.linalg.det(found)))
        index = limit + 1
    return index


# --- displaced cells -------------------------------------------------------------------------


def displaced_cells(phonon: Phonopy, settings: Displaced) -> list[Atoms]:
    """Return the symmetry-inequivalent cells with one displaced atom, in phonopy's order.

    The displacements are left in ``phonon``, ready to take the forces.
    """
    signs: dict[str, Any] = {"auto": "auto", "always": True, "never": False}
    phonon.generate_displacements(
        distance=settings.distance_angstrom, is_plusminus=signs[settings.plus_minus]
    )
    return [to_ase(cell) for cell in phonon.supercells_with_displacements or []]


# --- rattled cells ---------------------------------------------------------------------------


def rattled_cells(
    atoms: Atoms, matrix: Any, settings: Rattled, seeds: Sequence[int], first_index: int = 0
) -> list[Atoms]:
    """Create strained supercells with displaced atoms, one per seed.

    Cell k (from 0) takes the volume factor number ``first_index + k`` modulo their count. Every
    cell is strained from the unstrained supercell, never from the cell before it, and has random
    numbers of its own.

    Parameters
    ----------
    atoms
        Unit cell; magnetic moments are passed on to the supercells.
    matrix
        (3, 3) supercell matrix, lattice vectors in rows.
    settings
        Volume factors, angle strain (degrees), standard deviation and minimum distance (Å).
    seeds
        One seed per cell.
    first_index
        Number of the first cell in the sequence of volume factors.

    Raises
    ------
    PhonsmithError
        The minimum distance cannot be kept: the standard deviation is too large for it.
    """
    ideal = make_supercell(atoms, np.asarray(matrix), wrap=False)
    ideal = Atoms(
        ideal.numbers,
        positions=ideal.positions,
        cell=ideal.cell[:],
        magmoms=moments_of(ideal),
        pbc=True,
    )
    cells = []
    for k, seed in enumerate(seeds):
        random = np.random.default_rng(seed)
        factor = settings.volume_factors[(first_index + k) % len(settings.volume_factors)]
        strained = ideal.copy()
        strained.set_cell(
            strained_lattice(ideal.cell[:], factor, settings.max_angle_strain_degree, random),
            scale_atoms=True,
        )
        cells.append(_rattled(strained, settings, random))
    return cells


def strained_lattice(
    lattice: Floats, factor: float, max_angle: float, random: np.random.Generator
) -> Floats:
    """Scale the volume of a lattice and change its angles at random.

    Ratios of the lengths and orientation are kept: the first vector keeps its
    direction and the second its plane with the first (Cholesky factors of the metric tensors).

    Parameters
    ----------
    lattice
        (3, 3) lattice vectors in rows, in Å.
    factor
        Volume of the result divided by the volume of ``lattice``.
    max_angle
        Largest change of each angle in degrees.
    random
        Random number generator.

    Returns
    -------
    (3, 3) lattice vectors in rows, in Å.

    Raises
    ------
    PhonsmithError
        Repeated random changes of the angles leave no volume.
    """
    metric = lattice @ lattice.T
    lengths = np.sqrt(np.diag(metric))
    old = np.linalg.cholesky(metric)
    rotation = np.linalg.solve(old, lattice)
    pairs = ((1, 2), (0, 2), (0, 1))
    angles = [math.acos(metric[i, j] / (lengths[i] * lengths[j])) for i, j in pairs]
    for _ in range(_TRIES):
        changed = np.outer(lengths, lengths)
        for (i, j), angle in zip(pairs, angles, strict=True):
            new = angle + math.radians(random.uniform(-max_angle, max_angle))
            changed[i, j] = changed[j, i] = lengths[i] * lengths[j] * math.cos(new)
        if np.linalg.eigvalsh(changed)[0] > 1e-6 * metric.trace():
            break
    else:
        raise PhonsmithError(
            f"rattled.max_angle_strain_degree: {max_angle:g}° may reduce this cell to zero volume; "
            "lower it"
        )
    strained = np.linalg.cholesky(changed) @ rotation
    scale = factor * abs(np.linalg.det(lattice)) / abs(np.linalg.det(strained))
    return np.asarray(scale ** (1 / 3) * strained)


def _rattled(strained: Atoms, settings: Rattled, random: np.random.Generator) -> Atoms:
    closest = shortest_distance(strained)
    limit = settings.min_distance_fraction * closest
    draw = _gaussian if settings.method == "gaussian" else _monte_carlo
    rattled = draw(strained, settings.std_angstrom, limit, random)
    if rattled is None:
        raise PhonsmithError(
            f"{strained.get_chemical_formula()}: no {settings.method} rattle of standard deviation "
            f"{settings.std_angstrom:g} Å keeps atoms {limit:.3f} Å apart after {_TRIES} tries; "
            "lower rattled.std_angstrom or rattled.min_distance_fraction"
            + (", or use rattled.method monte-carlo" if settings.method == "gaussian" else "")
        )
    return rattled


def shortest_distance(atoms: Atoms) -> float:
    """Shortest distance (Å) between two atoms, periodic images included."""
    cutoff = 1.5 * (atoms.get_volume() / len(atoms)) ** (1 / 3)
    while True:
        distances = neighbor_list("d", atoms, cutoff)
        if len(distances):
            return float(distances.min())
        cutoff *= 1.5


def _gaussian(ideal: Atoms, std: float, limit: float, random: np.random.Generator) -> Atoms | None:
    """Move all atoms at once; repeat the move of all if two come too close."""
    for _ in range(_TRIES):
        moved = ideal.copy()
        moved.positions += random.normal(scale=std, size=(len(ideal), 3))
        if len(neighbor_list("d", moved, limit)) == 0:
            return moved
    return None


def _monte_carlo(
    ideal: Atoms, std: float, limit: float, random: np.random.Generator
) -> Atoms | None:
    """Atoms moved one by one in random order; moves that bring it too close are refused."""
    reach = limit + 2 * math.sqrt(3) * _LARGEST_MOVE * std
    first, second, shift = neighbor_list("ijD", ideal, reach)
    start = np.searchsorted(first, np.arange(len(ideal) + 1))
    moves = np.zeros((len(ideal), 3))
    for i in random.permutation(len(ideal)):
        near = slice(start[i], start[i + 1])
        others = second[near] != i  # its own images move along with it
        ideal_vectors, neighbours = shift[near][others], second[near][others]
        for _ in range(_TRIES):
            move = random.normal(scale=std, size=3)
            vectors = ideal_vectors + moves[neighbours] - move
            if (
                np.abs(move).max() <= _LARGEST_MOVE * std
                and (np.linalg.norm(vectors, axis=1) >= limit).all()
            ):
                moves[i] = move
                break
        else:
            return None
    moved = ideal.copy()
    moved.positions += moves
    return moved
