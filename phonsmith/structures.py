"""Crystals: reading, checking, and their symmetry."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.geometry import minkowski_reduce
from ase.io import read
from ase.neighborlist import neighbor_list

from phonsmith.errors import PhonsmithError

SHORTEST_DISTANCE = 0.5
"""Å. Atoms closer than this stand on top of each other: no bond is that short (H2: 0.74 Å)."""

_FORMATS = {
    ".vasp": "vasp",
    ".poscar": "vasp",
    ".cif": "cif",
    ".extxyz": "extxyz",
    ".xyz": "extxyz",
}


# --- reading ---------------------------------------------------------------------------------


def read_structure(path: str | Path) -> Atoms:
    """One crystal from a POSCAR, CIF or extxyz file.

    What comes back holds elements, positions and cell only: periodic in all directions, without
    calculator, constraints or leftovers of the file.

    Raises
    ------
    PhonsmithError
        The file is missing, empty, unreadable, holds several or partly occupied crystals, or the
        crystal fails :func:`check_structure`.
    """
    path = Path(path)
    if not path.is_file():
        raise PhonsmithError(f"{path}: no such structure file")
    if path.stat().st_size == 0:
        raise PhonsmithError(f"{path}: the structure file is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            frames = read(path, index=":", format=_format(path))
    except PhonsmithError:
        raise
    except Exception as error:  # ASE raises many kinds for broken files
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PhonsmithError(f"{path}: not a readable {_format(path)} file ({reason})") from None
    if len(frames) != 1:
        raise PhonsmithError(f"{path}: holds {len(frames)} crystals, has to hold exactly one")
    crystal = frames[0]
    if _format(path) == "vasp":
        _refuse_half_a_poscar(path, len(crystal))
    _refuse_partial_occupancy(crystal, str(path))
    atoms = Atoms(crystal.numbers, positions=crystal.positions, cell=crystal.cell[:], pbc=True)
    check_structure(atoms, str(path))
    return atoms


def _format(path: Path) -> str:
    if path.name.upper().startswith(("POSCAR", "CONTCAR")):
        return "vasp"
    try:
        return _FORMATS[path.suffix.lower()]
    except KeyError:
        raise PhonsmithError(
            f"{path}: unknown kind of structure file; use POSCAR or {', '.join(_FORMATS)}"
        ) from None


def _refuse_half_a_poscar(path: Path, atoms: int) -> None:
    """ASE takes a line of one number, where a file is cut off, for three of them."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    modes = [i for i, line in enumerate(lines) if i > 5 and line.strip()[:1] in tuple("dDcCkK")]
    for line in lines[modes[0] + 1 : modes[0] + 1 + atoms] if modes else []:
        if len(line.split()) < 3:
            raise PhonsmithError(
                f"{path}: cut off, has an atom without three coordinates; get the file again"
            )


def _refuse_partial_occupancy(crystal: Atoms, where: str) -> None:
    for site in crystal.info.get("occupancy", {}).values():
        if len(site) > 1 or any(abs(share - 1) > 1e-3 for share in site.values()):
            raise PhonsmithError(f"{where}: has partly occupied sites; give an ordered crystal")


def check_structure(atoms: Atoms, where: str) -> None:
    """Refuse what is no crystal; ``where`` (file or key) opens the message.

    Raises
    ------
    PhonsmithError
        No atoms, numbers that are not finite, an unknown element, a cell without positive volume,
        or atoms (or their periodic images) closer than 0.5 Å.
    """
    if len(atoms) == 0:
        raise PhonsmithError(f"{where}: has no atoms")
    if not (np.isfinite(atoms.cell[:]).all() and np.isfinite(atoms.positions).all()):
        raise PhonsmithError(f"{where}: cell or positions hold NaN or infinite numbers")
    if (atoms.numbers < 1).any():
        position = int(np.flatnonzero(atoms.numbers < 1)[0])
        raise PhonsmithError(f"{where}: atom {position} has no known element")
    _check_cell(atoms, where)
    _check_distances(atoms, where)


def _check_cell(atoms: Atoms, where: str) -> None:
    volume = float(np.linalg.det(atoms.cell[:]))
    longest = float(atoms.cell.lengths().max())
    if longest == 0 or abs(volume) < 1e-6 * longest**3:
        raise PhonsmithError(
            f"{where}: the cell has no volume ({volume:.3g} Å³); give three lattice vectors"
        )
    if volume < 0:
        raise PhonsmithError(
            f"{where}: the cell is left-handed (volume {volume:.3g} Å³); exchange two lattice "
            "vectors and the coordinates along them"
        )


def _check_distances(atoms: Atoms, where: str) -> None:
    reduced = Atoms(
        atoms.numbers, positions=atoms.positions, cell=minkowski_reduce(atoms.cell)[0], pbc=True
    )
    first, second, distance = neighbor_list("ijd", reduced, SHORTEST_DISTANCE)
    if len(distance) == 0:
        return
    pair = int(np.argmin(distance))
    names = [f"{chemical_symbols[atoms.numbers[i]]}{i}" for i in (first[pair], second[pair])]
    raise PhonsmithError(
        f"{where}: atoms {names[0]} and {names[1]} (counted from 0) are {distance[pair]:.3f} Å "
        f"apart; at least {SHORTEST_DISTANCE} Å is needed"
    )


# --- symmetry --------------------------------------------------------------------------------


def symmetry_dataset(atoms: Atoms, symprec: float) -> Any:
    """spglib's dataset of a crystal; ``symprec`` in Å.

    Raises
    ------
    PhonsmithError
        spglib finds no symmetry at all, not even the identity (atoms too close).
    """
    import spglib

    cell = (atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = spglib.get_symmetry_dataset(cell, symprec=symprec)
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
    from ase.spacegroup.symmetrize import IntermediateDatasetError, get_symmetrized_atoms

    before = space_group(atoms, symprec)
    failure = PhonsmithError(
        f"{atoms.get_chemical_formula()}: the space group {before[1]} found at symprec {symprec} Å "
        "cannot be made exact; lower symprec_angstrom"
    )
    try:
        refined, _ = get_symmetrized_atoms(plain(atoms), symprec=symprec, final_symprec=1e-5)
    except (IntermediateDatasetError, AssertionError):
        raise failure from None
    move = refined.positions - atoms.positions
    if (
        abs(refined.get_volume() / atoms.get_volume() - 1) > 1e-3
        or np.abs(refined.cell[:] - atoms.cell[:]).max() > 10 * symprec
        or np.abs(move).max() > 10 * symprec
    ):
        raise failure
    return Atoms(atoms.numbers, positions=refined.positions, cell=refined.cell[:], pbc=True)


def at_volume(atoms: Atoms, volume: float) -> Atoms:
    """The crystal scaled to a volume of its cell (Å³), its shape and fractions kept."""
    scaled = atoms.copy()
    scaled.set_cell(atoms.cell[:] * (volume / atoms.get_volume()) ** (1 / 3), scale_atoms=True)
    return scaled


def plain(atoms: Atoms) -> Atoms:
    """Elements, positions and cell alone, periodic in all directions."""
    return Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell[:], pbc=True)
