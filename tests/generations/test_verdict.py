"""The loop: verdicts on generations."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from phonsmith.generations.properties import Property
from phonsmith.generations.settings import Goal, Loop
from phonsmith.generations.verdict import (
    GenerationVerdict,
    generations_table,
    judge,
    properties_table,
)
from phonsmith.generations.verdict import test_set_force_rmse as force_rmse_of

COLUMNS = ["fit", "structure", "cell", "rmse_thz", "volume_error_percent", "false_imaginary"]


def table(*rows):
    frame = pd.DataFrame(rows, columns=COLUMNS)
    frame["reason"] = frame["rmse_thz"].isna().map({True: "symmetry lost", False: ""})
    return frame.astype({"rmse_thz": float, "false_imaginary": "boolean"})


def loop(goal=None, **changes):
    goal = Goal(**{"rmse_thz": 0.1, "harmonic_only": True, **(goal or {})})
    return Loop(**{"goal": goal, "max_generations": 3, "cells_per_structure": 4, **changes})


def verdict(rows, generation=0, rules=None, **more):
    fits = dict.fromkeys(row[0] for row in rows)
    given = {"groups": {fit: [fit] for fit in fits}, "learnt": ["a", "b"], "labels": {"a": 6}}
    return judge("c", generation, rules or loop(), rmse=table(*rows), **{**given, **more})


GOOD = [("gap", "a", "relaxed", 0.05, 0.2, False), ("gap", "b", "relaxed", 0.09, -0.3, False)]


def test_a_fit_that_meets_the_goal_ends_the_loop():
    found = verdict([*GOOD, ("gap", "a", "reference", 9.0, 0.0, True)])
    assert (found.stop, found.best, found.next_cells) == ("goal", "gap", {})
    assert found.fits[0].mean_rmse_thz == pytest.approx(0.07)
    assert found.fits[0].structures[1].volume_error_percent == -0.3
    assert found.labels == {"a": 6}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (("gap", "b", "relaxed", 0.11, 0.0, False), "RMSE 0.110 THz above 0.1 THz"),
        (("gap", "b", "relaxed", 0.05, -1.5, False), "volume error -1.50 % beyond 1 %"),
        (
            ("gap", "b", "relaxed", 0.05, 0.0, True),
            "false imaginary modes (the reference has none)",
        ),
        (("gap", "b", "relaxed", None, None, None), "symmetry lost"),
    ],
)
def test_a_failing_structure_gets_new_cells(row, words):
    found = verdict([GOOD[0], row])
    assert found.stop is None
    assert found.next_cells == {"b": 4}
    first, second = found.fits[0].structures
    assert first.meets
    assert second.reason == words
    assert "failing: b" in found.fits[0].reasons[0]
    assert verdict([GOOD[0], row], generation=2).stop == "max_generations"


def test_a_share_of_the_structures_may_do():
    rows = [GOOD[0], ("gap", "b", "relaxed", 0.5, 0.0, False)]
    assert verdict(rows, rules=loop({"structures_percent": 50})).stop == "goal"
    assert verdict(rows, rules=loop({"structures_percent": 51})).stop is None


def test_forces_on_the_test_set_can_keep_the_loop_going():
    rules = loop({"harmonic_only": False, "max_force_rmse_ev_per_angstrom": 0.05})
    found = verdict(GOOD, rules=rules, force_rmse={"gap": 0.06})
    assert found.stop is None
    assert "force RMSE on the test set is 0.06 eV/Å" in found.fits[0].reasons[0]
    assert found.next_cells == {"a": 4, "b": 4}  # no structure is to blame: all get new cells
    assert verdict(GOOD, rules=rules, force_rmse={"gap": 0.04}).stop == "goal"
    assert verdict(GOOD, rules=rules).stop is None


def test_a_fit_that_has_diverged_has_no_force_error():
    """One of two repeats without numbers: no mean over the other, and no end of the loop."""

    def errors(rmse):
        whole = {"set": "test", "kind": "all", "structure": "all", "quantity": "force"}
        return pd.DataFrame([{**whole, "rmse": rmse}])

    found = force_rmse_of({"gap": errors(0.01), "gap-r2": errors(float("nan"))})
    assert found == {"gap": 0.01, "gap-r2": None}
    rows = [*GOOD, *(("gap-r2", *row[1:]) for row in GOOD)]
    rules = loop({"harmonic_only": False, "max_force_rmse_ev_per_angstrom": 0.05})
    groups = {"gap": ["gap", "gap-r2"]}
    (fit,) = verdict(rows, rules=rules, groups=groups, force_rmse=found).fits
    assert fit.force_rmse_ev_per_angstrom is None
    assert fit.reasons == ["force RMSE on the test set is unknown, 0.05 eV/Å is required"]


def test_the_volume_is_that_of_the_relaxed_cell():
    """Whichever cell counts for the phonons; the reference's cell has no volume error."""
    rules = loop({"cell": "reference"})
    phonons = ("gap", "a", "reference", 0.05, 0.0, False)

    def reason(*relaxed):
        found = verdict([phonons, *relaxed], rules=rules)
        assert found.fits[0].mean_rmse_thz == 0.05
        return found.fits[0].structures[0].reason

    assert reason(("gap", "a", "relaxed", 9.0, 0.5, True)) == ""
    assert reason(("gap", "a", "relaxed", 0.05, 7.0, False)) == "volume error +7.00 % beyond 1 %"
    assert reason(("gap", "a", "relaxed", None, 7.0, None)) == "volume error +7.00 % beyond 1 %"
    assert reason(("gap", "a", "relaxed", None, None, None)) == "volume unknown: symmetry lost"
    assert reason() == ""  # no fit relaxes: nothing to judge


