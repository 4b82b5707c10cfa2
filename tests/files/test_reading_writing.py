"""Own files: written whole, with the permissions of the user, and read within bounds."""

import gzip
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import count_frames, read_frames
from phonsmith.files.reading_writing import replacing, write_json


@pytest.fixture(params=[0o022, 0o077, 0o002, 0o027])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_results_follow_the_umask(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "folder" / "a.json"
    write_json(path, {})
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask
    assert path.parent.stat().st_mode & 0o777 == 0o777 & ~umask
    write_json(path, {})  # another time too
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask
    assert [one.name for one in path.parent.iterdir()] == ["a.json"]


def test_a_writer_of_its_own_mind_does_not_change_the_mode(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "a"
    with replacing(path) as temporary:
        temporary.chmod(0o777)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask


GOOD = '1\nLattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3\nSi 0 0 0\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            GOOD.replace("pos:R:3", "pos:R:3:x:R:1000000000"),
            "Properties must list 1 to 10000 columns",
        ),
        (GOOD.replace("pos:R:3", "pos:R:3:x:R:4"), "not a readable"),
        (GOOD.replace("pos:R:3", "pos:R:x"), "not a readable"),
        ("9" * 12 + GOOD[1:], "has 1 of its 999999999999 atoms"),
        ("9" * 5000 + GOOD[1:], "number of atoms is expected"),
        ("-1" + GOOD[1:], "number of atoms is expected"),
        (GOOD + GOOD.replace("1\n", "5\n", 1), "frame 1.*has 1 of its 5 atoms"),
        (GOOD + "x" * (1 << 23) + "\n", "a line longer than 4194304 bytes"),
    ],
    ids=("columns", "few", "letters", "atoms", "digits", "negative", "cut", "long"),
)
def test_frames_are_read_within_bounds(tmp_path: Path, text: str, words: str) -> None:
    """In a process that is killed, since ASE's reader goes on for hours."""
    path = tmp_path / "a.xyz"
    path.write_text(text)
    code = f"from phonsmith.files.extxyz import read_frames; read_frames({str(path)!r})"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    last = run.stderr.splitlines()[-1]
    assert "PhonsmithError" in last, run.stderr
    assert re.search(rf"a\.xyz: .*{words}", last), last


def test_frames_of_a_pipe_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.xyz")
    with pytest.raises(PhonsmithError, match="not a regular file"):
        read_frames(tmp_path / "a.xyz")


def test_packed_frames_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.xyz.gz").write_bytes(gzip.compress((2 * GOOD).encode()))
    assert len(read_frames(tmp_path / "a.xyz.gz")) == count_frames(tmp_path / "a.xyz.gz") == 2
