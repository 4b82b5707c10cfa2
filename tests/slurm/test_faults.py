"""What goes wrong on a cluster is tried again, or not, and nothing is computed twice."""

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from phonsmith.files.extxyz import read_frames
from tests.project import Project
from tests.slurm.cluster import Cluster, allocated
from tests.slurm.runs import LABELS, snakemake, start, trapped, until, with_cells

pytestmark = pytest.mark.slurm


def project_with_cells(folder: Path, repository: Path, **labels: int) -> tuple[Project, list[str]]:
    project = Project(folder, repository, tiny=trapped(folder, **labels))
    project.place_it(max_cores=1)
    return project, with_cells(project)


def batches(cluster: Cluster, folder: Path) -> dict[int, list[dict[str, str]]]:
    """SLURM's records of the jobs of each batch, in order."""
    found: dict[int, list[dict[str, str]]] = {}
    for job in cluster.jobs(folder):
        batch = re.search(r"label_batch_wildcards_\S*_(\d)$", job["Comment"].strip())
        if batch:
            found.setdefault(int(batch[1]), []).append(job)
    return found


def times_computed(folder: Path, keys: list[str]) -> list[int]:
    count = Counter(line.split()[0] for line in (folder / "computed").read_text().splitlines())
    return [count[one] for one in keys]


def test_what_can_succeed_is_tried_again_with_what_was_short(cluster, tmp_path, repository):
    """One batch runs out of memory, one out of time, one is cancelled, one cannot succeed."""
    project, keys = project_with_cells(tmp_path, repository, runtime_minutes=1)
    for cell, what in ((4, "memory"), (5, "time"), (6, "wait"), (3, "fault")):
        (tmp_path / f"trap-{keys[cell]}").write_text(what)

    run = start(project, snakemake(project, LABELS))
    sprung = tmp_path / "sprung"
    until(run, lambda: sprung.exists() and "wait" in sprung.read_text(), 300)
    (waiting,) = batches(cluster, tmp_path)[2]
    assert waiting["JobState"] == "RUNNING"
    subprocess.run(["scancel", waiting["JobId"]], check=True)
    said, _ = run.communicate(timeout=900)
    assert run.returncode != 0

    jobs = batches(cluster, tmp_path)
    ended = {batch: [job["JobState"] for job in tries] for batch, tries in jobs.items()}
    assert ended == {
        0: ["FAILED", "COMPLETED"],  # its step was out of memory
        1: ["TIMEOUT", "COMPLETED"],
        2: ["CANCELLED", "COMPLETED"],
        3: ["FAILED", "FAILED", "FAILED"],
    }
    asked = {batch: [allocated(job)[3:] for job in tries] for batch, tries in jobs.items()}
    assert asked == {
        0: [(2000, 1), (4000, 1)],
        1: [(2000, 1), (2000, 2)],
        2: [(2000, 1), (2000, 1)],
        3: [(2000, 1)] * 3,
    }
    assert sprung.read_text().count("fault") == 1  # the later tries ended at once
    assert "this cell cannot be computed; take the trap away (not retried)" in said
    # labels that were there when a job ended are not computed again
    assert [*times_computed(tmp_path, keys[:3]), *times_computed(tmp_path, keys[4:7])] == [1] * 6

    (tmp_path / f"trap-{keys[3]}").unlink()
    run = start(project, snakemake(project, LABELS))
    said, _ = run.communicate(timeout=900)
    assert run.returncode == 0, said
    assert len(batches(cluster, tmp_path)[3]) == 4
    assert sum(map(len, batches(cluster, tmp_path).values())) == 3 * 2 + 4
    assert times_computed(tmp_path, keys) == [1] * 8
    assert len(read_frames(tmp_path / LABELS)) == 8


def test_a_lost_node(cluster, tmp_path, repository):
    """SLURM puts the jobs of a node that is down back into the queue; Snakemake waits for them."""
    project, keys = project_with_cells(tmp_path, repository)
    (tmp_path / f"trap-{keys[4]}").write_text("wait")
    run = start(project, snakemake(project, LABELS))
    until(run, (tmp_path / "sprung").exists, 300)
    until(run, lambda: len(cluster.unfinished(tmp_path)) == 1, 300)
    cluster.lose_node("c1")
    said, _ = run.communicate(timeout=900)
    assert run.returncode == 0, said
    (job,) = batches(cluster, tmp_path)[0]
    assert job["Restarts"] == "1"
    assert times_computed(tmp_path, keys) == [1] * 8


def recover(folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "phonsmith.running.cluster", "recover"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_snakemake_killed_and_started_again(cluster, tmp_path, repository):
    """Its jobs go on until `recover` ends them; then nothing is lost or computed twice."""
    project, keys = project_with_cells(tmp_path, repository)
    for cell in (4, 5, 6, 7):
        (tmp_path / f"trap-{keys[cell]}").write_text("wait")
    run = start(project, snakemake(project, LABELS))
    sprung = tmp_path / "sprung"
    until(run, lambda: sprung.exists() and sprung.read_text().count("wait") == 4, 300)
    refused = recover(tmp_path)
    assert refused.returncode != 0
    assert "Snakemake is still running" in refused.stderr

    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    assert len(cluster.unfinished(tmp_path)) == 4
    done = recover(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "cancelled 4 SLURM jobs" in done.stdout
    assert "unlocked" in done.stdout
    assert not cluster.unfinished(tmp_path)
    assert "nothing to do" in recover(tmp_path).stdout

    run = start(project, snakemake(project, LABELS))
    said, _ = run.communicate(timeout=900)
    assert run.returncode == 0, said
    assert times_computed(tmp_path, keys) == [1] * 8
    assert len(read_frames(tmp_path / LABELS)) == 8


def test_a_run_that_forgot_its_jobs_is_started_anew(cluster, tmp_path, repository):
    """SLURM's controller is away while Snakemake asks for its jobs, which end meanwhile."""
    project, keys = project_with_cells(tmp_path, repository)
    for cell in (4, 5, 6, 7):
        (tmp_path / f"trap-{keys[cell]}").write_text("slow")
    watch = [sys.executable, "-m", "phonsmith.running.cluster", "watch", "--patience", "0.4", "--"]
    run = start(project, [*watch, *snakemake(project, LABELS)])
    until(run, (tmp_path / "sprung").exists, 300)
    cluster.stop_controller()
    logs = tmp_path / ".snakemake/log"
    asked = "Falling back to 'sacct'"
    until(run, lambda: asked in max(logs.iterdir()).read_text(), 300)
    until(run, lambda: all(times_computed(tmp_path, keys)), 300)
    cluster.start_controller()
    said, _ = run.communicate(timeout=900)
    assert run.returncode == 0, said
    assert "Snakemake is waiting for jobs that have ended" in said
    assert times_computed(tmp_path, keys) == [1] * 8
