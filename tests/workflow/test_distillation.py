"""Whole run of a campaign whose fit also learns from a teacher's molecular dynamics."""

import numpy as np
import pandas as pd
import pytest
import yaml

from phonsmith.campaign.reading import load_campaign
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import read_frames
from phonsmith.potentials.calculators import evaluate_one, make_calculator
from phonsmith.potentials.settings import PotentialSource
from tests.plan.conftest import UPF
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
        "random": {
            "use": "test",
            "protocol": {
                **{"kind": "random-search", "composition": "Si", "atoms": [1, 6]},
                **{"crystals": 3, "path_steps": [2], "max_steps": 60},
            },
        },
    },
    "fits": {"gap": {"kind": "gap", "soap": {"n_sparse": 40, "n_max": 4, "l_max": 3}}},
    "phonons": {"points_per_segment": 5, "mesh_length_angstrom": 12},
    "figures": {"formats": ["svg"]},
}


def test_a_fit_learns_from_a_teachers_runs(tmp_path, repository) -> None:
    project = Project(tmp_path, repository, tiny=CAMPAIGN)
    names = ("distillation", "random_searches", "error_against_cost", "melt_quench")
    drawn = "results/tiny/figures/data_map.svg"
    run = project.run(*(f"results/tiny/tables/{name}.csv" for name in names), drawn)
    assert run.returncode == 0, run.stdout + run.stderr
    results = project.results("tiny")
    assert (results / "figures/data_map.svg").read_text().startswith("<?xml")
    mapped = pd.read_csv(results / "tables/data_map.csv")
    assert set(mapped["set"]) >= {"liquid", "test: quench", "test: random"}

    runs = pd.read_csv(results / "tables/distillation.csv").set_index(["data", "run"])
    assert list(runs.use) == ["train", "train", "test"]
    assert (runs.steps == runs.planned_steps).all() and runs.reason.isna().all()
    assert list(runs.snapshots) == [5, 5, 5]  # four of the quench, and the relaxed cell

    searched = pd.read_csv(results / "tables/random_searches.csv")
    assert list(searched.crystal) == [0, 1, 2] and set(searched.use) == {"test"}

    train = read_frames(results / "datasets/gen0/train.extxyz")
    kinds = [atoms.info["kind"] for atoms in train]
    assert kinds.count("distilled") == 10 and kinds.count("displaced") == 1
    test = read_frames(results / "datasets/gen0/test.extxyz")
    assert {atoms.info["structure"] for atoms in test} == {"quench", "random"}

    errors = pd.read_csv(results / "tables/errors.csv")
    assert errors[errors.structure == "quench"].mae.gt(0).all()
    errors = errors[(errors.quantity == "force") & (errors.kind == "distilled")]
    assert set(zip(errors["set"], errors.structure, strict=True)) == {
        *{("train", "liquid"), ("train", "all")},
        *{("test", "quench"), ("test", "random"), ("test", "all")},
    }

    costs = pd.read_csv(results / "tables/error_against_cost.csv").set_index("data")
    assert set(costs.index) == {"quench", "random", "all"}
    assert (costs.times_faster > 0).all() and (costs.wall_s_per_atom_step > 0).all()

    along = pd.read_csv(results / "tables/errors_along.csv")
    assert (along.data == "quench").all() and len(along) == 4  # without the relaxed cell
    assert set(along.energy_zero) == {"label"}
    parts = pd.read_csv(results / "tables/melt_quench.csv").set_index("part")
    assert list(parts.index) == ["liquid"]  # the only part of constant temperature
    of_part = along[along.part == "liquid"]
    mae = of_part.energy_error_ev_per_atom.abs().mean()
    assert parts.energy_mae_ev_per_atom["liquid"] == pytest.approx(mae)

    # what is there is kept: more runs do not repeat the first ones
    before = (results / "distillation/liquid/0.extxyz").stat().st_mtime_ns
    more = {**CAMPAIGN["distillation"]["liquid"], "runs": 3}
    project.write("tiny", {**CAMPAIGN, "distillation": {"liquid": more}})
    run = project.run("results/tiny/datasets/gen0/train.extxyz")
    assert run.returncode == 0, run.stdout + run.stderr
    assert (results / "distillation/liquid/0.extxyz").stat().st_mtime_ns == before
    train = read_frames(results / "datasets/gen0/train.extxyz")
    assert sum(atoms.info["kind"] == "distilled" for atoms in train) == 15


