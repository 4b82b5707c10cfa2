"""Whole runs of campaigns with transitions, and settings that contradict each other."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from phonsmith.campaign.model import Campaign
from phonsmith.generations.verdict import GenerationVerdict
from tests.project import Project

SILICON = {
    "structures": {
        "diamond": {"file": "config/structures/silicon/mp-149.vasp"},
        "beta-tin": {"file": "config/structures/foundation/si-beta-sn.vasp"},
        "hexagonal": {"file": "config/structures/silicon/mp-165.vasp"},
    },
    "reference": {"method": "calculator", "potential": {"calculator": "stillinger-weber"}},
    "relaxation": {"fmax_ev_per_angstrom": 2e-3, "on_change": "leave_out"},
    "supercells": {
        "kinds": ["displaced"],
        "min_length_angstrom": 7.0,
        "min_atoms": 8,
        "max_atoms": 64,
    },
    "fits": {
        "sw": {"kind": "existing", "potential": {"calculator": "stillinger-weber"}},
    },
    "phonons": {"cells": ["relaxed"]},
}

PRESSED = {
    "beta-tin": {
        "driven_by": "pressure",
        "structures": ["diamond", "beta-tin"],
        "pressures_gpa": [0, 15, 30],
        "volumes": 6,
    }
}
WARMED = {"hexagonal": {"driven_by": "temperature", "structures": ["diamond", "hexagonal"]}}


def test_a_campaign_under_pressure(tmp_path: Path) -> None:
    """Reference and fit are one potential here: two ways through the pipeline, one answer."""
    project = Project(tmp_path, Path(__file__).parents[2], si={**SILICON, "transitions": PRESSED})
    run = project.run(
        "results/si/tables/transitions_overview.csv", "results/si/figures/transitions/beta-tin.svg"
    )
    assert run.returncode == 0, run.stderr
    table = pd.read_csv(tmp_path / "results/si/tables/transitions.csv")
    relaxed = table[table["approximation"] == "enthalpy"].set_index("fit")
    assert set(relaxed.index) == {"reference", "sw"}
    assert relaxed["value"].tolist() == pytest.approx([18.1, 18.1], abs=0.6)
    assert relaxed.loc["reference", "value"] == pytest.approx(relaxed.loc["sw", "value"], abs=0.01)
    assert (tmp_path / "results/si/figures/transitions/beta-tin.svg").stat().st_size > 5000


@pytest.mark.slow
def test_a_loop_goes_on_until_the_transition_has_settled(tmp_path: Path) -> None:
    """Small GAPs from cells under pressure: 15.3, 16.9, 17.1 GPa; Stillinger–Weber has 18.1."""
    gap = {
        **{"kind": "gap", "learn_from": ["rattled"], "repeats": 2},
        "soap": {"n_sparse": 60, "n_max": 4, "l_max": 3, "cutoff_angstrom": 4.0},
    }
    settings = {
        **copy.deepcopy(SILICON),
        "seed": 2,
        "supercells": {
            **{"min_length_angstrom": 6.0, "min_atoms": 8, "max_atoms": 70},
            "rattled": {
                **{"count": 4, "std_angstrom": 0.05},
                "volume_factors": [0.85, 0.9, 1.0, 1.03],
            },
        },
        "datasets": {"test_fraction": 0.1, "min_group_to_split": 10},
        "fits": {"gap": gap},
        "phonons": {"points_per_segment": 5, "mesh_length_angstrom": 15, "cells": ["relaxed"]},
        "transitions": {"press": {**PRESSED["beta-tin"], "pressures_gpa": [0, 10, 20, 30]}},
        "loop": {
            **{"max_generations": 5, "cells_per_structure": 4},
            "goal": {
                **{"rmse_thz": 1.0, "no_false_imaginary": False, "max_volume_error_percent": None},
                "properties": {
                    "press": {"of": "transition", "transition": "press", "within_gpa": 1.0}
                },
            },
        },
    }
    settings["reference"]["isolated_atoms"] = False
    del settings["structures"]["hexagonal"]
    project = Project(tmp_path, Path(__file__).parents[2], si=settings)
    run = project.run("results/si/tables/properties.csv", "results/si/tables/transitions.csv")
    assert run.returncode == 0, run.stderr
    files = sorted(project.results("si").glob("generations/gen*.json"))
    verdicts = [GenerationVerdict.load(one) for one in files]
    assert 2 <= len(verdicts) < 5
    assert [one.stop for one in verdicts] == [None] * (len(verdicts) - 1) + ["goal"]
    assert [list(one.next_cells.values()) for one in verdicts[:-1]] == [[4, 4]] * (
        len(verdicts) - 1
    )
    table = pd.read_csv(project.results("si") / "tables/properties.csv")
    assert "has no value in the previous generation" in table["reason"].iloc[0]
    changes = table["change"].iloc[1:].tolist()
    assert changes == pytest.approx(np.diff(table["value"]))
    assert abs(changes[-1]) <= 1 and all(abs(one) > 1 for one in changes[:-1])
    assert (table["noise"] > 0).all()
    # what settled is near the truth, and the mean of what stands in the table of transitions
    assert table["value"].iloc[-1] == pytest.approx(18.1, abs=2.5)
    found = pd.read_csv(project.results("si") / "tables/transitions.csv")
    last = found[
        (found["approximation"] == "enthalpy") & (found["generation"] == len(verdicts) - 1)
    ]
    assert last["value"].mean() == pytest.approx(table["value"].iloc[-1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"transitions": WARMED}, "requires `thermodynamics`"),
        (
            {"transitions": {"x": {**PRESSED["beta-tin"], "pressures_gpa": [0, 30, 15]}}},
            "ascending order",
        ),
        (
            {"transitions": {"x": {**PRESSED["beta-tin"], "structures": ["diamond", "graphite"]}}},
            "no structure 'graphite'; structures are",
        ),
        (
            {"transitions": {"x": {**PRESSED["beta-tin"], "temperatures_kelvin": [300]}}},
            "requires `thermodynamics`",
        ),
        (
            {
                "thermodynamics": {"pressures_gpa": [0, 5]},
                "transitions": {"x": {**WARMED["hexagonal"], "pressure_gpa": 2}},
            },
            "2 is not in thermodynamics.pressures_gpa",
        ),
    ],
)
def test_contradictions_are_found_when_planning(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Campaign.model_validate({**SILICON, **changes})
