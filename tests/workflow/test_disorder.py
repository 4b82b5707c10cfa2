"""Whole runs of disordered structures by the reference and by fits, with equal seeds."""

import numpy as np
import pandas as pd
import pytest

from phonsmith.campaign.reading import load_campaign
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import read_frames
from tests.project import Project

SW = {"calculator": "stillinger-weber"}
CAMPAIGN = {
    "structures": {"si": {"file": "config/structures/silicon/mp-149.vasp"}},
    "reference": {"method": "calculator", "potential": SW},
    "supercells": {"min_length_angstrom": 7, "min_atoms": 8, "max_atoms": 70},
    "disorder": {
        "crystals": ["diamond"],
        "crystal_pressures_gpa": [0, 500],
        "analysis": {
            "neighbour_cutoff_angstrom": 2.85,
            "scattering": {"q_resolution_inverse_angstrom": 0.1},
            "similarity": {"n_max": 4, "l_max": 3, "pressure_tolerance_gpa": 5},
        },
        "runs": {
            "press": {
                **{"runs": 2, "reference_runs": 1},
                "protocol": {
                    **{"kind": "compression", "start": {"composition": "Si", "atoms": 8}},
                    **{"equilibration_ps": 0.02, "ramp_ps": 0.04, "pressure_gpa": [0, 10]},
                    "snapshots": 4,
                },
            },
            # no potential keeps atoms this far apart under such a pressure
            "crushed": {
                "runs": 1,
                "protocol": {
                    **{"kind": "compression", "start": {"structure": "si", "atoms": 8}},
                    **{"equilibration_ps": 0, "ramp_ps": 0.06, "pressure_gpa": [0, 5000]},
                    **{"min_distance_angstrom": 2.2, "snapshots": 20},
                },
            },
        },
    },
    # the reference itself
    "fits": {"same": {"kind": "existing", "potential": SW}},
    "figures": {"formats": ["svg"]},
}


def with_two_fits(*chosen: str) -> dict:
    fits = {**CAMPAIGN["fits"], "slow": CAMPAIGN["fits"]["same"]}
    return {**CAMPAIGN, "fits": fits, "disorder": {**CAMPAIGN["disorder"], "fits": list(chosen)}}


def test_slow_potentials_can_be_left_out(tmp_path, repository) -> None:
    project = Project(tmp_path, repository, tiny=with_two_fits("same"))
    planned = project.planned("results/tiny/tables/disorder.csv")
    # two runs by the reference, three by one fit, none by the other
    assert planned["disorder_run"] == 2 + 3
    assert planned["disorder_crystals"] == 2
    project.write("tiny", with_two_fits("some"))
    with pytest.raises(PhonsmithError, match=r"disorder.fits: 'some' is not a recipe.*did you"):
        load_campaign(project.folder / "config/campaigns/tiny.yaml")


METHODS = ("reference", "same/gen0")


@pytest.mark.slow
def test_potentials_run_side_by_side(tmp_path, repository) -> None:
    project = Project(tmp_path, repository, tiny=CAMPAIGN)
    drawn = ("press/density", "press/similarities", "crushed/similarity-diamond")
    figures = [f"results/tiny/figures/disorder/{name}.svg" for name in drawn]
    run = project.run("results/tiny/tables/disorder.csv", *figures)
    assert run.returncode == 0, run.stdout + run.stderr
    results = project.results("tiny")

    runs = pd.read_csv(results / "tables/disorder_runs.csv").set_index(["model", "data", "run"])
    assert list(runs.index.unique("model")) == ["reference", "same"]
    crushed = runs.xs("crushed", level="data")
    assert crushed.reason.str.contains("Å apart").all()
    assert ((crushed.pressure_gpa > 0) & (crushed.pressure_gpa < 5000)).all()
    assert runs.xs("press", level="data").reason.isna().all()

    # equal potentials from equal cells with equal seeds, other runs with others
    files = [results / f"disorder/{method}/press/0.extxyz" for method in METHODS]
    first, second = map(read_frames, files)
    other = read_frames(results / "disorder/same/gen0/press/1.extxyz")
    for one, same, different in zip(first, second, other, strict=True):
        np.testing.assert_array_equal(one.positions, same.positions)
        assert not np.allclose(one.positions, different.positions)

    table = pd.read_csv(results / "tables/disorder.csv").set_index(["model", "data"])
    assert dict(table.runs.xs("press", level="data")) == {"reference": 1, "same": 2}
    numbers = table.select_dtypes("number").xs("crushed", level="data")
    pd.testing.assert_series_equal(numbers.loc["reference"], numbers.loc["same"], check_names=False)
    for name in figures:
        assert (tmp_path / name).read_text().startswith("<?xml")
