"""A tiny campaign that has run: its files, and what changes of its settings make anew."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time

import numpy as np
import pandas as pd
import pytest

from phonsmith.files.extxyz import ENERGY, FORCES, read_frames
from phonsmith.labels.provenance import without_provenance
from phonsmith.potentials.settings import PotentialSource
from tests.campaigns import MP_165, TINY
from tests.project import Project


@pytest.fixture(scope="module")
def finished(tmp_path_factory, repository):
    project = Project(tmp_path_factory.mktemp("tiny"), repository, tiny=TINY)
    run = project.run("--quiet", "host", "reason")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "tiny: done. Results:" in run.stdout
    assert "tiny: warning: gap: In-sample: trained on the displaced cells" in run.stderr
    project.said = run.stderr
    return project


def test_a_run_reports_steps_labels_and_fits_in_lines(finished):
    """In place of Snakemake's own count of steps."""
    lines = re.findall(r"^\d+ of \d+ steps .*$", finished.said, re.M)
    steps = len(re.findall(r"^Finished jobid", finished.said, re.M))
    labels = sum(
        len(read_frames(path)) for path in finished.results("tiny").glob("labels/gen0/*.extxyz")
    )
    assert lines[-1].startswith(
        f"{steps} of {steps} steps (100%) done; {labels} of {labels} labels done; "
        "2 of 2 fits done; "
    )
    assert len(lines) > 1
    assert all(" so far" in line for line in lines)
    assert "\033" not in finished.said


def test_the_snippets_of_a_model_card_run(finished, monkeypatch, capsys):
    """Γ optical mode of diamond by the snippets: that of the campaign's own phonons."""
    folder = finished.results("tiny") / "fits/gap/gen0"
    card = (folder / "model_card.md").read_text()
    monkeypatch.chdir(folder)
    code = "\n".join(re.findall(r"```python\n(.*?)```", card, re.S))
    variables = {}
    exec(compile(code, "model_card.md", "exec"), variables)
    assert "THz at Γ" in capsys.readouterr().out
    gamma = pd.read_csv(finished.results("tiny") / "tables/gamma.csv")
    (crystal,) = set(re.findall(r"relaxed/(mp-\d+)\.extxyz", card))
    own = gamma[(gamma.structure == crystal) & (gamma.method == "gap") & (gamma.cell == "relaxed")]
    found = variables["phonon"].run_qpoints([[0, 0, 0]]).frequencies
    assert found.max() == pytest.approx(own.frequency_thz.max(), abs=0.1)  # another volume
    lammps = (folder / "model/in.lammps").read_text()
    assert lammps in card


def test_a_campaign_runs_from_crystals_to_tables(finished):
    table = pd.read_csv(finished.results("tiny") / "tables/rmse.csv")
    assert len(table) == 2 * 2 * 2  # fits, structures, cells
    itself = table[table.fit == "itself"]
    assert itself.rmse_thz.max() < 1e-3  # a potential against itself, relaxed anew
    gap = table[table.fit == "gap"]
    assert gap.rmse_thz.between(1e-3, 3).all()
    assert gap.in_sample.all()
    assert not itself.in_sample.any()


def test_the_log_of_a_run_says_where_it_is_whatever_the_profile_is_quiet_about(finished):
    """`recover` must not take a run on another login node for a dead one."""
    first = min((finished.folder / ".snakemake/log").iterdir())
    assert f"\nHost: {os.uname().nodename}\n" in first.read_text()


def test_every_promised_file_is_there(finished):
    folder = finished.results("tiny")
    for name in (
        "structures/mp-149.extxyz",
        "relaxed/mp-165.extxyz",
        "supercells/gen0/mp-149.extxyz",
        "labels/gen0/mp-149.extxyz",
        "datasets/gen0/train.extxyz",
        "fits/gap/gen0/potential.json",
        "phonons/reference/reference/mp-149.yaml",
        "phonons/gap/gen0/relaxed/mp-149.yaml",
        "phonons/gap/gen0/relaxed/mp-149.npz",
        "benchmarks/gap/gen0/benchmarks.json",
        "tables/rmse.md",
        "tables/errors.csv",
        "report.html",
    ):
        assert (folder / name).stat().st_size > 0, name


def test_the_report_holds_bands_costs_and_checksums_of_the_run(finished):
    folder = finished.results("tiny")
    page = (folder / "report.html").read_text()
    shown = re.findall(r'class="bands" data-structure="([^"]*)"', page)
    assert sorted(shown) == ["mp-149", "mp-165"]
    model = folder / "fits/gap/gen0/model/gap.xml"
    assert hashlib.sha256(model.read_bytes()).hexdigest() in page
    costs = page.partition('id="cost"')[2]
    for stage in ("fits", "labels", "phonons", "structures"):
        assert f">{stage}</td>" in costs
    assert 'download="rmse.csv"' in page


