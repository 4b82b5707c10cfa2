"""Batches: a fixed number for each structure, labelled by one job each."""

from collections.abc import Sequence
from pathlib import Path

from ase import Atoms

from phonsmith.files.extxyz import write_frames
from phonsmith.files.reading_writing import write_json
from phonsmith.labels.labelling import ask_for_more, label_cells
from phonsmith.labels.protocol import Allocation, Failure, ReferenceMethod
from phonsmith.labels.settings import Labels
from phonsmith.labels.store import LabelStore


def batch_of(cells: Sequence[Atoms], number: int | str, settings: Labels) -> list[Atoms]:
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
    allocation: Allocation,
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
    allocation
        Cores of the job and number of its attempt.

    Returns
    -------
    Labels and failures.

    Raises
    ------
    TryAgain
        The next attempt gets more memory or time for failed cells that need it.
    """
    labels, failures = label_cells(batch, method, settings, store, allocation.cores)
    ask_for_more(failures, allocation.attempt)
    return labels, failures


def write_batch(
    labels: Sequence[Atoms],
    failures: Sequence[Failure],
    labels_path: str | Path,
    failures_path: str | Path | None = None,
) -> None:
    """Write the labels of a batch as extxyz, and its failures as JSON if they have a path.

    Parameters
    ----------
    labels
        Labelled cells.
    failures
        Cells that could not be labelled.
    labels_path
        Path of the extxyz file.
    failures_path
        Path of the JSON file.
    """
    write_frames(labels_path, labels)
    if failures_path:
        write_json(failures_path, [failure.as_dict() for failure in failures])


def outcome_of_cell(name: str, labels: Sequence[Atoms], failures: Sequence[Failure]) -> str:
    """Report in words what became of a cell that was labelled again, alone.

    Parameters
    ----------
    name
        The cell in words: ``cell 3 of mp-149``.
    labels, failures
        Its label or its failure; neither if there is no such cell.
    """
    if failures:
        return f"{name} fails again: {failures[0].reason}"
    return f"{name} is labelled; the next run uses it" if labels else f"there is no {name}"
