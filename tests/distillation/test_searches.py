"""Random structure searches: random crystals, pressures, relaxations with labels, continuation."""

import numpy as np
import pytest
import spglib
from ase import Atoms, units
from ase.neighborlist import neighbor_list
from pydantic import ValidationError
from scipy.stats import kstest, truncexpon

from phonsmith.distillation.random_crystals import random_crystal, space_groups
from phonsmith.distillation.runs import Run
from phonsmith.distillation.searches import SearchOutcome, pressure, search
from phonsmith.distillation.settings import Distilled, RandomSearch
from phonsmith.distillation.tables import searches_table
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS, write_frames
from phonsmith.potentials.calculators import evaluate_one, make_calculator
from phonsmith.potentials.settings import PotentialSource

SW = PotentialSource(calculator="stillinger-weber")


def settings(**more) -> RandomSearch:
    return RandomSearch.model_validate({"kind": "random-search", "composition": "Si", **more})


def operations(atoms: Atoms) -> int:
    """Symmetry operations of a primitive cell, by spglib."""
    cell = (atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers)
    return len(spglib.get_symmetry(cell, symprec=1e-4)["rotations"])


@pytest.fixture(scope="module")
def crystals():
    rules = settings()
    return [random_crystal(rules, np.random.default_rng([7, number])) for number in range(60)]


def test_random_crystals_have_the_volume_and_distances_of_the_paper(crystals) -> None:
    sizes = [len(one.atoms) for one in crystals]
    assert min(sizes) < 8 and max(sizes) > 56 and max(sizes) <= 64
    for one in crystals:
        assert one.atoms.get_volume() / len(one.atoms) == pytest.approx(20, rel=1e-8)
        distances = neighbor_list("d", one.atoms, 4.0)  # of images, too
        assert len(distances) and distances.min() >= 2 - 1e-8


def test_random_crystals_have_few_symmetry_operations(crystals) -> None:
    wanted = {number: n for n in range(1, 5) for number in space_groups(n)}
    found = [(len(one.atoms), wanted[one.space_group], operations(one.atoms)) for one in crystals]
    assert {order for _, order, _ in found} == {1, 2, 3, 4}
    assert all(order <= has for _, order, has in found)
    # two atoms always have an inversion centre, atoms on axes alone have mirror planes
    large = [order == has for atoms, order, has in found if atoms > 12]
    assert np.mean(large) > 0.9


def test_numbers_of_operations_are_orders_of_point_groups() -> None:
    # International Tables A: 1, -1 to m, 3, and 2/m, 222, mm2, 4, -4
    assert space_groups(1) == [1]
    assert space_groups(2) == list(range(2, 10))
    assert space_groups(3) == [143, 144, 145, 146]
    assert space_groups(4) == [*range(10, 47), *range(75, 83)]
    assert space_groups(48) == list(range(221, 231))
    assert sum(len(space_groups(n)) for n in (1, 2, 3, 4, 6, 8, 12, 16, 24, 48)) == 230


def test_equal_seeds_give_equal_crystals() -> None:
    rules = settings(atoms=[20, 40])
    first, again, other = (
        random_crystal(rules, np.random.default_rng(seed)).atoms for seed in (3, 3, 4)
    )
    assert np.array_equal(first.positions, again.positions)
    assert np.array_equal(first.cell[:], again.cell[:])
    assert len(first) != len(other) or not np.allclose(first.positions, other.positions)


def test_compounds_keep_their_composition() -> None:
    rules = settings(composition="Ga2O3", atoms=[4, 21], min_distance_angstrom=1.6)
    assert rules.formula_units == [1, 2, 3, 4]
    for seed in range(8):
        atoms = random_crystal(rules, np.random.default_rng(seed)).atoms
        assert atoms.symbols.formula.reduce()[0].count() == {"Ga": 2, "O": 3}
        assert len(atoms) in (5, 10, 15, 20)
        assert neighbor_list("d", atoms, 3.0).min() >= 1.6 - 1e-8


def test_crystals_that_do_not_fit_are_refused() -> None:
    rules = settings(atoms=[2, 2], min_distance_angstrom=5.2, symmetry_operations=[1, 1])
    with pytest.raises(PhonsmithError, match=r"2 atoms do not fit .* raise volume_per_atom"):
        random_crystal(rules, np.random.default_rng(0))


