"""Moment tensor potentials: accuracy and time beside GAP, training against BFGS, costs.

    python benchmarks/mtp.py accuracy --levels 12 16          Stillinger–Weber silicon
    python benchmarks/mtp.py accuracy FOLDER --levels 12 16   FOLDER: training.json, test.json
    python benchmarks/mtp.py training --level 8               against motep's own BFGS
    python benchmarks/mtp.py phonons --levels 12 16           with and without a weight of their own
    python benchmarks/mtp.py cost                             constants of fits/mtp/cost.py

``accuracy`` trains moment tensor potentials and the default GAP on the training cells of a set of
mlearn (Y. Zuo et al., J. Phys. Chem. A 124, 731 (2020)), and prints errors on its test cells, wall
time of the training, and CPU seconds of a step of dynamics for one atom. Without FOLDER, cells are
12 for training and 6 for testing, of 64 silicon atoms with Stillinger–Weber labels.

``training`` labels 20 rattled cells of 64 silicon atoms with Stillinger and Weber's potential and
prints the CPU seconds until motep's BFGS, from motep's linear least squares, and variable
projection reach the same losses.

``phonons`` trains on 12 rattled cells and the displaced cell of diamond silicon, with MLIP's loss
and with the default weight of displaced cells, and prints the RMSE of the frequencies on a mesh.

``cost`` measures seconds per atom of evaluations and of passes over training cells.
"""

import argparse
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from phonsmith.running.job_context import limit_threads

limit_threads(1)

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from ase import Atoms  # noqa: E402
from ase.build import bulk  # noqa: E402
from phonopy import Phonopy  # noqa: E402
from phonopy.structure.atoms import PhonopyAtoms  # noqa: E402

from phonsmith.datasets.sets import Baseline  # noqa: E402
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS  # noqa: E402
from phonsmith.fits.gap.settings import GapFit  # noqa: E402
from phonsmith.fits.mtp.equations import Trial, potential, triangles  # noqa: E402
from phonsmith.fits.mtp.optimisation import initial  # noqa: E402
from phonsmith.fits.mtp.settings import MtpFit  # noqa: E402
from phonsmith.fits.settings import TrainedFit  # noqa: E402
from phonsmith.fits.training import train  # noqa: E402
from phonsmith.labels.recorded.reading import read_recorded  # noqa: E402
from phonsmith.potentials.calculators import evaluate, make_calculator  # noqa: E402
from phonsmith.potentials.mtp import calculator_of  # noqa: E402
from phonsmith.potentials.settings import PotentialSource  # noqa: E402
from phonsmith.supercells.cells import to_ase  # noqa: E402

SW = PotentialSource(calculator="stillinger-weber")
ATOM = Baseline({"Si": 0.0}, "isolated_atoms")
PBE_ATOM = Baseline({"Si": -0.8}, "isolated_atoms")
"""Close to VASP's energy of an isolated, not spin-polarised silicon atom."""


def accuracy(
    folder: Path | None, levels: Sequence[int], with_gap: bool, threads: int
) -> pd.DataFrame:
    """Errors and times on a set of mlearn, or on Stillinger–Weber silicon."""
    cells = silicon(18)
    learning, testing, atom = cells[:12], cells[12:], ATOM
    if folder is not None:
        learning, testing = (
            read_recorded(folder / f"{name}.json", "mlearn", "mlearn").frames
            for name in ("training", "test")
        )
        atom = PBE_ATOM
    fits: dict[str, TrainedFit] = {
        f"MTP {level}": MtpFit(kind="mtp", level=level) for level in levels
    }
    if with_gap:
        fits["GAP"] = GapFit(kind="gap")
    rows = []
    for name, fit in fits.items():
        place = Path(tempfile.mkdtemp())
        (place / "model").mkdir()
        record = train(fit, learning, atom, place / "model", place / "work", threads)
        source = PotentialSource(calculator=fit.kind, model=str(place / "model" / record.model))
        rows.append({"potential": name, **errors(source, testing), "wall_s": record.wall_time_s})
        rows[-1] |= {"step_s_per_atom": step_seconds(source)}
        print(rows[-1], flush=True)
        shutil.rmtree(place)
    return pd.DataFrame(rows)


def errors(source: PotentialSource, cells: Sequence[Atoms]) -> dict[str, float]:
    """Errors of energies in meV/atom and of force components in eV/Å."""
    found = evaluate(cells, source)
    energy = [(r.energy - a.info[ENERGY]) / len(a) for r, a in zip(found, cells, strict=True)]
    force = np.concatenate(
        [(r.forces - a.arrays[FORCES]).ravel() for r, a in zip(found, cells, strict=True)]
    )
    return {
        "energy_mae_mev": 1e3 * float(np.mean(np.abs(energy))),
        "force_mae": float(np.mean(np.abs(force))),
        "force_rmse": float(np.sqrt(np.mean(force**2))),
    }


