"""Thermal conductivity of GAP recipes that learn the displaced cells of recorded third-order data.

    python benchmarks/kappa_recipes.py ../shared/data/si-pbesol-fc3/phono3py_disp.yaml \\
        '{}' '{purpose: conductivity}' '{purpose: conductivity, seed: 1}'

Each recipe is in YAML, without `kind`. A fit learns all recorded cells, and zero force and stress
of the crystal; κ follows from its forces on these cells, in the reference crystal, by relaxation
times at 300 K on 11 x 11 x 11. A row for each recipe: κ, relative error of the third-order force
constants, κ_SRME, RMSE of force components, CPU seconds of the fit.
"""

import argparse
import copy
import hashlib
import resource
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from phonsmith.running.job_context import limit_threads

limit_threads(1)

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import yaml  # noqa: E402

from phonsmith.conductivity.kappa import Modes, kappa_srme, thermal_conductivity  # noqa: E402
from phonsmith.conductivity.settings import Conductivity  # noqa: E402
from phonsmith.conductivity.third_order import (  # noqa: E402
    cells_of,
    new_phono3py,
    produce,
    with_forces,
)
from phonsmith.datasets.sets import Baseline, constraint_frames  # noqa: E402
from phonsmith.datasets.settings import ConstraintCells  # noqa: E402
from phonsmith.files.cache import Cache  # noqa: E402
from phonsmith.files.extxyz import FORCES  # noqa: E402
from phonsmith.fits import training as fits  # noqa: E402
from phonsmith.labels.recorded.readers.each import Recorded  # noqa: E402
from phonsmith.labels.recorded.reading import read_recorded  # noqa: E402
from phonsmith.phonons.files import with_forces as with_second_order  # noqa: E402
from phonsmith.potentials.calculators import evaluate  # noqa: E402
from phonsmith.potentials.settings import PotentialSource  # noqa: E402
from phonsmith.supercells.cells import to_ase  # noqa: E402

SETTINGS = Conductivity(mesh=[11, 11, 11], temperatures_kelvin=[300], solvers=["rta"])


def conductivity(recorded: Recorded, forces: Sequence[np.ndarray]) -> tuple[float, Any, Modes]:
    """κ (W/mK), third-order force constants and modes from forces on the recorded cells."""
    assert recorded.phonon is not None and recorded.third is not None
    phonon = copy.deepcopy(recorded.phonon)
    with_second_order(phonon, forces[: len(phonon.supercells_with_displacements)])
    third = new_phono3py(phonon, recorded.third.supercell_matrix)
    third.dataset = copy.deepcopy(recorded.third.dataset)
    cells = cells_of(third)
    for cell, found in zip(cells, forces, strict=True):
        cell.arrays[FORCES] = found
    produce(with_forces(third, cells), phonon, SETTINGS.third_order)
    result, modes = thermal_conductivity(
        third, SETTINGS, "crystal", "fit", imaginary_tolerance_thz=0.1
    )
    assert modes is not None, result.reason
    return float(np.mean(result.series[0].kappa[0][:3])), third.fc3, modes


def cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def forces_of(recipe: str, recorded: Recorded, out: Path) -> tuple[list[np.ndarray], float]:
    """Forces of a fit on the recorded cells, and the CPU seconds of the fit."""
    assert recorded.phonon is not None
    crystals = {"crystal": to_ase(recorded.phonon.unitcell)}
    frames = recorded.frames + constraint_frames(crystals, ConstraintCells())
    folder = out / hashlib.sha256(recipe.encode()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    fit = fits.recipe({"kind": "gap", **yaml.safe_load(recipe)})
    baseline = Baseline(dict.fromkeys(set(frames[0].symbols), 0.0), "forces_only")
    begin = cpu_seconds()
    record = fits.train(fit, frames, baseline, folder, folder / "work", 1, Cache(out / "cache", 4))
    seconds = cpu_seconds() - begin
    source = PotentialSource(calculator="gap", model=str(folder / record.model))
    return [found.forces for found in evaluate(recorded.frames, source)], seconds


def main() -> None:
    """Measure the recipes of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="phono3py YAML with forces")
    parser.add_argument("recipes", nargs="+")
    parser.add_argument("--out", type=Path, default=Path("results/benchmark-kappa-recipes"))
    asked = parser.parse_args()
    recorded = read_recorded(asked.data, "phono3py", "crystal")
    labels = [frame.arrays[FORCES] for frame in recorded.frames]
    kappa, constants, modes = conductivity(recorded, labels)
    rows = [{"recipe": "reference", "kappa_w_per_m_k": kappa}]
    for recipe in asked.recipes:
        forces, seconds = forces_of(recipe, recorded, asked.out)
        found, third, its_modes = conductivity(recorded, forces)
        rows.append(
            {
                "recipe": recipe,
                "kappa_w_per_m_k": found,
                "kappa_error_percent": 100 * (found / kappa - 1),
                "third_order_error": np.linalg.norm(third - constants) / np.linalg.norm(constants),
                "kappa_srme": kappa_srme(its_modes.kappa, modes.kappa),
                "force_rmse_ev_per_angstrom": np.sqrt(
                    np.mean((np.array(forces) - np.array(labels)) ** 2)
                ),
                "cpu_s": seconds,
            }
        )
        print(pd.DataFrame(rows[-1:]).to_string(index=False), flush=True)
    pd.DataFrame(rows).to_csv(asked.out / "kappa.csv", index=False)


if __name__ == "__main__":
    main()
