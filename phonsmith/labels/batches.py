"""Batches: a fixed number for each structure, labelled by one job each."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from ase import Atoms

from phonsmith.files.extxyz import write_frames
from phonsmith.files.reading_writing import write_json
from phonsmith.labels.labelling import ask_for_more, label_cells
from phonsmith.labels.protocol import Failure, ReferenceMethod
from phonsmith.labels.settings import Labels
from phonsmith.labels.store import LabelStore

T = TypeVar("T")


def batch_of(cells: Sequence[T], number: int | str, settings: Labels) -> list[T]:
    """Return the cells of one batch: cell i belongs to batch i modulo the number of batches.

    Parameters
    ----------
    cells
        All cells of a structure.
    number
        Number of the batch, from 0.
    settings
        Labelling settings, which hold the number of batches per structure.
    """
    return list(cells[int(number) :: settings.batches_per_structure])


def label_batch(
    batch: Sequence[Atoms],
    method: ReferenceMethod,
    settings: Labels,
    store: LabelStore,
    *,
    threads: int,
    attempt: int,
) -> tuple[list[Atoms], list[Failure]]:
    """Label the cells of a batch.

    Parameters
    ----------
    batch
        Cells to label.
    method
        Reference method.
    settings
        Checks of the labels.
    store
        Label store.
    threads
        Number of threads of the job.
    attempt
        Number of the attempt of the job, from 1.

    Returns
    -------
    Labels and failures.

    Raises
    ------
    TryAgain
        The next attempt gets more memory or time for failed cells that need it.
    """
    labels, failures = label_cells(batch, method, settings, store, threads)
    ask_for_more(failures, attempt)
    return labels, failures


def write_batch(
    labels: Sequence[Atoms], failures: Sequence[Failure], labels_path: str | Path, path: str | Path
) -> None:
    """Write the labels of a batch as extxyz and its failures as JSON.

    Parameters
    ----------
    labels
        Labelled cells.
    failures
        Cells that could not be labelled.
    labels_path
        Path of the extxyz file.
    path
        Path of the JSON file.
    """
    write_frames(labels_path, labels)
    write_json(path, [failure.as_dict() for failure in failures])