def step_seconds(source: PotentialSource, steps: int = 5) -> float:
    """CPU seconds of energy, forces and stress for an atom of 216, as dynamics moves them."""
    return cpu_of_steps(make_calculator(source), bulk("Si", a=5.43, cubic=True) * (3, 3, 3), steps)


def cpu_of_steps(calculator: Any, atoms: Atoms, steps: int) -> float:
    """CPU seconds for a step and atom, best of several."""
    atoms.rattle(0.05, seed=1)
    atoms.calc = calculator
    atoms.get_forces()
    times = []
    for seed in range(steps):
        atoms.rattle(0.005, seed=seed)
        begin = time.process_time()
        atoms.get_forces()
        atoms.get_stress()
        times.append(time.process_time() - begin)
    return min(times) / len(atoms)


# --- training -------------------------------------------------------------------------------------


def silicon(count: int) -> list[Atoms]:
    """Rattled, strained cells of 64 atoms with labels of Stillinger and Weber's potential."""
    random = np.random.default_rng(1)
    cells = []
    for seed in range(count):
        atoms = bulk("Si", a=5.43, cubic=True) * (2, 2, 2)
        strain = 0.02 * random.standard_normal((3, 3))
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
        atoms.rattle(0.08, seed=seed)
        cells.append(atoms)
    for atoms, found in zip(cells, evaluate(cells, SW), strict=True):
        atoms.info |= {ENERGY: found.energy, STRESS: found.stress, "kind": "rattled"}
        atoms.arrays[FORCES] = found.forces
    return cells


def training(level: int, iterations: int) -> pd.DataFrame:
    """CPU seconds to reach the losses of motep's BFGS."""
    cells, fit = silicon(20), MtpFit(kind="mtp", level=level, max_iterations=30, tolerance=1e-3)
    theirs = by_motep(cells, fit, iterations)
    ours = by_phonsmith(cells, fit)
    last = {"way": "motep, last", "loss": theirs[-1][1], "cpu_s": theirs[-1][0]}
    rows = [last, {"way": "phonsmith, last", "loss": ours[-1][1], "cpu_s": ours[-1][0]}]
    for part in (0.1, 0.5, 1.0):
        loss = theirs[int(part * (len(theirs) - 1))][1]
        first = next((seconds for seconds, other in ours if other <= loss), np.nan)
        slow = next(seconds for seconds, other in theirs if other <= loss)
        rows.append({"way": "both", "loss": loss, "cpu_s": first, "motep_cpu_s": slow})
    return pd.DataFrame(rows)


def by_motep(cells: Sequence[Atoms], fit: MtpFit, iterations: int) -> list[tuple[float, float]]:
    """CPU seconds and loss of motep's linear least squares and BFGS, which use one process."""
    from motep.loss import LossFunction, LossSetting
    from motep.optimizers import make_optimizer
    from motep.optimizers.scipy import logger

    begun = initial(fit.level, 1, fit.radial_basis_size, fit.seed).trial
    data = potential(fit, {"Si": 0.0}, begun)
    images = [labelled_for_motep(atoms) for atoms in cells]
    setting = LossSetting(energy_weight=1.0, forces_weight=0.1, stress_weight=0.001)
    loss = LossFunction(images, data, setting, engine="cext")
    found: list[tuple[float, float]] = []
    begin = time.process_time()

    class Noted(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if str(record.msg).startswith("loss %d"):
                found.append((time.process_time() - begin, float(record.args[1])))  # type: ignore

    handler = Noted()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    make_optimizer("LLS")(loss, optimized=["moment_coeffs"]).optimize()
    make_optimizer("minimize")(loss, optimized=["moment_coeffs", "radial_coeffs"]).optimize(
        method="BFGS", options={"maxiter": iterations}
    )
    return found


def labelled_for_motep(atoms: Atoms) -> Atoms:
    """The cell with its labels in a calculator."""
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.stress import full_3x3_to_voigt_6_stress

    cell = atoms.copy()
    stress = full_3x3_to_voigt_6_stress(atoms.info[STRESS])
    labels = {"energy": atoms.info[ENERGY], "forces": atoms.arrays[FORCES], "stress": stress}
    cell.calc = SinglePointCalculator(cell, free_energy=labels["energy"], **labels)
    return cell


def by_phonsmith(cells: Sequence[Atoms], fit: MtpFit) -> list[tuple[float, float]]:
    """CPU seconds and loss of variable projection in one process, in motep's normalisation."""
    from phonsmith.fits.mtp import training as stage

    found: list[tuple[float, float]] = []
    begin = time.process_time()
    with stage._elimination(fit, {"Si": 0.0}, cells, 1) as eliminate:
        for state in stage.iterations(fit, eliminate, 1):
            if state.trial.level == fit.level:
                found.append((time.process_time() - begin, state.loss / len(cells) / 64))
    return found


# --- phonons --------------------------------------------------------------------------------------


def phonons(levels: Sequence[int], weights: Sequence[float]) -> pd.DataFrame:
    """RMSE of frequencies in THz, and force errors on rattled cells, by weight."""
    phonon, rattled = diamond(), silicon(18)
    displaced = [to_ase(cell) for cell in phonon.supercells_with_displacements]
    for cell, found in zip(displaced, evaluate(displaced, SW), strict=True):
        cell.info |= {ENERGY: found.energy, STRESS: found.stress, "kind": "displaced"}
        cell.arrays[FORCES] = found.forces
    reference = frequencies(phonon, SW)
    rows = []
    for level in levels:
        for weight in weights:
            fit = MtpFit(kind="mtp", level=level, weights={"displaced_forces": weight})
            with tempfile.TemporaryDirectory() as place:
                model, work = Path(place), Path(place) / "work"
                train(fit, [*rattled[:12], *displaced], ATOM, model, work, 1)
                source = PotentialSource(calculator="mtp", model=str(model / "potential.mtp"))
                error = frequencies(phonon, source) - reference
                rmse = float(np.sqrt(np.mean(error**2)))
                rows.append({"level": level, "weight": weight, "rmse_thz": rmse})
                rows[-1] |= errors(source, rattled[12:])
    return pd.DataFrame(rows)


def diamond() -> Any:
    """Displacement of a 64-atom cell of diamond silicon."""
    crystal = bulk("Si", a=5.431)
    fractional = crystal.get_scaled_positions()
    cell = PhonopyAtoms(symbols=["Si"] * 2, cell=crystal.cell.array, scaled_positions=fractional)
    cubic = 2 * np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]])
    phonon = Phonopy(cell, supercell_matrix=cubic)
    phonon.generate_displacements(distance=0.01)
    return phonon


