"""Crystal files as people have them: read as they mean it, or refused in one line."""

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.build import bulk
from ase.io import read, write

from phonsmith.campaign.reading import load_campaign
from phonsmith.check.inputs import check_inputs
from phonsmith.files.errors import PhonsmithError
from phonsmith.structures.cif.groups import _of_setting, _settings_called, _type_of
from phonsmith.structures.reading import check_structure, read_structure
from phonsmith.structures.symmetry import space_group

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


# --- the collection of real inputs -----------------------------------------------------------

REAL_INPUTS = {  # formula, Å³, number of the space group; or words of the message
    "cif-symbols-in-capitals.cif": ("Si8", 160.10, 227),
    "cif-rhombohedral-setting-without-operations.cif": ("Bi2", 70.76, 166),
    "cif-second-origin-without-operations.cif": ("Si8", 160.10, 227),
    "cif-p21n-without-operations.cif": ("Si4", 206.81, 14),
    "cif-p21n-truth-with-operations.cif": ("Si4", 206.81, 14),
    "cif-old-name-with-operations.cif": ("Si4", 206.81, 14),
    "cif-hydrogens-not-located.cif": "the hydrogens were not located",
    "cif-occupancy-unknown.cif": "atom site Na1: its occupancy is not known ('.'); write 1",
    "cif-deuterium.cif": ("H4Li4", 66.92, 225),
    "poscar-deuterium.vasp": ("HLi", 16.73, 225),
    "poscar-fortran-exponent.vasp": ("Si2", 40.03, 227),
    "poscar-numbered-symbols.vasp": ("Fe2", 21.95, 229),
    "poscar-symbols-over-two-lines.vasp": ("CrFeNi", 64.0, 47),
    "cif-angle-missing.cif": "line 5: not a readable CIF (_cell_angle_alpha has no value)",
    "cif-label-wat.cif": "atom site Wat1: 'Wat' is no element; write its oxygen and hydrogen",
}


@pytest.mark.parametrize("name", REAL_INPUTS)
def test_real_inputs(shared_data: Path, name: str) -> None:
    path, right = shared_data / "real-inputs" / name, REAL_INPUTS[name]
    if isinstance(right, str):
        refused(path, right)
        return
    crystal = read_structure(path)
    found = (crystal.get_chemical_formula(), crystal.get_volume(), space_group(crystal, 1e-2)[0])
    assert found == (right[0], pytest.approx(right[1], abs=0.01), right[2])
    masses = crystal.get_masses()[crystal.numbers == 1]
    assert masses == pytest.approx([DEUTERIUM] * len(masses), abs=1e-3)


def test_every_crystal_among_the_real_inputs_has_a_row(shared_data: Path) -> None:
    folder = shared_data / "real-inputs"
    assert {one.name for form in ("*.cif", "poscar-*") for one in folder.glob(form)} == {
        *REAL_INPUTS
    }


def test_p21n_by_its_name_is_that_of_its_operations(shared_data: Path) -> None:
    names = ("cif-p21n-without-operations.cif", "cif-p21n-truth-with-operations.cif")
    one, other = (read_structure(shared_data / "real-inputs" / name) for name in names)
    for crystal in (one, other):
        distances = crystal.get_all_distances(mic=True)
        assert distances[distances > 0].min() == pytest.approx(3.48, abs=0.01)
    assert sorted(map(tuple, one.positions.round(6))) == sorted(
        map(tuple, other.positions.round(6))
    )


# --- CIF -------------------------------------------------------------------------------------

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
PNMA = "10.43 4.79 17.76 90 90 90"
INVERSION = ["x,y,z", "-x,-y,-z"]
EIGHT = "4 5 6 90 90 90"