def test_pressures_have_a_truncated_exponential_distribution() -> None:
    rules = settings()
    random = np.random.default_rng(11)
    drawn = np.array([pressure(rules, random) for _ in range(100_000)])
    assert drawn.min() >= 0 and drawn.max() <= 32
    # the mean of the exponential distribution, 5 GPa, is 4.947 GPa after truncation
    assert drawn.mean() == pytest.approx(5 - 32 / np.expm1(32 / 5), abs=0.06)
    assert kstest(drawn, truncexpon(b=32 / 5, scale=5).cdf).pvalue > 0.05
    narrow = settings(max_pressure_gpa=2)
    assert max(pressure(narrow, random) for _ in range(1000)) <= 2


# --- searches ---------------------------------------------------------------------------------

SMALL = {"atoms": [2, 5], "crystals": 4, "path_steps": [0, 5], "fmax_ev_per_angstrom": 2e-3}


def run(**more) -> Run:
    return Run("search", settings(**{**SMALL, **more}), number=2, seed=5, method="sw")


class Counting:
    """A calculator that counts its calculations, and stops after some of them."""

    def __init__(self, most=10**9, fails=lambda atoms: False):
        self.calculator = make_calculator(SW)
        self.count = 0
        calculate = self.calculator.calculate

        def counted(atoms, *rest):
            self.count += 1
            if self.count > most:
                raise KeyboardInterrupt
            if fails(atoms):
                raise FloatingPointError("NaN in the descriptor")
            return calculate(atoms, *rest)

        self.calculator.calculate = counted


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    counting = Counting()
    frames, outcome = search(run(), counting.calculator, tmp_path_factory.mktemp("work"))
    return frames, outcome, counting.count


def test_labels_are_those_of_the_potential_and_cost_nothing(searched) -> None:
    frames, outcome, count = searched
    assert count == sum(one.steps + 1 for one in outcome.crystals)
    assert len(frames) == 12
    calculator = make_calculator(SW)
    for frame in frames:
        again = evaluate_one(frame, calculator)
        assert frame.info[ENERGY] == pytest.approx(again.energy, abs=1e-10)
        np.testing.assert_allclose(frame.arrays[FORCES], again.forces, atol=1e-10)
        np.testing.assert_allclose(frame.info[STRESS], again.stress, atol=1e-10)
    assert len({frame.info["index"] for frame in frames}) == 12
    assert {frame.info["kind"] for frame in frames} == {"distilled"}


def test_relaxed_cells_have_the_pressure(searched) -> None:
    frames, outcome, _ = searched
    assert all(one.converged and not one.reason for one in outcome.crystals)
    assert outcome.cautions == []
    last = [frame for frame in frames if frame.info["origin"] == "relaxed"]
    assert [frame.info["step"] for frame in last] == [one.steps for one in outcome.crystals]
    for frame, record in zip(last, outcome.crystals, strict=True):
        assert frame.info["barostat_gpa"] == record.pressure_gpa
        # 2e-3 eV/Å by volume per atom
        stress = -frame.info[STRESS] / units.GPa
        np.testing.assert_allclose(stress, record.pressure_gpa * np.eye(3), atol=0.03)
        assert np.abs(frame.arrays[FORCES]).max() < 2e-3
        assert record.energy_ev_per_atom == frame.info[ENERGY] / record.atoms
    first = [frame for frame in frames if frame.info["step"] == 0]
    assert [frame.get_volume() / len(frame) for frame in first] == pytest.approx([20] * 4)


@pytest.mark.parametrize("stop", [3, 40, 80])
def test_an_interrupted_search_continues_with_equal_results(tmp_path, searched, stop) -> None:
    whole, outcome, count = searched
    with pytest.raises(KeyboardInterrupt):
        search(run(), Counting(stop).calculator, tmp_path)
    finished = len(list(tmp_path.glob("*.json")))
    counting = Counting()
    frames, again = search(run(), counting.calculator, tmp_path)
    assert counting.count == count - sum(one.steps + 1 for one in outcome.crystals[:finished])
    for name, cells in (("whole", whole), ("continued", frames)):
        write_frames(tmp_path / f"{name}.extxyz", cells)
    assert (tmp_path / "whole.extxyz").read_bytes() == (tmp_path / "continued.extxyz").read_bytes()
    without = {"crystals": {"__all__": {"cpu_s_per_atom_step"}}}
    assert again.model_dump(exclude=without) == outcome.model_dump(exclude=without)


def test_more_crystals_do_not_repeat_the_first_ones(tmp_path, searched) -> None:
    search(run(), make_calculator(SW), tmp_path)
    counting = Counting()
    frames, outcome = search(run(crystals=5), counting.calculator, tmp_path)
    assert counting.count == outcome.crystals[-1].steps + 1
    assert [frame.info["index"] for frame in frames[:12]] == [
        frame.info["index"] for frame in searched[0]
    ]
    other, _ = search(run(max_pressure_gpa=1), counting.calculator, tmp_path)
    assert max(frame.info["barostat_gpa"] for frame in other) <= 1


