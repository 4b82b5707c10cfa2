"""Folders of runs."""

import pytest

from phonsmith.labels.failed import LabelFailed
from phonsmith.labels.runs import run_folder


def test_text_files_of_failed_runs_stay(tmp_path):
    with (
        pytest.raises(LabelFailed, match=r"no luck \(see .*failed.*\)") as caught,
        run_folder(tmp_path / "work", ["*.pwi"], ["*.pwo"]) as folder,
    ):
        (folder / "try0").mkdir()
        (folder / "try0/espresso.pwi").write_text("&CONTROL")
        (folder / "try0/wfc1.dat").write_text("large")
        (folder / "try0/espresso.pwo").write_text("\n".join(f"line {i}" for i in range(90)))
        raise LabelFailed("no luck", "memory")
    assert caught.value.wants == "memory"
    assert caught.value.output.splitlines() == [f"line {i}" for i in range(70, 90)]
    left = [path.name for path in (tmp_path / "work").rglob("*") if path.is_file()]
    assert left == ["espresso.pwi"]
    with run_folder(tmp_path / "work", ["*"]) as folder:
        (folder / "espresso.pwi").write_text("&CONTROL")
    assert not folder.exists()
