"""Cleaning up after a run, where SLURM is not needed; with it: tests/slurm."""

import os
import subprocess
import sys
import time

import pytest

from phonsmith.cluster import recover, watch
from phonsmith.errors import PhonsmithError

LOG = "  Host: {host}\n\nBuilding DAG of jobs...\n"


def leave(folder, host):
    """What a killed run on a single machine leaves: a log and a lock."""
    (folder / ".snakemake/log").mkdir(parents=True)
    (folder / ".snakemake/log/1.snakemake.log").write_text(LOG.format(host=host))
    (folder / ".snakemake/locks").mkdir()
    (folder / ".snakemake/locks/0.input.lock").write_text("x\n")


def test_the_folder_of_a_dead_run_is_unlocked(tmp_path):
    with pytest.raises(PhonsmithError, match="has never run here"):
        recover(tmp_path)
    leave(tmp_path, os.uname().nodename)
    assert recover(tmp_path) == ["unlocked the folder"]
    assert not (tmp_path / ".snakemake/locks").exists()
    assert recover(tmp_path) == ["nothing to do: no jobs, no lock"]


def test_a_run_on_another_machine_may_be_alive(tmp_path):
    leave(tmp_path, "login2")
    with pytest.raises(PhonsmithError, match=r"login2.*--force"):
        recover(tmp_path)
    assert recover(tmp_path, force=True) == ["unlocked the folder"]


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
