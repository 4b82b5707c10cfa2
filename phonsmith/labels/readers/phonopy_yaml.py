"""Displaced supercells with forces from phonopy and phono3py.

:mod:`phonsmith.phonopy_files` reads the YAML files, safely and in Å and eV. FORCE_SETS, FORCES_FC2
and FORCES_FC3 are taken from the folder of the YAML file alone. Energies are read where the files
have them and are never made up.
"""

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

from phonsmith.errors import PhonsmithError
from phonsmith.files import COMPRESSED, read_bytes
from phonsmith.labels.checks import labelled
from phonsmith.labels.readers import Recorded
from phonsmith.phonopy_files import PhonopyFile, parsed, read_phonopy_file

SAME_DISPLACEMENT = 1e-4
"""Å (or bohr). FORCE_SETS and YAML of one set of displacements agree to within this."""


def read_phonopy(path: Path) -> Recorded:
    """phonopy YAML with forces in it, or with FORCE_SETS in the same folder.

    Without forces the force constants count that are in the file, or beside it in
    force_constants.hdf5 or FORCE_CONSTANTS: phonons without labels.

    Raises
    ------
    PhonsmithError
        The file is broken, has no forces, or does not fit FORCE_SETS.
    """
    file = read_phonopy_file(path)
    phonon = file.phonopy()
    check_order(file.data.supercell, phonon.supercell, path)
    dataset, natom = file.data.dataset, len(phonon.supercell)
    if not _has_forces(dataset) and (sets := companion(path, "FORCE_SETS")):
        dataset = force_sets(sets, natom, dataset)
    if not _has_forces(dataset) and _with_constants(file, phonon):
        return Recorded(frames=[], crystal=crystal_of_cell(phonon.unitcell), phonon=phonon)
    require_forces(dataset, path, "FORCE_SETS", natom)
    dataset = file.converted(dataset)
    phonon.dataset = dataset
    _tell_of_moments(file)
    return Recorded(
        frames=frames_of(phonon.supercells_with_displacements, *labels_of(dataset)),
        crystal=crystal_of_cell(phonon.unitcell),
        phonon=phonon,
    )


def _with_constants(file: PhonopyFile, phonon: Phonopy) -> bool:
    """Whether phonopy got force constants, of the file or of one beside it."""
    from phonsmith.labels.readers.force_constants import force_constants_of

    factor = file.units.force_to_eVperA / file.units.distance_to_A
    found = file.data.force_constants
    names = ("force_constants.hdf5", "FORCE_CONSTANTS")
    beside = next((one for name in names if (one := companion(file.path, name))), None)
    if found is None and beside is None:
        return False
    if found is not None:
        phonon.force_constants = found * factor
    elif beside is not None:
        phonon.force_constants = force_constants_of(beside, phonon, factor)
    return True


def read_phono3py(path: Path) -> Recorded:
    """phono3py YAML with forces in it, or with FORCES_FC3 (and FORCES_FC2) in the same folder.

    All displaced cells become frames, also those with two displaced atoms. ``phonon`` holds what
    second-order force constants follow from: the second-order supercells where the file has any,
    else the cells with one displaced atom (random displacements: all cells).

    Raises
    ------
    PhonsmithError
        The file is broken, or has no forces of third order, or none for its second-order
        supercells.
    """
    file = read_phonopy_file(path, third_order=True)
    data = file.data
    third = file.phono3py()
    check_order(data.supercell, third.supercell, path)
    dataset, natom = data.dataset, len(third.supercell)
    if not _has_forces(dataset) and (sets := companion(path, "FORCES_FC3")):
        dataset = _forces_of_order(sets, natom, dataset)
    require_forces(dataset, path, "FORCES_FC3", natom)
    dataset = file.converted(dataset)
    third.dataset = dataset
    frames = frames_of(third.supercells_with_displacements, *labels_of(dataset))

    if data.phonon_supercell_matrix is None:
        phonon = file.phonopy()
        phonon.dataset = _second_order(dataset)
    else:
        phonon = file.phonopy(data.phonon_supercell_matrix)
        check_order(data.phonon_supercell, phonon.supercell, path)
        second, natom = data.phonon_dataset, len(phonon.supercell)
        if not _has_forces(second) and (sets := companion(path, "FORCES_FC2")):
            second = _forces_of_order(sets, natom, second)
        if not _has_forces(second):
            raise PhonsmithError(
                f"{path}: has supercells of {natom} atoms for the second order, but no forces for "
                "them; put FORCES_FC2 beside it, and among the `files` of its source"
            )
        require_forces(second, path, "FORCES_FC2", natom)
        second = file.converted(second)
        phonon.dataset = second
        frames = frames_of(phonon.supercells_with_displacements, *labels_of(second)) + frames
    _tell_of_moments(file)
    return Recorded(
        frames=frames, crystal=crystal_of_cell(phonon.unitcell), phonon=phonon, third=third
    )


