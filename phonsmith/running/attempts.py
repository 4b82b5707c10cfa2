"""What became of the tries of a job: so that the next asks for what was short, or does not run.

A cluster and Snakemake submit a failed job again, whatever the reason was. The job itself knows
better: it notes beside its log what it failed of, in the file ``<log>.tries``, which is gone when
it succeeds. Only attempts of the present run count; a new run starts from the beginning.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from phonsmith.files.errors import PhonsmithError, TryAgain
from phonsmith.files.reading_writing import read_json, write_json

RUN_VARIABLE = "PHONSMITH_RUN"
"""Environment variable that holds the id of the run of Snakemake that a job belongs to."""

TRIES = 3
"""How often a job may be tried: the rules' ``retries`` and one."""

SHORT = ("memory", "time")
"""What a job may be short of."""

# FAILED: all that SLURM reports of a job one step of which ran out of memory
_WANTED_BY_STATE: dict[str, Sequence[str]] = {
    **dict.fromkeys(("OUT_OF_MEMORY", "FAILED"), ("memory",)),
    **dict.fromkeys(("TIMEOUT", "DEADLINE"), ("time",)),
    **dict.fromkeys(("CANCELLED", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL"), ()),
}


def begin(log: str | Path) -> None:
    """Note that a try begins.

    Raises
    ------
    PhonsmithError
        An earlier attempt of this run reported that none can succeed, and why.
    """
    run = os.environ.get(RUN_VARIABLE)
    if not run:
        return
    tries = _of_run(log, run)
    for one in tries:
        if one["final"]:
            raise PhonsmithError(f"{one['final']} (not tried again)")
    new = {"run": run, "job": os.environ.get("SLURM_JOB_ID", ""), "wants": None, "final": ""}
    write_json(_file(log), [*tries, new])


def succeeded(log: str | Path) -> None:
    """Forget the tries."""
    _file(log).unlink(missing_ok=True)


def failed(log: str | Path, error: Exception) -> None:
    """Note what the present try failed of: something more of which may help, or for good."""
    run = os.environ.get(RUN_VARIABLE)
    tries = _of_run(log, run) if run else []
    if not tries or tries[-1]["final"]:
        return
    wants = wanted_after(error)
    tries[-1]["wants"] = [wants] if wants else []
    tries[-1]["final"] = "" if wants is not None else str(error) or type(error).__name__
    write_json(_file(log), tries)


def wanted_after(error: Exception) -> str | None:
    """Return what another try needs more of, "" for nothing, None where none can succeed.

    Errors of memory, of the file system and of the GPU may pass; mistakes in the input or in the
    program do not.
    """
    if isinstance(error, TryAgain):
        return error.wants
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's
        return "memory"
    may_pass = isinstance(error, OSError | RuntimeError) and not isinstance(error, PhonsmithError)
    return "" if may_pass else None


def growth(log: str | Path, what: str) -> int:
    """Return how many times as much memory or time as at first the next try of a job gets.

    SLURM is asked about attempts that ended silently; if the cause is unknown, the job gets more of
    both.
    """
    run = os.environ.get(RUN_VARIABLE)
    tries = _of_run(log, run) if run else []
    return 1 + sum(what in _wanted(one) for one in tries)


def _wanted(one: dict[str, Any]) -> Sequence[str]:
    if one["wants"] is not None:
        wanted: list[str] = one["wants"]
        return wanted
    state = _slurm_state(one["job"]) if one["job"] else ""
    return _WANTED_BY_STATE.get(state, SHORT)


def _slurm_state(job: str) -> str:
    """State of a SLURM job, from the controller or from accounting; "" where neither knows."""
    for pattern, *command in (
        (r"JobState=(\w+)", "scontrol", "show", "job", "--oneliner", job),
        (r"^\s*(\w+)", "sacct", "--noheader", "--allocations", "--format=State", f"--jobs={job}"),
    ):
        if not shutil.which(command[0]):
            continue
        try:
            told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        except subprocess.TimeoutExpired:
            continue
        if found := re.search(pattern, told.stdout):
            return found[1]
    return ""


def _file(log: str | Path) -> Path:
    return Path(f"{log}.tries")


def _of_run(log: str | Path, run: str) -> list[dict[str, Any]]:
    try:
        tries = read_json(_file(log))
    except (OSError, ValueError, PhonsmithError):
        return []
    return [one for one in tries if one["run"] == run]
