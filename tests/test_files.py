"""Files that are written whole: what happens to their permissions."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

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
