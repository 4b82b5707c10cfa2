"""Force constants from few labelled cells and those of a potential.

Phi = s Phi_prior + dPhi: the potential's force constants, scaled by one number that makes up for
its softness, and a difference that is fitted to what the labels have beyond it. The labels of few
cells leave most of dPhi open; it is zero there, by cells with displaced atoms, no force and a small
weight.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from phonsmith.phonons.distorted import Distortion
from phonsmith.phonons.files import with_forces
from phonsmith.phonons.symfc_fits import SymfcFit
from phonsmith.potentials.displaced import evaluate_displaced
from phonsmith.potentials.settings import PotentialSource
from phonsmith.supercells.cells import to_ase

if TYPE_CHECKING:
    from phonopy import Phonopy

Floats = NDArray[np.float64]

WEIGHT = 0.03
"""Of displacements without a difference. Results do not depend on it between 0.003 and 0.1."""


@dataclass(frozen=True)
class Corrected:
    """Force constants (primitive atoms, atoms, 3, 3) in eV/Å², and the factor of the prior."""

    force_constants: Floats
    scale: float


def corrected(
    phonon: "Phonopy", cells: Sequence[Distortion], source: PotentialSource, processes: int = 1
) -> Corrected:
    """Fit the difference of labelled cells to the scaled force constants of a potential.

    Parameters
    ----------
    phonon
        Supercell with displacements that determine its force constants.
    cells
        Labelled cells.
    source
        The potential.
    processes
        Number of processes that compute its forces.

    Raises
    ------
    UnusablePotential
        The potential fails on a cell.
    """
    perfect = to_ase(phonon.supercell)
    displaced = [to_ase(cell) for cell in phonon.supercells_with_displacements or []]
    moved = [_moved(perfect, cell.displacements) for cell in cells]
    found = evaluate_displaced(perfect, [perfect, *displaced, *moved], source, processes)
    # the crystal need not be at the potential's minimum
    forces = [one.forces - found[0].forces for one in found[1:]]
    with_forces(phonon, forces[: len(displaced)])
    prior: Any = phonon.force_constants
    own = np.array(forces[len(displaced) :])
    labels = np.array([cell.forces for cell in cells])
    scale = float(np.sum(labels * own) / np.sum(own * own))
    moves = np.array([cell.displacements for cell in cells])
    open_ones = WEIGHT * np.array([cell.positions - perfect.positions for cell in displaced])
    problem = SymfcFit(phonon, (2,))
    equations = problem.equations(moves, labels - scale * own)
    equations += problem.equations(open_ones, np.zeros_like(open_ones))
    return Corrected(scale * np.asarray(prior) + problem.solve(equations)[2], scale)


def _moved(perfect: Atoms, displacements: Floats) -> Atoms:
    moved = perfect.copy()
    moved.positions += displacements
    return moved
