"""What every job does around its work: threads, log, and errors in one line."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from phonsmith.files.errors import INTERRUPTED, in_our_words
from phonsmith.running import attempts as tries

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "RAYON_NUM_THREADS",
)


def limit_threads(threads: int) -> None:
    """Let numerical libraries use ``threads`` threads. Call it before they are imported."""
    for variable in THREAD_VARIABLES:
        os.environ[variable] = str(threads)
    # waiting threads sleep: where jobs share cores, spinning ones slow each other many times over
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


@contextmanager
def job(threads: int, log: str | Path) -> Iterator[Callable[[str], None]]:
    """Run the body as a job: output to ``log``, failures as one line on the terminal.

    The body receives a function that prints a line on the terminal.

    Everything that is printed, also by compiled code and child processes, goes to the log. A
    :class:`PhonsmithError` ends the process with exit status 1 and its text; any other error adds
    the path of the log, which contains the traceback. Failures that a retry cannot fix are not
    retried (:mod:`phonsmith.running.attempts`). Import numerical libraries inside the body, since
    the number of threads is set here.
    """
    limit_threads(threads)
    log = Path(log)
    log.parent.mkdir(parents=True, exist_ok=True)
    terminal = os.dup(2)
    with log.open("w", buffering=1) as stream:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
        try:
            tries.begin(log)
            yield lambda line: _say(terminal, f"phonsmith: {line}")
            tries.succeeded(log)
        except (Exception, KeyboardInterrupt) as error:
            _end(terminal, log, error)
        finally:
            with suppress(OSError):  # the disk of the log may be full
                sys.stdout.flush()
                sys.stderr.flush()


def _end(terminal: int, log: Path, error: Exception | KeyboardInterrupt) -> None:
    """Report an error: on the terminal, for the next attempt, and in the log if it can be written.

    An interrupt is written to the log only: Snakemake reports on the terminal that it ends.
    """
    ours = in_our_words(error)
    if isinstance(error, KeyboardInterrupt):
        with suppress(OSError):
            print(f"phonsmith: {ours}", file=sys.stderr, flush=True)
        sys.exit(INTERRUPTED)
    pointer = f" (see {log})" if ours.details else ""
    for line in str(ours).splitlines():
        _say(terminal, f"phonsmith: {line}{pointer}")
    with suppress(OSError):
        tries.failed(log, error)
        sys.stderr.write(ours.details)
        print(f"phonsmith: {ours}", file=sys.stderr, flush=True)
    sys.exit(1)


def _say(terminal: int, line: str) -> None:
    os.write(terminal, (line + "\n").encode())
