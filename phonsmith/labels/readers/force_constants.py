"""phonopy's files without a YAML file: FORCE_SETS, and force constants without any forces.

Force constants are those of FORCE_CONSTANTS, force_constants.hdf5 (full or compact) or of a VASP
run by density-functional perturbation theory; they are used as they are, without sum rules imposed.
The crystal is in a file of its own, in the order of atoms that phonopy had. The supercell follows
from DIM, from SPOSCAR or disp.yaml in the same folder, or from the VASP run.
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms

from phonsmith.errors import PhonsmithError
from phonsmith.labels.readers import Recorded
from phonsmith.labels.readers.phonopy_yaml import (
    check_order,
    companion,
    crystal_of_cell,
    force_sets,
    frames_of,
    labels_of,
    require_forces,
)
from phonsmith.phonopy_files import LARGEST_SUPERCELL, parsed
from phonsmith.structures import read_structure
from phonsmith.supercells import make_phonopy, to_phonopy
from phonsmith.yaml_files import read_yaml

Floats = NDArray[np.float64]


def read_force_sets(path: Path, crystal: str | Path, supercell: Any = None) -> Recorded:
    """FORCE_SETS with the crystal's file.

    Raises
    ------
    PhonsmithError
        Broken, of another crystal, or of an unknown supercell.
    """
    phonon = _phonopy(path, crystal, supercell, None)
    natom = len(phonon.supercell)
    dataset = force_sets(path, natom, None)
    require_forces(dataset, path, "FORCE_SETS", natom)
    phonon.dataset = dataset
    frames = frames_of(phonon.supercells_with_displacements, *labels_of(dataset))
    return Recorded(frames=frames, crystal=crystal_of_cell(phonon.unitcell), phonon=phonon)


def read_force_constants(path: Path, crystal: str | Path, supercell: Any = None) -> Recorded:
    """Force constants with the crystal's file: phonons without labels.

    Raises
    ------
    PhonsmithError
        Broken, of another crystal, of an unknown supercell, or in unknown units.
    """
    run = _cell_of_run(path) if "vasprun" in path.name else None
    phonon = _phonopy(path, crystal, supercell, run)
    phonon.force_constants = force_constants_of(path, phonon)
    return Recorded(frames=[], crystal=crystal_of_cell(phonon.unitcell), phonon=phonon)


def force_constants_of(path: Path, phonon: Phonopy, factor: float = 1.0) -> Floats:
    """Force constants (atoms of the primitive cell or all, all atoms, 3, 3; eV/Å²) of a file.

    ``factor`` turns them into eV/Å² where the file does not state its unit.
    """
    if "vasprun" in path.name:
        found = _of_run(path)
    elif path.suffix == ".hdf5":
        found = _of_hdf5(path, phonon, factor)
    else:
        found = factor * _of_text(path, phonon)
    natom, home = len(phonon.supercell), len(phonon.primitive)
    if found.shape not in {(natom, natom, 3, 3), (home, natom, 3, 3)}:
        raise PhonsmithError(
            f"{path}: force constants of shape {found.shape[:2]}, but the supercell has {natom} "
            f"atoms and the primitive cell {home}; correct recorded_supercell or the crystal file"
        )
    if not np.isfinite(found).all():
        raise PhonsmithError(f"{path}: holds force constants that are not finite")
    return found


# --- files ----------------------------------------------------------------------------------------


def _of_text(path: Path, phonon: Phonopy) -> Floats:
    from phonopy.file_IO import parse_FORCE_CONSTANTS

    def read() -> Any:
        with path.open(encoding="utf-8") as stream:
            counts = [int(word) for word in stream.readline().split()]
        if not 1 <= len(counts) <= 2 or counts[-1] != len(phonon.supercell):
            raise PhonsmithError(
                f"{path}: is of {counts[-1] if counts else 0} atoms, the supercell has "
                f"{len(phonon.supercell)}; correct recorded_supercell or the crystal file"
            )
        return parse_FORCE_CONSTANTS(path, p2s_map=phonon.primitive.p2s_map)

    found: Floats = parsed(path, read)
    return found


def _of_hdf5(path: Path, phonon: Phonopy, factor: float) -> Floats:
    from phonopy.file_IO import read_force_constants_hdf5
    from phonopy.interface.calculator import get_force_constant_conversion_factor

    def read() -> Any:
        constants, unit = read_force_constants_hdf5(
            path, p2s_map=phonon.primitive.p2s_map, return_physical_unit=True
        )
        if unit is not None:
            return constants * get_force_constant_conversion_factor(unit, None)
        return constants * factor

    return np.asarray(parsed(path, read), dtype=float)


def _of_run(path: Path) -> Floats:
    from phonopy.interface.vasp import parse_force_constants

    found = parsed(path, lambda: parse_force_constants(path))
    if found is None or found[0] is None:
        raise PhonsmithError(
            f"{path}: holds no force constants; they are written by complete runs with IBRION 7 or "
            "8"
        )
    return np.asarray(found[0], dtype=float)


def _cell_of_run(path: Path) -> Atoms:
    from ase.io import read

    def cell() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read(path, index=0, format="vasp-xml")

    found: Atoms = parsed(path, cell)
    return found


# --- supercell ------------------------------------------------------------------------------------


def _phonopy(path: Path, crystal: str | Path, supercell: Any, run: Atoms | None) -> Phonopy:
    atoms = read_structure(crystal)
    unitcell = to_phonopy(atoms)
    stated = run or _cell_beside(path)
    if stated is not None:
        matrix = _matrix_of(stated, unitcell, path)
    elif supercell is not None:
        matrix = np.asarray(supercell, dtype=int)
        matrix = np.diag(matrix) if matrix.ndim == 1 else matrix
    else:
        raise PhonsmithError(
            f"{path}: its supercell is unknown; give recorded_supercell (phonopy's DIM, for "
            "instance [2, 2, 2]), or SPOSCAR or disp.yaml beside it and among the `files` of its "
            "source"
        )
    count = abs(np.linalg.det(matrix)) * len(unitcell)
    if not 0.5 < count <= LARGEST_SUPERCELL:
        raise PhonsmithError(f"{path}: a supercell of {count:.0f} atoms cannot be used")
    phonon: Phonopy = parsed(path, lambda: make_phonopy(atoms, matrix.T))
    if stated is not None:
        check_order(to_phonopy(stated), phonon.supercell, path)
    return phonon


def _cell_beside(path: Path) -> Atoms | None:
    """The supercell of SPOSCAR or disp.yaml in the same folder."""
    if found := companion(path, "SPOSCAR"):
        return read_structure(found)
    if found := companion(path, "disp.yaml"):
        content = read_yaml(found)

        def cell() -> Atoms:
            atoms = content.get("points") or content["atoms"]
            return Atoms(
                [atom["symbol"] for atom in atoms],
                scaled_positions=[atom.get("coordinates") or atom["position"] for atom in atoms],
                cell=content["lattice"],
                pbc=True,
            )

        made: Atoms = parsed(found, cell)
        return made
    return None


def _matrix_of(supercell: Atoms, unitcell: PhonopyAtoms, path: Path) -> NDArray[np.int64]:
    """phonopy's matrix (vectors in columns) of a supercell."""
    exact = supercell.cell[:] @ np.linalg.inv(unitcell.cell)
    matrix = np.rint(exact).astype(np.int64)
    if np.abs(exact - matrix).max() > 1e-3:
        raise PhonsmithError(
            f"{path}: its supercell is no multiple of the crystal in the file; give the crystal at "
            "the volume and in the orientation of the data"
        )
    return np.asarray(matrix.T)
