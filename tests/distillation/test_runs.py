"""Runs of a teacher: cells to start from, snapshots with labels, continuation, failures."""

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.neighborlist import neighbor_list
from pydantic import TypeAdapter, ValidationError

from phonsmith.distillation.runs import Run, perform, perform_from, snapshot_steps
from phonsmith.distillation.settings import Compression, Protocol, Start
from phonsmith.distillation.starts import first_cell, settled
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS, write_frames
from phonsmith.potentials.calculators import evaluate_one, make_calculator
from phonsmith.potentials.settings import PotentialSource
from phonsmith.structures.relaxation import relax
from phonsmith.structures.settings import Relaxation

SW = PotentialSource(calculator="stillinger-weber")
SILICON = bulk("Si", a=5.431)
RELAXATION = Relaxation()


def protocol(**settings):
    return TypeAdapter(Protocol).validate_python(
        {"start": {"structure": "si", "atoms": 8}, "snapshots": 4, **settings}
    )


COMPRESSION = {
    "kind": "compression",
    "equilibration_ps": 0.01,
    "ramp_ps": 0.04,
    "pressure_gpa": [0, 20],
}


def made(work, settings=COMPRESSION, calculator=None, start=None, **more):
    rules = protocol(**(settings | more))
    run = Run("press", rules, number=2, seed=7, method="stillinger-weber")
    start = start or first_cell(rules.start, SILICON, np.random.default_rng(3))
    return perform(run, start, calculator or make_calculator(SW), RELAXATION, work)


def test_crystals_become_cubes_without_some_atoms() -> None:
    start = Start(structure="si", atoms=62, vacancies=2)
    cell = first_cell(start, SILICON, np.random.default_rng(0))
    assert len(cell) == 62
    assert np.allclose(cell.cell.lengths(), 2 * 5.431)
    assert np.allclose(cell.cell.angles(), 90)
    whole = first_cell(Start(structure="si", atoms=512), SILICON, np.random.default_rng(0))
    assert len(whole) == 512


def test_hard_spheres_keep_their_distance_and_density() -> None:
    start = Start(composition="Ga2O3", atoms=100, volume_per_atom_angstrom3=15)
    cell = first_cell(start, None, np.random.default_rng(1))
    assert cell.get_chemical_formula() == "Ga40O60"
    assert cell.get_volume() / len(cell) == pytest.approx(15)
    assert neighbor_list("d", cell, 2.5).min() >= 2.0
    other = first_cell(start, None, np.random.default_rng(2))
    assert not np.allclose(cell.positions, other.positions)


def test_too_many_hard_spheres_are_refused() -> None:
    start = Start(composition="Si", atoms=50, min_distance_angstrom=3.2)
    with pytest.raises(PhonsmithError, match=r"of 50 atoms fit .* lower start.min_distance"):
        first_cell(start, None, np.random.default_rng(1))


def test_random_cells_settle_before_they_move() -> None:
    cell = first_cell(Start(composition="Si", atoms=32), None, np.random.default_rng(5))
    calculator = make_calculator(SW)
    before = evaluate_one(cell, calculator)
    after = evaluate_one(settled(cell, calculator), calculator)
    assert np.abs(before.forces).max() > 5
    assert np.abs(after.forces).max() < 0.5
    assert after.energy / 32 < before.energy / 32 - 1


def test_snapshots_are_spread_over_the_sampled_part() -> None:
    assert sorted(snapshot_steps(protocol(**COMPRESSION))) == [20, 30, 40, 50]
    quench = protocol(
        kind="melt-quench",
        **{"equilibration_ps": 0, "melt_ps": 0.1, "cold_ps": 0, "melt_kelvin": 1300},
        **{"heating_rate_kelvin_per_s": 1e16, "quench_rate_kelvin_per_s": 2e15},
    )
    assert [quench.steps_of(part) for part in quench.program()] == [0, 100, 100, 500, 0]
    assert sorted(snapshot_steps(quench)) == [175, 350, 525, 700]


