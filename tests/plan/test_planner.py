"""The plan: what there is to do, what is done, what is left; applications and generations."""

import numpy as np
import pytest
from ase.build import bulk

from phonsmith.conductivity.settings import ThirdOrder
from phonsmith.conductivity.third_order import cells_to_come as third_order_cells_to_come
from phonsmith.distillation.settings import SEARCH_STEPS
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.sources import Places
from phonsmith.labels.factory import reference_method
from phonsmith.labels.labelling import label_cells
from phonsmith.labels.settings import Labels
from phonsmith.labels.store import LabelStore
from phonsmith.plan.cells import Request, cells_to_come
from phonsmith.plan.costs import seconds_per_atom
from phonsmith.plan.gathering import finished_labels
from phonsmith.plan.inputs import Cells, ThirdOrderCells, made
from phonsmith.plan.planner import make_plan
from phonsmith.plan.text import to_markdown
from phonsmith.running.costs import JOB_START_S
from phonsmith.supercells.making import make_supercells
from tests.plan.examples import WARMING, campaign_of, cells_of, espresso


def test_a_plan_counts_cells_and_evaluations(crystals):
    campaign = campaign_of()
    plan = make_plan("tiny", campaign, crystals, cells_of(campaign, crystals))
    table = plan.table()
    labels = table[table.stage == "label"].set_index(["structure", "kind"])
    # diamond has one displacement by symmetry, the hexagonal one two
    assert labels.runs.to_dict() == {
        ("mp-149", "displaced"): 1,
        ("mp-149", "rattled"): 5,
        ("mp-165", "displaced"): 2,
        ("mp-165", "rattled"): 5,
    }
    assert (labels.done == 0).all() and (labels.core_hours_left == labels.core_hours).all()
    phonons = table[(table.stage == "phonons") & (table.kind == "reference")]
    assert dict(zip(phonons.structure, phonons.runs, strict=False)) == {"mp-149": 1, "mp-165": 2}
    # one fit is trained: on all displaced cells and four of five rattled ones of each crystal
    sizes = {name: len(cells.cells[0]) for (_, name), cells in cells_of(campaign, crystals).items()}
    (fit,) = table[table.stage == "fit"].itertuples()
    assert fit.atoms == 5 * sizes["mp-149"] + 6 * sizes["mp-165"]
    assert plan.as_read == ["mp-149", "mp-165"]
    assert not plan.warnings


def test_what_is_done_is_not_left(crystals):
    campaign = campaign_of()
    cells = cells_of(campaign, crystals)
    done = {made("relaxation", "mp-149"), made("fit", 0, "gap")}
    done |= {made("phonons", 0, "gap", "relaxed", "mp-165")}
    table = make_plan("tiny", campaign, crystals, cells, done=done).table()
    finished = table[(table.done > 0) & (table.core_hours_left == 0)]
    assert {tuple(row) for row in finished[["stage", "fit", "structure", "kind"]].values} == {
        ("relaxation", "", "mp-149", ""),
        ("fit", "gap", "", "gap"),
        ("phonons", "gap", "mp-165", "relaxed"),
    }
    assert (table[table.done == 0].core_hours_left > 0).all()


def not_here(elements) -> str:
    raise PhonsmithError("pw.x: not found")


