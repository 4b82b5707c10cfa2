"""A campaign with proper orthogonal descriptors."""

from pathlib import Path

import pandas as pd
import pytest

from tests.environments import share_environment
from tests.project import Project
from tests.workflow.test_polymlp import CAMPAIGN, TABLE

POD = {**CAMPAIGN, "fits": {"pod": {"kind": "pod"}}}


def test_the_environment_is_made_before_the_fit(tmp_path: Path, repository: Path) -> None:
    planned = Project(tmp_path, repository, tiny=POD).planned(TABLE)
    assert planned["make_environment"] == planned["fit"] == 1


@pytest.mark.slow
def test_phonons_of_silicon_by_a_pod(tmp_path: Path, repository: Path) -> None:
    project = Project(tmp_path, repository, tiny=POD)
    share_environment("lammps", repository, project.folder)
    run = project.run()
    assert run.returncode == 0, run.stdout + run.stderr
    tables = project.results("tiny") / "tables"
    rmse = pd.read_csv(tables / "rmse.csv").set_index("cell")
    assert rmse.rmse_thz["reference"] < 0.05 and rmse.rmse_thz["relaxed"] < 0.05
    assert abs(rmse.volume_error_percent["relaxed"]) < 0.2
    assert "lammps 2025.7.22.4.0" in (tables / "fits.csv").read_text()
    assert "J. Comput. Phys. 480" in (project.results("tiny") / "report.html").read_text()
    assert project.planned() == {}
