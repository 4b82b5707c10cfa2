"""Folders in which codes run."""

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
"""For mpirun, whose ranks run on this node, on the cores of this job."""

LAST_LINES, LAST_CHARACTERS = 20, 4000
"""How much of a code's output stays in the record of a failure."""


class OwnFolder:
    """A fresh folder that belongs to this process, and goes with :meth:`remove`.

    What processes of this machine left that were killed is removed before. A folder is theirs as
    long as they hold a lock on a file in it, which the system releases when they die; those of
    other machines on the same file system are left alone, since locks may not reach so far.
    """

    def __init__(self, place: Path, prefix: str) -> None:
        place.mkdir(parents=True, exist_ok=True)
        prefix = f"{prefix}-{socket.gethostname()}-"
        for stale in place.glob(f"{prefix}*"):
            _remove_if_left(stale)
        made = Path(tempfile.mkdtemp(prefix=".new-", dir=place))
        self._lock: IO[bytes] | None = (made / LOCK).open("wb")
        with suppress(OSError):  # a file system without locks: then nobody can take this one
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # locked before anybody can take it for a left one
        self.path = made.rename(place / f"{prefix}{made.name.removeprefix('.new-')}")

    def remove(self) -> None:
        """Remove the folder; what cannot be removed stays for the next process."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock:
            self._lock.close()
            self._lock = None


LOCK = ".lock"


def _remove_if_left(folder: Path) -> None:
    """Remove a folder whose process is gone."""
    try:
        with (folder / LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        return


@contextmanager
def run_folder(work: str | Path, keep: Sequence[str], said: Sequence[str] = ()) -> Iterator[Path]:
    """Provide a fresh folder for the runs of one label and remove it afterwards.

    After a :class:`LabelFailed`, the files that match ``keep`` (inputs and text outputs, no
    wavefunctions or densities) are copied to ``work``/failed, and the reason names this folder.

    Parameters
    ----------
    work
        Parent folder.
    keep
        Patterns of the files kept after a failure.
    said
        Patterns of output files; the last lines of the newest one are added to the failure.
    """
    place = Path(work).absolute()
    own = OwnFolder(place, "run")
    folder = own.path
    try:
        yield folder
    except LabelFailed as failed:
        output = failed.output or last_lines(folder, said)
        kept = _keep(folder, place / "failed" / folder.name.removeprefix("run-"), keep)
        reason = f"{failed}{f' (see {kept})' if kept else ''}"
        raise LabelFailed(reason, failed.wants, output) from None
    finally:
        own.remove()


def last_lines(folder: Path, said: Sequence[str]) -> str:
    """Return the end of the newest file below the folder with something in it that matches."""
    found = [
        path
        for path in folder.rglob("*")
        if any(path.match(pattern) for pattern in said) and path.is_file() and path.stat().st_size
    ]
    if not found:
        return ""
    newest = max(found, key=lambda path: path.stat().st_mtime_ns)
    text = newest.read_text(encoding="utf-8", errors="replace")[-LAST_CHARACTERS:]
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return "\n".join(lines[-LAST_LINES:])


def end_of_traceback() -> str:
    """Return the last lines of the traceback of the exception in hand."""
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
