"""Phonons from few rattled cells, with the force constants of a universal potential as prior.

    python benchmarks/prior.py FOLDER [CALCULATOR MODEL]     default: sevennet 7net-0

FOLDER is a crystal of phonondb (POSCAR-unitcell, disp.yaml, FORCE_SETS). Its force constants are
the truth; they also give the forces on rattled cells (0.002 Å, no anharmonicity).
Prints the RMSE at 60 random wave vectors, mean over two sets of cells: of the potential alone, and
with 1 to 8 cells.
"""

import sys
from pathlib import Path

import numpy as np
import yaml
from ase.io import read
from phonopy import Phonopy
from phonopy.file_IO import parse_FORCE_SETS
from phonopy.harmonic.force_constants import compact_fc_to_full_fc

from phonsmith.fits.force_constants.prior import corrected
from phonsmith.phonons.distorted import Distortion
from phonsmith.phonons.files import with_forces
from phonsmith.potentials.displaced import evaluate_displaced
from phonsmith.potentials.settings import PotentialSource
from phonsmith.supercells.cells import make_phonopy, to_ase

COUNTS = (1, 2, 4, 8)
SEEDS = (0, 1)
STD_ANGSTROM = 0.002
Q = np.vstack([[0, 0, 0], np.random.default_rng(0).random((60, 3))])


def crystal(folder: Path) -> Phonopy:
    """Phonons of a crystal of phonondb, with forces."""
    atoms = read(folder / "POSCAR-unitcell", format="vasp")
    forces = parse_FORCE_SETS(filename=str(folder / "FORCE_SETS"))
    phonon = make_phonopy(atoms, np.diag(multiples(folder)))
    phonon.dataset = forces
    return with_forces(phonon, phonon.forces)


def multiples(folder: Path) -> list[int]:
    """Multiples of the unit cell, from the lattice in ``disp.yaml``."""
    lattice = yaml.safe_load((folder / "disp.yaml").read_text(encoding="utf-8"))["lattice"]
    unit = read(folder / "POSCAR-unitcell", format="vasp").cell[:]
    return [int(one) for one in np.rint(np.diag(np.array(lattice) @ np.linalg.inv(unit)))]


def frequencies(phonon: Phonopy) -> np.ndarray:
    """Frequencies in THz at Q, in ascending order."""
    return np.sort(phonon.run_qpoints(Q).frequencies, axis=1)


def main(folder: Path, source: PotentialSource) -> None:
    """Print the errors."""
    phonon = crystal(folder)
    truth = frequencies(phonon)
    constants = phonon.force_constants
    if constants.shape[0] < constants.shape[1]:
        constants = compact_fc_to_full_fc(phonon.primitive, constants)
    forces, dataset = phonon.forces, phonon.dataset

    def rmse() -> float:
        return float(np.sqrt(np.mean((frequencies(phonon) - truth) ** 2)))

    perfect = to_ase(phonon.supercell)
    cells = [to_ase(one) for one in phonon.supercells_with_displacements]
    print(f"{folder}: {len(cells)} displaced cells of {len(perfect)} atoms")
    found = evaluate_displaced(perfect, [perfect, *cells], source)
    with_forces(phonon, [one.forces - found[0].forces for one in found[1:]])
    print(f"{source.model} alone: {rmse():.3f} THz")
    for count in COUNTS:
        errors, scales = [], []
        for seed in SEEDS:
            random = np.random.default_rng(seed)
            moves = random.normal(scale=STD_ANGSTROM, size=(count, len(perfect), 3))
            moves -= moves.mean(axis=1, keepdims=True)
            labels = -np.einsum("abij,cbj->cai", constants, moves)
            order = np.arange(len(perfect))
            rattled = [Distortion(*pair, order) for pair in zip(moves, labels, strict=True)]
            phonon.dataset, phonon.forces = dataset, forces
            result = corrected(phonon, rattled, source)
            phonon.force_constants = result.force_constants
            errors.append(rmse())
            scales.append(result.scale)
        print(f"{count} cells: {np.mean(errors):.3f} THz, factor {np.mean(scales):.3f}", flush=True)


if __name__ == "__main__":
    calculator, model = sys.argv[2:] or ("sevennet", "7net-0")
    main(Path(sys.argv[1]), PotentialSource(calculator=calculator, model=model))
