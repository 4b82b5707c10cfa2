"""Another workflow imports this one as a module: docs/module.md."""

import csv
import re
from pathlib import Path

import pytest

from tests.campaigns import TINY
from tests.project import Project

HOST = """
module phonsmith:
    snakefile: "{repository}/Snakefile"
    config: config["phonons"]

use rule * from phonsmith exclude all as {names}

rule ours:
    output: "ours.txt"
    shell: "echo > {{output}}"

rule best:
    default_target: True
    input: "results/{campaign}/tables/rmse.csv", rules.ours.output
    output: "best.txt"
    shell: "head -n 2 {{input[0]}} > {{output}}"
"""

CONFIG = "phonons: {campaigns: [tiny]}\nsamples: [ours]\n"

SMALL = {**TINY, "structures": {"mp-149": TINY["structures"]["mp-149"]}}


@pytest.fixture
def host(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with a workflow of its own, and with nothing of the library on Python's path."""
    project = Project(tmp_path, repository, tiny=SMALL)
    (tmp_path / "config/config.yaml").write_text(CONFIG)
    write(project)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return project


def write(project: Project, names: str = "*", campaign: str = "tiny", **replaced: str) -> None:
    text = HOST.format(repository=project.repository, names=names, campaign=campaign)
    for before, after in replaced.items():
        text = text.replace(before, after)
    (project.folder / "Snakefile").write_text('configfile: "config/config.yaml"\n' + text)


def with_host(project: Project, *arguments: str) -> list[str]:
    return ["--snakefile", str(project.folder / "Snakefile"), *arguments]


@pytest.mark.parametrize("names", ["*", "phonsmith_*"])
def test_a_dry_run_plans_the_rules_of_both(host: Project, names: str) -> None:
    write(host, names)
    jobs = host.planned(*with_host(host))
    prefix = names.rstrip("*")
    assert jobs["best"] == jobs["ours"] == 1
    assert jobs[f"{prefix}relax_structure"] == 1
    plain = Project(host.folder / "plain", host.repository, tiny=SMALL)
    alone = plain.planned("results/tiny/tables/rmse.csv")
    assert {name.removeprefix(prefix): count for name, count in jobs.items()} == {
        **alone,
        "best": 1,
        "ours": 1,
    }


def test_settings_of_the_host_reach_the_module(host: Project) -> None:
    """Mirrors and the like; config.yaml is the host's own and may hold anything."""
    (host.folder / "config/config.yaml").write_text(
        CONFIG.replace("[tiny]", "[tiny], label_store: store")
    )
    (host.folder / "store").mkdir()
    assert host.planned(*with_host(host))["label_batch"] == 2
    (host.folder / "config/config.yaml").write_text(CONFIG.replace("[tiny]", "[tiny], mirror: [a]"))
    run = host.plan("--dry-run", *with_host(host))
    assert run.returncode != 0
    assert "phonsmith: config/config.yaml: mirror: unknown key" in run.stderr


def test_without_settings_it_reads_config_yaml(host: Project) -> None:
    host.configure(campaigns=["tiny"], mirrors=[])
    write(host, **{'    config: config["phonons"]\n': ""})
    assert host.planned(*with_host(host))["best"] == 1


def test_a_loop_works_in_a_module(host: Project) -> None:
    """The only checkpoint."""
    goal = {"rmse_thz": 0.1, "harmonic_only": True}
    host.write("loop", {**SMALL, "fits": {"gap": {"kind": "gap"}}, "loop": {"goal": goal}})
    write(host, "phonsmith_*", campaign="loop")
    jobs = host.planned(*with_host(host))
    assert jobs["phonsmith_judge_generation"] == 1


def test_the_environment_of_rules_of_the_host_stays_theirs(host: Project) -> None:
    """With conda: the environment of phonsmith is that of its own rules alone."""
    with (host.folder / "Snakefile").open("a") as file:
        file.write(
            '\nfor one in workflow.rules:\n    print("ENV", one.name, one.conda_env, flush=True)\n'
        )
    first = (host.folder / "Snakefile").read_text()
    early = 'rule early:\n    output: "early.txt"\n    shell: "echo > {output}"\n\n'
    (host.folder / "Snakefile").write_text(early + first)
    run = host.plan("--dry-run", *with_host(host))
    found = dict(re.findall(r"^ENV (\w+) (.*)$", run.stdout + run.stderr, re.M))
    assert found["early"] == found["ours"] == "None"
    assert found["fit"] == "../envs/phonsmith.yaml"


def test_a_prefix_is_refused(host: Project) -> None:
    write(host, **{'config["phonons"]': 'config["phonons"]\n    prefix: "sub"'})
    run = host.plan("--dry-run", *with_host(host))
    assert run.returncode != 0
    said = [line for line in run.stderr.splitlines() if line.startswith("phonsmith: ")]
    assert len(said) == 1
    assert "prefix" in said[0]


def test_messages_on_targets_of_the_host_are_those_of_snakemake(host: Project) -> None:
    run = host.plan("--dry-run", *with_host(host, "unknown.txt"))
    assert run.returncode != 0
    said = run.stdout + run.stderr
    assert "No rule to produce unknown.txt" in said
    assert "phonsmith: unknown target" not in said


@pytest.mark.slow
def test_a_campaign_runs_in_a_module(host: Project) -> None:
    """From the crystal to the errors of a potential that needs no training."""
    fits = {"itself": TINY["fits"]["itself"]}
    host.write("tiny", {**SMALL, "fits": fits})
    write(host, "phonsmith_*")
    run = host.run(*with_host(host))
    assert run.returncode == 0, run.stderr[-3000:]
    (row,) = csv.DictReader((host.folder / "best.txt").open())
    assert row["structure"] == "mp-149"
    assert float(row["rmse_thz"]) < 1e-3
    again = host.planned(*with_host(host))
    assert again == {}
    assert not (host.repository / "best.txt").exists()