def companion(path: Path, name: str) -> Path | None:
    """A file of this name in the folder of ``path``, compressed or not; None if there is none."""
    names = (path.with_name(name + suffix) for suffix in ("", *COMPRESSED))
    return next((one for one in names if one.exists()), None)


def crystal_of_cell(cell: PhonopyAtoms) -> Atoms:
    """The cell for ASE; its masses are kept where they are not those that phonopy takes.

    Indices of symbols (``Na1``) are left out: they are names of sites.
    """
    atoms = _atoms(cell)
    usual = PhonopyAtoms(numbers=cell.numbers, cell=cell.cell, scaled_positions=cell.positions)
    if not np.allclose(cell.masses, usual.masses, rtol=0, atol=1e-5):
        atoms.set_masses(cell.masses)
    return atoms


def _tell_of_moments(file: PhonopyFile) -> None:
    if file.data.unitcell.magnetic_moments is not None:
        print(
            f"{file.path}: its magnetic moments count for the symmetry of phonons alone; labels "
            "and fits know no moments",
            flush=True,
        )


# --- forces beside a file -------------------------------------------------------------------------


def _text(path: Path) -> io.StringIO:
    content = read_bytes(path)
    text: str = parsed(path, lambda: content.decode("utf-8"))
    return io.StringIO(text)


def force_sets(path: Path, natom: int, stated: Any) -> Any:
    """The data set of FORCE_SETS; ``stated`` are the displacements of the YAML file, if any."""
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
                f"{path}: is of other displacements than the YAML file beside it; give the two "
                "files of one calculation"
            )
    return dataset


def _forces_of_order(path: Path, natom: int, dataset: Any) -> Any:
    """A copy of a phono3py data set with the forces of FORCES_FC3 or FORCES_FC2.

    Files with six columns hold displacements and forces of random cells.
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


# --- data sets ------------------------------------------------------------------------------------


def check_order(stated: PhonopyAtoms | None, built: PhonopyAtoms, path: Path) -> None:
    """The forces belong to the supercell in the file; phonopy builds it anew, maybe otherwise."""
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
            f"{path}: its supercell has another order of atoms than phonopy gives it now; "
            "write it anew with the phonopy version in use"
        )


def _has_forces(dataset: Any) -> bool:
    if not dataset:
        return False
    if "first_atoms" in dataset:
        return any("forces" in first for first in dataset["first_atoms"])
    return "forces" in dataset


def require_forces(dataset: Any, path: Path, companion: str, natom: int) -> None:
    """Refuse a data set without forces, or with such as no calculation gives."""
    if not _has_forces(dataset):
        raise PhonsmithError(
            f"{path}: holds no forces, and no {companion} stands beside it; put it there, and "
            "among the `files` of its source"
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
                f"{path}: displaced cell {without[0] + 1} has no forces, others have; phonons need "
                "them all"
            )


def labels_of(dataset: Any) -> tuple[list[Any], list[float | None]]:
    """Forces and energies in the order of the displaced cells; None where there are none."""
    if "first_atoms" in dataset:
        first = dataset["first_atoms"]
        single: list[Any] = [
            *first,
            *(pair for one in first for pair in one.get("second_atoms", [])),
        ]
        return (
            [one.get("forces") for one in single],
            [one.get("supercell_energy") for one in single],
        )
    forces = list(dataset["forces"])
    energies = dataset.get("supercell_energies")
    return forces, [None] * len(forces) if energies is None else [float(e) for e in energies]


def _second_order(dataset: Any) -> dict[str, Any]:
    if "first_atoms" not in dataset:
        return dict(dataset)
    keys = ("number", "displacement", "forces", "supercell_energy")
    first = [{key: one[key] for key in keys if key in one} for one in dataset["first_atoms"]]
    return {"natom": dataset["natom"], "first_atoms": first}


def frames_of(
    cells: Sequence[PhonopyAtoms | None], forces: Sequence[Any], energies: Sequence[float | None]
) -> list[Atoms]:
    """Labelled displaced cells; those without forces are left out."""
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
