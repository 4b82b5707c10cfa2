"""Phonons from few rattled cells, with the force constants of a universal potential as prior.

    python benchmarks/prior.py KIND FOLDER [CALCULATOR MODEL]     default: sevennet 7net-0

KIND and FOLDER are one of
    phonondb   a crystal of phonondb (POSCAR-unitcell, disp.yaml, FORCE_SETS); its force constants
               are the truth, and give the forces on rattled cells (0.002 Å, no anharmonicity)
    vasp       runs of a displaced cell (the truth) and of rattled cells of the same lattice:
               FOLDER/*phonon_static*SCALE_*/**/vasprun.xml* and *rattle_static*; FOLDER:SCALE
    phono3py   a phono3py params file with the forces of many random cells, labelled by DFT; the
               truth are the second-order force constants of all of them, fitted with third order

Prints the RMSE at 60 random wave vectors, mean over sets of cells: of the potential alone, and with
some cells; and the core hours of a rattled cell, relative to those of all displaced cells.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import phono3py
import yaml
from ase import Atoms
from ase.build import bulk
from ase.io import read
from phonopy import Phonopy
from phonopy.file_IO import parse_FORCE_SETS
from phonopy.harmonic.force_constants import compact_fc_to_full_fc

from phonsmith.files.extxyz import FORCES
from phonsmith.fits.force_constants.prior import corrected
from phonsmith.labels.espresso.cost import ESPRESSO
from phonsmith.labels.kpoints import mesh
from phonsmith.phonons.distorted import Distortion, distortion_of
from phonsmith.phonons.files import with_forces
from phonsmith.phonons.symfc_fits import SymfcFit
from phonsmith.potentials.displaced import evaluate_displaced
from phonsmith.potentials.settings import PotentialSource
from phonsmith.running.costs import ElectronicSize, irreducible_kpoints, plane_waves
from phonsmith.supercells.cells import make_phonopy, to_ase

COUNTS = (1, 2, 4, 8)
SEEDS = (0, 1)
STD_ANGSTROM = 0.002
DISPLACEMENT_ANGSTROM = 0.01
VALENCE = {"O": 6, "Na": 9, "Cl": 7, "Ga": 13, "Se": 6, "Sn": 14, "Sb": 5}
ECUTWFC_RY, ECUTRHO_RY = 50.0, 400.0
KSPACING_PER_ANGSTROM = 0.3
Q = np.vstack([[0, 0, 0], np.random.default_rng(0).random((60, 3))])


@dataclass(frozen=True)
class Case:
    """A supercell with displacements, true force constants, and sets of labelled cells.

    ``cells`` returns the cells of a set by their number and a seed.
    """

    phonon: Phonopy
    constants: np.ndarray
    counts: tuple[int, ...]
    cells: Callable[[int, int], list[Distortion]]


def of_phonondb(folder: Path) -> Case:
    """A crystal of phonondb, rattled cells by its force constants."""
    lattice = yaml.safe_load((folder / "disp.yaml").read_text(encoding="utf-8"))["lattice"]
    unit = read(folder / "POSCAR-unitcell", format="vasp")
    multiples = np.rint(np.diag(np.array(lattice) @ np.linalg.inv(unit.cell[:])))
    phonon = make_phonopy(unit, np.diag(multiples.astype(int)))
    phonon.dataset = parse_FORCE_SETS(filename=str(folder / "FORCE_SETS"))
    constants = full(phonon, with_forces(phonon, phonon.forces).force_constants)
    atoms = len(phonon.supercell)

    def cells(count: int, seed: int) -> list[Distortion]:
        random = np.random.default_rng(seed)
        moves = random.normal(scale=STD_ANGSTROM, size=(count, atoms, 3))
        moves -= moves.mean(axis=1, keepdims=True)
        labels = -np.einsum("abij,cbj->cai", constants, moves)
        return [Distortion(*pair, np.arange(atoms)) for pair in zip(moves, labels, strict=True)]

    return Case(phonon, constants, COUNTS, cells)


def of_vasp(name: Path) -> Case:
    """Diamond structure: one displaced cell of 2 × 2 × 2 cubes, and rattled ones."""
    folder, scale = str(name).split(":")
    displaced, *rattled = (
        read(path)
        for kind in ("phonon", "rattle")
        for path in sorted(Path(folder).glob(f"*{kind}_static*_{scale}_*/**/vasprun.xml*"))
    )
    for atoms in (displaced, *rattled):
        atoms.arrays[FORCES] = atoms.get_forces()
    phonon = make_phonopy(
        bulk(displaced.symbols[0], "diamond", displaced.cell[0, 0] / 2, cubic=True),
        np.diag([2, 2, 2]),
    )
    sets = [distortion_of(phonon.supercell, cell) for cell in (displaced, *rattled)]
    found = [cell for cell in sets if cell is not None]
    phonon.dataset = {
        "displacements": found[0].displacements[None],
        "forces": found[0].forces[None],
    }
    problem = SymfcFit(phonon, (2,))
    constants = problem.solve(
        problem.equations(found[0].displacements[None], found[0].forces[None])
    )
    phonon.generate_displacements(distance=DISPLACEMENT_ANGSTROM)

    def cells(count: int, seed: int) -> list[Distortion]:
        return [found[1:][(seed + step) % len(found[1:])] for step in range(count)]

    return Case(phonon, full(phonon, constants[2]), (1, 2), cells)


def of_phono3py(file: Path) -> Case:
    """Random cells labelled by DFT, in random order."""
    third = phono3py.load(str(file), produce_fc=False, log_level=0)
    unit = to_ase(third.unitcell)
    phonon = make_phonopy(unit, third.supercell_matrix)
    assert np.allclose(phonon.supercell.positions, third.supercell.positions)
    moves, forces = (np.array(third.dataset[key]) for key in ("displacements", "forces"))
    problem = SymfcFit(phonon, (2, 3))
    constants = full(phonon, problem.solve(problem.equations(moves, forces))[2])
    phonon.generate_displacements(distance=DISPLACEMENT_ANGSTROM)

    def cells(count: int, seed: int) -> list[Distortion]:
        chosen = np.random.default_rng(seed).permutation(len(moves))[:count]
        order = np.arange(moves.shape[1])
        return [Distortion(moves[cell], forces[cell], order) for cell in chosen]

    return Case(phonon, constants, COUNTS, cells)


def full(phonon: Phonopy, constants: np.ndarray) -> np.ndarray:
    """Force constants between all atoms."""
    if constants.shape[0] < constants.shape[1]:
        return compact_fc_to_full_fc(phonon.primitive, constants)
    return constants


def frequencies(phonon: Phonopy, constants: np.ndarray) -> np.ndarray:
    """Frequencies in THz at Q, in ascending order."""
    phonon.force_constants = constants
    return np.sort(phonon.run_qpoints(Q).frequencies, axis=1)


def main(case: Case, source: PotentialSource) -> None:
    """Print the errors."""
    phonon = case.phonon
    truth = frequencies(phonon, case.constants)

    def rmse(constants: np.ndarray) -> float:
        return float(np.sqrt(np.mean((frequencies(phonon, constants) - truth) ** 2)))

    perfect, dataset = to_ase(phonon.supercell), phonon.dataset
    displaced = [to_ase(cell) for cell in phonon.supercells_with_displacements]
    print(
        f"{len(displaced)} displaced cells of {len(perfect)} atoms are needed; a rattled cell "
        f"takes {cost_of_rattled(perfect, displaced):.3f} times their core hours"
    )
    found = evaluate_displaced(perfect, [perfect, *displaced], source)
    with_forces(phonon, [label.forces - found[0].forces for label in found[1:]])
    print(f"{source.model} alone: {rmse(phonon.force_constants):.3f} THz")
    for count in case.counts:
        errors, without, scales = [], [], []
        for seed in SEEDS:
            phonon.dataset = dataset
            cells = case.cells(count, seed)
            result = corrected(phonon, cells, source)
            errors.append(rmse(result.force_constants))
            scales.append(result.scale)
            without.append(rmse_without(phonon, cells, rmse))
        print(
            f"{count} cells: {np.mean(errors):.3f} THz, factor {np.mean(scales):.3f}, "
            f"without prior {np.mean(without):.3f} THz",
            flush=True,
        )


def cost_of_rattled(perfect: Atoms, displaced: list[Atoms]) -> float:
    """Core hours of a rattled cell with pw.x, relative to all displaced cells together."""
    rattled = perfect.copy()
    rattled.rattle(STD_ANGSTROM)
    return core_seconds(rattled) / sum(map(core_seconds, displaced))


def core_seconds(cell: Atoms) -> float:
    """Core seconds of a label, by the cost model of pw.x."""
    divisions = mesh(cell, KSPACING_PER_ANGSTROM)
    electrons = sum(VALENCE[symbol] for symbol in cell.symbols)
    size = ElectronicSize(
        len(cell),
        electrons,
        irreducible_kpoints(cell, divisions, shifted=True),
        plane_waves(cell, ECUTWFC_RY),
        math.ceil(electrons / 2),
        plane_waves(cell, ECUTRHO_RY),
    )
    return ESPRESSO.run(size).core_seconds or math.nan


def rmse_without(
    phonon: Phonopy, cells: list[Distortion], rmse: Callable[[np.ndarray], float]
) -> float:
    """Error of second-order force constants from the same cells alone; nan if undetermined."""
    problem = SymfcFit(phonon, (2,))
    moves = np.array([cell.displacements for cell in cells])
    equations = problem.equations(moves, np.array([cell.forces for cell in cells]))
    return rmse(problem.solve(equations)[2]) if not equations.undetermined else float("nan")


CASES = {"phonondb": of_phonondb, "vasp": of_vasp, "phono3py": of_phono3py}


if __name__ == "__main__":
    kind, path, *rest = sys.argv[1:]
    calculator, model = rest or ("sevennet", "7net-0")
    main(CASES[kind](Path(path)), PotentialSource(calculator=calculator, model=model))
