"""Clean up after Snakemake has died on a SLURM cluster, or watch a run and restart it if it hangs.

    python -m phonsmith.running.cluster recover
    python -m phonsmith.running.cluster watch -- snakemake --profile profiles/slurm

SLURM jobs continue when Snakemake is killed. A second run would submit them again, and two jobs
would write to one file. `recover` cancels the jobs of dead runs and unlocks the folder. It finds
them by the run id, which Snakemake writes to its log and uses as job name. Each run also records
its host in its log, since login nodes that share a folder do not see each other's processes.
"""

import argparse
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from phonsmith.files.errors import PhonsmithError
from phonsmith.running.terminal import errors_in_words

_RUN = re.compile(r"^SLURM run ID: (\S+)$", re.MULTILINE)
_HOST = re.compile(r"^ *Host: (\S+)$", re.MULTILINE)
# its last words, also after errors and Ctrl-C; or it never got the folder
_ENDED = re.compile(r"^(Complete log\(s\): |LockException:)", re.MULTILINE)

LOGS_LOOKED_AT = 200
"""Number of latest runs that are searched for remaining jobs."""

CLOCKS_S = 60.0
"""Largest clock difference in s between a lock and the last log line of its run."""


@dataclass(frozen=True)
class _Run:
    """Content of a Snakemake log: host of the run, its id in SLURM, whether it has ended."""

    log: Path
    host: str
    id: str
    ended: bool
    last_line: float

    @classmethod
    def of(cls, log: Path) -> "_Run":
        text = log.read_text(encoding="utf-8", errors="replace")
        host, run = _HOST.search(text), _RUN.search(text)
        return cls(
            log,
            host[1] if host else "",
            run[1] if run else "",
            _ENDED.search(text) is not None,
            log.stat().st_mtime,
        )


def tell_host(logs: Iterable[str]) -> None:
    """Record the host of Snakemake in the logs of a new run."""
    for log in logs:
        with Path(log).open("a", encoding="utf-8") as stream:
            stream.write(f"Host: {socket.gethostname()}\n")


def recover(folder: Path, *, force: bool = False, wait_s: float = 120.0) -> list[str]:
    """Cancel the jobs of dead runs in a folder and unlock it.

    Parameters
    ----------
    folder
        Folder in which Snakemake ran.
    force
        Accept a run on another machine whose end is not recorded.
    wait_s
        Time in s to wait for cancelled jobs to end.

    Returns
    -------
    Report of the actions, one per line.

    Raises
    ------
    PhonsmithError
        Snakemake still runs there or may run on another machine, the controller does not answer, or
        jobs do not end.
    """
    logs = _logs(folder)
    if not logs:
        raise PhonsmithError(
            f"{folder}: no Snakemake run found; give the folder where Snakemake was started"
        )
    alive = _snakemakes(folder)
    if alive:
        raise PhonsmithError(
            f"{folder}: Snakemake is still running (process {alive[0]}); wait until it ends, or "
            f"stop it with `kill -INT {alive[0]}` and wait until it has cancelled its jobs"
        )
    found = [_Run.of(log) for log in logs]
    runs = [run.id for run in found if run.id]
    jobs = unfinished(runs)
    locks = folder / ".snakemake/locks"
    locked_at = [lock.stat().st_mtime for lock in locks.glob("*")]
    for run in found:
        if not force and _may_live_elsewhere(run, locked_at, bool(jobs)):
            raise PhonsmithError(
                f"{folder}: a run on {run.host} has not logged its end ({run.log.name}); check "
                "there that it is no longer running (`ps -C snakemake`), then use --force"
            )
    done = []
    if jobs:
        _slurm("scancel", *jobs)
        end = time.monotonic() + wait_s
        while unfinished(runs):
            if time.monotonic() > end:
                raise PhonsmithError(
                    f"SLURM jobs {', '.join(jobs)} were cancelled but are still running; wait for "
                    "them (`squeue --me`) and try again"
                )
            time.sleep(1)
        done.append(f"cancelled {len(jobs)} SLURM jobs: {', '.join(jobs)}")
    if locked_at:
        shutil.rmtree(locks)
        done.append("unlocked the folder")
    return done or ["nothing to do: no remaining jobs, no lock"]


def _may_live_elsewhere(run: _Run, locked_at: Sequence[float], jobs: bool) -> bool:
    """Whether a run on another machine may be alive: it holds the lock, or has jobs."""
    if run.ended or run.host in ("", socket.gethostname()):
        return False
    # a lock is made when a run begins, so that one that was dead before does not hold it
    if locked_at and run.last_line > min(locked_at) - CLOCKS_S:
        return True
    return bool(jobs and run.id and unfinished([run.id]))