@pytest.mark.parametrize(
    ("text", "formula", "number"),
    [
        # symbols in capitals
        (cif(CUBE, ["NA1 NA 0 0 0", "CL1 CL .5 .5 .5"], *FM3M), "Cl4Na4", 225),
        (cif("4.05 4.05 4.05 90 90 90", ["AL1 AL 0 0 0"], *FM3M), "Al4", 225),
        (cif("3.54 3.54 3.54 90 90 90", ["CO1 CO 0 0 0"], *FM3M), "Co4", 225),
        (cif(CUBE, ["Na1 Na1+ 0 0 0", "Cl1 CL1- .5 .5 .5"], *FM3M), "Cl4Na4", 225),
        # names of other times and makers
        (cif(CUBE, NACL, *hm("F m 3 m")), "Cl4Na4", 225),
        (cif(CUBE, NACL, *hm("Fm-3m")), "Cl4Na4", 225),
        (cif(CUBE, NACL, *hm("FM-3M")), "Cl4Na4", 225),
        (cif(CUBE, NACL, "_symmetry_Int_Tables_number 225"), "Cl4Na4", 225),
        (cif(CUBE, NACL, "_space_group.IT_number 225"), "Cl4Na4", 225),
        (cif(CUBE, NACL, "_space_group_name_Hall '-F 4 2 3'"), "Cl4Na4", 225),
        (cif("5.43 5.43 5.43 90 90 90", ["Si Si 0 0 0"], *hm("F d -3 m S")), "Si8", 227),
        (cif("5.43 5.43 5.43 90 90 90", ["Si Si .125 .125 .125"], *hm("Fd-3mZ")), "Si8", 227),
        (cif("4.546 4.546 11.862 90 90 120", ["Bi Bi 0 0 .2339"], *hm("R -3 m")), "Bi6", 166),
        (cif("4.546 4.546 11.862 90 90 120", ["Bi Bi 0 0 .2339"], *hm("R -3 m H")), "Bi6", 166),
        (cif("5 6 7 90 100 90", ["Si Si .1 .2 .3"], *hm("P 2_1/c")), "Si4", 14),
        (cif("5 6 7 90 90 100", ["Si Si .1 .2 .3"], *hm("P 1 1 21/b")), "Si4", 14),
        # Pbnm is another setting than Pnma of the same number
        (cif("5.4 5.5 7.7 90 90 90", ["Si Si .1 .2 .25"], *hm("P b n m", 62)), "Si4", 62),
        (cif("5.4 5.5 7.7 90 90 90", ["Si Si .1 .25 .3"], *hm("P n m a", 62)), "Si4", 62),
        # rounded coordinates of a special position
        (
            cif("3.21 3.21 5.21 90 90 120", ["Mg Mg .333 .667 .25"], *hm("P 63/m m c", 194)),
            "Mg2",
            194,
        ),
        # operations in both spellings, and of a name that nobody knows
        (cif(EIGHT, ["Si Si .1 .2 .3"], *hm("X y z"), operations=INVERSION), "Si2", 2),
        (
            cif(EIGHT, ["Si Si .1 .2 .3"], operations=INVERSION).replace(
                "_symmetry_equiv_pos_as_xyz", "_space_group_symop.operation_xyz"
            ),
            "Si2",
            2,
        ),
        # the cell is P 1 with all atoms in it, and formula and Z say so
        (
            cif(
                "2.8 2.8 2.8 90 90 90",
                ["Fe1 Fe 0 0 0", "Fe2 Fe .5 .5 .5"],
                *hm("I m -3 m", 229),
                "_chemical_formula_sum Fe",
                "_cell_formula_units_Z 2",
                operations=["x,y,z"],
            ),
            "Fe2",
            229,
        ),
        # density tells the origin
        (
            cif(
                "5.43 5.43 5.43 90 90 90",
                ["Si Si 0 0 0"],
                *hm("F d -3 m"),
                "_exptl_crystal_density_diffrn 2.33",
            ),
            "Si8",
            227,
        ),
        (
            cif(
                "5.43 5.43 5.43 90 90 90",
                ["Si Si .125 .125 .125"],
                *hm("F d -3 m"),
                "_chemical_formula_sum Si",
                "_cell_formula_units_Z 8",
            ),
            "Si8",
            227,
        ),
        # labels alone
        (
            cif(CUBE, ["Na1 0 0 0", "Cl1 .5 .5 .5"], *FM3M, columns=LABELS),
            "Cl4Na4",
            225,
        ),
        (
            cif(
                CUBE,
                ["NA1 0 0 0", "CL1 .5 .5 .5"],
                *FM3M,
                "_chemical_formula_sum 'Cl Na'",
                columns=LABELS,
            ),
            "Cl4Na4",
            225,
        ),
        # SHELXL-97 writes the order of the site as its multiplicity
        (
            cif(
                CUBE,
                ["Na1 Na 0 0 0 48", "Cl1 Cl .5 .5 .5 4"],
                *FM3M,
                columns=(*SITES, "symmetry_multiplicity"),
            ),
            "Cl4Na4",
            225,
        ),
    ],
)
def test_a_cif_is_the_crystal_it_means(
    tmp_path: Path, text: str, formula: str, number: int
) -> None:
    crystal = read_structure(file_of(tmp_path, "a.cif", text))
    assert crystal.get_chemical_formula() == formula
    assert space_group(crystal, 1e-2)[0] == number


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (cif(CUBE, NACL, *FM3M, "_chemical_formula_sum 'Cl Na'", "_cell_formula_units_Z 8"),
         "make Cl4 Na4 in the cell, against its formula Cl Na and Z = 8"),
        (cif(CUBE, NACL, *FM3M, "_chemical_formula_sum 'Cl2 Na'"), "against its formula Cl2 Na"),
        (cif(CUBE, NACL, *FM3M, "_cell_volume 170"), "make 179.41 Å³, against _cell_volume 170"),
        (cif(CUBE, NACL, *FM3M, "_exptl_crystal_density_diffrn 4.3"),
         "a density of 2.164 g/cm³, against _exptl_crystal_density_diffrn 4.3"),
        (cif(CUBE, NACL, *FM3M, operations=["x,y,z"]),
         "its operations are those of P1 and it names F m -3 m, and without"),
        (cif(CUBE, NACL, *FM3M, operations=["x,y,z", "-x,-y,-z", "-x,y,z"]), "are no group"),
        (cif(CUBE, NACL, *FM3M, operations=["x,y,z", "x,y"]), "'x,y' is no symmetry operation"),
        (cif(CUBE, NACL, operations=["x,y,z", "x/2,y,z"]), "'x/2,y,z' is no operation of a space"),
        (cif(CUBE, NACL, operations=["x,y,z"] * 50_000), "50000 symmetry operations"),
        (cif(CUBE, NACL, *hm("F m -3 m", 221)), "names space group F m -3 m and number 221"),
        (cif(CUBE, NACL, *hm("Nonsense")), "no space group is called 'Nonsense'; add the"),
        (cif(CUBE, NACL), "gives no symmetry, and without _chemical_formula_sum"),
        (cif(CUBE, NACL, "_symmetry_Int_Tables_number 300"), "there are 1 to 230"),
        (cif("5 6 7 90 90 90", NACL, *FM3M), "do not fit space group F m -3 m"),
        (cif("4.7 4.7 4.7 57 57 57", ["Bi Bi 0 0 .23"], *hm("R -3 m :H")), "do not fit space"),
        (cif("5.4 5.5 7.7 90 90 90", ["Si Si .1 .25 .3"], "_symmetry_Int_Tables_number 62"),
         "which make different crystals; add the operations"),
        (cif("8.1 8.1 8.1 90 90 90", ["Si Si .125 .125 .125"], *hm("F d -3 m")),
         "its space group may be F d -3 m:1 or F d -3 m:2"),
        (cif(CUBE, ["Na1 Na 0 0 0 8", "Cl1 Cl .5 .5 .5 4"], *FM3M,
             columns=(*SITES, "symmetry_multiplicity")),
         "atom site Na1 has 4 atoms in the cell by the symmetry, and 8 by its multiplicity"),
        (cif(CUBE, ["Na1 Na 0 0 0 .", "Cl1 Cl .5 .5 .5 1"], *FM3M, columns=(*SITES, "occupancy")),
         "atom site Na1: its occupancy is not known ('.')"),
        (cif(CUBE, ["Na1 Na 0 0 0 1", "Cl1 Cl .5 .5 .5 .9"], *FM3M, columns=(*SITES, "occupancy")),
         "partly occupied sites (Cl1: 0.9)"),
        (cif(CUBE, ["N1 N 0 0 0 4", "Cl1 Cl .5 .5 .5 0"], *FM3M,
             columns=(*SITES, "attached_hydrogens")), "N1 has 4 hydrogens without positions"),
        (cif(CUBE, ["Na1 Na 0 0 0", "H1 H . . ."], *FM3M), "atom site H1 has no position (. . .)"),
        (cif(CUBE, ["Na1 Na 0 0 0", "H1 H ? 0 0"], *FM3M), "atom site H1 has no position"),
        (cif(CUBE, ["Na1 X 0 0 0"], *FM3M), "atom site Na1: 'X' is no element; remove dummy atoms"),
        (cif(CUBE, ["Li1 6Li 0 0 0"], *FM3M), "give the isotope's mass as `masses`"),
        (cif(CUBE, ["SI1 0 0 0"], *FM3M, columns=LABELS),
         "its label may be Si or S; give the element as _atom_site_type_symbol"),
        (cif(CUBE, ["H1 H 0 0 0"], *FM3M, "_chemical_formula_sum D"),
         "its formula has deuterium or tritium and its sites have hydrogen"),
        (cif(CUBE, NACL, *FM3M) + cif("5.7 5.7 5.7 90 90 90", NACL, *FM3M).replace("_x", "_y", 1),
         "2 data blocks have atoms of different crystals (data_x, data_y); keep one"),
        ("data_x\n_cell_length_a 5\n", "no data block has atoms"),
        (cif(CUBE, NACL, *FM3M, "_cell_modulation_dimension 1"), "modulated"),
        (cif(CUBE, NACL, *FM3M, "_space_group_magn.number_BNS 1.1"), "magnetic CIF"),
        (cif("5 5 5 120 120 120", NACL, *hm("P 1")), "angles 120, 120, 120 make no cell"),
        (cif("5 5 1e9 90 90 90", NACL, *hm("P 1")), "_cell_length_c 1e+09"),
        (cif("5 5 x 90 90 90", NACL, *hm("P 1")), "_cell_length_c has to be a number, found 'x'"),
        (cif(CUBE, ["Na1 Na 0 0"], *FM3M), "not a readable CIF (Wrong number of values in loop"),
        (cif(CUBE, [f"Na{i} Na 0 0 {i / 3000}" for i in range(3000)], *FM3M), "more atoms than"),
    ],
)  # fmt: skip
def test_a_cif_that_disagrees_is_refused(tmp_path: Path, text: str, words: str) -> None:
    refused(file_of(tmp_path, "a.cif", text), words)


