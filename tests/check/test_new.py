"""``python -m phonsmith new``: a campaign file that is read, checked and planned as it is."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from phonsmith.campaign.drafting import known_references
from phonsmith.campaign.reading import load_campaign
from phonsmith.check.new import main, new_campaign
from phonsmith.files.errors import PhonsmithError
from phonsmith.labels.espresso.settings import EspressoReference
from phonsmith.labels.registry import KINDS
from tests.labels.espresso.examples import upf
from tests.potcars import write_potcar
from tests.project import Project

SILICON = "config/structures/silicon/mp-149.vasp"
TIN = "x\n1.0\n4.6 0 0\n0 4.6 0\n0 0 4.6\nSn\n2\nDirect\n0 0 0\n0.5 0.5 0.5\n"


@pytest.fixture
def project(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PMG_VASP_PSP_DIR", raising=False)
    project = Project(tmp_path, repository)
    project.configure(campaigns=["mine"], mirrors=[])
    return project


@pytest.fixture
def equipped(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with what DFT codes need for silicon."""
    write_potcar(project.folder / "potcars", "Si", valence=4.0)
    monkeypatch.setenv("PMG_VASP_PSP_DIR", str(project.folder / "potcars"))
    upf(project.folder / "config/pseudopotentials", "Si.pbesol.UPF")
    return project


def switched_on(text: str) -> str:
    """The text with all of its optional settings."""
    return re.sub(r"^( *)#(?=\S)", r"\1", text, flags=re.M)


@pytest.mark.parametrize("reference", known_references())
def test_the_file_is_planned_as_it_is(equipped: Project, reference: str) -> None:
    path = new_campaign("mine", [SILICON], reference)
    assert path == Path("config/campaigns/mine.yaml")
    found = load_campaign(path)
    assert found.structures["mp-149"].file == SILICON
    assert list(found.fits) == ["gap"]
    jobs = equipped.planned("results/mine/report.html")
    assert jobs["relax_structure"] == 1
    assert jobs["fit"] == 1


@pytest.mark.parametrize("reference", known_references())
def test_optional_settings_are_valid_too(project: Project, reference: str) -> None:
    path = new_campaign("mine", [SILICON], reference)
    text = switched_on(path.read_text())
    if reference == "espresso":  # ph.x has no magnetic response
        text = text.replace("born_charges: true", "born_charges: false")
    path.write_text(text)
    found = load_campaign(path)
    assert list(found.fits) == ["gap", "mtp", "mace"]
    assert found.conductivity is not None
    assert found.thermodynamics is not None
    assert found.loop is not None


@pytest.mark.parametrize("reference", known_references())
def test_what_it_writes_is_the_default_or_deliberate(project: Project, reference: str) -> None:
    """The file shows defaults, so that they can be changed; the fit has no other settings."""
    found = load_campaign(new_campaign("mine", [SILICON], reference))
    written = found.as_written()
    assert written["fits"] == {"gap": {"kind": "gap"}}
    assert "supercells" not in written or written["supercells"] == {
        "displaced": {"distance_angstrom": 0.03}
    }


IRON = "x\n1.0\n2.8 0 0\n0 2.8 0\n0 0 2.8\nFe\n2\nDirect\n0 0 0\n0.5 0.5 0.5\n"


@pytest.mark.parametrize("reference", ["vasp", "espresso"])
def test_elements_that_are_often_magnetic_are_named(project: Project, reference: str) -> None:
    Path("fe.vasp").write_text(IRON)
    text = new_campaign("iron", ["fe.vasp"], reference).read_text()
    assert "# Fe is often magnetic: decide." in text
    assert "magmom: {Fe: 5}" in text or reference == "espresso"
    assert "often magnetic" not in new_campaign("silicon", [SILICON], reference).read_text()


def test_the_scf_of_a_new_campaign_is_as_tight_as_the_default(project: Project) -> None:
    """Force errors have to be small beside the default GAP's σ of displaced cells, 1e-5 eV/Å."""
    reference = load_campaign(new_campaign("mine", [SILICON], "espresso")).reference
    assert reference.conv_thr_ry == EspressoReference.model_fields["conv_thr_ry"].default


def test_every_method_that_computes_can_be_drafted() -> None:
    assert {kind.settings for kind in KINDS.values() if not kind.drafts()} == {
        KINDS["recorded"].settings
    }


def test_pseudopotentials_of_the_project_are_found(project: Project) -> None:
    folder = project.folder / "config/pseudopotentials"
    upf(folder, "Si.pbesol.UPF")
    upf(folder, "Sn.broken.UPF").write_text("cut off")
    upf(folder, "Sn.pbe.UPF", element="Sn", functional="PBE")
    Path("sn.vasp").write_text(TIN)

    def reference(name: str, *files: str) -> dict:
        return yaml.safe_load(new_campaign(name, files, "espresso").read_text())["reference"]

    silicon = reference("silicon", SILICON)
    assert silicon["functional"] == "PBEsol"
    assert silicon["pseudopotentials"]["files"] == {"Si": "Si.pbesol.UPF"}
    assert silicon["ecutwfc_ry"] == 44  # 43.74 in the header
    assert silicon["occupations"] == "smearing"
    assert reference("tin", "sn.vasp")["functional"] == "PBE"
    both = reference("both", "sn.vasp", SILICON)  # none is made for both
    assert both["pseudopotentials"]["files"] == {"Si": "Si.UPF", "Sn": "Sn.UPF"}