def unfinished(runs: Sequence[str]) -> list[str]:
    """Return the ids of pending, running and completing jobs of some runs.

    Raises
    ------
    PhonsmithError
        SLURM does not answer.
    """
    if not runs:
        return []
    return _slurm("squeue", "--noheader", "--format=%i", f"--name={','.join(runs)}").split()


def watch(command: Sequence[str], folder: Path, *, patience_s: float, poll_s: float = 30.0) -> int:
    """Run Snakemake, and restart it when it waits for jobs that have ended.

    An outage of SLURM's controller can make the SLURM plugin forget its jobs: Snakemake then waits
    for ever. Snakemake hangs if, for the given patience, its log has not grown, the queue holds no
    job of its run, and it has no child process.

    Parameters
    ----------
    command
        Command that runs Snakemake.
    folder
        Folder to run in.
    patience_s
        Time in s without progress.
    poll_s
        Time in s between two checks.

    Returns
    -------
    Exit status of Snakemake.

    Raises
    ------
    PhonsmithError
        Snakemake hung five times.
    """
    for _ in range(5):
        started = time.time()
        process = subprocess.Popen(command, cwd=folder, process_group=0)
        with _handing_on(process):
            while (status := _ended(process, poll_s)) is None:
                if _hangs(process.pid, folder, started, patience_s):
                    break
        if status is not None:
            return status
        print(
            "phonsmith: Snakemake is waiting for jobs that have ended (no progress for "
            f"{patience_s / 60:g} minutes); restarting it",
            flush=True,
        )
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for line in recover(folder):
            print(f"phonsmith: {line}", flush=True)
    raise PhonsmithError(
        "Snakemake hung five times; ask the cluster's administrator about the state of SLURM"
    )


def _ended(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


def _hangs(pid: int, folder: Path, started: float, patience_s: float) -> bool:
    logs = [log for log in _logs(folder) if log.stat().st_mtime >= started]
    # other runs, such as `snakemake failures`, have started and ended meanwhile
    run = next((run for run in map(_Run.of, logs) if run.id and not run.ended), None)
    if run is None or time.time() - run.last_line < patience_s or _children(pid):
        return False
    try:
        return not unfinished([run.id])
    except PhonsmithError:  # the controller does not respond: unknown
        return False


@contextlib.contextmanager
def _handing_on(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """An interrupt ends Snakemake, which then cancels its jobs."""

    def hand_on(number: int, _: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)

    before = {one: signal.signal(one, hand_on) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _logs(folder: Path) -> list[Path]:
    """Snakemake's logs, the latest first."""
    found = (folder / ".snakemake/log").glob("*.snakemake.log")
    return sorted(found, key=lambda log: log.stat().st_mtime, reverse=True)[:LOGS_LOOKED_AT]


def _snakemakes(folder: Path) -> list[int]:
    """Process ids of Snakemake at work in a folder, on this machine."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            here = (entry / "cwd").resolve() == folder.resolve()
        except OSError:
            continue
        runs = any(word.endswith(b"snakemake") for word in words[:3])
        if here and runs and b"--mode" not in words:  # jobs have a mode
            found.append(int(entry.name))
    return sorted(found)


def _children(pid: int) -> bool:
    """Whether a process has children: local jobs."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    with contextlib.suppress(OSError):
        return any(task.read_text().strip() for task in tasks)
    return False


def _slurm(*command: str) -> str:
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        raise PhonsmithError(f"{command[0]}: not found; run this on a machine with SLURM") from None
    except subprocess.TimeoutExpired:
        raise PhonsmithError(f"{command[0]} does not respond; try again later") from None
    if run.returncode != 0 and "Invalid job id" not in run.stderr:
        reason = (run.stderr.strip().splitlines() or ["no output"])[-1]
        raise PhonsmithError(f"{command[0]} failed: {reason}; try again when SLURM responds")
    return run.stdout


def main() -> None:
    """Run a command."""
    parser = argparse.ArgumentParser(
        prog="python -m phonsmith.running.cluster",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="what", required=True)
    one = commands.add_parser("recover", help="cancel the jobs of dead runs and unlock the folder")
    one.add_argument(
        "--force", action="store_true", help="assume that the run on another machine is dead"
    )
    one = commands.add_parser("watch", help="run Snakemake and restart it if it hangs")
    one.add_argument(
        "--patience", type=float, default=20.0, help="minutes without progress (default 20)"
    )
    one.add_argument("command", nargs="+", help="after --: snakemake and its arguments")
    given = parser.parse_args()
    with errors_in_words():
        if given.what == "watch":
            sys.exit(watch(given.command, Path.cwd(), patience_s=60 * given.patience))
        for line in recover(Path.cwd(), force=given.force):
            print(line)
        print("restart Snakemake with the same command")


if __name__ == "__main__":
    main()
