"""Results of several crystals in one job: each is kept until its inputs change."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from phonsmith.files.errors import PhonsmithError, TryAgain
from phonsmith.running.single_results import Task, compute_each, made_from


def square(seen: Path, number: float) -> dict[str, Any]:
    """Return the square; leave a trace of having been called."""
    (seen / f"{number}-{len(list(seen.iterdir()))}").touch()
    if number < 0:
        raise ValueError("a negative number")
    return {"square": number**2}


def squaring(seen: Path) -> Callable[[float], dict[str, Any]]:
    return partial(square, seen)


def tasks(folder: Path, numbers: dict[str, float], digest: str = "a") -> list[Task[float]]:
    return [Task(name, folder / f"{name}.json", digest, one) for name, one in numbers.items()]


@pytest.fixture
def seen(tmp_path: Path) -> Path:
    folder = tmp_path / "seen"
    folder.mkdir()
    return folder


def test_only_results_with_other_inputs_are_computed(tmp_path: Path, seen: Path) -> None:
    setup = partial(squaring, seen)
    first = compute_each(setup, tasks(tmp_path, {"two": 2.0, "three": 3.0}))
    assert first == {"two": {"square": 4.0}, "three": {"square": 9.0}}
    more = tasks(tmp_path, {"two": 2.0, "three": 3.0, "four": 4.0})
    more[1] = Task("three", tmp_path / "three.json", "b", 3.0)
    found = compute_each(setup, more)
    assert list(found) == ["two", "three", "four"]
    names = sorted(path.name for path in seen.iterdir())
    assert names == ["2.0-0", "3.0-1", "3.0-2", "4.0-3"]


@pytest.mark.parametrize("processes", [1, 2])
def test_the_other_crystals_are_finished_and_kept_where_one_fails(
    tmp_path: Path, seen: Path, processes: int
) -> None:
    numbers = {"two": 2.0, "broken": -1.0, "three": 3.0}
    with pytest.raises(PhonsmithError, match="crystal broken: ValueError: a negative number"):
        compute_each(partial(squaring, seen), tasks(tmp_path, numbers), processes)
    kept = {task.name for task in tasks(tmp_path, numbers) if task.kept() is not None}
    assert kept == {"two", "three"}


def test_the_record_of_other_inputs_is_gone_before_files_are_written(
    tmp_path: Path, seen: Path
) -> None:
    (old,) = tasks(tmp_path, {"one": 1.0})
    compute_each(partial(squaring, seen), [old])
    with pytest.raises(PhonsmithError):
        compute_each(partial(squaring, seen), [Task("one", old.record, "b", -1.0)])
    assert old.kept() is None


def test_a_job_short_of_memory_is_tried_again(tmp_path: Path) -> None:
    def failing() -> Callable[[float], dict[str, Any]]:
        def fail(number: float) -> dict[str, Any]:
            raise TryAgain("out of memory", "memory")

        return fail

    with pytest.raises(TryAgain) as found:
        compute_each(failing, tasks(tmp_path, {"one": 1.0}))
    assert found.value.wants == "memory"


def test_a_digest_follows_times_sizes_and_settings(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    file = folder / "weights"
    file.write_text("1")
    before = made_from([folder], {"a": 1})
    assert made_from([folder], {"a": 1}) == before
    assert made_from([folder], {"a": 2}) != before
    time = file.stat().st_mtime_ns
    os.utime(file, ns=(time, time + 1))
    assert made_from([folder], {"a": 1}) != before
    os.utime(file, ns=(time, time))
    assert made_from([folder], {"a": 1}) == before
    file.write_text("12")
    os.utime(file, ns=(time, time))
    assert made_from([folder], {"a": 1}) != before
