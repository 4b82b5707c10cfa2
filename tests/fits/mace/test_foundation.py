"""Fine-tuning beats training anew, keeps what it is to keep, and loads no unchecked file."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from ase.stress import voigt_6_to_full_3x3_stress

from phonsmith.datasets.sets import Baseline, isolated_energies
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS, write_frames
from phonsmith.files.sources import sha256_of
from phonsmith.fits import training as fits
from phonsmith.fits.mace import foundation
from phonsmith.fits.mace import training as mace
from phonsmith.fits.mace.child import one_head
from phonsmith.fits.mace.settings import ARCHITECTURE, Foundation, MaceFit, MaceWeights, Replay
from phonsmith.potentials.calculators import evaluate
from phonsmith.potentials.settings import PotentialSource

OLD = PotentialSource(calculator="stillinger-weber")

NEW = PotentialSource(calculator="stillinger-weber", arguments={"lambda1": 30.0})
"""Stiffer angles than the 21 of silicon: another level of theory."""

GERMANIUM = PotentialSource(
    calculator="stillinger-weber", arguments={"epsilon": 1.93, "sigma": 2.181, "lambda1": 31.0}
)
"""Ding and Andersen, Phys. Rev. B 34, 6987 (1986)."""

SHIFT = 3.0
"""eV per atom between the energies of the two, as functionals differ."""

COMMON = {
    "kind": "mace",
    "valid_fraction": 0.15,
    "weights": MaceWeights(energy=1, forces=100, stress=100),
    "device": "cpu",
}
SMALL = {"num_channels": 4, "num_interactions": 2, "correlation": 2, "cutoff_angstrom": 4.0}
TUNED = {**COMMON, "max_epochs": 6, "batch_size": 1, "learning_rate": 5e-3}


def cells_of(potential, number, seed, shift=0.0, a=5.43):
    random = np.random.default_rng(seed)
    cells = []
    for _ in range(number):
        atoms = bulk("Si", "diamond", a=a, cubic=True)
        strain = random.normal(scale=0.02, size=(3, 3))
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
        atoms.positions += random.normal(scale=0.06, size=(8, 3))
        cells.append(atoms)
    for index, (atoms, one) in enumerate(zip(cells, evaluate(cells, potential), strict=True)):
        atoms.info.update(structure="dia", kind="rattled", generation=0, index=index)
        atoms.info.update({ENERGY: one.energy + shift * len(atoms), STRESS: one.stress})
        atoms.set_array(FORCES, one.forces)
    return cells


@pytest.fixture(scope="session")
def few():
    return cells_of(NEW, 8, 5, SHIFT)


@pytest.fixture(scope="session")
def unseen():
    return cells_of(NEW, 8, 6, SHIFT)


@pytest.fixture(scope="session")
def old_cells():
    germanium = cells_of(GERMANIUM, 6, 3, shift=-1.0, a=5.65)
    for index, atoms in enumerate(germanium):
        atoms.symbols[:] = "Ge"
        atoms.info["index"] = 14 + index
    return [*cells_of(OLD, 14, 4), *germanium]


@pytest.fixture(scope="session")
def pretrained(old_cells, tmp_path_factory):
    fit = MaceFit(**COMMON, **SMALL, max_epochs=16, batch_size=2)
    return train(fit, old_cells, tmp_path_factory.mktemp("old"))[0]


def train(fit, frames, root):
    folder = root / "fit"
    folder.mkdir()
    record = fits.train(fit, frames, isolated_energies(frames), folder, root / "work", 1)
    return folder / "mace.model", record


def tune(model, frames, root, **changes):
    settings = {key: changes.pop(key) for key in changes.keys() & Foundation.model_fields.keys()}
    start = {"model": str(model), "trust": True, **settings}
    fit = MaceFit(**{**TUNED, **changes, "foundation": start})
    return train(fit, frames, root)


def source(model, **arguments):
    return PotentialSource(calculator="mace", model=str(model), arguments=arguments, trust=True)


def force_error(model, frames):
    differences = [
        one.forces - atoms.arrays[FORCES]
        for atoms, one in zip(frames, evaluate(frames, source(model)), strict=True)
    ]
    return float(np.sqrt(np.mean(np.square(differences))))


def energy_errors(model, frames):
    """Errors of the energies, eV per atom."""
    results = evaluate(frames, source(model))
    return np.array(
        [
            (one.energy - atoms.info[ENERGY]) / len(atoms)
            for atoms, one in zip(frames, results, strict=True)
        ]
    )


def weights_of(path):
    import torch

    return {
        name: value.clone()
        for name, value in torch.load(path, weights_only=False).state_dict().items()
    }


@pytest.fixture(scope="session")
def naive(pretrained, few, tmp_path_factory):
    root = tmp_path_factory.mktemp("naive")
    return tune(pretrained, few, root, sha256=sha256_of(pretrained), keep_elements=True)


def test_it_beats_the_foundation_and_the_training_anew_on_the_same_cells(
    pretrained, naive, few, unseen, tmp_path
):
    scratch = MaceFit(**{**TUNED, **SMALL, "learning_rate": 0.01})
    scratched, _ = train(scratch, few, tmp_path)
    model, record = naive
    tuned = force_error(model, unseen)
    assert tuned < 0.7 * force_error(pretrained, unseen)
    assert tuned < 0.7 * force_error(scratched, unseen)
    assert record.details["foundation_sha256"] == sha256_of(pretrained)
    assert record.details["epochs"] == 6
    assert not set(ARCHITECTURE) & record.settings.keys()


def test_the_shift_between_functionals_goes_into_the_energy_zero(naive, pretrained, few, unseen):
    model, record = naive
    errors = energy_errors(pretrained, few)
    old = foundation.knowledge(pretrained, Foundation(model=str(pretrained))).e0s
    shifted = {"Ge": old["Ge"], "Si": pytest.approx(old["Si"] - errors.mean(), abs=1e-4)}
    assert record.baseline == shifted
    assert record.baseline_origin == "estimated"
    # as many elements as the foundation has: mace itself would put its energies of atoms back
    kept = foundation.knowledge(model, Foundation(model=str(model))).e0s
    assert kept == pytest.approx(record.baseline, abs=1e-9)
    assert np.abs(energy_errors(model, unseen)).max() < 0.5
    assert np.abs(errors).min() > 2


def test_frozen_layers_keep_every_bit(pretrained, few, tmp_path):
    settings = {"frozen_layers": 6, "keep_elements": True}
    model, _ = tune(pretrained, few, tmp_path, **settings, max_epochs=2, stage_two_start_epoch=1)
    before, after = weights_of(pretrained), weights_of(model)
    frozen = ("node_embedding.", "interactions.", "products.")
    same = {name for name in before if np.array_equal(before[name], after[name])}
    assert {name for name in before if name.startswith(frozen)} <= same
    moved = {name.split(".")[0] for name in before.keys() - same}
    assert moved == {"readouts", "atomic_energies_fn"}


def test_replay_keeps_what_the_foundation_knew(pretrained, naive, few, old_cells, tmp_path):
    write_frames(tmp_path / "replay.extxyz", old_cells)
    replay = {"file": str(tmp_path / "replay.extxyz"), "cells": 12}
    model, record = tune(pretrained, few, tmp_path, method="multihead", replay=replay)
    assert record.details["replay_cells"] == 12
    known = foundation.knowledge(model, Foundation(model=str(model)))
    assert known.head == "Default"  # the only one left
    assert known.e0s == pytest.approx(record.baseline, abs=1e-9)
    germanium = cells_of(GERMANIUM, 6, 8, a=5.65)
    for atoms in germanium:
        atoms.symbols[:] = "Ge"
    assert force_error(model, germanium) < 0.95 * force_error(naive[0], germanium)
    assert force_error(model, few) < 0.8 * force_error(pretrained, few)


@pytest.mark.slow
def test_lora_learns_small_matrices_and_leaves_a_plain_model(pretrained, few, unseen, tmp_path):
    model, _ = tune(pretrained, few, tmp_path, lora={"rank": 2, "alpha": 2.0}, max_epochs=2)
    before, after = weights_of(pretrained), weights_of(model)
    assert before.keys() == after.keys()
    change = after["interactions.1.linear_up.weight"] - before["interactions.1.linear_up.weight"]
    singular = np.linalg.svd(change.reshape(4, 4).numpy(), compute_uv=False)
    assert singular[0] > 1e-8 and (singular[2:] < 1e-9 * singular[0]).all()  # rank two
    assert force_error(model, unseen) < force_error(pretrained, unseen)


def test_one_head_of_two_is_what_it_was(tmp_path):
    import torch
    from e3nn import o3
    from mace import modules

    torch.manual_seed(1)
    block = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
    model = modules.ScaleShiftMACE(
        r_max=4.0,
        num_bessel=4,
        num_polynomial_cutoff=5,
        max_ell=2,
        interaction_cls=block,
        interaction_cls_first=block,
        num_interactions=2,
        num_elements=1,
        hidden_irreps=o3.Irreps("4x0e"),
        MLP_irreps=o3.Irreps("8x0e"),
        atomic_energies=np.array([[-1.0], [-4.0]]),
        avg_num_neighbors=8.0,
        atomic_numbers=[14],
        correlation=2,
        gate=torch.nn.functional.silu,
        atomic_inter_scale=[1.0, 2.0],
        atomic_inter_shift=[0.0, 0.3],
        heads=["pt_head", "Default"],
    ).double()
    torch.save(model, tmp_path / "both.model")
    torch.save(model, tmp_path / "one.model")
    one_head(tmp_path / "one.model")
    cells = cells_of(OLD, 2, 9)
    both = evaluate(cells, source(tmp_path / "both.model", head="Default"))
    other = evaluate(cells, source(tmp_path / "both.model", head="pt_head"))
    one = evaluate(cells, source(tmp_path / "one.model"))
    for a, b, c in zip(both, one, other, strict=True):
        assert b.energy == pytest.approx(a.energy, abs=1e-9)
        assert np.allclose(a.forces, b.forces, atol=1e-9)
        assert not np.allclose(a.forces, c.forces, atol=1e-4)


def zero(model, cells, baseline, **settings):
    chosen = Foundation(model=str(model), **settings)
    known = foundation.knowledge(model, chosen)
    return foundation.energy_zero(chosen, known, model, cells, baseline, "cpu", 1), known.e0s


def test_kinds_of_energy_zero(pretrained, few):
    baseline = isolated_energies(few)
    mean = np.mean([atoms.info[ENERGY] / len(atoms) for atoms in few])
    average, known = zero(pretrained, few, baseline, e0s="average")
    assert average.e0s == {"Ge": known["Ge"], "Si": pytest.approx(mean)}
    kept, _ = zero(pretrained, few, baseline, e0s="foundation")
    assert kept.e0s == known
    isolated = Baseline({"Si": -0.5}, "isolated_atoms")
    assert zero(pretrained, few, isolated, e0s="isolated_atoms")[0].e0s["Si"] == -0.5
    with pytest.raises(PhonsmithError, match=r"foundation\.e0s: isolated_atoms requires"):
        zero(pretrained, few, baseline, e0s="isolated_atoms")
    forces_only, _ = zero(pretrained, few, Baseline({"Si": 0.0}, "forces_only"))
    assert (forces_only.e0s, forces_only.has_energies) == (known, False)


def test_a_file_with_another_checksum_is_never_loaded(few, tmp_path, monkeypatch):
    trap = tmp_path / "trap.model"
    trap.write_bytes(f'cos\nsystem\n(S"touch {tmp_path}/sprung"\ntR.'.encode())
    with pytest.raises(PhonsmithError, match=r"not loaded.*checksum differs"):
        tune(trap, few, tmp_path, sha256="0" * 64)
    assert not (tmp_path / "sprung").exists()
    # the trap is a real one: with its own checksum it is loaded, and its code runs
    (tmp_path / "again").mkdir()
    with pytest.raises(PhonsmithError, match="cannot be loaded as a MACE model"):
        tune(trap, few, tmp_path / "again", sha256=sha256_of(trap))
    assert (tmp_path / "sprung").exists()


def test_elements_that_the_foundation_does_not_know(pretrained, few, tmp_path):
    foreign = few[0].copy()
    foreign.symbols[:2] = "C"
    with pytest.raises(PhonsmithError, match=r"does not support C;"):
        tune(pretrained, [*few, foreign], tmp_path)


def test_replay_data_may_have_the_keys_of_mace_s_own_sets(tmp_path):
    from mace.data import KeySpecification
    from mace.data.utils import load_from_xyz

    kept = cells_of(OLD, 4, 9)
    plain = []
    for atoms in kept:
        one = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=True)
        labels = {"energy": atoms.info[ENERGY], "forces": atoms.arrays[FORCES]}
        one.calc = SinglePointCalculator(one, **labels, stress=atoms.info[STRESS])
        plain.append(one)
    alone = Atoms("Si", info={"config_type": "IsolatedAtom"})
    alone.calc = SinglePointCalculator(alone, energy=-1.0, forces=np.zeros((1, 3)))
    write(tmp_path / "replay.extxyz", [alone, *plain])
    replay = Replay(file=str(tmp_path / "replay.extxyz"))
    found = foundation.replay_cells(replay, foundation.Knowledge({"Si": 0.0}, "Default"), 0)
    keys = KeySpecification({"energy": "energy", "stress": "stress"}, {"forces": "forces"})
    keys.info_keys["head"] = "head"
    _, [_, *configurations] = load_from_xyz(replay.file, keys)
    assert len(found) == len(configurations) == 4
    for atoms, label, one in zip(found, kept, configurations, strict=True):
        assert atoms.info[ENERGY] == pytest.approx(one.properties["energy"])
        assert np.allclose(atoms.arrays[FORCES], one.properties["forces"])
        stress = voigt_6_to_full_3x3_stress(one.properties["stress"])
        assert np.allclose(atoms.info[STRESS], stress)
        assert np.allclose(atoms.info[STRESS], label.info[STRESS])


def test_mace_repeats_no_new_cells_beside_many_of_replay(few):
    from mace.tools import build_default_arg_parser

    replay = {"file": "r.extxyz"}
    settings = Foundation(model="medium", method="multihead", replay=replay)
    fit = MaceFit(kind="mace", foundation=settings)
    tuning = mace._FineTuning(settings, "0" * 64, "Default")
    arguments = mace.train_arguments(fit, few[:1], few[1:2], isolated_energies(few), "cpu", tuning)
    parsed = build_default_arg_parser().parse_args(arguments)
    assert parsed.multiheads_finetuning
    assert parsed.pt_train_file == mace.REPLAY_FILES[0]
    assert parsed.real_pt_data_ratio_threshold == 0


def test_another_foundation_is_another_training(tmp_path):
    for name in (mace.TRAIN_FILE, mace.VALID_FILE, mace.FOUNDATION_FILE):
        (tmp_path / name).write_text("a")
    (tmp_path / "checkpoints").mkdir()
    assert not mace._ready_to_restart(tmp_path, ["--lr=1"])
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "fit_run-0_epoch-3.pt").touch()
    assert mace._ready_to_restart(tmp_path, ["--lr=1"])
    (tmp_path / mace.FOUNDATION_FILE).write_text("b")
    assert not mace._ready_to_restart(tmp_path, ["--lr=1"])


def test_a_lone_atom_has_the_estimated_energy(naive):
    model, record = naive
    lone = Atoms("Si", cell=[20] * 3, pbc=True)
    assert evaluate([lone], source(model))[0].energy == pytest.approx(
        record.baseline["Si"], abs=0.5
    )
