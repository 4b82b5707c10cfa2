"""Run folders of external codes."""

import fcntl
import shutil
import socket
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from phonsmith.labels.failed import LabelFailed

MPI_ENVIRONMENT = {
    # several runs side by side would else be bound to the same cores, each counting from the first
    "OMPI_MCA_hwloc_base_binding_policy": "none",
    # within a job of SLURM, mpirun would start its ranks as a step of their own, for which the job
    # has no room: it hangs. Open MPI 4, 5; Intel MPI; MPICH
    **dict.fromkeys(("OMPI_MCA_ras", "OMPI_MCA_plm", "PRTE_MCA_ras", "PRTE_MCA_plm"), "^slurm"),
    **dict.fromkeys(("I_MPI_HYDRA_BOOTSTRAP", "HYDRA_LAUNCHER"), "fork"),
}
"""Environment of mpirun: its ranks run on this node, on the cores of this job."""

LAST_LINES, LAST_CHARACTERS = 20, 4000
"""Lines and characters of a code's output kept in the record of a failure."""


class OwnFolder:
    """A new folder that belongs to this process until :meth:`remove`.

    Folders left by killed processes of this machine are removed first. A process owns its folder
    while it locks a file in it; the system releases the lock when the process ends. Folders of
    other machines on the same file system are kept, since locks may not be visible there.
    """

    def __init__(self, place: Path, prefix: str) -> None:
        place.mkdir(parents=True, exist_ok=True)
        prefix = f"{prefix}-{socket.gethostname()}-"
        for stale in place.glob(f"{prefix}*"):
            _remove_if_left(stale)
        made = Path(tempfile.mkdtemp(prefix=".new-", dir=place))
        self._lock: IO[bytes] | None = (made / LOCK).open("wb")
        with suppress(OSError):  # without locks on this file system, no process can take the folder
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # locked before another process can consider it abandoned
        self.path = made.rename(place / f"{prefix}{made.name.removeprefix('.new-')}")

    def remove(self) -> None:
        """Remove the folder; files that cannot be removed are left to the next process."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock:
            self._lock.close()
            self._lock = None


LOCK = ".lock"


def _remove_if_left(folder: Path) -> None:
    """Remove a folder whose process has ended."""
    try:
        with (folder / LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        return


@contextmanager
def run_folder(work: str | Path, keep: Sequence[str], logs: Sequence[str] = ()) -> Iterator[Path]:
    """Provide a new folder for the runs of one label and remove it afterwards.

    After a :class:`LabelFailed`, the files that match ``keep`` (inputs and text outputs, no
    wavefunctions or densities) are copied to ``work``/failed, and the reason names this folder.

    Parameters
    ----------
    work
        Parent folder.
    keep
        Patterns of the files kept after a failure.
    logs
        Patterns of output files; the last lines of the newest file are added to the failure.
    """
    place = Path(work).absolute()
    own = OwnFolder(place, "run")
    folder = own.path
    try:
        yield folder
    except LabelFailed as failed:
        output = failed.output or last_lines(folder, logs)
        kept = _keep(folder, place / "failed" / folder.name.removeprefix("run-"), keep)
        reason = f"{failed}{f' (see {kept})' if kept else ''}"
        raise LabelFailed(reason, failed.wants, output) from None
    finally:
        own.remove()


def last_lines(folder: Path, patterns: Sequence[str]) -> str:
    """Return the last lines of the newest non-empty file below the folder that matches."""
    found = [
        path
        for path in folder.rglob("*")
        if any(path.match(pattern) for pattern in patterns)
        and path.is_file()
        and path.stat().st_size
    ]
    if not found:
        return ""
    newest = max(found, key=lambda path: path.stat().st_mtime_ns)
    text = newest.read_text(encoding="utf-8", errors="replace")[-LAST_CHARACTERS:]
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return "\n".join(lines[-LAST_LINES:])


def end_of_traceback() -> str:
    """Return the last lines of the traceback of the current exception."""
    return "\n".join(traceback.format_exc().splitlines()[-LAST_LINES:])


def _keep(folder: Path, target: Path, keep: Sequence[str]) -> Path | None:
    try:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and any(path.match(pattern) for pattern in keep):
                copy = target / path.relative_to(folder)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
    except OSError:  # a full disk must not hide the reason
        return None
    return target if target.exists() else None
