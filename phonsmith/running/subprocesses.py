"""Running an external program: its output, its time, its memory, and a sure end."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from phonsmith.files.errors import PhonsmithError, TryAgain
from phonsmith.running import process_reaper as guard
from phonsmith.running.job_context import THREAD_VARIABLES


@dataclass(frozen=True)
class Finished:
    """A program that has ended.

    ``returncode`` is minus the signal's number where a signal ended it; ``lines`` is its output
    where that was not sent to a file; ``peak_memory_mb`` is that of its largest process.
    """

    returncode: int
    lines: list[str]
    wall_time_s: float
    peak_memory_mb: float
    timed_out: bool = False
    cannot_start: str = ""

    @property
    def signal(self) -> str:
        """Name of the signal that ended it, or ""."""
        return signal_name(self.returncode)

    @property
    def ending(self) -> str:
        """Description of the end of the process, for messages."""
        if self.cannot_start:
            return f"cannot be started: {self.cannot_start}"
        if self.timed_out:
            return f"stopped at its time limit of {self.wall_time_s:.0f} s"
        if self.signal:
            hint = " (out of memory?)" if self.signal == "SIGKILL" else ""
            return f"ended by {self.signal}{hint} at {self.peak_memory_mb:.0f} MB"
        return f"exit status {self.returncode}"


def signal_name(returncode: int) -> str:
    """Return the name of the signal behind an exit status, or "".

    Python reports a signal as minus its number; a launcher (mpirun, a shell) reports the signal of
    its child as 128 plus its number.
    """
    number = -returncode if returncode < 0 else returncode - 128
    try:
        return signal.Signals(number).name
    except ValueError:
        return ""


def failure(program: str, finished: Finished, reason: str) -> PhonsmithError:
    """Build the error of a program that failed.

    Parameters
    ----------
    program
        Name of the program.
    finished
        End of the program.
    reason
        Reason in words.

    Returns
    -------
    A :class:`TryAgain` if another attempt may succeed: the program ran out of memory or was
    terminated.
    """
    text = f"{program} failed ({finished.ending}): {reason}"
    if finished.signal == "SIGKILL" or "out of memory" in reason.lower():
        return TryAgain(text, "memory")
    return TryAgain(text) if finished.signal == "SIGTERM" else PhonsmithError(text)


def run_child(
    command: Sequence[str],
    folder: Path,
    threads: int,
    environment: Mapping[str, str] | None = None,
    *,
    output: Path | None = None,
    time_limit_s: float = float("inf"),
) -> Finished:
    """Run a command in a folder.

    Everything that the command starts ends with the command, at the time limit, and with this
    process, even if this process is killed: an orphaned program would write into the folder of the
    next run.

    Parameters
    ----------
    command
        Program and arguments.
    folder
        Folder to run in.
    threads
        Number of threads of each process.
    environment
        Additional environment variables.
    output
        File for output and errors; None passes them on to stdout.
    time_limit_s
        Time limit in s.
    """
    settings = dict.fromkeys(THREAD_VARIABLES, str(threads))
    start = time.monotonic()
    with output.open("wb") if output else nullcontext(subprocess.PIPE) as stdout:
        process, link = _guarded(
            command,
            time_limit_s,
            cwd=folder,
            env={**os.environ, **settings, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    try:
        lines = _pass_on(process.stdout)
        report = _report(link)
    finally:
        link.close()  # where this is left by an exception, the guard ends everything
        process.wait()
    return _finished(report, lines, start)


class Companion:
    """A child process that works beside this one until it is ended, and ends with this process.

    Its output goes to the standard error of this process: in a job, to the log.

    Parameters
    ----------
    command
        Program and arguments.
    stdin
        What the child has as its standard input.
    environment
        Additional environment variables.
    """

    def __init__(
        self, command: Sequence[str], stdin: socket.socket, environment: Mapping[str, str]
    ) -> None:
        self._start = time.monotonic()
        env = {**os.environ, **environment}
        self._process, self._link = _guarded(
            command, float("inf"), env=env, stdin=stdin, stdout=2, stderr=2
        )

    def end(self) -> Finished:
        """End the child if it still runs; return how it ended."""
        with self._link:
            with suppress(OSError):  # it has ended by itself
                self._link.shutdown(socket.SHUT_WR)
            report = _report(self._link)
        self._process.wait()
        return _finished(report, [], self._start)


def _guarded(
    command: Sequence[str], time_limit_s: float, **settings: Any
) -> tuple[subprocess.Popen[Any], socket.socket]:
    """A command under its guard, and the socket whose closing ends it."""
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            process = subprocess.Popen(
                # isolated and without site: nothing of the environment slows or bends it
                [
                    *(sys.executable, "-I", "-S", guard.__file__),
                    *(str(theirs.fileno()), str(time_limit_s), *command),
                ],
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # an interrupt from the keyboard is ours to handle
                **settings,
            )
        except BaseException:
            ours.close()
            raise
    return process, ours


def _report(link: socket.socket) -> bytes:
    """What the guard reports about the end of its command."""
    return b"".join(iter(lambda: link.recv(4096), b""))


def _finished(report: bytes, lines: list[str], start: float) -> Finished:
    outcome: dict[str, Any] = json.loads(report) if report else {"returncode": -signal.SIGKILL}
    return Finished(
        returncode=outcome.get("returncode", 127),
        lines=lines,
        wall_time_s=time.monotonic() - start,
        peak_memory_mb=outcome.get("peak_memory_mb", 0.0),
        timed_out=outcome.get("timed_out", False),
        cannot_start=outcome.get("cannot_start", ""),
    )


def _pass_on(stream: IO[str] | None) -> list[str]:
    lines: list[str] = []
    for line in stream or ():
        lines.append(line.rstrip("\n"))
        print(lines[-1], flush=True)
    return lines
