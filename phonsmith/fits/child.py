"""Running a training program as a child process: its output, its time, its memory."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from phonsmith.jobs import THREAD_VARIABLES


@dataclass(frozen=True)
class Finished:
    """A child process that has ended."""

    returncode: int
    lines: list[str]
    wall_time_s: float
    peak_memory_mb: float

    @property
    def ending(self) -> str:
        """How it failed, in words, for messages."""
        if self.returncode < 0:
            name = signal.Signals(-self.returncode).name
            hint = " (out of memory?)" if name == "SIGKILL" else ""
            return f"ended by {name}{hint} at {self.peak_memory_mb:.0f} MB"
        return f"exit status {self.returncode}"


def run_child(
    command: Sequence[str],
    folder: Path,
    threads: int,
    environment: Mapping[str, str] | None = None,
) -> Finished:
    """Run ``command`` in ``folder`` with ``threads`` threads; its output is passed on to stdout.

    The child ends with this process, also when this one is killed: a training that went on
    unseen would write into the folder that the next run restarts from.
    """
    settings = dict.fromkeys(THREAD_VARIABLES, str(threads))
    start = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **settings, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        preexec_fn=_end_with_parent,  # noqa: PLW1509 (a call of prctl takes no lock)
    )
    lines: list[str] = []
    try:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            print(lines[-1], flush=True)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    finally:
        if process.returncode is None:
            process.terminate()
            process.wait()
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux kilobytes
    return Finished(
        returncode=process.returncode,
        lines=lines,
        wall_time_s=time.monotonic() - start,
        peak_memory_mb=usage.ru_maxrss * unit / 1e6,
    )


def _end_with_parent() -> None:
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)