def test_finished_labels_correct_the_estimate(crystals, tmp_path, monkeypatch):
    campaign = campaign_of()
    store, method = LabelStore(tmp_path), reference_method(campaign.reference)
    crystal = crystals["mp-165"]
    some = make_supercells("mp-165", crystal, campaign.supercells, campaign.seed, 0).cells
    labels, _ = label_cells(some[:4], method, Labels(), store)
    cells = cells_of(campaign, crystals, lambda cells: finished_labels(cells, store, method, {}))
    plan = make_plan("tiny", campaign, crystals, cells)
    experience = plan.experience
    assert experience.labels == 4
    model = seconds_per_atom(campaign.reference.potential) * len(some[0])
    ratios = [label.info["wall_time_s"] / model for label in labels]
    assert experience.ratio == pytest.approx(np.median(ratios))
    assert experience.low <= experience.ratio <= experience.high
    table = plan.table()
    rows = table[table.stage == "label"].set_index(["structure", "kind"])
    assert rows.done.to_dict() == {
        ("mp-149", "displaced"): 0,
        ("mp-149", "rattled"): 0,
        ("mp-165", "displaced"): 2,
        ("mp-165", "rattled"): 2,
    }
    one = rows.loc["mp-165", "rattled"]
    assert one.core_hours_left == pytest.approx(3 / 5 * one.core_hours)
    assert one.core_hours == pytest.approx(5 * model * experience.ratio / 3600)
    # a code that cannot be run here
    monkeypatch.setattr(method, "fingerprint", not_here)
    known = campaign.reference.physics()
    store.describe('{"method":"vasp"}')  # by a campaign that shares the store
    found = finished_labels(some, store, method, known)
    assert [label is not None for label in found] == [True] * 4 + [False] * 3
    # labelling is over: what has no label has failed, and nothing is left
    over = {name: Cells(group.cells, group.labels, gathered=True) for name, group in cells.items()}
    rows = make_plan("tiny", campaign, crystals, over).table().set_index(["structure", "kind"])
    rows = rows[rows.stage == "label"]
    assert rows.loc[("mp-165", "rattled"), ["done", "failed", "core_hours_left"]].tolist() == [
        2,
        3,
        0,
    ]
    # a record of other settings has no label for any cell: all are left
    assert rows.loc[("mp-149", "rattled"), ["done", "failed"]].tolist() == [0, 0]
    assert rows.loc[("mp-149", "rattled"), "core_hours_left"] > 0


def test_both_ways_to_a_grid_are_in_the_plan(crystals, pseudopotentials):
    """By pw.x the small supercells of silicon cost a tenth; an unknown cost is no number."""
    unknown = {"method": "calculator", "potential": {"calculator": "ase.calculators.emt:EMT"}}
    for reference, share in (
        (espresso(pseudopotentials).model_dump(mode="json"), 0.15),
        (unknown, None),
    ):
        campaign = campaign_of(supercells={"grid": [4, 4, 4]}, reference=reference)
        request = Request(
            structure="mp-149",
            settings=campaign.structures["mp-149"].model_dump(mode="json"),
            crystal=crystals["mp-149"],
            generation=0,
            supercells=campaign.supercells.model_dump(mode="json"),
            seed=1,
            reference=reference,
            places=Places(),
        )
        answer = cells_to_come()(request)
        assert not answer.problem
        diagonal, several = answer.options
        assert (diagonal.chosen, several.chosen) == (False, True)
        assert (diagonal.cells, diagonal.atoms) == (1, 128)
        if share is None:
            assert diagonal.core_seconds is several.core_seconds is None
        else:
            assert several.core_seconds < share * diagonal.core_seconds
        labels = [None] * len(answer.cells)
        cells = {(0, "mp-149"): Cells(answer.cells, labels, options=answer.options)}
        plan = make_plan("tiny", campaign, crystals, cells)
        assert plan.options == [("mp-149", diagonal), ("mp-149", several)]
        (row,) = [line for line in to_markdown(plan).splitlines() if "non-diagonal" in line]
        assert ("?" in row) == (share is None)


def test_a_later_generation_adds_cells_and_fits(crystals):
    campaign = campaign_of()
    cells = cells_of(campaign, crystals)
    request = Request(
        structure="mp-149",
        settings=campaign.structures["mp-149"].model_dump(mode="json"),
        crystal=crystals["mp-149"],
        generation=1,
        supercells=campaign.supercells.model_dump(mode="json"),
        seed=campaign.seed,
        reference={},
        places=Places(),
        count=3,
    )
    answer = cells_to_come()(request)
    more = answer.cells
    assert [cell.info["kind"] for cell in more] == ["rattled"] * 3 and not answer.problem
    cells[1, "mp-149"] = Cells(more, [None] * 3)
    done = {made("fit", 0, "gap")}
    table = make_plan("tiny", campaign, crystals, cells, done=done).table()
    labels = table[(table.stage == "label") & (table.generation == 1)]
    assert labels.runs.tolist() == [3]
    fits = table[table.stage == "fit"].set_index("generation")
    assert fits.core_hours_left[0] == 0 < fits.core_hours_left[1]
    assert fits.atoms[1] > fits.atoms[0]
    goal = {"rmse_thz": 0.1, "harmonic_only": True}
    looping = campaign_of(loop={"goal": goal, "max_generations": 4, "cells_per_structure": 7})
    text = to_markdown(make_plan("tiny", looping, crystals, cells))
    assert "up to 2 further generations of at most 7" in text


