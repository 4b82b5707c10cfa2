"""Work on many items in spawned processes: one setup per process, one thread each.

Processes are spawned, not forked, since BLAS, OpenMP and torch do not survive a fork.
"""

import os
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import connection, get_context, parent_process
from typing import Any, TypeVar

from phonsmith.errors import PhonsmithError, TryAgain
from phonsmith.jobs import THREAD_VARIABLES

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(
    setup: Callable[[], Callable[[Item], Result]], items: Sequence[Item], processes: int = 1
) -> Iterator[tuple[int, Result | Exception]]:
    """Yield (index, result or exception) of every item, as it is done.

    Parameters
    ----------
    setup
        Called once in each process; gives the function that works on one item. With more than
        one process it has to be picklable, and so have items and results.
    processes
        1 works in this process, in the order of the items.

    Raises
    ------
    TryAgain
        A process died. Exceptions of the function are not raised but yielded. After a
        PhonsmithError among them, which the next item would only meet again, no item is begun any
        more; those in progress are finished and yielded.
    """
    processes = min(processes, len(items))
    if processes <= 1:
        yield from _here(setup, items)
        return
    pool = ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=_start, initargs=(setup,)
    )
    # one item a process: what the pool has queued for its processes can not be taken back
    to_begin: Iterator[tuple[int, Item]] = iter(enumerate(items))
    running: dict[Future[Result], int] = {}
    try:
        with _single_threaded(), _without_main():
            for index, item in islice(to_begin, processes):
                running[pool.submit(_work, item)] = index
        while running:
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in sorted(done, key=_failed):  # a dead process must not hide a result
                outcome = _outcome(future)
                yield running.pop(future), outcome
                if isinstance(outcome, PhonsmithError):
                    to_begin = iter(())
            for index, item in islice(to_begin, len(done)):
                running[pool.submit(_work, item)] = index
    except BrokenProcessPool:
        raise TryAgain(
            "a worker process died, as happens when memory runs out; "
            "use fewer threads for this job or a machine with more memory",
            "memory",
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _failed(future: Future[Result]) -> bool:
    return future.exception() is not None


def _outcome(future: Future[Result]) -> Result | Exception:
    try:
        return future.result()
    except BrokenProcessPool:
        raise
    except Exception as error:
        return error


def _here(
    setup: Callable[[], Callable[[Item], Result]], items: Sequence[Item]
) -> Iterator[tuple[int, Result | Exception]]:
    if not items:
        return
    function = setup()
    for index, item in enumerate(items):
        try:
            outcome: Result | Exception = function(item)
        except Exception as error:
            outcome = error
        yield index, outcome
        if isinstance(outcome, PhonsmithError):
            return


# --- in the worker processes ------------------------------------------------------------------

_state: dict[str, Any] = {}


def _start(setup: Callable[[], Callable[[Any], Any]]) -> None:
    # an interrupt is the parent's business; a worker whose parent was killed must not stay behind
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()
    _state["setup"] = setup


def _follow_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _work(item: Any) -> Any:
    # set up with the first item, not in _start, so that its errors reach the parent
    if "function" not in _state:
        _state["function"] = _state["setup"]()
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(1)
    return _state["function"](item)


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Children started in here see one thread in the environment, before they import anything."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _without_main() -> Iterator[None]:
    """Children started in here do not run the main script a second time.

    Spawned processes import the main module; a Snakemake script or a notebook has no
    ``if __name__ == "__main__"`` to stop them.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
