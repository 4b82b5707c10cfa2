"""Work on many items in spawned processes: one setup per process, one thread each.

Processes are spawned, not forked, since BLAS, OpenMP and torch do not survive a fork.
"""

import os
import signal
import sys
import threading
import types
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection, get_context, parent_process
from typing import Any, TypeVar

from phonsmith.files.errors import PhonsmithError, TryAgain
from phonsmith.running.job_context import THREAD_VARIABLES

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(
    setup: Callable[[], Callable[[Item], Result]], items: Sequence[Item], processes: int = 1
) -> Iterator[tuple[int, Result | Exception]]:
    """Yield (index, result or exception) of every item as soon as it is done.

    Exceptions of the function are yielded, not raised. After a PhonsmithError, which further items
    would meet as well, no item is started; items in progress are finished and yielded. If a process
    dies, the items in progress are repeated, each alone: an item that ends its process again yields
    :class:`ProcessDied`, and the others continue.

    Parameters
    ----------
    setup
        Function called once in each process; it returns the function that works on one item. With
        more than one process it has to be picklable, and so have items and results.
    items
        Items to work on.
    processes
        Number of processes; 1 works in this process, in the order of the items.

    Raises
    ------
    TryAgain
        Processes die, and no single item is the cause.
    """
    if processes <= 1:
        yield from _here(setup, items)
        return
    to_begin = deque(enumerate(items))
    finished = 0
    while to_begin:
        running: dict[int, Item] = {}
        try:
            for index, outcome in _side_by_side(setup, to_begin, processes, running):
                finished += 1
                yield index, outcome
            return
        except BrokenProcessPool:
            died = 0
            for index, item in running.items():
                outcome = _alone(setup, item)
                died += isinstance(outcome, ProcessDied)
                yield index, outcome
            all_died = died == len(running) and not finished and to_begin
            if not died or all_died:
                raise TryAgain(_DIED, "memory") from None


@contextmanager
def staying(
    setup: Callable[[], Callable[[Item], Result]], processes: int = 1
) -> Iterator[Callable[[Sequence[Item]], list[Result]]]:
    """Yield a function that works on items, in processes that stay from one call to the next.

    For iterations, where starting processes would take longer than the work. Results are in the
    order of the items; exceptions are raised.

    Parameters
    ----------
    setup
        See :func:`each`.
    processes
        Number of processes; 1 works in this process.

    Raises
    ------
    TryAgain
        A process dies.
    """
    if processes <= 1:
        function = setup()
        yield lambda items: [function(item) for item in items]
        return

    def work(items: Sequence[Item]) -> list[Result]:
        with _single_threaded(), _without_main():
            futures = [pool.submit(_work, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BrokenProcessPool:
            raise TryAgain(_DIED, "memory") from None

    with _pool(setup, processes) as pool:
        yield work


_DIED = (
    "a worker process died, probably out of memory; use fewer threads for this job or a machine "
    "with more memory"
)


class ProcessDied(TryAgain):
    """An item ended its process twice, the second time when it was alone."""


def _side_by_side(
    setup: Callable[[], Callable[[Item], Result]],
    to_begin: deque[tuple[int, Item]],
    processes: int,
    running: dict[int, Item],
) -> Iterator[tuple[int, Result | Exception]]:
    """The work of one pool; ``running`` holds items not yet yielded, even if the pool breaks.

    One item a process: what the pool has queued for its processes cannot be taken back.
    """
    futures: dict[Future[Result], int] = {}

    def begin(number: int) -> None:
        for _ in range(min(number, len(to_begin))):
            index, item = to_begin.popleft()
            running[index] = item
            futures[pool.submit(_work, item)] = index

    with _pool(setup, min(processes, len(to_begin))) as pool:
        with _single_threaded(), _without_main():
            begin(processes)
        goes_on = True
        while futures:
            done, _ = wait(futures, return_when=FIRST_COMPLETED)
            for future in sorted(done, key=_failed):  # a dead process must not hide a result
                outcome = _outcome(future)
                index = futures.pop(future)
                del running[index]
                yield index, outcome
                goes_on = goes_on and not isinstance(outcome, PhonsmithError)
            if goes_on:
                begin(len(done))


def _alone(setup: Callable[[], Callable[[Item], Result]], item: Item) -> Result | Exception:
    with _pool(setup, 1) as pool:
        try:
            with _single_threaded(), _without_main():
                future = pool.submit(_work, item)
            return _outcome(future)
        except BrokenProcessPool:
            return ProcessDied("a worker process died even when run alone", "memory")


@contextmanager
def _pool(setup: Callable[[], Any], processes: int) -> Iterator[ProcessPoolExecutor]:
    pool = ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=_start, initargs=(setup,)
    )
    try:
        yield pool
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
    # the parent handles interrupts; a worker must not outlive a killed parent
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
