"""Campaigns with polynomial potentials, whose environment is made once."""

import sysconfig
from pathlib import Path

import pandas as pd
import pytest

from tests.environments import share_environment
from tests.project import Project

CAMPAIGN = {
    "structures": {"mp-149": {"file": "config/structures/silicon/mp-149.vasp"}},
    "reference": {
        "method": "calculator",
        "potential": {"calculator": "stillinger-weber"},
        "isolated_atoms": False,
    },
    "supercells": {
        **{"min_length_angstrom": 7.0, "min_atoms": 8, "max_atoms": 70},
        "rattled": {"count": 6, "std_angstrom": 0.05, "volume_factors": [0.97, 1.0, 1.03]},
    },
    "fits": {"mlp": {"kind": "polymlp", "cutoff_angstrom": 5.0}},
    "phonons": {"points_per_segment": 5, "mesh_length_angstrom": 15},
    "benchmarks": {"mechanics": False},
    "figures": {"formats": ["svg"]},
}
TABLE = "results/tiny/tables/rmse.csv"


HEADERS = Path(sysconfig.get_path("include")) / "Python.h"


@pytest.mark.skipif(not HEADERS.is_file(), reason="install Python's headers (Debian: python3-dev)")
def test_the_environment_is_made_before_the_fit(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "tools"
    (tools / "share/eigen3/cmake").mkdir(parents=True)
    (tools / "share/eigen3/cmake/Eigen3Config.cmake").touch()
    (tools / "c++").touch(mode=0o755)
    monkeypatch.setenv("CMAKE_PREFIX_PATH", str(tools))
    monkeypatch.setenv("CXX", str(tools / "c++"))
    planned = Project(tmp_path / "project", repository, tiny=CAMPAIGN).planned(TABLE)
    assert planned["make_environment"] == planned["fit"] == 1


def test_without_a_compiler_the_campaign_is_refused_in_a_line(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    project = Project(tmp_path, repository, tiny=CAMPAIGN)
    words = ["fits.mlp: environment 'polymlp' cannot be made", "no C++ compiler (no-such-compiler)"]
    project.refuses(words, "-n", TABLE)


@pytest.mark.slow
def test_phonons_of_silicon_by_a_polynomial(tmp_path: Path, repository: Path) -> None:
    project = Project(tmp_path, repository, tiny=CAMPAIGN)
    share_environment("polymlp", repository, project.folder)
    run = project.run()
    assert run.returncode == 0, run.stdout + run.stderr
    tables = project.results("tiny") / "tables"
    rmse = pd.read_csv(tables / "rmse.csv").set_index("cell")
    assert rmse.rmse_thz["reference"] < 0.03 and rmse.rmse_thz["relaxed"] < 0.03
    assert abs(rmse.volume_error_percent["relaxed"]) < 0.1
    assert "pypolymlp 0.22.1" in (tables / "fits.csv").read_text()
    page = (project.results("tiny") / "report.html").read_text()
    assert "J. Appl. Phys. 133, 011101" in page
    assert project.planned() == {}
