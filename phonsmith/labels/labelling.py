"""Labelling of many cells with a reference method."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial

from ase import Atoms

from phonsmith.files.errors import PhonsmithError, TryAgain
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS
from phonsmith.labels.checks import check_label, identity, labelled
from phonsmith.labels.failed import LabelFailed
from phonsmith.labels.protocol import BatchedMethod, Failure, ReferenceMethod
from phonsmith.labels.provenance import Provenance
from phonsmith.labels.settings import Labels
from phonsmith.labels.store import LabelStore
from phonsmith.potentials.calculators import one_line
from phonsmith.running.attempts import SHORT, TRIES
from phonsmith.running.process_pool import ProcessDied, each


def label_cells(
    cells: Sequence[Atoms],
    method: ReferenceMethod,
    settings: Labels,
    store: LabelStore | None = None,
    cores: int = 1,
) -> tuple[list[Atoms], list[Failure]]:
    """Label cells; take labels from the store where it has them, and add each new label to it.

    A cell that fails is recorded and does not stop the others. As many cells are labelled in
    parallel as the method's cores fit into ``cores``. Campaigns that share a store take shared
    cells in different orders, so that concurrent campaigns share the work.

    Parameters
    ----------
    cells
        Cells to label.
    method
        Reference method.
    settings
        Checks of the labels.
    store
        Label store; None labels every cell.
    cores
        Number of cores of the job.

    Returns
    -------
    Labels, in the order of the cells and with their info, and failures.

    Raises
    ------
    PhonsmithError
        The method cannot work at all: model missing, unknown element, worker process killed. Labels
        completed in parallel are in the store.
    """
    _check_elements(method, cells)
    fingerprint_of = cache(method.fingerprint)
    fingerprints = [fingerprint_of(frozenset(cell.symbols)) for cell in cells]
    keys = [LabelStore.key(cell, one) for cell, one in zip(cells, fingerprints, strict=True)]
    found = [store.get(key) if store else None for key in keys]
    missing = [index for index, label in enumerate(found) if label is None]
    if store:
        missing.sort(key=lambda index: store.turn(keys[index]))
    outcomes: dict[int, Atoms | LabelFailed] = {}
    for index, label in enumerate(found):
        if label is not None:
            outcomes[index] = _accept(label, cells[index], method, settings)
    print(f"{len(cells)} cells: {len(outcomes)} labels are in the store", flush=True)

    asked = [(keys[index], _plain(cells[index])) for index in missing]
    if store:
        for fingerprint in {fingerprints[index] for index in missing}:
            store.describe(fingerprint)
    side_by_side = max(1, cores // method.cores)
    unable: PhonsmithError | None = None
    for position, outcome in _labels_of(asked, method, store, side_by_side):
        index = missing[position]
        if isinstance(outcome, ProcessDied):
            outcomes[index] = LabelFailed(str(outcome), outcome.wants)
        elif isinstance(outcome, PhonsmithError):
            unable = unable or outcome
            continue
        elif isinstance(outcome, Exception):
            outcomes[index] = _as_failed(outcome)
        else:
            outcomes[index] = _accept(outcome, cells[index], method, settings)
        accepted = outcomes[index]
        if store and isinstance(accepted, Atoms):
            store.put(keys[index], accepted)
        print(f"{len(outcomes)} of {len(cells)} cells done", flush=True)
    if unable:
        raise unable
    return _sorted_out(cells, outcomes)


def isolated_atoms(
    elements: Iterable[str],
    method: ReferenceMethod,
    store: LabelStore,
    box: Sequence[float] | None = None,
) -> list[Atoms]:
    """Label the isolated atoms that the method offers; each is kept in the store.

    Parameters
    ----------
    elements
        Elements.
    method
        Reference method.
    store
        Label store.
    box
        Edges of the cell in Å, if the campaign sets them.

    Returns
    -------
    Labelled atoms; elements that the method does not offer are omitted.
    """
    found = []
    for element in elements:
        alone = Atoms(element, cell=box or [0.0] * 3)
        fingerprint = method.fingerprint([element])
        key = LabelStore.key(alone, f"{fingerprint} isolated atom")
        atom = store.get_alone(key)
        if atom is None and (atom := method.isolated_atom(element)) is not None:
            store.describe(fingerprint)
            store.put_alone(key, atom)
        if atom is not None:
            found.append(atom)
    return found


def ask_for_more(failures: Sequence[Failure], attempt: int) -> None:
    """End the job where another try, with more memory or time, may label what failed.

    Raises
    ------
    TryAgain
        A run was short of memory or time, and this is not the last try. Labels are in the store.
    """
    for wanted in SHORT:
        short = sum(failure.wants == wanted for failure in failures)
        if short and attempt < TRIES:
            raise TryAgain(
                f"{short} of these cells ran out of {wanted}; the next attempt requests more, and "
                "finished labels are kept",
                wanted,
            )


def _labels_of(
    asked: Sequence[tuple[str, Atoms]],
    method: ReferenceMethod,
    store: LabelStore | None,
    side_by_side: int,
) -> Iterator[tuple[int, Atoms | Exception]]:
    """(index, label or exception) of every cell as it is done, together where the method can."""

    def found(index: int) -> Atoms | None:
        return store.get(asked[index][0]) if store else None

    together = None
    if asked and isinstance(method, BatchedMethod):
        together = method.label_in_batches([cell for _, cell in asked], found, side_by_side)
    return together or each(partial(_labeller, method, store), asked, side_by_side)


def _labeller(
    method: ReferenceMethod, store: LabelStore | None
) -> Callable[[tuple[str, Atoms]], Atoms]:
    """The label of a cell with its key; from the store where another job has been faster."""

    def label(asked: tuple[str, Atoms]) -> Atoms:
        key, cell = asked
        found = store.get(key) if store else None
        return method.label(cell) if found is None else found

    return label


def _plain(cell: Atoms) -> Atoms:
    """Copy without calculator and constraints; info stays, a recorded label is found by it."""
    copy = cell.copy()
    copy.set_constraint()
    return copy


def _check_elements(method: ReferenceMethod, cells: Sequence[Atoms]) -> None:
    known = method.elements()
    found = {symbol for cell in cells for symbol in cell.symbols}
    if known is not None and not found <= known:
        raise PhonsmithError(
            f"reference method '{method.name}' does not support "
            f"{', '.join(sorted(found - known))}; choose another method or remove these structures"
        )


def _accept(
    label: Atoms, cell: Atoms, method: ReferenceMethod, settings: Labels
) -> Atoms | LabelFailed:
    """The label on the requested cell: the store does not hold its name."""
    try:
        check_label(label, cell, settings)
    except LabelFailed as failed:
        return failed
    info, name = label.info, str(label.info.get("method", method.name))
    return labelled(
        cell,
        name,
        info.get(ENERGY),
        label.arrays[FORCES],
        info.get(STRESS),
        provenance=Provenance.of(label),
    )


def _as_failed(error: Exception) -> LabelFailed:
    return error if isinstance(error, LabelFailed) else LabelFailed(one_line(error))


def _sorted_out(
    cells: Sequence[Atoms], outcomes: dict[int, Atoms | LabelFailed]
) -> tuple[list[Atoms], list[Failure]]:
    labels, failures = [], []
    for index, cell in enumerate(cells):
        outcome = outcomes[index]
        if isinstance(outcome, LabelFailed):
            failure = Failure(**identity(cell), reason=str(outcome))
            failures.append(replace(failure, wants=outcome.wants, output=outcome.output))
        else:
            labels.append(outcome)
    return labels, failures
