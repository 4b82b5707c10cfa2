"""Displaced supercells with forces from phonopy and phono3py.

:mod:`phonsmith.files.phonopy_files` reads the YAML files, safely and in Å and eV. FORCE_SETS,
FORCES_FC2 and FORCES_FC3 are taken from the folder of the YAML file alone. Energies are read where
the files have them and are never made up.
"""

from pathlib import Path
from typing import Any

from phonopy import Phonopy

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.phonopy_files import PhonopyFile, read_phonopy_file
from phonsmith.labels.recorded.readers.each import Recorded
from phonsmith.labels.recorded.readers.phonopy_forces import (
    check_order,
    companion,
    crystal_of_cell,
    force_sets,
    forces_of_order,
    frames_of,
    has_forces,
    labels_of,
    require_forces,
    tell_of_born,
)


def read_phonopy(path: Path) -> Recorded:
    """Read phonopy YAML with forces, or with FORCE_SETS in its folder.

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
    tell_of_born(path, phonon)
    dataset, natom = file.data.dataset, len(phonon.supercell)
    if not has_forces(dataset) and (sets := companion(path, "FORCE_SETS")):
        dataset = force_sets(sets, natom, dataset)
    if not has_forces(dataset) and _with_constants(file, phonon):
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
    from phonsmith.labels.recorded.readers.force_constants import force_constants_of

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
    """Read phono3py YAML with forces, or with FORCES_FC3 (and FORCES_FC2) in its folder.

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
    dataset = _with_forces(file, data.dataset, "FORCES_FC3", len(third.supercell))
    third.dataset = dataset
    frames = frames_of(third.supercells_with_displacements, *labels_of(dataset))

    if data.phonon_supercell_matrix is None:
        phonon = file.phonopy()
        phonon.dataset = second_order(dataset)
    else:
        phonon = file.phonopy(data.phonon_supercell_matrix)
        check_order(data.phonon_supercell, phonon.supercell, path)
        second, natom = data.phonon_dataset, len(phonon.supercell)
        if not has_forces(second) and not companion(path, "FORCES_FC2"):
            raise PhonsmithError(
                f"{path}: has supercells of {natom} atoms for the second order, but no forces for "
                "them; put FORCES_FC2 beside it, and among the `files` of its source"
            )
        second = _with_forces(file, second, "FORCES_FC2", natom)
        phonon.dataset = second
        frames = frames_of(phonon.supercells_with_displacements, *labels_of(second)) + frames
    _tell_of_moments(file)
    tell_of_born(path, phonon)
    return Recorded(
        frames=frames, crystal=crystal_of_cell(phonon.unitcell), phonon=phonon, third=third
    )


def _with_forces(file: PhonopyFile, dataset: Any, beside: str, natom: int) -> Any:
    """A data set of phono3py with the forces of the file, or of one in its folder, in eV/Å."""
    if not has_forces(dataset) and (sets := companion(file.path, beside)):
        dataset = forces_of_order(sets, natom, dataset)
    require_forces(dataset, file.path, beside, natom)
    return file.converted(dataset)


def _tell_of_moments(file: PhonopyFile) -> None:
    if file.data.unitcell.magnetic_moments is not None:
        print(
            f"{file.path}: its magnetic moments affect only the symmetry of phonons; labels and "
            "fits have no moments",
            flush=True,
        )


def second_order(dataset: Any) -> dict[str, Any]:
    """Return the second-order part of phono3py's dataset."""
    if "first_atoms" not in dataset:
        return dict(dataset)
    keys = ("number", "displacement", "forces", "supercell_energy")
    first = [{key: one[key] for key in keys if key in one} for one in dataset["first_atoms"]]
    return {"natom": dataset["natom"], "first_atoms": first}
