"""Small fits, and cells of silicon to learn from."""

import numpy as np
from ase.build import bulk

from phonsmith.datasets.sets import Baseline, isolated_energies
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS
from phonsmith.fits import training as fits
from phonsmith.fits.gap.settings import GapFit, Sigma
from phonsmith.fits.mace.settings import MaceFit, MaceWeights
from phonsmith.potentials.calculators import Evaluation, evaluate
from phonsmith.potentials.settings import PotentialSource

SW = PotentialSource(calculator="stillinger-weber")
SIGMA = Sigma(energy_ev_per_atom=1e-4, force_ev_per_angstrom=0.01, virial_ev_per_atom=1e-3)
SMALL_SOAP = {"l_max": 3, "n_max": 5, "cutoff_angstrom": 4.5, "n_sparse": 60}
NO_ENERGY = Baseline({"Si": 0.0}, "forces_only")


def labelled(atoms, evaluation, structure, kind, index):
    atoms.info.update(structure=structure, kind=kind, generation=0, index=index, method="SW")
    atoms.info[ENERGY] = evaluation.energy
    atoms.info[STRESS] = evaluation.stress
    atoms.set_array(FORCES, evaluation.forces)
    return atoms


def strained_silicon(number, seed):
    random = np.random.default_rng(seed)
    cells = []
    for _ in range(number):
        atoms = bulk("Si", a=5.43, cubic=True)
        strain = random.normal(scale=0.02, size=(3, 3))
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
        atoms.positions += random.normal(scale=0.06, size=(8, 3))
        cells.append(atoms)
    results = evaluate(cells, SW)
    return [
        labelled(*pair, "dia", "rattled", i)
        for i, pair in enumerate(zip(cells, results, strict=True))
    ]


def without(frames, *keys):
    copies = [atoms.copy() for atoms in frames]
    for atoms in copies:
        for key in keys:
            (atoms.arrays if key == FORCES else atoms.info).pop(key)
    return copies


def gap_of(folder):
    return PotentialSource(calculator="gap", model=str(folder / "gap.xml"))


def mace_of(folder):
    return PotentialSource(calculator="mace", model=str(folder / "mace.model"), trust=True)


def train(fit, frames, root, has_energies=True):
    folder = root / "fit"
    folder.mkdir(exist_ok=True)
    baseline = isolated_energies(frames) if has_energies else NO_ENERGY
    record = fits.train(fit, frames, baseline, folder, root / "work", 1)
    return folder, record


def gap_fit(**changes):
    return GapFit(**{"kind": "gap", "soap": SMALL_SOAP, "sigma": SIGMA, **changes})


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


def stresses(results):
    return np.array(
        [one.stress if isinstance(one, Evaluation) else one.info[STRESS] for one in results]
    )


def names_of(cells):
    return [(one.info["structure"], one.info["kind"], one.info["index"]) for one in cells]


TINY = MaceFit(
    kind="mace",
    num_channels=4,
    num_interactions=1,
    correlation=2,
    cutoff_angstrom=4.5,
    max_epochs=6,
    valid_fraction=0.15,
    weights=MaceWeights(energy=1, forces=100, stress=100),
    device="cpu",
)
