"""Runs one command, and ends all that it started: a script of phonsmith.running.subprocesses.

It runs between phonsmith and an external program so that nothing of the program outlives phonsmith,
not even when phonsmith is killed by SIGKILL, and not the ranks of mpirun either: on Linux, orphans
become children of this process, which then ends them. Only the standard library, since it is
started for every run.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

GRACE_SECONDS = 5.0
"""Between SIGTERM and SIGKILL."""


def main() -> None:
    """Run a command until it ends, its time is over, or the other end of the socket closes.

    Arguments: file descriptor of the socket, time limit in seconds (``inf`` for none), command.
    The outcome goes through the socket as JSON.
    """
    link = socket.socket(fileno=int(sys.argv[1]))
    limit, command = float(sys.argv[2]), sys.argv[3:]
    link.set_inheritable(False)
    woken = _woken_by_children()
    _prctl(_ADOPT_ORPHANS, 1)
    try:
        child = subprocess.Popen(
            command,
            process_group=0,
            preexec_fn=lambda: _prctl(_SIGNAL_WHEN_PARENT_DIES, signal.SIGTERM),  # noqa: PLW1509
        )
    except OSError as error:
        outcome: dict[str, Any] = {"cannot_start": f"{command[0]}: {error.strerror}"}
    else:
        outcome = _follow(child.pid, link, woken, limit)
        _end_all(child.pid)
    with contextlib.suppress(OSError):  # the receiver may have ended
        link.sendall(json.dumps(outcome).encode())


def _follow(child: int, link: socket.socket, woken: int, limit: float) -> dict[str, Any]:
    """Wait for the child; end it at its time limit or when phonsmith has ended."""
    deadline = time.monotonic() + limit
    timed_out = False
    while not (ended := os.wait4(child, os.WNOHANG))[0]:
        left = deadline - time.monotonic()
        ready, _, _ = select.select([link.fileno(), woken], [], [], max(0.0, min(left, 3600.0)))
        if woken in ready:
            os.read(woken, 512)
        elif link.fileno() in ready or deadline <= time.monotonic():
            timed_out = link.fileno() not in ready
            _end_all(child)
            ended = os.wait4(child, 0)
            break
    _, status, usage = ended
    unit = 1024 if sys.platform == "darwin" else 1  # macOS counts bytes, Linux kilobytes
    return {
        "returncode": os.waitstatus_to_exitcode(status),
        "timed_out": timed_out,
        "peak_memory_mb": usage.ru_maxrss / unit * 1024 / 1e6,
    }


def _woken_by_children() -> int:
    """A file descriptor that becomes readable when a child ends."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return woken


def _end_all(child: int) -> None:
    """End all processes below this one: SIGTERM, then SIGKILL for those still running."""
    for number, patience in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, 2.0)):
        until = time.monotonic() + patience
        while alive := _alive(child):
            for pid in alive:
                with contextlib.suppress(OSError):
                    os.kill(pid, number)
            if time.monotonic() > until:
                break
            time.sleep(0.05)


def _alive(child: int) -> set[int]:
    """All running processes below this one; where there is no /proc, the child's group."""
    if not Path("/proc/self/stat").exists():
        try:
            os.killpg(child, 0)
        except OSError:
            return set()
        return {-child}
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = entry.read_text().rpartition(")")[2].split()[:2]
        except (OSError, ValueError):
            continue  # it has just ended
        if state not in "ZX":
            parents[int(entry.parent.name)] = int(parent)
    return {pid for pid in parents if _is_below(pid, parents)}


def _is_below(pid: int, parents: dict[int, int]) -> bool:
    here = os.getpid()
    while (pid := parents.get(pid, 0)) > 1:
        if pid == here:
            return True
    return False


_SIGNAL_WHEN_PARENT_DIES = 1
_ADOPT_ORPHANS = 36


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value)


if __name__ == "__main__":
    main()