def test_an_unknown_calculator_has_no_cost_but_a_plan(crystals):
    potential = {"calculator": "ase.calculators.emt:EMT"}
    campaign = campaign_of(reference={"method": "calculator", "potential": potential})
    plan = make_plan("tiny", campaign, crystals, cells_of(campaign, crystals))
    assert any("is unknown" in line for line in plan.warnings)
    text = to_markdown(plan)
    assert "? |" in text and "+ ?" in text


def test_applications_are_counted_for_the_reference_and_for_fits(crystals):
    campaign = campaign_of(**WARMING)
    third = {"mp-149": ThirdOrderCells(bulk("Si", cubic=True).repeat(2), 111)}
    third["mp-149"].cell.info["structure"] = "mp-149"
    third["mp-165"] = ThirdOrderCells(None, None, "no supercell has at most 64 atoms")
    cells = cells_of(campaign, crystals)
    done = [
        made("thermodynamics", "reference", "mp-149"),
        made("third order", "gap/gen0", "mp-149"),
    ]
    plan = make_plan("tiny", campaign, crystals, cells, third_order=third, done=done)
    assert plan.warnings == ["mp-165: no supercell has at most 64 atoms"]
    table = plan.table()
    rows = table[table.fit == ""].set_index(["stage", "structure", "kind"])
    # at rest twice and five volumes; one and two displaced cells by symmetry, at six volumes
    assert rows.runs["thermodynamics"].to_dict() == {
        ("mp-149", "relaxation"): 7,
        ("mp-149", "displaced"): 6,
        ("mp-165", "relaxation"): 7,
        ("mp-165", "displaced"): 12,
    }
    assert rows.done["thermodynamics"].tolist() == [7, 6, 0, 0]
    assert rows.runs["enthalpies"].tolist() == [9, 9]
    assert rows.runs["third order", "mp-149", "displaced"] == 111
    assert rows.runs["third order"].isna().sum() == 1
    relaxation = rows.core_hours["relaxation", "mp-165", ""]
    squeezed = rows.core_hours["enthalpies", "mp-165", "squeezed"]
    assert squeezed == pytest.approx(9 * relaxation)
    fits = table[table.fit == "gap"].groupby(["stage", "structure"])[["runs", "done"]].sum()
    assert fits.loc["third order", "mp-149"].tolist() == [111, 111]
    assert fits.loc["thermodynamics", "mp-165"].tolist() == [7 * 40 + 12, 0]
    assert fits.loc["enthalpies", "mp-165"].tolist() == [9 * 40, 0]
    text = to_markdown(plan)
    assert "## Applications, by the reference method" in text and "| third order" in text
    assert "volumes added" in " ".join(text.split())


def test_runs_of_a_teacher_and_of_disorder_are_counted_by_their_steps(crystals):
    protocol = {
        **{"kind": "thermal", "start": {"composition": "Si", "atoms": 40}},
        **{"equilibration_ps": 1, "sampled_ps": 2, "snapshots": 10},
    }
    campaign = campaign_of(
        distillation={"hot": {"runs": 3, "protocol": protocol}},
        disorder={"runs": {"hot": {"runs": 2, "reference_runs": 1, "protocol": protocol}}},
    )
    done = {"distillation/hot/0", "disorder/reference/hot/0"}
    plan = make_plan("tiny", campaign, crystals, cells_of(campaign, crystals), done=done)
    each = campaign.reference.potential.seconds_per_atom * 40 * 3000 / 3600
    (teacher,) = (task for task in plan.tasks if task.stage == "distillation")
    assert (teacher.runs, teacher.done, teacher.atoms) == (3, 1, 40)
    assert teacher.core_hours == pytest.approx(3 * each)
    assert teacher.core_hours_left == pytest.approx(2 * each)
    runs = [task for task in plan.tasks if task.stage == "disorder"]
    reference = [task for task in runs if not task.fit]
    assert [task.structure for task in reference] == ["hot/0"]
    assert reference[0].core_hours_left == 0
    fit = next(name for name in campaign.tested)
    mine = [task for task in runs if task.fit == fit]
    assert [task.structure for task in mine] == ["hot/0", "hot/1"]
    assert {task.runs for task in mine} == {3000}
    without = campaign.disorder.model_copy(update={"fits": []})
    shorter = campaign.model_copy(update={"disorder": without})
    plan_without = make_plan("tiny", shorter, crystals, cells_of(campaign, crystals), done=done)
    assert {task.fit for task in plan_without.tasks if task.stage == "disorder"} == {""}
    # the snapshots are learnt
    (training,) = (task for task in plan.tasks if task.stage == "fit" and task.fit == fit)
    cells = [cell for group in cells_of(campaign, crystals).values() for cell in group.cells]
    assert training.atoms > 30 * 40 and training.atoms <= 30 * 40 + sum(map(len, cells))


