"""Whether energies, forces and stresses of recorded cells belong together.

Between two cells of the same atoms the energy changes by the work of forces and stress on the way.
With the mean of both ends, exact for harmonic potentials,

    ΔE = -Σ F̄·Δr + V̄ σ̄:ε,

Δr being moves relative to the lattice. Energies in hartree beside forces in eV/Å are off by 27.2.
Atomic units throughout are off by 1.89 alone, since positions are in Å: no more than what
anharmonicity can do, so that they are not found.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from ase import Atoms

from phonsmith.extxyz import ENERGY, FORCES, STRESS

LARGEST_MOVE_ANGSTROM, LARGEST_STRAIN = 0.4, 0.06
"""Further apart, the mean of both ends says little."""

LEAST_WORK_EV = 1e-3
"""Less is lost in the digits of energies."""

LARGEST_RATIO, LEAST_PAIRS, LEAST_CORRELATION = 3.0, 3, 0.8
"""Sound data are within these: 0.997 on 61 pairs of mlearn's silicon, 1.4 on 4 of strained tin."""


def mismatch(frames: Sequence[Atoms]) -> str:
    """How energies and forces contradict each other, in words; "" where nothing shows it."""
    pairs = [pair for pair in _pairs(frames) if pair is not None and abs(pair[1]) > LEAST_WORK_EV]
    if len(pairs) < LEAST_PAIRS:
        return ""
    energy, work = np.array(pairs).T
    slope = float(energy @ work / (work @ work))
    correlation = float(energy @ work / np.sqrt((energy @ energy) * (work @ work) or 1.0))
    if 1 / LARGEST_RATIO < slope < LARGEST_RATIO or correlation < LEAST_CORRELATION:
        return ""
    return (
        f"energies change by {slope:.3g} times the work of the forces (between {len(pairs)} pairs "
        "of cells), as where units are mixed; convert them to eV, eV/Å and eV/Å³ (1 hartree is "
        "27.2 eV)"
    )


def _pairs(frames: Sequence[Atoms]) -> list[tuple[float, float] | None]:
    groups: dict[tuple[int, ...], list[Atoms]] = defaultdict(list)
    for atoms in frames:
        if ENERGY in atoms.info and FORCES in atoms.arrays and atoms.cell.rank == 3:
            groups[tuple(atoms.numbers)].append(atoms)
    return [
        _energy_and_work(first, second)
        for group in groups.values()
        for first, second in pairwise(group)
    ]


def _energy_and_work(first: Atoms, second: Atoms) -> tuple[float, float] | None:
    """Change of the energy, and work on the way, in eV; None for cells too far apart."""
    before, after = first.cell[:], second.cell[:]
    middle = (before + after) / 2
    change = np.linalg.solve(middle, after - before)  # rows of cells transform from the right
    strain = (change + change.T) / 2
    moves = second.get_scaled_positions(wrap=False) - first.get_scaled_positions(wrap=False)
    moves = (moves - np.rint(moves)) @ middle
    if np.abs(strain).max() > LARGEST_STRAIN or np.abs(moves).max() > LARGEST_MOVE_ANGSTROM:
        return None
    work = -float(np.sum((first.arrays[FORCES] + second.arrays[FORCES]) / 2 * moves))
    if np.abs(change).max() > 1e-6:
        if STRESS not in first.info or STRESS not in second.info:
            return None
        stress = (np.asarray(first.info[STRESS]) + np.asarray(second.info[STRESS])) / 2
        volume = (first.get_volume() + second.get_volume()) / 2
        work += volume * float(np.sum(stress * strain))
    return float(second.info[ENERGY]) - float(first.info[ENERGY]), work
