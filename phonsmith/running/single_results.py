"""Jobs that compute one result for each of several crystals.

Each result is kept when it is computed. A job that runs again, after a failure or for one more
crystal, computes only results whose inputs changed. One job for many crystals imports a potential
once, which for MACE takes longer than the phonons of a crystal.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from phonsmith.files.errors import PhonsmithError, TryAgain, in_our_words
from phonsmith.files.json_records import StoredRecord
from phonsmith.running.process_pool import each

Work = TypeVar("Work")


class KeptResult(StoredRecord):
    """One result as plain values, with a digest of its inputs."""

    IN_WORDS = "a result of one crystal"

    made_from: str
    result: dict[str, Any]


@dataclass(frozen=True)
class Task(Generic[Work]):
    """One result of a job.

    Attributes
    ----------
    name
        Name of the crystal.
    record
        JSON file of the result, see :class:`KeptResult`.
    made_from
        Digest of the inputs, see :func:`made_from`.
    work
        Argument of the function that computes the result.
    """

    name: str
    record: Path
    made_from: str
    work: Work

    def kept(self) -> dict[str, Any] | None:
        """Return the result if it was computed from the same inputs."""
        try:
            found = KeptResult.load(self.record)
        except PhonsmithError:  # absent or damaged
            return None
        return found.result if found.made_from == self.made_from else None


def record_file(index: str | Path, name: str) -> Path:
    """Return the JSON record of a crystal: in the folder of the same name as the file of all."""
    return Path(index).with_suffix("") / f"{name}.json"


def made_from(files: Iterable[str | Path], settings: Mapping[str, Any]) -> str:
    """Return a digest of files, by path, time and size as Snakemake compares them, and settings.

    Parameters
    ----------
    files
        Files, or folders with all files in them.
    settings
        Plain values.
    """
    states = []
    for path in map(Path, files):
        inside = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else []
        for one in inside or [path]:
            status = one.stat()
            states.append([str(one), status.st_mtime_ns, status.st_size])
    content = json.dumps([states, settings], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def compute_each(
    setup: Callable[[], Callable[[Work], dict[str, Any]]],
    tasks: Sequence[Task[Work]],
    processes: int = 1,
) -> dict[str, dict[str, Any]]:
    """Return the result of each task by name; compute those not kept, and keep them.

    Parameters
    ----------
    setup
        Function called once in each process, see :func:`phonsmith.running.process_pool.each`; it
        returns the function from the work of a task to its result. That function writes other
        files of the result itself.
    tasks
        All results of the job.
    processes
        Number of spawned processes that share the tasks.

    Raises
    ------
    PhonsmithError
        The first failure of a task, with the name of the crystal. The other tasks are finished
        before, unless it is a PhonsmithError, which they would meet as well.
    """
    found = {task.name: task.kept() for task in tasks}
    missing = [task for task in tasks if found[task.name] is None]
    failed: PhonsmithError | None = None
    for index, outcome in each(
        _Keeping(setup), missing, processes=min(processes, max(1, len(missing)))
    ):
        name = missing[index].name
        if isinstance(outcome, Exception):
            print(f"{name}: {type(outcome).__name__}: {outcome}")
            # the type of TryAgain decides whether the job is retried; a full disk is no one's fault
            alone = isinstance(outcome, TryAgain | OSError)
            failed = failed or in_our_words(outcome, "" if alone else f"crystal {name}")
        else:
            found[name] = outcome
            print(f"{name}: done")
    if failed is not None:
        raise failed
    return {name: result for name, result in found.items() if result is not None}


@dataclass(frozen=True)
class _Keeping(Generic[Work]):
    """Setup of a process whose function keeps the result of each task."""

    setup: Callable[[], Callable[[Work], dict[str, Any]]]

    def __call__(self) -> Callable[[Task[Work]], dict[str, Any]]:
        compute = self.setup()

        def compute_and_keep(task: Task[Work]) -> dict[str, Any]:
            # an interrupted computation must not leave an earlier record beside its files
            task.record.unlink(missing_ok=True)
            result = compute(task.work)
            KeptResult(made_from=task.made_from, result=result).save(task.record)
            return result

        return compute_and_keep
