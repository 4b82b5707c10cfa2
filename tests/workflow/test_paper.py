"""Dry runs of the figures of the papers, at both scales, and the page of what exists."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from phonsmith.paper.reading import load_paper
from phonsmith.paper.settings import PaperTable, Scale
from phonsmith.running.terminal import campaigns_here
from tests.campaigns import TINY
from tests.potcars import write_potcar
from tests.project import Project

SW = {"calculator": "stillinger-weber"}
VALENCES = {"Si": 4, "Sb": 5, "Se": 6, "Sn_d": 14, "Na_pv": 7, "Tl_d": 13, "Ga_d": 13, "O": 6}


def without_missing_files(settings: dict[str, Any]) -> dict[str, Any]:
    """A campaign without weights, databases and pseudopotentials that only a user can bring."""
    for name, fit in settings.get("fits", {}).items():
        model = fit.get("potential", {}).get("model", "")
        if model.startswith("potentials/"):
            settings["fits"][name] = {"kind": "existing", "potential": SW}
    if settings["reference"].get("potential", {}).get("model", "").startswith("potentials/"):
        settings["reference"]["potential"] = SW
    for runs in settings.get("distillation", {}).values():
        if "driver" in runs:
            runs["driver"] = {"calculator": "chgnet"}
    if settings["reference"]["method"] == "espresso":
        settings["reference"] = TINY["reference"]
    if settings.get("datasets", {}).pop("databases", None):
        sweeps = (one["recipe"] for one in settings.get("sweeps", {}).values())
        for fit in (*settings.get("fits", {}).values(), *sweeps):
            if "recorded" in fit.get("learn_from", []):
                fit["learn_from"] = [one for one in fit["learn_from"] if one != "recorded"]
                fit["learn_from"] = fit["learn_from"] or ["displaced"]
    return settings


@pytest.fixture(scope="module")
def table(repository: Path) -> PaperTable:
    known = campaigns_here(repository / "config/campaigns")
    return load_paper(repository / "config/paper.yaml", known)


@pytest.fixture
def project(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch, table: PaperTable
) -> Project:
    """All campaigns of the papers; pseudopotentials without content."""
    for symbol, valence in VALENCES.items():
        write_potcar(tmp_path / "potcars", symbol, valence=float(valence))
    monkeypatch.setenv("PMG_VASP_PSP_DIR", str(tmp_path / "potcars"))
    monkeypatch.setenv("MP_API_KEY", "a" * 32)  # a dry run asks no server
    folder = repository / "config/campaigns"
    kept = {path.stem: yaml.safe_load(path.read_text()) for path in folder.glob("*.yaml")}
    for name in table.campaigns("full") | {"si-teacher"}:
        if kept[name]["reference"].get("potcars", {}).keys() - {"Si"}:
            # no Stillinger-Weber potential, and nothing is missing but POTCARs and weights
            for fit in {"mp0-3b", "mpa"} & kept[name].get("fits", {}).keys():
                kept[name]["fits"][fit] = {"kind": "gap"}
        else:
            kept[name] = without_missing_files(kept[name])
    project = Project(tmp_path, repository, **kept)
    shutil.copy(repository / "config/paper.yaml", tmp_path / "config/paper.yaml")
    return project


def targets(table: PaperTable, scale: Scale) -> set[str]:
    return {path for one in table.figures.values() for path in one.at(scale).targets}


def test_every_target_at_small_scale_is_made_by_a_rule(project: Project, table: PaperTable) -> None:
    jobs = project.planned_jobs("local", "paper-small")
    assert len([job for job in jobs if job["rule"] == "paper_page"]) == 1
    planned = {job["campaign"] for job in jobs if "campaign" in job}
    assert table.campaigns("small") <= planned
    assert not planned & table.campaigns("full")


def test_every_target_at_full_scale_is_made_by_a_rule(project: Project, table: PaperTable) -> None:
    targets_of_pages = ("paper", "paper-plan")
    run = project.run("--quiet", "host", "--dry-run", *targets_of_pages)  # ends as Python does
    assert run.returncode == 0, run.stderr
    found = set(re.findall(r"results/[^\s,]+\.(?:svg|csv)", run.stdout + run.stderr))
    assert targets(table, "full") <= found
    for name in table.campaigns("small"):
        assert f"results/{name}/" not in run.stdout + run.stderr
    # what a cluster would be asked for, where it is known
    assert "no plan yet: ga2o3, natl, sb2se3, si, si-advanced" in run.stdout
    # crystals of the Materials Project are fetched, three of them for the advanced benchmark
    assert {"mp-2160", "mp-34", "mp-644693", "mp-988210"} <= set(
        re.findall(r"fetching crystal (mp-\d+)", run.stdout + run.stderr)
    )


def test_one_figure_needs_its_own_campaigns(project: Project) -> None:
    jobs = project.planned_jobs("local", "results/paper/small/G-table-2.html")
    assert {job["campaign"] for job in jobs if "campaign" in job} == {
        "si-transferability-small",
        "si-teacher-small",
    }
    words = ["config/paper.yaml", "'E44' is no figure", "did you mean 'E4'"]
    project.refuses(words, "--dry-run", "results/paper/small/E44.html")


def tiny_paper(folder: Path, **small: Any) -> None:
    entry = {"paper": "E", "shows": "RMSE", "full": {"lacks": "no campaign yet"}, "small": small}
    settings = {
        "papers": {"E": {"name": "Paper", "citation": "A paper"}},
        "figures": {"E1": entry},
    }
    (folder / "config/paper.yaml").write_text(yaml.safe_dump(settings))


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"tiny": ["figures/rmse.svg"]}, ["E1.small.files.tiny: no rule makes figures/rmse.svg"]),
        ({"tiny": ["figures/sweep_f.svg"]}, ["no rule makes figures/sweep_f.svg"]),
        ({"tiny": ["figures/bands/gap/mp-1.svg"]}, ["no rule makes figures/bands/gap/mp-1.svg"]),
        ({"tin": ["tables/rmse.csv"]}, ["E1.small.files: 'tin' is no campaign", "'tiny'"]),
    ],
)
def test_a_wrong_target_stops_in_one_line(
    tmp_path: Path, repository: Path, files: dict[str, list[str]], words: list[str]
) -> None:
    project = Project(tmp_path, repository, tiny=TINY)
    tiny_paper(tmp_path, files=files)
    project.refuses(["config/paper.yaml", *words], "--dry-run", "paper-small")


def test_the_page_of_what_exists_computes_nothing(tmp_path: Path, repository: Path) -> None:
    project = Project(tmp_path, repository, tiny=TINY)
    tiny_paper(tmp_path, files={"tiny": ["tables/rmse.csv", "figures/rmse_by_structure.svg"]})
    made = project.results("tiny") / "tables/rmse.csv"
    made.parent.mkdir(parents=True)
    made.write_text("fit,rmse_thz\ngap,0.25\n")
    target = "results/paper/small-now.html"
    assert project.planned(target) == {"paper_page_now": 1}
    run = project.run(target)
    assert run.returncode == 0, run.stdout + run.stderr
    text = (tmp_path / target).read_text()
    assert "tiny (small scale), reference: stillinger-weber" in text
    assert "0.25" in text
    assert "Not made yet: results/tiny/figures/rmse_by_structure.svg." in text
    assert project.planned(target) == {}
    made.write_text("fit,rmse_thz\ngap,0.5\n")
    assert project.planned(target) == {"paper_page_now": 1}
