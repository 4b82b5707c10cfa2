"""Crystals from files: read, and checked."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.geometry import minkowski_reduce
from ase.neighborlist import neighbor_list

from phonsmith.files.errors import PhonsmithError
from phonsmith.structures.cif.crystal import read_cif
from phonsmith.structures.extended_xyz import read_extxyz
from phonsmith.structures.poscar import read_poscar
from phonsmith.structures.sites import MOMENTS, own_moments, plain
from phonsmith.structures.symmetry import check_masses

SHORTEST_DISTANCE = 0.5
"""Å. Closer atoms overlap: no bond is that short (H2: 0.74 Å)."""

VOLUMES_PER_ATOM = (0.5, 5000.0)
"""Å³ per atom. Hydrogen at 500 GPa has 1; a molecule in a box of 20 Å some thousand."""

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


def read_structure(
    path: str | Path, moments: Sequence[float] | Literal["file"] | None = None
) -> Atoms:
    """Read one crystal from a POSCAR, CIF or extxyz file.

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
            f"{path}: magnetic moments require a file that lists every atom of the cell, which a "
            "CIF does not; convert it to POSCAR or extxyz"
        )
    return own_moments(plain(atoms), given, str(path))


def _text_of(path: Path) -> str:
    """The text of a regular file of sensible size; a pipe or a device would never end."""
    if not path.is_file():
        instead = " but a folder" * path.is_dir() or " (a pipe or device)" * path.exists()
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
            f"{path}: more than {MOST_BYTES / 1e6:.0f} MB, too large for one crystal; give a file "
            "with its cell and atoms only"
        )
    if b"\0" in content:
        raise PhonsmithError(f"{path}: not a text file; give a POSCAR, CIF or extxyz file")
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
            f"{path}: unknown format of structure file; use POSCAR or {', '.join(_FORMATS)}"
        ) from None


def check_structure(atoms: Atoms, where: str) -> None:
    """Refuse atoms that are not a crystal; ``where`` (file or key) opens the message.

    Raises
    ------
    PhonsmithError
        No atoms or too many, numbers that are not finite, an unknown element, a cell without
        positive volume or of an unphysical volume, masses that symmetry forbids, or atoms
        (or their periodic images) closer than 0.5 Å.
    """
    if len(atoms) == 0:
        raise PhonsmithError(f"{where}: has no atoms")
    if len(atoms) > MOST_ATOMS:
        raise PhonsmithError(
            f"{where}: {len(atoms)} atoms, too many for phonons; give the primitive cell"
        )
    if not (np.isfinite(atoms.cell[:]).all() and np.isfinite(atoms.positions).all()):
        raise PhonsmithError(f"{where}: cell or positions contain NaN or infinite numbers")
    if (atoms.numbers < 1).any():
        position = int(np.flatnonzero(atoms.numbers < 1)[0])
        raise PhonsmithError(f"{where}: atom {position} has no known element")
    _check_cell(atoms, where)
    _check_distances(atoms, where)
    check_masses(atoms, where)


def _check_cell(atoms: Atoms, where: str) -> None:
    longest = float(atoms.cell.lengths().max())
    if longest > 1e4:
        raise PhonsmithError(f"{where}: a lattice vector of {longest:.3g} Å; lengths must be in Å")
    volume = float(np.linalg.det(atoms.cell[:]))
    if longest == 0 or abs(volume) < 1e-6 * longest**3:
        raise PhonsmithError(
            f"{where}: the cell has zero volume ({volume:.3g} Å³); give three lattice vectors"
        )
    if volume < 0:
        raise PhonsmithError(
            f"{where}: the cell is left-handed (volume {volume:.3g} Å³); exchange two lattice "
            "vectors and the coordinates along them"
        )
    least, most = VOLUMES_PER_ATOM
    if not least <= volume / len(atoms) <= most:
        raise PhonsmithError(
            f"{where}: {volume / len(atoms):.3g} Å³ per atom; crystals have {least:g} to {most:g}. "
            "Lengths must be in Å: check units and scale factor"
        )
    if np.abs(atoms.cell.scaled_positions(atoms.positions)).max() > 1e4:
        raise PhonsmithError(
            f"{where}: an atom is more than 10000 cells away from the first atom; check its "
            "coordinates"
        )


def _check_distances(atoms: Atoms, where: str) -> None:
    cell = minkowski_reduce(atoms.cell)[0]
    lengths = np.linalg.norm(cell, axis=1)
    if lengths.min() < SHORTEST_DISTANCE:  # before any neighbour list, which would not end
        raise PhonsmithError(
            f"{where}: atoms and their periodic images are {lengths.min():.3f} Å apart; at least "
            f"{SHORTEST_DISTANCE} Å is required: check units and lattice vectors"
        )
    reduced = Atoms(atoms.numbers, positions=atoms.positions, cell=cell, pbc=True)
    first, second, distance = neighbor_list("ijd", reduced, SHORTEST_DISTANCE)
    if len(distance) == 0:
        return
    pair = int(np.argmin(distance))
    names = [f"{chemical_symbols[atoms.numbers[i]]}{i}" for i in (first[pair], second[pair])]
    raise PhonsmithError(
        f"{where}: atoms {names[0]} and {names[1]} (counted from 0) are {distance[pair]:.3f} Å "
        f"apart; at least {SHORTEST_DISTANCE} Å is required"
    )


def _moments_in_file(atoms: Atoms, where: str) -> Any:
    """Moments of an extxyz file: initial ones, or those that a calculation ended with."""
    if MOMENTS in atoms.arrays:
        return atoms.arrays[MOMENTS]
    found = getattr(atoms.calc, "results", {}).get("magmoms")
    if found is None:
        raise PhonsmithError(
            f"{where}: no magnetic moments (in extxyz: column {MOMENTS} or magmoms); list them in "
            "magnetic_moments_bohr"
        )
    return found
