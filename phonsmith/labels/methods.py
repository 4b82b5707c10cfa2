"""What every reference method offers, and labelling many cells with one."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ase import Atoms
from pydantic import TypeAdapter

from phonsmith.calculators import one_line
from phonsmith.errors import PhonsmithError
from phonsmith.extxyz import ENERGY, FORCES, STRESS
from phonsmith.labels.checks import LabelFailed, check_label, identity, labelled
from phonsmith.labels.store import LabelStore
from phonsmith.settings import CalculatorReference, Labels, RecordedReference, Reference, Relaxation
from phonsmith.workers import each

if TYPE_CHECKING:
    from phonsmith.relaxation import RelaxationResult


class ReferenceMethod(Protocol):
    """A source of labels. Methods can be pickled, so that worker processes may use them."""

    name: str
    """The level of theory, as it stands in the labels' info."""

    def fingerprint(self) -> str:
        """All that a label depends on beside the cell: method, settings, versions; one line."""

    def label(self, cell: Atoms) -> Atoms:
        """Copy of the cell with REF_ keys; raises LabelFailed with the reason."""

    def relax(self, atoms: Atoms, settings: Relaxation) -> "RelaxationResult":
        """Relax cell and positions, without imposed symmetry."""

    def isolated_atom(self, element: str) -> Atoms | None:
        """The atom alone in a box, with REF_energy; None where the method does not offer it."""

    def elements(self) -> frozenset[str] | None:
        """Elements the method knows; None where it cannot tell."""


@dataclass(frozen=True)
class Failure:
    """A cell that has no label, and why."""

    structure: str
    kind: str
    generation: int
    index: int
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON and tables."""
        return asdict(self)


def reference_method(
    reference: CalculatorReference | RecordedReference | dict[str, Any],
    recorded: str | list[str] | None = None,
    mirrors: Sequence[str | Path] = (),
    cache: str | Path = "sources",
    crystal: str | None = None,
) -> ReferenceMethod:
    """The reference method of a campaign.

    The others matter for recorded data only: ``recorded``, the files of the crystal in its data
    set; ``mirrors`` and ``cache``, where the data set is looked for and kept; ``crystal``, the file
    of the crystal itself, where the data set does not hold it.
    """
    if isinstance(reference, dict):
        reference = TypeAdapter(Reference).validate_python(reference)
    if isinstance(reference, RecordedReference):
        from phonsmith.labels.recorded import RecordedMethod

        return RecordedMethod(reference, recorded, mirrors, cache, crystal)
    assert isinstance(reference, CalculatorReference)
    from phonsmith.labels.calculator import CalculatorMethod

    return CalculatorMethod(reference)


def label_cells(
    cells: Sequence[Atoms],
    method: ReferenceMethod,
    settings: Labels,
    store: LabelStore | None = None,
    processes: int = 1,
) -> tuple[list[Atoms], list[Failure]]:
    """Label cells; those in the store are taken from there, new labels go in one by one.

    Labels come in the order of the cells and carry the info of the cells as they are now. A cell
    that fails is recorded and does not stop the others.

    Raises
    ------
    PhonsmithError
        The method cannot work at all: model missing, unknown element, worker process killed.
    """
    _check_elements(method, cells)
    fingerprint = method.fingerprint()
    keys = [LabelStore.key(cell, fingerprint) for cell in cells]
    found = [store.get(key) if store else None for key in keys]
    missing = [index for index, label in enumerate(found) if label is None]
    outcomes: dict[int, Atoms | LabelFailed] = {}
    for index, label in enumerate(found):
        if label is not None:
            outcomes[index] = _accept(label, cells[index], method, settings)
    print(f"{len(cells)} cells: {len(outcomes)} labels are in the store", flush=True)

    plain = [_plain(cells[index]) for index in missing]
    for position, outcome in each(partial(_labeller, method), plain, processes):
        index = missing[position]
        if isinstance(outcome, PhonsmithError):
            raise outcome
        if isinstance(outcome, Exception):
            outcomes[index] = _as_failed(outcome)
        else:
            outcomes[index] = _accept(outcome, cells[index], method, settings)
        accepted = outcomes[index]
        if store and isinstance(accepted, Atoms):
            store.put(keys[index], accepted)
        print(f"{len(outcomes)} of {len(cells)} cells done", flush=True)
    return _sorted_out(cells, outcomes)


def _labeller(method: ReferenceMethod) -> Callable[[Atoms], Atoms]:
    return method.label


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
            f"reference method '{method.name}' does not know {', '.join(sorted(found - known))}; "
            "choose another one or leave these structures out"
        )


def _accept(
    label: Atoms, cell: Atoms, method: ReferenceMethod, settings: Labels
) -> Atoms | LabelFailed:
    """The label on the cell as it is asked for now: the store knows nothing of its name."""
    try:
        check_label(label, cell, settings)
    except LabelFailed as failed:
        return failed
    info, name = label.info, str(label.info.get("method", method.name))
    return labelled(cell, name, info.get(ENERGY), label.arrays[FORCES], info.get(STRESS))


def _as_failed(error: Exception) -> LabelFailed:
    return error if isinstance(error, LabelFailed) else LabelFailed(one_line(error))


def _sorted_out(
    cells: Sequence[Atoms], outcomes: dict[int, Atoms | LabelFailed]
) -> tuple[list[Atoms], list[Failure]]:
    labels, failures = [], []
    for index, cell in enumerate(cells):
        outcome = outcomes[index]
        if isinstance(outcome, LabelFailed):
            failures.append(Failure(**identity(cell), reason=str(outcome)))
        else:
            labels.append(outcome)
    return labels, failures
