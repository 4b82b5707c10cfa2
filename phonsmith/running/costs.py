"""Costs of runs: their form, and what estimates of several codes share.

Core hours are those of one core of an AMD EPYC virtual machine, where all constants were measured
(``benchmarks/pw_cost.py`` and ``benchmarks/vasp_cost.py`` fit them again). Another machine differs
by its speed, a run on many cores by its communication; both are one factor, which follows from the
finished labels of a campaign.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.units import Bohr

MB = 1e6
COMPLEX = 16  # bytes of a complex number
SYMPREC = 1e-5
"""Å. Tolerance of pw.x's search for symmetry."""

JOB_START_S = 4.0
"""Core seconds until a job that evaluates forces has loaded its libraries and model."""


@dataclass(frozen=True)
class Cost:
    """Cost of one run; None where it is unknown.

    ``core_seconds`` of computing on all cores together, ``memory_mb`` of all processes together.
    """

    core_seconds: float | None
    memory_mb: float | None = None


UNKNOWN = Cost(None)


@dataclass(frozen=True)
class ElectronicSize:
    """Numbers that determine the cost of a plane-wave calculation of one cell.

    ``kpoints`` is the number of irreducible ones; ``plane_waves`` that of one wavefunction;
    ``density_waves`` that of the density; ``spins`` 1 or 2; ``atoms`` those of the cell.
    """

    atoms: int
    electrons: float
    kpoints: int
    plane_waves: float
    bands: int
    density_waves: float
    spins: int = 1


def plane_waves(cell: Atoms, cutoff_ry: float) -> float:
    """Plane waves of a cell below a cutoff: V k³/(6π²) with k = √E in atomic units."""
    return float(cell.get_volume() / Bohr**3 * cutoff_ry**1.5 / (6 * np.pi**2))


def irreducible_kpoints(
    cell: Atoms, divisions: Sequence[int], *, shifted: bool = False, symmetry: bool = True
) -> int:
    """Count the irreducible k-points of a mesh under time reversal and the symmetry of the cell.

    Parameters
    ----------
    cell
        Cell.
    divisions
        Three numbers of k-points.
    shifted
        Shift the mesh by half a step.
    symmetry
        Use the symmetry of the cell.
    """
    import spglib

    rotations = np.eye(3, dtype="intc")[None]
    if symmetry:
        crystal = (cell.cell[:], cell.get_scaled_positions(), cell.numbers)
        found = spglib.get_symmetry(crystal, symprec=SYMPREC)
        rotations = np.unique(found["rotations"], axis=0) if found else rotations
    mapping, _ = spglib.get_stabilized_reciprocal_mesh(
        divisions, rotations, is_shift=[int(shifted)] * 3, is_time_reversal=True
    )
    return len(np.unique(mapping))


@dataclass(frozen=True)
class PlaneWaveCost:
    """Constants of one code.

    Seconds of one run: ``start_s`` + steps · (k-points · spins · (``fft`` · N_b · N_pw · log2 N_pw
    + ``algebra`` · N_b² · N_pw) + ``augmentation`` · spins · N_g · atoms), with N_b bands, N_pw
    plane waves, N_g plane waves of the density, and
    steps = ``scf_steps`` + ``scf_steps_per_doubling`` · log2(atoms). The last term is the
    augmentation charge of ultrasoft pseudopotentials, computed once for all k-points.

    Bytes: 16 · (k-points · spins · N_b · N_pw + N_g · (``grids`` + ``grids_per_atom`` · atoms)),
    and ``base_mb`` for each core.
    """

    fft: float
    algebra: float
    start_s: float
    scf_steps: float
    scf_steps_per_doubling: float
    grids: float
    grids_per_atom: float
    base_mb: float
    augmentation: float = 0.0

    def steps(self, atoms: int) -> float:
        """SCF steps of a cell."""
        return self.scf_steps + self.scf_steps_per_doubling * math.log2(atoms)

    def features(self, size: ElectronicSize) -> tuple[float, float, float]:
        """Return the factors of ``fft``, ``algebra`` and ``augmentation``, for one SCF step."""
        states = size.kpoints * size.spins * size.bands * size.plane_waves
        fft = states * math.log2(max(2.0, size.plane_waves))
        return fft, states * size.bands, size.spins * size.density_waves * size.atoms

    def run(self, size: ElectronicSize, cores: int = 1) -> Cost:
        """Return one static run."""
        fft, algebra, augmentation = self.features(size)
        step = self.fft * fft + self.algebra * algebra + self.augmentation * augmentation
        seconds = self.steps(size.atoms) * step
        states = size.kpoints * size.spins * size.bands * size.plane_waves
        grids = size.density_waves * (self.grids + self.grids_per_atom * size.atoms)
        memory = COMPLEX * (states + grids) / MB + self.base_mb * cores
        return Cost(self.start_s + seconds, memory)


def neighbours(cell: Atoms, cutoff_angstrom: float) -> float:
    """Neighbours of an atom within a cutoff, from the density."""
    return float(4 / 3 * np.pi * cutoff_angstrom**3 * len(cell) / cell.get_volume())


def mean_neighbours(cells: Sequence[Atoms], cutoff_angstrom: float) -> float:
    """Mean over the cells of :func:`neighbours`; without cells as in silicon within 5 Å."""
    found = [neighbours(cell, cutoff_angstrom) for cell in cells]
    return float(np.mean(found or [_SILICON]))


_SILICON = 28


def count_elements(cells: Sequence[Atoms]) -> int:
    """Return the number of elements in the cells, at least one."""
    return max(1, len({symbol for cell in cells for symbol in cell.symbols}))
