"""ASE calculator of polynomial potentials; it runs in the environment of pypolymlp.

pypolymlp's own ASE calculator is not used: as the stress it returns the virial (eV, positive under
compression, in the order xx, yy, zz, xy, yz, zx), it omits the energies of single atoms, and it
needs phonopy.

Like ``server.py`` it imports nothing of phonsmith.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from pypolymlp.calculator.properties import Properties
from pypolymlp.core.data_format import PolymlpStructure

ORDER = [0, 1, 2, 4, 5, 3]
"""Components of pypolymlp's virial in the order of ASE: xx, yy, zz, yz, xz, xy."""


class Polymlp(Calculator):  # type: ignore[misc]
    """A polynomial potential.

    Parameters
    ----------
    model
        Path of ``polymlp.yaml``.
    """

    implemented_properties = ("energy", "free_energy", "forces", "stress")

    def __init__(self, model: str) -> None:
        super().__init__()
        self._properties = Properties(pot=model)
        params = self._properties.params
        self._elements = list(params.elements)
        alone = params.atomic_energy or np.zeros(len(self._elements))
        self._alone = dict(zip(self._elements, map(float, alone), strict=True))

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Compute energy (eV), forces (eV/Å) and stress (eV/Å³)."""
        super().calculate(atoms, properties, system_changes)
        symbols = self.atoms.get_chemical_symbols()
        if unknown := set(symbols) - set(self._elements):
            raise ValueError(f"the potential does not support {', '.join(sorted(unknown))}")
        if not self.atoms.pbc.all():
            raise ValueError("the potential needs a periodic cell")
        energy, forces, virial = self._properties.eval(structure_of(self.atoms, self._elements))
        energy += sum(self._alone[symbol] for symbol in symbols)
        self.results = {
            "energy": float(energy),
            "free_energy": float(energy),
            "forces": np.array(forces).T,
            "stress": -np.array(virial)[ORDER] / self.atoms.get_volume(),
        }


def structure_of(atoms: Atoms, elements: Sequence[str]) -> Any:
    """Return a cell in pypolymlp's form: lattice vectors and fractional coordinates in columns."""
    symbols = atoms.get_chemical_symbols()
    return PolymlpStructure(
        axis=atoms.cell.array.T,
        positions=atoms.get_scaled_positions(wrap=False).T,
        n_atoms=[symbols.count(element) for element in elements],
        elements=symbols,
        types=[elements.index(symbol) for symbol in symbols],
        volume=atoms.get_volume(),
    )
