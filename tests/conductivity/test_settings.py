"""Settings of conductivities, and what other settings have to agree with."""

import numpy as np
import pytest
from pydantic import ValidationError

from phonsmith.campaign.model import Campaign
from phonsmith.conductivity.settings import Conductivity
from phonsmith.generations.properties import Property, judge_property
from phonsmith.generations.settings import ConductivityGoal
from tests.conductivity.examples import TINY


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"solvers": ["rta", "rta"]}, "solvers contains an entry twice"),
        ({"directions": [[0, 0, 0]]}, "not a direction"),
        ({"cumulative_kelvin": 350}, "not in temperatures_kelvin"),
    ],
)
def test_contradictions(wrong: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Conductivity(**wrong)


def test_structures_have_to_exist() -> None:
    for key, value in (
        ("structures", ["ge"]),
        (
            "published",
            [
                {"label": "a", "source": "b", "structure": "ge"}
                | {"temperature_kelvin": 1, "kappa_w_per_m_k": 1}
            ],
        ),
    ):
        conductivity = {**TINY["conductivity"], key: value}
        with pytest.raises(ValidationError, match=f"conductivity.{key}: .*ge"):
            Campaign.model_validate({**TINY, "conductivity": conductivity})


def test_crystals_are_computed_in_all_generations_where_somebody_asks() -> None:
    """By `all_generations` all of them, by the goal those it names, and none without a loop."""
    other = {"ge": {"file": "config/structures/silicon/mp-149.vasp"}}
    supercells = {**TINY["supercells"], "kinds": ["displaced", "rattled"]}
    plain = {**TINY, "structures": TINY["structures"] | other, "supercells": supercells}
    plain["fits"] = {"gap": {"kind": "gap"}}
    loop = {"goal": {"rmse_thz": 0.1, "harmonic_only": True}}
    asked = {"of": "conductivity", "structure": "ge", "temperature_kelvin": 300}
    asking = {"goal": {"rmse_thz": 0.1, "properties": {"k": {**asked, "within_percent": 5}}}}
    always = {"conductivity": {**TINY["conductivity"], "all_generations": True}}
    for changes, expected in (
        (always, []),
        ({"loop": loop}, []),
        ({"loop": asking}, ["ge"]),
        ({"loop": loop, **always}, ["si", "ge"]),
    ):
        assert Campaign.model_validate({**plain, **changes}).conducting_in_loop == expected


def test_a_property_has_to_settle() -> None:
    goal = ConductivityGoal(
        of="conductivity", structure="si", temperature_kelvin=300, within_percent=5
    )
    start = judge_property("k", goal, [Property(100.0, "W/mK"), Property(110.0, "W/mK")], {})
    assert start.value == 105
    assert start.noise == pytest.approx(np.sqrt(50))
    assert "no value in the previous generation" in start.reason
    near = judge_property("k", goal, [Property(109.0, "W/mK")], {"k": start})
    assert not near.reason
    assert near.change == pytest.approx(100 * 4 / 105)
    assert near.change_unit == "%"
    far = judge_property("k", goal, [Property(120.0, "W/mK")], {"k": start})
    assert "changed by +14.3 % (not assessed, n = 1 and 2), allowed: 5 %" in far.reason
    lost = judge_property("k", goal, [Property(None, "W/mK", "it melts")], {"k": start})
    assert lost.value is None and "it melts" in lost.reason
