"""Progress of a run in one line, from the events that Snakemake logs."""

import io
import logging
import re
import time
from pathlib import Path

import pytest

from phonsmith.files.reading_writing import write_json
from phonsmith.running.progress import (
    CLEARED,
    Progress,
    ShowsProgress,
    Step,
    cells_in,
    cells_of_batch,
)


def label_step(folder: Path, number: int, cells: int | None) -> Step:
    return Step(
        number,
        "label_batch",
        "labels",
        folder / f"{number}.log",
        lambda: cells,
        folder / f"{number}.json",
    )


@pytest.fixture
def progress(tmp_path) -> Progress:
    """Two batches of labels, a fit, and the target."""
    steps = [
        label_step(tmp_path, 1, 10),
        label_step(tmp_path, 2, None),
        Step(3, "fit", "fits"),
        Step(0, "all", "Snakefile"),
    ]
    return Progress(steps, began=0.0)


def test_cells_of_a_running_job_are_those_in_its_log(tmp_path):
    log = tmp_path / "a.log"
    assert cells_in(log) is None
    log.write_text("12 cells: 3 labels are in the store\n")
    assert cells_in(log) == (3, 12)
    log.write_text(log.read_text() + "output of a code\n" * 1000 + "4 of 12 cells done\n")
    assert cells_in(log) == (4, 12)
    log.write_text("warning: 4 of 12 cells done before\n")
    assert cells_in(log) is None


def test_cells_of_a_batch_are_counted_before_it_starts(tmp_path):
    cells = tmp_path / "cells.extxyz"
    assert cells_of_batch(cells, 0, 2) is None
    cells.write_text("1\nProperties=species:S:1:pos:R:3\nSi 0 0 0\n" * 5)
    assert [cells_of_batch(cells, batch, 2) for batch in (0, 1)] == [3, 2]


def test_the_line_counts_steps_labels_fits_and_failures(progress, tmp_path):
    counts, times = progress.in_words(10.0)
    assert (
        counts
        == "0 of 4 steps (0%) done; 0 of 10 or more labels done; 0 of 3 fits done".replace(
            "of 3 fits", "of 1 fits"
        )
    )
    assert times == "10 s so far"

    progress.start(1, 10.0)
    progress.start(2, 10.0)
    (tmp_path / "1.log").write_text("10 cells: 0 labels are in the store\n4 of 10 cells done\n")
    (tmp_path / "2.log").write_text("6 cells: 6 labels are in the store\n")
    counts, _ = progress.in_words(50.0)
    assert "10 of 16 labels done" in counts
    assert counts.endswith("now: labels")

    write_json(tmp_path / "1.json", [{"reason": "not converged"}])
    write_json(tmp_path / "2.json", [])
    progress.finish(1, 110.0)
    progress.finish(2, 20.0)
    progress.start(3, 110.0)
    progress.fail(3)
    counts, _ = progress.in_words(120.0)
    assert counts == (
        "2 of 4 steps (50%) done; 16 of 16 labels done, 1 of them failed; 0 of 1 fits done; "
        "1 job failed"
    )
    progress.start(3, 130.0)  # another attempt
    assert "1 job failed" not in progress.in_words(131.0)[0]


def test_the_time_left_is_that_of_finished_jobs_and_labels(tmp_path):
    """Two jobs at a time: 4 of 10 cells in 40 s, and one unstarted job of 100 s."""
    steps = [Step(number, "benchmark", "benchmarks") for number in (1, 2)]
    progress = Progress([*steps, label_step(tmp_path, 3, 10), Step(4, "fit", "fits")], began=0.0)
    assert "left" not in progress.in_words(1.0)[1]
    progress.start(1, 0.0)
    progress.finish(1, 100.0)
    progress.start(3, 100.0)
    progress.start(4, 100.0)
    (tmp_path / "3.log").write_text("4 of 10 cells done\n")
    # (60 s of labels + 100 s of the benchmark) / 2; of the fit nothing is known
    assert progress.in_words(140.0)[1] == "2 min so far, at least 80 s left"
    progress.finish(4, 140.0)
    assert progress.in_words(140.0)[1] == "2 min so far, about 3 min left"


def test_jobs_that_a_checkpoint_adds_and_removes_count(progress):
    progress.start(1, 0.0)
    progress.finish(1, 1.0)
    progress.plan([Step(3, "fit", "fits"), Step(9, "fit", "fits")])
    assert [step.number for step in progress.steps] == [1, 3, 9]


# --- on the stream ----------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def record(event: str, **content) -> logging.LogRecord:
    made = logging.LogRecord("snakemake", logging.INFO, "", 0, "message", (), None)
    vars(made).update(event=event, **content)
    return made


