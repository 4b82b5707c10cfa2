"""Existing data sets: training and test cells."""

from pathlib import Path

import numpy as np

from phonsmith.datasets.settings import Database
from phonsmith.files.extxyz import write_frames
from phonsmith.files.settings import Source
from phonsmith.files.sources import Places
from phonsmith.labels.checks import labelled
from phonsmith.labels.recorded.databases import load_database
from tests.cells import rattled_cells


def test_copies_of_training_cells_are_no_test_cells(tmp_path: Path) -> None:
    cells = [labelled(cell, "", None, np.zeros((len(cell), 3))) for cell in rattled_cells(4)]
    write_frames(tmp_path / "train.xyz", cells[:3])
    write_frames(tmp_path / "test.xyz", [cells[3], cells[1]])
    database = Database(
        source=Source(name="s", folder=str(tmp_path)),
        level_of_theory="PBE",
        train_files=["train.xyz"],
        test_files=["test.xyz"],
    )
    parts = load_database("mine", database, Places(cache=tmp_path))
    (test,) = parts["test"].frames
    assert np.allclose(test.positions, cells[3].positions)
    assert [frame.info["index"] for frame in parts["train"].frames] == [0, 1, 2]
    assert test.info["index"] == 3
    assert "database 'mine': test cell 1 is a training cell, too" in parts["test"].refused
