"""What several campaigns ask of a cluster."""

from pathlib import Path

import pandas as pd
import pytest

from phonsmith.paper.requests import Amount, request_of, requests_in_words

TASKS = pd.DataFrame(
    [
        ("label", None, 10, 100.0, 40.0, "cpu"),
        ("third order", None, 5, 20.0, 20.0, "cpu"),
        ("third order", "gap", 50, 1.0, 1.0, "cpu"),
        ("relaxation", None, 3, 30.0, 0.0, "cpu"),
        ("fit", "mace", 1, 900.0, 900.0, "gpu"),
    ],
    columns=["stage", "fit", "runs", "core_hours", "core_hours_left", "partition"],
)
JOBS = pd.DataFrame(
    [("labels", 5, "cpu", 60), ("fit mace", 1, "gpu", 240), ("fit mace-r2", 1, "gpu", 240)],
    columns=["what", "jobs", "partition", "minutes"],
)


def write(folder: Path, tasks: pd.DataFrame = TASKS) -> Path:
    folder.mkdir()
    tasks.to_csv(folder / "plan.csv", index=False)
    JOBS.to_csv(folder / "plan_jobs.csv", index=False)
    return folder


def test_labels_are_those_of_the_reference_and_gpu_jobs_are_apart() -> None:
    found = request_of(TASKS, JOBS, "gpu")
    assert found.labels == Amount(15, at_least=False)
    assert found.core_hours == Amount(151, at_least=False)
    assert found.core_hours_left == Amount(61, at_least=False)
    assert (found.gpu_jobs, found.gpu_hours) == (2, pytest.approx(8))


def test_what_is_not_known_is_marked(tmp_path: Path) -> None:
    unknown = TASKS.copy()
    unknown.loc[0, ["runs", "core_hours"]] = None
    folders = {"a": write(tmp_path / "a"), "b": write(tmp_path / "b", unknown)}
    words = requests_in_words({**folders, "c": tmp_path / "c"}, "gpu")
    rows = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]]
        for line in words.splitlines()
        if line.startswith("|")
    }
    assert rows["campaign"][:2] == ["labels", "core hours"]
    assert rows["a"] == ["15", "151", "61", "2", "8"]
    assert rows["b"] == ["5.0 + ?", "51 + ?", "61", "2", "8"]
    assert rows["all"] == ["20 + ?", "202 + ?", "122", "4", "16"]
    assert words.splitlines()[-1].startswith("no plan yet: c; `snakemake paper-plan`")