def test_snapshots_have_the_labels_of_the_potential(tmp_path) -> None:
    frames, outcome = made(tmp_path)
    assert outcome.reason == "" and outcome.steps == outcome.planned_steps == 50
    assert outcome.pressure_gpa == 20 and outcome.snapshots == len(frames) == 4
    assert outcome.cpu_s_per_atom_step > 0
    calculator = make_calculator(SW)
    for frame in frames:
        again = evaluate_one(frame, calculator)
        assert frame.info[ENERGY] == pytest.approx(again.energy, abs=1e-10)
        np.testing.assert_allclose(frame.arrays[FORCES], again.forces, atol=1e-10)
        np.testing.assert_allclose(frame.info[STRESS], again.stress, atol=1e-10)
    assert [frame.info["barostat_gpa"] for frame in frames] == [5, 10, 15, 20]
    assert [frame.info["index"] for frame in frames] == [10, 11, 12, 13]
    assert {frame.info["kind"] for frame in frames} == {"distilled"}


class Counting:
    """A calculator that counts its calculations, and fails after some of them."""

    def __init__(self, most=10**9):
        self.calculator = make_calculator(SW)
        self.count, self.most = 0, most
        calculate = self.calculator.calculate

        def counted(*args, **kwargs):
            self.count += 1
            if self.count > self.most:
                raise KeyboardInterrupt
            return calculate(*args, **kwargs)

        self.calculator.calculate = counted


def test_labels_cost_no_calculation(tmp_path) -> None:
    counting = Counting()
    made(tmp_path, calculator=counting.calculator)
    assert counting.count == 51  # the first cell and each step


@pytest.mark.parametrize("stop", [5, 24, 31])
def test_an_interrupted_run_continues_with_equal_results(tmp_path, stop) -> None:
    whole, _ = made(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "cut", calculator=Counting(stop).calculator)
    counting = Counting()
    frames, outcome = made(tmp_path / "cut", calculator=counting.calculator)
    assert outcome.steps == 50
    assert counting.count <= 51 - max((step for step in (0, 20, 30) if step < stop), default=0)
    files = [tmp_path / name for name in ("continued.extxyz", "whole.extxyz")]
    for file, snapshots in zip(files, (frames, whole), strict=True):
        write_frames(file, snapshots)
    assert files[0].read_bytes() == files[1].read_bytes()


def from_random_cell(work, calculator, **more):
    rules = protocol(**(COMPRESSION | {"start": {"composition": "Si", "atoms": 8}} | more))
    run = Run("press", rules, number=0, seed=5, method="stillinger-weber")
    return perform_from(run, None, calculator, RELAXATION, work)


def test_a_resumed_run_does_not_settle_again(tmp_path) -> None:
    counting = Counting()
    whole, _ = from_random_cell(tmp_path / "whole", counting.calculator)
    settling = counting.count - 51
    assert settling > 5
    with pytest.raises(KeyboardInterrupt):
        from_random_cell(tmp_path / "cut", Counting(settling + 25).calculator)
    counting = Counting()
    frames, outcome = from_random_cell(tmp_path / "cut", counting.calculator)
    assert counting.count <= 51 - 20  # from the snapshot at step 20
    assert outcome.steps == 50
    files = [tmp_path / name for name in ("continued.extxyz", "whole.extxyz")]
    for file, snapshots in zip(files, (frames, whole), strict=True):
        write_frames(file, snapshots)
    assert files[0].read_bytes() == files[1].read_bytes()
    # a damaged file, and the start of another run, are made anew
    (tmp_path / "cut/start.npz").write_bytes(b"PK\x03\x04 not an archive")
    (tmp_path / "cut/state.npz").unlink()
    for work, more in (("cut", {}), ("whole", {"temperature_kelvin": 600})):
        counting = Counting()
        from_random_cell(tmp_path / work, counting.calculator, **more)
        assert counting.count == settling + 51


def test_checkpoints_of_another_run_are_not_used(tmp_path) -> None:
    made(tmp_path)
    counting = Counting()
    made(tmp_path, calculator=counting.calculator, temperature_kelvin=600)
    assert counting.count == 51


