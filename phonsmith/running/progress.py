"""Progress of a run: steps, labels, fits, failures and time left, in one line.

Snakemake counts jobs, but one job labels many cells. Its log tells how many are done. Without a
terminal, the line is printed when a job has finished or a label is done, at most every
:data:`EVERY_S` seconds. In a terminal, it stays below the messages and is drawn again in place.
"""

import functools
import logging
import math
import os
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.reading_writing import read_json
from phonsmith.running.terminal import say

EVERY_S = 10.0
"""Shortest time between two lines without a terminal."""

REDRAWN_S = 2.0
"""Time after which the line in a terminal is drawn again."""

LEAST_TOLD_S = 60.0
"""A shorter time left says nothing while the times of some jobs are unknown."""

CLEARED = "\r\033[J"
"""Clears a terminal from the row of the cursor on."""

ROWS_FREE = 3
"""Rows of a terminal between messages and the line: jobs print errors there by themselves."""

TAIL_BYTES = 4096
"""Bytes at the end of a log that are read."""

_CELLS = re.compile(rb"^(\d+) of (\d+) cells done$|^(\d+) cells: (\d+) labels are in", re.M)
"""Lines of :func:`phonsmith.labels.labelling.label_cells`."""


@dataclass(frozen=True)
class Step:
    """A job of the run.

    Attributes
    ----------
    number
        Snakemake's number of the job.
    rule
        Name of its rule.
    stage
        Stage that it belongs to.
    log
        Its log.
    cells
        For jobs that label cells, a function that counts them; it returns None if they are unknown.
    failures
        For these jobs, the file in which they record failed labels.
    """

    number: int
    rule: str
    stage: str
    log: Path | None = None
    cells: Callable[[], int | None] | None = None
    failures: Path | None = None


