"""Whole runs of tiny campaigns through Snakemake, as a user starts them."""

import gzip
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase.build import bulk

from phonsmith.files.extxyz import ENERGY, FORCES, read_frames, write_frames
from phonsmith.labels.checks import labelled
from phonsmith.labels.provenance import without_provenance
from phonsmith.potentials.calculators import evaluate
from phonsmith.potentials.settings import PotentialSource
from tests.project import Project

MP_165 = {"file": "config/structures/silicon/mp-165.vasp"}

TINY = {
    "description": "two small crystals, one GAP, and the reference itself",
    "seed": 1,
    "structures": {
        "mp-149": {"file": "config/structures/silicon/mp-149.vasp"},
        "mp-165": MP_165,
    },
    "reference": {"method": "calculator", "potential": {"calculator": "stillinger-weber"}},
    "supercells": {
        "min_length_angstrom": 6.0,
        "min_atoms": 8,
        "max_atoms": 70,
        "rattled": {"count": 5, "std_angstrom": 0.05},
    },
    "labels": {"batches_per_structure": 2},
    "datasets": {"test_fraction": 0.2},
    "fits": {
        "gap": {
            "kind": "gap",
            "soap": {"n_sparse": 60, "n_max": 4, "l_max": 3, "cutoff_angstrom": 4.0},
        },
        "itself": {"kind": "existing", "potential": {"calculator": "stillinger-weber"}},
    },
    "phonons": {"points_per_segment": 5, "mesh_length_angstrom": 15},
    "figures": {"formats": ["svg"]},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory, repository):
    project = Project(tmp_path_factory.mktemp("tiny"), repository, tiny=TINY)
    run = project.run()
    assert run.returncode == 0, run.stdout + run.stderr
    assert "tiny: done. Look at" in run.stdout
    assert "tiny: warning: gap: In-sample: trained on the displaced cells" in run.stderr
    return project


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
        "benchmarks/gap/gen0/mp-149.json",
        "tables/rmse.md",
        "tables/errors.csv",
        "report.html",
    ):
        assert (folder / name).stat().st_size > 0, name


def test_reference_phonons_are_those_of_stillinger_weber(finished):
    """Γ optical mode of Stillinger-Weber diamond by hand: one sublattice against the other."""
    from ase.units import _amu, _e

    from phonsmith.potentials.calculators import make_calculator
    from phonsmith.potentials.settings import PotentialSource

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


ALONE = {
    **{key: value for key, value in TINY.items() if key not in ("fits", "datasets")},
    "structures": {"mp-149": TINY["structures"]["mp-149"]},
    "thermodynamics": {"quasi_harmonic": False, "volumes": 5, "mesh_length_angstrom": 15},
}
GIVEN = {
    **ALONE,
    "fits": {"itself": TINY["fits"]["itself"]},
    "thermodynamics": None,
}


def test_campaigns_that_train_nothing_have_tables_and_reports(tmp_path, repository):
    """The reference alone, and an existing potential alone."""
    given = {key: value for key, value in GIVEN.items() if value is not None}
    project = Project(tmp_path, repository, alone=ALONE, given=given)
    run = project.run()
    assert run.returncode == 0, run.stdout + run.stderr

    alone = project.results("alone")
    labels = pd.read_csv(alone / "tables/labels.csv")
    assert set(labels.kind) == {"displaced"}  # nobody learns from rattled ones
    (crystal,) = pd.read_csv(alone / "tables/phonons.csv").to_dict("records")
    assert (crystal["formula"], crystal["nac"]) == ("Si", False)
    gamma = pd.read_csv(alone / "tables/gamma.csv")
    assert gamma.frequency_thz.tolist() == pytest.approx([0, 0, 0, 17.8, 17.8, 17.8], abs=0.1)
    assert (alone / "figures/bands/reference/mp-149.svg").stat().st_size > 0
    page = (alone / "report.html").read_text()
    assert "figures/bands/reference/mp-149.svg" in page
    assert "17.8" in page
    assert (alone / "tables/warnings.csv").read_text() == "stage,subject,message\n"
    assert not (alone / "tables/rmse.csv").exists()

    errors = pd.read_csv(project.results("given") / "tables/errors.csv")
    whole = errors[(errors.kind == "all") & (errors.structure == "all")]
    assert set(whole.set) == {"test"}
    assert whole.rmse.max() < 1e-6
    assert whole[whole.quantity == "energy"]["count"].tolist() == [6]  # displaced and rattled
    assert not (project.results("given") / "datasets").exists()
    assert project.planned() == {}


