"""FORCE_SETS and force constants without a YAML file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.units import Bohr, Rydberg
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms

from phonsmith.files.errors import DataWarning, PhonsmithError
from phonsmith.labels.recorded.reading import named_frames, read_recorded
from phonsmith.phonons.files import load_phonons, save_phonons
from phonsmith.phonons.force_constants import reference_phonons
from tests.phonopy_files import frequencies, write


@pytest.fixture
def with_constants(tmp_path: Path, nacl: dict[str, Any]) -> tuple[Path, Phonopy]:
    """A folder with a crystal and its force constants in every form, and phonopy with them."""
    from phonopy.file_IO import (
        write_FORCE_CONSTANTS,
        write_force_constants_to_hdf5,
        write_FORCE_SETS,
    )
    from phonopy.interface.vasp import write_vasp

    recorded = read_recorded(write(tmp_path / "a.yaml", nacl), "phonopy", "a")
    phonon = recorded.phonon
    assert phonon is not None
    write_vasp(str(tmp_path / "POSCAR"), phonon.unitcell)
    write_FORCE_SETS(phonon.dataset, filename=str(tmp_path / "FORCE_SETS"))
    (tmp_path / "whole").mkdir()
    (tmp_path / "cells").mkdir()
    write_vasp(str(tmp_path / "cells" / "SPOSCAR"), phonon.supercell)
    phonon = reference_phonons(phonon, recorded.frames)
    compact, primitive = phonon.force_constants, phonon.primitive
    from phonopy.harmonic.force_constants import compact_fc_to_full_fc

    full = compact_fc_to_full_fc(primitive, compact)
    for folder, constants in ((tmp_path, compact), (tmp_path / "whole", full)):
        p2s = primitive.p2s_map
        write_FORCE_CONSTANTS(constants, filename=str(folder / "FORCE_CONSTANTS"), p2s_map=p2s)
        write_force_constants_to_hdf5(
            constants,
            filename=str(folder / "force_constants.hdf5"),
            p2s_map=p2s if constants is compact else None,
            physical_unit="eV/angstrom^2",
        )
    phonon.nac_params = None
    return tmp_path, phonon


CONSTANTS = ("FORCE_CONSTANTS", "force_constants.hdf5", "whole/FORCE_CONSTANTS")
CONSTANTS += ("whole/force_constants.hdf5",)


@pytest.mark.parametrize("name", [*CONSTANTS, "FORCE_SETS"])
def test_files_without_yaml_give_the_phonons_that_phonopy_gives(
    with_constants: tuple[Path, Phonopy], name: str
) -> None:
    from phonsmith.labels.recorded.readers.force_constants import (
        read_force_constants,
        read_force_sets,
    )

    folder, phonon = with_constants
    read = read_force_sets if name == "FORCE_SETS" else read_force_constants
    recorded = read(folder / name, folder / "POSCAR", [2, 2, 2])
    assert recorded.phonon is not None
    for index, frame in enumerate(recorded.frames):
        frame.info["index"] = index
    found = reference_phonons(recorded.phonon, recorded.frames)
    assert np.abs(frequencies(found) - frequencies(phonon)).max() < 1e-6
    save_phonons(folder / "kept.yaml", found)
    kept = load_phonons(folder / "kept.yaml")
    assert np.abs(frequencies(kept) - frequencies(phonon)).max() < 1e-6


def test_supercells_follow_from_what_is_beside_or_are_asked_for(
    with_constants: tuple[Path, Phonopy],
) -> None:
    import shutil

    from phonsmith.labels.recorded.readers.force_constants import read_force_constants

    folder, phonon = with_constants
    path, crystal = folder / "FORCE_CONSTANTS", folder / "POSCAR"
    with pytest.raises(PhonsmithError, match="give recorded_supercell"):
        read_force_constants(path, crystal)
    for wrong in ([3, 2, 2], [[2, 0, 0], [0, 2, 0], [0, 0, 1]]):
        with pytest.raises(PhonsmithError, match="is of 64 atoms, the supercell has"):
            read_force_constants(path, crystal, wrong)
        with pytest.raises(PhonsmithError, match=r"shape .* but the supercell has|cannot be read"):
            read_force_constants(folder / "force_constants.hdf5", crystal, wrong)
    shutil.copy(folder / "cells" / "SPOSCAR", folder / "SPOSCAR")
    recorded = read_force_constants(path, crystal)
    assert recorded.phonon is not None
    assert np.allclose(frequencies(recorded.phonon), frequencies(phonon), atol=1e-6)
    (folder / "FORCE_CONSTANTS").write_text("2 64\n1 1\n")
    with pytest.raises(PhonsmithError, match="cannot be read"):
        read_force_constants(path, crystal)


def test_phonondb_without_its_yaml(shared_data: Path) -> None:
    """POSCAR-unitcell, disp.yaml and FORCE_SETS of an earlier phonopy."""
    from phonsmith.labels.recorded.readers.force_constants import read_force_sets

    folder = next(shared_data.glob("phonondb-pbesol/1265-*/mp-*"))
    recorded = read_force_sets(folder / "FORCE_SETS", folder / "POSCAR-unitcell")
    for index, frame in enumerate(recorded.frames):
        frame.info["index"] = index
    assert recorded.phonon is not None
    found = reference_phonons(recorded.phonon, recorded.frames)
    yaml_file = read_recorded(folder / "phonon.yaml", "phonopy", "mgo")
    assert yaml_file.phonon is not None
    truth = reference_phonons(yaml_file.phonon, yaml_file.frames)
    for phonon in (found, truth):
        phonon.nac_params = None
    assert np.allclose(frequencies(found), frequencies(truth), atol=1e-5)


def test_forces_of_atoms_on_the_other_side_of_the_cell_are_refused(
    shared_data: Path, tmp_path: Path
) -> None:
    """FORCE_SETS with a bare crystal file: the order of images follows where its atoms lie."""
    from phonopy.file_IO import write_FORCE_SETS
    from phonopy.interface.vasp import write_vasp

    from phonsmith.labels.recorded.readers.force_constants import read_force_sets

    phonon = load_phonons(shared_data / "si-castep" / "22_phonopy.yaml")
    write_FORCE_SETS(phonon.dataset, filename=str(tmp_path / "FORCE_SETS"))
    write_vasp(str(tmp_path / "SPOSCAR"), phonon.supercell)
    dim = phonon.supercell_matrix.tolist()
    cell = phonon.unitcell.copy()
    for wrapped in (False, True):
        if wrapped:
            cell.scaled_positions = cell.scaled_positions % 1.0 - np.array([[0, 0, 1], [0, 0, 0]])
        lines = "\n".join(" ".join(f"{x:.16f}" for x in row) for row in cell.scaled_positions)
        lattice = "\n".join(" ".join(f"{x:.16f}" for x in row) for row in cell.cell)
        poscar = tmp_path / "POSCAR"
        poscar.write_text(f"Si\n1.0\n{lattice}\nSi\n2\nDirect\n{lines}\n")
        (tmp_path / "SPOSCAR").unlink(missing_ok=True)
        if wrapped:
            with pytest.raises(PhonsmithError, match=r"asymmetric by \d+ %.*SPOSCAR or disp.yaml"):
                read_force_sets(tmp_path / "FORCE_SETS", poscar, dim)
        else:
            found = read_force_sets(tmp_path / "FORCE_SETS", poscar, dim).phonon
            assert found is not None
            found.produce_force_constants()
            found.symmetrize_force_constants()
            assert np.allclose(frequencies(found), frequencies(phonon), atol=1e-4)


def test_a_stronger_force_on_another_atom_is_no_fault(shared_data: Path, tmp_path: Path) -> None:
    """Sb2Se3: residual forces exceed that of a displacement of 0.01 Å along a soft direction."""
    from phonsmith.labels.recorded.readers.force_constants import read_force_sets

    (folder,) = (shared_data / "phonondb-pbesol/2160-sb2se3-pnma-62").iterdir()
    for name in ("FORCE_SETS", "POSCAR-unitcell"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    found = read_force_sets(tmp_path / "FORCE_SETS", tmp_path / "POSCAR-unitcell", [1, 3, 2])
    expected = read_force_sets(folder / "FORCE_SETS", folder / "POSCAR-unitcell")
    assert len(found.frames) == len(expected.frames) == 25


def test_atoms_on_the_other_side_of_the_cell_keep_their_force_constants(
    shared_data: Path, tmp_path: Path
) -> None:
    """An atom at z = 1: wrapped to 0 the supercell of phonopy has its images elsewhere."""
    from phonopy.file_IO import write_FORCE_CONSTANTS
    from phonopy.interface.vasp import write_vasp

    from phonsmith.labels.recorded.readers.force_constants import read_force_constants

    phonon = load_phonons(shared_data / "si-castep" / "22_phonopy.yaml")
    assert phonon.unitcell.scaled_positions[0, 2] == pytest.approx(1)
    path = tmp_path / "FORCE_CONSTANTS"
    p2s = phonon.primitive.p2s_map
    write_FORCE_CONSTANTS(phonon.force_constants, filename=str(path), p2s_map=p2s)
    write_vasp(str(tmp_path / "POSCAR"), phonon.unitcell)
    dim = phonon.supercell_matrix.tolist()
    try:
        found = read_force_constants(path, tmp_path / "POSCAR", dim).phonon
    except PhonsmithError as error:  # where the crystal's reader has wrapped the atom
        assert "does not interact most strongly with near atoms" in str(error)
    else:
        assert found is not None
        assert np.allclose(frequencies(found), frequencies(phonon), atol=1e-5)
    text = (tmp_path / "POSCAR").read_text().splitlines()
    text[8] = "0.0 0.0 0.0"
    assert len(text[7].split()) == 1 or text[7] == "Direct"
    (tmp_path / "POSCAR").write_text("\n".join(text))
    with pytest.raises(PhonsmithError, match="does not interact most strongly with near atoms"):
        read_force_constants(path, tmp_path / "POSCAR", dim)


@pytest.mark.parametrize("name", ["FORCE_SETS", "FORCE_CONSTANTS", "whole/FORCE_CONSTANTS"])
def test_files_in_rydberg_and_bohr_are_reported(
    with_constants: tuple[Path, Phonopy], name: str
) -> None:
    from phonsmith.labels.recorded.readers.force_constants import (
        read_force_constants,
        read_force_sets,
    )
    from phonsmith.labels.recorded.units import weak_springs

    folder, _ = with_constants
    read = read_force_sets if name == "FORCE_SETS" else read_force_constants
    recorded = read(folder / name, folder / "POSCAR", [2, 2, 2])
    phonon = recorded.phonon
    assert phonon is not None
    assert weak_springs(phonon) == ""
    if name == "FORCE_SETS":
        for one in phonon.dataset["first_atoms"]:
            one["displacement"] = np.asarray(one["displacement"]) / Bohr
            one["forces"] = np.asarray(one["forces"]) * Bohr / Rydberg
    else:
        phonon.force_constants = phonon.force_constants * Bohr**2 / Rydberg
    with pytest.warns(DataWarning, match=r"as if forces, or displacements too, are in"):
        named_frames(recorded, folder / name, "nacl", "PBE")


@pytest.mark.parametrize(
    ("symbols", "spring", "reported"),
    [
        ("SiO", 0.65, True),  # SiO2 in hartree/bohr/Å, in phonopy's example SiO2-CP2K-xyz
        ("TiN", 0.93, True),  # TiPN3 in Ry/bohr²
        ("KO", 3.2, False),
        ("NaTl", 1.7, False),
        ("NaCl", 0.65, False),
    ],
)
def test_weak_springs_by_element(symbols: str, spring: float, reported: bool) -> None:
    from phonsmith.labels.recorded.units import weak_springs

    crystal = PhonopyAtoms(
        numbers=Atoms(symbols).numbers,
        cell=4 * np.eye(3),
        scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]],
    )
    phonon = Phonopy(crystal, np.eye(3, dtype=int), primitive_matrix="P")
    phonon.force_constants = np.einsum("ij,kl->ijkl", np.eye(2), spring * np.eye(3))
    assert bool(weak_springs(phonon)) == reported


@pytest.mark.parametrize("supercell", [[4, 2, 1], [8, 1, 1]])
def test_another_supercell_of_as_many_atoms_is_refused(
    with_constants: tuple[Path, Phonopy], supercell: list[int]
) -> None:
    from phonsmith.labels.recorded.readers.force_constants import read_force_sets

    folder, _ = with_constants
    with pytest.raises(PhonsmithError, match=r"do not determine|are asymmetric by"):
        read_force_sets(folder / "FORCE_SETS", folder / "POSCAR", supercell)


def test_displacements_that_are_not_enough_are_one_line(
    with_constants: tuple[Path, Phonopy],
) -> None:
    from phonsmith.labels.recorded.readers.force_constants import read_force_sets

    folder, _ = with_constants
    lines = (folder / "FORCE_SETS").read_text().splitlines()
    atoms = int(lines[0])
    (folder / "FORCE_SETS").write_text("\n".join([lines[0], "1", *lines[2 : 5 + atoms], ""]))
    with pytest.raises(PhonsmithError, match=r"do not determine the force constants .* 64 atoms"):
        read_force_sets(folder / "FORCE_SETS", folder / "POSCAR", [2, 2, 2])
