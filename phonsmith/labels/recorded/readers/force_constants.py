"""phonopy's files without a YAML file: FORCE_SETS, and force constants without any forces.

Force constants are those of FORCE_CONSTANTS, force_constants.hdf5 (full or compact) or of a VASP
run by density-functional perturbation theory; they are used as they are, without sum rules imposed.
The crystal is in a file of its own, in the order of atoms that phonopy had. The supercell follows
from DIM, from SPOSCAR or disp.yaml in its folder, or from the VASP run.
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.phonopy_files import LARGEST_SUPERCELL, SYMPREC, parsed
from phonsmith.files.yaml_files import read_yaml
from phonsmith.labels.recorded.readers.each import Recorded
from phonsmith.labels.recorded.readers.phonopy_forces import (
    check_order,
    companion,
    crystal_of_cell,
    force_sets,
    frames_of,
    labels_of,
    require_forces,
    tell_of_born,
)
from phonsmith.structures.reading import read_structure
from phonsmith.supercells.cells import make_phonopy, to_phonopy

Floats = NDArray[np.float64]

NEAR = 1.6
"""Times the distance of the nearest atom: there the strongest force constants are."""

LARGEST_ASYMMETRY = 0.05
"""Of the force constants between atoms, relative to them. 12 sets of phonondb and 24 of 26 of
silicon allotropes are below 0.023; two unstable crystals are above 0.6, and need SPOSCAR."""


def read_force_sets(path: Path, crystal: str | Path, supercell: Any = None) -> Recorded:
    """Read FORCE_SETS with the crystal's file.

    Parameters
    ----------
    path
        FORCE_SETS file.
    crystal
        File of the crystal.
    supercell
        Supercell in phonopy's convention (DIM), used if no file beside ``path`` holds it.

    Raises
    ------
    PhonsmithError
        The file is broken, of another crystal, or of an unknown supercell.
    """
    phonon = _phonopy(path, crystal, supercell, None)
    natom = len(phonon.supercell)
    dataset = force_sets(path, natom, None)
    require_forces(dataset, path, "FORCE_SETS", natom)
    phonon.dataset = dataset
    _check_symmetry_of_constants(phonon, path)
    frames = frames_of(phonon.supercells_with_displacements, *labels_of(dataset))
    return Recorded(frames=frames, crystal=crystal_of_cell(phonon.unitcell), phonon=phonon)


def _check_symmetry_of_constants(phonon: Phonopy, path: Path) -> None:
    """Whether Φ(i, j) = Φ(j, i)ᵀ holds, which phonopy does not impose and a wrong order breaks.

    Forces in the order of other images (an atom wrapped to the other side of the cell) would
    otherwise silently give wrong phonons.
    """
    if _all_atoms_were_compared(path) or "first_atoms" not in phonon.dataset:
        return
    bare = Phonopy(
        phonon.unitcell,
        phonon.supercell_matrix,
        primitive_matrix=phonon.primitive_matrix,
        symprec=phonon.symmetry.tolerance,
    )
    bare.dataset = phonon.dataset
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            bare.produce_force_constants(calculate_full_force_constants=True)
    except Exception as error:  # phonopy raises many kinds
        raise PhonsmithError(
            f"{path}: its displacements do not determine the force constants of this crystal in a "
            f"supercell of {len(phonon.supercell)} atoms; correct recorded_supercell (phonopy's "
            "DIM) or the crystal file"
        ) from error
    constants = bare.force_constants
    others = ~np.eye(len(constants), dtype=bool)
    strength = float(np.linalg.norm(constants[others]))
    odd = constants - constants.transpose(1, 0, 3, 2)
    asymmetry = float(np.linalg.norm(odd[others])) / (strength or 1.0)
    if asymmetry > LARGEST_ASYMMETRY:
        raise PhonsmithError(
            f"{path}: its force constants are asymmetric by {100 * asymmetry:.0f} %: order or "
            "periodic images of the atoms in the crystal file differ from those used by phonopy; "
            "add SPOSCAR or disp.yaml to the folder and to the `files` of the source, or give the "
            "original crystal file"
        )


def _all_atoms_were_compared(path: Path) -> bool:
    """Whether a file in this folder listed every atom of the supercell."""
    beside = companion(path, "SPOSCAR") or companion(path, "disp.yaml")
    return bool(beside) or "vasprun" in path.name


def read_force_constants(path: Path, crystal: str | Path, supercell: Any = None) -> Recorded:
    """Read force constants with the crystal's file: phonons without labels.

    Parameters
    ----------
    path
        File with force constants.
    crystal
        File of the crystal.
    supercell
        Supercell in phonopy's convention (DIM), used if no file beside ``path`` holds it.

    Raises
    ------
    PhonsmithError
        The file is broken, of another crystal, of an unknown supercell, or in unknown units.
    """
    run = _cell_of_run(path) if "vasprun" in path.name else None
    phonon = _phonopy(path, crystal, supercell, run)
    phonon.force_constants = force_constants_of(path, phonon)
    return Recorded(frames=[], crystal=crystal_of_cell(phonon.unitcell), phonon=phonon)


def force_constants_of(path: Path, phonon: Phonopy, factor: float = 1.0) -> Floats:
    """Read force constants from a file.

    Parameters
    ----------
    path
        File with force constants.
    phonon
        phonopy with the supercell of the file.
    factor
        Factor to eV/Å² if the file does not state its unit.

    Returns
    -------
    Force constants (primitive or all atoms, all atoms, 3, 3) in eV/Å².

    Raises
    ------
    PhonsmithError
        Shape or order of the force constants do not fit the supercell, or a value is not finite.
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
        raise PhonsmithError(f"{path}: contains non-finite force constants")
    _check_order_of_constants(found, phonon, path)
    return found


