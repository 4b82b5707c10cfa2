"""Fits learn what they are given, with the regularisation that was asked for, and say so."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.io import read

from phonsmith.datasets.sets import Baseline, constraint_frames, isolated_energies
from phonsmith.datasets.settings import ConstraintCells
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS, read_frames, write_frames
from phonsmith.fits import errors
from phonsmith.fits import training as fits
from phonsmith.fits.gap import gap_fit as gap
from phonsmith.fits.gap.settings import ForceProportional, GapFit, Sigma, Soap, TwoBody
from phonsmith.fits.gap.sparse import plan_sparse_points
from phonsmith.fits.gap.targets import frame_sigma
from phonsmith.fits.mace import training as mace
from phonsmith.fits.mace.settings import MaceFit, MaceWeights
from phonsmith.fits.record import DRAWN_AGAIN
from phonsmith.fits.validation import validation_split
from phonsmith.potentials.calculators import Evaluation, evaluate
from phonsmith.potentials.settings import PotentialSource
from phonsmith.running.subprocesses import run_child

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


@pytest.fixture(scope="session")
def silicon():
    return strained_silicon(16, 1)


@pytest.fixture(scope="session")
def held_out():
    return strained_silicon(6, 2)


@pytest.fixture(scope="session")
def displaced():
    """A displaced 64-atom cell without energy, and the pristine crystal."""
    cell = bulk("Si", a=5.431, cubic=True).repeat(2)
    cell.positions[0] += (0.01, 0, 0)
    cell = labelled(cell, evaluate([cell], SW)[0], "dia", "displaced", 0)
    del cell.info[ENERGY], cell.info[STRESS]
    return cell


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


# --- GAP -----------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def silicon_gap(silicon, tmp_path_factory):
    return train(gap_fit(), silicon, tmp_path_factory.mktemp("gap"))


def test_gap_reproduces_the_potential_that_made_its_labels(silicon_gap, held_out):
    folder, _ = silicon_gap
    for atoms, result in zip(held_out, evaluate(held_out, gap_of(folder)), strict=True):
        assert result.energy == pytest.approx(atoms.info[ENERGY], abs=8 * 3e-3)
        assert rms(result.forces - atoms.arrays[FORCES]) < 0.05 * rms(atoms.arrays[FORCES])
        assert rms(result.stress - atoms.info[STRESS]) < 2e-3  # 0.3 GPa, of several GPa


def test_gap_of_stresses_alone_has_their_sign_and_unit(silicon, held_out, tmp_path):
    folder, record = train(gap_fit(), without(silicon, ENERGY, FORCES), tmp_path, False)
    assert record.counts.model_dump() == {"energies": 0, "forces": 0, "virials": 16 * 6}
    result = stresses(evaluate(held_out, gap_of(folder)))
    assert rms(result - stresses(held_out)) < 0.15 * rms(stresses(held_out))


def test_gap_of_energies_and_forces_agrees_on_the_stress(silicon, held_out, tmp_path):
    folder, record = train(gap_fit(), without(silicon, STRESS), tmp_path)
    assert record.counts.virials == 0
    result = stresses(evaluate(held_out, gap_of(folder)))
    assert rms(result - stresses(held_out)) < 0.15 * rms(stresses(held_out))


def test_virial_in_the_training_file_is_what_gap_fit_makes_of_a_stress(silicon, held_out, tmp_path):
    fit = gap_fit(fitter="gap_fit")
    frames = without(silicon, ENERGY, FORCES)
    folder, _ = train(fit, frames, tmp_path, False)
    text = (tmp_path / "work" / "train.xyz").read_text()
    for atoms in frames:
        stress = " ".join(f"{x:.16g}" for x in atoms.info[STRESS].ravel())
        text = re.sub(r'REF_virial="[^"]*"', f'REF_stress="{stress}"', text, count=1)
    other = by_hand(tmp_path / "stress", text, fit, frames, "stress_parameter_name=REF_stress")
    mine, its = (stresses(evaluate(held_out, gap_of(f))) for f in (folder, other))
    assert mine == pytest.approx(its, abs=1e-7)


def test_sigma_of_a_frame_means_what_the_default_of_gap_fit_means(silicon, held_out, tmp_path):
    fit = gap_fit(fitter="gap_fit")
    folder, _ = train(fit, silicon, tmp_path)
    text = re.sub(
        r" (energy|force|virial)_sigma=\S+", "", (tmp_path / "work" / "train.xyz").read_text()
    )
    e0 = isolated_energies(silicon).e0s["Si"]
    other = by_hand(tmp_path / "default", text, fit, silicon, f"e0={{Si:{e0!r}}}")
    for mine, its in zip(*(evaluate(held_out, gap_of(f)) for f in (folder, other)), strict=True):
        assert mine.energy == pytest.approx(its.energy, abs=1e-6)
        assert mine.forces == pytest.approx(its.forces, abs=1e-6)


def by_hand(folder, text, fit, frames, *arguments):
    folder.mkdir()
    (folder / "train.xyz").write_text(text)
    usual = gap.fit_arguments(fit, {"Si": 0.0}, plan_sparse_points(fit, frames))
    names = {argument.split("=")[0] for argument in arguments}
    usual = [argument for argument in usual if argument.split("=")[0] not in names]
    finished = run_child([str(gap.gap_fit_program()), *usual, *arguments], folder, 1)
    assert finished.returncode == 0
    return folder


def test_same_seed_same_files(silicon, tmp_path):
    fit = gap_fit(soap={**SMALL_SOAP, "sparse_method": "random", "n_sparse": 20})
    contents = []
    for name in ("once", "again"):
        (tmp_path / name).mkdir()
        folder, _ = train(fit, silicon, tmp_path / name)
        contents.append({file.name: file.read_bytes() for file in folder.iterdir()})
        time.sleep(1.1)  # gap_fit has the second in its names
    assert contents[0] == contents[1]
    other = gap_fit(seed=1, soap=fit.soap)
    (tmp_path / "other").mkdir()
    folder, _ = train(other, silicon, tmp_path / "other")
    assert {file.read_bytes() for file in folder.iterdir()} != set(contents[0].values())


def test_record_tells_time_memory_counts_and_settings(silicon_gap, silicon):
    folder, record = silicon_gap
    assert record.model == "gap.xml"
    assert 10 < record.peak_memory_mb < 2000
    assert record.wall_time_s > 0
    assert record.counts.model_dump() == {"energies": 16, "forces": 16 * 24, "virials": 16 * 6}
    assert record.settings["soap"]["n_sparse"] == 60
    assert record.baseline == isolated_energies(silicon).e0s
    assert sorted(file.name.split(".")[0] for file in folder.iterdir()) == ["gap"] * 3


def test_force_proportional_sigma_is_equation_8_on_displaced_cells_only(displaced, silicon):
    fit = gap_fit(force_proportional=ForceProportional(factor=1e-4))
    lines = gap.frame_text(displaced, fit, "x").splitlines()
    sigmas = np.array([float(line.split()[-1]) for line in lines[2:]])
    assert "force_atom_sigma:R:1" in lines[1]
    for force, sigma in zip(displaced.arrays[FORCES], sigmas, strict=True):
        size = np.linalg.norm(force)
        assert sigma == pytest.approx(1e-4 * size if size > 0.01 else 1e-6, rel=1e-12)
    assert len(np.unique(sigmas)) > 2
    assert "force_atom_sigma" not in gap.frame_text(silicon[0], fit, "x")


def test_gap_fit_takes_the_atomwise_sigmas(displaced, tmp_path):
    residuals = {}
    for name, rule in (("plain", None), ("proportional", ForceProportional(factor=1e-3))):
        (tmp_path / name).mkdir()
        fit = gap_fit(
            fitter="gap_fit",
            force_proportional=rule,
            sigma=Sigma(force_ev_per_angstrom=0.1),
            soap={**SMALL_SOAP, "sparse_from": "rattled"},
        )
        folder, record = train(fit, [displaced], tmp_path / name, False)
        assert record.counts.model_dump() == {"energies": 0, "forces": 192, "virials": 0}
        assert record.details["unlabelled_cells_for_sparse_points"] > 0
        result = evaluate([displaced], gap_of(folder))[0]
        residuals[name] = rms(result.forces - displaced.arrays[FORCES])
    assert residuals["proportional"] < residuals["plain"] / 3


def test_sparse_points_from_rattled_copies_carry_force_constants_further(displaced, tmp_path):
    """The mirrored displacement of another atom, which symmetry relates to the learnt one."""
    other = bulk("Si", a=5.431, cubic=True).repeat(2)
    other.positions[9] += (0, -0.01, 0)
    truth = evaluate([other], SW)[0].forces
    constraint = constraint_frames({"dia": bulk("Si", a=5.431)}, ConstraintCells())
    left = {}
    for source in ("training", "rattled"):
        (tmp_path / source).mkdir()
        fit = gap_fit(
            force_proportional=ForceProportional(factor=1e-3),
            soap={**SMALL_SOAP, "sparse_from": source, "sparse_method": "random"},
        )
        folder, _ = train(fit, [displaced, *constraint], tmp_path / source, False)
        result = evaluate([other], gap_of(folder))[0].forces
        left[source] = rms(result - truth) / rms(truth)
    assert left["training"] < 0.2
    assert left["rattled"] < left["training"] / 10


def test_constraint_cells_pull_the_stress_to_zero(displaced, tmp_path):
    crystal = bulk("Si", a=5.431)
    frames = [displaced, *constraint_frames({"dia": crystal}, ConstraintCells())]
    left = []
    for used in (frames[:1], frames):
        (tmp_path / str(len(used))).mkdir()
        fit = gap_fit(soap={**SMALL_SOAP, "sparse_from": "rattled"})
        folder, record = train(fit, used, tmp_path / str(len(used)), False)
        left.append(np.abs(evaluate([crystal], gap_of(folder))[0].stress).max())
    assert record.counts.virials == 6
    assert left[1] < 1e-4
    assert left[1] < left[0] / 10


def test_constraint_sigmas_are_those_of_the_cells():
    atoms = constraint_frames({"dia": bulk("Si")}, ConstraintCells(virial_sigma_ev_per_atom=0.003))[
        0
    ]
    comment = gap.frame_text(atoms, gap_fit(sigma_by_group={"dia": SIGMA}), None).splitlines()[1]
    assert float(re.search(r" force_sigma=(\S+)", comment)[1]) == 1e-4
    assert float(re.search(r"virial_sigma=(\S+)", comment)[1]) == pytest.approx(0.003 * 2**0.5)
    named = gap_fit(sigma_by_group={"constraint": SIGMA})
    assert frame_sigma(atoms, named) == SIGMA


def test_the_most_special_sigma_wins(silicon):
    atoms = silicon[0].copy()
    sigmas = {name: Sigma(force_ev_per_angstrom=i + 1) for i, name in enumerate(("rattled", "dia"))}
    assert frame_sigma(atoms, gap_fit()) == SIGMA
    assert (
        frame_sigma(atoms, gap_fit(sigma_by_group={"rattled": sigmas["rattled"]}))
        == (sigmas["rattled"])
    )
    assert frame_sigma(atoms, gap_fit(sigma_by_group=sigmas)) == sigmas["dia"]
    atoms.info["config_type"] = "special"
    sigmas["special"] = Sigma(force_ev_per_angstrom=7)
    assert frame_sigma(atoms, gap_fit(sigma_by_group=sigmas)) == sigmas["special"]


def test_sparse_points_by_group_arrive_in_the_potential(silicon, tmp_path):
    frames = [atoms.copy() for atoms in silicon]
    for i, atoms in enumerate(frames):
        if i % 2:
            atoms.info.update(kind="recorded", structure="database", config_type="melt: {1} x")
    groups = {"melt: {1} x": 11, "dia": 7}
    fit = gap_fit(soap={**SMALL_SOAP, "n_sparse_by_group": groups})
    folder, _ = train(fit, frames, tmp_path)
    assert sparse_points(folder) == [15, 18]


def sparse_points(folder):
    text = (folder / "gap.xml").read_text()
    return [int(number) for number in re.findall(r'n_sparseX="(\d+)"', text)]


def test_sparse_points_that_are_not_there_are_a_warning(silicon, tmp_path):
    """A rattled cell has as many different environments as atoms."""
    few = silicon[:1]
    _, record = train(gap_fit(soap={**SMALL_SOAP, "n_sparse": 1000}), few, tmp_path)
    atoms = len(few[0])
    assert record.details["sparse_points"] <= atoms
    (line,) = record.cautions
    assert line.startswith(f"Only {record.details['sparse_points']} of the 1000 SOAP sparse points")


def test_equal_shares_add_up(silicon):
    frames = [atoms.copy() for atoms in silicon]
    for i, atoms in enumerate(frames):
        atoms.info["structure"] = f"s{i % 3}"
    soap = {**SMALL_SOAP, "n_sparse": 20, "share_sparse": "structure"}
    plan = plan_sparse_points(gap_fit(soap=soap), frames)
    assert plan.points == {"s0": 7, "s1": 7, "s2": 6}


def test_a_sparse_group_without_cells_is_refused(silicon):
    fit = gap_fit(soap={**SMALL_SOAP, "n_sparse_by_group": {"ratled": 5}})
    with pytest.raises(PhonsmithError, match=r"'ratled'.*found none"):
        plan_sparse_points(fit, silicon)


def test_gap_of_two_elements(tmp_path):
    random = np.random.default_rng(0)
    frames = []
    for i in range(10):
        atoms = bulk("NaCl", "rocksalt", a=5.0, cubic=True)
        atoms.positions += random.normal(scale=0.1, size=(8, 3))
        bare = atoms.copy()
        bare.calc = LennardJones(sigma=2.0, epsilon=0.3, rc=4.5, smooth=True)
        result = Evaluation(
            bare.get_potential_energy() - 4 * 2.5, bare.get_forces(), bare.get_stress(voigt=False)
        )
        frames.append(labelled(atoms, result, "nacl", "rattled", i))
    fit = gap_fit(soap={**SMALL_SOAP, "n_sparse": 41})
    folder, record = train(fit, frames[:8], tmp_path)
    assert sparse_points(folder) == [15, 15, 15, 20, 20]
    assert sorted(record.baseline) == ["Cl", "Na"]
    for atoms, result in zip(frames[8:], evaluate(frames[8:], gap_of(folder)), strict=True):
        assert result.energy == pytest.approx(atoms.info[ENERGY], abs=0.02)


def test_a_virial_that_gap_fit_cannot_read_is_noticed(silicon, tmp_path, monkeypatch):
    """ASE writes a 3×3 array as JSON, which gap_fit passes over without a word."""
    whole = gap.frame_text

    def as_ase_writes(*arguments, **options):
        text = whole(*arguments, **options)
        matrix = "[[0, 0, 0], [0, 0, 0], [0, 0, 0]]"
        return re.sub(r'REF_virial="[^"]*"', f'REF_virial="_JSON {matrix}"', text)

    monkeypatch.setattr(gap, "frame_text", as_ase_writes)
    with pytest.raises(PhonsmithError, match=r"gap_fit read 0 virials where .* holds 96"):
        train(gap_fit(fitter="gap_fit"), silicon, tmp_path)
    assert not (tmp_path / "fit" / "gap.xml").exists()


def test_a_failure_of_gap_fit_shows_its_reason(silicon, tmp_path):
    fit = gap_fit(fitter="gap_fit", extra_arguments={"e0_method": "nonsense", "no_such_keyword": 1})
    with pytest.raises(
        PhonsmithError, match=r"gap_fit failed \(exit status 1\): .*no_such_keyword"
    ):
        train(fit, silicon, tmp_path)


def test_learn_from_chooses_kinds(silicon, displaced):
    frames = [*silicon[:2], displaced]
    fit = gap_fit(learn_from=["displaced"])
    assert [a.info["kind"] for a in fits.learnable(frames, fit, False)] == ["displaced"]
    assert not any(ENERGY in a.info for a in fits.learnable(silicon, gap_fit(), False))
    assert all(ENERGY in a.info for a in silicon)
    with pytest.raises(PhonsmithError, match="no labelled cell of kind displaced"):
        fits.learnable(silicon, fit, True)


def names_of(cells):
    return [(one.info["structure"], one.info["kind"], one.info["index"]) for one in cells]


def test_cells_drawn_with_replacement_keep_their_groups(silicon, displaced):
    lone = Atoms("Si", cell=[15] * 3, pbc=True)
    lone.info.update({"structure": "Si", "kind": "isolated_atom", "index": 0, ENERGY: 0.0})
    frames = [*silicon, displaced, lone]
    draws = [fits.learnable(frames, gap_fit(resampled=True, seed=seed), True) for seed in range(4)]
    for cells in draws:
        kinds = [one.info["kind"] for one in cells]
        assert kinds.count("rattled") == len(silicon)
        assert kinds.count("displaced") == kinds.count("isolated_atom") == 1
        assert set(names_of(cells)) < set(names_of(frames))  # some are missing
        again = [one for one in cells if DRAWN_AGAIN in one.info]
        assert len(cells) - len(again) == len(set(names_of(cells)))
    assert len({tuple(names_of(cells)) for cells in draws}) == 4
    assert names_of(draws[1]) == names_of(
        fits.learnable(frames, gap_fit(resampled=True, seed=1), True)
    )
    few = fits.learnable(frames, gap_fit(resampled=True, training_cells=5), True)
    subset = fits.learnable(frames, gap_fit(training_cells=5), True)
    assert set(names_of(few)) <= set(names_of(subset))


def test_a_cell_drawn_twice_does_not_train_and_steer(silicon):
    cells = fits.learnable(silicon, TINY.model_copy(update={"resampled": True}), True)
    for seed in range(5):
        learning, steering, overlap = validation_split(cells, 0.2, seed)
        assert not overlap and not set(names_of(learning)) & set(names_of(steering))
        assert len(learning) + len(steering) == len(cells)


def test_a_gap_of_drawn_cells_has_no_sparse_point_twice(silicon, held_out, tmp_path):
    fit = gap_fit(resampled=True, seed=3)
    cells = fits.learnable(silicon, fit, True)
    plan = plan_sparse_points(fit, cells)
    assert [group is None for group in plan.groups] == [DRAWN_AGAIN in one.info for one in cells]
    folder, record = train(fit, silicon, tmp_path)
    assert record.counts.energies == len(silicon)
    for atoms, result in zip(held_out, evaluate(held_out, gap_of(folder)), strict=True):
        assert rms(result.forces - atoms.arrays[FORCES]) < 0.1 * rms(atoms.arrays[FORCES])


def test_fewer_training_cells_are_among_more(silicon):
    atom = Atoms("Si", cell=[20] * 3, pbc=True, info={"kind": "isolated_atom", "index": 0})

    def learnt(number, seed=0):
        fit = gap_fit(training_cells=number, seed=seed)
        frames = fits.learnable([*silicon, atom], fit, True)
        assert sum(one.info["kind"] == "isolated_atom" for one in frames) == 1
        return {one.info["index"] for one in frames if one.info["kind"] != "isolated_atom"}

    assert len(learnt(4)) == 4
    assert learnt(4) < learnt(7)
    assert learnt(4, seed=1) != learnt(4)
    with pytest.raises(PhonsmithError, match="training_cells: 500 are wanted"):
        learnt(500)


# --- MACE ----------------------------------------------------------------------------------------

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


@pytest.fixture(scope="session")
def silicon_mace(silicon, tmp_path_factory):
    root = tmp_path_factory.mktemp("mace")
    fit = TINY.model_copy(update={"stage_two_start_epoch": 4})
    folder, record = train(fit, silicon, root)
    return folder, record, root / "work"


def test_mace_learns_forces_and_the_sign_and_unit_of_stress(silicon_mace, held_out):
    folder, _, _ = silicon_mace
    results = evaluate(held_out, mace_of(folder))
    forces = np.array([r.forces for r in results]).ravel()
    truth = np.array([a.arrays[FORCES] for a in held_out]).ravel()
    assert np.corrcoef(forces, truth)[0, 1] > 0.9
    mine, its = stresses(results).ravel(), stresses(held_out).ravel()
    assert np.corrcoef(mine, its)[0, 1] > 0.9
    assert np.polyfit(its, mine, 1)[0] == pytest.approx(1, abs=0.5)


def test_mace_record_and_leftovers(silicon_mace):
    folder, record, work = silicon_mace
    assert record.counts.model_dump() == {"energies": 14, "forces": 14 * 24, "virials": 14 * 6}
    assert record.details["epochs"] == 6
    assert record.details["validation_cells"] == 2
    assert not record.details["restarted"]
    assert record.peak_memory_mb > 100
    assert [file.name for file in folder.iterdir()] == ["mace.model"]
    # a finished training must not be gone on with
    assert sorted(file.name for file in work.iterdir()) == ["train.xyz", "valid.xyz"]


def test_force_only_mace_with_constraints_and_patience(displaced, tmp_path, capfd):
    frames = [displaced, *constraint_frames({"dia": bulk("Si", a=5.431)}, ConstraintCells())]
    fit = TINY.model_copy(update={"max_epochs": 30, "patience": 1, "learning_rate": 1.0})
    folder, record = train(fit, frames, tmp_path, has_energies=False)
    said = capfd.readouterr().out
    assert record.counts.model_dump() == {"energies": 0, "forces": 198, "virials": 6}
    assert "--energy_weight=0.0" in record.command
    assert "--E0s={14: 0.0}" in record.command
    assert re.search(r"Total Training set \[energy: 0, stress: 1,.* forces: 2,", said)
    # a learning rate far too large: mace itself would go on for all 30 epochs
    assert record.details["epochs"] < 30
    assert record.details["validation_cells_also_train"]
    result = evaluate([displaced], mace_of(folder))[0]
    assert np.isfinite(result.forces).all()
    lone = Atoms("Si", cell=[20] * 3, pbc=True)
    assert evaluate([lone], mace_of(folder))[0].energy == pytest.approx(0, abs=1e-9)


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, {repository!r})
from phonsmith.fits import training as fits
from phonsmith.fits.mace.settings import MaceFit
from phonsmith.datasets.sets import isolated_energies
from phonsmith.files.extxyz import read_frames
frames = read_frames("frames.extxyz")
fit = MaceFit.model_validate_json(Path("fit.json").read_text())
fits.train(fit, frames, isolated_energies(frames), Path("fit"), Path("work"), 1)
"""


