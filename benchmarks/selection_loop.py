"""The loop of a campaign in small: the reference, and all methods with one seed (selection.py)."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from phonsmith.benchmarks.comparison import compare_spectra
from phonsmith.datasets.sets import Baseline
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS
from phonsmith.files.seeds import seed_for
from phonsmith.fits import training as fits
from phonsmith.fits.gap.settings import GapFit, Sigma, Soap
from phonsmith.phonons.band_paths import band_path
from phonsmith.phonons.force_constants import phonons_in_cell, potential_phonons
from phonsmith.phonons.settings import Phonons
from phonsmith.phonons.spectra import Spectrum, spectrum
from phonsmith.potentials.calculators import evaluate, evaluate_one, make_calculator
from phonsmith.potentials.settings import PotentialSource
from phonsmith.structures.reading import read_structure
from phonsmith.structures.relaxation import relaxed_crystal
from phonsmith.structures.settings import Relaxation
from phonsmith.supercells.candidates import candidate_pool, run_dynamics
from phonsmith.supercells.cells import make_phonopy, rattled_cells, supercell_matrix, to_ase
from phonsmith.supercells.selection import select
from phonsmith.supercells.settings import (
    Displaced,
    Dynamics,
    Rattled,
    Selection,
    SoapDescriptor,
    Supercells,
)

CRYSTALS = Path(__file__).parents[1] / "config/structures/silicon"
STRUCTURES = ("mp-149", "mp-999200", "mp-1072544")
REFERENCE = PotentialSource(calculator="stillinger-weber")
SUPERCELLS = Supercells(
    kinds=["rattled"],
    min_length_angstrom=5.0,
    min_atoms=12,
    max_atoms=24,
    rattled=Rattled(std_angstrom=0.05),
)
GAP = GapFit(
    kind="gap",
    learn_from=["rattled"],
    sigma=Sigma(energy_ev_per_atom=1e-4, force_ev_per_angstrom=1e-3, virial_ev_per_atom=1e-3),
    soap=Soap(n_sparse=300, n_max=6, l_max=4, cutoff_angstrom=4.0, atom_sigma_angstrom=0.4),
)
DYNAMICS = Dynamics(
    runs=2,
    temperature_kelvin=600,
    timestep_fs=2,
    equilibration_steps=60,
    snapshots=5,
    steps_between_snapshots=10,
)
SOAP = SoapDescriptor(cutoff_angstrom=4.0, atom_sigma_angstrom=0.4)
PHONONS = Phonons(points_per_segment=11, mesh_length_angstrom=20)
COMMITTEE = 3


@dataclass(frozen=True)
class Crystal:
    """A crystal with its reference phonons."""

    name: str
    atoms: Atoms
    phonon: Any
    path: Any
    spectrum: Spectrum


def make_crystal(name: str) -> Crystal:
    """The crystal as the reference relaxes it, and its phonons."""
    atoms, verdict = relaxed_crystal(
        read_structure(CRYSTALS / f"{name}.vasp"), make_calculator(REFERENCE), Relaxation()
    )
    assert not verdict.reason, verdict.reason
    matrix = supercell_matrix(atoms, SUPERCELLS)
    primitive = make_phonopy(atoms, matrix).primitive_matrix
    phonon = potential_phonons(atoms, matrix, Displaced(), REFERENCE, primitive_matrix=primitive)
    path = band_path(to_ase(phonon.primitive), PHONONS)
    return Crystal(name, atoms, phonon, path, spectrum(phonon, path))


def labelled(cells: Sequence[Atoms]) -> list[Atoms]:
    """The cells with energy, forces and stress of the reference."""
    calculator = make_calculator(REFERENCE)
    frames = []
    for cell in cells:
        label = evaluate_one(cell, calculator)
        frame = cell.copy()
        frame.info |= {ENERGY: label.energy, STRESS: label.stress}
        frame.set_array(FORCES, label.forces)
        frames.append(frame)
    return frames


def hot_cells(crystal: Crystal) -> list[Atoms]:
    """Test cells of one structure that no method chooses from, the same for all seeds.

    Five rattled with 1.5 times the standard deviation, and five snapshots of the reference's own
    dynamics.
    """
    matrix = supercell_matrix(crystal.atoms, SUPERCELLS)
    seeds = [seed_for(2**31, f"{crystal.name}/test", 0, i) for i in range(6)]
    hot = SUPERCELLS.rattled.model_copy(
        update={"std_angstrom": 1.5 * SUPERCELLS.rattled.std_angstrom, "min_distance_fraction": 0.6}
    )
    cells = rattled_cells(crystal.atoms, matrix, hot, seeds[:5])
    dynamics = DYNAMICS.model_copy(update={"equilibration_steps": 150})
    for number, start in enumerate(
        rattled_cells(crystal.atoms, matrix, SUPERCELLS.rattled, seeds[5:], first_index=1)
    ):
        run = run_dynamics(start, make_calculator(REFERENCE), dynamics, seeds[5 + number])
        assert not run.reason, run.reason
        cells += run.snapshots
    return labelled(cells)


def fit_gap(
    frames: Sequence[Atoms], folder: Path, seed: int, *, resampled: bool = False
) -> PotentialSource:
    """A GAP of the frames; its model lies in ``folder``."""
    folder.mkdir(parents=True)
    recipe = GAP.model_copy(update={"seed": seed, "resampled": resampled})
    baseline = Baseline({"Si": 0.0}, "isolated_atoms")
    fits.train(recipe, frames, baseline, folder, folder / "work", threads=1)
    return PotentialSource(calculator="gap", model=str(folder / "gap.xml"))


def committee(frames: Sequence[Atoms], folder: Path, seed: int) -> list[PotentialSource]:
    """Fits to cells drawn with replacement, as the repeats of a ``resampled`` recipe."""
    seeds = [1000 * (seed + 1) + number for number in range(COMMITTEE)]
    return [fit_gap(frames, folder / str(one), one, resampled=True) for one in seeds]


def phonon_errors(fit: PotentialSource, crystals: Sequence[Crystal]) -> dict[str, float]:
    """Phonon RMSE of each crystal in THz, in the reference's cell; NaN without usable forces."""
    errors = {}
    for one in crystals:
        phonon, verdict = phonons_in_cell("reference", one.phonon, fit, Displaced(), Relaxation())
        errors[one.name] = (
            float("nan")
            if verdict.reason
            else compare_spectra(one.spectrum, spectrum(phonon, one.path), 0.1).rmse_thz
        )
    return errors


