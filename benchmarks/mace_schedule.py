"""Learning rate of MACE for displaced and rattled cells: phonon and force errors.

    python benchmarks/mace_schedule.py FOLDER [EPOCHS]

Silicon, Stillinger-Weber labels, 16-atom cells: the displaced cell, twelve rattled ones (0.03 Å,
volumes ±3 %), five test cells (0.05 Å). A small MACE (16 channels, L = 0, float64), so that a
training takes minutes on one core. Prints a row for each recipe.
"""

import sys
from pathlib import Path

from phonsmith.running.job_context import limit_threads

limit_threads(1)

import numpy as np  # noqa: E402
from ase import Atoms  # noqa: E402
from ase.build import bulk  # noqa: E402

from phonsmith.benchmarks.comparison import compare_spectra  # noqa: E402
from phonsmith.datasets.sets import make_dataset  # noqa: E402
from phonsmith.datasets.settings import Datasets  # noqa: E402
from phonsmith.files.extxyz import FORCES  # noqa: E402
from phonsmith.fits import training as fits  # noqa: E402
from phonsmith.labels.calculator.method import CalculatorMethod  # noqa: E402
from phonsmith.labels.calculator.settings import CalculatorReference  # noqa: E402
from phonsmith.phonons.band_paths import band_path  # noqa: E402
from phonsmith.phonons.force_constants import phonons_in_cell, reference_phonons  # noqa: E402
from phonsmith.phonons.settings import Phonons  # noqa: E402
from phonsmith.phonons.spectra import spectrum  # noqa: E402
from phonsmith.potentials.calculators import evaluate  # noqa: E402
from phonsmith.potentials.settings import PotentialSource  # noqa: E402
from phonsmith.structures.settings import Relaxation  # noqa: E402
from phonsmith.supercells.cells import to_ase  # noqa: E402
from phonsmith.supercells.making import make_supercells  # noqa: E402
from phonsmith.supercells.settings import Displaced, Rattled, Supercells  # noqa: E402

METHOD = CalculatorMethod(
    CalculatorReference(
        method="calculator", potential=PotentialSource(calculator="stillinger-weber")
    )
)
SUPERCELLS = Supercells(min_length_angstrom=7, min_atoms=16, max_atoms=16)
TRAIN = Rattled(count=12, std_angstrom=0.03, volume_factors=[1.0, 0.97, 1.03])
TEST = Rattled(count=5, std_angstrom=0.05, volume_factors=[1.0, 0.97, 1.03])
PHONONS = Phonons(points_per_segment=11, mesh_length_angstrom=15)
SMALL = {
    **{"kind": "mace", "num_channels": 16, "max_l": 0, "cutoff_angstrom": 5.0},
    **{"dtype": "float64", "valid_fraction": 0.1},
}
RECIPES = {
    "default": {},
    "learning rate 0.003": {"learning_rate": 0.003},
    "learning rate 0.001": {"learning_rate": 0.001},
    "batches of one cell": {"batch_size": 1},
    "forces weigh ten times more": {"weights": {"forces": 1000}},
}


def labelled(rattled: Rattled, seed: int) -> tuple[list[Atoms], object]:
    """Labelled cells, and the phonons that they belong to."""
    crystal = bulk("Si", a=5.431)
    made = make_supercells(
        "si", crystal, SUPERCELLS.model_copy(update={"rattled": rattled}), seed, 0
    )
    return [METHOD.label(cell) for cell in made.cells], made.phonon


def main(folder: Path, epochs: int) -> None:
    """Train and judge all recipes."""
    cells, phonon = labelled(TRAIN, 0)
    test = [cell for cell in labelled(TEST, 1)[0] if cell.info["kind"] == "rattled"]
    displaced = [cell for cell in cells if cell.info["kind"] == "displaced"]
    reference = reference_phonons(phonon, displaced)
    path = band_path(to_ase(reference.primitive), PHONONS)
    truth = spectrum(reference, path)
    alone = METHOD.isolated_atom("Si")
    dataset = make_dataset(
        Datasets(min_group_to_split=1000), 0, labels=cells, isolated_atoms=[alone]
    )
    for name, changes in RECIPES.items():
        fit = fits.recipe({**SMALL, "max_epochs": epochs, **changes})
        place = folder / name.replace(" ", "-")
        (place / "work").mkdir(parents=True, exist_ok=True)
        record = fits.train(fit, dataset.train, dataset.baseline, place, place / "work", 1)
        source = PotentialSource(calculator="mace", model=str(place / record.model), trust=True)
        found = evaluate(test, source)
        errors = [one.forces - cell.arrays[FORCES] for one, cell in zip(found, test, strict=True)]
        forces = float(np.sqrt(np.mean(np.concatenate(errors) ** 2)))
        fitted, verdict = phonons_in_cell("reference", reference, source, Displaced(), Relaxation())
        rmse = compare_spectra(truth, spectrum(fitted, path), 0.1).rmse_thz
        print(
            f"{name}: phonon RMSE {rmse:.3f} THz, test forces {forces:.4f} eV/Å, "
            f"{record.wall_time_s:.0f} s {verdict.reason}",
            flush=True,
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 200)
