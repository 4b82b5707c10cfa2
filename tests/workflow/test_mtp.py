"""Whole run of a moment tensor potential beside the reference itself."""

import json

import pandas as pd
import pytest

from phonsmith.potentials.calculators import load_potential
from phonsmith.potentials.mtp import read
from tests.campaigns import TINY
from tests.project import Project

CAMPAIGN = {
    **TINY,
    "fits": {
        "mtp": {"kind": "mtp", "level": 10, "max_iterations": 10},
        "itself": TINY["fits"]["itself"],
    },
    "benchmarks": {"mechanics": True},
}


@pytest.mark.slow
def test_a_moment_tensor_potential_runs_through_a_campaign(tmp_path, repository):
    project = Project(tmp_path, repository, tiny=CAMPAIGN)
    run = project.run()
    assert run.returncode == 0, run.stdout + run.stderr
    results = project.results("tiny")
    rmse = pd.read_csv(results / "tables/rmse.csv")
    own = rmse[(rmse.fit == "mtp") & (rmse.cell == "relaxed")].rmse_thz
    assert len(own) == 2 and (own < 0.06).all(), rmse
    folder = results / "fits/mtp/gen0"
    record = json.loads((folder / "fit.json").read_text())
    assert record["details"]["basis_functions"] == 16
    assert read(folder / "model/potential.mtp").potential_tag == "Si"
    assert load_potential(folder / "potential.json").source.calculator == "mtp"
    report = (results / "report.html").read_text()
    assert "Shapeev" in report and "motep" in report