def test_a_damaged_checkpoint_is_not_used(tmp_path) -> None:
    made(tmp_path)
    (tmp_path / "state.npz").write_bytes(b"PK\x03\x04 not an archive")
    counting = Counting()
    made(tmp_path, calculator=counting.calculator)
    assert counting.count == 51


def test_a_run_that_breaks_a_limit_keeps_its_snapshots(tmp_path) -> None:
    frames, outcome = made(tmp_path, pressure_gpa=[0, 5000], min_distance_angstrom=2.2)
    assert "Å apart (limit 2.20) after" in outcome.reason
    assert 0 < outcome.steps < outcome.planned_steps
    assert len(frames) == outcome.snapshots < 4
    assert 0 < outcome.pressure_gpa < 5000


def test_a_run_that_evaporates_ends(tmp_path) -> None:
    gas = {"kind": "thermal", "temperature_kelvin": 6000, "pressure_gpa": -20}
    times = {"equilibration_ps": 0, "sampled_ps": 5, "max_volume_factor": 1.5}
    _, outcome = made(tmp_path, gas | times)
    assert "Å³ per atom (limit 30)" in outcome.reason
    assert outcome.steps < outcome.planned_steps


def test_a_potential_that_fails_ends_the_run(tmp_path) -> None:
    potential = Counting()

    def fails(*args, **kwargs):
        if potential.count >= 25:
            raise FloatingPointError("NaN in the descriptor")
        return counted(*args, **kwargs)

    counted = potential.calculator.calculate
    potential.calculator.calculate = fails
    frames, outcome = made(tmp_path, calculator=potential.calculator)
    assert outcome.reason == (
        "the potential fails after 24 steps: FloatingPointError: NaN in the descriptor"
    )
    assert len(frames) == 1


def test_the_last_cell_is_relaxed(tmp_path) -> None:
    quench = {
        **{"kind": "melt-quench", "melt_kelvin": 400, "equilibration_ps": 0, "melt_ps": 0.02},
        **{"heating_rate_kelvin_per_s": 1e16, "quench_rate_kelvin_per_s": 1e16, "cold_ps": 0},
        "pressure_gpa": 2,
    }
    frames, outcome = made(tmp_path, quench)
    assert outcome.relaxed is True and len(frames) == 5
    last = frames[-1]
    assert last.info["origin"] == "relaxed"
    assert np.abs(last.arrays[FORCES]).max() < 1e-2
    assert -np.trace(last.info[STRESS]) / 3 / units.GPa == pytest.approx(2, abs=0.1)
    perfect = relax(SILICON, make_calculator(SW), RELAXATION)
    assert last.get_volume() / 8 < perfect.atoms.get_volume() / 2


def test_pressure_needs_stresses(tmp_path) -> None:
    class NoStress:
        implemented_properties = ("energy", "forces")

    with pytest.raises(PhonsmithError, match="no stress, but the protocol has a pressure"):
        made(tmp_path, calculator=NoStress(), start=Atoms("Si8", cell=[5] * 3, pbc=True))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"snapshots": 100}, "100 snapshots of 40 steps"),
        ({"start": {"atoms": 8}}, "give either `structure` or `composition`"),
        ({"start": {"composition": "Si", "vacancies": 1}}, "`vacancies` needs `structure`"),
        ({"start": {"structure": "si", "min_distance_angstrom": 2}}, "is for random cells"),
        ({"start": {"structure": "si", "atoms": 4, "vacancies": 4}}, "must be below `atoms`"),
        ({"pressure_gpa": [0]}, "pressure_gpa"),
    ],
)
def test_wrong_settings_are_refused(wrong, message) -> None:
    with pytest.raises(ValidationError, match=message):
        protocol(**(COMPRESSION | wrong))


def test_defaults_of_the_compression_are_those_of_the_paper() -> None:
    rules = Compression(kind="compression", start=Start(composition="Si", atoms=1000))
    assert rules.steps == 250_000
    assert rules.program()[0].kelvin == (500, 500) and rules.program()[1].gpa == (0, 20)