@dataclass
class Progress:
    """State of a run, from the steps that it has and the events of its jobs.

    Attributes
    ----------
    steps
        Jobs of the run, finished ones included.
    began
        Time at which the run began, s.
    """

    steps: Sequence[Step] = ()
    began: float = field(default_factory=time.monotonic)
    _since: dict[int, float] = field(default_factory=dict)
    _took: dict[int, float] = field(default_factory=dict)
    _failed: set[int] = field(default_factory=set)
    _labelled: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Cells and failed cells of finished jobs."""

    def plan(self, steps: Sequence[Step]) -> None:
        """Replace the jobs, other than finished ones: a checkpoint may have changed them."""
        named = {step.number for step in steps}
        kept = [one for one in self.steps if one.number in self._took and one.number not in named]
        self.steps = [*kept, *steps]

    def start(self, number: int, now: float) -> None:
        """Record that a job starts, for the first time or again."""
        self._since[number] = now
        self._failed.discard(number)

    def finish(self, number: int, now: float) -> None:
        """Record that a job has finished."""
        self._took[number] = now - self._since.pop(number, now)

    def fail(self, number: int) -> None:
        """Record that a job has failed; another attempt may start it again."""
        self._since.pop(number, None)
        self._failed.add(number)

    def in_words(self, now: float) -> tuple[str, str]:
        """Return steps, labels, fits and failures in one line, and times to put behind them."""
        done = len([step for step in self.steps if step.number in self._took])
        share = 100 * done // max(1, len(self.steps))
        running = {
            step.number: _cells(step)
            for step in self.steps
            if step.cells and step.number in self._since
        }
        counts = [
            f"{done} of {len(self.steps)} steps ({share}%) done",
            *self._counts_of_labels(running),
            *self._counts_of_fits(),
        ]
        if self._failed:
            number = len(self._failed)
            counts.append(f"{number} job{'' if number == 1 else 's'} failed")
        if stages := dict.fromkeys(s.stage for s in self.steps if s.number in self._since):
            counts.append(f"now: {', '.join(stages)}")
        return "; ".join(counts), f"{duration(now - self.began)} so far{self._left(now, running)}"

    def _counts_of_labels(self, running: "Cells") -> Iterator[str]:
        done, failed = 0, 0
        totals: list[int | None] = []
        for step in self.steps:
            if step.cells is None:
                continue
            if step.number in self._took:
                cells, lost = self._finished(step)
                done, failed = done + cells, failed + lost
                totals.append(cells)
            elif step.number in running:
                done += running[step.number][0]
                totals.append(running[step.number][1])
            else:
                totals.append(step.cells())
        if any(totals):
            more = " or more" if None in totals else ""
            failures = f", {failed} of them failed" if failed else ""
            yield f"{done} of {sum(filter(None, totals))}{more} labels done{failures}"

    def _finished(self, step: Step) -> tuple[int, int]:
        """Return the numbers of cells and of failed cells of a finished job."""
        if step.number not in self._labelled:
            failed = 0
            with suppress(PhonsmithError, OSError, TypeError):
                failed = len(read_json(step.failures)) if step.failures else 0
            self._labelled[step.number] = (_cells(step)[1] or 0, failed)
        return self._labelled[step.number]

    def _counts_of_fits(self) -> Iterator[str]:
        fits = [step.number in self._took for step in self.steps if step.rule == "fit"]
        if fits:
            yield f"{sum(fits)} of {len(fits)} fits done"

    def _left(self, now: float, running: "Cells") -> str:
        """Estimate the time left from the times of finished jobs of the same rules.

        As many jobs as now are assumed to run at a time.
        """
        took = defaultdict(list)
        for step in self.steps:
            if step.number in self._took:
                took[step.rule].append(self._took[step.number])
        left, unknown = 0.0, False
        for step in self.steps:
            if step.number in self._took or step.number in self._failed:
                continue
            passed = now - self._since.get(step.number, now)
            done, cells = running.get(step.number, (0, None))
            if done and cells:
                left += passed * (cells - done) / done
            elif times := took.get(step.rule):
                left += max(0.0, sum(times) / len(times) - passed)
            else:
                unknown |= step.rule != "all"
        left /= max(1, len(self._since))
        if not left or (unknown and left < LEAST_TOLD_S):
            return ""
        return f", {'at least' if unknown else 'about'} {duration(left)} left"


Cells = Mapping[int, tuple[int, int | None]]
"""Finished and all cells of jobs that label at the moment, by number; None if unknown."""


def _cells(step: Step) -> tuple[int, int | None]:
    """Return the numbers of finished and of all cells of a job that has started."""
    found = cells_in(step.log) if step.log else None
    return found or (0, step.cells() if step.cells else None)


def cells_of_batch(cells: Path, batch: int, batches: int) -> int | None:
    """Return the number of cells of a batch; None before they exist.

    Parameters
    ----------
    cells
        extxyz file of the cells of all batches.
    batch
        Number of the batch.
    batches
        Number of batches.
    """
    try:
        return len(range(batch, _frames(cells, cells.stat().st_mtime_ns), batches))
    except (OSError, PhonsmithError):
        return None


@functools.cache
def _frames(path: Path, modified: int) -> int:
    from phonsmith.files.extxyz import count_frames

    return count_frames(path)


def cells_in(log: Path) -> tuple[int, int] | None:
    """Return the numbers of finished and of all cells by the log of a job; None if unknown."""
    try:
        with log.open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - TAIL_BYTES))
            found = _CELLS.findall(stream.read())
    except OSError:
        return None
    if not found:
        return None
    done, cells, all_cells, stored = found[-1]
    return (int(done), int(cells)) if cells else (int(stored), int(all_cells))


def duration(seconds: float) -> str:
    """Return a time in words.

    >>> duration(42), duration(200), duration(5400)
    ('42 s', '3 min', '1 h 30 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = max(2, round(seconds / 60))
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


class ShowsProgress(logging.Handler):
    """Shows the progress of a run, beside the handler that prints Snakemake's messages.

    Parameters
    ----------
    stream
        Where messages go.
    steps
        Function that returns all jobs of the run, finished ones included.
    every_s
        Shortest time between two lines; that between two drawings in a terminal.
    """

    def __init__(
        self,
        stream: TextIO,
        steps: Callable[[], Sequence[Step]],
        every_s: float | None = None,
    ) -> None:
        super().__init__()
        self._stream, self._steps = stream, steps
        self._drawn = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._every = every_s or (REDRAWN_S if self._drawn else EVERY_S)
        self._progress = Progress(steps())
        self._counts, self._line, self._looked_at = "", "", -math.inf
        self._ended = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Take account of an event, and show the progress if it has changed."""
        if self._ended.is_set():
            return
        try:
            self._take(str(getattr(record, "event", "")), vars(record), time.monotonic())
        except Exception as error:  # a faulty line must not end the run
            self._ended.set()
            say(f"progress is no longer shown ({type(error).__name__}: {error})")

    def clear(self, record: logging.LogRecord) -> bool:
        """Remove the line in a terminal before a message; a filter for Snakemake's own handler.

        Returns
        -------
        Whether Snakemake shows the message: all but its count of steps.
        """
        if self._ended.is_set():
            return True
        is_count = str(getattr(record, "event", "")) == "progress"
        if self._drawn and not is_count:
            self._write(CLEARED)
        return not is_count

    def close(self) -> None:
        """Show the state at the end, and stop."""
        if not self._ended.is_set():
            self._ended.set()
            self._print(time.monotonic())
        super().close()

    def _take(self, event: str, content: Mapping[str, Any], now: float) -> None:
        ends = event == "progress" and content["done"] == content["total"]
        if event == "job_info":
            self._progress.start(content["jobid"], now)
        elif event == "job_finished":
            self._progress.finish(content["job_id"], now)
        elif event == "job_error":
            self._progress.fail(content["jobid"])
        elif ends or (event == "progress" and self._is_due(now)):
            self._progress.plan(self._steps())
        if ends or (event == "progress" and not self._drawn and self._is_due(now)):
            self._print(now)
        elif self._drawn:
            self._draw(now)

    def _watch(self) -> None:
        """Show labels that become done while no job ends."""
        while not self._ended.wait(self._every):
            with suppress(Exception), self._locked():
                if self._ended.is_set():
                    return
                (self._draw if self._drawn else self._print)(time.monotonic())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.acquire()
        try:
            yield
        finally:
            self.release()

    def _is_due(self, now: float) -> bool:
        return now - self._looked_at >= self._every

    def _draw(self, now: float) -> None:
        """Draw the line below the cursor, which stays where the next message begins."""
        if self._is_due(now):
            self._looked_at = now
            self._line = "; ".join(self._progress.in_words(now))
        line = self._line[: _columns(self._stream) - 1]
        self._write("".join([CLEARED, "\n" * ROWS_FREE, line, f"\r\033[{ROWS_FREE}A"]))

    def _print(self, now: float) -> None:
        """Print the line if the counts have changed."""
        self._looked_at = now
        counts, times = self._progress.in_words(now)
        if counts != self._counts:
            self._counts = counts
            self._write(f"{CLEARED if self._drawn else ''}{counts}; {times}\n")

    def _write(self, text: str) -> None:
        with suppress(OSError, ValueError):  # a closed stream ends no run
            self._stream.write(text)
            self._stream.flush()


def _columns(stream: TextIO) -> int:
    """Return the width of a terminal."""
    with suppress(OSError, ValueError):
        return os.get_terminal_size(stream.fileno()).columns or 80
    return 80