def test_a_second_run_has_nothing_to_do(finished):
    run = finished.run()
    assert run.returncode == 0
    assert "Nothing to be done" in run.stdout + run.stderr
    assert "Look at" not in run.stdout
    assert finished.planned() == {}


SHOWN = ("draw_", "report", "warnings_table", "structures_table", "all")
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


def test_rattled_cells_that_are_not_asked_for_matter_to_nothing(tmp_path, repository):
    supercells = {**TINY["supercells"], "kinds": ["displaced"]}
    project = Project(tmp_path, repository, tiny={**TINY, "supercells": supercells})
    target = "results/tiny/supercells/gen0/mp-149.extxyz"
    assert project.run(target).returncode == 0
    others = {**supercells, "rattled": {"count": 7, "std_angstrom": 0.02}}
    assert project.planned_with({"supercells": others}, target) == {}
    larger = {**supercells, "min_length_angstrom": 7.0}
    assert project.planned_with({"supercells": larger}, target) == {"make_supercells": 1}


def test_a_campaign_that_learns_from_rattled_cells_has_reference_phonons(tmp_path, repository):
    supercells = {**TINY["supercells"], "kinds": ["rattled"]}
    project = Project(tmp_path, repository, tiny={**TINY, "supercells": supercells})
    planned = project.planned()
    assert planned["reference_phonons"] == 2
    assert planned["fit_phonons"] == 2 * 2 * 2
    assert planned["fit"] == 2


def test_a_set_of_disordered_cells_needs_no_crystal(tmp_path, repository):
    """Errors of a potential on cells of others: no crystal, no phonons, and still a report."""
    random = np.random.default_rng(1)
    cells = [bulk("Si", cubic=True) * (2, 1, 1) for _ in range(4)]
    for cell in cells:
        cell.rattle(0.3, rng=random)
    source = PotentialSource(calculator="stillinger-weber")
    frames = [
        labelled(cell, "SW", one.energy + 2 * len(cell), one.forces, one.stress)
        for cell, one in zip(cells, evaluate(cells, source), strict=True)
    ]
    write_frames(tmp_path / "sets/melt.xyz", frames)
    source = {"name": "melt", "folder": "sets"}
    melt = {"source": source, "level_of_theory": "SW", "test_files": ["melt.xyz"]}
    campaign = {
        "reference": {
            **{"method": "recorded", "level_of_theory": "SW", "format": "extxyz"},
            "source": source,
        },
        "datasets": {"databases": {"melt": melt}},
        "fits": {"itself": TINY["fits"]["itself"]},
        "figures": {"formats": ["svg"]},
    }
    project = Project(tmp_path, repository, tiny=campaign)
    run = project.run()
    assert run.returncode == 0, run.stdout + run.stderr
    results = project.results("tiny")
    errors = pd.read_csv(results / "tables/errors.csv")
    energy = errors[(errors["structure"] == "melt") & (errors["quantity"] == "energy")].iloc[0]
    assert (energy["set"], energy["count"]) == ("test", 4)
    assert energy["energy_shift_ev"] == "Si +2.0000"
    assert energy["rmse"] < 1e-6
    page = (results / "report.html").read_text()
    assert "1 data set: SW; 1 existing potential, tested on all of their cells." in page
    assert "Crystals" not in page
    assert not (results / "figures/bands").exists()
    assert not (results / "tables/rmse.csv").exists()
    assert project.run("results/tiny/plan.md").returncode == 0


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


