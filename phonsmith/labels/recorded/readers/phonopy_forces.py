"""Displacements and forces in the files of phonopy and phono3py."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from phonopy import Phonopy
from phonopy.file_IO import get_dataset_type2, parse_FORCE_SETS_from_strings
from phonopy.structure.atoms import PhonopyAtoms

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.phonopy_files import parsed
from phonsmith.files.reading_writing import COMPRESSED, read_bytes
from phonsmith.labels.checks import labelled

SAME_DISPLACEMENT = 1e-4
"""Å (or bohr). FORCE_SETS and YAML of one set of displacements agree to within this."""


def companion(path: Path, name: str) -> Path | None:
    """Find a file of this name in the folder of ``path``, compressed or not; None if absent."""
    names = (path.with_name(name + suffix) for suffix in ("", *COMPRESSED))
    return next((one for one in names if one.exists()), None)


def tell_of_born(path: Path, phonon: Phonopy) -> None:
    """Report a BORN file in the folder of ``path``, which phonopy would use by itself."""
    if phonon.nac_params is None and (born := companion(path, "BORN")):
        print(
            f"{born}: is used for the non-analytical correction only if `born` of the structure "
            "names it",
            flush=True,
        )


def crystal_of_cell(cell: PhonopyAtoms) -> Atoms:
    """Return the cell for ASE; its masses are kept where they are not those that phonopy takes.

    Indices of symbols (``Na1``) are left out: they are names of sites.
    """
    atoms = _atoms(cell)
    usual = PhonopyAtoms(numbers=cell.numbers, cell=cell.cell, scaled_positions=cell.positions)
    if not np.allclose(cell.masses, usual.masses, rtol=0, atol=1e-5):
        atoms.set_masses(cell.masses)
    return atoms


def _text(path: Path) -> io.StringIO:
    content = read_bytes(path)
    text: str = parsed(path, lambda: content.decode("utf-8"))
    return io.StringIO(text)


def force_sets(path: Path, natom: int, stated: Any) -> Any:
    """Read the data set of FORCE_SETS.

    Parameters
    ----------
    path
        FORCE_SETS file.
    natom
        Number of atoms of the supercell.
    stated
        Data set of the YAML file with its displacements, if any.

    Raises
    ------
    PhonsmithError
        The displacements differ from those in the YAML file, or the file is broken.
    """
    text = _text(path).getvalue()
    dataset = parsed(path, lambda: parse_FORCE_SETS_from_strings(text, natom=natom))
    firsts, others = (
        one.get("first_atoms") if isinstance(one, dict) else None for one in (dataset, stated)
    )
    if firsts and others:
        fits = len(firsts) == len(others) and all(
            first["number"] == other["number"]
            and np.abs(first["displacement"] - np.array(other["displacement"])).max()
            < SAME_DISPLACEMENT
            for first, other in zip(firsts, others, strict=True)
        )
        if not fits:
            raise PhonsmithError(
                f"{path}: displacements differ from the YAML file beside it; give two files of one "
                "calculation"
            )
    return dataset


def forces_of_order(path: Path, natom: int, dataset: Any) -> Any:
    """Copy a phono3py data set and add the forces of FORCES_FC3 or FORCES_FC2.

    Files with six columns hold displacements and forces of random cells.

    Parameters
    ----------
    path
        FORCES_FC3 or FORCES_FC2.
    natom
        Number of atoms of the supercell.
    dataset
        Data set with the displacements; unused for files with six columns.

    Raises
    ------
    PhonsmithError
        There are no displacements, or the file does not fit them.
    """
    table = parsed(path, lambda: np.loadtxt(_text(path), dtype=float, ndmin=2))
    if table.shape[1] == 6:
        return parsed(path, lambda: get_dataset_type2(_text(path), natom))
    if not dataset or "first_atoms" not in dataset:
        raise PhonsmithError(f"{path}: the YAML file beside it has no displacements for it")
    firsts = [dict(first) for first in dataset["first_atoms"]]
    for first in firsts:
        if "second_atoms" in first:
            first["second_atoms"] = [dict(pair) for pair in first["second_atoms"]]
    pairs = [pair for first in firsts for pair in first.get("second_atoms", ())]
    cells: list[dict[str, Any]] = [*firsts, *pairs]
    if table.shape != (len(cells) * natom, 3):
        raise PhonsmithError(
            f"{path}: cannot be read as forces of {len(cells)} cells of {natom} atoms: it has "
            f"{len(table)} lines of {table.shape[1]} numbers for {len(cells) * natom} of 3"
        )
    for cell, forces in zip(cells, table.reshape(len(cells), natom, 3), strict=True):
        cell["forces"] = forces
    return {**dataset, "first_atoms": firsts}


def check_order(stated: PhonopyAtoms | None, built: PhonopyAtoms, path: Path) -> None:
    """Check that phonopy rebuilds the supercell of the file in its order of atoms.

    Parameters
    ----------
    stated
        Supercell in the file; None skips the check.
    built
        Supercell built by phonopy.
    path
        File, named in the message.

    Raises
    ------
    PhonsmithError
        The supercells differ.
    """
    if stated is None:
        return
    shift = stated.scaled_positions - built.scaled_positions if len(stated) == len(built) else None
    if (
        shift is None
        or np.abs(shift - np.rint(shift)).max() > 1e-4
        or not np.array_equal(stated.numbers, built.numbers)
        or not np.allclose(stated.cell, built.cell, rtol=1e-5, atol=1e-4)
    ):
        raise PhonsmithError(
            f"{path}: the order of atoms in the supercell differs from that of the installed "
            "phonopy; write the file again with the installed phonopy"
        )


def has_forces(dataset: Any) -> bool:
    """Return whether all displacements of phonopy's dataset have forces."""
    if not dataset:
        return False
    if "first_atoms" in dataset:
        return any("forces" in first for first in dataset["first_atoms"])
    return "forces" in dataset


