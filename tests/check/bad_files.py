"""Bad files, and campaigns that name them."""

import copy
import os
import pickle
from pathlib import Path
from typing import Any

SHA = "0" * 64
SW = {"calculator": "stillinger-weber"}

GOOD: dict[str, Any] = {
    "structures": {"si": {"file": "si.vasp"}},
    "reference": {"method": "calculator", "potential": SW},
    "fits": {"gap": {"kind": "gap"}},
}

DATABASE = {
    "source": {"name": "old", "url": "https://a.org/b", "files": {"t.json": SHA}},
    "level_of_theory": "stillinger-weber",
    "train_files": ["t.json"],
}
FILE_OF_SET = {"files": {"t.json": SHA}}
CELL = "x\n0.6\n5 0 0\n0 5 0\n0 0 5\n{}\nDirect\n{}\n"
SILICON = CELL.format("Si\n2", "0 0 0\n0.5 0.5 0.5")
XYZ = '2\nLattice="5 0 0 0 5 0 0 0 5" Properties=species:S:1:pos:R:3\n'

GAP = (
    "<GAP_params label='GAP_1'>\n<descriptor>distance_2b Z1=14 Z2=14</descriptor>\n{}</GAP_params>"
)


class Trap:
    """What it is pickled as runs a command when it is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch sprung",)


FILES: dict[str, str | bytes] = {
    "si.vasp": SILICON,
    "nacl.vasp": CELL.format("Na Cl\n1 1", "0 0 0\n0.5 0.5 0.5"),
    "empty.vasp": "",
    "cut-head.vasp": SILICON[:12],
    "cut-atoms.vasp": SILICON.rsplit("0.5 0.5", 1)[0],
    "overlap.vasp": CELL.format("Si\n2", "0 0 0\n0.01 0 0"),
    "image.vasp": CELL.format("Si\n2", "0 0 0\n0 0 0.99"),
    "flat.vasp": SILICON.replace("0 0 5", "5 5 0"),
    "left.vasp": SILICON.replace("5 0 0\n0 5 0", "0 5 0\n5 0 0"),
    "bohr.vasp": SILICON.replace("0.6", "1.1"),
    "marked.vasp": SILICON.replace("Direct", "Cartesian").replace("0.6", "1.0"),
    "unknown.vasp": SILICON.replace("Si", "Zq"),
    "none.vasp": CELL.format("Si\n0", ""),
    "nan.vasp": CELL.format("Si\n2", "0 0 0\nnan 0 0"),
    "inf.vasp": CELL.format("Si\n2", "0 0 0\ninf 0 0"),
    "nan-cell.vasp": SILICON.replace("5 0 0", "nan 0 0"),
    "utf16.vasp": SILICON.encode("utf-16"),
    "binary.vasp": bytes(range(256)),
    "what.pdf": "%PDF-1.4",
    "two.xyz": 2 * (XYZ + "Si 0 0 0\nSi 1 2 3\n"),
    "cut.xyz": XYZ + "Si 0 0 0\n",
    "dummy.xyz": XYZ + "X 0 0 0\nSi 1 2 3\n",
    "vacuum.xyz": "1\n\nSi 0 0 0\n",
    "broken.cif": "data_x\n_cell_length_a five\n",
    "partly.cif": """data_x
_cell_length_a 5
_cell_length_b 5
_cell_length_c 5
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_occupancy
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Si1 Si 0.5 0 0 0
""",
    "gap.xml": GAP.format(""),
    "cut.xml": GAP.format("")[:-8],
    "lonely.xml": GAP.format('<gpCoordinates sparseX_filename="gap.sparse"/>'),
    "other.xml": "<xml/>",
    "trap.model": pickle.dumps(Trap()),
    "noise.model": b"PK\x03\x04" + bytes(100),
    "cut-born": "14.4\n12 0 0 0 12 0 0 0 12\n1 0 0 0\n",
    "set/t.json": "[]",
}


def changed(*changes: tuple[str, Any]) -> dict[str, Any]:
    settings = copy.deepcopy(GOOD)
    for dotted, value in changes:
        *parents, last = dotted.split("/")
        inner = settings
        for key in parents:
            inner = inner.setdefault(key, {})
        inner[last] = copy.deepcopy(value)
    return settings


def crystal(file: str) -> tuple[str, Any]:
    return "structures/si", {"file": file}


def told(error: BaseException, *words: str) -> str:
    """The text of an error, after checking that it is one line with these words."""
    text = str(error)
    assert "\n" not in text
    assert "Traceback" not in text
    for word in words:
        assert word in text, text
    return text


def content_of(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
