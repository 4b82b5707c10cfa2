"""Bad input: told in one line with file and remedy, before anything runs or is written."""

import copy
import hashlib
import itertools
import json
import os
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
import yaml
from ase.build import bulk

from phonsmith.campaign.model import Campaign
from phonsmith.campaign.reading import load_campaign
from phonsmith.check.inputs import check_inputs
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS, write_frames
from phonsmith.files.settings import Source
from phonsmith.files.sources import sha256_of
from phonsmith.labels.checks import labelled
from phonsmith.labels.recorded.reading import load_recorded
from phonsmith.labels.recorded.settings import RecordedReference
from phonsmith.potentials.calculators import Potential as FittedPotential
from phonsmith.potentials.calculators import (
    evaluate,
    load_potential,
    make_calculator,
    save_potential,
)
from phonsmith.potentials.settings import PotentialSource
from phonsmith.running.site import load_config
from phonsmith.structures.settings import OptimadeEntry
from tests.project import Project

SHA = "0" * 64
SW = {"calculator": "stillinger-weber"}
GOOD: dict[str, Any] = {
    "structures": {"si": {"file": "si.vasp"}},
    "reference": {"method": "calculator", "potential": SW},
    "fits": {"gap": {"kind": "gap"}},
}
LOOP = {"goal": {"rmse_thz": 0.1, "harmonic_only": True}}
KAPPA_OF_SI = {
    **{"of": "conductivity", "structure": "si"},
    **{"temperature_kelvin": 300, "within_percent": 5},
}
DATABASE = {
    "source": {"name": "old", "url": "https://a.org/b", "files": {"t.json": SHA}},
    "level_of_theory": "stillinger-weber",
    "train_files": ["t.json"],
}
FILE_OF_SET = {"files": {"t.json": SHA}}
CELL = "x\n1.0\n5 0 0\n0 5 0\n0 0 5\n{}\nDirect\n{}\n"
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


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with all bad files."""
    for name, content in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MP_API_KEY", raising=False)
    return tmp_path


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


def existing(**potential: Any) -> tuple[str, Any]:
    return "fits/own", {"kind": "existing", "potential": potential}


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


# --- campaign files, and the files that they name ------------------------------------------------

MACE = {"kind": "mace"}
QE = {
    "method": "espresso",
    "ecutwfc_ry": 30,
    "pseudopotentials": {"folder": "UPF", "files": {"Si": "Si.upf"}},
}


def own_fit(name: str, generation: int = 0) -> str:
    """The model that a fit of the campaign c makes."""
    return f"results/c/fits/{name}/gen{generation}/model/mace.model"


CAMPAIGNS: list[tuple[tuple[tuple[str, Any], ...], list[str]]] = [
    # types and ranges
    ((("seed", "one"),), ["seed", "integer"]),
    ((("seed", -1),), ["seed", "-1"]),
    ((("seed", 1.5),), ["seed", "1.5"]),
    ((("structures", []),), ["structures", "dictionary"]),
    ((("structures/si/file", 7),), ["structures.si.file", "string"]),
    ((("fits/gap/soap/n_sparse", 0),), ["fits.gap.soap.n_sparse", "greater than 0"]),
    ((("fits/gap/soap/cutoff_angstrom", float("inf")),), ["cutoff_angstrom", "finite"]),
    ((("labels/min_label_fraction", 95),), ["labels.min_label_fraction", "less than or equal"]),
    ((("supercells/min_atoms", 900),), ["supercells", "min_atoms", "max_atoms"]),
    ((("supercells/rattled/count", -3),), ["supercells.rattled.count", "-3"]),
    ((("datasets/test_fraction", 1),), ["datasets.test_fraction", "less than 1"]),
    ((("phonons/mesh_length_angstrom", "long"),), ["phonons.mesh_length_angstrom", "number"]),
    ((("benchmarks/mechanics", "perhaps"),), ["benchmarks.mechanics", "boolean"]),
    ((("figures/dpi", 0),), ["figures.dpi", "greater than 0"]),
    # unknown keys and words
    ((("sed", 1),), ["sed", "unknown key"]),
    ((("relaxation/fmax", 1),), ["relaxation.fmax", "unknown key"]),
    ((("reference/method", "castep"),), ["reference", "castep", "vasp"]),
    ((("reference/potential/calculator", "lj"),), ["reference.potential", "lj"]),
    ((("fits/gap/kind", "ace"),), ["fits.gap", "ace", "mace"]),
    ((("phonons/cells", ["squeezed"]),), ["phonons.cells", "squeezed"]),
    # contradictions
    ((("fits/m", {**MACE, "foundation": {}}),), ["fits.m.foundation", "model", "missing"]),
    ((("fits/m", {**MACE, "foundation": {"method": "naive"}}),), ["foundation", "missing"]),
    ((("fits/m", {**MACE, "foundation": "best"}),), ["fits.m.foundation", "best", "medium-0b3"]),
    ((("fits/m", {**MACE, "lora": {}}),), ["fits.m.lora", "unknown key"]),
    ((("loop", {}),), ["loop.goal", "missing"]),
    ((("loop", {"goal": {}}),), ["loop.goal.rmse_thz", "missing"]),
    ((("loop", {"goal": {"rmse_thz": 1}}),), ["loop.goal", "harmonic_only"]),
    ((("loop", LOOP), ("supercells/kinds", ["displaced"])), ["loop", "rattled"]),
    (
        (("loop", {**LOOP, "selection": {"method": "committee"}}),),
        ["loop", "repeats: 3", "resampled: true"],
    ),
    # loops that would fail, or never meet their goal, once generation 0 is paid for
    ((("loop", {**LOOP, "cells_per_structure": 70}),), ["70 cells", "60 candidates", "pool_size"]),
    (
        (("loop", {**LOOP, "selection": {"method": "farthest", "descriptor": "mace"}}),),
        ["loop.selection.descriptor", "'gap' is none", "loop.judges", "soap"],
    ),
    (
        (
            ("loop/goal", {"rmse_thz": 0.1, "max_force_rmse_ev_per_angstrom": 0.1}),
            ("datasets/test_fraction", 0),
        ),
        ["max_force_rmse_ev_per_angstrom", "no cells to test on", "datasets.test_fraction"],
    ),
    (
        (("loop", LOOP), ("fits/gap/learn_from", ["displaced"])),
        ["loop", "no fit learns from them", "learn_from"],
    ),
    (
        (
            ("loop/goal", {"rmse_thz": 0.1, "properties": {"kappa": KAPPA_OF_SI}}),
            ("loop/max_generations", 1),
            ("conductivity", {}),
        ),
        ["loop.goal.properties", "settled", "loop.max_generations"],
    ),
    (
        (
            ("loop/goal", {**LOOP["goal"], "cell": "reference", "max_volume_error_percent": 2}),
            ("phonons/cells", ["reference"]),
        ),
        ["max_volume_error_percent", "phonons.cells", "null"],
    ),
    ((("structures/si/recorded", "a.yaml"),), ["structures.si.recorded", "method: recorded"]),
    ((("structures/si/role", "benchmark"),), ["role: train"]),
    ((("structures/si/materials_project", "mp-149"),), ["structures.si", "exclude each other"]),
    ((("datasets/constraints/structures", ["ge"]),), ["constraints.structures", "'ge'"]),
    ((("fits", {}),), ["fits", "at least one"]),
    ((("datasets/databases", {"si": DATABASE}),), ["databases.si", "a structure has this name"]),
    (
        (("datasets/databases", {"old": {**DATABASE, "level_of_theory": "PBE"}}),),
        ["databases.old", "PBE", "relabel"],
    ),
    # crystals
    ((crystal("no.vasp"),), ["structures.si.file", "no.vasp: no such"]),
    ((crystal("."),), ["structures.si.file", "no such structure file"]),
    ((crystal("empty.vasp"),), ["empty.vasp", "empty"]),
    ((crystal("cut-head.vasp"),), ["cut-head.vasp", "cut off"]),
    ((crystal("cut-atoms.vasp"),), ["cut-atoms.vasp", "line 10", "position of atom 2"]),
    ((crystal("overlap.vasp"),), ["overlap.vasp", "Å apart; at least 0.5 Å"]),
    ((crystal("image.vasp"),), ["image.vasp", "Å apart"]),
    ((crystal("flat.vasp"),), ["flat.vasp", "no volume", "give three lattice vectors"]),
    ((crystal("left.vasp"),), ["left.vasp", "left-handed", "exchange"]),
    ((crystal("unknown.vasp"),), ["unknown.vasp"]),
    ((crystal("none.vasp"),), ["none.vasp"]),
    ((crystal("nan.vasp"),), ["nan.vasp", "line 10", "'nan 0 0'"]),
    ((crystal("inf.vasp"),), ["inf.vasp", "line 10", "'inf 0 0'"]),
    ((crystal("nan-cell.vasp"),), ["nan-cell.vasp", "line 3", "'nan 0 0'"]),
    ((crystal("utf16.vasp"),), ["utf16.vasp", "is no text"]),
    ((crystal("binary.vasp"),), ["binary.vasp", "is no text"]),
    ((crystal("what.pdf"),), ["what.pdf", "use POSCAR"]),
    ((crystal("two.xyz"),), ["two.xyz", "holds 2 crystals"]),
    ((crystal("cut.xyz"),), ["cut.xyz", "cut off"]),
    ((crystal("dummy.xyz"),), ["dummy.xyz", "line 3", "'X' is no element"]),
    ((crystal("vacuum.xyz"),), ["vacuum.xyz", "no volume"]),
    ((crystal("broken.cif"),), ["broken.cif"]),
    ((crystal("partly.cif"),), ["partly.cif", "partly occupied", "ordered"]),
    ((crystal("nacl.vasp"),), ["stillinger-weber", "Cl, Na", "choose another"]),
    ((("structures/si/born", "BORN"),), ["structures.si.born", "no file BORN"]),
    ((("structures/si/masses", {"H": 2.0}),), ["structures.si.masses", "there is no H in Si2"]),
    ((("structures/si/masses", [28.0]),), ["structures.si.masses", "1 masses for 2 atoms"]),
    ((("structures/si/masses", [28.0, 29.0]),), ["si.masses", "equivalent by symmetry"]),
    ((("structures/si/masses", {"Si": 0}),), ["structures.si.masses", "above 0 and below 500"]),
    # models
    ((existing(calculator="gap", model="no.xml"),), ["fits.own.potential.model", "no such"]),
    ((existing(calculator="gap"),), ["fits.own.potential", "needs `model`"]),
    ((existing(calculator="gap", model="gap.xml", sha256=SHA),), ["gap.xml", "checksum differs"]),
    ((existing(calculator="mace", model="trap.model"),), ["trap.model: not loaded", "trust"]),
    ((existing(calculator="a.b:C", model="trap.model"),), ["trap.model: not loaded", "trust"]),
    (
        (existing(calculator="mace", model="trap.model", sha256=SHA),),
        ["trap.model: not loaded", "checksum differs", "replace"],
    ),
    ((("fits/m", {**MACE, "foundation": "a/no.model"}),), ["foundation.model", "no such model"]),
    ((("fits/m", {**MACE, "foundation": "./trap.model"}),), ["trap.model: not loaded", "trust"]),
    # data sets
    (
        (("datasets/databases", {"old": {**DATABASE, "train_files": ["u.json"]}}),),
        ["databases.old", "u.json", "source.files"],
    ),
    (
        (
            (
                "datasets/databases/old",
                {**DATABASE, "source": {"name": "set", "files": {"t.json": SHA}}},
            ),
        ),
        ["set/t.json", "checksum differs", "replace the file"],
    ),
    (
        (
            (
                "datasets/databases/old",
                {**DATABASE, "source": {"name": "no", "files": {"t.json": SHA}}},
            ),
        ),
        ["t.json is in no mirror folder", "mirrors in config/config.yaml"],
    ),
    # places elsewhere, and what would be on record
    ((("datasets/databases/old", {**DATABASE, "train_files": ["../t"]}),), ["train_files", ".."]),
    ((("fits/gap/extra_arguments", {"gp_file": "../x"}),), ["extra_arguments.gp_file", "sets it"]),
    ((("fits/gap/extra_arguments", {"x": "b/../../x"}),), ["extra_arguments.x", "elsewhere"]),
    ((("fits/m", {**MACE, "extra_arguments": {"model_dir": "x"}}),), ["model_dir", "sets it"]),
    ((("fits/m", {**MACE, "extra_arguments": {"a": "/etc/x"}}),), ["extra_arguments.a"]),
    (
        (("fits/m", {**MACE, "extra_arguments": {"foundation_model": "trap.model"}}),),
        ["extra_arguments.foundation_model"],
    ),
    (
        (("fits/m", {**MACE, "foundation": {"model": "https://me:pw@a.org/m", "sha256": SHA}}),),
        ["foundation", "no user or password"],
    ),
    (
        (
            ("datasets/databases/old", DATABASE),
            ("datasets/databases/old/source/url", "https://me:pw@a.org/m"),
        ),
        ["datasets.databases.old.source.url"],
    ),
    *(
        ((("fits/m", {**MACE, "extra_arguments": {key: "x"}}),), ["extra_arguments", words])
        for key, words in [
            ("model_dir=/tmp/evil", "no name of an option"),
            ("--model_dir", "no name of an option"),
            ("model-dir", "no name of an option"),
            ("a\nb", "no name of an option"),
            ("model_di", "phonsmith sets it"),
            ("work", "phonsmith sets it"),
            ("pt_train", "phonsmith sets it"),
            ("statistics", "phonsmith sets it"),
            ("heads", "phonsmith sets it"),
        ]
    ),
    ((("fits/gap/extra_arguments", {"GP_FILE": "x"}),), ["extra_arguments.GP_FILE", "sets it"]),
    ((("fits/gap/extra_arguments", {"gap_file": "x"}),), ["extra_arguments.gap_file", "sets it"]),
    ((("fits/gap/extra_arguments", {"a gp_file": "x"}),), ["extra_arguments", "no name"]),
    # code in files that arguments name
    (
        (
            (
                "reference/potential",
                {
                    "calculator": "mace.calculators:MACECalculator",
                    "arguments": {"model_paths": "trap.model"},
                },
            ),
        ),
        ["reference.potential.arguments", "trap.model: not loaded", "trust"],
    ),
    (
        (existing(calculator="a.b:C", arguments={"deep": [["trap.model"]]}, sha256=SHA),),
        ["fits.own.potential.arguments", "trap.model: not loaded", "checksum differs"],
    ),
    # what a job would only find later
    ((existing(calculator="gap", model="cut.xml"),), ["own.potential.model", "cut.xml", "cut off"]),
    ((existing(calculator="gap", model="other.xml"),), ["other.xml", "not a GAP"]),
    ((existing(calculator="gap", model="lonely.xml"),), ["gap.sparse: no such", "copy all files"]),
    ((existing(calculator="mace", model="noise.model", trust=True),), ["noise.model: cut off"]),
    (
        (("fits/m", {**MACE, "foundation": {"model": "./noise.model", "trust": True}}),),
        ["fits.m.foundation.model", "noise.model: cut off", "again"],
    ),
    ((("reference/potential/arguments", {"lamda": 1}),), ["unknown argument lamda", "lambda1"]),
    ((("structures/si/born", "other.xml"),), ["structures.si.born", "other.xml", "BORN"]),
    ((("structures/si/born", "cut-born"),), ["structures.si.born", "cut-born", "nine numbers"]),
    ((("reference", QE), ("benchmarks/mechanics", True)), ["benchmarks.mechanics", "set false"]),
    ((("reference", {**QE, "command": "pw.x 'a"}),), ["reference.command", "No closing quotation"]),
    ((("labels/batches_per_structure", 10**7),), ["batches_per_structure", "1000"]),
    ((("reference/potential/calculator", "a b;c:X y"),), ["reference.potential", "import path"]),
    ((("reference/potential/calculator", ":X"),), ["reference.potential", "import path"]),
    # paths that are none
    ((("structures_from", ["a\0"]),), ["structures_from", "control characters"]),
    ((("structures_from", "a\nb"),), ["structures_from", "line breaks"]),
    ((crystal("a" * 5000),), ["structures.si.file", "longer than a path", "…"]),
    ((crystal("a\nb.vasp"),), ["structures.si.file", "line breaks"]),
    ((("structures/si/born", "a\0b"),), ["structures.si.born", "control characters"]),
    # what has to be there before it is made
    ((("fits/m", {**MACE, "foundation": own_fit("m")}),), ["fits.m", "made from its own"]),
    (
        (
            ("fits/m", {**MACE, "foundation": own_fit("n")}),
            ("fits/n", {**MACE, "foundation": own_fit("m")}),
        ),
        ["fits.m", "made from its own"],
    ),
    ((("fits/m", {**MACE, "foundation": own_fit("n", 1)}),), ["fits.m", "take that of gen0"]),
    (
        (("reference/potential", {"calculator": "mace", "model": own_fit("m")}),),
        ["reference.potential.model", "of another campaign"],
    ),
]


@pytest.mark.parametrize(
    ("changes", "words"), CAMPAIGNS, ids=[f"{i}-{one[1][0]}" for i, one in enumerate(CAMPAIGNS)]
)
def test_a_bad_campaign_is_refused(
    here: Path, changes: tuple[tuple[str, Any], ...], words: list[str]
) -> None:
    path = here / "c.yaml"
    path.write_text(yaml.safe_dump(changed(*changes)))
    before = content_of(here)
    with pytest.raises(PhonsmithError) as caught:
        check_inputs(load_campaign(path), path, [here])
    assert told(caught.value, *words).startswith(f"{path}: ")
    assert content_of(here) == before


# several mistakes at once: a line for each
SEVERAL: list[tuple[tuple[tuple[str, Any], ...], list[list[str]]]] = [
    (
        (
            ("structures/a", {"file": "no.vasp"}),
            ("structures/b", {"file": "empty.vasp", "born": "cut-born"}),
            ("structures/c", {"file": "flat.vasp"}),
            existing(calculator="gap", model="cut.xml"),
            ("fits/m", {**MACE, "foundation": "./trap.model"}),
        ),
        [
            ["structures.a.file", "no.vasp: no such"],
            ["structures.b.file", "empty.vasp"],
            ["structures.b.born", "cut-born", "nine numbers"],
            ["structures.c.file", "flat.vasp"],
            ["fits.own.potential.model", "cut.xml", "cut off"],
            ["fits.m.foundation.sha256", "trap.model: not loaded"],
        ],
    ),
    (
        (
            ("structures/nacl", {"file": "nacl.vasp"}),
            ("structures/salt", {"file": "nacl.vasp"}),
            existing(calculator="gap", model="gap.xml"),
        ),
        [
            ["fits.own", "gap does not know Cl, Na of structures nacl, salt", "choose another"],
            ["reference", "stillinger-weber does not know Cl, Na of structures nacl, salt"],
        ],
    ),
    (
        (
            ("datasets/databases/one", {**DATABASE, "source": {"name": "set", **FILE_OF_SET}}),
            ("datasets/databases/two", {**DATABASE, "source": {"name": "no", **FILE_OF_SET}}),
            ("structures/b", {"file": "a.pdf"}),
        ),
        [
            ["structures.b.file", "a.pdf"],
            ["datasets.databases.one.source", "set/t.json", "checksum differs"],
            ["datasets.databases.two.source", "t.json is in no mirror folder"],
        ],
    ),
]


@pytest.mark.parametrize(("changes", "lines"), SEVERAL)
def test_all_bad_files_are_named(
    here: Path, changes: tuple[tuple[str, Any], ...], lines: list[list[str]]
) -> None:
    path = here / "c.yaml"
    path.write_text(yaml.safe_dump(changed(*changes), sort_keys=False))
    with pytest.raises(PhonsmithError) as caught:
        check_inputs(load_campaign(path), path, [here])
    for line, words in zip(str(caught.value).splitlines(), lines, strict=True):
        told(Exception(line), f"{path}: ", *words)


def test_an_exception_of_a_library_is_a_line_with_the_key(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import phonsmith.structures.reading

    def broken(path: str) -> Any:
        raise KeyError("spglib\nfound nothing")

    monkeypatch.setattr(phonsmith.structures.reading, "read_structure", broken)
    (here / "c.yaml").write_text(yaml.safe_dump(GOOD))
    with pytest.raises(PhonsmithError) as caught:
        check_inputs(load_campaign(here / "c.yaml"), here / "c.yaml", [here])
    told(caught.value, "c.yaml: structures.si.file: KeyError", "spglib")
    assert "Traceback" in caught.value.details
    assert "broken" in caught.value.details


def test_a_gap_whose_sparse_points_are_in_a_folder_is_one_line(
    here: Path, shared_data: Path
) -> None:
    shutil.copy(shared_data / "real-inputs/gap-sparsex-in-a-folder.xml", here)
    path = here / "c.yaml"
    model = "gap-sparsex-in-a-folder.xml"
    path.write_text(yaml.safe_dump(changed(existing(calculator="gap", model=model))))
    with pytest.raises(PhonsmithError) as caught:
        check_inputs(load_campaign(path), path, [here])
    told(caught.value, "fits.own.potential.model", "some/folder/Si.soapparam: no such file", model)
    (here / "some/folder").mkdir(parents=True)
    (here / "some/folder/Si.soapparam").write_text("1.0\n")
    check_inputs(load_campaign(path), path, [here])


def test_the_good_campaign_is_good(here: Path) -> None:
    """Else all of the refusals above would prove nothing."""
    (here / "c.yaml").write_text(yaml.safe_dump(GOOD))
    check_inputs(load_campaign(here / "c.yaml"), here / "c.yaml", [here])


# some of each sort, as a user meets them: exit status, terminal, nothing run


def through_snakemake(
    folder: Path, repository: Path, changes: tuple[tuple[str, Any], ...], words: list[str]
) -> None:
    project = Project(folder, repository, c=changed(*changes))
    project.configure(campaigns=["c"], mirrors=["."])
    project.refuses(["config/campaigns/c.yaml", *words])
    assert not (folder / "sprung").exists()


@pytest.mark.parametrize("number", range(0, len(CAMPAIGNS), 18))
def test_snakemake_stops_with_one_line(here: Path, repository: Path, number: int) -> None:
    through_snakemake(here, repository, *CAMPAIGNS[number])


# --- names ---------------------------------------------------------------------------------------

HOSTILE = [
    *("", ".", "..", "../x", "a/b", "/etc/x", "~", "a b", "a\tb", "a\nb", "a\\b", "-rf", ".hidden"),
    *("$(touch x)", "`touch x`", "a;touch x", "a&b", "a|b", "a>b", "a'b", 'a"b', "{x}", "a*", "é"),
    *("a" * 81, "a.json", "a.log", "a.tsv"),
]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_names_that_a_shell_or_a_folder_could_stumble_over_are_refused(name: str) -> None:
    places: list[Callable[[str], Any]] = [
        lambda name: Campaign.model_validate(changed(("structures", {name: {"file": "a"}}))),
        lambda name: Campaign.model_validate(changed(("fits", {name: {"kind": "gap"}}))),
        lambda name: Campaign.model_validate(
            changed(("sweeps", {name: {"recipe": {"kind": "gap"}, "settings": {"seed": [1]}}}))
        ),
        lambda name: Campaign.model_validate(changed(("datasets/databases", {name: DATABASE}))),
        lambda name: Source(name=name, files={"a": SHA}),
        lambda name: OptimadeEntry(provider=name, id="1"),
        lambda name: load_config({"campaigns": [name]}),
    ]
    for place in places:
        with pytest.raises((ValueError, PhonsmithError)):
            place(name)


def test_no_two_names_share_a_file(repository: Path) -> None:
    """Of all rules and of names made for it: no file twice, and none where a folder has to be."""
    patterns = {
        path
        for rules in (repository / "rules").glob("*.smk")
        for section in re.findall(
            r"^    (?:output|log|benchmark):\n((?:        .*\n)+)", rules.read_text(), re.M
        )
        for path in re.findall(r'"(results/[^"]+)"', section)
        if "supercells/gen0" not in path  # those of a rule for the first generation alone
    }
    assert len(patterns) > 100
    names = ["a", "a.0", "a.cell0", "a.cumulative", "a.failures", "a.read", "a.svg", "gen0"]
    names += ["databases", "mechanics", "generations", "batches", "cumulative", "cell0", "0"]
    fixed = {
        **{"campaign": ["c"], "generation": ["0"], "index": ["0"], "mesh": ["0"]},
        **{"batch": ["0", "10"], "cell": ["relaxed", "reference"], "format": ["svg"]},
        **{"figure": ["thermal_expansion"], "origin": ["o"], "entry": ["e"]},
        "method": ["reference", *(f"{name}/gen0" for name in names)],
    }
    found: dict[str, str] = {}
    for pattern in sorted(patterns):
        wildcards = list(dict.fromkeys(re.findall(r"{(\w+)}", pattern)))
        for values in itertools.product(*(fixed.get(one, names) for one in wildcards)):
            path = pattern.format(**dict(zip(wildcards, values, strict=True)))
            assert path not in found, (pattern, values, found[path])
            found[path] = pattern
    folders = {str(parent) for path in found for parent in PurePosixPath(path).parents}
    assert not folders & found.keys()


@pytest.mark.parametrize("file", ["", "/etc/passwd", "..", "../a", "a/../../b", "a/.."])
def test_files_of_a_data_set_stay_in_its_folder(file: str) -> None:
    with pytest.raises(ValueError):
        Source(name="a", files={file: SHA})


def test_a_hostile_file_name_is_a_file_name(here: Path, repository: Path) -> None:
    name = "a b;touch sprung $(touch sprung) 'x' \"y\" &.vasp"
    (here / name).write_text(SILICON)
    project = Project(here, repository, c=changed(crystal(name)))
    run = project.run("results/c/structures/si.extxyz")
    assert run.returncode == 0, run.stderr
    assert not list(here.rglob("sprung"))


# --- recorded data -------------------------------------------------------------------------------


def frames(count: int = 6) -> list[Any]:
    """Cells of silicon, every atom moved a little, with labels of Stillinger-Weber."""
    random = np.random.default_rng(3)
    cells = [bulk("Si", cubic=True) for _ in range(count)]
    for cell in cells:
        cell.positions += random.normal(0, 0.02, cell.positions.shape)
    results = evaluate(cells, PotentialSource(calculator="stillinger-weber"))
    pairs = zip(cells, results, strict=True)
    return [labelled(cell, "SW", one.energy, one.forces, one.stress) for cell, one in pairs]


def times(key: str, factor: float) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        labels = frames()
        for atoms in labels:
            place = atoms.arrays if key == FORCES else atoms.info
            place[key] = place[key] * factor
        write_frames(path, labels)

    return write


def text(content: str) -> Callable[[Path], None]:
    return lambda path: (path.write_text(content), None)[1]


def edited(old: str, new: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        write_frames(path, frames(2))
        content = path.read_text()
        assert old in content
        path.write_text(content.replace(old, new))

    return write


def without_forces(path: Path) -> None:
    labels = frames(2)
    for atoms in labels:
        del atoms.arrays[FORCES]
    write_frames(path, labels)


def not_finite(path: Path) -> None:
    labels = frames(2)
    for atoms in labels:
        atoms.arrays[FORCES][0, 0] = np.nan
    write_frames(path, labels)


def net_force(path: Path) -> None:
    labels = frames(2)
    for atoms in labels:
        atoms.arrays[FORCES] += 0.1
    write_frames(path, labels)


VASPRUN = '<?xml version="1.0"?>\n<modeling>\n <generator><i name="program">vasp</i></generator>\n'
RECORDED: list[tuple[str, str, Callable[[Path], None], list[str]]] = [
    ("extxyz", "a.xyz", times(ENERGY, 1 / 27.2114), ["energies change by 0.03", "27.2 eV"]),
    ("extxyz", "a.xyz", times(ENERGY, 27.2114), ["energies change by 27", "convert"]),
    ("extxyz", "a.xyz", times(FORCES, 27.2114), ["energies change by 0.03", "convert"]),
    ("extxyz", "a.xyz", without_forces, ["has no REF_forces", "REF_energy"]),
    ("extxyz", "a.xyz", not_finite, ["not finite"]),
    ("extxyz", "a.xyz", net_force, ["forces sum to"]),
    ("extxyz", "a.xyz", edited("REF_forces:R:3", "REF_forces:R:2"), ["a.xyz"]),
    ("extxyz", "a.xyz", edited("REF_stress=", "REF_stress=1 "), ["a.xyz"]),
    ("extxyz", "a.xyz", edited("REF_energy=", "REF_energy=abc"), ["a.xyz"]),
    ("extxyz", "a.xyz", text("not a number\n"), ["frame 0 begins with 'not a number'"]),
    ("extxyz", "a.xyz", text(""), ["holds no labelled cell"]),
    ("extxyz", "a.xyz", lambda path: (path.write_bytes(bytes(range(256))), None)[1], ["a.xyz"]),
    ("vasprun", "vasprun.xml", text(VASPRUN), ["not a complete vasprun.xml"]),
    ("vasprun", "vasprun.xml", text(VASPRUN + "</modeling>\n"), ["vasprun.xml"]),
    ("vasprun", "vasprun.xml", text("{}"), ["not a complete vasprun.xml"]),
    ("vasprun", "vasprun.xml.gz", text("not packed"), ["vasprun.xml.gz"]),
    ("outcar", "OUTCAR", text("vasp.6.4.2\n"), ["OUTCAR"]),
    ("phonopy", "a.yaml", text("a: [1\n"), ["a.yaml"]),
    ("phonopy", "a.yaml", text("phonopy: {}\n"), ["a.yaml"]),
    ("phonopy", "a.yaml", text(""), ["a.yaml"]),
    ("phono3py", "a.yaml", text("phono3py: {}\n"), ["a.yaml"]),
]


@pytest.mark.parametrize(("format", "name", "write", "words"), RECORDED)
def test_bad_recorded_data_are_refused(
    here: Path, format: Any, name: str, write: Callable[[Path], None], words: list[str]
) -> None:
    write(here / "set" / name)
    source = Source(name="set", files={name: sha256_of(here / "set" / name)})
    reference = RecordedReference(
        method="recorded", level_of_theory="x", source=source, format=format
    )
    before = content_of(here)
    with pytest.raises(PhonsmithError) as caught:
        load_recorded(reference, name, [here], here / "cache")
    told(caught.value, name, *words)
    assert content_of(here) == before


def test_good_recorded_data_are_read(here: Path) -> None:
    write_frames(here / "set/a.xyz", frames())
    source = Source(name="set", files={"a.xyz": sha256_of(here / "set/a.xyz")})
    reference = RecordedReference(
        method="recorded", level_of_theory="x", source=source, format="extxyz"
    )
    read = load_recorded(reference, "a.xyz", [here], here / "cache")
    assert len(read.frames) == 6
    assert all(STRESS in atoms.info for atoms in read.frames)


@pytest.mark.parametrize("content", ["[", "{}", '[{"group": 1}]', "null", "[1]"])
def test_other_json_is_no_data_set(here: Path, content: str) -> None:
    from phonsmith.labels.recorded.reading import read_recorded

    (here / "t.json").write_text(content)
    with pytest.raises(PhonsmithError) as caught:
        read_recorded(here / "t.json", "mlearn", "x")
    told(caught.value, "t.json")


def test_broken_recorded_data_leave_nothing_behind(here: Path, repository: Path) -> None:
    (here / "set/vasprun.xml").write_text(VASPRUN)
    digest = hashlib.sha256(VASPRUN.encode()).hexdigest()
    recorded = {
        "structures": {"si": {"file": "si.vasp", "recorded": "vasprun.xml"}},
        "reference": {
            "method": "recorded",
            "level_of_theory": "VASP PBE",
            "format": "vasprun",
            "source": {"name": "set", "files": {"vasprun.xml": digest}},
        },
        "fits": {"gap": {"kind": "gap"}},
    }
    project = Project(here, repository, c=recorded)
    project.configure(campaigns=["c"], mirrors=["."])
    run = project.run("results/c/tables/labels.csv")
    assert run.returncode != 0
    said = {line for line in run.stderr.splitlines() if line.startswith("phonsmith: ")}
    assert len(said) == 1, run.stderr
    told(Exception(said.pop()), "set/vasprun.xml", "not a complete vasprun.xml")
    assert "Traceback" not in run.stdout + run.stderr
    made = {path.name for path in project.results("c").iterdir()}
    assert {"structures", "relaxed", "logs"} <= made  # of the crystal file, which is good
    assert not {"labels", "datasets", "fits", "phonons", "tables"} & made
    supercells = project.results("c") / "supercells"
    assert not any(path.is_file() for path in supercells.rglob("*"))


# --- models --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"calculator": "gap", "model": "cut.xml"}, ["cut.xml", "cut off or damaged", "again"]),
        ({"calculator": "gap", "model": "other.xml"}, ["other.xml", "not a GAP"]),
        ({"calculator": "gap", "model": "lonely.xml"}, ["gap.sparse", "belongs to lonely.xml"]),
        ({"calculator": "gap", "model": "gap.xml", "sha256": SHA}, ["gap.xml", "checksum"]),
        ({"calculator": "mace", "model": "noise.model", "trust": True}, ["noise.model", "cut off"]),
        ({"calculator": "mace", "model": "trap.model"}, ["trap.model: not loaded", "sha256: "]),
        (
            {"calculator": "os:system", "arguments": {"command": "touch sprung"}},
            ["touch sprung: not loaded", "os:system", "trust: true"],
        ),
        ({"calculator": "os:getcwd"}, ["os:getcwd", "no class", "trust: true"]),
        ({"calculator": "os:getcwd", "trust": True}, ["os:getcwd", "makes no ASE calculator"]),
        (
            {
                "calculator": "mace.calculators:MACECalculator",
                "arguments": {"model_paths": ["trap.model"]},
            },
            ["trap.model: not loaded", "trust"],
        ),
        ({"calculator": "no.such:Thing"}, ["no.such:Thing", "cannot be imported"]),
        ({"calculator": "stillinger-weber", "arguments": {"x": 1}}, ["unknown argument x"]),
    ],
)
def test_bad_models_are_refused(here: Path, settings: dict[str, Any], words: list[str]) -> None:
    before = content_of(here)
    with pytest.raises(PhonsmithError) as caught:
        make_calculator(PotentialSource.model_validate(settings))
    told(caught.value, *words)
    assert content_of(here) == before  # the trap was not sprung


def test_the_trap_is_one_and_its_user_may_spring_it(here: Path) -> None:
    for ways in ({"trust": True}, {"sha256": sha256_of(here / "trap.model")}):
        source = PotentialSource(calculator="mace", model="trap.model", **ways)
        with pytest.raises(PhonsmithError, match="cannot be built"):
            make_calculator(source)
        (here / "sprung").unlink()


def test_a_model_of_this_pipeline_is_known_by_its_record(here: Path) -> None:
    folder = here / "results/c/fits/fit/gen0"
    model = folder / "model/mace.model"
    model.parent.mkdir(parents=True)
    model.write_bytes(b"\x80 not a model, but on record")
    made = FittedPotential(
        source=PotentialSource(calculator="mace", model=str(model), sha256=sha256_of(model)),
        has_energies=True,
        level_of_theory="x",
        fit="mace",
    )
    save_potential(folder / "potential.json", made)
    for source in (
        load_potential(folder / "potential.json").source,
        PotentialSource(calculator="mace", model=str(model)),
    ):
        with pytest.raises(PhonsmithError, match="cannot be built"):  # known, so it is tried
            make_calculator(source)
    foreign = here / "elsewhere/results/c/fits/fit/gen0"  # with a record that anybody can write
    shutil.copytree(folder, foreign)
    with pytest.raises(PhonsmithError, match="not loaded, since"):
        make_calculator(PotentialSource(calculator="mace", model=str(foreign / "model/mace.model")))
    model.write_bytes(b"changed since")
    with pytest.raises(PhonsmithError, match=r"not loaded, its checksum differs"):
        make_calculator(PotentialSource(calculator="mace", model=str(model)))
    record = json.loads((folder / "potential.json").read_text())
    record["source"]["sha256"] = None
    (folder / "potential.json").write_text(json.dumps(record))
    with pytest.raises(PhonsmithError, match="not loaded, since"):
        make_calculator(PotentialSource(calculator="mace", model=str(model)))
