"""The plan in words, and `snakemake plan`."""

import re

import pandas as pd
import pytest

from phonsmith.plan.planner import make_plan
from phonsmith.plan.text import WIDTH, duration, to_markdown
from tests.campaigns import TINY
from tests.plan.examples import campaign_of, cells_of
from tests.project import Project


def test_text_fits_a_terminal_and_names_units(crystals):
    name = "a-very-long-name-of-a-structure-that-somebody-thought-of-" + 20 * "x"
    structures = {name: TINY["structures"]["mp-149"]}
    campaign = campaign_of(structures=structures, fits={"f" * 70: TINY["fits"]["gap"]})
    crystals = {name: crystals["mp-149"]}
    text = to_markdown(make_plan("tiny", campaign, crystals, cells_of(campaign, crystals)))
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "a-very-long-name" in text
    for table in re.findall(r"(?:^\|.*\n)+", text, re.M):
        assert len({line.count("|") for line in table.splitlines()}) == 1
    found = [duration(hours) for hours in (0, 1e-5, 0.001, 0.05, 1.25, 1234.5, None)]
    assert found == ["0", "< 1 s", "3.6 s", "3.0 min", "1.2 h", "1,234 h", "?"]


@pytest.fixture(scope="module")
def project(tmp_path_factory, repository):
    return Project(tmp_path_factory.mktemp("plan"), repository, tiny=TINY)


def test_snakemake_plan_prints_and_runs_nothing_expensive(project):
    assert set(project.planned("plan")) == {
        "read_structure",
        "plan_cells",
        "plan_campaign",
        "plan",
    }
    first = project.run("plan")
    assert first.returncode == 0, first.stderr
    assert "# Plan of tiny" in first.stdout  # with all that a profile may keep quiet
    results = project.results("tiny")
    assert not (results / "relaxed").exists() and not (results / "labels").exists()
    table = pd.read_csv(results / "plan.csv")
    assert table[table.stage == "label"].runs.sum() == 13
    assert set(table.partition) == {"cpu"}
    jobs = pd.read_csv(results / "plan_jobs.csv").set_index("what")
    assert jobs.loc["fit gap", ["jobs", "partition", "minutes"]].tolist() == [1, "cpu", 240]
    # again: nothing to do but print
    assert set(project.planned("plan")) == {"plan"}

    labelled = project.run("results/tiny/labels/gen0/mp-149.extxyz")
    assert labelled.returncode == 0, labelled.stderr
    again = project.run("plan")
    assert again.returncode == 0, again.stderr
    assert "6 finished labels of this campaign" in again.stdout
    table = pd.read_csv(results / "plan.csv").set_index(["stage", "structure"])
    assert table.loc["relaxation"].done.to_dict() == {"mp-149": 1, "mp-165": 0}
    assert table.loc[("label", "mp-149")].done.sum() == 6
    assert (table.loc[("label", "mp-149")].core_hours_left == 0).all()
    assert table.loc[("label", "mp-165")].done.sum() == 0