def test_sssp_has_its_own_cutoffs(project: Project) -> None:
    folder = project.folder / "config/pseudopotentials/SSSP"
    folder.parent.mkdir()
    upf(folder, "Si.a.UPF", functional="PBE")
    (folder / "SSSP_1.3.json").write_text(
        '{"Si": {"filename": "Si.a.UPF", "md5": "0", "cutoff_wfc": 30.0, "cutoff_rho": 240.0}}'
    )
    found = yaml.safe_load(new_campaign("mine", [SILICON], "espresso").read_text())["reference"]
    assert found["pseudopotentials"] == {
        "folder": "config/pseudopotentials/SSSP",
        "family": "SSSP",
    }
    assert (found["functional"], found["ecutwfc_ry"], found["ecutrho_ry"]) == ("PBE", 30, 240)


def test_potcars_are_the_usual_ones(project: Project) -> None:
    Path("sn.vasp").write_text(TIN)
    found = yaml.safe_load(new_campaign("tin", ["sn.vasp"], "vasp").read_text())["reference"]
    assert found["potcars"] == {"Sn": "Sn_d"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("sn.vasp", {"sn": "sn.vasp"}),
        ("./cells/../sn.vasp", {"sn": "sn.vasp"}),
        ("{here}/sn.vasp", {"sn": "sn.vasp"}),
        ("beta=sn.vasp", {"beta": "sn.vasp"}),
        ("cells/beta/POSCAR", {"beta": "cells/beta/POSCAR"}),
        ("POSCAR", {"Sn": "POSCAR"}),
        ("POSCAR_bct", {"bct": "POSCAR_bct"}),
        ("β tin.vasp", {"tin": "β tin.vasp"}),
        ("no.vasp", {"no": "no.vasp"}),
        ("../outside.vasp", {"outside": "../outside.vasp"}),
    ],
)
def test_crystals_are_named_after_their_files(
    project: Project, given: str, expected: dict[str, str]
) -> None:
    file = Path(given.format(here=project.folder).partition("=")[2] or given)
    file = Path(str(file).format(here=project.folder))
    Path("cells").mkdir(exist_ok=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(TIN)
    path = new_campaign("mine", [given.format(here=project.folder)], "chgnet")
    found = load_campaign(path).structures
    assert {name: one.file for name, one in found.items()} == expected


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a/b", SILICON, "--reference", "vasp"], ["'a/b'", "name consists of"]),
        (["../x", SILICON, "--reference", "vasp"], ["'../x'", "name consists of"]),
        (["mine.yaml", SILICON, "--reference", "vasp"], ["without its ending"]),
        (["mine", "no.vasp", "--reference", "vasp"], ["no.vasp: no such structure file"]),
        (["mine", "empty.vasp", "--reference", "vasp"], ["empty.vasp", "empty"]),
        (["mine", "config", "--reference", "vasp"], ["config", "a folder"]),
        (["mine", "sn.vasp", "b/sn.cif.vasp", "sn.vasp", "--reference", "vasp"], ["both named sn"]),
        (["mine", "a b=sn.vasp", "--reference", "vasp"], ["'a b'", "crystal"]),
        (["mine", "sn.vasp", "--reference", "vap"], ["'vap'", "'vasp'", "espresso", "sevennet"]),
        (["mine", "sn.vasp", "--reference", "recorded"], ["recorded.survey"]),
        (["taken", "sn.vasp", "--reference", "vasp"], ["taken.yaml: exists already"]),
    ],
)
def test_one_line_and_nothing_written(
    project: Project, capsys: pytest.CaptureFixture[str], arguments: list[str], words: list[str]
) -> None:
    Path("sn.vasp").write_text(TIN)
    Path("b").mkdir()
    Path("b/sn.cif.vasp").write_text(TIN)
    Path("empty.vasp").touch()
    Path("config/campaigns/taken.yaml").write_text("mine alone")
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1, said.err
    for word in words:
        assert word in said.err
    assert [path.name for path in Path("config/campaigns").iterdir()] == ["taken.yaml"]
    assert Path("config/campaigns/taken.yaml").read_text() == "mine alone"


def test_outside_a_project_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sn.vasp").write_text(TIN)
    with pytest.raises(PhonsmithError, match="folder of the project"):
        new_campaign("mine", ["sn.vasp"], "chgnet")
    assert [path.name for path in tmp_path.iterdir()] == ["sn.vasp"]


def test_the_command_names_what_is_missing_and_the_next_steps(project: Project) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "phonsmith", "new", "mine", SILICON, "--reference", "espresso"],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(project.repository), "PATH": "/usr/bin:/bin"},
    )
    for words in (
        "config/campaigns/mine.yaml is written",
        "no folder config/pseudopotentials",
        "python -m phonsmith.check mine",
        "-n results/mine/report.html",
        "results/mine/plan.md",
        " results/mine/report.html",
    ):
        assert words in run.stdout
    assert run.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "lines", "words"),
    [([], 3, "usage: python -m phonsmith new NAME"), (["old"], 1, "new or check")],
)
def test_unknown_commands_are_refused(
    project: Project, arguments: list[str], lines: int, words: str
) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "phonsmith", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(project.repository), "PATH": "/usr/bin:/bin"},
    )
    assert run.returncode == 1
    assert len(run.stderr.splitlines()) == lines
    assert words in run.stderr