def test_what_cannot_be_judged_asks_for_no_labels():
    """A property of a crystal that is left out: the loop ends with the rest, and says so."""
    transition = {"of": "transition", "transition": "x", "within_kelvin": 20}
    rules = loop({"harmonic_only": False, "properties": {"melting": transition}})
    lost = Property(None, "K", "b: left out: becomes another", lost=True)
    found = verdict(GOOD, rules=rules, properties={"melting": {"gap": lost}})
    assert (found.stop, found.next_cells) == ("goal_in_part", {})
    why = "melting cannot be judged: b: left out: becomes another"
    assert found.fits[0].not_judged == [why]
    assert why in found.in_words()
    assert "for all criteria that can be evaluated" in found.in_words()
    assert properties_table([found])["judged"].tolist() == [False]
    # what else is not met keeps the loop going, and the rest stays said
    row = ("gap", "b", "relaxed", 0.11, 0.0, False)
    worse = verdict([GOOD[0], row], rules=rules, properties={"melting": {"gap": lost}})
    assert (worse.stop, worse.next_cells) == (None, {"b": 4})
    assert why in worse.in_words()
    # what a fit alone has lost may come back with more labels
    failed = Property(None, "K", "b: does not relax")
    again = verdict(GOOD, rules=rules, properties={"melting": {"gap": failed}})
    assert again.stop is None and again.next_cells == {"a": 4, "b": 4}


def test_new_cells_are_those_of_the_best_fit_and_of_structures_to_learn_from():
    rows = [
        ("bad", "a", "relaxed", 0.9, 0.0, False),
        ("bad", "b", "relaxed", 0.9, 0.0, False),
        ("good", "a", "relaxed", 0.05, 0.0, False),
        ("good", "b", "relaxed", 0.2, 0.0, False),
    ]
    assert (verdict(rows).best, verdict(rows).next_cells) == ("good", {"b": 4})
    assert verdict(rows, learnt=["a"]).next_cells == {"a": 4}


def test_a_recipe_that_does_not_decide_does_not_end_the_loop():
    rows = [("fc", "a", "reference", 0.0, None, False), ("gap", "a", "reference", 0.2, None, False)]
    rules = loop({"cell": "reference"})
    found = verdict(rows, rules=rules, learnt=["a"], deciding=["gap"])
    assert (found.stop, found.best) == (None, "gap")
    assert [fit.meets for fit in found.fits] == [True, False]
    assert verdict(rows, rules=rules, learnt=["a"]).best == "fc"


