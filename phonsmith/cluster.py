"""Around Snakemake on a SLURM cluster: cleaning up after a run that died, and watching one.

    python -m phonsmith.cluster recover
    python -m phonsmith.cluster watch -- snakemake --profile profiles/slurm

Jobs of a run go on when Snakemake is killed, and a second run would submit them again: two jobs
would write into the same files. :func:`recover` cancels them by the run's id, which Snakemake
writes into its log and gives to its jobs as their name, and frees the folder.
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
from collections.abc import Iterator, Sequence
from pathlib import Path

from phonsmith.errors import PhonsmithError

_RUN = re.compile(r"^SLURM run ID: (\S+)$", re.MULTILINE)
_HOST = re.compile(r"^ +Host: (\S+)$", re.MULTILINE)

LOGS_LOOKED_AT = 20
"""The runs that may have left jobs behind: the latest so many."""


def recover(folder: Path, *, force: bool = False, wait_s: float = 120.0) -> list[str]:
    """Cancel the jobs of dead runs in ``folder`` and unlock it; what was done, line by line.

    Raises
    ------
    PhonsmithError
        Snakemake still runs there, or may run on another machine (``force`` does not ask); the
        controller does not answer, or jobs do not end.
    """
    logs = _logs(folder)
    if not logs:
        raise PhonsmithError(f"{folder}: Snakemake has never run here")
    alive = _snakemakes(folder)
    if alive:
        raise PhonsmithError(
            f"{folder}: Snakemake still runs here (process {alive[0]}); let it end, or end it "
            f"with `kill -INT {alive[0]}` and wait: it cancels its jobs itself"
        )
    texts = [log.read_text(encoding="utf-8", errors="replace") for log in logs]
    host = next((found[1] for text in texts[:1] if (found := _HOST.search(text))), "")
    locks = folder / ".snakemake/locks"
    locked = locks.is_dir() and any(locks.iterdir())
    if locked and host and host != socket.gethostname() and not force:
        raise PhonsmithError(
            f"{folder}: the last run was on {host}; look there whether it is dead "
            "(`ps -C snakemake`), then give --force"
        )
    said = []
    runs = [found[1] for text in texts if (found := _RUN.search(text))]
    jobs = unfinished(runs)
    if jobs:
        _slurm("scancel", *jobs)
        end = time.monotonic() + wait_s
        while unfinished(runs):
            if time.monotonic() > end:
                raise PhonsmithError(
                    f"SLURM jobs {', '.join(jobs)} were cancelled, but do not end; "
                    "wait for them (`squeue --me`) and try again"
                )
            time.sleep(1)
        said.append(f"cancelled {len(jobs)} SLURM jobs: {', '.join(jobs)}")
    if locked:
        shutil.rmtree(locks)
        said.append("unlocked the folder")
    return said or ["nothing to do: no jobs, no lock"]


def unfinished(runs: Sequence[str]) -> list[str]:
    """Ids of the jobs of some runs that wait, run or are ending.

    Raises
    ------
    PhonsmithError
        SLURM does not answer.
    """
    if not runs:
        return []
    return _slurm("squeue", "--noheader", "--format=%i", f"--name={','.join(runs)}").split()


def watch(command: Sequence[str], folder: Path, *, patience_s: float, poll_s: float = 30.0) -> int:
    """Run Snakemake, and start it anew where it waits for jobs that have ended; its exit status.

    An outage of SLURM's controller can make the SLURM plugin forget its jobs: Snakemake then waits
    for ever. That is told from patience: for so long its log has not grown, no job of its run is
    left in the queue, and nothing runs below it.
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
            f"phonsmith: Snakemake waits for jobs that have ended (nothing for "
            f"{patience_s / 60:g} minutes); it is started anew",
            flush=True,
        )
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for line in recover(folder):
            print(f"phonsmith: {line}", flush=True)
    raise PhonsmithError("Snakemake hung five times; look at SLURM's state with its administrator")


def _ended(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


def _hangs(pid: int, folder: Path, started: float, patience_s: float) -> bool:
    logs = [log for log in _logs(folder) if log.stat().st_mtime >= started]
    if not logs or time.time() - logs[0].stat().st_mtime < patience_s or _children(pid):
        return False
    found = _RUN.search(logs[0].read_text(encoding="utf-8", errors="replace"))
    try:
        return found is not None and not unfinished([found[1]])
    except PhonsmithError:  # the controller is away; nobody knows
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
        raise PhonsmithError(f"{command[0]}: not found; run this where SLURM is") from None
    except subprocess.TimeoutExpired:
        raise PhonsmithError(f"{command[0]} does not answer; try again later") from None
    if run.returncode != 0 and "Invalid job id" not in run.stderr:
        said = (run.stderr.strip().splitlines() or ["no output"])[-1]
        raise PhonsmithError(f"{command[0]} fails: {said}; try again when SLURM answers")
    return run.stdout


def main() -> None:
    """The commands."""
    parser = argparse.ArgumentParser(prog="python -m phonsmith.cluster", description=__doc__)
    commands = parser.add_subparsers(dest="what", required=True)
    one = commands.add_parser("recover", help="cancel the jobs of a dead run, and unlock")
    one.add_argument("--force", action="store_true", help="the run on another machine is dead")
    one = commands.add_parser("watch", help="run Snakemake, and start it anew where it hangs")
    one.add_argument("--patience", type=float, default=20.0, help="minutes (default 20)")
    one.add_argument("command", nargs="+", help="after --: snakemake and its arguments")
    given = parser.parse_args()
    try:
        if given.what == "watch":
            sys.exit(watch(given.command, Path.cwd(), patience_s=60 * given.patience))
        for line in recover(Path.cwd(), force=given.force):
            print(line)
        print("start Snakemake again with the same command")
    except PhonsmithError as error:
        sys.exit(f"phonsmith: {error}")


if __name__ == "__main__":
    main()
