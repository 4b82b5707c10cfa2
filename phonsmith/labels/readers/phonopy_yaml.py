"""Displaced supercells with forces from phonopy and phono3py.

The YAML classes are used rather than ``phonopy.load``, which also takes FORCE_SETS, BORN and force
constants from whatever folder one happens to be in. Energies are read where the files have them
and are never made up.
"""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from phonopy import Phonopy
from phonopy.file_IO import parse_FORCE_SETS
from phonopy.interface.calculator import get_calculator_physical_units
from phonopy.interface.phonopy_yaml import PhonopyYaml
from phonopy.structure.atoms import PhonopyAtoms

from phonsmith.errors import PhonsmithError
from phonsmith.labels.checks import labelled
from phonsmith.labels.readers import Recorded


def read_phonopy(path: Path) -> Recorded:
    """phonopy YAML with forces in it, or with FORCE_SETS in the same folder.

    Raises
    ------
    PhonsmithError
        The file is broken, has no forces, or is in other units than Å and eV.
    """
    yaml = _read_yaml(PhonopyYaml(), path)
    phonon = _phonopy(yaml, yaml.supercell_matrix, path)
    _check_order(yaml.supercell, phonon.supercell, path)
    dataset = yaml.dataset
    sets = path.with_name("FORCE_SETS")
    if not _has_forces(dataset) and sets.is_file():
        dataset = _parsed(
            sets, lambda: parse_FORCE_SETS(natom=len(phonon.supercell), filename=str(sets))
        )
    _require_forces(dataset, path, "FORCE_SETS")
    phonon.dataset = dataset
    return Recorded(
        frames=_frames(phonon.supercells_with_displacements, *_labels_of(dataset)),
        crystal=_atoms(phonon.unitcell),
        phonon=phonon,
    )


def read_phono3py(path: Path) -> Recorded:
    """phono3py YAML with forces in it, or with FORCES_FC3 in the same folder.

    All displaced cells become frames, also those with two displaced atoms. ``phonon`` holds what
    second-order force constants follow from: the file's own second-order supercells, else the
    cells with one displaced atom (random displacements: all cells).

    Raises
    ------
    PhonsmithError
        The file is broken, has no forces, or is in other units than Å and eV.
    """
    from phono3py import Phono3py
    from phono3py.file_IO import parse_FORCES_FC3
    from phono3py.interface.phono3py_yaml import Phono3pyYaml

    yaml = _read_yaml(Phono3pyYaml(), path)
    third = Phono3py(yaml.unitcell, yaml.supercell_matrix, primitive_matrix=_primitive(yaml))
    _check_order(yaml.supercell, third.supercell, path)
    dataset = yaml.dataset
    sets = path.with_name("FORCES_FC3")
    if not _has_forces(dataset) and dataset is not None and sets.is_file():
        _parsed(sets, lambda: parse_FORCES_FC3(dataset, str(sets)))
    _require_forces(dataset, path, "FORCES_FC3")
    third.dataset = dataset
    frames = _frames(third.supercells_with_displacements, *_labels_of(dataset))

    if yaml.phonon_supercell_matrix is not None and _has_forces(yaml.phonon_dataset):
        phonon = _phonopy(yaml, yaml.phonon_supercell_matrix, path)
        _check_order(yaml.phonon_supercell, phonon.supercell, path)
        phonon.dataset = yaml.phonon_dataset
        cells = phonon.supercells_with_displacements
        frames = _frames(cells, *_labels_of(yaml.phonon_dataset)) + frames
    else:
        phonon = _phonopy(yaml, yaml.supercell_matrix, path)
        phonon.dataset = _second_order(dataset)
    if yaml.nac_params is not None:
        third.nac_params = yaml.nac_params
    return Recorded(frames=frames, crystal=_atoms(phonon.unitcell), phonon=phonon, third=third)


def _read_yaml(reader: Any, path: Path) -> Any:
    _parsed(path, lambda: reader.read(str(path)))
    if reader.unitcell is None or reader.supercell_matrix is None:
        raise PhonsmithError(f"{path}: has no unit cell or supercell matrix; give phonopy's YAML")
    units = reader.physical_units or get_calculator_physical_units(reader.calculator)
    if (units.distance_to_A, units.force_to_eVperA, units.energy_to_eV) != (1.0, 1.0, 1.0):
        raise PhonsmithError(
            f"{path}: is in {units.length_unit}, {units.force_unit} and {units.energy_unit} "
            f"({reader.calculator}); convert it to Å and eV"
        )
    return reader


def _parsed(path: Path, parse: Callable[[], Any]) -> Any:
    try:
        return parse()
    except Exception as error:  # phonopy raises many kinds for broken files
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise PhonsmithError(f"{path}: cannot be read ({reason})") from error


def _phonopy(yaml: Any, matrix: Any, path: Path) -> Phonopy:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # phonopy 4 warns of its own default primitive cell
        phonon = _parsed(
            path, lambda: Phonopy(yaml.unitcell, matrix, primitive_matrix=_primitive(yaml))
        )
    if yaml.nac_params is not None:
        phonon.nac_params = yaml.nac_params
    return phonon


def _primitive(yaml: Any) -> Any:
    return "auto" if yaml.primitive_matrix is None else yaml.primitive_matrix


def _check_order(stated: PhonopyAtoms | None, built: PhonopyAtoms, path: Path) -> None:
    """The forces belong to the supercell in the file; phonopy builds it anew, maybe otherwise."""
    if stated is None:
        return
    shift = stated.scaled_positions - built.scaled_positions if len(stated) == len(built) else None
    if shift is None or np.abs(shift - np.rint(shift)).max() > 1e-4:
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


def _require_forces(dataset: Any, path: Path, companion: str) -> None:
    if not _has_forces(dataset):
        raise PhonsmithError(f"{path}: holds no forces, and no {companion} stands beside it")


def _labels_of(dataset: Any) -> tuple[list[Any], list[float | None]]:
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


def _frames(
    cells: Sequence[PhonopyAtoms | None], forces: Sequence[Any], energies: Sequence[float | None]
) -> list[Atoms]:
    frames = []
    for cell, force, energy in zip(cells, forces, energies, strict=True):
        if cell is not None and force is not None:  # pairs beyond phono3py's cutoff have neither
            frame = labelled(_atoms(cell), "", energy, force)
            frame.info["kind"] = "displaced"
            frames.append(frame)
    return frames


def _atoms(cell: PhonopyAtoms) -> Atoms:
    return Atoms(cell.symbols, positions=cell.positions, cell=cell.cell, pbc=True)