def test_jobs_ask_a_cluster_for_what_they_need(tmp_path, repository):
    mace = {"calculator": "mace", "model": "own.model", "trust": True}
    fits = {
        "gap": TINY["fits"]["gap"],
        "mace": {"kind": "mace"},
        "mace-cpu": {"kind": "mace", "device": "cpu"},
        "own": {"kind": "existing", "potential": mace},
        "own-cpu": {"kind": "existing", "potential": {**mace, "arguments": {"device": "cpu"}}},
    }
    project = Project(tmp_path, repository, tiny={**TINY, "fits": fits})
    (tmp_path / "own.model").write_bytes(b"\x80")  # as a pickle begins
    project.place_it(
        cpu={"partition": "small", "account": "one"},
        gpu={"partition": "large", "account": "two", "qos": "short", "constraint": "a100"},
        max_minutes=45,
    )
    jobs = [job for job in project.planned_jobs("slurm") if "slurm_partition" in job]
    for job in jobs:
        assert int(job["runtime"]) <= 45
        large = job["slurm_partition"] == "large"
        asked = {key: job.get(key) for key in ("slurm_account", "qos", "constraint")}
        wanted = ("two", "short", "a100") if large else ("one", None, None)
        assert tuple(asked.values()) == wanted, job
        if job["rule"] in ("fit", "fit_phonons", "fit_errors"):
            on_gpu = job["fit"] in ("mace", "own")
            assert job["gpu"] == ("1" if on_gpu else "0"), job
            assert job["slurm_partition"] == ("large" if on_gpu else "small"), job
    assert {job["fit"] for job in jobs if job["rule"] == "fit_phonons"} == set(fits)
    labels = [job for job in jobs if job["rule"] == "label_batch"]
    assert {job["slurm_partition"] for job in labels} == {"small"}
    assert {job["threads"] for job in labels} == {"16"}  # of 128 cores, 4 jobs
    phonons = [job for job in jobs if job["rule"] == "fit_phonons"]
    assert {job["threads"] for job in phonons} == {"6"}  # of 128 cores, 20 jobs


def test_a_teacher_that_is_a_mace_labels_on_gpus(tmp_path, repository):
    mace = {"calculator": "mace", "model": "own.model", "trust": True}
    fits = {"gap": TINY["fits"]["gap"]}
    thermodynamics = {"quasi_harmonic": False}
    campaign = {**TINY, "reference": {"method": "calculator", "potential": mace}, "fits": fits}
    project = Project(tmp_path, repository, tiny={**campaign, "thermodynamics": thermodynamics})
    (tmp_path / "own.model").write_bytes(b"\x80")  # as a pickle begins
    jobs = project.planned_jobs("slurm")
    asked = {job["rule"]: job["gpu"] for job in jobs if "gpu" in job and "method" not in job}
    teacher = {"label_batch", "label_isolated_atoms", "relax_structure"}
    assert {rule for rule, gpus in asked.items() if gpus == "1"} == teacher
    methods = {job["method"]: job["gpu"] for job in jobs if job["rule"] == "thermodynamics"}
    assert methods == {"reference": "1", "gap/gen0": "0"}


def test_cells_are_chosen_on_gpus_where_a_mace_judges_them(tmp_path, repository):
    goal = {"rmse_thz": 0.1, "harmonic_only": True}
    loop = {"max_generations": 2, "cells_per_structure": 2, "goal": goal}
    committee = {**loop, "selection": {"method": "committee"}}
    moving = {**loop, "selection": {"dynamics": {"temperature_kelvin": 300}}}
    gap, mace = TINY["fits"]["gap"], {"kind": "mace"}
    one = {**TINY, "structures": {"mp-149": TINY["structures"]["mp-149"]}}
    campaigns = {
        "committee": {
            **one,
            "fits": {"mace": {**mace, "repeats": 2, "resampled": True}},
            "loop": committee,
        },
        "moving": {**one, "fits": {"mace": mace}, "loop": moving},
        "other": {**one, "fits": {"gap": gap, "mace": mace}, "loop": moving},
    }
    project = Project(tmp_path, repository, **campaigns)
    targets = [f"results/{name}/supercells/gen1/mp-149.extxyz" for name in campaigns]
    jobs = project.planned_jobs("slurm", *targets)
    chosen = {job["campaign"]: job for job in jobs if job["rule"] == "add_supercells"}
    where = {name: (job["slurm_partition"], job["gpu"]) for name, job in chosen.items()}
    assert where == {"committee": ("gpu", "1"), "moving": ("gpu", "1"), "other": ("cpu", "0")}


