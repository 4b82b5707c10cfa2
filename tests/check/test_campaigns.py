"""The fast check of campaign and site files."""

import os
from pathlib import Path

import pytest
import yaml

from phonsmith.campaign.model import Campaign
from phonsmith.check.campaigns import main
from phonsmith.check.crystals import doubts
from phonsmith.structures.reading import read_structure
from tests.project import SNAKEMAKE, Project, prepared

SILICON = "x\n0.6\n5 0 0\n0 5 0\n0 0 5\nSi\n2\nDirect\n0 0 0\n0.5 0.5 0.5\n"
GOOD = {
    "structures": {"si": {"file": "si.vasp"}},
    "reference": {"method": "calculator", "potential": {"calculator": "stillinger-weber"}},
    "fits": {"gap": {"kind": "gap"}},
}
BAD = {**GOOD, "structures": {"a": {"file": "no.vasp"}, "b": {"file": "none.cif"}}}


@pytest.fixture
def project(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    (tmp_path / "si.vasp").write_text(SILICON)
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path, repository, good=GOOD)


def said_by(capsys: pytest.CaptureFixture[str], *names: str) -> tuple[int, list[str], list[str]]:
    """Exit status, lines on what is good, and lines on what is wrong."""
    try:
        main(names)
        status = 0
    except SystemExit as end:
        status = int(end.code or 0)
    out, err = capsys.readouterr()
    return status, out.splitlines(), err.splitlines()


def test_what_is_good_has_a_summary(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.place_it(cpu={"partition": "c"})
    for names in ([], ["good"], ["config/campaigns/good.yaml"]):
        status, good, bad = said_by(capsys, *names)
        assert (status, bad) == (0, [])
        assert good[0] == "config/site.yaml: no problems"
        for word in ("good.yaml: no problems", "1 crystal", "stillinger-weber", "fits gap"):
            assert word in good[1]
    assert sorted(path.name for path in project.folder.iterdir()) == ["config", "si.vasp"]


def test_an_unusual_crystal_is_a_warning(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    (project.folder / "si.vasp").write_text(SILICON.replace("0.6", "0.74"))
    status, good, bad = said_by(capsys, "good")
    assert (status, bad) == (0, [])
    assert len(good) == 2 and "no problems" in good[1]
    for word in ("good.yaml: warning: structures.si:", "1.4 times", "25 Å³ per atom", "in Å"):
        assert word in good[0]


def test_settings_of_an_element_that_no_crystal_contains_are_a_warning(project: Project) -> None:
    iron = {"hubbard": {"Fe": {"orbital": "d", "u_ev": 4.0}}}
    reference = {"method": "vasp", "potcars": {"Si": "Si"}, **iron}
    campaign = Campaign.model_validate({**GOOD, "reference": reference})
    assert list(doubts(campaign, {"si": read_structure("si.vasp")})) == [
        "reference.hubbard.Fe: no crystal contains Fe"
    ]


OTHER = "results/other/fits/mace/gen0/model/mace.model"


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (OTHER, []),
        (OTHER.replace("fits/mace", "fits/mcae"), ["trains no fit 'mcae'; did you mean 'mace'?"]),
        (OTHER.replace("other", "othr"), ["no campaign 'othr'; did you mean 'other'?"]),
        (OTHER.replace("gen0", "gen1"), ["the last generation of the campaign other is gen0"]),
    ],
)
def test_models_of_other_campaigns_have_to_be_made_there(
    project: Project, capsys: pytest.CaptureFixture[str], model: str, words: list[str]
) -> None:
    project.write("other", {**GOOD, "fits": {"mace": {"kind": "mace"}}})
    potential = {"calculator": "mace", "model": model}
    tuned = {"kind": "mace", "foundation": {"model": model}}
    md = {"protocol": {"kind": "thermal", "start": {"structure": "si"}}, "driver": potential}
    own = {"kind": "existing", "potential": potential}
    project.write("one", {**GOOD, "fits": {"a": tuned, "b": own}, "distillation": {"md": md}})
    project.write("two", {**GOOD, "reference": {"method": "calculator", "potential": potential}})
    status, _, bad = said_by(capsys, "one", "two")
    places = [
        "one.yaml: distillation.md.driver.model",
        "one.yaml: fits.a.foundation.model",
        "one.yaml: fits.b.potential.model",
        "two.yaml: reference.potential.model",
    ]
    for place, line in zip(places if words else [], bad[:-1], strict=True):
        assert f"{place}: {model}: " in line
        assert all(word in line for word in words)
    assert status == bool(words)


