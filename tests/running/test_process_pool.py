"""Processes that stay from one call to the next."""

import os
from functools import partial

import pytest

from phonsmith.files.errors import TryAgain
from phonsmith.running.process_pool import staying


def numbered(offset):
    calls = []

    def work(item):
        if item == "die":
            os._exit(1)
        if item < 0:
            raise ValueError(f"negative: {item}")
        calls.append(item)
        return item + offset, os.getpid(), len(calls)

    return work


@pytest.mark.parametrize("processes", [1, 2])
def test_results_are_in_order_and_processes_stay(processes):
    with staying(partial(numbered, 10), processes) as work:
        first, second = work([1, 2, 3, 4]), work([5, 6])
    assert [result for result, _, _ in (*first, *second)] == [11, 12, 13, 14, 15, 16]
    used = {process for _, process, _ in (*first, *second)}
    assert len(used) <= processes and (os.getpid() in used) == (processes == 1)
    # a process that calls the setup again would count from 1 again
    assert max(calls for _, _, calls in second) > 1


@pytest.mark.parametrize("processes", [1, 2])
def test_an_exception_is_raised(processes):
    with staying(partial(numbered, 0), processes) as work:
        with pytest.raises(ValueError, match="negative: -1"):
            work([1, -1])
        assert [result for result, _, _ in work([2, 3])] == [2, 3]


def test_a_dead_process_is_a_failure_to_repeat():
    with staying(partial(numbered, 0), 2) as work, pytest.raises(TryAgain, match="out of memory"):
        work([1, "die", 2])