def test_snakemakes_own_report_has_a_caption_and_a_category_for_each_result(finished):
    run = finished.run("--report", "snakemake.html")
    assert run.returncode == 0, run.stderr
    page = (finished.folder / "snakemake.html").read_text()
    read = json.JSONDecoder().raw_decode
    starts = {name: page.index(f'var {name} = {{"') for name in ("categories", "results")}
    found = {name: read(page, page.index("{", at))[0] for name, at in starts.items()}
    assert list(found["categories"]) == ["tiny"]
    stages = found["categories"]["tiny"]
    assert {"structures", "labels", "fits", "phonons", "benchmarks", "figures"} <= stages.keys()
    shown = {path for paths in stages.values() for path in paths}
    folder = finished.folder
    made = {str(path.relative_to(folder)) for path in finished.results("tiny").glob("tables/*.csv")}
    assert made <= shown
    assert {"results/tiny/report.html", "results/tiny/figures/parity/gap.svg"} <= shown
    assert all(found["results"][path]["caption"] for path in shown)


def test_reference_phonons_are_those_of_stillinger_weber(finished):
    """Γ optical mode of Stillinger-Weber diamond by hand: one sublattice against the other."""
    from ase.units import _amu, _e

    from phonsmith.potentials.calculators import make_calculator

    (atoms,) = read_frames(finished.results("tiny") / "relaxed/mp-149.extxyz")
    atoms.calc = make_calculator(PotentialSource(calculator="stillinger-weber"))
    step = 1e-3
    atoms.positions[0, 0] += step
    stiffness = -atoms.get_forces()[0, 0] / step * _e / 1e-20  # N/m, of the periodic sublattice
    mass = atoms.get_masses()[0] * _amu
    by_hand = np.sqrt(2 * stiffness / mass) / (2 * np.pi) / 1e12

    modes = pd.read_csv(finished.results("tiny") / "tables/modes.csv")
    gamma = modes[(modes.structure == "mp-149") & (modes.label == "Γ")]
    assert gamma.reference_thz.max() == pytest.approx(by_hand, rel=1e-3)
    assert by_hand == pytest.approx(17.9, abs=0.1)


def test_a_second_run_has_nothing_to_do(finished):
    run = finished.run()
    assert run.returncode == 0
    assert "Nothing to be done" in run.stdout + run.stderr
    assert "done. Results:" not in run.stdout
    assert finished.planned() == {}


SHOWN = ("draw_", "report", "model_card", "warnings_table", "structures_table", "all")
NEVER_NEW = {"read_structure", "relax_structure", "make_supercells", "label_batch"}


@pytest.mark.parametrize(
    ("changes", "redone", "kept"),
    [
        (
            {"structures": {**TINY["structures"], "mp-165": {**MP_165, "role": "test"}}},
            {"make_dataset", "fit"},
            {"reference_phonons"},
        ),
        (
            {"structures": {**TINY["structures"], "mp-165": {**MP_165, "role": "benchmark"}}},
            {"make_dataset", "fit", "benchmark"},
            {"reference_phonons"},
        ),
        (
            {"structures": {**TINY["structures"], "mp-165": {**MP_165, "born": "BORN"}}},
            {"reference_phonons", "fit_phonons"},
            {"make_dataset", "fit"},
        ),
        (
            {"structures": {**TINY["structures"], "mp-165": {**MP_165, "masses": {"Si": 30.0}}}},
            {"reference_phonons", "fit_phonons"},
            {"make_dataset", "fit"},
        ),
        (
            {"phonons": {**TINY["phonons"], "cells": ["relaxed"]}},
            {"benchmark"},
            {"reference_phonons", "fit_phonons", "make_dataset", "fit"},
        ),
        (
            {"supercells": {**TINY["supercells"], "kinds": ["rattled"]}},
            {"make_dataset", "fit"},
            {"reference_phonons"},
        ),
        (
            {"reference": {**TINY["reference"], "isolated_atoms": False}},
            {"make_dataset"},
            {"reference_phonons", "label_isolated_atoms"},
        ),
    ],
    ids=["role test", "role benchmark", "born", "masses", "cells", "kinds", "isolated atoms"],
)
def test_a_changed_setting_redoes_what_reads_it(finished, changes, redone, kept):
    (finished.folder / "BORN").write_text("14.4\n13 0 0 0 13 0 0 0 13\n0 0 0 0 0 0 0 0 0\n")
    planned = finished.planned_with(changes)
    assert redone <= planned.keys()
    assert not (NEVER_NEW | kept) & planned.keys()


