"""The answer at the top of the report."""

import pandas as pd
import pytest

from phonsmith.figures.answer import answer, kappa_in_words
from tests.figures.examples import RMSE, campaign, table

GOOD = {
    ("gap", "mp-149", "relaxed"): 0.02,
    ("gap", "mp-165", "relaxed"): 0.09,
    ("mace", "mp-149", "relaxed"): 0.01,
    ("mace", "mp-165", "relaxed"): 0.11,
    ("sw", "mp-149", "relaxed"): 0.5,
    ("sw", "mp-165", "relaxed"): None,
}


def test_the_fit_with_most_good_crystals_answers():
    found = answer(campaign(), table(GOOD))
    assert found.mark == "yes"
    for words in ("Yes", "both crystals", "which it was trained on", "GAP", "0.090", "0.1 THz"):
        assert words in found.headline
    marks = [(mark, label) for mark, label, _ in found.lines]
    assert marks == [("yes", "GAP"), ("in part", "MACE"), ("no", "sw")]
    assert "not for mp-165" in found.lines[1][2]
    # all crystals are bad: their names would say nothing
    assert found.lines[2][2] == (
        "0 of 2 crystals; mean RMSE 0.500 THz over 1, largest 0.500 THz; no RMSE for 1"
    )
    assert "in-sample" not in found.lines[2][2]
    assert "the campaign states no goal" in found.goal


def test_crystals_that_a_fit_has_not_learnt_are_not_in_sample():
    rmse = table(GOOD)
    rmse.loc[rmse.structure == "mp-165", "in_sample"] = False
    found = answer(campaign(), rmse)
    assert "which it was trained on" not in found.headline
    assert "in-sample: phonons of mp-149 were part of" in found.lines[0][2]


@pytest.mark.parametrize(
    ("worst", "mark", "words"),
    [(0.3, "in part", "In part: with GAP, 1 of 2 crystals"), (None, "in part", "In part")],
)
def test_a_crystal_above_the_goal_or_without_rmse_limits_the_answer(worst, mark, words):
    rmse = {**GOOD, ("gap", "mp-165", "relaxed"): worst}
    only = campaign(fits={"gap": campaign().fits["gap"].model_dump()})
    found = answer(only, table({key: value for key, value in rmse.items() if key[0] == "gap"}))
    assert found.mark == mark
    assert words in found.headline


def test_false_imaginary_modes_are_not_good():
    rmse = table(GOOD)
    rmse["false_imaginary"] = True
    found = answer(campaign(), rmse)
    assert found.mark == "no"
    assert found.headline.startswith("Not yet")
    assert "The best, GAP, has a mean RMSE of 0.055 THz" in found.headline
    assert "false imaginary modes in 2 crystals" in found.lines[0][2]


def test_a_label_with_a_comma_is_quoted_in_the_sentence():
    recipe = campaign().fits["gap"].model_dump() | {"label": "GAP, both"}
    rmse = table({key: value for key, value in GOOD.items() if key[0] == "gap"})
    assert "with “GAP, both”, the" in answer(campaign(fits={"gap": recipe}), rmse).headline


def test_one_crystal_has_one_rmse():
    only = campaign(structures={"mp-149": {"file": "a.vasp"}})
    rmse = table({key: value for key, value in GOOD.items() if key[1] == "mp-149"})
    found = answer(only, rmse)
    assert found.lines[-1] == ("no", "sw", "RMSE 0.500 THz")
    assert "of the crystal of this campaign" in found.headline


def test_imaginary_modes_as_in_the_reference_are_compared():
    rmse = table(GOOD)
    rmse["imaginary_fit"], rmse["imaginary_reference"] = 9, 2
    rmse["minimum_frequency_fit_thz"] = -0.31
    rmse["minimum_frequency_reference_thz"] = [-0.16, -0.3] * 3
    words = answer(campaign(), rmse).lines[0][2]
    assert "imaginary modes of mp-149, as in the reference: lowest −0.31 THz, reference" in words


def test_the_goal_names_the_reference_and_that_it_is_a_potential():
    found = answer(campaign(), table(GOOD))
    assert "phonon RMSE against stillinger-weber (cell relaxed with the fit)" in found.goal
    assert "is itself an interatomic potential" in found.goal


def test_the_goal_of_a_loop_decides():
    loop = {"goal": {"rmse_thz": 0.3, "cell": "reference", "harmonic_only": True}}
    found = answer(campaign(loop=loop), table(RMSE))
    assert "goal: 0.3 THz" in found.headline
    assert "reference cell" in found.goal
    assert "the goal of this campaign" in found.goal
    assert [mark for mark, *_ in found.lines] == ["yes", "yes", "no"]


def test_what_was_applied_is_not_listed_as_untested():
    found = answer(campaign(thermodynamics={}), table(GOOD))
    assert "thermal expansion and free energies" in found.used
    assert "thermal expansion" not in found.untested
    assert "thermal conductivity" in found.untested


def test_a_campaign_without_fits_judges_nothing():
    found = answer(campaign(fits={}, thermodynamics={}), table({}))
    assert (found.mark, found.lines, found.untested) == ("", [], "")
    assert "no potentials" in found.headline


def test_errors_of_the_conductivity_are_named_near_room_temperature():
    rows = [
        ("gap/gen0", "a", 300, 12.0, 12.95),
        ("gap/gen0", "b", 300, 11.0, 10.0),
        ("gap/gen0", "b", 900, 1.0, 10.0),
        ("mace/gen0", "a", 300, 6.0, 12.0),
        ("mace/gen0", "b", 300, None, 10.0),
    ]
    columns = ["method", "structure", "temperature_kelvin"]
    columns += ["kappa_w_per_m_k", "reference_w_per_m_k"]
    given = [pd.DataFrame({"x": [1]}), pd.DataFrame(rows, columns=columns)]
    words = kappa_in_words(campaign(), given)
    assert words == "Error of κ at 300 K: GAP −7 to +10 % (2 crystals); MACE −50 %."
    assert kappa_in_words(campaign(), []) == ""