def test_no_dft_job_asks_for_more_than_the_site_has(tmp_path, repository):
    potentials = {"folder": "upf", "files": {"Si": "Si.upf"}}
    files = {"a.xyz": "0" * 64}
    database = {
        "source": {"name": "old", "url": "https://example.org/old", "files": files},
        **{"level_of_theory": "other", "train_files": ["a.xyz"], "relabel": True},
    }
    campaign = {
        **TINY,
        "reference": {
            **{"method": "espresso", "functional": "PBE", "ecutwfc_ry": 30, "cores": 8},
            **{"memory_mb": 9000, "pseudopotentials": potentials},
        },
        "labels": {"side_by_side": 3, "batches_per_structure": 2},
        "datasets": {"databases": {"old": database}},
        "benchmarks": {"mechanics": False},
        "fits": {"gap": TINY["fits"]["gap"]},
    }
    project = Project(tmp_path, repository, tiny=campaign)
    header = '<PP_HEADER element="Si" z_valence="4.0" pseudo_type="NC" functional="PBE"/>'
    (tmp_path / "upf").mkdir()
    (tmp_path / "upf/Si.upf").write_text(f'<UPF version="2.0.1">\n{header}</UPF>')
    project.place_it(max_memory_mb=20000)
    targets = [f"results/tiny/labels/{one}" for one in ("gen0.json", "databases/old/train.extxyz")]
    jobs = project.planned_jobs("slurm", *targets)
    asked = {job["rule"]: int(job["mem_mb"]) for job in jobs if "mem_mb" in job}
    assert asked["relax_structure"] == 9500
    assert asked["label_batch"] == asked["label_database_batch"] == 20000
    assert sum(job["rule"] == "label_database_batch" for job in jobs) == 2


def test_gpus_of_a_kind_are_asked_for_as_the_cluster_wants_it(tmp_path, repository):
    project = Project(tmp_path, repository, tiny={**TINY, "fits": {"mace": {"kind": "mace"}}})
    project.place_it(gpu={"partition": "gpu", "gres": "gpu:a100:1"}, max_cores=4)
    jobs = [job for job in project.planned_jobs("slurm") if job["rule"] == "fit"]
    assert [(job["gres"], job["gpu"]) for job in jobs] == [("gpu:a100:1", "0")]


def test_every_job_of_a_cluster_has_its_place_memory_and_time(repository):
    """What is not sent to the cluster is local, on purpose."""
    rules = "".join(path.read_text() for path in (repository / "rules").glob("*.smk"))
    blocks = re.findall(r"^(?:rule|checkpoint) (\w+):\n((?:    .*\n|\n)+)", rules, re.MULTILINE)
    assert len(blocks) > 20
    for name, block in blocks:
        if "localrule: True" not in block:
            for word in ("**runs_on(", "mem_mb=", "runtime=", "threads:", "log:"):
                assert word in block, (name, word)
        # what a DFT code is short of, the next try has more of, also on a single machine
        assert "label_memory(" not in block or "retries: RETRIES" in block, name


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("results/tiny/structures/mp-1.extxyz", ["structures/mp-1", "mp-149, mp-165"]),
        ("results/tiny/benchmarks/gap/gen0/mp-1.json", ["structures/mp-1", "mp-149, mp-165"]),
        ("results/tiny/fits/gapp/gen0/potential.json", ["fits/gapp", "gap, itself"]),
        ("results/tiny/labels/databases/old/train.extxyz", ["datasets/databases/old", "none"]),
        ("results/tinny/report.html", ["config/campaigns/tinny.yaml", "no such"]),
    ],
)
def test_an_unknown_name_in_a_target_is_said_in_one_line(tmp_path, repository, target, words):
    project = Project(tmp_path, repository, tiny=TINY)
    project.refuses(words, "--dry-run", target)


