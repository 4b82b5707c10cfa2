"""Whole run of force constants without a potential beside a potential, in all stages."""

import json

import numpy as np
import pandas as pd
import pytest

from phonsmith.campaign.reading import load_campaign
from phonsmith.files.errors import PhonsmithError
from tests.conductivity.examples import SMALL, SW
from tests.project import Project

CAMPAIGN = {
    "structures": {"si": {"file": "config/structures/kappa/si-diamond-cubic.vasp"}},
    "reference": {"method": "calculator", "potential": SW},
    "supercells": {
        "min_length_angstrom": 10,
        "max_atoms": 64,
        "rattled": {
            "count": 16,
            "std_angstrom": 0.02,
            "volume_factors": [1.0, 1.0, 1.0, 1.05],
            "max_angle_strain_degree": 0,
        },
    },
    "datasets": {"test_fraction": 0.15},
    "fits": {
        "fc": {"kind": "force-constants", "learn_from": ["displaced"]},
        "fc3": {"kind": "force-constants", "third_order": True, "learn_from": ["rattled"]},
        "itself": {"kind": "existing", "potential": SW},
    },
    "phonons": {"points_per_segment": 5, "mesh_length_angstrom": 15},
    "benchmarks": {"mechanics": True},
    "thermodynamics": {"quasi_harmonic": False, "volumes": 5, "mesh_length_angstrom": 15},
    "conductivity": {
        "third_order": {"way": "fit", "random_cells": 12, **SMALL},
        "temperatures_kelvin": [300],
        "mesh": [3, 3, 3],
        "jackknife_groups": 5,
    },
    "figures": {"formats": ["svg"]},
}


@pytest.mark.slow
def test_force_constants_stand_beside_potentials(tmp_path, repository) -> None:
    project = Project(tmp_path, repository, tiny=CAMPAIGN)
    run = project.run()
    assert run.returncode == 0, run.stdout + run.stderr
    results = project.results("tiny")
    tables = results / "tables"

    rmse = pd.read_csv(tables / "rmse.csv").set_index(["fit", "cell"])
    assert rmse.rmse_thz["fc", "reference"] < 1e-3  # the reference's own cells
    assert bool(rmse.in_sample["fc", "reference"]) and not bool(rmse.in_sample["fc3", "reference"])
    assert 1e-3 < rmse.rmse_thz["fc3", "reference"] < 0.1
    for fit in ("fc", "fc3"):
        assert np.isnan(rmse.rmse_thz[fit, "relaxed"])
        assert "cannot relax a crystal" in rmse.reason[fit, "relaxed"]

    gamma = pd.read_csv(tables / "gamma.csv")
    assert {"fc", "fc3", "itself"} < set(gamma.method.str.partition("/")[0])

    overview = pd.read_csv(tables / "conductivity_overview.csv")
    overview = overview[overview.component.isna() | (overview.component == "mean")]
    kappa = overview.set_index(overview.method.str.partition("/")[0])
    assert "third_order: true" in kappa.remark["fc"]
    assert kappa["300 K"]["fc3"] == pytest.approx(kappa["300 K"]["reference"], rel=0.2)  # 11 cells
    error = kappa["300 K, uncertainty"]["fc3"]
    assert abs(kappa["300 K"]["fc3"] - kappa["300 K"]["reference"]) < 3 * error
    labels = pd.read_csv(tables / "third_order_labels.csv")
    labels = labels.set_index(labels.method.str.partition("/")[0])
    assert bool(labels.recorded["fc3"]) and labels.way["fc3"] == "fit"

    errors = pd.read_csv(tables / "errors.csv")
    errors = errors[(errors.kind == "all") & (errors.structure == "all")]
    assert set(errors[errors.fit == "fc3"].quantity) == {"force"}
    assert set(errors[errors.fit == "fc3"].set) <= {"train", "test"}

    thermal = json.loads((results / "thermodynamics/fc/gen0/si.json").read_text())
    assert "only of force constants, but a free energy needs energies" in thermal["reason"]
    mechanics = pd.read_csv(tables / "mechanics.csv")
    why = mechanics[mechanics.fit == "fc3"].reason
    assert why.str.contains("the equation of state needs energies").all()

    warnings = pd.read_csv(tables / "warnings.csv")
    assert warnings.message.str.contains("labelled cells are omitted: their lattice").any()
    page = (results / "report.html").read_text()
    assert "2 fits of force constants" in page
    assert project.planned() == {}