def test_snapshots_of_a_driver_are_labelled_by_the_reference(crystals, pseudopotentials):
    protocol = {
        **{"kind": "melt-quench", "start": {"structure": "mp-149", "atoms": 64, "vacancies": 2}},
        **{"equilibration_ps": 1, "melt_ps": 1, "cold_ps": 1, "snapshots": 20},
        **{"heating_rate_kelvin_per_s": 1e15, "quench_rate_kelvin_per_s": 1e15},
    }
    driver = {"calculator": "stillinger-weber"}
    campaign = campaign_of(
        reference=espresso(pseudopotentials).model_dump(mode="json"),
        distillation={"quench": {"use": "test", "runs": 2, "driver": driver, "protocol": protocol}},
        benchmarks={"mechanics": False},
    )
    done = {"distillation/quench/0", "distillation/quench/1", "snapshot labels/quench/0"}
    plan = make_plan("tiny", campaign, crystals, cells_of(campaign, crystals), done=done)
    (driven,) = (task for task in plan.tasks if task.stage == "driver")
    each = campaign.distillation["quench"].driver.seconds_per_atom * 62 * 6000
    assert (driven.runs, driven.done, driven.atoms) == (2, 2, 62)
    assert driven.hours_per_run == pytest.approx((each + JOB_START_S) / 3600)
    (labels,) = (task for task in plan.tasks if task.stage == "distillation")
    assert (labels.runs, labels.done, labels.atoms) == (42, 21, 62)  # with the relaxed cells
    assert labels.electrons == 4 * 62
    assert labels.core_hours_left == pytest.approx(labels.core_hours / 2) and labels.core_hours > 0
    (jobs,) = (job for job in plan.jobs if job.what == "labels of snapshots")
    assert jobs.jobs == 2 * campaign.labels.batches_per_structure


def test_searches_of_a_teacher_are_counted_by_their_expected_steps(crystals):
    protocol = {
        **{"kind": "random-search", "composition": "Si", "atoms": [11, 29]},
        **{"crystals": 30, "path_steps": [0, 20]},
    }
    campaign = campaign_of(distillation={"rss": {"runs": 2, "protocol": protocol}})
    cells = cells_of(campaign, crystals)
    plan = make_plan("tiny", campaign, crystals, cells, done={"distillation/rss/1"})
    each = campaign.reference.potential.seconds_per_atom * 20 * 30 * SEARCH_STEPS / 3600
    (teacher,) = (task for task in plan.tasks if task.stage == "distillation")
    assert (teacher.runs, teacher.done, teacher.atoms) == (2, 1, 20)
    assert teacher.core_hours == pytest.approx(2 * each)
    assert teacher.core_hours_left == pytest.approx(each)
    training = next(task for task in plan.tasks if task.stage == "fit")
    others = sum(len(cell) for group in cells.values() for cell in group.cells)
    assert 2 * 90 * 20 < training.atoms <= 2 * 90 * 20 + others


def test_applications_of_the_last_generation_and_of_a_loop_in_all(crystals):
    loop = {"goal": {"rmse_thz": 0.1, "harmonic_only": True}}
    campaign = campaign_of(**WARMING, loop=loop)
    cells = cells_of(campaign, crystals)
    cells |= {(1, name): Cells([], []) for name in crystals}
    table = make_plan("tiny", campaign, crystals, cells).table()
    generations = table[table.fit == "gap"].groupby("stage").generation.agg(set)
    assert generations["thermodynamics"] == {1}  # no transition goes by it
    assert generations["enthalpies"] == {0, 1}


def test_third_order_cells_are_as_many_as_were_published(shared_data):
    """111 of the recorded PBEsol calculation of silicon: cubic cell of 8 atoms, 2 × 2 × 2."""
    published = (shared_data / "si-pbesol-fc3/FORCES_FC3").read_text().count("# File")
    crystal = bulk("Si", cubic=True, a=5.43)
    settings = ThirdOrder(min_atoms=64, max_atoms=64)
    cell, count, problem = third_order_cells_to_come(crystal, settings, 1)
    assert (len(cell), count, problem) == (64, published, "")
    assert published == 111
    small = ThirdOrder(min_length_angstrom=30, max_atoms=64)
    assert third_order_cells_to_come(crystal, small, 1)[:2] == (None, None)
