"""Uncertainty from repeats, goals on transitions, and published values beside them."""

import math
from pathlib import Path

import pytest

from phonsmith.generations.properties import Property, judge_property, property_of
from phonsmith.generations.settings import TransitionGoal
from phonsmith.transitions.results import Result
from phonsmith.transitions.settings import PublishedTransition
from phonsmith.transitions.tables import overview, transitions_table
from phonsmith.transitions.transition import temperature_transition
from tests.transitions.examples import ALPHA_BETA, einstein


def by_fits(energies: dict[str, float]) -> list[Result]:
    return [
        temperature_transition(
            "x",
            ALPHA_BETA,
            [einstein("alpha", 0.0, 2.0, method), einstein("beta", energy, 1.5, method)],
            refuse_imaginary=True,
        )
        for method, energy in energies.items()
    ]


def test_repeats_give_the_uncertainty_and_tell_what_a_change_means() -> None:
    """One meV/atom is 13.45 K here: repeats 2 meV apart are 27 K of standard deviation."""
    names = ["gap", "gap-r2", "gap-r3"]
    energies = {
        f"{name}/gen{generation}": energy
        for generation, values in enumerate(
            [(0.028, 0.030, 0.032), (0.0295, 0.0305, 0.0315), (0.039, 0.0392, 0.0394)]
        )
        for name, energy in zip(names, values, strict=True)
    }
    table = transitions_table("c", by_fits(energies), {"gap": names})
    rows = table[table["fit"] == "gap"].set_index("generation")
    assert rows.loc[0, "uncertainty"] == pytest.approx(2 * 13.45, rel=0.01)
    assert rows.loc[0, "static_spread_mev_per_atom"] == pytest.approx(2)
    assert rows.loc[0, "uncertainty_from"] == "repeats"
    # of the mean of all three, on the row of each
    assert rows.loc[1, "change"] == pytest.approx(0.5 * 13.45, rel=0.01)
    assert [rows.loc[g, "significant"] for g in (1, 2)] == [False, True]
    assert rows.loc[2, ["repeats", "repeats_before"]].tolist() == [3, 3]
    shown = overview(table, {}, {})
    assert shown.loc[shown["generation"] == "1", "change"].iloc[0] == (
        "+6.75 K (not significant, n = 3)"
    )
    two = {name: energy for name, energy in energies.items() if "r3" not in name}
    rows = transitions_table("c", by_fits(two), {"gap": names[:2]}).set_index("generation")
    assert rows.loc[2, "change"].tolist() == pytest.approx([9.1 * 13.45] * 2, rel=0.01)
    assert rows["significant"].isna().all()
    assert "not assessed, n = 2" in overview(rows.reset_index(), {}, {})["change"].iloc[-1]


def test_where_a_repeat_has_no_transition_static_energies_give_the_uncertainty() -> None:
    energies = {"gap/gen0": 0.030, "gap-r2/gen0": -0.01}
    table = transitions_table("c", by_fits(energies), {"gap": ["gap", "gap-r2"]})
    row = table[table["fit"] == "gap"].iloc[0]
    assert row["uncertainty_from"] == "static energies of repeats"
    assert row["uncertainty"] == pytest.approx(40 / math.sqrt(2) * 13.45, rel=0.01)


def test_the_goal_reads_the_transition(tmp_path: Path) -> None:
    (found,) = by_fits({"gap/gen0": 0.030})
    found.save(tmp_path / "x.json")
    goal = TransitionGoal(of="transition", transition="x", within_kelvin=20)
    read = property_of(goal, tmp_path / "x.json")
    assert (read.unit, read.reason) == ("K", "") and read.value == pytest.approx(402, abs=0.1)
    last = judge_property("x", goal, [Property(430.0, "K")], {})
    assert (
        "changed by -28.1 K (not assessed, n = 1), allowed: 20 K"
        in judge_property("x", goal, [read], {"x": last}).reason
    )
    near = goal.model_copy(update={"within_kelvin": 30.0})
    assert not judge_property("x", near, [read], {"x": last}).reason


def test_a_goal_on_a_crystal_that_is_left_out_cannot_be_judged(tmp_path: Path) -> None:
    """No fit will ever have it; what a fit alone has lost may come back."""
    goal = TransitionGoal(of="transition", transition="x", within_kelvin=20)
    for reason, judged in (("left out: becomes another", False), ("does not relax", True)):
        solids = [
            einstein("alpha", 0.0, 2.0, "gap/gen0"),
            einstein("beta", 0.0, 1.5).model_copy(update={"reason": reason, "harmonic": None}),
        ]
        temperature_transition("x", ALPHA_BETA, solids, refuse_imaginary=True).save(
            tmp_path / "x.json"
        )
        verdict = judge_property("x", goal, [property_of(goal, tmp_path / "x.json")], {})
        assert verdict.judged == judged
        assert reason in verdict.reason
        assert ("cannot be judged" in verdict.reason) == (not judged)


def test_published_values_stand_beside() -> None:
    (found,) = by_fits({"gap/gen0": 0.030})
    published = PublishedTransition(
        label="experiment", source="somewhere", structures=("alpha", "beta"), value=286
    )
    shown = overview(transitions_table("c", [found], {}), {"x": [published]}, {"gap": "GAP"})
    assert shown["method"].tolist() == ["GAP", "experiment"]
    assert shown["answer"].tolist() == ["401.9 K", "286 K"]
