"""Crystals of CIF files."""

from pathlib import Path
from typing import Any

import gemmi
import pytest
from ase.io import read

from phonsmith.structures.cif.groups import _of_setting, _settings_called, _type_of
from phonsmith.structures.reading import read_structure
from phonsmith.structures.symmetry import space_group
from tests.structures.examples import (
    CUBE,
    FM3M,
    INVERSION,
    LABELS,
    NACL,
    SITES,
    cif,
    file_of,
    hm,
    refused,
)

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
         "give Cl4 Na4 in the cell, but the formula Cl Na and Z = 8"),
        (cif(CUBE, NACL, *FM3M, "_chemical_formula_sum 'Cl2 Na'"), "but the formula Cl2 Na"),
        (cif(CUBE, NACL, *FM3M, "_cell_volume 170"), "give 179.41 Å³, but _cell_volume is 170"),
        (cif(CUBE, NACL, *FM3M, "_exptl_crystal_density_diffrn 4.3"),
         "a density of 2.164 g/cm³, but _exptl_crystal_density_diffrn is 4.3"),
        (cif(CUBE, NACL, *FM3M, operations=["x,y,z"]),
         "its operations belong to P1, but it names F m -3 m, and without"),
        (cif(CUBE, NACL, *FM3M, operations=["x,y,z", "-x,-y,-z", "-x,y,z"]), "do not form a group"),
        (cif(CUBE, NACL, *FM3M, operations=["x,y,z", "x,y"]), "'x,y' is not a symmetry operation"),
        (cif(CUBE, NACL, operations=["x,y,z", "x/2,y,z"]), "'x/2,y,z' is not an operation of"),
        (cif(CUBE, NACL, operations=["x,y,z"] * 50_000), "50000 symmetry operations"),
        (cif(CUBE, NACL, *hm("F m -3 m", 221)), "names space group F m -3 m and number 221"),
        (cif(CUBE, NACL, *hm("Nonsense")), "unknown space group 'Nonsense'; add the"),
        (cif(CUBE, NACL), "gives no symmetry, and without _chemical_formula_sum"),
        (cif(CUBE, NACL, "_symmetry_Int_Tables_number 300"), "allowed are 1 to 230"),
        (cif("5 6 7 90 90 90", NACL, *FM3M), "are incompatible with space group F m -3 m"),
        (cif("4.7 4.7 4.7 57 57 57", ["Bi Bi 0 0 .23"], *hm("R -3 m :H")), "are incompatible with"),
        (cif("5.4 5.5 7.7 90 90 90", ["Si Si .1 .25 .3"], "_symmetry_Int_Tables_number 62"),
         "which give different crystals; add the operations"),
        (cif("8.1 8.1 8.1 90 90 90", ["Si Si .125 .125 .125"], *hm("F d -3 m")),
         "its space group may be F d -3 m:1 or F d -3 m:2"),
        (cif(CUBE, ["Na1 Na 0 0 0 8", "Cl1 Cl .5 .5 .5 4"], *FM3M,
             columns=(*SITES, "symmetry_multiplicity")),
         "atom site Na1 has 4 atoms in the cell by symmetry, but multiplicity 8"),
        (cif(CUBE, ["Na1 Na 0 0 0 .", "Cl1 Cl .5 .5 .5 1"], *FM3M, columns=(*SITES, "occupancy")),
         "atom site Na1: unknown occupancy '.'"),
        (cif(CUBE, ["Na1 Na 0 0 0 1", "Cl1 Cl .5 .5 .5 .9"], *FM3M, columns=(*SITES, "occupancy")),
         "partially occupied sites (Cl1: 0.9)"),
        (cif(CUBE, ["N1 N 0 0 0 4", "Cl1 Cl .5 .5 .5 0"], *FM3M,
             columns=(*SITES, "attached_hydrogens")), "N1 has 4 hydrogens without positions"),
        (cif(CUBE, ["Na1 Na 0 0 0", "H1 H . . ."], *FM3M), "atom site H1 has no position (. . .)"),
        (cif(CUBE, ["Na1 Na 0 0 0", "H1 H ? 0 0"], *FM3M), "atom site H1 has no position"),
        (cif(CUBE, ["Na1 X 0 0 0"], *FM3M), "atom site Na1: 'X' is not an element; remove"),
        (cif(CUBE, ["Li1 6Li 0 0 0"], *FM3M), "and the isotope's mass as `masses`"),
        (cif(CUBE, ["SI1 0 0 0"], *FM3M, columns=LABELS),
         "the label may be Si or S; give the element as _atom_site_type_symbol"),
        (cif(CUBE, ["H1 H 0 0 0"], *FM3M, "_chemical_formula_sum D"),
         "the formula has deuterium or tritium, but the sites have hydrogen"),
        (cif(CUBE, NACL, *FM3M) + cif("5.7 5.7 5.7 90 90 90", NACL, *FM3M).replace("_x", "_y", 1),
         "2 data blocks contain different crystals (data_x, data_y); keep one"),
        ("data_x\n_cell_length_a 5\n", "no atoms with fractional"),
        (cif(CUBE, NACL, *FM3M, "_cell_modulation_dimension 1"), "modulated"),
        (cif(CUBE, NACL, *FM3M, "_space_group_magn.number_BNS 1.1"), "magnetic CIF"),
        (cif("5 5 5 120 120 120", NACL, *hm("P 1")), "angles 120, 120, 120 do not form a cell"),
        (cif("5 5 1e9 90 90 90", NACL, *hm("P 1")), "_cell_length_c 1e+09"),
        (cif("5 5 x 90 90 90", NACL, *hm("P 1")), "_cell_length_c must be a number, found 'x'"),
        (cif(CUBE, ["Na1 Na 0 0"], *FM3M), "not a readable CIF (Wrong number of values in loop"),
        (cif(CUBE, [f"Na{i} Na 0 0 {i / 3000}" for i in range(3000)], *FM3M), "too many atoms"),
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

    paths = sorted((Path(ase.test.__file__).parent / "testdata" / "minerals").glob("*.cif"))
    assert len(paths) > 5
    for path in paths:
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