def require_forces(dataset: Any, path: Path, companion: str, natom: int) -> None:
    """Refuse a data set without forces or with invalid forces.

    Parameters
    ----------
    dataset
        Data set of phonopy.
    path
        File, named in messages.
    companion
        Name of the file that may hold the forces.
    natom
        Number of atoms of the supercell.

    Raises
    ------
    PhonsmithError
        A displaced cell has no forces, forces of another shape, or values that are not finite.
    """
    if not has_forces(dataset):
        raise PhonsmithError(
            f"{path}: contains no forces, and there is no {companion} beside it; add {companion} "
            "to the folder and to the `files` of the source"
        )
    forces, energies = labels_of(dataset)
    for number, (force, energy) in enumerate(zip(forces, energies, strict=True)):
        if force is not None and np.shape(force) != (natom, 3):
            raise PhonsmithError(
                f"{path}: displaced cell {number + 1} has forces of shape {np.shape(force)}, but "
                f"its supercell has {natom} atoms"
            )
        values = (0.0 if energy is None else energy, 0.0 if force is None else force)
        if not all(np.isfinite(np.asarray(one, dtype=float)).all() for one in values):
            raise PhonsmithError(
                f"{path}: displaced cell {number + 1} has forces or an energy that are not finite"
            )
    if "first_atoms" in dataset:
        without = [k for k, one in enumerate(dataset["first_atoms"]) if "forces" not in one]
        if without:
            raise PhonsmithError(
                f"{path}: displaced cell {without[0] + 1} has no forces, but phonons require "
                "forces of all displaced cells"
            )


def labels_of(dataset: Any) -> tuple[list[Any], list[float | None]]:
    """Forces and energies in the order of the displaced cells; None where there are none.

    An energy of exactly zero was not computed.
    """
    if "first_atoms" in dataset:
        first = dataset["first_atoms"]
        single: list[Any] = [
            *first,
            *(pair for one in first for pair in one.get("second_atoms", [])),
        ]
        return (
            [one.get("forces") for one in single],
            [one.get("supercell_energy") or None for one in single],
        )
    forces = list(dataset["forces"])
    energies = dataset.get("supercell_energies")
    if energies is None:
        return forces, [None] * len(forces)
    return forces, [float(energy) or None for energy in energies]


def frames_of(
    cells: Sequence[PhonopyAtoms | None], forces: Sequence[Any], energies: Sequence[float | None]
) -> list[Atoms]:
    """Return labelled displaced cells; cells without forces are omitted.

    Parameters
    ----------
    cells
        Displaced cells; None for pairs beyond phono3py's cutoff.
    forces
        Forces (atoms, 3) in eV/Å of each cell, or None.
    energies
        Energy in eV of each cell, or None.
    """
    frames = []
    for cell, force, energy in zip(cells, forces, energies, strict=True):
        if cell is not None and force is not None:  # pairs beyond phono3py's cutoff have neither
            frame = labelled(_atoms(cell), "", energy, force)
            frame.info["kind"] = "displaced"
            frames.append(frame)
    return frames


def _atoms(cell: PhonopyAtoms) -> Atoms:
    positions: NDArray[np.float64] = cell.positions
    return Atoms(cell.numbers, positions=positions, cell=cell.cell, pbc=True)