LJ = {
    "calculator": "ase.calculators.lj:LennardJones",
    "arguments": {"sigma": 2.09, "epsilon": 0.3, "rc": 5.0},
}
"""Another potential: it keeps atoms apart, and nothing more."""
DRIVEN = {
    **{key: CAMPAIGN[key] for key in ("structures", "reference", "supercells", "phonons")},
    "labels": {"batches_per_structure": 2},
    "distillation": {
        "quench": {
            **{"use": "test", "runs": 1, "driver": LJ},
            "protocol": {
                **{"kind": "melt-quench", "snapshots": 6, "melt_kelvin": 600, "relax": False},
                "start": {"structure": "si", "atoms": 8, "vacancies": 1},
                **{"equilibration_ps": 0.02, "melt_ps": 0.02, "cold_ps": 0.02},
                **{"heating_rate_kelvin_per_s": 1e16, "quench_rate_kelvin_per_s": 1e16},
                "pressure_gpa": None,
            },
        }
    },
    "fits": {
        "itself": {"kind": "existing", "potential": SW},
        "driver": {"kind": "existing", "potential": LJ},
    },
}


@pytest.mark.slow
def test_the_reference_labels_the_snapshots_of_a_driver(tmp_path, repository) -> None:
    project = Project(tmp_path, repository, tiny=DRIVEN)
    table = "results/tiny/tables/melt_quench.csv"
    labels = "results/tiny/tables/labels.csv"
    assert project.planned(table)["label_snapshots"] == 2
    run = project.run(table, labels)
    assert run.returncode == 0, run.stdout + run.stderr
    results = project.results("tiny")

    bare = read_frames(results / "distillation/quench/0.extxyz")
    assert len(bare) == 6
    assert not any("REF_energy" in frame.info or "REF_forces" in frame.arrays for frame in bare)
    labelled = read_frames(results / "labels/distillation/quench/0.extxyz")
    fits = DRIVEN["fits"].items()
    calculators = {name: make_calculator(PotentialSource(**fit["potential"])) for name, fit in fits}
    for cell, label in zip(bare, labelled, strict=True):
        np.testing.assert_allclose(label.positions, cell.positions, atol=1e-8)
        assert label.info["time_ps"] == cell.info["time_ps"]
        assert label.info["method"] == "stillinger-weber"
        truth = evaluate_one(cell, calculators["itself"])
        assert label.info["REF_energy"] == pytest.approx(truth.energy, abs=1e-6)
        np.testing.assert_allclose(label.arrays["REF_forces"], truth.forces, atol=1e-6)

    along = pd.read_csv(results / "tables/errors_along.csv").set_index("fit")
    assert along.loc["itself", "energy_error_ev_per_atom"].abs().max() < 1e-6
    assert along.loc["itself", "force_rmse_ev_per_angstrom"].max() < 1e-6
    found = along.loc["driver", "force_rmse_ev_per_angstrom"].to_numpy()
    for cell, rmse in zip(labelled, found, strict=True):
        other = evaluate_one(cell, calculators["driver"]).forces - cell.arrays["REF_forces"]
        assert rmse == pytest.approx(np.sqrt(np.mean(other**2)), rel=1e-5)
    assert set(along.energy_zero) == {"shifted"}
    counts = pd.read_csv(tmp_path / labels).set_index(["structure", "kind"])
    assert counts.labels["quench", "distilled"] == 6

    # nothing is left; another run is made and labelled alone; without a driver all is made again
    assert project.planned(table) == {}
    quench = DRIVEN["distillation"]["quench"]
    more = project.planned_with({"distillation": {"quench": {**quench, "runs": 2}}}, table)
    assert (more["distil"], more["label_snapshots"]) == (1, 2)
    driverless = {key: value for key, value in quench.items() if key != "driver"}
    again = project.planned_with({"distillation": {"quench": driverless}}, table)
    assert again["distil"] == 1 and "label_snapshots" not in again

    # labels that a stopped run has stored are not computed again
    (results / "labels/distillation/quench/0.extxyz").unlink()
    for file in (results / "labels/distillation/quench/0/batches").iterdir():
        file.unlink()
    run = project.run("results/tiny/labels/distillation/quench/0.extxyz")
    assert run.returncode == 0, run.stdout + run.stderr
    logs = (results / "logs/labels/distillation/quench/0").glob("*.log")
    assert sorted(log.read_text().count("3 labels are in the store") for log in logs) == [1, 1]