def test_the_volume_of_force_constants_is_not_judged():
    rows = [("fc", "a", "relaxed", None, None, None), ("fc", "a", "reference", 0.02, None, False)]
    rules = loop({"cell": "reference"})
    assert verdict(rows, rules=rules).stop is None
    assert verdict(rows, rules=rules, without_potential=["fc"]).stop == "goal"


def test_repeats_give_noise_and_say_what_is_significant():
    def rows(*values):
        return [(f"gap-r{i}", "a", "relaxed", value, 0.0, False) for i, value in enumerate(values)]

    def recipe(count):
        return {"groups": {"gap": [f"gap-r{i}" for i in range(count)]}, "learnt": ["a"]}

    first = verdict(rows(0.30, 0.35, 0.40), **recipe(3))
    (fit,) = first.fits
    assert fit.mean_rmse_thz == pytest.approx(0.35)
    assert fit.noise_thz == pytest.approx(0.05)
    assert (fit.change_thz, fit.significant) == (None, None)
    second = verdict(rows(0.28, 0.33, 0.38), generation=1, before=first, **recipe(3))
    (little,) = second.fits
    assert little.change_thz == pytest.approx(-0.02)
    assert little.significant is False
    words = "mean 0.330 ± 0.050 THz, since the last generation -0.020 THz (not significant, n = 3)"
    assert words in second.in_words()
    much = verdict(rows(0.11, 0.12, 0.13), generation=1, before=first, **recipe(3)).fits[0]
    assert much.significant is True
    # t = 3.1 is beyond the sum of both deviations, and not significant with 2.1 degrees of freedom
    some = verdict(rows(0.24, 0.26, 0.25), generation=1, before=first, **recipe(3)).fits[0]
    assert some.significant is False
    few = verdict(rows(0.11, 0.12), generation=1, before=first, **recipe(2))
    assert few.fits[0].significant is None
    assert "(not assessed, n = 2 and 3)" in few.in_words()


def test_the_noise_of_the_mean_is_not_the_mean_noise(tmp_path):
    """Repeats that are far apart on every crystal and agree on the mean, in opposite ways."""
    rows = [
        *(("gap", "a", "relaxed", 0.1, 0, False), ("gap", "b", "relaxed", 0.2, 0, False)),
        *(("gap-r2", "a", "relaxed", 0.2, 0, False), ("gap-r2", "b", "relaxed", 0.1, 0, False)),
        *(("gap-r3", "a", "relaxed", 0.1, 0, False), ("gap-r3", "b", "relaxed", 0.2, 0, False)),
    ]
    groups = {"groups": {"gap": ["gap", "gap-r2", "gap-r3"]}}
    first = verdict(rows, **groups)
    lost = [*rows[:5], ("gap-r3", "b", "relaxed", None, None, None)]
    second = verdict(lost, generation=1, before=first, **groups)
    third = verdict(rows, generation=2, before=first, **groups)
    path = tmp_path / "generations.csv"
    generations_table([first, second, third]).to_csv(path, index=False)
    table = pd.read_csv(path)
    assert table.noise_thz.tolist()[:2] == pytest.approx([0.1 / 3**0.5] * 2)
    of_recipe = ["mean_rmse_thz", "mean_noise_thz", "change_thz", "significant"]
    for generation, wanted in ((0, [0.15, 0, None, None]), (1, [None] * 4)):
        for found in table.loc[table.generation == generation, of_recipe].to_numpy():
            assert found == pytest.approx(np.array(wanted, dtype=float), nan_ok=True, abs=1e-12)
    last = table[table.generation == 2]
    assert last.change_thz.tolist() == pytest.approx([0, 0], abs=1e-12)
    assert last.significant.tolist() == [False, False]
    assert last[["repeats", "repeats_before"]].to_numpy().tolist() == [[3, 3], [3, 3]]


def test_a_verdict_comes_back_from_its_file(tmp_path):
    found = verdict([GOOD[0], ("gap", "b", "relaxed", None, None, None)])
    found.save(tmp_path / "gen0.json")
    assert GenerationVerdict.load(tmp_path / "gen0.json") == found


def test_stopping_on_phonons_alone_has_to_be_said():
    with pytest.raises(ValidationError, match="harmonic_only: true"):
        Goal(rmse_thz=0.1)