def shown(stream: io.StringIO, every_s: float) -> ShowsProgress:
    return ShowsProgress(stream, lambda: [Step(1, "a", "labels"), Step(2, "b", "fits")], every_s)


def test_without_a_terminal_there_is_a_line_now_and_then_and_at_the_end():
    stream = io.StringIO()
    handler = shown(stream, every_s=1000)
    for number in (1, 2):
        handler.handle(record("job_info", jobid=number))
        handler.handle(record("job_finished", job_id=number))
        handler.handle(record("progress", done=number, total=2))
        assert not handler.clear(record("progress"))  # in place of Snakemake's own count
    handler.close()
    first, last = stream.getvalue().splitlines()
    assert first.startswith("1 of 2 steps (50%) done; 0 s so far")
    assert last.startswith("2 of 2 steps (100%) done; ")


def test_without_a_terminal_labels_count_while_no_job_ends(tmp_path):
    stream = io.StringIO()
    step = label_step(tmp_path, 1, 3)
    handler = ShowsProgress(stream, lambda: [step], every_s=0.02)
    handler.handle(record("job_info", jobid=1))
    for done in (1, 2):
        (tmp_path / "1.log").write_text(f"{done} of 3 cells done\n")
        deadline = time.monotonic() + 5
        while f"{done} of 3 labels" not in stream.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
    handler.close()
    lines = stream.getvalue().splitlines()
    assert [line.split("; ")[1] for line in lines][-2:] == [
        "1 of 3 labels done",
        "2 of 3 labels done",
    ]
    assert len(set(lines)) == len(lines)


def test_in_a_terminal_the_line_stays_below_the_messages(monkeypatch):
    stream = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    handler = shown(stream, every_s=1000)
    handler.handle(record("job_info", jobid=1))
    assert handler.clear(record("job_error"))
    stream.write("Error in rule\n")
    handler.handle(record("job_error", jobid=1))
    handler.close()
    screen = stream.getvalue()
    before, after = screen.split("Error in rule\n")
    assert before.endswith(CLEARED)  # nothing of the line is left where the message is printed
    assert screen.endswith(f"{CLEARED}0 of 2 steps (0%) done; 1 job failed; 0 s so far\n")
    for text in (before, after):  # the cursor comes back to the row of the message
        rows, up = re.fullmatch(r".*?(\n+)[^\n]* steps .*\r\033\[(\d)A.*", text, re.S).groups()
        assert len(rows) == int(up)


LABELLED = [
    ("workflow_started", {}),
    ("run_info", {}),
    ("job_started", {"jobs": [0, 5]}),
    ("job_info", {"jobid": 0}),
    ("shellcmd", {}),
    ("job_info", {"jobid": 5}),
    ("shellcmd", {}),
    ("job_finished", {"job_id": 0}),
    ("progress", {"done": 1, "total": 2}),
    ("job_finished", {"job_id": 5}),
    ("progress", {"done": 2, "total": 2}),
]
"""Events of two batches of labels, as Snakemake 9.27 logged them."""

FAILED = [
    ("job_started", {"jobs": [0]}),
    ("job_info", {"jobid": 0}),
    ("error", {}),
    ("job_error", {"jobid": 0}),
    ("error", {}),
]
"""Events of a run with one job, which failed."""


@pytest.mark.parametrize(
    ("events", "numbers", "last"),
    [
        (LABELLED, (0, 5), "2 of 2 steps (100%) done; 6 of 6 labels done; "),
        (FAILED, (0,), "0 of 1 steps (0%) done; 0 of 3 labels done; 1 job failed; "),
    ],
    ids=["labelled", "failed"],
)
def test_events_of_a_run_end_with_its_counts(tmp_path, events, numbers, last):
    stream = io.StringIO()
    steps = [label_step(tmp_path, number, 3) for number in numbers]
    handler = ShowsProgress(stream, lambda: steps, every_s=1000)
    for event, content in events:
        handler.handle(record(event, **content))
    handler.close()
    handler.handle(record("progress", done=0, total=1))  # nothing more is shown
    assert stream.getvalue().splitlines()[-1].startswith(last)


def test_a_fault_of_the_line_ends_no_run(capsys):
    handler = shown(io.StringIO(), every_s=1000)
    handler.handle(record("progress", done=1))
    assert "progress is no longer shown (KeyError: 'total')" in capsys.readouterr().err
    assert handler.clear(record("progress"))  # Snakemake counts again


def test_a_closed_terminal_ends_nothing():
    stream = io.StringIO()
    handler = shown(stream, every_s=1000)
    stream.close()
    handler.handle(record("progress", done=1, total=2))
    handler.close()