@pytest.mark.parametrize(
    ("site", "words"),
    [
        ({"campaigns": ["tiny"], "mirors": []}, ["mirors", "unknown key"]),
        ({"campaigns": ["tiny"], "mirrors": "~/data"}, ["mirrors", "list"]),
        ({"campaigns": []}, ["campaigns", "at least 1"]),
    ],
)
def test_a_faulty_config_file_is_said_in_one_line(tmp_path, repository, site, words):
    project = Project(tmp_path, repository, tiny=TINY)
    project.configure(**site)
    project.refuses(["config/config.yaml", *words], "--dry-run")


def test_a_faulty_site_file_is_said_in_one_line(tmp_path, repository):
    project = Project(tmp_path, repository, tiny=TINY)
    project.place_it(cpu={"partition": "a; b"})
    project.refuses(["config/site.yaml", "cpu.partition"], "--dry-run")


def test_a_faulty_campaign_stops_no_other_one(tmp_path, repository):
    project = Project(tmp_path, repository, tiny=TINY, faulty={**TINY, "sed": 1})
    assert project.planned("results/tiny/structures/mp-149.extxyz") == {"read_structure": 1}
    project.refuses(["faulty.yaml", "sed"], "--dry-run")


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
    run = finished.run("--dry-run", "--quiet", "host")
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


def test_two_campaigns_live_in_one_plan(tmp_path, repository):
    quick = {**TINY, "fits": {"itself": TINY["fits"]["itself"]}, "supercells": {"max_atoms": 250}}
    project = Project(tmp_path, repository, first=TINY, second=quick)
    run = project.run("--dry-run", "--quiet", "host")
    assert run.returncode == 0, run.stderr
    for name in ("first", "second"):
        assert f"results/{name}/tables/rmse.csv" in run.stdout + run.stderr


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sed": 1}, ["config/campaigns/tiny.yaml", "sed", "unknown key"]),
        (
            {"structures": {"x": {"file": "config/structures/none.vasp"}}},
            ["config/campaigns/tiny.yaml", "structures.x.file", "none.vasp"],
        ),
        (
            {"structures": {"x": {"file": "overlap.vasp"}}},
            ["structures.x.file", "overlap.vasp", "Å"],
        ),
        ({"structures": {"x": {"file": "nan.vasp"}}}, ["structures.x.file", "nan.vasp"]),
        ({"structures": {"x": {"file": "nacl.vasp"}}}, ["stillinger-weber", "Cl", "Na"]),
        (
            {
                "fits": {
                    "old": {"kind": "existing", "potential": {"calculator": "gap", "model": "a"}}
                }
            },
            ["fits.old.potential.model", "a: no such model file"],
        ),
    ],
)
def test_bad_input_stops_before_any_job(tmp_path, repository, change, words):
    project = Project(tmp_path, repository, tiny={**TINY, **change})
    cell = "x\n1.0\n5 0 0\n0 5 0\n0 0 5\n{}\n1 1\nDirect\n0 0 0\n{} 0 0\n"
    (tmp_path / "overlap.vasp").write_text(cell.format("Si Si", "0.01"))
    (tmp_path / "nan.vasp").write_text(cell.format("Si Si", "nan"))
    (tmp_path / "nacl.vasp").write_text(cell.format("Na Cl", "0.5"))
    # the reference and the existing potential both lack the elements
    project.refuses(words, problems=2 if "nacl.vasp" in str(change) else 1)


def test_a_recorded_file_with_another_checksum_stops_the_run(tmp_path, repository):
    recorded = {
        "structures": {"a": {"recorded": "a.yaml"}},
        "reference": {
            "method": "recorded",
            "level_of_theory": "none",
            "source": {"name": "set", "files": {"a.yaml": "0" * 64}},
        },
        "fits": {"gap": {"kind": "gap"}},
    }
    project = Project(tmp_path, repository, tiny=recorded)
    config = {"campaigns": ["tiny"], "mirrors": [str(tmp_path)]}
    (tmp_path / "config/config.yaml").write_text(json.dumps(config))
    (tmp_path / "set").mkdir()
    (tmp_path / "set/a.yaml").write_text("phonopy: {}\n")
    run = project.run()
    assert run.returncode != 0
    assert "checksum" in run.stderr
    assert "a.yaml" in run.stderr
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "results").exists()


