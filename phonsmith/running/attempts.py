"""Log of failed attempts of a job; the next attempt requests more memory or time, or is refused.

Clusters and Snakemake resubmit a failed job whatever the reason. The job therefore records the
cause of its failure beside its log, in the file ``<log>.tries``, which is removed on success. Only
attempts of the present run count.
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
"""Maximum number of attempts: the rules' ``retries`` plus one."""

SHORT = ("memory", "time")
"""Resources that a job may run out of."""

# FAILED: all that SLURM reports of a job one step of which ran out of memory
_WANTED_BY_STATE: dict[str, Sequence[str]] = {
    **dict.fromkeys(("OUT_OF_MEMORY", "FAILED"), ("memory",)),
    **dict.fromkeys(("TIMEOUT", "DEADLINE"), ("time",)),
    **dict.fromkeys(("CANCELLED", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL"), ()),
}


def begin(log: str | Path) -> None:
    """Record the start of an attempt.

    Raises
    ------
    PhonsmithError
        An earlier attempt of this run failed for a reason that a retry cannot fix.
    """
    run = os.environ.get(RUN_VARIABLE)
    if not run:
        return
    tries = _of_run(log, run)
    for one in tries:
        if one["final"]:
            raise PhonsmithError(f"{one['final']} (not retried)")
    new = {"run": run, "job": os.environ.get("SLURM_JOB_ID", ""), "wants": None, "final": ""}
    write_json(_file(log), [*tries, new])


def succeeded(log: str | Path) -> None:
    """Remove the log of attempts."""
    _file(log).unlink(missing_ok=True)


def failed(log: str | Path, error: Exception) -> None:
    """Record the cause of a failure: a resource to increase, or a final error."""
    run = os.environ.get(RUN_VARIABLE)
    tries = _of_run(log, run) if run else []
    if not tries or tries[-1]["final"]:
        return
    wants = wanted_after(error)
    tries[-1]["wants"] = [wants] if wants else []
    tries[-1]["final"] = "" if wants is not None else str(error) or type(error).__name__
    write_json(_file(log), tries)


def wanted_after(error: Exception) -> str | None:
    """Return the resource that a retry needs more of, "" for none, None if no retry can succeed.

    Errors of memory, file system and GPU may be temporary; mistakes in the input or in the program
    are not.
    """
    if isinstance(error, TryAgain):
        return error.wants
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's
        return "memory"
    may_pass = isinstance(error, OSError | RuntimeError) and not isinstance(error, PhonsmithError)
    return "" if may_pass else None


def growth(log: str | Path, what: str) -> int:
    """Return the factor on memory or time for the next attempt of a job.

    SLURM is queried about attempts that ended silently; both grow if the cause is unknown.
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
    """State of a SLURM job, from the controller or from accounting; "" if unknown to both."""
    for pattern, *command in (
        (r"JobState=(\w+)", "scontrol", "show", "job", "--oneliner", job),
        (r"^\s*(\w+)", "sacct", "--noheader", "--allocations", "--format=State", f"--jobs={job}"),
    ):
        if not shutil.which(command[0]):
            continue
        try:
            status = subprocess.run(
                command, capture_output=True, text=True, timeout=30, check=False
            )
        except subprocess.TimeoutExpired:
            continue
        if found := re.search(pattern, status.stdout):
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