def test_killed_training_goes_on_from_its_checkpoint(silicon, tmp_path, repository, capfd):
    fit = TINY.model_copy(update={"max_epochs": 25})
    write_frames(tmp_path / "frames.extxyz", silicon[:6])
    (tmp_path / "fit.json").write_text(fit.model_dump_json())
    (tmp_path / "fit").mkdir()
    parent = subprocess.Popen(
        [sys.executable, "-c", KILLED.format(repository=str(repository))],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    checkpoints = tmp_path / "work" / "checkpoints"
    wait_for(lambda: max(epochs_of(checkpoints), default=0) >= 2)
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    assert children
    wait_for(lambda: not any(is_running(child) for child in children))
    reached = max(epochs_of(checkpoints))
    assert reached < 24
    # a checkpoint that was being written is passed over
    (checkpoints / ".part-1fit_run-0_epoch-24.pt").write_bytes(b"PK\x03\x04 half")
    capfd.readouterr()
    _, record = train(fit, read_frames(tmp_path / "frames.extxyz"), tmp_path)
    said = capfd.readouterr().out
    assert record.details["restarted"]
    before = said.split("===TRAINING===")[0]
    assert f"Loading checkpoint: ./checkpoints/fit_run-0_epoch-{reached}.pt" in before
    assert f"Epoch {reached - 1}: head" not in said
    assert "Epoch 24: head" in said


def test_killed_while_writing_a_checkpoint_keeps_the_last(tmp_path, monkeypatch):
    import torch
    from mace.tools import CheckpointIO

    from phonsmith.fits.mace.child import save_before_deleting

    monkeypatch.setattr(CheckpointIO, "save", save_before_deleting)
    checkpoints = CheckpointIO(directory=str(tmp_path), tag="fit_run-0")
    checkpoints.save({"epoch": 3}, 3)
    checkpoints.save({"epoch": 4}, 4)
    assert epochs_of(tmp_path) == [4]
    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            checkpoints.save({"epoch": 5}, 5)
    assert epochs_of(tmp_path) == [4]
    assert checkpoints.load_latest() == ({"epoch": 4}, 4)


def epochs_of(folder):
    return [int(re.search(r"epoch-(\d+)", file.name)[1]) for file in folder.glob("fit_*.pt")]


def is_running(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def wait_for(condition, seconds=600):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_other_settings_do_not_go_on_from_old_checkpoints(tmp_path):
    for name in ("train.xyz", "valid.xyz"):
        (tmp_path / name).write_text("cells")
    assert not mace._ready_to_restart(tmp_path, ["--lr=1"])
    checkpoint = tmp_path / "checkpoints" / "fit_run-0_epoch-3.pt"
    checkpoint.parent.mkdir()
    # the smallest zip archive
    checkpoint.write_bytes(b"PK\x05\x06" + bytes(18))
    assert mace._ready_to_restart(tmp_path, ["--lr=1"])
    assert not mace._ready_to_restart(tmp_path, ["--lr=2"])
    assert not checkpoint.exists()


def test_mace_reads_the_frames_as_they_are_meant(silicon, displaced, tmp_path):
    frames = [silicon[0], displaced]
    write_frames(tmp_path / "frames.xyz", [mace.mace_frame(atoms) for atoms in frames])
    first, second = read(tmp_path / "frames.xyz", index=":")
    assert np.allclose(np.reshape(first.info[STRESS], (3, 3)), silicon[0].info[STRESS])
    assert first.info[ENERGY] == pytest.approx(silicon[0].info[ENERGY], rel=1e-12)
    assert ENERGY not in second.info
    assert second.info["config_energy_weight"] == 0
    assert second.info["config_stress_weight"] == 0


def test_validation_is_stratified_seeded_and_spares_displaced_cells(silicon, displaced):
    frames = [atoms.copy() for atoms in silicon] * 2 + [displaced]
    for i, atoms in enumerate(frames[:-1]):
        atoms.info.update(structure="ab"[i % 2], index=i)
    learning, validation, overlap = validation_split(frames, 0.25, 0)
    assert not overlap
    assert [a.info["structure"] for a in validation].count("a") == 4
    assert [a.info["structure"] for a in validation].count("b") == 4
    assert len(learning) + len(validation) == len(frames)
    assert any(a.info["kind"] == "displaced" for a in learning)
    assert not {id(a) for a in learning} & {id(a) for a in validation}
    again = validation_split(frames, 0.25, 0)[1]
    assert [id(a) for a in again] == [id(a) for a in validation]
    assert [id(a) for a in validation_split(frames, 0.25, 1)[1]] != [id(a) for a in validation]


def test_only_displaced_cells_all_train(displaced):
    learning, validation, overlap = validation_split([displaced], 0.1, 0)
    assert overlap
    assert learning == validation == [displaced]


def test_options_without_value_are_those_of_mace():
    from mace.tools import build_default_arg_parser

    options = {
        option.lstrip("-")
        for action in build_default_arg_parser()._actions
        if action.nargs == 0
        for option in action.option_strings
    }
    assert options - {"h", "help"} == mace.FLAGS


def test_no_option_of_mace_names_a_place_under_any_of_its_names():
    """mace takes `--model_di` for `--model_dir`: of all beginnings none may get through."""
    from mace.tools import build_default_arg_parser

    def accepted(name):
        try:
            return MaceFit(kind="mace", extra_arguments={name: 1})
        except ValueError:
            return None

    options = [one.lstrip("-") for one in build_default_arg_parser()._option_string_actions]
    places = {one for one in options if one.endswith(("_dir", "_file")) or one == "config"}
    assert len(places) >= 14
    refused = {one for one in options if not accepted(one)}
    others = {"name", "heads", "h", "foundation_model", "foundation_model_kwargs"}
    assert refused == places | others
    for place in refused:
        beginnings = {place[:length] for length in range(1, len(place))}
        assert not {one for one in beginnings - set(options) if accepted(one)}, place


def test_mace_failure_shows_its_reason(silicon, tmp_path):
    fit = TINY.model_copy(update={"extra_arguments": {"no_such_option": 3}})
    with pytest.raises(PhonsmithError, match=r"mace_run_train failed.*no_such_option"):
        train(fit, silicon[:3], tmp_path)


def test_stage_two_after_the_end_is_refused(silicon, tmp_path):
    fit = TINY.model_copy(update={"stage_two_start_epoch": 6})
    with pytest.raises(PhonsmithError, match="stage_two_start_epoch: 6 has to be smaller"):
        train(fit, silicon[:3], tmp_path)


# --- errors --------------------------------------------------------------------------------------


def test_errors_are_those_put_in(silicon, tmp_path):
    frames = silicon[:3]
    shifts = (1.0, -2.0, 2.0)
    results = [
        Evaluation(
            atoms.info[ENERGY] + 8 * shift,
            atoms.arrays[FORCES] + 0.1 * shift,
            atoms.info[STRESS] + 0.01 * shift,
        )
        for atoms, shift in zip(frames, shifts, strict=True)
    ]
    table = errors.errors_of(errors.predictions(frames, results, "test"))
    everything = table[(table["kind"] == "all") & (table["structure"] == "all")]
    rows = everything.set_index("quantity")
    for quantity, scale, count in (("energy", 1, 3), ("force", 0.1, 72), ("stress", 0.01, 18)):
        row = rows.loc[quantity]
        assert row["count"] == count
        assert row["rmse"] == pytest.approx(scale * 3**0.5)
        assert row["mae"] == pytest.approx(scale * 5 / 3)
        assert row["max"] == pytest.approx(scale * 2)
    assert rows["unit"].to_dict() == {"energy": "eV/atom", "force": "eV/Å", "stress": "eV/Å³"}
    assert set(table["set"]) == {"test"}


def test_a_potential_has_no_error_against_itself(silicon):
    table = errors.errors_of(errors.predict(SW, silicon[:2], "train"))
    assert (table["max"] < 1e-12).all()
    assert len(table) == 4 * 3  # kind and structure, each or all; three quantities


@pytest.mark.parametrize(
    ("symbols", "shift"),
    [
        (["Na2Cl2", "NaCl2", "Cl2"], {"Na": 158.87, "Cl": -3.5}),  # compositions part the elements
        (["NaCl", "Na2Cl2"], {"Na": 1.0, "Cl": 1.0}),  # they do not: the sum alone is known
        (["Si2"], {"Si": -7.0}),
    ],
)
def test_another_zero_of_energy_is_found_by_least_squares(symbols, shift):
    frames = [
        Atoms(one, info={ENERGY: -5.0 * len(Atoms(one)), "kind": "rattled"}) for one in symbols
    ]
    energies = [one.info[ENERGY] - sum(shift[e] for e in one.symbols) for one in frames]
    lone = Atoms("Si", info={ENERGY: 99.0, "kind": "isolated_atom"})  # in another state: no measure
    broken = Atoms("Si3", info={ENERGY: 0.0, "kind": "rattled"})
    found = errors.energy_shift([*frames, lone, broken], [*energies, 0.0, np.nan])
    assert found == pytest.approx(shift)


def test_energies_of_an_existing_potential_are_compared_after_the_shift(silicon):
    moved = [atoms.copy() for atoms in silicon[:3]]
    for atoms in moved:
        atoms.info[ENERGY] += 158.87 * len(atoms)
    table, shift = errors.predict_shifted(SW, moved, "test")
    assert shift == pytest.approx({"Si": 158.87})
    assert errors.errors_of(table)["max"].max() < 1e-9


def test_no_labels_with_energies_give_no_shift(displaced):
    assert errors.energy_shift([displaced], [1.0]) == {}


def test_constraint_cells_and_missing_labels_do_not_count(displaced):
    frames = [displaced, *constraint_frames({"dia": bulk("Si")}, ConstraintCells())]
    results = evaluate(frames, SW)
    table = errors.errors_of(errors.predictions(frames, results, "train"))
    assert "energy" not in set(table["quantity"])
    assert set(table[table["kind"] == "all"]["quantity"]) == {"force"}
    assert set(table[table["kind"] == "constraint"]["quantity"]) == {"force", "stress"}


def test_predictions_come_back_and_are_written_the_same(silicon, tmp_path):
    table = errors.predict(SW, silicon[:2], "test")
    for name in ("one.csv.gz", "two.csv.gz"):
        errors.save_predictions(tmp_path / name, table)
    assert (tmp_path / "one.csv.gz").read_bytes() == (tmp_path / "two.csv.gz").read_bytes()
    back = errors.load_predictions(tmp_path / "one.csv.gz")
    assert list(back.columns) == list(table.columns)
    assert np.allclose(back["prediction"], table["prediction"], atol=1e-6)
    assert (back["structure"] == "dia").all()


def test_two_body_alone_is_a_potential(silicon, held_out, tmp_path):
    fit = GapFit(kind="gap", soap=None, two_body=TwoBody(cutoff_angstrom=4.0), sigma=SIGMA)
    folder, _ = train(fit, silicon, tmp_path)
    assert sparse_points(folder) == [15]
    assert np.isfinite(evaluate(held_out[:1], gap_of(folder))[0].energy)


def test_soap_defaults_are_what_they_say():
    assert (
        "l_max=5 n_max=8 atom_sigma=0.5"
        in gap._descriptors(
            GapFit(kind="gap", soap=Soap()), plan_sparse_points(GapFit(kind="gap", soap=None), [])
        )[1]
    )


@pytest.mark.parametrize(
    ("given", "factor"),
    [
        ({}, 0.01),
        ({"sigma": {"energy_ev_per_atom": 0.01}}, 0.01),
        ({"sigma": {"force_ev_per_angstrom": 0.02}}, None),
        ({"sigma": Sigma(force_ev_per_angstrom=0.02)}, None),
        ({"sigma_by_group": {"displaced": {"force_ev_per_angstrom": 0.02}}}, None),
        ({"sigma": {"force_ev_per_angstrom": 0.02}, "force_proportional": {}}, 0.01),
        ({"force_proportional": None}, None),
    ],
)
def test_a_stated_sigma_is_not_overruled_by_a_default(given, factor):
    fit = GapFit(kind="gap", **given)
    assert (fit.force_proportional and fit.force_proportional.factor) == factor
    assert GapFit.model_validate(fit.model_dump(mode="json")) == fit
    assert GapFit.model_validate(fit.model_dump(exclude_unset=True)) == fit