def _check_order_of_constants(constants: Floats, phonon: Phonopy, path: Path) -> None:
    """Whether the strongest force constants of each atom are with itself and with near atoms.

    In another order of the atoms, or with an atom wrapped to the other side of the cell, they are
    not, and the phonons would be silently wrong.
    """
    home = phonon.primitive.p2s_map
    for row, atom in enumerate(home):
        block = constants[row if len(constants) == len(home) else atom]
        _require_near(np.linalg.norm(block, axis=(1, 2)), int(atom), phonon, path)


def _require_near(strength: Floats, atom: int, phonon: Phonopy, path: Path) -> None:
    """Whether force constants or forces due to an atom are strongest on it and on near atoms."""
    if _all_atoms_were_compared(path):
        return
    supercell = phonon.supercell
    distance = _shortest(
        supercell.scaled_positions - supercell.scaled_positions[atom], supercell.cell
    )
    others = np.arange(len(supercell)) != atom
    if len(supercell) == 1 or strength[others].max() < 1e-3 * strength.max():
        return
    strongest = others & (strength > 0.9 * strength[others].max())
    limit = NEAR * distance[others].min() + 0.5
    if strength.argmax() != atom or distance[strongest].max() > limit:
        raise PhonsmithError(
            f"{path}: atom {atom + 1} does not interact most strongly with near atoms: order or "
            "periodic images of the atoms in the crystal file differ from those used by phonopy; "
            "add SPOSCAR to the folder and to the `files` of the source, or give the original "
            "crystal file"
        )


def _shortest(shift: Floats, cell: Floats) -> Floats:
    """Shortest distances (Å) of fractional vectors between periodic images."""
    shift = shift - np.rint(shift)
    images = np.array(np.meshgrid(*[(-1, 0, 1)] * 3)).reshape(3, -1).T
    vectors = (shift[:, None] + images) @ cell
    return np.asarray(np.linalg.norm(vectors, axis=2).min(axis=1))


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
            f"{path}: contains no force constants; complete runs with IBRION 7 or 8 write them"
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
    # not wrapped into the cell: the order of phonopy's supercell depends on it
    unitcell = to_phonopy(atoms)
    unitcell.scaled_positions = atoms.get_scaled_positions(wrap=False)
    if Path(crystal).name.upper().startswith("POSCAR") or Path(crystal).suffix == ".vasp":
        from phonopy.interface.vasp import read_vasp

        stated_cell = parsed(Path(crystal), lambda: read_vasp(str(crystal)))
        if np.array_equal(stated_cell.numbers, unitcell.numbers):
            unitcell.scaled_positions = stated_cell.scaled_positions
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
    primitive = make_phonopy(atoms, np.eye(3, dtype=int)).primitive_matrix
    phonon: Phonopy = parsed(
        path, lambda: Phonopy(unitcell, matrix, primitive_matrix=primitive, symprec=SYMPREC)
    )
    tell_of_born(path, phonon)
    if stated is not None:
        check_order(to_phonopy(stated), phonon.supercell, path)
    return phonon


def _cell_beside(path: Path) -> Atoms | None:
    """The supercell of SPOSCAR or disp.yaml in the folder of the file."""
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
            f"{path}: the supercell is not a multiple of the crystal in the file; give the crystal "
            "at the volume and in the orientation of the data"
        )
    return np.asarray(matrix.T)