def recorded_campaign(shared_data: Path) -> dict:
    def sha256(name: str) -> str:
        return hashlib.sha256((shared_data / "si-castep" / name).read_bytes()).hexdigest()

    files = ("22_phonopy.yaml", "24_phonopy.yaml", "34_phonopy.yaml", "8_phonopy.yaml")
    return {
        "structures": {
            "mp-149": {"recorded": "22_phonopy.yaml"},
            "mp-165": {"recorded": "24_phonopy.yaml", "role": "benchmark"},
            "mp-999200": {"recorded": "34_phonopy.yaml"},
            "unstable-8": {"recorded": "8_phonopy.yaml", "role": "test"},
        },
        "reference": {
            "method": "recorded",
            "level_of_theory": "CASTEP PW91",
            "source": {"name": "si-castep", "files": {name: sha256(name) for name in files}},
        },
        "datasets": {"constraints": {}},
        "phonons": {"band_path": "setyawan-curtarolo", "points_per_segment": 5},
        "fits": {
            "gap": {
                "kind": "gap",
                "sigma": {"force_ev_per_angstrom": 0.001},
                "soap": {
                    **{"n_sparse": 60, "n_max": 4, "l_max": 3, "cutoff_angstrom": 4.5},
                    **{"sparse_from": "rattled", "share_sparse": "structure"},
                },
            }
        },
    }


def test_recorded_forces_make_a_force_only_potential(tmp_path, repository, shared_data):
    """Real DFT data without energies: from the public files to the table, constraints included."""
    project = Project(tmp_path, repository, dft=recorded_campaign(shared_data))
    run = project.run()
    assert run.returncode == 0, run.stdout + run.stderr
    folder = project.results("dft")
    modes = pd.read_csv(folder / "tables/modes.csv")
    diamond = modes[(modes.structure == "mp-149") & (modes.cell == "relaxed")]
    gamma, x = (diamond[diamond.label == label].reference_thz for label in ("Γ", "X"))
    assert gamma.max() == pytest.approx(15.11, abs=0.01)
    assert sorted(x.round(2))[::2] == pytest.approx([4.42, 12.02, 13.35], abs=0.02)
    table = pd.read_csv(folder / "tables/rmse.csv")
    in_sample = dict(zip(table.structure, table.in_sample, strict=True))
    assert in_sample == {"mp-149": True, "mp-165": False, "mp-999200": True}
    assert table.rmse_thz.notna().all()
    assert (table[table.cell == "relaxed"].volume_error_percent.abs() < 3).all()
    summary = pd.read_csv(folder / "datasets/gen0/summary.csv")
    tested = {"mp-165", "unstable-8"}
    assert set(summary[summary.structure.isin(tested)].set) == {"test"}
    assert set(summary[summary.set == "test"].structure) == tested
    assert summary.energies.sum() == 0
    assert set(summary[summary.stresses > 0].kind) == {"constraint"}
    potential = json.loads((folder / "fits/gap/gen0/potential.json").read_text())
    assert potential["has_energies"] is False

    reference = recorded_campaign(shared_data)["reference"]
    moved = {**reference, "source": {**reference["source"], "url": "https://example.org/moved"}}
    assert project.planned_with({"reference": moved}, name="dft").keys() <= {"report", "all"}


def tin_campaign(shared_data: Path, crystal: str) -> dict:
    """One displaced and two rattled cells of α-Sn and the atom, as VASP left them."""
    data = shared_data / "sn-alpha-vasp"
    runs = ["Sn-stat_iso_atom_0_25", *(one.name for one in data.glob("dft_*_mp-117_1.0_*"))]
    files = {run: f"{run}/outputs/vasprun.xml.gz" for run in sorted(runs)}
    sha256 = {one: hashlib.sha256((data / one).read_bytes()).hexdigest() for one in files.values()}
    soap = {"n_sparse": 30, "n_max": 3, "l_max": 2, "cutoff_angstrom": 4.5}
    return {
        "structures": {"mp-117": {"file": crystal, "recorded": list(files)}},
        "reference": {
            "method": "recorded",
            "level_of_theory": "VASP PBE",
            "format": "vasprun",
            "source": {"name": "sn-alpha-vasp", "files": sha256},
        },
        "phonons": {"points_per_segment": 5, "mesh_length_angstrom": 15, "cells": ["reference"]},
        "fits": {"gap": {"kind": "gap", "soap": soap}},
        "figures": {"formats": ["svg"]},
    }


