"""Crystals of POSCAR files."""

from pathlib import Path

import numpy as np
import pytest
from ase.io import read

from phonsmith.structures.reading import read_structure
from tests.structures.examples import BOX, PAIR, file_of, refused

FCC = "0 2.7 2.7\n2.7 0 2.7\n2.7 2.7 0"


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
        (f"title\n1.0\n{BOX}\n2\nDirect\n{PAIR}\n", "line 6: chemical symbols above"),
        (f"C O2\n1.0\n{BOX}\n1 2\nDirect\n{PAIR}\n.5 0 0\n", "line 6: chemical symbols"),
        (f"t\n1.0\n{BOX}\nWat\n2\nDirect\n{PAIR}\n", "line 6: 'Wat' is not an element"),
        (f"t\n1.0\n{BOX}\nH.75\n2\nDirect\n{PAIR}\n", "line 6: 'H.75' is not an element"),
        (f"t\n1.0\n{BOX}\nFe Cr\n2\nDirect\n{PAIR}\n", "1 numbers of atoms for 2 symbols (Fe Cr)"),
        (f"t\n1.0\n{BOX}\nFe\n2.5\nDirect\n{PAIR}\n", "line 7: numbers of atoms must be integers"),
        (f"t\n1.0\n{BOX}\nFe\n0\nDirect\n{PAIR}\n", "line 7: numbers of atoms must be integers"),
        (f"t\n1.0\n{BOX}\nFe\n999999999\nDirect\n{PAIR}\n", "line 7: 999999999 atoms"),
        (f"t\n0\n{BOX}\nFe\n2\nDirect\n{PAIR}\n", "line 2: the scale factor is 0"),
        (f"t\n1 1\n{BOX}\nFe\n2\nDirect\n{PAIR}\n", "line 2: the scale factor must be one number"),
        (f"t\n1 -1 1\n{BOX}\nFe\n2\nDirect\n{PAIR}\n", "line 2: three scale factors"),
        (f"t\nSi\n{BOX}\nFe\n2\nDirect\n{PAIR}\n", "line 2: the scale factor must be 1 number"),
        (f"t\n1\n{BOX}\nFe\n2\nFractional\n{PAIR}\n", "line 8: must be Direct or Cartesian"),
        (f"t\n1\n{BOX}\nFe\n2\nDirect\n0 0 0\n.5 .5\n", "line 10: position of atom 2"),
        (f"t\n1\n{BOX}\nFe\n2\nDirect\n0 0 0\n", "line 10 (position of atom 2 of 2); the file is"),
        (f"t\n1\n{BOX}\nFe\n1\nDirect\n{PAIR}\n", "line 10: more positions than the 1"),
        (f"t\n1\n{BOX}\nFe Cr\n1 1\nDirect\n0 0 0 Cr\n.5 .5 .5 Fe\n", "line 9: atom 1 is Fe by"),
        (f"t\n1\n{BOX}\nFe\n2\nDirect\n0 0 0\n1e300 .5 .5\n", "cells away"),
        (f"t\n.01\n{BOX}\nFe\n2\nDirect\n{PAIR}\n", "Å³ per atom; crystals have 0.5 to"),
        (f"t\n.001\n{FCC}\nFe\n1\nDirect\n0 0 0\n", "engths must be in Å: check units"),
        (f"t\n100\n{BOX}\nFe\n2\nDirect\n{PAIR}\n", "engths must be in Å"),
        ("t\n1\n.001 0 0\n0 90 0\n0 0 90\nFe\n1\nDirect\n0 0 0\n", "images are 0.001 Å apart"),
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
