"""Bonds of real crystals are accepted, of metals, salts, molecules and noble gases; bohr is not."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, graphene, molecule
from ase.spacegroup import crystal
from ase.units import Bohr

from phonsmith.files.errors import PhonsmithError
from phonsmith.structures.bonds import check_bonds, doubts_about_bonds, in_bohr


def in_a_box(name: str, edge: float) -> Atoms:
    atoms = molecule(name)
    atoms.set_cell([edge] * 3)
    atoms.pbc = True
    return atoms


QUARTZ = crystal(
    ["Si", "O"],
    [(0.4697, 0, 0), (0.4135, 0.2669, 0.1191)],
    spacegroup=152,
    cellpar=[4.916, 4.916, 5.405, 90, 90, 120],
)
SOUND = {
    "silicon": bulk("Si"),
    "caesium": bulk("Cs"),
    "lithium": bulk("Li"),
    "tungsten": bulk("W"),
    "caesium iodide": bulk("CsI", "cesiumchloride", a=4.57),
    "compressed caesium": bulk("Cs", "fcc", a=4.6),
    "quartz": QUARTZ,
    "benzene": in_a_box("C6H6", 8.0),
    "hydrogen": in_a_box("H2", 3.5),
    "graphene in vacuum": Atoms(graphene(vacuum=10.0), pbc=True),
}
NOBLE = {"neon": bulk("Ne"), "argon": bulk("Ar"), "xenon": bulk("Xe")}


@pytest.mark.parametrize("name", {**SOUND, **NOBLE})
def test_real_crystals_pass(name: str) -> None:
    atoms = {**SOUND, **NOBLE}[name]
    check_bonds(atoms, name)
    assert doubts_about_bonds(atoms) == ""


IN_VACUUM = {"benzene", "hydrogen", "graphene in vacuum"}


@pytest.mark.parametrize("name", sorted(SOUND.keys() - IN_VACUUM - {"compressed caesium"}))
def test_crystals_in_bohr_are_refused(name: str) -> None:
    atoms = SOUND[name].copy()
    atoms.set_cell(atoms.cell[:] / Bohr, scale_atoms=True)
    assert in_bohr(atoms) > 1.5
    with pytest.raises(PhonsmithError, match=rf"^{name}: bonds are .* as if the file is in bohr"):
        check_bonds(atoms, name)


@pytest.mark.parametrize("name", sorted(IN_VACUUM))
def test_molecules_in_bohr_are_a_doubt(name: str) -> None:
    atoms = SOUND[name].copy()
    atoms.set_cell(atoms.cell[:] / Bohr, scale_atoms=True)
    check_bonds(atoms, name)
    assert "check that lengths are in Å" in doubts_about_bonds(atoms)


def test_scaled_coordinates_as_cartesian_ones_are_refused() -> None:
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    atoms.positions = atoms.get_scaled_positions()
    with pytest.raises(PhonsmithError, match=r"0\.50 Å apart, 0\.1.*marked as Cartesian"):
        check_bonds(atoms, "x")


def test_two_atoms_in_vacuum_are_not_in_bohr() -> None:
    assert in_bohr(Atoms("Si2", [[0, 0, 0], [4.2, 0, 0]], cell=[12] * 3, pbc=True)) == 0
    assert in_bohr(Atoms("Si", cell=[15] * 3, pbc=True)) == 0


def test_a_stretched_crystal_is_a_doubt() -> None:
    atoms = bulk("Si", a=5.43 * 1.35)
    check_bonds(atoms, "x")
    assert "1.4 times" in doubts_about_bonds(atoms)


def test_a_misplaced_atom_is_a_doubt() -> None:
    atoms = SOUND["benzene"].copy()
    hydrogen = int(np.flatnonzero(atoms.numbers == 1)[0])
    atoms.set_distance(0, hydrogen, 0.65, fix=0)
    check_bonds(atoms, "x")
    assert "0.65 Å apart" in doubts_about_bonds(atoms)