def force_error(fit: PotentialSource, test: Sequence[Atoms]) -> float:
    """RMSE of force components, eV/Å."""
    found = evaluate(test, fit)
    differences = [a.forces - b.arrays[FORCES] for a, b in zip(found, test, strict=True)]
    return float(np.sqrt(np.mean(np.concatenate(differences) ** 2)))


def first_labels(crystals: Sequence[Crystal], count: int, seed: int) -> list[Atoms]:
    """Labels of generation 0: ``count`` rattled cells of each structure."""
    settings = Selection(pool_size=count)
    pools = [
        candidate_pool(one.name, one.atoms, SUPERCELLS, settings, campaign_seed=seed, generation=0)
        for one in crystals
    ]
    return labelled([cell for pool in pools for cell in pool.cells])


def candidates(
    crystals: Sequence[Crystal], settings: Selection, fit: PotentialSource, seed: int
) -> list[list[Atoms]]:
    """The candidates of each structure, the same for all methods and generations."""
    pools = [
        candidate_pool(
            one.name,
            one.atoms,
            SUPERCELLS,
            settings,
            campaign_seed=seed,
            generation=1,
            potential=fit,
        )
        for one in crystals
    ]
    for pool in pools:
        for reason in pool.stopped:
            print(f"seed {seed}: {reason}", flush=True)
    return [pool.cells for pool in pools]


