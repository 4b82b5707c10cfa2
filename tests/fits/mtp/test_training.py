"""Moment tensor potentials learn what they are given, and go on where they were stopped."""

import itertools

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from matscipy.neighbours import neighbour_list

from phonsmith.datasets.sets import Baseline
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS
from phonsmith.fits.mtp import training
from phonsmith.fits.mtp.optimisation import initial
from phonsmith.fits.mtp.settings import MtpFit, MtpWeights
from phonsmith.fits.task import TrainingTask
from phonsmith.potentials.calculators import evaluate, known_elements
from phonsmith.potentials.mtp import read
from phonsmith.potentials.settings import PotentialSource
from tests.fits.examples import rms, stresses, train, without

LOW = MtpFit(kind="mtp", level=8, max_iterations=6)


def mtp_of(folder):
    return PotentialSource(calculator="mtp", model=str(folder / "potential.mtp"))


@pytest.fixture(scope="module")
def trained(silicon, tmp_path_factory):
    fit = LOW.model_copy(update={"level": 12, "max_iterations": 15})
    return train(fit, silicon, tmp_path_factory.mktemp("mtp"))


def test_it_learns_stillinger_weber_silicon(trained, held_out):
    folder, record = trained
    results = evaluate(held_out, mtp_of(folder))
    forces = [atoms.arrays[FORCES] for atoms in held_out]
    assert rms([found.forces for found in results] - np.array(forces)) < 0.03 * rms(forces)
    assert rms(stresses(results) - stresses(held_out)) < 0.05 * rms(stresses(held_out))
    energies = [
        (found.energy - atoms.info[ENERGY]) / 8
        for found, atoms in zip(results, held_out, strict=True)
    ]
    assert rms(energies) < 1e-3
    assert record.counts.model_dump() == {"energies": 16, "forces": 16 * 24, "virials": 16 * 6}
    assert record.details["basis_functions"] == 29


def test_the_loss_falls_in_each_iteration_and_from_level_to_level(trained):
    losses = trained[1].details["loss_by_level_and_iteration"]
    assert list(losses) == ["8", "10", "12"]
    for level in losses.values():
        assert all(after < before for before, after in itertools.pairwise(level))
    last = [level[-1] for level in losses.values()]
    assert last == sorted(last, reverse=True)


def test_the_recorded_loss_is_that_of_the_potential(trained, silicon):
    folder, record = trained
    loss = 0.0
    for found, atoms in zip(evaluate(silicon, mtp_of(folder)), silicon, strict=True):
        loss += (found.energy - atoms.info[ENERGY]) ** 2 / 8
        loss += 0.1 * np.sum((found.forces - atoms.arrays[FORCES]) ** 2)
        errors = (found.stress - atoms.info[STRESS]) * atoms.get_volume()
        loss += 0.001 * np.sum(errors**2) / 8
    recorded = record.details["loss_by_level_and_iteration"]["12"][-1]
    assert 0 < recorded - loss / 16 < 0.05 * recorded  # the regularisation


def test_the_file_names_its_elements_and_is_one_of_mlip(trained):
    folder, _ = trained
    text = (folder / "potential.mtp").read_text()
    assert text.startswith("MTP\nversion = 1.1.0\npotential_name = MTP1m\nscaling = ")
    assert "potential_tag = Si\n" in text
    for key in ("min_dist", "max_dist", "radial_basis_size", "radial_funcs_count"):
        assert f"\t{key} = " in text
    data = read(folder / "potential.mtp")
    assert (data.radial_basis.min, data.radial_basis.max, data.radial_basis.size) == (1.5, 5.0, 8)
    assert known_elements(mtp_of(folder)) == {"Si"}


def test_the_potential_does_not_depend_on_the_number_of_processes(silicon, tmp_path):
    fit = LOW.model_copy(update={"max_iterations": 2})
    texts = []
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        folder.mkdir()
        baseline = Baseline({"Si": 0.0}, "isolated_atoms")
        training.train(fit, TrainingTask(silicon, baseline, folder, folder, processes))
        texts.append((folder / "potential.mtp").read_text())
    assert texts[0] == texts[1]


