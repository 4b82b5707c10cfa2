"""A conductivity has settled when neither its change nor its error bar is beyond the goal."""

import lzma
from pathlib import Path

import pytest
from pydantic import ValidationError

from phonsmith.conductivity.jackknife import NOT_RANDOM, with_jackknife
from phonsmith.conductivity.kappa import thermal_conductivity
from phonsmith.conductivity.settings import Conductivity
from phonsmith.generations.properties import (
    Property,
    PropertyVerdict,
    judge_property,
    property_of,
)
from phonsmith.generations.settings import ConductivityGoal
from phonsmith.generations.verdict import FitVerdict, GenerationVerdict, properties_table
from tests.conductivity.examples import recorded

GOAL = {"of": "conductivity", "structure": "a", "temperature_kelvin": 300, "within_percent": 3}


def judged(
    *found: Property, before: PropertyVerdict | None = None, **goal: float
) -> PropertyVerdict:
    asked = ConductivityGoal.model_validate({**GOAL, **goal})
    return judge_property("kappa", asked, found, {"kappa": before} if before else {})


def kappa(value: float, uncertainty: float | None = None, why: str = "") -> Property:
    return Property(value, "W/mK", uncertainty=uncertainty, without_uncertainty=why)


def test_a_small_change_of_an_uncertain_value_is_no_convergence() -> None:
    first = judged(kappa(100.0, 9.0))
    assert "has no value in the previous generation" in first.reason
    second = judged(kappa(101.0, 6.0), before=first)
    assert second.change == pytest.approx(1.0)
    assert second.uncertainty == pytest.approx(6.0)
    assert second.reason == "kappa 101 W/mK is uncertain by 5.94 %, allowed: 3 %"
    third = judged(kappa(102.0, 2.0), before=second)
    assert third.reason == ""
    moved = judged(kappa(110.0, 2.0), before=second)
    assert "changed by +8.91 %" in moved.reason


def test_the_table_of_properties_has_the_uncertainty() -> None:
    fit = FitVerdict.model_validate(
        {
            **dict.fromkeys(FitVerdict.model_fields),
            **{"fit": "fc", "repeats": ["fc"], "structures": [], "reasons": []},
            "properties": [judged(kappa(100.0, 9.0))],
        }
    )
    verdict = GenerationVerdict(
        **{"campaign": "c", "generation": 0, "stop": None, "best": "fc", "fits": [fit]},
        **{"labels": {"a": 5}, "next_cells": {"a": 5}},
    )
    (row,) = properties_table([verdict]).to_dict("records")
    assert (row["value"], row["uncertainty"], row["labels"]) == (100.0, 9.0, 5)


def test_its_limit_can_differ_from_that_of_the_change() -> None:
    first = judged(kappa(100.0, 4.0))
    assert judged(kappa(101.0, 4.0), before=first, uncertainty_percent=5).reason == ""
    assert "allowed: 2 %" in judged(kappa(101.0, 3.0), before=first, uncertainty_percent=2).reason


def test_cells_too_few_for_an_error_bar_keep_the_loop_going() -> None:
    first = judged(kappa(100.0, why="5 cells cannot be divided into 6 groups"))
    second = judged(kappa(100.0, why="5 cells cannot be divided into 6 groups"), before=first)
    assert second.reason == (
        "kappa 100 W/mK has no uncertainty: 5 cells cannot be divided into 6 groups"
    )


def test_of_displaced_cells_it_counts_only_where_it_is_asked_for() -> None:
    """As before there were error bars; a jackknife of cells that symmetry determines means none."""
    first = judged(kappa(100.0, why=NOT_RANDOM))
    assert judged(kappa(101.0, why=NOT_RANDOM), before=first).reason == ""
    assert judged(kappa(101.0), before=first).reason == ""
    asked = judged(kappa(101.0, why=NOT_RANDOM), before=first, uncertainty_percent=3)
    assert "has no uncertainty" in asked.reason


def test_the_spread_of_repeats_is_part_of_it() -> None:
    both = (kappa(99.0, 3.0), kappa(101.0, 3.0))
    found = judged(*both)
    assert found.noise == pytest.approx(2**0.5)
    assert found.uncertainty == pytest.approx(11**0.5)
    asked = judged(kappa(99.0), kappa(101.0), before=found, uncertainty_percent=1)
    assert "is uncertain by 1.41 %" in asked.reason
    # without a jackknife, the spread alone is training noise: it counts only where asked for
    assert judged(kappa(95.0), kappa(105.0), before=found).reason == ""


def test_a_limit_is_positive() -> None:
    with pytest.raises(ValidationError, match="greater than"):
        ConductivityGoal.model_validate({**GOAL, "uncertainty_percent": 0})


@pytest.mark.slow
def test_rock_salt_settles_with_few_of_its_cells(shared_data: Path, tmp_path: Path) -> None:
    """More and more of 100 recorded random cells of NaCl until κ has settled: far from all."""
    packed = shared_data / "nacl-pbesol-random/phono3py_params_NaCl.yaml.xz"
    path = tmp_path / "nacl.yaml"
    path.write_bytes(lzma.decompress(packed.read_bytes()))
    _, third, _ = recorded(path, tmp_path)
    moves, forces = third.dataset["displacements"], third.dataset["forces"]
    asked = Conductivity(temperatures_kelvin=[300], mesh=(4, 4, 4), jackknife_groups=5)

    def found(count: int, uncertain: bool = True) -> Property:
        third.dataset = {"displacements": moves[:count], "forces": forces[:count]}
        third.produce_fc3(fc_calculator="symfc")
        result, _ = thermal_conductivity(third, asked, "a", "fc", imaginary_tolerance_thz=0.1)
        if uncertain:
            result = with_jackknife(
                result, third, asked, pair_cutoff_angstrom=None, imaginary_tolerance_thz=0.1
            )
        result.save(tmp_path / "kappa.json")
        goal = ConductivityGoal.model_validate(GOAL)
        return property_of(goal, tmp_path / "kappa.json")

    before, history = None, {}
    for count in (5, 10, 20, 40, 80):
        before = history[count] = judged(found(count), before=before)
        if not before.reason:
            break
    assert history[5].uncertainty is None  # 4 cells do not determine the force constants
    assert 10 < count < 80
    truth = found(100, uncertain=False).value
    assert before is not None and before.value is not None and truth is not None
    assert abs(before.value - truth) < 0.03 * truth
