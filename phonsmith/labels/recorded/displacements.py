"""What labelled cells are of a crystal: supercells with one displaced atom, rattled ones, others.

Files of VASP and extxyz hold cells and forces, but neither the crystal nor its displacements; their
atoms may have any order and origin. Here every cell is laid over the crystal, which comes from a
separate file in this orientation:

displaced
    Lattice an integer multiple of the crystal's to within :data:`LATTICE_TOLERANCE`; one atom moved
    by :data:`MOVE` Å and all others on their sites to within :data:`SITE_TOLERANCE` of that move.
rattled
    A supercell strained by up to :data:`LARGEST_STRAIN`, each atom near a site of its own.
recorded
    Anything else, undistorted cells included.

Isolated atoms stay what they are.
"""

import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from phonopy import Phonopy

from phonsmith.files.errors import DataWarning, PhonsmithError
from phonsmith.files.extxyz import FORCES
from phonsmith.structures.reading import read_structure
from phonsmith.structures.symmetry import symmetrized
from phonsmith.supercells.cells import make_phonopy, to_ase
from phonsmith.supercells.coverage import coverage

MOVE = (1e-3, 0.2)
"""Å. Shortest and longest displacement of the one atom."""
SITE_TOLERANCE = 0.02
"""Largest distance of the other atoms from their sites, relative to the displacement."""
ROUNDING = 2e-5
"""Å. Files round positions to this, so that sites are never asked for more closely."""
LATTICE_TOLERANCE = 1e-4
"""Largest strain of a cell with a displaced atom."""
LARGEST_STRAIN = 0.1
"""Largest strain of a rattled cell."""
LARGEST_MOVE = 0.5
"""Å. Largest move of an atom in a rattled cell."""
CRYSTAL_TOLERANCE = 2e-4
"""Å. The crystal gets the exact symmetry that it has to within this: files round its positions."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def crystal_of(path: str | Path) -> Atoms:
    """Return the crystal of recorded cells from its file, made exactly symmetric.

    Raises
    ------
    PhonsmithError
        As :func:`phonsmith.structures.reading.read_structure`.
    """
    crystal = read_structure(path)
    try:
        return symmetrized(crystal, CRYSTAL_TOLERANCE)
    except PhonsmithError:
        return crystal  # symmetric only nearly; phonopy takes the symmetry that is exact


def arranged(frames: Sequence[Atoms], crystal: Atoms) -> tuple[list[Atoms], Phonopy]:
    """Sort labelled cells into kinds and find the displacements that determine phonons.

    Frames of the displacement set have the geometry and the order of atoms of phonopy's displaced
    supercells; other frames are unchanged. The set is taken from the largest supercell whose
    displacements suffice; if none suffices, from the largest, and
    :func:`phonsmith.phonons.force_constants.reference_phonons` reports what is missing.

    Parameters
    ----------
    frames
        Labelled cells in any order. A stated kind counts only for isolated atoms and rattled cells.
    crystal
        Unit cell, at the volume and in the orientation of the data.

    Returns
    -------
    The frames, beginning with the displacement set, which is numbered in this order (``index``),
    and phonopy with that set as its data set (``first_atoms``, with forces). Without any displaced
    cell phonopy has no data set.
    """
    placed = [None if _is_isolated(frame) else _place(frame, crystal) for frame in frames]
    kinds = [_kind(frame, one) for frame, one in zip(frames, placed, strict=True)]
    _tell(frames, kinds, placed, crystal)
    supercells: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for number, (kind, one) in enumerate(zip(kinds, placed, strict=True)):
        if one is not None and kind == "displaced":
            supercells[tuple(one.matrix.ravel())].append(number)
    others = [frame.copy() for frame in frames]
    for frame, kind in zip(others, kinds, strict=True):
        frame.info["kind"] = kind
    sets = [
        _displacement_set([(n, others[n], one) for n in members if (one := placed[n])], crystal)
        for members in supercells.values()
    ]
    if not sets:
        matrix = next((one.matrix for one in placed if one is not None), np.eye(3, dtype=int))
        return numbered(others), make_phonopy(crystal, matrix)
    best = max(sets, key=lambda one: (not coverage(one.phonon).missing, len(one.phonon.supercell)))
    used = set(best.members)
    return numbered(best.frames + [f for n, f in enumerate(others) if n not in used]), best.phonon


def numbered(frames: list[Atoms]) -> list[Atoms]:
    """Return the frames, with their places as ``info["index"]``, by which labels are found."""
    for index, frame in enumerate(frames):
        frame.info["index"] = index
    return frames


def _is_isolated(frame: Atoms) -> bool:
    return bool(frame.info.get("kind") == "isolated_atom")


# --- a cell over the crystal ----------------------------------------------------------------------


@dataclass(frozen=True)
class _Placed:
    """A cell over the crystal: one atom of the cell for every site of the strained supercell.

    ``matrix`` has the supercell's lattice vectors in rows. ``sites`` (atoms, 4) are, for each atom
    of the cell, an atom of the crystal and the lattice translation (reduced to the supercell);
    ``moves`` (atoms, 3) are in Å and have the median zero in each component.
    """

    matrix: Integers
    strain: float
    sites: Integers
    moves: Floats

    @property
    def lengths(self) -> Floats:
        return np.asarray(np.linalg.norm(self.moves, axis=1))

    @property
    def moved(self) -> int:
        """The atom that moved most."""
        return int(np.argmax(self.lengths))

    @property
    def one_moved(self) -> bool:
        """Whether one atom is displaced and the others are on their sites."""
        *others, largest = np.sort(self.lengths)
        on_sites = max(others, default=0.0) <= max(SITE_TOLERANCE * largest, ROUNDING)
        return bool(MOVE[0] <= largest <= MOVE[1] and on_sites)


def _kind(frame: Atoms, placed: _Placed | None) -> str:
    if _is_isolated(frame):
        return "isolated_atom"
    if placed is not None and placed.one_moved and placed.strain <= LATTICE_TOLERANCE:
        return "displaced"
    if frame.info.get("kind") == "rattled":
        return "rattled"
    rattled = placed is not None and placed.lengths.max() >= MOVE[0]
    return "rattled" if rattled else "recorded"


def _place(frame: Atoms, crystal: Atoms) -> _Placed | None:
    """The cell over the crystal, or None where it is no strained supercell of it."""
    if frame.cell.rank < 3:
        return None
    matrix = np.rint(frame.cell[:] @ np.linalg.inv(crystal.cell[:])).astype(np.int64)
    count = round(float(np.linalg.det(matrix)))
    numbers = np.repeat(crystal.numbers, max(count, 0))
    if not np.array_equal(np.sort(numbers), np.sort(frame.numbers)):
        return None
    gradient = np.linalg.solve(matrix @ crystal.cell[:], frame.cell[:])
    strain = float(np.abs(gradient - np.eye(3)).max())
    if strain > LARGEST_STRAIN:
        return None
    # in units of the crystal's lattice vectors, which are strained along with the cell
    points = frame.get_scaled_positions(wrap=False) @ matrix
    lattice = np.linalg.solve(matrix, frame.cell[:])
    best = None
    for origin in _origins(points, frame.numbers, crystal):
        sites, moves = _nearest_sites(points - origin, frame.numbers, crystal, matrix, lattice)
        one = _Placed(matrix, strain, sites, moves)
        if len(np.unique(sites, axis=0)) < len(frame) or one.lengths.max() > LARGEST_MOVE:
            continue
        if one.one_moved:
            return one
        if best is None or np.square(moves).sum() < np.square(best.moves).sum():
            best = one
    return best


def _origins(points: Floats, numbers: Integers, crystal: Atoms) -> Iterator[Floats]:
    """Origins that put the cell over the crystal: none, or one atom of it on each like site.

    Of the two atoms that are tried one at most is the displaced one.
    """
    yield np.zeros(3)
    for atom in (0, len(points) - 1):
        for site in np.flatnonzero(crystal.numbers == numbers[atom]):
            yield points[atom] - crystal.get_scaled_positions()[site]


def _nearest_sites(
    points: Floats, numbers: Integers, crystal: Atoms, matrix: Integers, lattice: Floats
) -> tuple[Integers, Floats]:
    """``sites`` and ``moves`` of :class:`_Placed`; ``lattice`` is the strained unit cell's."""
    atoms = np.arange(len(points))
    sites = crystal.get_scaled_positions()
    unlike = numbers[:, None] != crystal.numbers
    for _ in range(2):  # the first time finds the origin, which the second makes use of
        difference = points[:, None] - sites
        cells = np.rint(difference)
        moves = (difference - cells) @ lattice
        nearest = np.where(unlike, np.inf, np.linalg.norm(moves, axis=2)).argmin(axis=1)
        common = np.median(moves[atoms, nearest], axis=0)
        points = points - np.linalg.solve(lattice.T, common)
    inside = np.linalg.solve(matrix.T, cells[atoms, nearest].T).T
    inside -= np.floor(inside + 1e-6)
    reduced = np.rint(inside @ matrix).astype(np.int64)
    return np.column_stack([nearest, reduced]), moves[atoms, nearest] - common


