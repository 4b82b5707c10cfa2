"""Bad campaigns and files that they name: one line with file and remedy, before anything runs."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from phonsmith.campaign.reading import load_campaign
from phonsmith.check.inputs import check_inputs
from phonsmith.files.errors import PhonsmithError
from tests.check.bad_files import (
    DATABASE,
    FILE_OF_SET,
    GOOD,
    SHA,
    changed,
    content_of,
    crystal,
    told,
)
from tests.project import Project

LOOP = {"goal": {"rmse_thz": 0.1, "harmonic_only": True}}

KAPPA_OF_SI = {
    **{"of": "conductivity", "structure": "si"},
    **{"temperature_kelvin": 300, "within_percent": 5},
}


def existing(**potential: Any) -> tuple[str, Any]:
    return "fits/own", {"kind": "existing", "potential": potential}


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
    ((("figures/dpi", 0),), ["figures.dpi", "or equal to 30"]),
    ((("fits/gap/sigma", 0.1),), ["fits.gap.sigma", "dictionary"]),
    ((("fits/gap/sigma_by_group", {"si": 0.1}),), ["fits.gap.sigma_by_group.si", "dictionary"]),
    # numbers in other units
    ((("supercells/displaced", {"distance_angstrom": 1}),), ["displaced.distance_angstrom", "0.5"]),
    ((("supercells/rattled/std_angstrom", 3),), ["supercells.rattled.std_angstrom", "0.5"]),
    ((("supercells/rattled/volume_factors", [95]),), ["rattled.volume_factors.0", "95"]),
    ((("reference", {**QE, "kspacing_per_angstrom": 20}),), ["kspacing_per_angstrom", "20"]),
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
        ["loop.selection.descriptor", "which 'gap' is not", "loop.judges", "soap"],
    ),
    (
        (
            ("loop/goal", {"rmse_thz": 0.1, "max_force_rmse_ev_per_angstrom": 0.1}),
            ("datasets/test_fraction", 0),
        ),
        ["max_force_rmse_ev_per_angstrom", "no test cells", "datasets.test_fraction"],
    ),
    (
        (("loop", LOOP), ("fits/gap/learn_from", ["displaced"])),
        ["loop", "no fit learns from rattled", "learn_from"],
    ),
    (
        (
            ("loop/goal", {"rmse_thz": 0.1, "properties": {"kappa": KAPPA_OF_SI}}),
            ("loop/max_generations", 1),
            ("conductivity", {}),
        ),
        ["loop.goal.properties", "convergence", "loop.max_generations"],
    ),
    (
        (
            ("loop/decided_by", ["gpa"]),
            ("loop/goal/rmse_thz", 0.1),
            ("loop/goal/properties", {"kappa": {**KAPPA_OF_SI, "uncertainty_percent": 5}}),
            ("conductivity", {}),
        ),
        ["loop.decided_by", "'gpa'", "did you mean 'gap'"],
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
    ((crystal("flat.vasp"),), ["flat.vasp", "zero volume", "give three lattice vectors"]),
    ((crystal("left.vasp"),), ["left.vasp", "left-handed", "exchange"]),
    ((crystal("bohr.vasp"),), ["si.file: bohr.vasp", "2.1 times", "bohr; convert", "0.529"]),
    ((crystal("marked.vasp"),), ["si.file: marked.vasp", "0.87 Å apart", "marked as Cartesian"]),
    ((crystal("unknown.vasp"),), ["unknown.vasp"]),
    ((crystal("none.vasp"),), ["none.vasp"]),
    ((crystal("nan.vasp"),), ["nan.vasp", "line 10", "'nan 0 0'"]),
    ((crystal("inf.vasp"),), ["inf.vasp", "line 10", "'inf 0 0'"]),
    ((crystal("nan-cell.vasp"),), ["nan-cell.vasp", "line 3", "'nan 0 0'"]),
    ((crystal("utf16.vasp"),), ["utf16.vasp", "not a text file"]),
    ((crystal("binary.vasp"),), ["binary.vasp", "not a text file"]),
    ((crystal("what.pdf"),), ["what.pdf", "use POSCAR"]),
    ((crystal("two.xyz"),), ["two.xyz", "contains 2 crystals"]),
    ((crystal("cut.xyz"),), ["cut.xyz", "cut off"]),
    ((crystal("dummy.xyz"),), ["dummy.xyz", "line 3", "'X' is not an element"]),
    ((crystal("vacuum.xyz"),), ["vacuum.xyz", "no Lattice"]),
    ((crystal("broken.cif"),), ["broken.cif"]),
    ((crystal("partly.cif"),), ["partly.cif", "partially occupied", "ordered"]),
    (
        (("supercells", {"min_atoms": 1, "max_atoms": 1}),),
        ["structures.si", "no multiple of 2 atoms", "supercells.max_atoms to 2"],
    ),
    ((crystal("nacl.vasp"),), ["stillinger-weber", "Cl, Na", "choose another"]),
    ((("structures/si/born", "BORN"),), ["structures.si.born", "no file BORN"]),
    (
        (("structures/si/masses", {"H": 2.0}),),
        ["structures.si.masses", "masses of H, which Si2 does not contain"],
    ),
    ((("structures/si/masses", [28.0]),), ["structures.si.masses", "1 masses for 2 atoms"]),
    ((("structures/si/masses", [28.0, 29.0]),), ["si.masses", "equivalent by symmetry"]),
    ((("structures/si/masses", {"Si": 0}),), ["si.masses", "at least 0.1 and below 500"]),
    # models
    ((existing(calculator="gap", model="no.xml"),), ["fits.own.potential.model", "no such"]),
    ((existing(calculator="gap"),), ["fits.own.potential", "requires `model`"]),
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
        ["t.json: not found in any mirror folder", "`mirrors` in config/config.yaml"],
    ),
    # places elsewhere, and what would be on record
    ((("datasets/databases/old", {**DATABASE, "train_files": ["../t"]}),), ["train_files", ".."]),
    (
        (("fits/gap/extra_arguments", {"gp_file": "../x"}),),
        ["extra_arguments.gp_file", "set by phonsmith"],
    ),
    (
        (("fits/gap/extra_arguments", {"x": "b/../../x"}),),
        ["extra_arguments.x", "must not contain .."],
    ),
    (
        (("fits/m", {**MACE, "extra_arguments": {"model_dir": "x"}}),),
        ["model_dir", "set by phonsmith"],
    ),
    ((("fits/m", {**MACE, "extra_arguments": {"a": "/etc/x"}}),), ["extra_arguments.a"]),
    (
        (("fits/m", {**MACE, "extra_arguments": {"foundation_model": "trap.model"}}),),
        ["extra_arguments.foundation_model"],
    ),
    (
        (("fits/m", {**MACE, "foundation": {"model": "https://me:pw@a.org/m", "sha256": SHA}}),),
        ["foundation", "remove user and password"],
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
            ("model_dir=/tmp/evil", "not an option name"),
            ("--model_dir", "not an option name"),
            ("model-dir", "not an option name"),
            ("a\nb", "not an option name"),
            ("model_di", "set by phonsmith"),
            ("work", "set by phonsmith"),
            ("pt_train", "set by phonsmith"),
            ("statistics", "set by phonsmith"),
            ("heads", "set by phonsmith"),
        ]
    ),
    (
        (("fits/gap/extra_arguments", {"GP_FILE": "x"}),),
        ["extra_arguments.GP_FILE", "set by phonsmith"],
    ),
    (
        (("fits/gap/extra_arguments", {"gap_file": "x"}),),
        ["extra_arguments.gap_file", "set by phonsmith"],
    ),
    ((("fits/gap/extra_arguments", {"a gp_file": "x"}),), ["extra_arguments", "not an option"]),
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
    ((crystal("a" * 5000),), ["structures.si.file", "longer than any path", "…"]),
    ((crystal("a\nb.vasp"),), ["structures.si.file", "line breaks"]),
    ((("structures/si/born", "a\0b"),), ["structures.si.born", "control characters"]),
    # what has to be there before it is made
    ((("fits/m", {**MACE, "foundation": own_fit("m")}),), ["fits.m", "trained from this fit"]),
    (
        (
            ("fits/m", {**MACE, "foundation": own_fit("n")}),
            ("fits/n", {**MACE, "foundation": own_fit("m")}),
        ),
        ["fits.m", "trained from this fit"],
    ),
    ((("fits/m", {**MACE, "foundation": own_fit("n", 1)}),), ["fits.m", "use the model of gen0"]),
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
            ["fits.own", "gap does not support Cl, Na of structures nacl, salt", "choose another"],
            ["reference", "stillinger-weber does not support Cl, Na of structures nacl, salt"],
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
            ["datasets.databases.two.source", "t.json: not found in any mirror folder"],
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