def test_every_problem_is_listed(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.write("bad", BAD)
    project.write("odd", {**GOOD, "sed": 1, "fits": {"gap": {"kind": "nep"}}})
    project.place_it(cpu={"partition": "c"}, max_cpus=3)
    project.configure(campaigns=["good", "bad", "odd", "god"], mirror=[])
    os.mkfifo(project.folder / "config/campaigns/pipe.yaml")
    status, good, bad = said_by(capsys, "good", "bad", "odd", "god", "pipe")
    assert status == 1
    assert [line.split(":")[0] for line in good] == ["config/campaigns/good.yaml"]
    expected = [
        ["config/config.yaml: mirror: unknown key", "'mirrors'"],
        ["config/site.yaml: max_cpus: unknown key", "'max_cores'"],
        ["bad.yaml: structures.a.file: no.vasp"],
        ["bad.yaml: structures.b.file: none.cif"],
        ["odd.yaml: fits.gap: unknown kind 'nep'"],
        ["odd.yaml: sed: unknown key", "'seed'"],
        ["god.yaml: no such campaign file", "'good'"],
        ["pipe.yaml: is a device or a pipe"],
        ["fix these problems"],
    ]
    for line, words in zip(bad, expected, strict=True):
        assert line.startswith("phonsmith: ")
        for word in words:
            assert word in line


@pytest.mark.parametrize("name", ["good.yaml", "results/good", "config/campaigns/good"])
def test_a_path_that_is_none_names_the_campaign(
    project: Project, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    status, _, bad = said_by(capsys, name)
    assert status == 1
    assert "did you mean 'good'? available campaigns: good" in bad[0]


def test_the_other_spelling_of_yaml_is_named(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    (project.folder / "config/campaigns/mine.yml").write_text("")
    _, _, bad = said_by(capsys, "mine")
    assert "mine.yaml: no such campaign file; rename config/campaigns/mine.yml" in bad[0]


def test_snakemake_checks_too(project: Project) -> None:
    project.write("bad", BAD)
    project.configure(campaigns=["good", "bad"])
    run = project.run("check")
    assert run.returncode != 0
    assert "good.yaml: no problems" in run.stdout
    assert "structures.a.file" in run.stderr
    assert "structures.b.file" in run.stderr
    assert "Traceback" not in run.stderr
    made = [path for path in (project.folder / "results").rglob("*") if path.is_file()]
    assert [path.suffix for path in made] in ([], [".log"])


def test_snakemake_starts_whatever_the_profile_is_quiet_about(project: Project) -> None:
    """A profile without `quiet`, as profiles/slurm, once ended every run at its start."""
    command = [str(SNAKEMAKE), "--snakefile", str(project.repository / "Snakefile")]
    run = prepared([*command, "--directory", str(project.folder), "--cores", "1", "check"])
    assert run.returncode == 0, run.stderr
    assert "unexpected error" not in run.stderr


def test_of_many_problems_a_hundred_are_printed(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """A list of a thousand crystals: settings alone, since their files are all missing."""
    crystals = {f"mp-{i}": {"file": f"no/mp-{i}.vasp"} for i in range(1000)}
    (project.folder / "list.yaml").write_text(yaml.safe_dump({"structures": crystals}))
    project.write("many", {**GOOD, "structures_from": "list.yaml"})
    status, _, bad = said_by(capsys, "many")
    assert status == 1
    assert len(bad) == 102
    assert "900 more problems" in bad[-2]
