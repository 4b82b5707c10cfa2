"""Phonons of a fit for the crystals of a campaign, each with the settings of its reference."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from phonsmith.files.reading_writing import write_json
from phonsmith.files.settings import CellChoice
from phonsmith.phonons.paths import phonons_file, spectrum_file
from phonsmith.phonons.settings import Phonons
from phonsmith.potentials.calculators import has_calculator, load_potential, on_gpu
from phonsmith.potentials.settings import PotentialSource
from phonsmith.running.single_results import Task, compute_each, made_from, record_file
from phonsmith.running.versions import versions
from phonsmith.structures.settings import RELAXATION_EFFORT, Relaxation
from phonsmith.supercells.settings import Displaced


@dataclass(frozen=True)
class Crystal:
    """A crystal whose phonons are computed.

    Attributes
    ----------
    structure
        Id of the structure.
    reference
        phonopy YAML of the reference.
    fixed_volume
        Whether relaxation keeps the volume of the reference.
    again
        How often the result has been computed again, see
        :class:`phonsmith.structures.verdicts.Effort`.
    """

    structure: str
    reference: Path
    fixed_volume: bool = False
    again: int = 0


@dataclass(frozen=True)
class PhononsOfFit:
    """Computes phonons of one fit in one choice of the cell.

    Attributes
    ----------
    potential
        ``potential.json`` of the fit.
    model
        Folder of the model.
    cell
        Choice of the cell.
    displaced, relaxation, phonons
        Settings of the campaign.
    index
        JSON file for the verdicts; the files of the crystals lie in the folder of the same name.
    """

    potential: Path
    model: Path
    cell: CellChoice
    displaced: Displaced
    relaxation: Relaxation
    phonons: Phonons
    index: Path

    def run(self, crystals: Sequence[Crystal], threads: int = 1) -> None:
        """Compute phonons of the crystals, side by side, and write all files.

        Parameters
        ----------
        crystals
            The crystals.
        threads
            Number of processes. With fewer crystals, they share displaced cells. On a GPU, one
            process computes cells in batches.

        Raises
        ------
        PhonsmithError
            See :func:`phonsmith.running.single_results.compute_each`.
        """
        tasks = [self._task(crystal) for crystal in crystals]
        threads = 1 if self._source and on_gpu(self._source) else threads
        missing = sum(task.kept() is None for task in tasks)
        inner = max(1, threads // max(1, missing))
        verdicts = compute_each(partial(self.setup, inner), tasks, max(1, threads // inner))
        write_json(
            self.index, {crystal.structure: verdicts[crystal.structure] for crystal in crystals}
        )

    @cached_property
    def _source(self) -> PotentialSource | None:
        """The potential; None for phonons without a potential."""
        if not has_calculator(self.potential):
            return None
        return load_potential(self.potential).source

    def _task(self, crystal: Crystal) -> Task[Crystal]:
        settings = {
            "displaced": self.displaced.model_dump(mode="json"),
            "relaxation": self.relaxation.model_dump(mode="json", exclude=RELAXATION_EFFORT),
            "phonons": self.phonons.model_dump(mode="json", exclude={"cells"}),
            "fixed_volume": crystal.fixed_volume,
            "again": crystal.again,
            "version": versions("phonons", "structures", "supercells"),
        }
        files = [self.potential, self.model, crystal.reference]
        record = record_file(self.index, crystal.structure)
        return Task(crystal.structure, record, made_from(files, settings), crystal)

    def setup(self, processes: int) -> Callable[[Crystal], dict[str, Any]]:
        """Return the function that computes the result of a crystal with some processes."""
        return partial(self.of_crystal, processes=processes)

    def of_crystal(self, crystal: Crystal, processes: int = 1) -> dict[str, Any]:
        """Write phonons and spectrum of a crystal, and return the verdict as plain values."""
        from phonsmith.phonons.band_paths import band_path
        from phonsmith.phonons.files import load_parts, load_phonons, save_phonons
        from phonsmith.phonons.force_constants import phonons_in_cell
        from phonsmith.phonons.recorded import recorded_phonons
        from phonsmith.phonons.spectra import spectrum
        from phonsmith.supercells.cells import to_ase

        reference = load_phonons(crystal.reference)
        if self._source is None:
            recorded = self.model / f"{crystal.structure}.yaml"
            phonon, verdict = recorded_phonons(self.cell, reference, recorded, self.relaxation)
        else:
            phonon, verdict = phonons_in_cell(
                self.cell,
                reference,
                self._source,
                self.displaced,
                self.relaxation,
                fixed_volume=crystal.fixed_volume,
                processes=processes,
                parts=load_parts(crystal.reference, reference),
            )
        save_phonons(phonons_file(self.index, crystal.structure), phonon)
        file = spectrum_file(self.index, crystal.structure)
        if verdict.reason:
            file.write_bytes(b"")  # no phonons; the verdict contains the reason
        else:
            path = band_path(to_ase(reference.primitive), self.phonons)
            spectrum(phonon, path).save(file)
        return replace(verdict, again=crystal.again).model_dump()