def test_a_cif_with_one_crystal_in_several_blocks_is_read(tmp_path: Path) -> None:
    """As the Pauling File has them: general words, two settings, a reduced cell without atoms."""
    words = "data_global\n_symmetry_Int_Tables_number 225\n"
    moved = ["Cl1 Cl 0 0 0", "Na1 Na .5 .5 .5"]
    reduced = cif("3.988 3.988 3.988 60 60 60", ["? ? ? ? ?"], *hm(""))
    blocks = [cif(CUBE, NACL, *FM3M), cif(CUBE, moved, *FM3M), reduced]
    text = words + "".join(
        block.replace("data_x", f"data_{name}", 1)
        for block, name in zip(blocks, ("standardized", "published", "niggli"), strict=True)
    )
    atoms = read_structure(file_of(tmp_path, "a.cif", text))
    assert str(atoms.symbols) == "Na4Cl4"


@pytest.mark.parametrize("symprec", [None, 0.01])
def test_what_pymatgen_writes_is_read(repository: Path, tmp_path: Path, symprec: Any) -> None:
    """Its Z counts reduced formulae, and its formula is that of the cell."""
    from pymatgen.io.ase import AseAtomsAdaptor
    from pymatgen.io.cif import CifWriter

    for path in sorted((repository / "config" / "structures" / "silicon").glob("*.vasp"))[:6]:
        crystal = read_structure(path)
        CifWriter(AseAtomsAdaptor.get_structure(crystal), symprec=symprec).write_file(
            tmp_path / "a.cif"
        )
        again = read_structure(tmp_path / "a.cif")
        assert space_group(again, 1e-3) == space_group(crystal, 1e-3)
        assert again.get_volume() / len(again) == pytest.approx(
            crystal.get_volume() / len(crystal), rel=1e-5
        )


