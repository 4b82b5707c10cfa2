"""Cleaning up after a run, where SLURM is not needed; with it: tests/slurm."""

import os
import subprocess
import sys
import time

import pytest

from phonsmith.files.errors import PhonsmithError
from phonsmith.running.cluster import recover, watch

LOG = "  Host: {host}\n\nBuilding DAG of jobs...\n"


def leave(folder, host):
    """What a killed run on a single machine leaves: a log and a lock."""
    (folder / ".snakemake/log").mkdir(parents=True)
    (folder / ".snakemake/log/1.snakemake.log").write_text(LOG.format(host=host))
    (folder / ".snakemake/locks").mkdir()
    (folder / ".snakemake/locks/0.input.lock").write_text("x\n")


def test_the_folder_of_a_dead_run_is_unlocked(tmp_path):
    with pytest.raises(PhonsmithError, match="no Snakemake run found"):
        recover(tmp_path)
    leave(tmp_path, os.uname().nodename)
    assert recover(tmp_path) == ["unlocked the folder"]
    assert not (tmp_path / ".snakemake/locks").exists()
    assert recover(tmp_path) == ["nothing to do: no remaining jobs, no lock"]


def test_a_run_on_another_machine_may_be_alive(tmp_path):
    leave(tmp_path, "login2")
    with pytest.raises(PhonsmithError, match=r"login2.*--force"):
        recover(tmp_path)
    assert recover(tmp_path, force=True) == ["unlocked the folder"]


REFUSED = "Building DAG of jobs...\nLockException:\nError: Directory cannot be locked.\n"
FAILURES = f"Host: {os.uname().nodename}\nComplete log(s): /x/3.snakemake.log\n"


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """A stand-in for SLURM: a file with names of runs that have a job, which scancel empties."""
    queue = tmp_path / "queue"
    queue.touch()
    programs = {
        "squeue": f'for run in $(cat {queue}); do case "$3" in *"$run"*) echo 4711;; esac; done',
        "scancel": f": > {queue}",
    }
    for name, body in programs.items():
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    return queue


@pytest.mark.parametrize("later", [REFUSED, FAILURES])
@pytest.mark.parametrize("has", ["lock", "job"])
def test_a_run_elsewhere_may_be_alive_whatever_came_after_it(tmp_path, queue, later, has):
    """Another login node, then a run here that ended at the lock, or `snakemake failures`."""
    leave(tmp_path, "login2")
    logs = tmp_path / ".snakemake/log"
    with (logs / "1.snakemake.log").open("a") as log:
        log.write("SLURM run ID: aaaa-bbbb\n")
    (logs / "2.snakemake.log").write_text(later)
    if has == "job":
        queue.write_text("aaaa-bbbb")
        (tmp_path / ".snakemake/locks/0.input.lock").unlink()
    with pytest.raises(PhonsmithError, match=r"a run on login2 .*1\.snakemake\.log.*--force"):
        recover(tmp_path)
    assert queue.read_text() == ("aaaa-bbbb" if has == "job" else "")
    done = {"lock": "unlocked the folder", "job": "cancelled 1 SLURM jobs: 4711"}
    assert recover(tmp_path, force=True) == [done[has]]


def test_a_run_elsewhere_that_was_dead_before_is_not_asked_for_again(tmp_path, queue):
    leave(tmp_path, os.uname().nodename)
    before = tmp_path / ".snakemake/log/0.snakemake.log"
    before.write_text(LOG.format(host="login2") + "SLURM run ID: aaaa-bbbb\n")
    os.utime(before, (time.time() - 3600,) * 2)
    assert recover(tmp_path) == ["unlocked the folder"]


def test_a_run_that_lives_is_left_alone(tmp_path):
    leave(tmp_path, os.uname().nodename)
    program = tmp_path / "snakemake"
    program.write_text("import time; time.sleep(60)")
    alive = subprocess.Popen([sys.executable, str(program)], cwd=tmp_path)
    try:
        time.sleep(0.5)
        with pytest.raises(PhonsmithError, match=f"process {alive.pid}"):
            recover(tmp_path)
    finally:
        alive.kill()
        alive.wait()
    assert recover(tmp_path) == ["unlocked the folder"]


def test_watching_a_run_that_does_not_hang_gives_its_exit_status(tmp_path):
    assert watch(["sh", "-c", "exit 3"], tmp_path, patience_s=60, poll_s=5) == 3
