"""Existing labelled data sets that join training and test sets."""

from pathlib import Path

from ase import Atoms

from phonsmith.datasets.settings import Database
from phonsmith.files.atoms import geometry
from phonsmith.files.sources import Places
from phonsmith.labels.checks import unlabelled
from phonsmith.labels.recorded.files import located
from phonsmith.labels.recorded.readers.each import Recorded
from phonsmith.labels.recorded.reading import check_levels, read_all
from phonsmith.structures.sites import MOMENTS


def fetch_database(database: Database, places: Places) -> list[Path]:
    """Fetch the files of an existing data set.

    Returns
    -------
    Local paths of the training files, then of the test files.
    """
    source, format = database.source, database.format
    return [
        path
        for file in (*database.train_files, *database.test_files)
        for path in located(source, file, format, places)
    ]


def load_database(name: str, database: Database, places: Places) -> dict[str, Recorded]:
    """Read an existing data set.

    Parameters
    ----------
    name
        Name of the data set, used as structure of its frames.
    database
        Settings of the data set.
    places
        Mirrors and cache.

    Returns
    -------
    ``train`` and ``test``, with indices that run through both. Copies of training cells are
    refused as test cells.

    Raises
    ------
    PhonsmithError
        A file is missing or holds no label, or the levels of theory disagree.
    """
    parts = {"train": Recorded([]), "test": Recorded([])}
    count = 0
    for part, files in (("train", database.train_files), ("test", database.test_files)):
        for file in files:
            paths = located(database.source, file, database.format, places)
            parts[part].add(read_all(paths, database, name))
        if part == "test":
            _leave_out_copies(parts["test"], parts["train"], name)
        for frame in parts[part].frames:
            frame.info["index"] = count
            count += 1
    if not database.relabel:
        check_levels(
            [level for read in parts.values() for level in read.levels],
            database.level_of_theory,
            f"database '{name}'",
            allow_mixed=database.allow_mixed_levels_of_theory,
        )
    return parts


def _leave_out_copies(test: Recorded, train: Recorded, name: str) -> None:
    """Refuse test cells that are training cells too: their errors would be those of training."""
    seen = {geometry(frame) for frame in train.frames if not _is_isolated(frame)}
    copies = [number for number, one in enumerate(test.frames) if geometry(one) in seen]
    for number in copies:
        line = f"database '{name}': test cell {number} is a training cell, too"
        test.refused.append(line)
        print(f"refused: {line}", flush=True)
    test.frames = [one for number, one in enumerate(test.frames) if number not in set(copies)]


def _is_isolated(frame: Atoms) -> bool:
    return bool(frame.info["kind"] == "isolated_atom")


def cells_of_database(name: str, database: Database, places: Places) -> list[Atoms]:
    """Read the cells of an existing data set without their labels, to label them anew.

    Isolated atoms are omitted. Magnetic moments are dropped: new labels start from the moments of
    the reference method.

    Parameters
    ----------
    name
        Name of the data set.
    database
        Settings of the data set.
    places
        Mirrors and cache.
    """
    parts = load_database(name, database, places)
    frames = [frame for read in parts.values() for frame in read.frames]
    cells = unlabelled(frame for frame in frames if not _is_isolated(frame))
    for cell in cells:
        cell.arrays.pop(MOMENTS, None)
    return cells
