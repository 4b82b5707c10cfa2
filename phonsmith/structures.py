"""Crystals: reading, checking, and their symmetry."""

import bz2
import gzip
import lzma
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.geometry import minkowski_reduce
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from phonsmith.crystals.cif.crystal import read_cif
from phonsmith.crystals.extended_xyz import read_extxyz
from phonsmith.crystals.poscar import read_poscar
from phonsmith.errors import PhonsmithError

SHORTEST_DISTANCE = 0.5
"""Å. Atoms closer than this stand on top of each other: no bond is that short (H2: 0.74 Å)."""

VOLUMES_PER_ATOM = (0.5, 5000.0)
"""Å³ per atom. Hydrogen at 500 GPa has 1; a molecule in a box of 20 Å some thousand."""

VACUUM = 7.0
"""Å between planes of atoms. Layers of graphite are 3.4 Å apart, large ions at most 6 Å."""

MASS_SYMPREC = 1e-2
"""Å. Tolerance of the symmetry that masses have to follow."""

MOST_ATOMS = 10_000
MOST_BYTES = 20_000_000
"""Of a crystal file; CIFs with reflections have a few million."""

_FORMATS = {
    ".vasp": "vasp",
    ".poscar": "vasp",
    ".cif": "cif",
    ".extxyz": "extxyz",
    ".xyz": "extxyz",
}
_OPENERS: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


# --- reading ---------------------------------------------------------------------------------


def read_structure(
    path: str | Path, moments: Sequence[float] | Literal["file"] | None = None
) -> Atoms:
    """One crystal from a POSCAR, CIF or extxyz file.

    What comes back holds elements, positions and cell only, and masses where the file names
    isotopes (D) or has a column of them: periodic in all directions, without calculator,
    constraints or leftovers of the file. Magnetic moments come from ``moments``: in Bohr magnetons
    for each atom in the order of the file, "file" for those in an extxyz file, or none.

    Raises
    ------
    PhonsmithError
        The file is missing, empty, unreadable, holds several or partly occupied crystals, the
        crystal fails :func:`check_structure`, or the moments fail :func:`own_moments`.
    """
    path = Path(path)
    text = _text_of(path)
    form = _format(path)
    try:
        if form == "vasp":
            atoms = read_poscar(text, str(path))
        elif form == "cif":
            atoms = read_cif(text, str(path))
        else:
            atoms = read_extxyz(text, str(path))
    except PhonsmithError:
        raise
    except Exception as error:  # ASE and gemmi raise many kinds for broken files
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PhonsmithError(
            f"{path}: not a readable {form} file ({reason[:200]}); export the crystal again"
        ) from None
    check_structure(atoms, str(path))
    given = _moments_in_file(atoms, str(path)) if moments == "file" else moments
    atoms.arrays.pop(MOMENTS, None)
    if given is None:
        return plain(atoms)
    if form == "cif":
        raise PhonsmithError(
            f"{path}: magnetic moments need a file that lists every atom of the cell; the order of "
            "atoms in a CIF follows from its symmetry. Convert it to POSCAR or extxyz"
        )
    return own_moments(plain(atoms), given, str(path))


def _text_of(path: Path) -> str:
    """The text of a regular file of sensible size; a pipe or a device would never end."""
    if not path.is_file():
        instead = " but a folder" * path.is_dir() or " but a pipe or device" * path.exists()
        raise PhonsmithError(f"{path}: no such structure file{instead}")
    try:
        if path.stat().st_size == 0:
            raise PhonsmithError(f"{path}: the structure file is empty")
        with _OPENERS.get(path.suffix.lower(), Path.open)(path, "rb") as stream:
            content: bytes = stream.read(MOST_BYTES + 1)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise PhonsmithError(f"{path}: cannot be read ({reason}); get the file again") from None
    if len(content) > MOST_BYTES:
        raise PhonsmithError(
            f"{path}: more than {MOST_BYTES / 1e6:.0f} MB, too large for the file of one crystal; "
            "give its cell and atoms alone"
        )
    if b"\0" in content:
        raise PhonsmithError(f"{path}: is no text; give a POSCAR, CIF or extxyz file")
    return content.decode("utf-8", errors="replace")


def _format(path: Path) -> str:
    if path.suffix.lower() in _OPENERS:
        path = path.with_suffix("")
    if path.name.upper().startswith(("POSCAR", "CONTCAR", "SPOSCAR")):
        return "vasp"
    try:
        return _FORMATS[path.suffix.lower()]
    except KeyError:
        raise PhonsmithError(
            f"{path}: unknown kind of structure file; use POSCAR or {', '.join(_FORMATS)}"
        ) from None