def test_failed_relaxations_are_recorded_and_the_others_kept(tmp_path, searched) -> None:
    frames, *_ = searched
    start = frames[3]  # of crystal 1
    seen = []

    def fails(atoms):
        seen.append(len(atoms) == len(start) and np.allclose(atoms.positions, start.positions))
        return any(seen[-8:-7])  # in its eighth calculation

    kept, found = search(run(), Counting(fails=fails).calculator, tmp_path)
    bad = found.crystals[1]
    assert bad.reason == "FloatingPointError: NaN in the descriptor" and not bad.converged
    assert [frame.info["step"] for frame in kept if frame.info["crystal"] == 1] == [0, 5]
    assert [one.crystal for one in found.crystals if one.converged] == [0, 2, 3]
    assert "1 of 4 relaxations failed" in found.cautions[0]


def test_a_potential_that_fails_on_a_random_crystal_is_recorded(tmp_path, searched) -> None:
    start = searched[0][0]
    same = lambda atoms: len(atoms) == len(start) and np.allclose(atoms.positions, start.positions)  # noqa: E731
    kept, found = search(run(), Counting(fails=same).calculator, tmp_path)
    assert "NaN in the descriptor" in found.crystals[0].reason
    assert {frame.info["crystal"] for frame in kept} == {1, 2, 3}


def test_cells_that_collapse_are_no_labels(tmp_path) -> None:
    class Attraction(Counting):
        def __init__(self):
            super().__init__()
            calculate = self.calculator.calculate

            def pulled(atoms, *rest):
                calculate(atoms, *rest)
                self.calculator.results["stress"] = np.array([5.0, 5, 5, 0, 0, 0])

            self.calculator.calculate = pulled

    frames, outcome = search(run(path_steps=[]), Attraction().calculator, tmp_path)
    assert frames == []
    assert all(
        "times the first" in one.reason or "Å apart" in one.reason for one in outcome.crystals
    )


def test_unconverged_cells_are_labels(tmp_path) -> None:
    frames, outcome = search(run(max_steps=6), make_calculator(SW), tmp_path)
    assert [frame.info["step"] for frame in frames if frame.info["crystal"] == 0] == [0, 5, 6]
    assert {frame.info["origin"] for frame in frames} == {"relaxation"}
    assert "4 of 4 relaxations did not converge" in outcome.cautions[0]


def test_a_search_needs_stresses(tmp_path) -> None:
    from ase.calculators.lj import LennardJones

    class NoStress(LennardJones):
        implemented_properties = ("energy", "forces")

    with pytest.raises(PhonsmithError, match="no stress"):
        search(run(), NoStress(), tmp_path)


def test_the_table_has_a_row_for_each_crystal(tmp_path, searched) -> None:
    (tmp_path / "rss").mkdir()
    searched[1].save(tmp_path / "rss" / "2.json")
    assert SearchOutcome.load(tmp_path / "rss" / "2.json") == searched[1]
    table = searches_table([tmp_path / "rss" / "2.json"], {"rss": "test"})
    assert list(table.crystal) == [0, 1, 2, 3]
    assert set(table.data) == {"rss"} and set(table.run) == {2} and set(table.use) == {"test"}
    assert table.pressure_gpa.between(0, 32).all()


def test_defaults_are_those_of_the_paper() -> None:
    rules = settings()
    assert rules.atoms == (1, 64) and rules.numbers_of_operations == [1, 2, 3, 4]
    assert rules.min_distance_angstrom == 2 and rules.volume_per_atom_angstrom3 == 20
    assert rules.pressure_width_gpa == 5 and rules.max_pressure_gpa == 32
    assert rules.crystals == rules.cells == 100


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"atoms": [10, 4]}, "no multiple of Si has 10 to 4 atoms"),
        ({"composition": "Ga2O3", "atoms": [6, 9]}, "no multiple of Ga2O3 has 6 to 9 atoms"),
        ({"symmetry_operations": [5, 5]}, "at least one possible number"),
        ({"path_steps": [5, 0]}, "ascending numbers below max_steps"),
        ({"path_steps": [500]}, "ascending numbers below max_steps"),
    ],
)
def test_wrong_settings_are_refused(wrong, message) -> None:
    with pytest.raises(ValidationError, match=message):
        settings(**wrong)


def test_searches_are_no_runs_of_several_potentials() -> None:
    from phonsmith.disorder.settings import SideBySide

    protocol = {"kind": "random-search", "composition": "Si"}
    assert Distilled.model_validate({"protocol": protocol}).searches
    with pytest.raises(ValidationError, match="random-search"):
        SideBySide.model_validate({"protocol": protocol})