@dataclass(frozen=True)
class Trial:
    """What all seeds have in common.

    Attributes
    ----------
    generations
        Number of generations.
    start, add
        Cells per structure at the start, and in each further generation.
    pool
        Candidates of each structure.
    grouped
        Whether cells are shared out evenly among volumes and amplitudes.
    methods
        Keys of ``METHODS``.
    work
        Folder for the fits.
    """

    generations: int
    start: int
    add: int
    pool: Selection
    grouped: bool
    methods: Sequence[str]
    work: Path


def run_seed(trial: Trial) -> Callable[[int], list[dict[str, Any]]]:
    """A function that runs all methods with one seed; the reference is prepared here."""
    crystals = [make_crystal(name) for name in STRUCTURES]
    test = [cell for one in crystals for cell in hot_cells(one)]
    return partial(_run_seed, crystals=crystals, test=test, trial=trial)


def _run_seed(
    seed: int, *, crystals: Sequence[Crystal], test: Sequence[Atoms], trial: Trial
) -> list[dict[str, Any]]:
    first = first_labels(crystals, trial.start, seed)
    first_fit = fit_gap(first, trial.work / f"{seed}/0", seed)
    pools = candidates(crystals, trial.pool, first_fit, seed)
    if not trial.grouped:
        for cell in (cell for cells in pools for cell in cells):
            cell.info["volume_factor"] = cell.info["amplitude_factor"] = 1.0
    rows = []
    for method in trial.methods:
        kind, _, together = method.partition("-")
        frames, fit = list(first), first_fit
        groups = [[cell.copy() for cell in cells] for cells in pools]
        began = time.process_time()
        for generation in range(trial.generations):
            folder = trial.work / f"{seed}/{method}/{generation}"
            if generation:
                fit = fit_gap(frames, folder, seed)
            rows.append(
                {
                    **{"method": method, "seed": seed, "generation": generation},
                    **_measured(fit, frames, crystals, test),
                }
            )
            _report(rows[-1], time.process_time() - began)
            if generation + 1 == trial.generations:
                break
            if together:
                groups = [[cell for group in groups for cell in group]]
            choose = partial(
                select,
                labelled=frames,
                count=trial.add * len(crystals) // len(groups),
                settings=trial.pool.model_copy(update={"method": kind}),
                committee=committee(frames, folder, seed) if kind == "committee" else [],
            )
            new = [cell for group in groups for cell in _take(group, choose, seed, generation)]
            frames = [*frames, *labelled(new)]
    return rows


def _measured(
    fit: PotentialSource,
    frames: Sequence[Atoms],
    crystals: Sequence[Crystal],
    test: Sequence[Atoms],
) -> dict[str, Any]:
    """Number of labels of a fit, its errors, and the share of labels from dynamics."""
    errors = phonon_errors(fit, crystals)
    return {
        "labels": len(frames),
        "phonon_rmse_thz": float(np.mean(list(errors.values()))),
        "force_rmse_ev_per_angstrom": force_error(fit, test),
        **{f"phonon_rmse_thz {name}": value for name, value in errors.items()},
        "dynamics_share": float(np.mean([one.info["origin"] == "dynamics" for one in frames])),
    }


def _report(row: dict[str, Any], seconds: float) -> None:
    print(
        f"seed {row['seed']} {row['method']} generation {row['generation']}: "
        f"{row['labels']} labels, {row['phonon_rmse_thz']:.4f} THz, "
        f"{row['force_rmse_ev_per_angstrom']:.4f} eV/Å ({seconds:.0f} s)",
        flush=True,
    )


def _take(
    group: list[Atoms], choose: Callable[..., list[int]], seed: int, generation: int
) -> list[Atoms]:
    """Take the chosen cells out of a group of candidates."""
    for cell in group:
        cell.info["generation"] = generation + 1  # where the quotas continue
    place = f"choice/{group[0].info['structure']}"
    chosen = choose(group, seed=seed_for(seed, place, generation, 0))
    taken = [group[i] for i in chosen]
    group[:] = [cell for i, cell in enumerate(group) if i not in chosen]
    return taken