def check_structure(atoms: Atoms, where: str) -> None:
    """Refuse what is no crystal; ``where`` (file or key) opens the message.

    Raises
    ------
    PhonsmithError
        No atoms or too many, numbers that are not finite, an unknown element, a cell without
        positive volume or of a volume that no crystal has, masses that symmetry forbids, or atoms
        (or their periodic images) closer than 0.5 Å.
    """
    if len(atoms) == 0:
        raise PhonsmithError(f"{where}: has no atoms")
    if len(atoms) > MOST_ATOMS:
        raise PhonsmithError(
            f"{where}: {len(atoms)} atoms, more than phonons are computed for; give the primitive "
            "cell"
        )
    if not (np.isfinite(atoms.cell[:]).all() and np.isfinite(atoms.positions).all()):
        raise PhonsmithError(f"{where}: cell or positions hold NaN or infinite numbers")
    if (atoms.numbers < 1).any():
        position = int(np.flatnonzero(atoms.numbers < 1)[0])
        raise PhonsmithError(f"{where}: atom {position} has no known element")
    _check_cell(atoms, where)
    _check_distances(atoms, where)
    check_masses(atoms, where)


def _check_cell(atoms: Atoms, where: str) -> None:
    longest = float(atoms.cell.lengths().max())
    if longest > 1e4:
        raise PhonsmithError(
            f"{where}: a lattice vector of {longest:.3g} Å; lengths have to be in Å"
        )
    volume = float(np.linalg.det(atoms.cell[:]))
    if longest == 0 or abs(volume) < 1e-6 * longest**3:
        raise PhonsmithError(
            f"{where}: the cell has no volume ({volume:.3g} Å³); give three lattice vectors"
        )
    if volume < 0:
        raise PhonsmithError(
            f"{where}: the cell is left-handed (volume {volume:.3g} Å³); exchange two lattice "
            "vectors and the coordinates along them"
        )
    least, most = VOLUMES_PER_ATOM
    if not least <= volume / len(atoms) <= most:
        raise PhonsmithError(
            f"{where}: {volume / len(atoms):.3g} Å³ per atom, where crystals have {least:g} to "
            f"{most:g}; lengths have to be in Å: check units and scale factor"
        )
    if np.abs(atoms.cell.scaled_positions(atoms.positions)).max() > 1e4:
        raise PhonsmithError(
            f"{where}: an atom is more than 10000 cells away from the first; check its coordinates"
        )


def _check_distances(atoms: Atoms, where: str) -> None:
    cell = minkowski_reduce(atoms.cell)[0]
    lengths = np.linalg.norm(cell, axis=1)
    if lengths.min() < SHORTEST_DISTANCE:  # before any neighbour list, which would not end
        raise PhonsmithError(
            f"{where}: every atom and its own periodic image are {lengths.min():.3f} Å apart; at "
            f"least {SHORTEST_DISTANCE} Å is needed: check units and lattice vectors"
        )
    reduced = Atoms(atoms.numbers, positions=atoms.positions, cell=cell, pbc=True)
    first, second, distance = neighbor_list("ijd", reduced, SHORTEST_DISTANCE)
    if len(distance) == 0:
        return
    pair = int(np.argmin(distance))
    names = [f"{chemical_symbols[atoms.numbers[i]]}{i}" for i in (first[pair], second[pair])]
    raise PhonsmithError(
        f"{where}: atoms {names[0]} and {names[1]} (counted from 0) are {distance[pair]:.3f} Å "
        f"apart; at least {SHORTEST_DISTANCE} Å is needed"
    )


def check_masses(atoms: Atoms, where: str) -> None:
    """Refuse masses that differ between atoms which the symmetry of the crystal relates.

    phonopy finds symmetry from elements alone, and would weight wave vectors wrongly.

    Raises
    ------
    PhonsmithError
        Such masses, or numbers that are no masses.
    """
    if not atoms.has("masses"):
        return
    masses = atoms.get_masses()
    if not (np.isfinite(masses).all() and (masses > 0).all() and (masses < 500).all()):
        raise PhonsmithError(f"{where}: masses have to lie between 0 and 500 u")
    kinds = symmetry_dataset(atoms, MASS_SYMPREC).equivalent_atoms
    for atom, kind in enumerate(kinds):
        if abs(masses[atom] - masses[kind]) > 1e-6:
            raise PhonsmithError(
                f"{where}: atoms {kind} and {atom} (counted from 0) are equivalent by symmetry and "
                f"have masses of {masses[kind]:g} and {masses[atom]:g} u; give equivalent atoms "
                "one mass, or their mean for a mixture of isotopes"
            )


