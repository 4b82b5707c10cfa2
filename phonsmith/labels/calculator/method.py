"""Labels from an ASE calculator."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, partial
from importlib import metadata
from typing import Any

from ase import Atoms
from ase.calculators.calculator import BaseCalculator

from phonsmith.files.errors import PhonsmithError, UnusablePotential
from phonsmith.files.sources import sha256_of
from phonsmith.labels.calculator.settings import CalculatorReference
from phonsmith.labels.checks import labelled, labelled_alone
from phonsmith.labels.failed import LabelFailed
from phonsmith.labels.provenance import Provenance, settings_name
from phonsmith.labels.runs import end_of_traceback
from phonsmith.potentials.calculators import (
    BATCH_ATOMS,
    Evaluation,
    evaluate_batch,
    evaluate_one,
    in_batches,
    known_elements,
    make_calculator,
    on_gpu,
    one_line,
)
from phonsmith.potentials.displaced import evaluate_displaced, saves
from phonsmith.potentials.environments import environment
from phonsmith.potentials.loaded_files import files_of
from phonsmith.potentials.locality import common_cell
from phonsmith.potentials.own_code import code_of
from phonsmith.potentials.ready import READY
from phonsmith.potentials.settings import PotentialSource
from phonsmith.running.versions import VERSIONS
from phonsmith.structures.relaxation import FREE, Load, RelaxationResult, relax
from phonsmith.structures.settings import Relaxation

BOX_ANGSTROM = 20.0


class CalculatorMethod:
    """A reference method that is an ASE calculator; built when the first label is asked for."""

    cores = 1

    def __init__(self, reference: CalculatorReference) -> None:
        self.reference = reference
        self.source = reference.potential
        self.name = reference.potential.calculator
        self._calculator: BaseCalculator | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_calculator": None}

    @property
    def calculator(self) -> BaseCalculator:
        """The ASE calculator."""
        if self._calculator is None:
            self._calculator = make_calculator(self.source)
        return self._calculator

    @cached_property
    def _settings(self) -> str:
        return settings_name(self._fingerprint)

    def fingerprint(self, elements: Iterable[str] = ()) -> str:
        """Calculator, arguments, checksums of its files and source, versions or pins, as JSON.

        Elements and devices are omitted.
        """
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        source = self.source
        content = {
            "method": "calculator",
            "calculator": source.calculator,
            "arguments": source.arguments_of_results,
            "model": sha256_of(source.model_file) if source.model_file else source.model,
            "package": None if source.computes_in else package_version(source),
            "version": VERSIONS["labels"],
        }
        if files := files_of(source):
            content["files"] = {file: sha256_of(file) for file in files}
        if code := code_of(source.calculator):
            content["code"] = code
        if source.computes_in:
            content["environment"] = environment(source.computes_in).sha256
        return json.dumps(content, sort_keys=True, separators=(",", ":"))

    def label(self, cell: Atoms) -> Atoms:
        """Return energy, forces and, if available, stress of a cell."""
        calculator = self.calculator
        start = time.monotonic()
        try:
            result = evaluate_one(cell, calculator)
        except PhonsmithError:
            raise
        except Exception as error:  # calculators raise anything
            raise LabelFailed(
                f"calculator '{self.name}' fails: {one_line(error)}", output=end_of_traceback()
            ) from error
        return self._labelled(cell, result, time.monotonic() - start)

    def label_in_batches(
        self, cells: Sequence[Atoms], found: Callable[[int], Atoms | None], processes: int
    ) -> Iterator[tuple[int, Atoms | Exception]] | None:
        """Yield (index, label or exception) of cells, computed together if that is faster.

        A GAP computes displaced cells together, MACE any cells on a GPU. If a batch fails, e.g.
        out of memory, its cells are labelled one by one.

        Parameters
        ----------
        cells
            Cells to label.
        found
            Function that returns the label of a cell that another job has computed meanwhile.
        processes
            Number of processes that share displaced cells.

        Returns
        -------
        None if labelling one by one is faster.
        """
        common = common_cell(cells)
        if common is not None and saves(common, cells, self.source):
            compute = partial(evaluate_displaced, common, source=self.source, processes=processes)
            return self._batched(cells, found, [list(range(len(cells)))], compute)
        return self._in_batches(cells, found) if on_gpu(self.source) else None

    def _in_batches(
        self, cells: Sequence[Atoms], found: Callable[[int], Atoms | None], *_: object
    ) -> Iterator[tuple[int, Atoms | Exception]]:
        """Label several cells in one pass of MACE."""
        return self._batched(
            cells,
            found,
            in_batches([len(cell) for cell in cells], BATCH_ATOMS),
            lambda batch: evaluate_batch(batch, self.calculator),
        )

    def _batched(
        self,
        cells: Sequence[Atoms],
        found: Callable[[int], Atoms | None],
        batches: Iterable[list[int]],
        compute: Callable[[list[Atoms]], list[Evaluation]],
    ) -> Iterator[tuple[int, Atoms | Exception]]:
        for together in batches:
            there = {index: label for index in together if (label := found(index)) is not None}
            yield from there.items()
            batch = [index for index in together if index not in there]
            if not batch:
                continue
            start = time.monotonic()
            try:
                results = compute([cells[index] for index in batch])
            except Exception as error:
                if isinstance(error, PhonsmithError) and not isinstance(error, UnusablePotential):
                    yield batch[0], error
                    return
                print(
                    f"a batch of {len(batch)} cells fails, labelling one by one: {one_line(error)}"
                )
                yield from ((index, self._label_or_failure(cells[index])) for index in batch)
                continue
            seconds = (time.monotonic() - start) / len(batch)
            for index, result in zip(batch, results, strict=True):
                yield index, self._labelled(cells[index], result, seconds)

    def _label_or_failure(self, cell: Atoms) -> Atoms | Exception:
        try:
            return self.label(cell)
        except (LabelFailed, PhonsmithError) as error:
            return error

    def _labelled(self, cell: Atoms, result: Evaluation, seconds: float) -> Atoms:
        code, _, version = (package_version(self.source) or self.name).partition(" ")
        provenance = Provenance(
            code=code,
            code_version=version or "unknown",
            settings=self._settings,
            wall_time_s=seconds,
        )
        return labelled(
            cell, self.name, result.energy, result.forces, result.stress, provenance=provenance
        )

    def relax(self, atoms: Atoms, settings: Relaxation, load: Load = FREE) -> RelaxationResult:
        """Relax with :func:`phonsmith.structures.relaxation.relax`."""
        return relax(atoms, self.calculator, settings, load)

    def isolated_atom(self, element: str) -> Atoms | None:
        """Return the atom in a 20 Å box; None if switched off or meaningless."""
        ready = READY.get(self.name)
        if not self.reference.isolated_atoms or (ready and not ready.isolated_atoms):
            return None
        box = Atoms(element, positions=[[BOX_ANGSTROM / 2] * 3], cell=[BOX_ANGSTROM] * 3, pbc=True)
        try:
            energy = evaluate_one(box, self.calculator).energy
        except PhonsmithError:
            raise
        except Exception as error:
            raise PhonsmithError(
                f"calculator '{self.name}' fails on an isolated {element} atom: {one_line(error)}; "
                "set reference.isolated_atoms: false"
            ) from error
        return labelled_alone(box, self.name, energy)

    def elements(self) -> frozenset[str] | None:
        """Return the elements supported by the calculator; None if unknown."""
        return known_elements(self.source)


def package_version(source: PotentialSource) -> str | None:
    """Return name and version of the calculator's package; None without a package."""
    ready = READY.get(source.calculator)
    top = source.calculator.partition(":")[0].partition(".")[0]
    if source.computes_in:
        return environment(source.computes_in).package_of(ready.package if ready else top)
    name = ready.package if ready else None
    if name is None:
        names = metadata.packages_distributions().get(top)
        if not names:
            return None
        name = sorted(names)[0]
    return f"{name} {metadata.version(name)}"
