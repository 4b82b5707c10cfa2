"""GAPs learn what they are given, with the regularisation that was asked for, and say so."""

import re
import time

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.lj import LennardJones

from phonsmith.datasets.sets import constraint_frames, isolated_energies
from phonsmith.datasets.settings import ConstraintCells
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS
from phonsmith.fits import training as fits
from phonsmith.fits.gap import gap_fit as gap
from phonsmith.fits.gap.settings import ForceProportional, GapFit, Sigma, TwoBody
from phonsmith.fits.gap.sparse import plan_sparse_points
from phonsmith.fits.gap.targets import frame_sigma
from phonsmith.fits.record import DRAWN_AGAIN
from phonsmith.potentials.calculators import Evaluation, evaluate
from phonsmith.running.subprocesses import run_child
from tests.fits.examples import (
    SIGMA,
    SMALL_SOAP,
    SW,
    gap_fit,
    gap_of,
    labelled,
    rms,
    stresses,
    train,
    without,
)


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
    fit = gap_fit(
        force_proportional=ForceProportional(factor=1e-4, minimum_force_ev_per_angstrom=0.01)
    )
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
    for name, rule in (
        ("plain", None),
        ("proportional", ForceProportional(factor=1e-3, minimum_force_ev_per_angstrom=0.01)),
    ):
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
            force_proportional=ForceProportional(factor=1e-3, minimum_force_ev_per_angstrom=0.01),
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
    sigmas["special"] = Sigma(force_ev_per_angstrom=1.5)
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
    assert line.startswith(f"Only {record.details['sparse_points']} of the 1000 requested SOAP")


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
    with pytest.raises(PhonsmithError, match=r"gap_fit read 0 virials, but .* contains 96"):
        train(gap_fit(fitter="gap_fit"), silicon, tmp_path)
    assert not (tmp_path / "fit" / "gap.xml").exists()


def test_a_failure_of_gap_fit_shows_its_reason(silicon, tmp_path):
    fit = gap_fit(fitter="gap_fit", extra_arguments={"e0_method": "nonsense", "no_such_keyword": 1})
    with pytest.raises(
        PhonsmithError, match=r"gap_fit failed \(exit status 1\): .*no_such_keyword"
    ):
        train(fit, silicon, tmp_path)


def test_a_gap_of_drawn_cells_has_no_sparse_point_twice(silicon, held_out, tmp_path):
    fit = gap_fit(resampled=True, seed=3)
    cells = fits.learnable(silicon, fit, True)
    plan = plan_sparse_points(fit, cells)
    assert [group is None for group in plan.groups] == [DRAWN_AGAIN in one.info for one in cells]
    folder, record = train(fit, silicon, tmp_path)
    assert record.counts.energies == len(silicon)
    for atoms, result in zip(held_out, evaluate(held_out, gap_of(folder)), strict=True):
        assert rms(result.forces - atoms.arrays[FORCES]) < 0.1 * rms(atoms.arrays[FORCES])


def test_two_body_alone_is_a_potential(silicon, held_out, tmp_path):
    fit = GapFit(kind="gap", soap=None, two_body=TwoBody(cutoff_angstrom=4.0), sigma=SIGMA)
    folder, _ = train(fit, silicon, tmp_path)
    assert sparse_points(folder) == [15]
    assert np.isfinite(evaluate(held_out[:1], gap_of(folder))[0].energy)
