"""What the crystals' files say about other settings."""

from collections.abc import Mapping
from typing import Any

import pytest
from ase import Atoms
from ase.build import bulk

from phonsmith.campaign.model import Campaign
from phonsmith.check.crystals import contradictions, doubts
from tests.check.bad_files import GOOD

SI, GE = bulk("Si"), bulk("Ge")
CRYSTALS = {"si": SI, "ge": GE}
THERMAL = {"kind": "thermal", "start": {"structure": "si"}}


def campaign(settings: Mapping[str, Any]) -> Campaign:
    structures = {"si": {"file": "si.vasp"}, "ge": {"file": "ge.vasp"}}
    return Campaign.model_validate({**GOOD, "structures": structures, **settings})


def of_temperature(*structures: str) -> dict[str, Any]:
    transition = {"driven_by": "temperature", "structures": list(structures)}
    return {"thermodynamics": {}, "transitions": {"t": transition}}


def fit(**settings: Any) -> dict[str, Any]:
    return {"fits": {"f": settings}}


def disorder(element: str) -> dict[str, Any]:
    return {"disorder": {"runs": {"r": {"protocol": THERMAL}}, "element": element}}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (of_temperature("si", "ge"), ["transitions.t.structures", "si (Si), ge (Ge)"]),
        (disorder("Ge"), ["disorder.element: Ge, but the run r is of Si"]),
        (
            fit(kind="gap", soap={"cutoff_angstrom": 2.0}, two_body=None),
            ["fits.f: the cutoff radius of 2 Å", "si, 2.35 Å", "raise it"],
        ),
        (
            fit(kind="mtp", min_distance_angstrom=2.4),
            ["fits.f: the shortest distance", "2.4 Å", "in si, 2.35 Å", "lower it"],
        ),
        (fit(kind="pod", inner_cutoff_angstrom=3.0), ["fits.f: the shortest distance", "3 Å"]),
    ],
)
def test_settings_that_the_crystals_exclude(settings: dict[str, Any], words: list[str]) -> None:
    line = next(contradictions(campaign(settings), CRYSTALS))
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    "settings",
    [
        {},
        disorder("Si"),
        fit(kind="mace"),
        fit(kind="mtp"),
        fit(kind="pod"),
        fit(kind="polymlp"),
        fit(kind="force-constants"),
    ],
)
def test_sound_settings_have_neither(settings: dict[str, Any]) -> None:
    assert list(contradictions(campaign(settings), CRYSTALS)) == []
    assert list(doubts(campaign(settings), CRYSTALS)) == []


def test_scaled_crystals_have_the_composition_of_their_crystal() -> None:
    structures = {"si": {"file": "a"}, "large": {"scaled": {"of": "si", "linear": 1.02}}}
    given = {**of_temperature("si", "b"), "structures": {**structures, "b": {"file": "b"}}}
    double = bulk("Si", cubic=True)
    assert list(contradictions(campaign(given), {"si": SI, "b": double})) == []


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            {"structures": {"si": {"file": "a", "masses": {"Si": 14}}}},
            "structures.si.masses.Si: 14 u; the natural element has 28.1 u",
        ),
        (
            {"structures": {"si": {"file": "a"}, "b": {"file": "a"}}},
            "structures.b: equal to structures.si, with the file a",
        ),
        (
            {"distillation": {"m": {"protocol": {**THERMAL, "start": {"composition": "SI"}}}}},
            "distillation.m.protocol: SI, but no crystal contains I, S",
        ),
    ],
)
def test_unusual_settings(settings: dict[str, Any], line: str) -> None:
    given = campaign({"structures": {"si": {"file": "a"}}, **settings})
    crystals: dict[str, Atoms] = dict.fromkeys(given.structures, SI)
    assert list(doubts(given, crystals)) == [line]
