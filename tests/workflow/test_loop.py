"""The loop through Snakemake: one campaign that ends by its goal, one by its generations."""

import json

import pandas as pd
import pytest

from tests.project import Project

GAP = {
    "kind": "gap",
    "learn_from": ["rattled"],
    "soap": {"n_sparse": 40, "n_max": 4, "l_max": 3, "cutoff_angstrom": 4.0},
    "sigma": {"force_ev_per_angstrom": 0.1, "virial_ev_per_atom": 0.05},
}


def campaign(goal: float, generations: int, **changes: object) -> dict:
    return {
        "description": "a loop",
        "seed": 2,
        "structures": {"mp-149": {"file": "config/structures/silicon/mp-149.vasp"}},
        "reference": {
            "method": "calculator",
            "potential": {"calculator": "stillinger-weber"},
            "isolated_atoms": False,
        },
        "supercells": {
            **{"min_length_angstrom": 6.0, "min_atoms": 8, "max_atoms": 70},
            "rattled": {
                **{"count": 3, "std_angstrom": 0.05},
                "volume_factors": [0.97, 0.985, 1.0],
            },
        },
        "datasets": {"test_fraction": 0.2, "min_group_to_split": 3},
        "fits": {"gap": GAP},
        "phonons": {"points_per_segment": 5, "mesh_length_angstrom": 15, "cells": ["relaxed"]},
        "figures": {"formats": ["svg"]},
        "loop": {
            "max_generations": generations,
            "cells_per_structure": 3,
            "goal": {"rmse_thz": goal, "harmonic_only": True},
        },
        **changes,
    }


# generation 0 has an RMSE of 0.171 THz, generation 1 of 0.104: with the volumes and the sigma that
# are stated here, whatever the defaults are
GOAL_THZ = 0.14
REACHABLE = campaign(GOAL_THZ, 4)
BEYOND = campaign(0.001, 2, fits={"gap": {**GAP, "repeats": 3, "resampled": True}})
BEYOND["loop"]["selection"] = {
    **{"method": "committee", "pool_size": 6},
    "dynamics": {"temperature_kelvin": 300, "runs": 1, "snapshots": 2},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory, repository):
    return Project(tmp_path_factory.mktemp("loop"), repository, reachable=REACHABLE, beyond=BEYOND)


@pytest.fixture(scope="module")
def interrupted(project):
    """The loop stopped after its first verdict: what a dry run then says is left."""
    run = project.run("results/reachable/generations/gen0.json")
    assert run.returncode == 0, run.stdout + run.stderr
    return project.planned("results/reachable/tables/rmse.csv")


@pytest.fixture(scope="module")
def finished(project, interrupted):
    run = project.run()
    assert run.returncode == 0, run.stdout + run.stderr
    return project


def verdict(project, name, generation):
    path = project.results(name) / f"generations/gen{generation}.json"
    return json.loads(path.read_text())


def test_in_the_middle_a_dry_run_says_what_is_left_of_the_generation(interrupted):
    assert interrupted["add_supercells"] == 1
    assert interrupted["label_batch"] == 1
    assert interrupted["fit"] == 1
    assert interrupted["judge_generation"] == 1
    assert "relax_structure" not in interrupted
    assert "reference_phonons" not in interrupted


def test_the_loop_goes_on_until_the_goal_is_met(finished):
    first, second = (verdict(finished, "reachable", g) for g in (0, 1))
    assert first["stop"] is None
    assert first["next_cells"] == {"mp-149": 3}
    assert second["stop"] == "goal"
    assert (first["labels"], second["labels"]) == ({"mp-149": 4}, {"mp-149": 7})
    rmse = [one["fits"][0]["mean_rmse_thz"] for one in (first, second)]
    assert rmse[0] > GOAL_THZ >= rmse[1]
    table = pd.read_csv(finished.results("reachable") / "tables/rmse.csv")
    assert set(table.generation) == {1}
    assert table.rmse_thz.item() == pytest.approx(rmse[1])


def test_the_loop_ends_where_its_generations_do(finished):
    last = verdict(finished, "beyond", 1)
    assert last["stop"] == "max_generations"
    assert last["next_cells"] == {}
    (fit,) = last["fits"]
    assert fit["repeats"] == ["gap", "gap-r2", "gap-r3"]
    assert fit["noise_thz"] > 0
    assert fit["significant"] is not None
    assert not (finished.results("beyond") / "generations/gen2.json").exists()


def test_every_generation_has_cells_of_its_own(finished):
    data = pd.read_csv(finished.results("reachable") / "tables/data_per_generation.csv")
    assert data.train.tolist() == [3, 6]  # one displaced and two rattled cells, then three more
    assert data.test.tolist() == [1, 1]
    assert data.share_of_final_training_set_percent.tolist() == [50, 100]
    labels = pd.read_csv(finished.results("reachable") / "tables/labels.csv")
    assert labels[labels.kind == "displaced"].generation.tolist() == [0]
    store = list((finished.results("reachable") / "labels/store").glob("??/*.npz"))
    assert len(store) == 7  # no cell twice


def test_the_report_shows_the_generations(finished):
    page = (finished.results("reachable") / "report.html").read_text()
    assert "Generations" in page
    assert "the goal is met" in page


def test_a_finished_loop_has_nothing_to_do(finished):
    assert finished.planned() == {}


def test_another_goal_refits_nothing(finished):
    def planned(goal):
        loop = {**REACHABLE["loop"], "goal": {"rmse_thz": goal, "harmonic_only": True}}
        return finished.planned_with({"loop": loop}, name="reachable")

    for jobs in (planned(0.15), planned(0.13)):
        assert jobs
        assert not {"fit", "label_batch", "add_supercells", "make_supercells"} & jobs.keys()


def test_another_fit_keeps_the_cells_that_are_labelled(finished):
    """The committee of other fits would choose others; those that are there are paid for."""
    soap = {**GAP["soap"], "n_sparse": 20}
    fits = {"gap": {**GAP, "repeats": 3, "resampled": True, "soap": soap}}
    last = "results/beyond/generations/gen1.json"
    jobs = finished.planned_with({"fits": fits}, last, name="beyond")
    assert jobs["fit"] == 6  # three repeats in both generations
    assert not {"label_batch", "add_supercells", "make_supercells"} & jobs.keys()


def test_another_committee_keeps_the_cells_that_are_labelled(finished):
    fits = {"gap": {**GAP, "repeats": 4, "resampled": True}}
    last = "results/beyond/generations/gen1.json"
    jobs = finished.planned_with({"fits": fits}, last, name="beyond")
    assert jobs["fit"] == 2  # the fourth repeat in both generations
    assert not {"label_batch", "add_supercells", "make_supercells"} & jobs.keys()


def test_a_loop_is_run_where_all_results_exist_as_when_it_is_added_to_a_finished_campaign(finished):
    verdicts = finished.results("reachable") / "generations"
    away = verdicts.rename(verdicts.with_name("away"))
    jobs = finished.planned("results/reachable/report.html")
    away.rename(verdicts)
    assert jobs["judge_generation"] == 1


def test_a_damaged_verdict_is_told_in_one_line(finished):
    path = finished.results("reachable") / "generations/gen1.json"
    whole = path.read_text()
    path.write_text(whole[:40])
    run = finished.plan("--dry-run", "results/reachable/tables/rmse.csv")
    path.write_text(whole)
    assert run.returncode != 0
    assert "phonsmith: results/reachable/generations/gen1.json: not valid JSON" in run.stderr
    assert "delete the file and run again" in run.stderr
    assert "Traceback" not in run.stderr