def frequencies(phonon: Any, source: PotentialSource) -> np.ndarray:
    """Frequencies of a potential in THz on a mesh of 5 × 5 × 5 wave vectors."""
    cells = [to_ase(cell) for cell in phonon.supercells_with_displacements]
    phonon.forces = [found.forces for found in evaluate(cells, source)]
    phonon.produce_force_constants()
    phonon.symmetrize_force_constants(show_drift=False)
    phonon.run_mesh([5, 5, 5], is_mesh_symmetry=False)
    return np.array(phonon.mesh.frequencies)


# --- costs ----------------------------------------------------------------------------------------


def cost(levels: Sequence[int]) -> pd.DataFrame:
    """Seconds per atom of an evaluation and of a pass over training cells, by level."""
    cells = silicon(4)
    rows = []
    for level in levels:
        fit = MtpFit(kind="mtp", level=level)
        state = initial(level, 1, fit.radial_basis_size, 0)
        trial = Trial(level, state.trial.radial, np.ones_like(state.linear))
        work = triangles(fit, {"Si": 0.0}, [cells])
        data = potential(fit, {"Si": 0.0}, trial)
        rows.append(
            {
                "level": level,
                "products": len(data.alpha_index_times),
                "basic": len(data.alpha_index_basic),
                "columns": len(trial.linear) + trial.radial.size,
                "evaluation_s": cpu_of_steps(calculator_of(data), cells[0].copy() * (2, 2, 1), 5),
                "pass_s": min(cpu(lambda: work((0, trial))) for _ in range(3)) / 256,  # noqa: B023
            }
        )
        print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def cpu(function: Callable[[], Any]) -> float:
    """CPU seconds of a function."""
    begin = time.process_time()
    function()
    return time.process_time() - begin


def main() -> None:
    """Run the part that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["accuracy", "training", "phonons", "cost"])
    parser.add_argument("folder", nargs="?", type=Path, help="of training.json and test.json")
    parser.add_argument("--levels", nargs="+", type=int, default=[8, 12, 16, 20])
    parser.add_argument("--level", type=int, default=8)
    parser.add_argument("--iterations", type=int, default=150, help="of motep's BFGS")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--weights", nargs="+", type=float, default=[0.1, 1e4], help="of displaced cells"
    )
    parser.add_argument("--no-gap", action="store_true")
    given = parser.parse_args()
    logging.disable(logging.NOTSET)
    if given.part == "accuracy":
        table = accuracy(given.folder, given.levels, not given.no_gap, given.threads)
    elif given.part == "training":
        table = training(given.level, given.iterations)
    elif given.part == "phonons":
        table = phonons(given.levels, given.weights)
    else:
        table = cost(given.levels)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