def test_cifs_of_a_database_are_those_that_ase_reads() -> None:
    """COD's files in ASE's tests: old and new settings, all with their operations."""
    import ase.test

    for path in sorted((Path(ase.test.__file__).parent / "testdata" / "minerals").glob("*.cif")):
        theirs, ours = read(path), read_structure(path)
        assert ours.get_chemical_formula() == theirs.get_chemical_formula()
        assert ours.get_volume() == pytest.approx(theirs.get_volume())
        assert space_group(ours, 1e-2) == space_group(theirs, 1e-2)


def test_every_setting_of_every_space_group_is_known_by_its_name() -> None:
    """gemmi's names and operations, against what spglib finds of the operations."""
    for setting in gemmi.spacegroup_table():
        if setting.hm.endswith(")"):  # a name that cctbx alone has
            continue
        for name in (setting.xhm(), f"{setting.hm} :{setting.ext}" if setting.ext > " " else ""):
            if name:
                assert [one.xhm() for one in _settings_called(name)] == [setting.xhm()]
        assert {one.number for one in _settings_called(setting.hm)} == {setting.number}
        group = _of_setting(setting)
        assert _type_of(group.rotations, group.translations)[0] == setting.number


# --- POSCAR ----------------------------------------------------------------------------------

FCC = "0 2.7 2.7\n2.7 0 2.7\n2.7 2.7 0"
BOX = "4 0 0\n0 4 0\n0 0 4"
PAIR = "0 0 0\n.5 .5 .5"