def test_force_constants_need_the_cell_of_the_reference(tmp_path, repository) -> None:
    phonons = {**CAMPAIGN["phonons"], "cells": ["relaxed"]}
    project = Project(tmp_path, repository, tiny={**CAMPAIGN, "phonons": phonons})
    with pytest.raises(PhonsmithError, match=r"fits\.fc: .* add `reference` to phonons\.cells"):
        load_campaign(project.folder / "config/campaigns/tiny.yaml")


LOOP = {"goal": {"rmse_thz": 0.1, "cell": "reference", "harmonic_only": True}}


def test_the_loop_judges_force_constants_but_potentials_end_it(tmp_path, repository) -> None:
    fits = {"fc": {**CAMPAIGN["fits"]["fc3"]}, "gap": {"kind": "gap"}}
    project = Project(tmp_path, repository, tiny={**CAMPAIGN, "fits": fits, "loop": LOOP})
    campaign = load_campaign(project.folder / "config/campaigns/tiny.yaml")
    assert campaign.trained == ["fc", "gap"]
    assert campaign.deciding == ["gap"]
    assert campaign.without_potential == ["fc"]
    chosen = {**LOOP, "decided_by": ["fc", "gap"]}
    project.write("chosen", {**CAMPAIGN, "fits": fits, "loop": chosen})
    assert load_campaign(project.folder / "config/campaigns/chosen.yaml").deciding == ["fc", "gap"]
    project.write("alone", {**CAMPAIGN, "fits": {"fc": fits["fc"]}, "loop": LOOP})
    alone = load_campaign(project.folder / "config/campaigns/alone.yaml")
    assert (alone.deciding, alone.judges) == (["fc"], [])


@pytest.mark.parametrize(
    ("loop", "words"),
    [
        ({"goal": {**LOOP["goal"], "cell": "relaxed"}}, "loop.goal.cell: force constants have"),
        ({"selection": {"method": "committee"}}, "cells are selected by a trained potential"),
        ({"judges": "fc"}, "loop.judges: 'fc' is not a trained potential"),
        ({"decided_by": ["fcc"]}, "loop.decided_by: 'fcc' is not a trained recipe.* 'fc'"),
    ],
)
def test_what_a_loop_of_force_constants_cannot_do(tmp_path, repository, loop, words) -> None:
    fits = {"fc": CAMPAIGN["fits"]["fc3"]}
    wrong = {**CAMPAIGN, "fits": fits, "loop": {**LOOP, **loop}}
    project = Project(tmp_path, repository, tiny=wrong)
    with pytest.raises(PhonsmithError, match=words):
        load_campaign(project.folder / "config/campaigns/tiny.yaml")


@pytest.mark.slow
def test_a_loop_of_force_constants_ends_when_the_conductivity_has_settled(
    tmp_path, repository
) -> None:
    """Without a potential: cells are added until κ changes little and is known well enough."""
    kappa = {
        **{"of": "conductivity", "structure": "si", "temperature_kelvin": 300},
        **{"within_percent": 15, "uncertainty_percent": 10},
    }
    loop = {
        "max_generations": 6,
        "cells_per_structure": 8,
        "selection": {"amplitude_factors": [1.0]},
        "goal": {"rmse_thz": 0.1, "cell": "reference", "properties": {"kappa": kappa}},
    }
    rattled = {**CAMPAIGN["supercells"]["rattled"], "count": 8, "volume_factors": [1.0]}
    changed = {
        "supercells": {**CAMPAIGN["supercells"], "rattled": rattled},
        "datasets": {"test_fraction": 0},
        "fits": {"fc3": CAMPAIGN["fits"]["fc3"]},
        "benchmarks": {"mechanics": False},
        "thermodynamics": None,
        "loop": loop,
    }
    project = Project(tmp_path, repository, tiny={**CAMPAIGN, **changed})
    run = project.run()
    assert run.returncode == 0, run.stdout + run.stderr
    table = pd.read_csv(project.results("tiny") / "tables/properties.csv")
    last = table.iloc[-1]
    assert pd.isna(last.reason) and len(table) > 1
    assert abs(last.change) <= 15 and 100 * last.uncertainty / last.value <= 10
    assert table.reason[:-1].notna().all()
    overview = pd.read_csv(project.results("tiny") / "tables/conductivity_overview.csv")
    overview = overview[overview.component.isna() | (overview.component == "mean")]
    truth = overview.set_index(overview.method.str.partition("/")[0])["300 K"]["reference"]
    assert abs(last.value - truth) < 3 * last.uncertainty
    assert project.planned() == {}
