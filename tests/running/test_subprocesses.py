"""Programs that are run: they end with all they started, and tell how."""

import os
import signal
import subprocess
import sys
import time

import pytest

from phonsmith.running.subprocesses import run_child


def alive(mark: str) -> list[str]:
    found = subprocess.run(["pgrep", "-f", mark], capture_output=True, text=True, check=False)
    return found.stdout.split()


def gone(mark: str) -> bool:
    until = time.monotonic() + 600
    while alive(mark) and time.monotonic() < until:
        time.sleep(0.1)
    return not alive(mark)


SEVERAL = "sleep {mark} & setsid sleep {mark} & exec sleep {mark}"


def test_child_ends_with_all_it_started_at_its_time_limit(tmp_path):
    mark = f"3{os.getpid()}1"
    command = ["bash", "-c", SEVERAL.format(mark=mark)]
    finished = run_child(command, tmp_path, 1, time_limit_s=1)
    assert finished.timed_out
    assert "its time limit" in finished.ending
    assert not alive(f"sleep {mark}")


def test_child_takes_leftovers_along_when_it_ends(tmp_path):
    mark = f"3{os.getpid()}2"
    finished = run_child(["bash", "-c", f"setsid sleep {mark} & exit 3"], tmp_path, 1)
    assert (finished.returncode, finished.timed_out) == (3, False)
    assert not alive(f"sleep {mark}")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_child_ends_with_its_parent(tmp_path, number):
    mark = f"3{os.getpid()}{int(number)}"
    program = (
        "import signal; from pathlib import Path; "
        "from phonsmith.running.subprocesses import run_child; "
        # a job of a script in the background is born deaf to it
        "signal.signal(signal.SIGINT, signal.default_int_handler); "
        f"run_child(['bash', '-c', {SEVERAL.format(mark=mark)!r}], Path('.'), 1)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 600
    while len(alive(f"^sleep {mark}")) < 3 and time.monotonic() < until:
        time.sleep(0.1)
    assert len(alive(f"^sleep {mark}")) == 3
    parent.send_signal(number)
    try:
        parent.wait(timeout=60)
    finally:
        parent.kill()
    assert gone(f"^sleep {mark}")


def test_child_tells_how_it_ended(tmp_path, capfd):
    greedy = "a = bytearray(200_000_000); import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    finished = run_child([sys.executable, "-c", greedy], tmp_path, 1)
    assert finished.signal == "SIGKILL"
    assert 200 < finished.peak_memory_mb < 300
    assert "ended by SIGKILL (out of memory?) at 2" in finished.ending
    assert run_child(["sh", "-c", "exit 137"], tmp_path, 1).signal == "SIGKILL"
    assert run_child(["sh", "-c", "exit 2"], tmp_path, 1).ending == "exit status 2"
    missing = run_child(["no-such-program"], tmp_path, 1)
    assert "cannot be started: no-such-program" in missing.ending
    said = run_child(["sh", "-c", "echo one; echo two >&2"], tmp_path, 1)
    assert said.lines == ["one", "two"]
    capfd.readouterr()
    run_child(["sh", "-c", "echo one"], tmp_path, 1, output=tmp_path / "said")
    assert (tmp_path / "said").read_text() == "one\n"
    assert not capfd.readouterr().out


def test_child_knows_its_threads_and_environment(tmp_path):
    said = run_child(["sh", "-c", "echo $OMP_NUM_THREADS $EXTRA"], tmp_path, 3, {"EXTRA": "x"})
    assert said.lines == ["3 x"]