@pytest.mark.parametrize(
    ("text", "formula", "volume"),
    [
        (f"t\n1.0\n{BOX}\nFe1 Fe2\n1 1\nDirect\n{PAIR}\n", "Fe2", 64),
        (f"t\n1.0\n{BOX}\nSi_pv Sn_d\n1 1\nDirect\n{PAIR}\n", "SiSn", 64),
        (f"t\n1.0\n{BOX}\nSi/0a1b2c Ga_d_GW/77\n1 1\nDirect\n{PAIR}\n", "GaSi", 64),
        (f"t\n1.0\n{BOX}\nFe\nCr\n1\n1\nDirect\n{PAIR}\n", "CrFe", 64),
        (f"t\n1.0\n{BOX}\nSI O\n1 1\nDirect\n{PAIR}\n", "OSi", 64),
        (f"t\n-64\n{BOX}\nFe\n2\nDirect\n{PAIR}\n", "Fe2", 64),
        (f"t\n1 1 2\n{BOX}\nFe\n2\nCartesian\n0 0 0\n2 2 2\n", "Fe2", 128),
        ("t\n2.0 ! scale\n2 0 0 # a\n0 2 0\n0 0 2\nFe\n2\nK\n0 0 0\n1 1 1\n", "Fe2", 64),
        (f"t\n1d0\n{BOX}\nFe\n2\nSelective\nDirect\n0 0 0 T T F\n.5D0 .5 .5 F F F\n", "Fe2", 64),
        (f"t\n1.0\n{BOX}\nC F\n1 1\nDirect\n0 0 0 C\n.5 .5 .5 F\n", "CF", 64),
        (f"Fe Cr\n1.0\n{BOX}\n1 1\nDirect\n{PAIR}\n", "CrFe", 64),
        (f"SiO2\n1.0\n{BOX}\n1 2\nDirect\n{PAIR}\n.5 0 0\n", "O2Si", 64),
        (f"t\n1.0\n{BOX}\nFe\n2\nDirect\n{PAIR}\n\n0 0 0\n0 0 0\n", "Fe2", 64),  # velocities
    ],
)
def test_a_poscar_is_the_crystal_it_means(
    tmp_path: Path, text: str, formula: str, volume: float
) -> None:
    crystal = read_structure(file_of(tmp_path, "POSCAR", text))
    assert (crystal.get_chemical_formula(), crystal.get_volume()) == (
        formula,
        pytest.approx(volume),
    )
    assert crystal.get_scaled_positions()[1] == pytest.approx([0.5] * 3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"title\n1.0\n{BOX}\n2\nDirect\n{PAIR}\n", "line 6: no chemical symbols above"),
        (f"C O2\n1.0\n{BOX}\n1 2\nDirect\n{PAIR}\n.5 0 0\n", "line 6: no chemical symbols"),
        (f"t\n1.0\n{BOX}\nWat\n2\nDirect\n{PAIR}\n", "line 6: 'Wat' is no element"),
        (f"t\n1.0\n{BOX}\nH.75\n2\nDirect\n{PAIR}\n", "line 6: 'H.75' is no element"),
        (f"t\n1.0\n{BOX}\nFe Cr\n2\nDirect\n{PAIR}\n", "1 numbers of atoms for 2 symbols (Fe Cr)"),
        (f"t\n1.0\n{BOX}\nFe\n2.5\nDirect\n{PAIR}\n", "line 7: numbers of atoms have to be whole"),
        (f"t\n1.0\n{BOX}\nFe\n0\nDirect\n{PAIR}\n", "line 7: numbers of atoms have to be whole"),
        (f"t\n1.0\n{BOX}\nFe\n999999999\nDirect\n{PAIR}\n", "line 7: 999999999 atoms"),
        (f"t\n0\n{BOX}\nFe\n2\nDirect\n{PAIR}\n", "line 2: the scale factor is 0"),
        (f"t\n1 1\n{BOX}\nFe\n2\nDirect\n{PAIR}\n", "line 2: the scale factor is one number"),
        (f"t\n1 -1 1\n{BOX}\nFe\n2\nDirect\n{PAIR}\n", "line 2: three scale factors"),
        (f"t\nSi\n{BOX}\nFe\n2\nDirect\n{PAIR}\n", "line 2: the scale factor has to be 1 number"),
        (f"t\n1\n{BOX}\nFe\n2\nFractional\n{PAIR}\n", "line 8: has to be Direct or Cartesian"),
        (f"t\n1\n{BOX}\nFe\n2\nDirect\n0 0 0\n.5 .5\n", "line 10: position of atom 2"),
        (f"t\n1\n{BOX}\nFe\n2\nDirect\n0 0 0\n", "line 10 (position of atom 2 of 2); the file is"),
        (f"t\n1\n{BOX}\nFe\n1\nDirect\n{PAIR}\n", "line 10: a position more than the 1"),
        (f"t\n1\n{BOX}\nFe Cr\n1 1\nDirect\n0 0 0 Cr\n.5 .5 .5 Fe\n", "line 9: atom 1 is Fe by"),
        (f"t\n1\n{BOX}\nFe\n2\nDirect\n0 0 0\n1e300 .5 .5\n", "cells away"),
        (f"t\n.01\n{BOX}\nFe\n2\nDirect\n{PAIR}\n", "Å³ per atom, where crystals have 0.5 to"),
        (f"t\n.001\n{FCC}\nFe\n1\nDirect\n0 0 0\n", "lengths have to be in Å: check units"),
        (f"t\n100\n{BOX}\nFe\n2\nDirect\n{PAIR}\n", "lengths have to be in Å"),
        ("t\n1\n.001 0 0\n0 90 0\n0 0 90\nFe\n1\nDirect\n0 0 0\n", "image are 0.001 Å apart"),
    ],
)  # fmt: skip
def test_a_poscar_without_clear_meaning_is_refused(tmp_path: Path, text: str, words: str) -> None:
    refused(file_of(tmp_path, "POSCAR", text), words)