# --- displacement sets ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Set:
    """Cells of one supercell in phonopy's words; ``members`` are their numbers in the record."""

    phonon: Phonopy
    frames: list[Atoms]
    members: list[int]


def _displacement_set(members: list[tuple[int, Atoms, _Placed]], crystal: Atoms) -> _Set:
    phonon = make_phonopy(crystal, members[0][2].matrix)
    ideal = _place(to_ase(phonon.supercell), crystal)
    assert ideal is not None
    number_of = {tuple(site): number for number, site in enumerate(ideal.sites)}
    first: list[dict[str, Any]] = []
    for _, frame, one in members:
        order = np.array([number_of[tuple(site)] for site in one.sites])
        order = _translation(phonon, int(order[one.moved]))[order]
        forces = np.empty_like(frame.arrays[FORCES])
        forces[order] = frame.arrays[FORCES]
        number, displacement = int(order[one.moved]), one.moves[one.moved]
        first.append({"number": number, "displacement": displacement, "forces": forces})
    natom = len(phonon.supercell)
    phonon.dataset = {"natom": natom, "first_atoms": first}
    needless = coverage(phonon).needless
    kept = [k for k, one in enumerate(first) if one["number"] not in needless]
    phonon.dataset = {"natom": natom, "first_atoms": [first[k] for k in kept]}
    frames = []
    for k, cell in zip(kept, phonon.supercells_with_displacements, strict=True):
        frame = to_ase(cell)
        frame.info = dict(members[k][1].info)
        frame.arrays[FORCES] = first[k]["forces"]
        frames.append(frame)
    return _Set(phonon, frames, [members[k][0] for k in kept])


