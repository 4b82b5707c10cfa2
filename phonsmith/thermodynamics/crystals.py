"""A crystal whose energies and phonons at volumes are computed or recorded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from phonsmith.files.errors import MissingLabels, NotRelaxed, PhonsmithError, UnusablePotential
from phonsmith.files.extxyz import FORCES
from phonsmith.labels.failed import LabelFailed
from phonsmith.labels.settings import Labels
from phonsmith.structures.relaxation import Load, compare
from phonsmith.structures.settings import Relaxation
from phonsmith.structures.sites import at_volume
from phonsmith.supercells.cells import to_ase
from phonsmith.supercells.settings import Displaced

if TYPE_CHECKING:
    from ase import Atoms
    from phonopy import Phonopy

    from phonsmith.labels.protocol import ReferenceMethod
    from phonsmith.labels.store import LabelStore


@dataclass
class Crystal:
    """A crystal and what computes it: the method, its supercell, and what keeps its results.

    ``template`` has supercell, primitive cell, masses and non-analytical correction of the
    reference phonons, ``parts`` their non-diagonal supercells, if any.
    """

    structure: str
    atoms: "Atoms"
    template: "Phonopy"
    method: "ReferenceMethod"
    relaxation: Relaxation
    displaced: Displaced
    labels: Labels
    store: "LabelStore | None" = None
    cores: int = 1
    attempt: int = 1
    parts: Sequence["Phonopy"] = ()

    def at_rest(self) -> "Atoms":
        """Return the crystal as the method relaxes it without pressure.

        Raises
        ------
        NotRelaxed
            It does not relax.
        UnusablePotential
            It becomes another crystal.
        """
        return self._relaxed(self.atoms, Load())[0]

    def at_volume(self, atoms: "Atoms", volume: float) -> tuple["Atoms", float]:
        """Return the crystal relaxed at a volume of its cell (Å³), and its energy (eV).

        Raises
        ------
        NotRelaxed
            It does not relax.
        UnusablePotential
            It becomes another crystal.
        """
        return self._relaxed(at_volume(atoms, volume), Load(fixed_volume=True))

    def _relaxed(self, atoms: "Atoms", load: Load) -> tuple["Atoms", float]:
        from phonsmith.labels.relaxations import relaxed
        from phonsmith.structures.symmetry import symmetrized

        try:
            found = relaxed(atoms, self.method, self.relaxation, load, self.store)
        except LabelFailed as failed:
            if failed.wants:
                raise failed.for_good(self.structure) from failed
            raise UnusablePotential(f"{self.structure}: {failed}") from failed
        verdict = compare(atoms, found, self.relaxation)
        if verdict.reason:
            kind = UnusablePotential if verdict.converged else NotRelaxed
            raise kind(f"{self.structure}: {verdict.reason}")
        if found.energy_ev is None:
            raise UnusablePotential(f"{self.structure}: the method gives no energy")
        return symmetrized(found.atoms, self.relaxation.symprec_angstrom), found.energy_ev

    def phonons(self, atoms: "Atoms") -> "Phonopy":
        """Phonons of the crystal in a cell, under the conditions of the template.

        Raises
        ------
        MissingLabels
            A displaced cell could not be labelled.
        TryAgain
            It lacked memory or time, which another try of the job has more of.
        """
        from phonsmith.labels.labelling import ask_for_more, label_cells
        from phonsmith.phonons.force_constants import phonons_like

        def forces(cells: Sequence["Atoms"]) -> list[NDArray[np.float64]]:
            named = [_named(cell, self.structure, index) for index, cell in enumerate(cells)]
            frames, failures = label_cells(named, self.method, self.labels, self.store, self.cores)
            ask_for_more(failures, self.attempt)
            if failures:
                raise MissingLabels(f"{self.structure}: {failures[0].reason}")
            return [frame.arrays[FORCES] for frame in frames]

        return phonons_like(self.template, atoms, self.displaced, forces, self.parts)


@dataclass
class RecordedCrystal:
    """A crystal whose energies and phonons at several volumes were computed by others.

    Replaces :class:`Crystal`: values are looked up, and nothing is computed.

    Attributes
    ----------
    structure
        Its id.
    recorded
        Phonons with forces or force constants, one for each volume, of like unit cells.
    energies_ev
        Energies of these unit cells without vibrations, in eV.
    """

    structure: str
    recorded: Sequence["Phonopy"]
    energies_ev: Sequence[float]

    def __post_init__(self) -> None:
        """Raise a PhonsmithError where the two do not belong together."""
        if len(self.recorded) != len(self.energies_ev):
            raise PhonsmithError(
                f"{self.structure}: {len(self.recorded)} phonons but {len(self.energies_ev)} "
                "energies; each volume requires both"
            )
        numbers = [phonon.unitcell.numbers for phonon in self.recorded]
        if any(not np.array_equal(one, numbers[0]) for one in numbers):
            raise PhonsmithError(
                f"{self.structure}: the unit cells of the volumes have different atoms"
            )

    @property
    def volumes(self) -> list[float]:
        """Volumes of the unit cell in Å³."""
        return [float(phonon.unitcell.volume) for phonon in self.recorded]

    @property
    def template(self) -> "Phonopy":
        """The phonons at the lowest energy."""
        return self.recorded[int(np.argmin(self.energies_ev))]

    @property
    def atoms(self) -> "Atoms":
        """The crystal at the lowest energy."""
        return self.at_rest()

    def at_rest(self) -> "Atoms":
        """Return the crystal at the lowest energy that was recorded."""
        return to_ase(self.template.unitcell)

    def at_volume(self, atoms: "Atoms", volume: float) -> tuple["Atoms", float]:
        """Return the recorded crystal nearest to a volume of its cell (Å³), and its energy (eV)."""
        index = int(np.argmin(np.abs(np.array(self.volumes) - volume)))
        return to_ase(self.recorded[index].unitcell), float(self.energies_ev[index])

    def phonons(self, atoms: "Atoms") -> "Phonopy":
        """Return the recorded phonons of the crystal in this cell."""
        index = int(np.argmin(np.abs(np.array(self.volumes) - atoms.get_volume())))
        return self.recorded[index]


def _named(cell: "Atoms", structure: str, index: int) -> "Atoms":
    cell.info = {"structure": structure, "kind": "displaced", "generation": 0, "index": index}
    return cell


@dataclass
class PointOfCurve:
    """A volume of the cell (Å³) with its crystal, energy (eV per cell) and phonons."""

    volume: float
    atoms: "Atoms"
    energy: float
    phonon: Any = None
    minimum: float | None = None
    share: float | None = None
    reason: str = ""