@pytest.mark.slow
def test_errors_against_the_size_of_the_distilled_data(tmp_path, repository) -> None:
    recipe = {"kind": "mtp", "level": 2, "repeats": 2, "learn_from": ["distilled"], "label": "MTP"}
    size = {"recipe": recipe, "settings": {"distilled_cells": [3, 9]}}
    project = Project(tmp_path, repository, tiny={**CAMPAIGN, "fits": {}, "sweeps": {"size": size}})
    results = project.results("tiny")
    run = project.run("results/tiny/figures/error_against_size.svg")
    assert run.returncode == 0, run.stdout + run.stderr
    table = pd.read_csv(results / "tables/error_against_size.csv")
    assert set(table.data) == {"quench", "random", "all"} and set(table.series) == {"MTP"}
    assert set(zip(table.distilled_cells, table.distilled_atoms, strict=True)) == {
        (3, 36),
        (9, 108),
    }
    assert (table.fits == 2).all() and (table.force_mae_ev_per_angstrom_std > 0).all()
    errors = pd.read_csv(results / "tables/errors.csv")
    forces = errors[
        (errors.quantity == "force") & (errors.kind == "all") & (errors["set"] == "test")
    ]
    forces = forces[forces.structure == "quench"].set_index("fit").mae
    few = table[(table.data == "quench") & (table.distilled_cells == 3)].iloc[0]
    assert few.force_mae_ev_per_angstrom == pytest.approx(forces[["size-3", "size-3-r2"]].mean())


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
            "distillation.liquid.driver: the reference method espresso makes no molecular dynamics",
        ),
        (
            {"distillation": {"liquid": {**LIQUID, "driver": SW}}},
            "distillation.liquid.driver: is the reference method itself; remove the key",
        ),
    ],
)
def test_wrong_campaigns_are_refused(tmp_path, settings, message) -> None:
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(wrong(**settings)))
    with pytest.raises(PhonsmithError, match=message):
        load_campaign(file)


def test_a_fit_of_the_same_campaign_cannot_drive(tmp_path, repository) -> None:
    own = {"calculator": "gap", "model": "results/tiny/fits/gap/gen0/model/gap.xml"}
    settings = wrong(distillation={"liquid": {**LIQUID, "driver": own}})
    project = Project(tmp_path, repository, tiny=settings)
    project.refuses(["distillation.liquid.driver.model: a fit of this campaign", "of another"])


def test_a_missing_driver_is_one_line_with_its_origin(tmp_path, repository) -> None:
    missing = {"calculator": "gap", "model": "gap-18.xml", "origin": "example.org"}
    settings = wrong(distillation={"liquid": {**LIQUID, "driver": missing}})
    project = Project(tmp_path, repository, tiny=settings)
    project.refuses(
        ["distillation.liquid.driver.model: gap-18.xml: no such model file", "example.org"]
    )


def test_dft_labels_the_snapshots_of_a_driver(tmp_path, repository) -> None:
    """The counts of the plan of the full scale are those of the paper."""
    settings = yaml.safe_load((repository / "config/campaigns/si-transferability.yaml").read_text())
    driver = settings["distillation"]["quench"]["driver"]
    assert driver["sha256"] and driver["origin"]
    # without the files of GAP-18
    settings["distillation"]["quench"]["driver"] = SW
    settings["fits"]["gap-18"]["potential"] = SW
    del settings["datasets"]["databases"]
    for name in ("gap-general", "gap-f0.01", "gap-f0.001"):
        settings["fits"][name]["learn_from"] = ["displaced"]
    settings["structures"] = {"mp-149": settings["structures"]["mp-149"]}
    folder = tmp_path / "pseudopotentials"
    folder.mkdir()
    (folder / "Si.UPF").write_text(UPF.format(element="Si", valence=4.0))
    settings["reference"]["pseudopotentials"] = {"folder": str(folder), "files": {"Si": "Si.UPF"}}
    project = Project(tmp_path, repository, full=settings)
    jobs = project.planned()
    assert jobs["label_snapshots"] == 45 and jobs["distil"] == 1
    assert "speeds" not in jobs  # of molecular dynamics by the reference
    run = project.run("results/full/plan.csv")
    assert run.returncode == 0, run.stdout + run.stderr
    plan = pd.read_csv(project.results("full") / "plan.csv").set_index("stage")
    labels = plan.loc["distillation"]
    assert (labels.runs, labels.atoms, labels.electrons) == (45, 500, 2000)
    assert labels.core_hours > 0 and plan.loc["driver"].atoms == 500
