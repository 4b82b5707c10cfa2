"""Recorded data as a reference method."""

import json
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np
from ase import Atoms

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS
from phonsmith.files.sources import DEFAULT_PLACES, Places, sha256_of
from phonsmith.labels.checks import SAME_CELL_ANGSTROM, labelled
from phonsmith.labels.failed import LabelFailed
from phonsmith.labels.provenance import Provenance
from phonsmith.labels.recorded.reading import fetch_recorded, load_recorded
from phonsmith.labels.recorded.settings import RecordedReference
from phonsmith.running.versions import VERSIONS
from phonsmith.structures.relaxation import FREE, Load, RelaxationResult
from phonsmith.structures.settings import Relaxation


class RecordedMethod:
    """Recorded data of one crystal in the role of a reference method.

    A cell gets the label of the recorded frame with its index, after a check that it is the same
    cell. What is not in the record cannot be labelled.
    """

    cores = 1

    def __init__(
        self,
        reference: RecordedReference,
        recorded: str | list[str] | None,
        places: Places = DEFAULT_PLACES,
        crystal: str | None = None,
        supercell: Any = None,
    ) -> None:
        self.reference = reference
        self.recorded = recorded
        self.crystal = crystal
        self.supercell = supercell
        self.places = places
        self.name = reference.level_of_theory

    @cached_property
    def frames(self) -> list[Atoms]:
        """The recorded frames, by index."""
        if self.recorded is None:
            return []
        return load_recorded(
            self.reference,
            self.recorded,
            self.places,
            crystal=self.crystal,
            supercell=self.supercell,
        ).frames

    def fingerprint(self, elements: Iterable[str] = ()) -> str:
        """Checksums of the data set and what is read of it, as canonical JSON."""
        content = {
            "method": "recorded",
            "source": self._content(),
            "format": self.reference.format,
            "recorded": self.recorded,
            "keys": None if (keys := self.reference.keys) is None else keys.model_dump(),
            "level_of_theory": self.name,
            "version": [VERSIONS["labels"], VERSIONS["readers"]],
        }
        return json.dumps(content, sort_keys=True, separators=(",", ":"))

    def _content(self) -> dict[str, Any]:
        """Name and checksums of the data set, also where the campaign states none."""
        source = self.reference.source
        found: dict[str, Any] = {"name": source.name, "files": source.files}
        if source.folder is not None and self.recorded is not None:
            paths = fetch_recorded(self.reference, self.recorded, self.places)
            found["files"] = [sha256_of(path) for path in paths]  # runs share their names
        return found

    def label(self, cell: Atoms) -> Atoms:
        """Return the recorded label of the cell with this index."""
        index = int(cell.info.get("index", -1))
        if not 0 <= index < len(self.frames):
            raise LabelFailed(f"the recorded data have no cell {index}")
        frame = self.frames[index]
        same = len(frame) == len(cell) and np.array_equal(frame.numbers, cell.numbers)
        if not (
            same
            and np.allclose(frame.cell[:], cell.cell[:], rtol=0, atol=SAME_CELL_ANGSTROM)
            and np.allclose(frame.positions, cell.positions, rtol=0, atol=SAME_CELL_ANGSTROM)
        ):
            raise LabelFailed(f"cell {index} of the recorded data is a different cell")
        info = frame.info
        return labelled(
            cell,
            self.name,
            info.get(ENERGY),
            frame.arrays[FORCES],
            info.get(STRESS),
            provenance=Provenance.of(frame),
        )

    def relax(self, atoms: Atoms, settings: Relaxation, load: Load = FREE) -> RelaxationResult:
        """Refuse to relax: the crystal of a record is the one its authors relaxed."""
        raise PhonsmithError(
            f"reference method '{self.name}' has recorded data only and cannot relax crystals"
        )

    def isolated_atom(self, element: str) -> Atoms | None:
        """Return the isolated atom of the record, if it holds one."""
        for frame in self.frames:
            if frame.info["kind"] == "isolated_atom" and frame.symbols[0] == element:
                return frame.copy()
        return None

    def elements(self) -> frozenset[str] | None:
        """None: the record lists its cells only."""
        return None