@pytest.mark.slow
def test_existing_vasp_runs_come_in_without_recomputing(tmp_path, repository, shared_data):
    """Folders of vasprun.xml and the crystal: displacements are found, energies are used."""
    (relaxed,) = shared_data.glob("sn-alpha-vasp/tight_relax_2_mp-117_1.0_*/outputs/CONTCAR.gz")
    (tmp_path / "POSCAR").write_bytes(gzip.decompress(relaxed.read_bytes()))
    tin = tin_campaign(shared_data, "POSCAR")
    project = Project(tmp_path, repository, tin=tin)
    targets = [f"results/tin/tables/{name}.csv" for name in ("rmse", "modes", "labels")]
    run = project.run(*targets)
    assert run.returncode == 0, run.stdout + run.stderr
    folder = project.results("tin")
    modes = pd.read_csv(folder / "tables/modes.csv")
    assert modes[modes.label == "Γ"].reference_thz.max() == pytest.approx(5.49, abs=0.01)
    labels = pd.read_csv(folder / "tables/labels.csv").set_index("kind").labels
    assert labels.to_dict() == {"displaced": 1, "isolated_atom": 1, "rattled": 2}
    baseline = json.loads((folder / "datasets/gen0/baseline.json").read_text())
    assert baseline["origin"] == "isolated_atoms"
    assert baseline["e0s"] == pytest.approx({"Sn": -0.33074971})
    assert pd.read_csv(folder / "tables/rmse.csv").rmse_thz.between(0.01, 2).all()
    assert project.planned(*targets) == {}

    tin["structures"]["mp-117"]["recorded"].pop(1)  # the displaced cell
    project.write("tin", tin)
    run = project.run("results/tin/phonons/reference/reference/mp-117.yaml")
    assert run.returncode != 0
    assert "no recorded cell is an undistorted supercell" in run.stdout + run.stderr


NEW_STAGE = """
rule colours:
    output:
        "results/{campaign}/colours/{structure}.json",
    shell:
        "touch {output}"


rule colours_table:
    output:
        "results/{campaign}/tables/colours.csv",
    shell:
        "touch {output}"


rule draw_colours:
    output:
        "results/{campaign}/figures/colours.{format}",
    shell:
        "touch {output}"


STAGES["colours"] = Part(
    tables=lambda name: {"colours.csv": "Colours"},
    figures=lambda name: {"colours": "Colours of the crystals."},
    warnings=lambda name: [
        [structure, f"results/{name}/colours/{structure}.json"]
        for structure in campaign(name).structures
    ],
)
"""


def test_a_new_stage_is_its_rules_file_and_one_line(tmp_path, repository):
    """Its tables are targets, its figures come into the report, its warnings into their table."""
    house = tmp_path / "house"
    shutil.copytree(repository / "rules", house / "rules")
    for name in ("phonsmith", "scripts", "envs", "profiles", "config"):
        (house / name).symlink_to(repository / name)
    (house / "rules/colours.smk").write_text(NEW_STAGE)
    snakefile = (repository / "Snakefile").read_text()
    line = 'include: "rules/figures.smk"\n'
    assert snakefile.count(line) == 1
    (house / "Snakefile").write_text(
        snakefile.replace(line, f'include: "rules/colours.smk"\n{line}')
    )
    project = Project(tmp_path / "project", house, tiny=TINY)
    planned = project.planned()
    assert (planned["colours_table"], planned["draw_colours"], planned["colours"]) == (1, 1, 2)
    report = project.planned_with({"figures": {"formats": ["svg", "png"]}}, "--until", "report")
    assert report["draw_colours"] == 2
