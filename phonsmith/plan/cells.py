"""The cells to come: those that a campaign will ask labels for, before any of it has run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ase import Atoms
from pydantic import TypeAdapter

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import read_frames
from phonsmith.files.sources import Places
from phonsmith.labels.checks import unlabelled
from phonsmith.labels.recorded.reading import load_recorded
from phonsmith.labels.recorded.settings import RecordedReference
from phonsmith.labels.registry import Reference
from phonsmith.plan.costs import core_seconds_of_labels
from phonsmith.running.process_pool import each
from phonsmith.supercells.choice import Option
from phonsmith.supercells.making import make_supercells
from phonsmith.supercells.settings import Supercells


def present_crystals(
    structures: Sequence[str], as_read: Sequence[str], relaxed: Mapping[str, Sequence[str]]
) -> dict[str, Atoms]:
    """Read the crystals by structure: relaxed crystals where they exist already.

    Parameters
    ----------
    structures
        Ids of the structures.
    as_read
        Files of the crystals as read, in the order of the structures.
    relaxed
        A list with the file of the relaxed crystal, for relaxed structures.
    """
    crystals = {}
    for structure, path in zip(structures, as_read, strict=True):
        (crystals[structure],) = read_frames(relaxed.get(structure, [path])[0])
    return crystals


@dataclass(frozen=True)
class Request:
    """Requested cells of one crystal in one generation.

    Settings are plain data. Where cells are made, ``supercells`` and ``seed`` matter, and beyond
    generation 0 ``count``, the number requested by the loop; ``chosen`` is the file of the cells
    already selected. Where cells are recorded, ``reference`` and ``places`` do.
    ``left_out`` is the reason if the crystal is omitted.
    """

    structure: str
    settings: dict[str, Any]
    crystal: Atoms
    generation: int
    supercells: dict[str, Any] | None
    seed: int | None
    reference: dict[str, Any]
    places: Places
    count: int = 0
    chosen: str | None = None
    left_out: str = ""


@dataclass(frozen=True)
class Answer:
    """The cells of a request, or none and ``problem``, the reason in words.

    ``options`` are the ways to the phonons of a grid of wave vectors, with their costs.
    """

    cells: list[Atoms] = field(default_factory=list)
    problem: str = ""
    options: list[Option] = field(default_factory=list)


def cells_of_requests(requests: Sequence[Request], processes: int) -> list[Answer]:
    """Return the answer to each request."""
    found = [Answer()] * len(requests)
    for index, outcome in each(cells_to_come, requests, min(processes, len(requests))):
        if isinstance(outcome, Exception):
            raise outcome
        found[index] = outcome
    return found


def cells_to_come() -> Callable[[Request], Answer]:
    """Return a function for worker processes that gives the cells, or none and the reason."""
    return _cells_or_reason


def _cells_or_reason(request: Request) -> Answer:
    try:
        return _cells(request)
    except PhonsmithError as error:  # a plan reports what cannot be done
        return Answer(problem=str(error))


def _cells(request: Request) -> Answer:
    if request.left_out:
        return Answer(problem=request.left_out)
    if request.chosen:
        return Answer(read_frames(request.chosen))
    structure = request.settings  # without its origin in a database
    if structure["recorded"]:
        reference = RecordedReference.model_validate(request.reference).of(structure)
        recorded = load_recorded(
            reference,
            structure["recorded"],
            request.places,
            request.structure,
            crystal=structure["file"],
            supercell=structure["recorded_supercell"],
        )
        return Answer(unlabelled(recorded.frames))
    settings = Supercells.model_validate(request.supercells)
    if request.generation > 0:
        if not request.count:
            return Answer()
        rattled = settings.rattled.model_copy(update={"count": request.count})
        settings = settings.model_copy(update={"rattled": rattled})
    cost_of = None
    if settings.grid is not None:
        method = TypeAdapter(Reference).validate_python(request.reference)
        cost_of = core_seconds_of_labels(method, request.structure)
    made = make_supercells(
        request.structure,
        request.crystal,
        settings,
        request.seed or 0,
        request.generation,
        cost_of=cost_of or len,
    )
    options = made.options if cost_of else [replace(one, core_seconds=None) for one in made.options]
    return Answer(made.cells, options=options)
