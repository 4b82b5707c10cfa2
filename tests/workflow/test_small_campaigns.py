"""Whole runs of campaigns with parts left out, two campaigns in one plan, a stage of one's own."""

import shutil

import pandas as pd
import pytest

from tests.campaigns import TINY
from tests.project import Project

ALONE = {
    **{key: value for key, value in TINY.items() if key not in ("fits", "datasets")},
    "structures": {"mp-149": TINY["structures"]["mp-149"]},
    "thermodynamics": {"quasi_harmonic": False, "volumes": 5, "mesh_length_angstrom": 15},
}

GIVEN = {
    **ALONE,
    "fits": {"itself": TINY["fits"]["itself"]},
    "thermodynamics": None,
}


@pytest.mark.slow
def test_campaigns_that_train_nothing_have_tables_and_reports(tmp_path, repository):
    """The reference alone, and an existing potential alone."""
    given = {key: value for key, value in GIVEN.items() if value is not None}
    project = Project(tmp_path, repository, alone=ALONE, given=given)
    run = project.run()
    assert run.returncode == 0, run.stdout + run.stderr

    alone = project.results("alone")
    labels = pd.read_csv(alone / "tables/labels.csv")
    assert set(labels.kind) == {"displaced"}  # nobody learns from rattled ones
    (crystal,) = pd.read_csv(alone / "tables/phonons.csv").to_dict("records")
    assert (crystal["formula"], crystal["nac"]) == ("Si", False)
    gamma = pd.read_csv(alone / "tables/gamma.csv")
    assert gamma.frequency_thz.tolist() == pytest.approx([0, 0, 0, 17.8, 17.8, 17.8], abs=0.1)
    assert (alone / "figures/bands/reference/mp-149.svg").stat().st_size > 0
    page = (alone / "report.html").read_text()
    assert "figures/bands/reference/mp-149.svg" in page
    assert "17.8" in page
    assert (alone / "tables/warnings.csv").read_text() == "stage,subject,message\n"
    assert not (alone / "tables/rmse.csv").exists()

    errors = pd.read_csv(project.results("given") / "tables/errors.csv")
    whole = errors[(errors.kind == "all") & (errors.structure == "all")]
    assert set(whole.set) == {"test"}
    assert whole.rmse.max() < 1e-6
    assert whole[whole.quantity == "energy"]["count"].tolist() == [6]  # displaced and rattled
    assert not (project.results("given") / "datasets").exists()
    assert project.planned() == {}


def test_rattled_cells_that_are_not_asked_for_matter_to_nothing(tmp_path, repository):
    supercells = {**TINY["supercells"], "kinds": ["displaced"]}
    project = Project(tmp_path, repository, tiny={**TINY, "supercells": supercells})
    target = "results/tiny/supercells/gen0/mp-149.extxyz"
    assert project.run(target).returncode == 0
    others = {**supercells, "rattled": {"count": 7, "std_angstrom": 0.02}}
    assert project.planned_with({"supercells": others}, target) == {}
    larger = {**supercells, "min_length_angstrom": 7.0}
    assert project.planned_with({"supercells": larger}, target) == {"make_supercells": 1}


def test_a_campaign_that_learns_from_rattled_cells_has_reference_phonons(tmp_path, repository):
    supercells = {**TINY["supercells"], "kinds": ["rattled"]}
    project = Project(tmp_path, repository, tiny={**TINY, "supercells": supercells})
    planned = project.planned()
    assert planned["reference_phonons"] == 2
    assert planned["fit_phonons"] == 2 * 2
    assert planned["fit"] == 2


def test_two_campaigns_live_in_one_plan(tmp_path, repository):
    quick = {**TINY, "fits": {"itself": TINY["fits"]["itself"]}, "supercells": {"max_atoms": 250}}
    project = Project(tmp_path, repository, first=TINY, second=quick)
    run = project.plan("--dry-run", "--quiet", "host")
    assert run.returncode == 0, run.stderr
    for name in ("first", "second"):
        assert f"results/{name}/tables/rmse.csv" in run.stdout + run.stderr


NEW_STAGE = """
rule colours:
    output:
        "results/{campaign}/colours/{structure}.json",
    shell:
        "touch {output}"


rule colours_table:
    output:
        "results/{campaign}/tables/colours.csv",
    shell:
        "touch {output}"


rule draw_colours:
    output:
        "results/{campaign}/figures/colours.{format}",
    shell:
        "touch {output}"


STAGES["colours"] = Part(
    tables=lambda name: {"colours.csv": "Colours"},
    figures=lambda name: {"colours": "Colours of the crystals."},
    warnings=lambda name: [
        [structure, f"results/{name}/colours/{structure}.json"]
        for structure in campaign(name).structures
    ],
)
"""


def test_a_new_stage_is_its_rules_file_and_one_line(tmp_path, repository):
    """Its tables are targets, its figures come into the report, its warnings into their table."""
    house = tmp_path / "house"
    shutil.copytree(repository / "rules", house / "rules")
    for name in ("phonsmith", "scripts", "envs", "profiles", "config"):
        (house / name).symlink_to(repository / name)
    (house / "rules/colours.smk").write_text(NEW_STAGE)
    snakefile = (repository / "Snakefile").read_text()
    line = 'include: "rules/figures.smk"\n'
    assert snakefile.count(line) == 1
    (house / "Snakefile").write_text(
        snakefile.replace(line, f'include: "rules/colours.smk"\n{line}')
    )
    project = Project(tmp_path / "project", house, tiny=TINY)
    planned = project.planned()
    assert (planned["colours_table"], planned["draw_colours"], planned["colours"]) == (1, 1, 2)
    report = project.planned_with({"figures": {"formats": ["svg", "png"]}}, "--until", "report")
    assert report["draw_colours"] == 1  # a job draws all formats
