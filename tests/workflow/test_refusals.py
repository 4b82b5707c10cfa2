"""Bad input stops a run in one line, before any job."""

import json
import re

import pytest

from tests.campaigns import TINY
from tests.project import Project


def test_a_prepared_process_says_what_a_fresh_one_says(tmp_path, repository):
    """Else the tests of refusals and dry runs would not be of what a user sees."""
    project = Project(tmp_path, repository, tiny={**TINY, "sed": 1})
    fresh, prepared = project.run("--dry-run"), project.plan("--dry-run")
    assert fresh.returncode == prepared.returncode == 1
    assert fresh.stderr == prepared.stderr
    assert "sed: unknown key" in fresh.stderr


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("results/tiny/structures/mp-1.extxyz", ["structures/mp-1", "mp-149, mp-165"]),
        (
            "results/tiny/phonons/reference/reference/mp-1.yaml",
            ["structures/mp-1", "mp-149, mp-165"],
        ),
        ("results/tiny/fits/gapp/gen0/potential.json", ["fits/gapp", "gap, itself"]),
        ("results/tiny/labels/databases/old/train.extxyz", ["datasets/databases/old", "none"]),
        ("results/tinny/report.html", ["config/campaigns/tinny.yaml", "no such"]),
    ],
)
def test_an_unknown_name_in_a_target_is_said_in_one_line(tmp_path, repository, target, words):
    project = Project(tmp_path, repository, tiny=TINY)
    project.refuses(words, "--dry-run", target)


@pytest.mark.parametrize(
    ("site", "words"),
    [
        ({"campaigns": ["tiny"], "mirors": []}, ["mirors", "unknown key"]),
        ({"campaigns": ["tiny"], "mirrors": "~/data"}, ["mirrors", "list"]),
        ({"campaigns": []}, ["campaigns", "at least 1"]),
    ],
)
def test_a_faulty_config_file_is_said_in_one_line(tmp_path, repository, site, words):
    project = Project(tmp_path, repository, tiny=TINY)
    project.configure(**site)
    project.refuses(["config/config.yaml", *words], "--dry-run")


def test_a_faulty_site_file_is_said_in_one_line(tmp_path, repository):
    project = Project(tmp_path, repository, tiny=TINY)
    project.place_it(cpu={"partition": "a; b"})
    project.refuses(["config/site.yaml", "cpu.partition"], "--dry-run")


def test_a_faulty_campaign_stops_no_other_one(tmp_path, repository):
    project = Project(tmp_path, repository, tiny=TINY, faulty={**TINY, "sed": 1})
    assert project.planned("results/tiny/structures/mp-149.extxyz") == {"read_structure": 1}
    project.refuses(["faulty.yaml", "sed"])


def test_a_dry_run_plans_the_campaigns_that_can_run_and_reports_the_others(tmp_path, repository):
    missing = {**TINY, "structures": {"mp-1": {"file": "config/structures/nowhere.vasp"}}}
    project = Project(tmp_path, repository, tiny=TINY, faulty=missing, odd={**TINY, "fist": {}})
    alone = project.planned("--config", 'campaigns=["tiny"]')
    run = project.run("--quiet", "host", "--dry-run")
    assert run.returncode == 1
    assert f"total {sum(alone.values())}" in re.sub(" +", " ", run.stdout + run.stderr)
    said = [line for line in run.stderr.splitlines() if line.startswith("phonsmith: ")]
    assert said[0] == "phonsmith: not planned: faulty, odd"
    assert [line.split(":")[1] for line in said[1:]] == [
        " config/campaigns/faulty.yaml",
        " config/campaigns/odd.yaml",
    ]
    assert run.stderr.rstrip().endswith(said[-1])  # where people look: behind the jobs
    real = project.run()
    assert real.returncode != 0
    assert all(name in real.stderr for name in ("faulty.yaml", "odd.yaml", "nowhere.vasp"))
    assert not (tmp_path / "results/tiny/structures").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sed": 1}, ["config/campaigns/tiny.yaml", "sed", "unknown key"]),
        (
            {"structures": {"x": {"file": "config/structures/none.vasp"}}},
            ["config/campaigns/tiny.yaml", "structures.x.file", "none.vasp"],
        ),
        (
            {"structures": {"x": {"file": "overlap.vasp"}}},
            ["structures.x.file", "overlap.vasp", "Å"],
        ),
        ({"structures": {"x": {"file": "nan.vasp"}}}, ["structures.x.file", "nan.vasp"]),
        ({"structures": {"x": {"file": "nacl.vasp"}}}, ["stillinger-weber", "Cl", "Na"]),
        (
            {
                "fits": {
                    "old": {"kind": "existing", "potential": {"calculator": "gap", "model": "a"}}
                }
            },
            ["fits.old.potential.model", "a: no such model file"],
        ),
    ],
)
def test_bad_input_stops_before_any_job(tmp_path, repository, change, words):
    project = Project(tmp_path, repository, tiny={**TINY, **change})
    cell = "x\n1.0\n5 0 0\n0 5 0\n0 0 5\n{}\n1 1\nDirect\n0 0 0\n{} 0 0\n"
    (tmp_path / "overlap.vasp").write_text(cell.format("Si Si", "0.01"))
    (tmp_path / "nan.vasp").write_text(cell.format("Si Si", "nan"))
    (tmp_path / "nacl.vasp").write_text(cell.format("Na Cl", "0.5"))
    # the reference and the existing potential both lack the elements
    project.refuses(words, problems=2 if "nacl.vasp" in str(change) else 1)


def test_a_recorded_file_with_another_checksum_stops_the_run(tmp_path, repository):
    recorded = {
        "structures": {"a": {"recorded": "a.yaml"}},
        "reference": {
            "method": "recorded",
            "level_of_theory": "none",
            "source": {"name": "set", "files": {"a.yaml": "0" * 64}},
        },
        "fits": {"gap": {"kind": "gap"}},
    }
    project = Project(tmp_path, repository, tiny=recorded)
    config = {"campaigns": ["tiny"], "mirrors": [str(tmp_path)]}
    (tmp_path / "config/config.yaml").write_text(json.dumps(config))
    (tmp_path / "set").mkdir()
    (tmp_path / "set/a.yaml").write_text("phonopy: {}\n")
    run = project.run()
    assert run.returncode != 0
    assert "checksum" in run.stderr
    assert "a.yaml" in run.stderr
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "results").exists()