def test_a_replaced_model_file_is_noticed(finished, tmp_path, repository):
    own = {"calculator": "gap", "model": "own.xml"}
    campaign = {**TINY, "fits": {"own": {"kind": "existing", "potential": own}}}
    project = Project(tmp_path, repository, tiny=campaign)
    for path in (finished.results("tiny") / "fits/gap/gen0/model").glob("*.xml*"):
        shutil.copy(path, tmp_path / path.name)
    (model,) = tmp_path.glob("*.xml")
    model = model.rename(tmp_path / "own.xml")
    target = "results/tiny/fits/own/gen0/potential.json"
    run = project.run(target)
    assert run.returncode == 0, run.stderr
    assert project.planned(target) == {}
    model.write_text(model.read_text() + "\n")
    assert project.planned(target) == {"fit": 1}


def test_a_plot_setting_reruns_plots_only(finished):
    finished.write("tiny", {**TINY, "figures": {"formats": ["svg", "png"], "dpi": 90}})
    planned = finished.planned()
    finished.write("tiny", TINY)
    assert planned
    assert all(name.startswith(("draw_", "report", "all")) for name in planned), planned


@pytest.mark.parametrize("name", ["gap/mp-149.pdf", "reference/mp-165.png"])
def test_one_band_structure_can_be_asked_for_alone(finished, name):
    """Also in a format that the campaign does not draw; all others stay as they are."""
    target = f"results/tiny/figures/bands/{name}"
    rule = "draw_reference_bands_of_one" if "reference" in name else "draw_bands_of_one"
    assert finished.planned(target) == {rule: 1}
    run = finished.run(target)
    assert run.returncode == 0, run.stdout + run.stderr
    assert (finished.folder / target).stat().st_size > 1000
    assert finished.planned(target) == finished.planned() == {}
    figures = finished.results("tiny") / "figures/bands/gap"
    drawn = json.loads((figures / "figures.json").read_text())
    assert drawn == ["mp-149.svg", "mp-165.svg"]
    assert all((figures / one).stat().st_size > 1000 for one in drawn)


def test_resources_and_names_of_a_fit_never_refit(finished):
    gap = {**TINY["fits"]["gap"], "label": "a better name", "resources": {"threads": 2}}
    finished.write("tiny", {**TINY, "fits": {**TINY["fits"], "gap": gap}})
    planned = finished.planned()
    finished.write("tiny", TINY)
    assert not {"fit", "fit_phonons", "label_batch", "make_supercells"} & planned.keys()


def test_a_changed_fit_relabels_nothing(finished):
    gap = {**TINY["fits"]["gap"], "soap": {**TINY["fits"]["gap"]["soap"], "n_sparse": 70}}
    finished.write("tiny", {**TINY, "fits": {**TINY["fits"], "gap": gap}})
    planned = finished.planned()
    finished.write("tiny", TINY)
    assert "fit" in planned
    assert not {"label_batch", "make_supercells", "make_dataset"} & planned.keys()


@pytest.mark.parametrize("policy", ["stop", "report", "leave_out"])
@pytest.mark.parametrize("max_steps", [500, 900])
def test_crystals_that_are_fine_are_so_under_every_policy(finished, policy, max_steps):
    changes = {"relaxation": {"on_change": policy, "max_steps": max_steps}}
    planned = finished.planned_with(changes)
    assert all(rule.startswith(SHOWN) for rule in planned), planned
    assert not (NEVER_NEW | {"accept_crystal", "make_dataset", "fit"}) & planned.keys()


@pytest.mark.slow
def test_policies_change_what_happens_to_a_lost_crystal_and_nothing_else(tmp_path, repository):
    """mp-165 takes five steps, mp-149 two."""

    def relaxing(on_change, max_steps=3):
        return {"on_change": on_change, "max_steps": max_steps}

    changes = {"fits": {"itself": TINY["fits"]["itself"]}, "relaxation": relaxing("leave_out")}
    settings = {**TINY, **changes}
    project = Project(tmp_path, repository, tiny=settings)
    assert project.run().returncode == 0
    assert project.planned() == {}
    relaxed = project.results("tiny") / "relaxed"
    before = {path: path.read_bytes() for path in relaxed.iterdir()}

    # under another policy the crystal stops the campaign, and nothing is made with it
    project.write("tiny", {**settings, "relaxation": relaxing("report")})
    run = project.run()
    assert run.returncode != 0
    said = [line for line in run.stderr.splitlines() if line.startswith("phonsmith: structure")]
    assert said
    for line in said:
        assert "mp-165: relaxation not converged after 3 steps" in line
        assert "raise relaxation.max_steps" in line
    assert {path: path.read_bytes() for path in relaxed.iterdir()} == before

    # back again: all is as it was
    project.write("tiny", settings)
    planned = project.planned()
    made = {rule for rule in planned if not rule.startswith(SHOWN)}
    assert made <= {"check_crystals"}, planned

    # a larger limit: this one relaxation resumes
    project.write("tiny", {**settings, "relaxation": relaxing("report", 500)})
    planned = project.planned()
    assert planned["relax_structure"] == planned["make_supercells"] == 1
    run = project.run()
    assert run.returncode == 0, run.stdout + run.stderr
    log = project.results("tiny") / "logs/relaxed/mp-165.log"
    assert "this relaxation resumes after 3 steps" in log.read_text()
    assert project.planned() == {}


