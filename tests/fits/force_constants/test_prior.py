"""Force constants from few labelled cells and those of another potential."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from pydantic import ValidationError

from phonsmith.datasets.sets import Baseline
from phonsmith.files.extxyz import FORCES
from phonsmith.fits.force_constants.settings import ForceConstantsFit
from phonsmith.fits.training import train
from phonsmith.phonons.files import load_phonons, save_phonons
from phonsmith.phonons.force_constants import potential_phonons
from phonsmith.potentials.calculators import evaluate
from phonsmith.potentials.settings import PotentialSource
from phonsmith.supercells.making import make_supercells
from phonsmith.supercells.settings import Displaced, Supercells
from tests.phonons.published import frequencies_at

SW = PotentialSource(calculator="stillinger-weber")
Q = np.random.default_rng(1).uniform(size=(30, 3))


def other(**arguments: float) -> dict:
    """Stillinger–Weber silicon with other parameters: the prior."""
    return {"calculator": "stillinger-weber", "arguments": arguments}


def distorted(seed: int) -> Atoms:
    """Silicon of low symmetry: a strained cell in the equilibrium of its atoms."""
    from ase.optimize import BFGS

    from phonsmith.potentials.calculators import make_calculator

    atoms = bulk("Si", "diamond", a=5.431)
    strain = np.array([[0.02, 0.01, -0.01], [0.0, -0.01, 0.012], [0.0, 0.0, 0.006]])
    atoms.set_cell(atoms.cell[:] @ (np.eye(3) + strain), scale_atoms=True)
    atoms.rattle(0.001, seed=seed)
    atoms.calc = make_calculator(SW)
    BFGS(atoms, logfile=None).run(fmax=1e-6)
    atoms.calc = None
    return atoms


def rmse(atoms: Atoms, root: Path, count: int, **settings: object) -> float:
    """RMSE in THz of the phonons from some rattled cells."""
    root.mkdir(exist_ok=True)
    rattled = {"count": count, "std_angstrom": 0.005}
    rattled |= {"volume_factors": [1.0], "max_angle_strain_degree": 0}
    size = settings.pop("supercells", {"min_length_angstrom": 7.5})
    wanted = {"rattled": rattled, **size}
    made = make_supercells("a", atoms, Supercells(**wanted), 3, 0)
    for cell, found in zip(made.cells, evaluate(made.cells, SW), strict=True):
        cell.set_array(FORCES, found.forces)
    save_phonons(root / "a.yaml", made.phonon, made.parts)
    folder = root / "model"
    folder.mkdir()
    fit = ForceConstantsFit(kind="force-constants", learn_from=["rattled"], **settings)
    baseline = Baseline({"Si": 0.0}, "forces_only")
    train(fit, made.cells, baseline, folder, root / "work", 1, crystals={"a": root / "a.yaml"})
    if not (folder / "a.yaml").exists():
        return np.inf
    matrix = made.phonon.supercell_matrix.T
    truth = potential_phonons(
        atoms,
        matrix,
        Displaced(distance_angstrom=1e-3),
        SW,
        primitive_matrix=made.phonon.primitive_matrix,
    )
    found = frequencies_at(load_phonons(folder / "a.yaml"), Q)
    return float(np.sqrt(np.mean((found - frequencies_at(truth, Q)) ** 2)))


def test_a_prior_that_is_only_too_soft_is_scaled(tmp_path: Path) -> None:
    """One cell gives the factor, and all else is that of the prior."""
    soft = other(epsilon=2.1683 * 0.8)
    assert rmse(distorted(1), tmp_path / "a", 1, prior=soft) < 0.02


def test_a_prior_needs_fewer_cells(tmp_path: Path) -> None:
    """The prior has a wrong shape, by the weight of its bond angles; cells correct it."""
    atoms, wrong = distorted(2), other(lambda1=15.0)
    errors = {count: rmse(atoms, tmp_path / str(count), count, prior=wrong) for count in (1, 2, 6)}
    assert errors[1] > 1.5 * errors[2] > 3 * errors[6]
    alone = rmse(atoms, tmp_path / "alone", 1)
    assert errors[1] < 0.5 * alone


def test_a_prior_of_non_diagonal_supercells(tmp_path: Path) -> None:
    grid = {"grid": (3, 3, 3), "way": "non-diagonal"}
    settings = {"supercells": grid, "prior": other(epsilon=1.7)}
    atoms = bulk("Si", "diamond", a=5.431)
    assert rmse(atoms, tmp_path / "a", 12, **settings) < 0.05


def test_a_prior_has_no_third_order() -> None:
    with pytest.raises(ValidationError, match="prior: applies to second-order"):
        ForceConstantsFit(kind="force-constants", prior=other(), third_order=True)
