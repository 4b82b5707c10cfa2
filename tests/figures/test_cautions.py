"""Warnings in the report."""

from dataclasses import replace

import pandas as pd
import pytest

from phonsmith.benchmarks.tables import rmse_table
from phonsmith.figures.cautions import cautions
from phonsmith.figures.results_read import Tables
from phonsmith.generations.properties import PropertyVerdict
from phonsmith.generations.verdict import FitVerdict, GenerationVerdict
from tests.figures.examples import bare_tables, campaign, table, tables


def verdict(stop: str, reasons: list[str], unjudged: str = "") -> GenerationVerdict:
    """What warnings read of a verdict."""
    unknown = [PropertyVerdict.model_construct(reason=unjudged, judged=False)] if unjudged else []
    fit = FitVerdict.model_construct(fit="gap", reasons=reasons, properties=unknown)
    return GenerationVerdict.model_construct(
        campaign="demo", generation=3, stop=stop, best="gap", fits=[fit]
    )


@pytest.mark.parametrize(
    ("stop", "reasons", "unjudged", "said"),
    [
        (
            "max_generations",
            ["67 % of the structures meet the criteria"],
            "",
            "The loop missed its goal (generation 3, max_generations is reached): 67 % of the",
        ),
        ("goal_in_part", [], "one repeat", "The loop met its goal only in part"),
        ("goal", [], "", None),
    ],
)
def test_a_loop_that_misses_its_goal_is_the_first_thing_said(stop, reasons, unjudged, said):
    found = cautions(campaign(), bare_tables(), verdict(stop, reasons, unjudged))
    first = found[0]
    if said is None:
        assert first.stage != "generations"
    else:
        assert (first.stage, first.subject) == ("generations", "GAP")
        assert said in first.message


@pytest.mark.parametrize(
    ("means", "said"),
    [
        (
            [0.4, 0.009, 0.02, 0.018],
            "Generation 1 had a smaller mean RMSE, 0.009 instead of 0.018 THz; its potential is in "
            "results/demo/fits/gap/gen1/.",
        ),
        ([0.4, 0.3, 0.2, 0.1], ""),
        ([0.4, 0.1001, 0.2, 0.1004], ""),
        ([0.4, None, 0.2, None], ""),
    ],
)
def test_an_earlier_generation_with_a_smaller_error_is_named(means, said):
    rows = [
        {"generation": i, "fit": fit, "mean_rmse_thz": mean}
        for i, mean in enumerate(means)
        for fit, mean in (("gap", mean), ("mace", 0.001))
    ]
    given = replace(bare_tables(), generations=pd.DataFrame(rows).astype({"mean_rmse_thz": float}))
    found = cautions(campaign(), given, verdict("max_generations", ["too large"]))
    assert found[0].message.endswith(f"too large. {said}".rstrip())


def test_all_well_gives_no_cautions():
    rmse = table({("sw", "mp-149", "relaxed"): 0.1}, in_sample=())
    given = tables(rmse, failures=0)
    given = Tables(rmse, given.structures.assign(reason=""), given.labels, given.fits)
    far = {"displaced": {"distance_angstrom": 0.03}}
    assert cautions(campaign(supercells=far), given) == []
    (cusp,) = cautions(campaign(), given)
    assert (cusp.stage, cusp.subject) == ("phonons", "sw")
    assert "The displacement of 0.01 Å is inside the narrow well of chgnet" in cusp.message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"minimum_frequency_thz": -0.25}, "The reference has imaginary modes (−0.25 THz"),
        ({"minimum_frequency_thz": None}, "No reference phonons: not all displaced cells"),
        ({"minimum_frequency_thz": -0.01}, ""),
    ],
)
def test_reference_phonons_that_are_missing_or_imaginary_are_told(changes, said):
    alone = campaign(fits={}, thermodynamics={})
    bare = bare_tables(failures=0)
    phonons = pd.DataFrame([{"structure": "mp-149", **changes}])
    given = Tables(
        rmse_table([]), bare.structures.assign(reason=""), bare.labels, bare.fits, phonons=phonons
    )
    found = cautions(alone, given)
    assert [one.subject for one in found] == (["mp-149"] if said else [])
    assert all(said in one.message for one in found)


def test_labels_of_two_versions_and_energies_of_another_zero_are_told():
    bare = bare_tables(failures=0)
    errors = pd.DataFrame({"fit": ["mace", "sw"], "energy_shift_ev": ["Si +0.0001", "Si +158.87"]})
    labels = bare.labels.assign(code="vasp 6.3.0, vasp 6.4.1")
    far = campaign(supercells={"displaced": {"distance_angstrom": 0.03}})
    rmse = table({("sw", "mp-149", "relaxed"): 0.1}, in_sample=())
    given = Tables(rmse, bare.structures.assign(reason=""), labels, bare.fits, errors)
    codes, shift = cautions(far, given)
    assert "2 codes or versions are used together: vasp 6.3.0 and vasp 6.4.1" in codes.message
    assert (shift.stage, shift.subject) == ("errors", "sw")
    assert "Si +158.87" in shift.message
