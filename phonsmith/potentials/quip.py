"""quippy's calculator with a constant memory."""

from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from quippy.convert import ase_to_quip
from quippy.potential import Potential

USUAL = frozenset({"energy", "free_energy", "forces", "stress"})


class Quip(Potential):  # type: ignore[misc]
    """quippy's calculator, which keeps the atoms that it hands to QUIP.

    quippy makes new ones for each geometry and never frees their lists of neighbours, 0.2 MB for 64
    atoms and a cutoff of 5 Å: long dynamics fill the memory. Here, they are made anew only for
    another number of atoms, or if anything but energy, forces and stress is requested.
    """

    _kept: Any = None

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
        **more: Any,
    ) -> None:
        """Calculate energy, forces and stress, or what quippy's calculator offers."""
        special = self.calc_args or self.add_arrays or self.add_info
        if more or special or not set(properties or ()) <= USUAL:
            super().calculate(atoms, properties, system_changes, **more)
            return
        Calculator.calculate(self, atoms, properties, system_changes)
        self._kept = ase_to_quip(self.atoms, quip_atoms=self._kept)
        energy = np.zeros(())
        forces = np.zeros((3, len(self.atoms)), order="F")
        virial = np.zeros((3, 3), order="F")
        self._quip_potential.calc(self._kept, energy=energy, force=forces, virial=virial)
        self.results = {"energy": float(energy), "free_energy": float(energy), "forces": forces.T}
        if self.atoms.cell.rank == 3:
            stress = -virial / self.atoms.get_volume()
            self.results["stress"] = stress[(0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1)]