@pytest.mark.parametrize("role", ["benchmark", "test"])
def test_a_crystal_that_no_fit_learns_from_refits_nothing(finished, role):
    more = {"file": "config/structures/silicon/mp-168.vasp", "role": role}
    planned = finished.planned_with({"structures": {**TINY["structures"], "mp-168": more}})
    assert planned["relax_structure"] == 1
    assert {"make_test_set", "fit_errors"} <= planned.keys()
    assert not {"label_isolated_atoms", "make_dataset", "fit"} & planned.keys()


def test_a_changed_fit_is_fitted_whatever_else_runs_before_it(finished):
    """Snakemake alone would not look at it: the new crystal's labels are counted before it."""
    more = {"file": "config/structures/silicon/mp-168.vasp", "role": "benchmark"}
    gap = {**TINY["fits"]["gap"], "soap": {**TINY["fits"]["gap"]["soap"], "n_sparse": 70}}
    planned = finished.planned_with(
        {
            "structures": {**TINY["structures"], "mp-168": more},
            "fits": {**TINY["fits"], "gap": gap},
        }
    )
    assert {"enough_labels", "fit"} <= planned.keys()
    assert "make_dataset" not in planned


def test_a_refit_that_was_killed_is_fitted_by_the_next_run(finished, tmp_path):
    """Snakemake alone would fail at the copies of the outputs that the killed run has left."""
    model = "results/tiny/fits/itself/gen0/model"
    copy = finished.folder / ".snakemake/backups" / model
    copy.mkdir(parents=True)
    (copy / "half").touch()
    run = finished.run("--forcerun", "fit", "--", model)
    assert run.returncode == 0, run.stdout + run.stderr
    assert not copy.exists()


def test_another_structure_leaves_labels_of_the_others(finished):
    structures = {
        **TINY["structures"],
        "mp-168": {"file": "config/structures/silicon/mp-168.vasp"},
    }
    finished.write("tiny", {**TINY, "structures": structures})
    run = finished.plan("--dry-run", "--quiet", "host")
    finished.write("tiny", TINY)
    text = run.stdout + run.stderr
    assert "labelling mp-168, batch 0" in text
    assert "labelling mp-149" not in text


def test_two_runs_give_the_same_cells_and_data_sets(finished, tmp_path, repository):
    other = Project(tmp_path, repository, again=TINY)
    target = "results/again/datasets/gen0/train.extxyz"
    run = other.run(target)
    assert run.returncode == 0, run.stderr
    for name in ("supercells/gen0/mp-149.extxyz", "supercells/gen0/mp-165.extxyz"):
        first, second = finished.results("tiny") / name, other.results("again") / name
        assert first.read_bytes() == second.read_bytes()
    assert (other.folder / target).read_text() == (
        finished.results("tiny") / "datasets/gen0/train.extxyz"
    ).read_text()


def test_a_killed_run_keeps_finished_labels_and_ends_the_same(finished, tmp_path, repository):
    """SIGKILL of everything as soon as labels appear; the store keeps what was finished."""
    project = Project(tmp_path, repository, tiny=TINY)
    process = subprocess.Popen(
        project.command("results/tiny/tables/labels.csv"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    store = project.results("tiny") / "labels/store"
    deadline = time.monotonic() + 600
    while not any(store.rglob("*.npz")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*.npz")}
    assert before
    assert project.run("--unlock").returncode == 0
    run = project.run("results/tiny/tables/labels.csv")
    assert run.returncode == 0, run.stderr
    assert {path: path.stat().st_mtime_ns for path in before} == before
    for name in ("mp-149", "mp-165"):
        one, other = (
            without_provenance(read_frames(place.results("tiny") / f"labels/gen0/{name}.extxyz"))
            for place in (project, finished)
        )
        assert one == other
        for mine, theirs in zip(one, other, strict=True):
            assert mine.info.keys() == theirs.info.keys()
            assert mine.info[ENERGY] == theirs.info[ENERGY]
            assert np.array_equal(mine.arrays[FORCES], theirs.arrays[FORCES])