def test_an_interrupted_training_goes_on_to_the_same_potential(silicon, tmp_path, monkeypatch):
    fit = LOW.model_copy(update={"level": 10, "max_iterations": 6})
    places = {name: tmp_path / name for name in ("whole", "other", "work", "work2")}
    for place in places.values():
        place.mkdir()
    baseline = Baseline({"Si": 0.0}, "isolated_atoms")
    training.train(fit, TrainingTask(silicon, baseline, places["whole"], places["work"]))
    task = TrainingTask(silicon, baseline, places["other"], places["work2"])
    save = training._Memory.save
    for _ in range(3):
        calls = itertools.count()

        def interrupted(memory, state, calls=calls):
            save(memory, state)
            if next(calls) == 2:
                raise KeyboardInterrupt

        monkeypatch.setattr(training._Memory, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            training.train(fit, task)
        assert not list(places["other"].iterdir())
    record = training.train(fit, task)
    assert record.details["restarted"]
    whole, other = (places[name] / "potential.mtp" for name in ("whole", "other"))
    assert other.read_text() == whole.read_text()
    assert not list(places["work2"].iterdir())


def test_the_state_of_another_training_is_not_taken_up(silicon, tmp_path):
    memory = training._Memory(tmp_path / "state.npz", "one")
    state = initial(8, species=1, size=8, seed=0)
    memory.save(state)
    assert (memory.load().trial.radial == state.trial.radial).all()
    assert training._Memory(tmp_path / "state.npz", "another").load() is None
    (tmp_path / "state.npz").write_bytes(b"PK\x03\x04 damaged")
    assert memory.load() is None


def test_another_seed_begins_elsewhere(silicon, tmp_path):
    losses = []
    for seed in (0, 1):
        (tmp_path / str(seed)).mkdir()
        fit = LOW.model_copy(update={"seed": seed, "max_iterations": 1})
        _, record = train(fit, silicon, tmp_path / str(seed))
        losses.append(record.details["loss_by_level_and_iteration"]["8"][0])
    assert losses[0] != losses[1]


def test_a_poor_start_does_not_decide(silicon, tmp_path):
    # without other starts, seed 15 ends at 0.007
    fit = MtpFit(kind="mtp", level=8, seed=15, max_iterations=15)
    _, record = train(fit, silicon, tmp_path)
    assert record.details["loss_by_level_and_iteration"]["8"][-1] < 2e-4


def test_too_few_iterations_are_a_caution(silicon, tmp_path):
    _, record = train(LOW.model_copy(update={"max_iterations": 1}), silicon, tmp_path)
    assert not record.details["converged"]
    assert "max_iterations" in record.cautions[0]


def test_forces_alone_suffice(silicon, held_out, tmp_path):
    folder, record = train(LOW, without(silicon, ENERGY, STRESS), tmp_path, has_energies=False)
    assert record.counts.model_dump() == {"energies": 0, "forces": 16 * 24, "virials": 0}
    results = evaluate(held_out, mtp_of(folder))
    forces = np.array([atoms.arrays[FORCES] for atoms in held_out])
    assert rms([found.forces for found in results] - forces) < 0.1 * rms(forces)


def test_cells_without_forces_are_refused(silicon, tmp_path):
    with pytest.raises(PhonsmithError, match="needs cells with forces"):
        train(LOW, without(silicon, FORCES), tmp_path)


def test_quantities_without_weight_are_not_counted(silicon, tmp_path):
    fit = LOW.model_copy(update={"weights": MtpWeights(energy=0, stress=0), "max_iterations": 1})
    _, record = train(fit, silicon, tmp_path)
    assert record.counts.model_dump() == {"energies": 0, "forces": 16 * 24, "virials": 0}


def test_isolated_atoms_have_the_energies_of_the_baseline(silicon, tmp_path):
    atom = Atoms("Si", cell=[20] * 3, pbc=True)
    atom.info.update(structure="Si", kind="isolated_atom", generation=0, index=0)
    atom.info[ENERGY] = -0.75
    atom.set_array(FORCES, np.zeros((1, 3)))
    frames = [*(cell.copy() for cell in silicon), atom]
    for cell in frames[:-1]:
        cell.info[ENERGY] -= 0.75 * len(cell)
    folder, record = train(LOW, frames, tmp_path)
    assert record.baseline == {"Si": -0.75}
    assert evaluate([atom], mtp_of(folder))[0].energy == pytest.approx(-0.75)


def test_two_elements_are_told_apart(tmp_path):
    """Labels of a pair potential that changes if the elements are exchanged."""
    cells = [ionic(seed) for seed in range(14)]
    fit = LOW.model_copy(update={"level": 6, "max_iterations": 20})
    folder, record = train(fit, cells[:10], tmp_path, has_energies=False)
    assert record.details["species"] == ["Na", "Cl"]
    assert record.details["radial_coefficients"] == 4 * 2 * 8
    source = mtp_of(folder)
    assert known_elements(source) == {"Na", "Cl"}
    forces = np.array([atoms.arrays[FORCES] for atoms in cells[10:]])
    assert rms([found.forces for found in evaluate(cells[10:], source)] - forces) < 0.05 * rms(
        forces
    )


def ionic(seed):
    """A rattled cell of rock salt, with forces of like and unlike pairs, which attract."""
    atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    atoms.rattle(0.15, seed=seed)
    atoms.info.update(structure="salt", kind="rattled", generation=0, index=seed)
    forces = np.zeros((8, 3))
    for i, j, vector in zip(*neighbour_list("ijD", atoms, 5.0), strict=True):
        length = np.linalg.norm(vector)
        first, second = atoms.numbers[[i, j]]
        size = -2 * np.exp(-length / 2) if first != second else first / 11 * np.exp(-length)
        forces[i] -= size * (1 - length / 5) ** 2 * vector / length
    atoms.set_array(FORCES, forces)
    return atoms


def test_labels_are_unchanged_by_the_training(silicon, tmp_path):
    before = [atoms.copy() for atoms in silicon]
    train(LOW.model_copy(update={"max_iterations": 1}), silicon, tmp_path)
    assert all(old == new for old, new in zip(before, silicon, strict=True))
