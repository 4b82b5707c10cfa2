"""What exists of a campaign already: its planned cells with the labels that the store has."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ase import Atoms

from phonsmith.campaign.model import Campaign
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import read_frames
from phonsmith.files.reading_writing import read_json
from phonsmith.files.sources import Places, at_hand
from phonsmith.labels.checks import unlabelled
from phonsmith.labels.factory import reference_method
from phonsmith.labels.protocol import Allocation, ReferenceMethod
from phonsmith.labels.recorded.databases import load_database
from phonsmith.labels.store import LabelStore
from phonsmith.plan.inputs import Cells, ThirdOrderCells, made
from phonsmith.supercells.choice import Option


def finished_labels(
    cells: Sequence[Atoms], store: LabelStore, method: ReferenceMethod, known: Mapping[str, Any]
) -> list[Atoms | None]:
    """Load the labels that the store has.

    If the code cannot be run here, its version is unknown, and the latest labels with the ``known``
    settings are used.

    Parameters
    ----------
    cells
        Cells to look up.
    store
        Label store.
    method
        Reference method.
    known
        Settings that determine the labels, without the version of the code.

    Returns
    -------
    Label of each cell, or None.
    """
    if not store.folder.is_dir():
        return [None] * len(cells)
    prints: dict[frozenset[str], str | None] = {}
    labels = []
    for cell in cells:
        elements = frozenset(cell.symbols)
        if elements not in prints:
            try:
                prints[elements] = method.fingerprint(elements)
            except PhonsmithError:
                prints[elements] = store.latest_fingerprint(elements, known)
        fingerprint = prints[elements]
        labels.append(store.get(LabelStore.key(cell, fingerprint)) if fingerprint else None)
    return labels


@dataclass(frozen=True)
class Gathering:
    """Finds what exists.

    ``done`` names what does, as :func:`phonsmith.plan.inputs.made` names it; ``work`` is the
    folder in which a reference method would run.
    """

    campaign: Campaign
    store: LabelStore
    work: Path
    done: Collection[str]

    def planned_cells(self, files: Iterable[tuple[int, str, str]]) -> dict[tuple[int, str], Cells]:
        """Return the cells by generation and structure.

        Parameters
        ----------
        files
            For each generation: number, file of all cells, and file that records for each structure
            why it has no cells (if so) and whether its crystal is relaxed.
        """
        planned = {}
        for generation, path, verdicts in files:
            frames = defaultdict(list)
            for cell in read_frames(path):
                frames[cell.info["structure"]].append(cell)
            for structure, verdict in read_json(verdicts).items():
                cells = frames[structure]
                options = [Option(**option) for option in verdict.pop("options", [])]
                planned[generation, structure] = Cells(
                    cells,
                    self._labels(cells, structure),
                    made("labels", generation, structure) in self.done,
                    options=options,
                    **verdict,
                )
        return planned

    def databases(self, places: Places) -> dict[str, dict[str, Cells] | None]:
        """Return the cells of the data sets by part; None for one that is not at hand."""
        found: dict[str, dict[str, Cells] | None] = {}
        for name, database in self.campaign.datasets.databases.items():
            found[name] = None
            if not at_hand(database.source, places):
                continue
            over = made("database", name) in self.done
            parts = {}
            for part, read in load_database(name, database, places).items():
                cells = unlabelled(
                    frame for frame in read.frames if frame.info["kind"] != "isolated_atom"
                )
                labels = self._labels(cells, None) if database.relabel else [None] * len(cells)
                parts[part] = Cells(cells, labels, over)
            found[name] = parts
        return found

    def _labels(self, cells: Sequence[Atoms], structure: str | None) -> list[Atoms | None]:
        if self.campaign.recorded:
            return [None] * len(cells)
        reference = self.campaign.reference
        method = reference_method(
            reference, structure=structure, allocation=Allocation(work=self.work)
        )
        return finished_labels(cells, self.store, method, reference.physics_of(structure))


def third_order_cells(cells: str, counts: str) -> dict[str, ThirdOrderCells]:
    """Read the third-order cells by structure, from the files of cells and of counts."""
    by_structure = {cell.info["structure"]: cell for cell in read_frames(cells)}
    return {
        structure: ThirdOrderCells(by_structure.get(structure), **counted)
        for structure, counted in read_json(counts).items()
    }