def _translation(phonon: Phonopy, atom: int) -> Integers:
    """The permutation by a lattice translation that takes an atom into phonopy's primitive cell.

    phonopy looks for displaced atoms there alone.
    """
    permutations = np.asarray(phonon.primitive.atomic_permutations)
    at_home = np.isin(permutations[:, atom], phonon.primitive.p2s_map)
    return np.asarray(permutations[np.flatnonzero(at_home)[0]], dtype=np.int64)


def _tell(
    frames: Sequence[Atoms], kinds: Sequence[str], placed: Sequence[_Placed | None], crystal: Atoms
) -> None:
    """Into the log: what was found, and what nearly was a displaced cell."""
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(kinds).items()))
    print(f"{len(kinds)} cells: {counts}", flush=True)
    turned = [not _is_isolated(frame) and _is_turned(frame, crystal) for frame in frames]
    strained = [
        one.strain
        for kind, one, other in zip(kinds, placed, turned, strict=True)
        if kind != "displaced" and not other and one is not None and one.one_moved
    ]
    if strained:
        warnings.warn(
            f"{len(strained)} cells have one displaced atom, but a lattice strained by "
            f"{100 * min(strained):.3g} % or more: the crystal file is not at their volume, and "
            "they give no phonons.",
            DataWarning,
            stacklevel=2,
        )
    if any(turned):
        print(
            f"{sum(turned)} cells have the lengths and angles of the crystal, in another "
            "orientation: rotate the crystal file to match them",
            flush=True,
        )


def _is_turned(frame: Atoms, crystal: Atoms) -> bool:
    """Whether a cell is a multiple of the crystal's, rotated."""
    lengths = frame.cell.lengths() / crystal.cell.lengths()
    multiples = np.rint(lengths)
    if not multiples.all() or np.abs(lengths / multiples - 1).max() > LATTICE_TOLERANCE:
        return False
    if np.abs(frame.cell.angles() - crystal.cell.angles()).max() > 0.1:
        return False
    unrotated = multiples[:, None] * crystal.cell[:]
    away = np.abs(frame.cell[:] - unrotated).max()
    return bool(away > 10 * LATTICE_TOLERANCE * np.abs(unrotated).max())
