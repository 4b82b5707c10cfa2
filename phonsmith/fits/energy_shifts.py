"""Energy zero of labels against that of a foundation model."""

from collections.abc import Sequence

from ase import Atoms

from phonsmith.datasets.sets import isolated_energies
from phonsmith.files.extxyz import ENERGY
from phonsmith.potentials.calculators import evaluate
from phonsmith.potentials.settings import PotentialSource


def energy_shifts(
    cells: Sequence[Atoms], foundation: PotentialSource, processes: int = 1
) -> dict[str, float]:
    """Return energies of elements that the unchanged foundation model lacks, by least squares.

    Parameters
    ----------
    cells
        Cells with energies, without isolated atoms.
    foundation
        The foundation model.
    processes
        Number of processes that evaluate it.

    Returns
    -------
    Energy of each element in eV per atom.
    """
    missing = [atoms.copy() for atoms in cells]
    for atoms, found in zip(missing, evaluate(cells, foundation, processes), strict=True):
        atoms.info[ENERGY] = float(atoms.info[ENERGY]) - found.energy
    return isolated_energies(missing).e0s
