"""Train polynomial potentials in the environment of pypolymlp."""

import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from phonsmith.datasets.sets import FORCE_SIGMA, VIRIAL_SIGMA
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS, virial_of, without_isolated_atoms
from phonsmith.files.reading_writing import read_json, write_json
from phonsmith.fits.polymlp import program
from phonsmith.fits.polymlp.program import MODEL, REPORT, SETTINGS, TRAINING
from phonsmith.fits.polymlp.settings import PolymlpFit
from phonsmith.fits.record import TargetCounts, TrainingRecord
from phonsmith.fits.task import TrainingTask
from phonsmith.potentials.environments import made
from phonsmith.potentials.ready import READY
from phonsmith.running.subprocesses import failure, run_child

Floats = NDArray[np.float64]

VIRIAL_ORDER = ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (2, 0))
"""pypolymlp's order of the components of a virial."""


def train(fit: PolymlpFit, task: TrainingTask) -> TrainingRecord:
    """Fit a polynomial potential and write ``polymlp.yaml``.

    Raises
    ------
    PhonsmithError
        The environment does not exist, or the program fails; the message contains its reason.
    """
    environment = made(str(READY["polymlp"].environment))
    cells = without_isolated_atoms(task.frames)
    elements = sorted({symbol for cell in cells for symbol in cell.symbols})
    alone = dict.fromkeys(elements, 0.0)
    if task.baseline.has_energies:
        alone = {element: task.baseline.e0s[element] for element in elements}
    targets = [targets_of(cell, fit, alone) for cell in cells]
    np.savez(task.work / TRAINING, **_arrays(cells, elements, targets))
    write_json(task.work / SETTINGS, _settings(fit, alone))
    for old in (MODEL, REPORT):
        (task.work / old).unlink(missing_ok=True)
    command = [str(environment.interpreter), program.__file__]
    finished = run_child(command, task.work, task.threads)
    if finished.returncode or not (task.work / REPORT).is_file():
        reason = next((line for line in reversed(finished.lines) if line.strip()), "no output")
        raise failure("the fit of pypolymlp", finished, reason.strip())
    report = read_json(task.work / REPORT)
    counts = TargetCounts.of(cells)
    if report["equations"] != counts.energies + counts.forces + counts.virials:
        raise PhonsmithError(
            f"the fit of pypolymlp used {report['equations']} equations, but the cells have "
            f"{counts.energies} energies, {counts.forces} forces and {counts.virials} virial "
            "components; the fit is not used"
        )
    shutil.move(task.work / MODEL, task.folder / MODEL)
    (task.work / TRAINING).unlink()
    tried = report["tried"]
    chosen = max(tried, key=lambda one: one["evidence"])["exponent"]
    return TrainingRecord(
        model=MODEL,
        wall_time_s=finished.wall_time_s,
        peak_memory_mb=finished.peak_memory_mb,
        counts=counts,
        settings=fit.model_dump(mode="json"),
        command=[],
        baseline=task.baseline.e0s,
        baseline_origin=task.baseline.origin,
        versions=environment.version_of("pypolymlp"),
        details={"features": report["features"], "regularisation_exponent": chosen},
        cautions=_cautions(chosen, fit.regularisation_exponents),
    )


def _cautions(chosen: float, tried: Sequence[float]) -> list[str]:
    if len(tried) < 2 or min(tried) < chosen < max(tried):
        return []
    return [
        f"The chosen strength of regularisation, 10^{chosen:g}, is at the end of those tried; "
        "extend `regularisation_exponents`."
    ]


def _settings(fit: PolymlpFit, alone: Mapping[str, float]) -> dict[str, Any]:
    keys = ("cutoff_angstrom", "n_gaussians", "max_l", "model_type", "polynomial_order")
    return {
        "elements": list(alone),
        "atomic_energies": list(alone.values()),
        "exponents": fit.regularisation_exponents,
        **{key: getattr(fit, key) for key in keys},
    }


# --- targets ------------------------------------------------------------------------------------


def targets_of(atoms: Atoms, fit: PolymlpFit, alone: Mapping[str, float]) -> tuple[Floats, Floats]:
    """Return values and weights of a cell's equations, in the order that the program expects.

    A weight is the inverse of the expected error, zero where there is no label. As for a GAP, the
    errors of energy and virial grow with the square root of the number of atoms.

    Parameters
    ----------
    atoms
        Cell with labels.
    fit
        Settings of the fit.
    alone
        Energies of single atoms in eV.

    Returns
    -------
    Values and weights, each of shape (7 + 3 atoms,): energy (eV), virial (eV), forces (eV/Å).
    """
    values, weights = np.zeros((2, 7 + 3 * len(atoms)))
    root = float(np.sqrt(len(atoms)))
    if ENERGY in atoms.info:
        values[0] = float(atoms.info[ENERGY]) - sum(alone[symbol] for symbol in atoms.symbols)
        weights[0] = 1 / (fit.sigma.energy_ev_per_atom * root)
    if STRESS in atoms.info:
        virial = virial_of(atoms)
        values[1:7] = [virial[pair] for pair in VIRIAL_ORDER]
        sigma = float(atoms.info.get(VIRIAL_SIGMA, fit.sigma.virial_ev_per_atom))
        weights[1:7] = 1 / (sigma * root)
    if FORCES in atoms.arrays:
        values[7:] = atoms.arrays[FORCES].ravel()
        weights[7:] = 1 / force_sigma(atoms, fit)
    return values, weights


def force_sigma(atoms: Atoms, fit: PolymlpFit) -> float:
    """Return the expected error of the force components of a cell in eV/Å."""
    if FORCE_SIGMA in atoms.info:
        return float(atoms.info[FORCE_SIGMA])
    displaced = atoms.info.get("kind") == "displaced"
    sigma = fit.sigma
    return sigma.displaced_force_ev_per_angstrom if displaced else sigma.force_ev_per_angstrom


def _arrays(
    cells: Sequence[Atoms], elements: Sequence[str], targets: Sequence[tuple[Floats, Floats]]
) -> dict[str, Any]:
    return {
        "atoms": np.array([len(cell) for cell in cells]),
        "cells": np.array([cell.cell.array for cell in cells]),
        "positions": np.concatenate([cell.positions for cell in cells]),
        "types": np.array([elements.index(symbol) for cell in cells for symbol in cell.symbols]),
        "values": np.concatenate([values for values, _ in targets]),
        "weights": np.concatenate([weights for _, weights in targets]),
    }
