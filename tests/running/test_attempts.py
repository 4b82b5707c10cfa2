"""Which jobs are tried again, and with what."""

import subprocess
import sys

import pytest

from phonsmith.files.errors import PhonsmithError, TryAgain
from phonsmith.running import attempts as tries
from phonsmith.running.subprocesses import failure, run_child


@pytest.fixture
def log(tmp_path, monkeypatch):
    monkeypatch.setenv(tries.RUN_VARIABLE, "one")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    return tmp_path / "logs/job.log"


def attempt(log, body: str) -> "subprocess.CompletedProcess[str]":
    """A script that runs ``body`` as a job, in a process of its own as Snakemake does."""
    script = "import os, signal\nfrom phonsmith.files.errors import *\n"
    script += "from phonsmith.running.job_context import job\n"
    script += f"with job(1, {str(log)!r}):\n    {body}\n"
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=600, check=False
    )


def test_what_cannot_succeed_ends_at_once_and_says_why_until_the_next_run(log, monkeypatch):
    broken = "open('ran', 'a').write('x'); raise PhonsmithError('wrong unit in cells.extxyz')"
    monkeypatch.chdir(log.parents[1])
    ran = log.parents[1] / "ran"
    assert attempt(log, broken).returncode == 1
    again = attempt(log, broken)
    assert again.returncode == 1
    assert "wrong unit in cells.extxyz (not retried)" in again.stderr
    assert ran.read_text() == "x"
    monkeypatch.setenv(tries.RUN_VARIABLE, "two")
    attempt(log, broken)
    assert ran.read_text() == "xx"
    assert attempt(log, broken).returncode == 1
    monkeypatch.setenv(tries.RUN_VARIABLE, "three")
    assert attempt(log, "pass").returncode == 0
    assert not list(log.parent.glob("*.tries"))


@pytest.mark.parametrize(
    ("body", "memory", "time"),
    [
        ("raise TryAgain('short', 'memory')", 2, 1),
        ("raise TryAgain('short', 'time')", 1, 2),
        ("raise MemoryError", 2, 1),
        ("raise OSError('disk is full')", 1, 1),
        ("os.kill(os.getpid(), signal.SIGKILL)", 2, 2),  # nobody knows of what
    ],
)
def test_the_next_try_has_more_of_what_was_short(log, body, memory, time):
    assert tries.growth(log, "memory") == tries.growth(log, "time") == 1
    assert attempt(log, body).returncode != 0
    assert (tries.growth(log, "memory"), tries.growth(log, "time")) == (memory, time)
    assert attempt(log, body).returncode != 0
    assert (tries.growth(log, "memory"), tries.growth(log, "time")) == (
        2 * memory - 1,
        2 * time - 1,
    )
    assert "not retried" not in attempt(log, body).stderr


@pytest.mark.parametrize(
    "body", ["raise KeyError('energy')", "raise PhonsmithError('no such file')"]
)
def test_mistakes_are_not_tried_again(log, body):
    attempt(log, body)
    assert "not retried" in attempt(log, body).stderr


def test_a_program_that_was_killed_wants_memory_and_one_that_fails_does_not(tmp_path):
    killed = run_child(["sh", "-c", "kill -KILL $$"], tmp_path, 1)
    error = failure("gap_fit", killed, "no output")
    assert isinstance(error, TryAgain) and error.wants == "memory"
    failed = run_child(["sh", "-c", "exit 3"], tmp_path, 1)
    assert type(failure("gap_fit", failed, "bad argument")) is PhonsmithError
    on_gpu = failure("mace_run_train", failed, "torch.OutOfMemoryError: CUDA out of memory.")
    assert isinstance(on_gpu, TryAgain) and on_gpu.wants == "memory"


def test_without_a_run_of_snakemake_nothing_is_noted(log, monkeypatch):
    monkeypatch.delenv(tries.RUN_VARIABLE)
    assert attempt(log, "raise PhonsmithError('no')").returncode == 1
    assert not list(log.parent.glob("*.tries"))
