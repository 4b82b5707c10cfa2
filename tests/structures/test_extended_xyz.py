"""Crystals of extended XYZ files."""

from pathlib import Path

import pytest
from ase.build import bulk
from ase.io import write

from phonsmith.structures.reading import read_structure
from tests.structures.examples import DEUTERIUM, LATTICE, file_of, refused


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2\nProperties=species:S:1:pos:R:3\nSi 0 0 0\nSi 2 2 2\n", "line 2 has no Lattice"),
        (f'1\n{LATTICE} pbc="T T F"\nSi 0 0 0\n', "is periodic in 2 of 3 directions"),
        (f"1\n{LATTICE}\nX 0 0 0\n", "line 3: 'X' is not an element; remove"),
        (f"1\n{LATTICE}\nvacancy 0 0 0\n", "line 3: 'vacancy' is not an element"),
        (f"5\n{LATTICE}\nSi 0 0 0\n", "5 atoms in line 1, but 1 lines of atoms"),
        (f"99999999999999\n{LATTICE}\nSi 0 0 0\n", "line 1 must be the number of atoms"),
        (f"1\n{LATTICE} Properties=species:S:1:pos:R:1000000000\nSi 0\n", "line 2: Properties"),
        (f"1\n{LATTICE} Properties=species:S:1:pos:R:999999\nSi 0\n", "at most 10000 columns"),
        (f"1\n{LATTICE} Properties=species:S:1:pos:R:3:masses:R:1\nSi 0 0 0 -3\n", "masses"),
    ],
)
def test_an_extxyz_without_clear_meaning_is_refused(tmp_path: Path, text: str, words: str) -> None:
    refused(file_of(tmp_path, "a.xyz", text), words)


def test_masses_of_an_extxyz_are_kept(tmp_path: Path) -> None:
    atoms = bulk("NaCl", "rocksalt", a=5.64)
    atoms.set_masses([22.0, 37.0])
    write(tmp_path / "a.extxyz", atoms)
    assert read_structure(tmp_path / "a.extxyz").get_masses() == pytest.approx([22, 37])
    deuteride = f"2\n{LATTICE}\nLi 0 0 0\nD 2 2 2\n"
    crystal = read_structure(file_of(tmp_path, "b.xyz", deuteride))
    assert crystal.get_masses() == pytest.approx([6.94, DEUTERIUM], abs=1e-3)