def test_shipped_crystals_are_those_that_ase_reads_to_the_last_bit(repository: Path) -> None:
    """Labels are found again by positions, so that another reader must not move them."""
    paths = sorted((repository / "config" / "structures").rglob("*.vasp"))
    assert len(paths) > 50
    for path in paths:
        theirs, ours = read(path, format="vasp"), read_structure(path)
        assert np.array_equal(theirs.positions, ours.positions)
        assert np.array_equal(theirs.cell[:], ours.cell[:])


# --- extxyz ----------------------------------------------------------------------------------

LATTICE = 'Lattice="4 0 0 0 4 0 0 0 4"'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2\nProperties=species:S:1:pos:R:3\nSi 0 0 0\nSi 2 2 2\n", "line 2 has no Lattice"),
        (f'1\n{LATTICE} pbc="T T F"\nSi 0 0 0\n', "is periodic in 2 of 3 directions"),
        (f"1\n{LATTICE}\nX 0 0 0\n", "line 3: 'X' is no element; remove dummy atoms"),
        (f"1\n{LATTICE}\nvacancy 0 0 0\n", "line 3: 'vacancy' is no element"),
        (f"5\n{LATTICE}\nSi 0 0 0\n", "5 atoms in line 1 and 1 lines of atoms"),
        (f"99999999999999\n{LATTICE}\nSi 0 0 0\n", "line 1 has to be the number of atoms"),
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


