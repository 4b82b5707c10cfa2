"""What every job does around its work: threads, log, and errors in one line."""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from phonsmith.errors import PhonsmithError

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def limit_threads(threads: int) -> None:
    """Let numerical libraries use ``threads`` threads. Call it before they are imported."""
    for variable in THREAD_VARIABLES:
        os.environ[variable] = str(threads)
    # waiting threads sleep: where jobs share cores, spinning ones slow each other many times over
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


@contextmanager
def job(threads: int, log: str | Path) -> Iterator[None]:
    """Run the body as a job: output to ``log``, a failure as one line on the terminal.

    Everything that is printed, also by compiled code and child processes, goes to the log. A
    :class:`PhonsmithError` ends the process with exit status 1 and its text; any other error
    likewise with a pointer to the log, where the traceback stands. Import numerical
    libraries inside the body, since the number of threads is set here.
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
            yield
        except PhonsmithError as error:
            _say(terminal, f"phonsmith: {error}")
            print(f"phonsmith: {error}", file=sys.stderr)
            sys.exit(1)
        except Exception as error:
            traceback.print_exc()
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            _say(terminal, f"phonsmith: {type(error).__name__}: {reason} (see {log})")
            sys.exit(1)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()


def _say(terminal: int, line: str) -> None:
    os.write(terminal, (line + "\n").encode())