def own_masses(atoms: Atoms, masses: Mapping[str, float] | Sequence[float], where: str) -> Atoms:
    """A copy with other masses (u): by element, or one for each atom.

    Raises
    ------
    PhonsmithError
        An element that the crystal has not, another number of atoms, or :func:`check_masses`.
    """
    if isinstance(masses, Mapping):
        if unknown := sorted({*masses} - {*atoms.symbols}):
            raise PhonsmithError(
                f"{where}: there is no {', '.join(unknown)} in {atoms.get_chemical_formula()}; "
                "masses are named by the elements of the crystal"
            )
        new = [masses.get(s, m) for s, m in zip(atoms.symbols, atoms.get_masses(), strict=True)]
    elif len(masses) != len(atoms):
        raise PhonsmithError(
            f"{where}: {len(masses)} masses for {len(atoms)} atoms; give one for each atom of the "
            "crystal, or masses by element such as {H: 2.014}"
        )
    else:
        new = list(masses)
    copy = atoms.copy()
    copy.set_masses(new)
    check_masses(copy, where)
    return copy


# --- magnetic moments ------------------------------------------------------------------------


MOMENTS = "initial_magmoms"
"""ASE's array of the starting magnetic moments (Bohr magnetons), a column of extxyz files."""


def moments_of(atoms: Atoms) -> NDArray[np.float64] | None:
    """Collinear magnetic moments of the atoms (Bohr magnetons); None where all are zero.

    Vectors, as recorded calculations may have them, are none.
    """
    moments = np.asarray(atoms.get_initial_magnetic_moments(), dtype=float)
    return moments if moments.ndim == 1 and moments.any() else None


def own_moments(atoms: Atoms, moments: Sequence[float], where: str) -> Atoms:
    """A copy with starting magnetic moments, in Bohr magnetons for each atom.

    Raises
    ------
    PhonsmithError
        Not one number for each atom, or all are zero.
    """
    given = np.asarray(moments, dtype=float)
    if given.shape != (len(atoms),):
        found = f"{len(given)} numbers" if given.ndim == 1 else "vectors (non-collinear moments)"
        raise PhonsmithError(
            f"{where}: magnetic moments are {found} for {len(atoms)} atoms "
            f"({atoms.symbols}); give one number for each atom, in the order of the file"
        )
    if not (np.isfinite(given).all() and given.any()):
        raise PhonsmithError(
            f"{where}: magnetic moments are all zero or not finite; leave them out, or give "
            "Bohr magnetons with a sign, e.g. [2, -2, 0, 0]"
        )
    copy = atoms.copy()
    copy.set_initial_magnetic_moments(given)
    return copy


def _moments_in_file(atoms: Atoms, where: str) -> Any:
    """Moments of an extxyz file: initial ones, or those that a calculation ended with."""
    if MOMENTS in atoms.arrays:
        return atoms.arrays[MOMENTS]
    found = getattr(atoms.calc, "results", {}).get("magmoms")
    if found is None:
        raise PhonsmithError(
            f"{where}: holds no magnetic moments (an extxyz file has them as a column "
            f"{MOMENTS} or magmoms); list them in magnetic_moments_bohr"
        )
    return found


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


# --- vacuum ----------------------------------------------------------------------------------


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
    """What a reader has to know of a slab, chain or molecule that is treated as a bulk crystal."""
    found = vacuum_thicknesses(atoms)
    if not found:
        return ""
    kind = ("a slab or layer", "a chain", "a molecule")[len(found) - 1]
    thickness = " and ".join(f"{gap:.1f}" for gap in sorted(found))
    return (
        f"The cell has {thickness} Å of empty space, as of {kind}, and is treated as a bulk "
        "crystal: volume, stress, elastic constants, thermal expansion and conductivity count the "
        "empty space, and relaxation may close it. Give the bulk crystal, or hold the cell "
        "(relaxation.reference: false) and use frequencies alone."
    )


# --- symmetry --------------------------------------------------------------------------------


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
        spglib finds no symmetry at all, not even the identity (atoms too close).
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
    """Number and Hermann–Mauguin symbol of the space group; ``symprec`` in Å."""
    dataset = symmetry_dataset(atoms, symprec)
    return int(dataset.number), str(dataset.international)


def symmetrized(atoms: Atoms, symprec: float) -> Atoms:
    """The crystal with cell and positions moved to the exact symmetry found at ``symprec`` (Å).

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


def at_volume(atoms: Atoms, volume: float) -> Atoms:
    """The crystal scaled to a volume of its cell (Å³), its shape and fractions kept."""
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
