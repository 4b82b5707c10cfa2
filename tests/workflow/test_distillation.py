"""Whole run of a campaign whose fit also learns from a teacher's molecular dynamics."""

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
    "supercells": {
        **{"kinds": ["displaced"], "min_length_angstrom": 7, "min_atoms": 8, "max_atoms": 70}
    },
    "distillation": {
        "liquid": {
            "runs": 2,
            "protocol": {
                **{"kind": "compression", "start": {"composition": "Si", "atoms": 12}},
                **{"equilibration_ps": 0.05, "ramp_ps": 0.05, "snapshots": 5},
                "pressure_gpa": [0, 10],
            },
        },
        "quench": {
            "use": "test",
            "protocol": {
                **{"kind": "melt-quench", "snapshots": 4, "melt_kelvin": 1000},
                "start": {"structure": "si", "atoms": 8, "vacancies": 1},
                **{"equilibration_ps": 0, "melt_ps": 0.05, "cold_ps": 0},
                **{"heating_rate_kelvin_per_s": 1e17, "quench_rate_kelvin_per_s": 1e17},
            },
        },
    },
    "fits": {"gap": {"kind": "gap", "soap": {"n_sparse": 40, "n_max": 4, "l_max": 3}}},
    "phonons": {"points_per_segment": 5, "mesh_length_angstrom": 12},
    "figures": {"formats": ["svg"]},
}


def test_a_fit_learns_from_a_teachers_runs(tmp_path, repository) -> None:
    project = Project(tmp_path, repository, tiny=CAMPAIGN)
    tables = [f"results/tiny/tables/{name}.csv" for name in ("distillation", "error_against_cost")]
    run = project.run(*tables)
    assert run.returncode == 0, run.stdout + run.stderr
    results = project.results("tiny")

    runs = pd.read_csv(results / "tables/distillation.csv").set_index(["data", "run"])
    assert list(runs.use) == ["train", "train", "test"]
    assert (runs.steps == runs.planned_steps).all() and runs.reason.isna().all()
    assert list(runs.snapshots) == [5, 5, 5]  # four of the quench, and the relaxed cell

    train = read_frames(results / "datasets/gen0/train.extxyz")
    kinds = [atoms.info["kind"] for atoms in train]
    assert kinds.count("distilled") == 10 and kinds.count("displaced") == 1
    test = read_frames(results / "datasets/gen0/test.extxyz")
    assert {atoms.info["structure"] for atoms in test} == {"quench"}

    errors = pd.read_csv(results / "tables/errors.csv")
    assert errors[errors.structure == "quench"].mae.gt(0).all()
    errors = errors[(errors.quantity == "force") & (errors.kind == "distilled")]
    assert set(zip(errors["set"], errors.structure, strict=True)) == {
        *{("train", "liquid"), ("train", "all"), ("test", "quench"), ("test", "all")}
    }

    costs = pd.read_csv(results / "tables/error_against_cost.csv").set_index("data")
    assert set(costs.index) == {"quench", "all"}
    assert (costs.times_faster > 0).all() and (costs.wall_s_per_atom_step > 0).all()

    # what is there is kept: more runs do not repeat the first ones
    before = (results / "distillation/liquid/0.extxyz").stat().st_mtime_ns
    more = {**CAMPAIGN["distillation"]["liquid"], "runs": 3}
    project.write("tiny", {**CAMPAIGN, "distillation": {"liquid": more}})
    run = project.run("results/tiny/datasets/gen0/train.extxyz")
    assert run.returncode == 0, run.stdout + run.stderr
    assert (results / "distillation/liquid/0.extxyz").stat().st_mtime_ns == before
    train = read_frames(results / "datasets/gen0/train.extxyz")
    assert sum(atoms.info["kind"] == "distilled" for atoms in train) == 15


def wrong(**settings) -> dict:
    return {**CAMPAIGN, **settings}


QE = {
    "method": "espresso",
    "ecutwfc_ry": 30,
    "pseudopotentials": {"folder": "here", "files": {"Si": "Si.upf"}},
}
LIQUID = CAMPAIGN["distillation"]["liquid"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"distillation": {"si": LIQUID}},
            "distillation.si: a structure or database has this name",
        ),
        (
            {
                "distillation": {
                    "hot": {
                        "protocol": {"kind": "thermal", "start": {"structure": "sii", "atoms": 8}}
                    }
                }
            },
            "'sii' is not a compared crystal at rest; allowed are si; did you mean",
        ),
        (
            {"reference": QE},
            "distillation: the teacher is the reference method and must be a potential",
        ),
    ],
)
def test_wrong_campaigns_are_refused(tmp_path, settings, message) -> None:
    import yaml

    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(wrong(**settings)))
    with pytest.raises(PhonsmithError, match=message):
        load_campaign(file)
