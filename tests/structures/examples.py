"""Files of crystals."""

from pathlib import Path

import pytest

from phonsmith.files.errors import PhonsmithError
from phonsmith.structures.reading import read_structure

DEUTERIUM = 2.014


def refused(path: Path, words: str) -> None:
    with pytest.raises(PhonsmithError) as caught:
        read_structure(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert words in said
    assert "\n" not in said


def file_of(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


CUBE = "5.64 5.64 5.64 90 90 90"
PARAMETERS = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
SITES = ("label", "type_symbol", "fract_x", "fract_y", "fract_z")
LABELS = (SITES[0], *SITES[2:])


def cif(
    cell: str,
    sites: list[str],
    *lines: str,
    operations: list[str] | None = None,
    columns: tuple[str, ...] = SITES,
) -> str:
    """A CIF of lengths and angles, rows of sites, and whatever lines."""
    text = ["data_x"]
    text += [f"_cell_{n} {v}" for n, v in zip(PARAMETERS, cell.split(), strict=True)]
    text += lines
    if operations is not None:
        text += ["loop_", "_symmetry_equiv_pos_as_xyz", *(f"'{one}'" for one in operations)]
    text += ["loop_", *(f"_atom_site_{name}" for name in columns), *sites]
    return "\n".join(text) + "\n"


def hm(name: str, number: int | None = None) -> list[str]:
    lines = [f"_symmetry_space_group_name_H-M '{name}'"]
    return lines + ([f"_symmetry_Int_Tables_number {number}"] if number else [])


NACL = ["Na1 Na 0 0 0", "Cl1 Cl .5 .5 .5"]
FM3M = hm("F m -3 m", 225)
INVERSION = ["x,y,z", "-x,-y,-z"]
BOX = "4 0 0\n0 4 0\n0 0 4"
PAIR = "0 0 0\n.5 .5 .5"
LATTICE = 'Lattice="4 0 0 0 4 0 0 0 4"'