def test_equivalent_atoms_have_one_mass() -> None:
    atoms = bulk("Si", cubic=True)
    atoms.set_masses([29.0] + 7 * [28.0])
    with pytest.raises(PhonsmithError, match=r"here: atoms 0 and 1 .* masses of 29 and 28 u"):
        check_structure(atoms, "here")


# --- files that are none ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["POSCAR", "a.cif", "a.xyz"])
def test_pipes_devices_and_bombs_are_refused(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    refused(tmp_path / name, "no such structure file but a pipe or device")
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to("/dev/zero")
    refused(tmp_path / name, "no such structure file but a pipe or device")
    (tmp_path / name).unlink()
    with (tmp_path / name).open("wb") as stream:  # 1 GB on no disk
        stream.truncate(10**9)
    refused(tmp_path / name, "more than 20 MB")
    (tmp_path / name).write_bytes(b"Si\0" * 100)
    refused(tmp_path / name, "is no text")


def test_a_compressed_file_that_grows_is_refused(tmp_path: Path) -> None:
    import gzip

    path = tmp_path / "POSCAR.gz"
    path.write_bytes(gzip.compress(b" " * 10**8))
    refused(path, "more than 20 MB")
    path.write_bytes(gzip.compress(f"t\n1.0\n{BOX}\nFe\n2\nDirect\n{PAIR}\n".encode()))
    assert len(read_structure(path)) == 2
    path.write_bytes(b"no gzip")
    refused(path, "cannot be read")


@pytest.mark.parametrize("scale", [1e-4, 0.01, 0.1, 30])
def test_crystals_in_wrong_units_are_refused_at_once(scale: float) -> None:
    atoms = bulk("Si", cubic=True)
    atoms.set_cell(atoms.cell[:] * scale, scale_atoms=True)
    with pytest.raises(PhonsmithError, match="have to be in Å"):
        check_structure(atoms, "here")


# --- hostile files ---------------------------------------------------------------------------


def seeds() -> Iterator[tuple[str, bytes]]:
    yield "POSCAR", f"t\n1.0\n{BOX}\nFe_pv Cr\n1 1\nSelective\nDirect\n{PAIR}\n".encode()
    yield "POSCAR", f"SiO2\n-64\n{BOX}\n1 2\nCartesian\n{PAIR}\n3 0 0\n".encode()
    yield "a.xyz", f'2\n{LATTICE} pbc="T T T"\nNa 0 0 0\nCl 2 2 2\n'.encode()
    yield "a.cif", cif(CUBE, NACL, *FM3M, "_chemical_formula_sum 'Cl Na'").encode()
    yield "a.cif", cif("5 6 7 90 100 90", ["Si1 Si .1 .2 .3"], operations=INVERSION).encode()


def spoiled(content: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """Cut, bits flipped, lines moved or doubled, or merged with another file."""
    text = bytearray(content)
    kind = chance.choice(["cut", "flip", "number", "lines", "merge"])
    if kind == "cut":
        return bytes(text[: chance.randrange(len(text))])
    if kind == "flip":
        for _ in range(chance.randint(1, 8)):
            text[chance.randrange(len(text))] ^= 1 << chance.randrange(8)
        return bytes(text)
    if kind == "number":
        words = content.split(b" ")
        words[chance.randrange(len(words))] = chance.choice(
            [b"1e300", b"-1", b"0", b"nan", b"inf", b"99999999999", b"1d5", b"?", b".", b"'", b"\n"]
        )
        return b" ".join(words)
    lines = content.splitlines(keepends=True)
    if kind == "lines":
        for _ in range(chance.randint(1, 3)):
            lines.insert(chance.randrange(len(lines) + 1), chance.choice(lines))
            lines.pop(chance.randrange(len(lines)))
        return b"".join(lines)
    other = chance.choice(others)
    return content[: chance.randrange(len(text))] + other[chance.randrange(len(other)) :]


@pytest.mark.parametrize("seed", range(8))
def test_a_spoiled_file_is_a_crystal_or_one_line(
    tmp_path: Path, shared_data: Path, seed: int
) -> None:
    """A minute at most for all of them; a hang would end the test."""
    chance = random.Random(seed)
    real = [
        ("POSCAR" if path.name.startswith("poscar") else "a.cif", path.read_bytes())
        for path in sorted((shared_data / "real-inputs").iterdir())
        if path.name in REAL_INPUTS
    ]
    every = [*seeds(), *real]
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail("a file is read without end"))
    signal.alarm(60)
    crystals = 0
    for _ in range(60):
        name, content = chance.choice(every)
        path = tmp_path / name
        path.write_bytes(spoiled(content, [other for _, other in every], chance))
        try:
            crystal = read_structure(path)
        except PhonsmithError as error:
            assert "\n" not in str(error)
        else:
            crystals += 1
            assert isinstance(crystal, Atoms)
            assert np.isfinite(crystal.positions).all()
    signal.alarm(0)
    assert crystals > 0


@pytest.mark.parametrize(("isotopes", "good"), [([False], True), ([False, True], False)])
@pytest.mark.parametrize("name", ["cif-deuterium.cif", "poscar-deuterium.vasp"])
def test_natural_isotopes_are_refused_beside_deuterium(
    shared_data: Path, tmp_path: Path, name: str, isotopes: list[bool], good: bool
) -> None:
    """At planning: phono3py would scatter by natural hydrogen's isotopes."""
    campaign = {
        "structures": {"lid": {"file": str(shared_data / "real-inputs" / name)}},
        "reference": {"method": "calculator", "potential": {"calculator": "chgnet"}},
        "conductivity": {"isotopes": isotopes},
    }
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(campaign))
    if good:
        check_inputs(load_campaign(path), path, [])
        return
    with pytest.raises(PhonsmithError, match=r"lid: conductivity.isotopes: .*\(H of 2.014 u\)"):
        check_inputs(load_campaign(path), path, [])
