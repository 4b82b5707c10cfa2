"""Labels that fail: on record, passed over or a reason to stop, and tried again alone."""

import json
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase.build import bulk

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, count_frames, read_frames, write_frames
from phonsmith.files.sources import sha256_of
from phonsmith.labels.checks import labelled
from phonsmith.labels.quarantine import in_words, require_labels, taken_up
from phonsmith.potentials.calculators import make_calculator
from phonsmith.potentials.settings import PotentialSource
from tests.project import SNAKEMAKE, Project

# Stillinger-Weber that breaks down on some cells: those whose coordinates sum up to a number on
# its list
FRAGILE = """
import json
from pathlib import Path

import numpy as np
from matscipy.calculators.manybody import Manybody
from matscipy.calculators.manybody.explicit_forms.stillinger_weber import (
    Stillinger_Weber_PRB_31_5262_Si as SILICON, StillingerWeber,
)


class Fragile(Manybody):
    def __init__(self):
        super().__init__(**StillingerWeber(SILICON))

    def calculate(self, atoms, properties, system_changes):
        doomed = json.loads(Path("doomed.json").read_text())
        if any(abs(np.abs(atoms.positions).sum() - one) < 1e-6 for one in doomed):
            raise RuntimeError("the density went astray")
        super().calculate(atoms, properties, system_changes)
"""

CAMPAIGN = {
    "structures": {
        "mp-149": {"file": "config/structures/silicon/mp-149.vasp"},
        "mp-165": {"file": "config/structures/silicon/mp-165.vasp"},
    },
    "reference": {
        "method": "calculator",
        "potential": {"calculator": "fragile:Fragile"},
        "isolated_atoms": False,
    },
    "supercells": {
        "min_length_angstrom": 6.0,
        "min_atoms": 8,
        "max_atoms": 70,
        "rattled": {"count": 8, "std_angstrom": 0.05},
    },
    "labels": {"batches_per_structure": 2},
    "fits": {"sw": {"kind": "existing", "potential": {"calculator": "stillinger-weber"}}},
    "phonons": {"points_per_segment": 5, "mesh_length_angstrom": 15, "cells": ["reference"]},
    "figures": {"formats": ["svg"]},
}
TABLES = ["results/c/tables/labels.csv", "results/c/tables/rmse.csv"]


def said(run: subprocess.CompletedProcess) -> list[str]:
    lines = (run.stdout + run.stderr).splitlines()
    return sorted({line for line in lines if line.startswith("phonsmith: ")})


def doom(project: Project, *cells: tuple[str, str]) -> list[int]:
    """Let the reference fail on the last cell of a structure and kind; their indices."""
    sums, indices = [], []
    for structure, kind in cells:
        frames = read_frames(project.results("c") / f"supercells/gen0/{structure}.extxyz")
        last = [frame for frame in frames if frame.info["kind"] == kind][-1]
        sums.append(float(np.abs(last.positions).sum()))
        indices.append(int(last.info["index"]))
    (project.folder / "doomed.json").write_text(json.dumps(sums))
    return indices


FEWER = {**CAMPAIGN, "labels": {"batches_per_structure": 2, "min_label_fraction": 0.8}}


@pytest.fixture
def fragile(tmp_path, repository, monkeypatch) -> tuple[Project, int, int]:
    """A campaign whose reference fails on one rattled and one displaced cell, of these indices."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "fragile.py").write_text(FRAGILE)
    (tmp_path / "doomed.json").write_text("[]")
    project = Project(tmp_path, repository, c=CAMPAIGN)
    run = project.run(*TABLES, "--until", "make_supercells")
    assert run.returncode == 0, run.stdout + run.stderr
    return project, *doom(project, ("mp-149", "rattled"), ("mp-165", "displaced"))


def rmse(project: Project) -> pd.Series:
    return pd.read_csv(project.results("c") / "tables/rmse.csv").set_index("structure").rmse_thz


def store_of(project: Project) -> dict[Path, int]:
    store = project.results("c") / "labels/store"
    return {path: path.stat().st_mtime_ns for path in store.rglob("*.npz")}


@pytest.mark.slow
def test_failed_labels_are_passed_over_listed_and_tried_again(fragile):
    project, rattled, displaced = fragile
    too_few_stop_the_campaign(project, rattled)
    project.write("c", FEWER)  # the user is content with less
    the_others_go_on(project)
    command = the_list_tells_how_to_try_again(project, rattled, displaced)
    one_is_tried_again(project, command, displaced)


def too_few_stop_the_campaign(project: Project, rattled: int) -> None:
    """Two of about twenty: less than nineteen of twenty are left."""
    run = project.run(*TABLES)
    assert run.returncode != 0
    (told,) = [line for line in said(run) if "min_label_fraction" in line]
    assert "requires 95 %" in told
    assert "failed: mp-149 (1), mp-165 (1)" in told
    assert "the density went astray" in told
    assert not (project.results("c") / "tables/labels.csv").exists()
    record = json.loads((project.results("c") / "labels/gen0/mp-149.failures.json").read_text())
    (one,) = record
    assert (one["structure"], one["kind"], one["index"]) == ("mp-149", "rattled", rattled)
    assert "the density went astray" in one["reason"]
    assert "raise RuntimeError" in one["output"]


def the_others_go_on(project: Project) -> None:
    """With everything but phonons of the crystal that lacks a displaced cell."""
    run = project.run(*TABLES)
    assert run.returncode == 0, run.stdout + run.stderr
    labels = pd.read_csv(project.results("c") / "tables/labels.csv")
    failed = labels[labels.failures > 0].set_index(["structure", "kind"]).failures
    assert failed.to_dict() == {("mp-149", "rattled"): 1, ("mp-165", "displaced"): 1}
    assert rmse(project)["mp-149"] < 1e-3
    assert np.isnan(rmse(project)["mp-165"])


def the_list_tells_how_to_try_again(project: Project, rattled: int, displaced: int) -> str:
    """And computes nothing for it; the command for the displaced cell."""
    before = store_of(project)
    run = project.run("failures")
    assert run.returncode == 0, run.stderr
    assert "c: 2 cells have no label" in run.stdout
    assert f"mp-149, generation 0, rattled cell {rattled}" in run.stdout
    assert "RuntimeError: the density went astray" in run.stdout
    commands = [line.split("retry: ")[1] for line in run.stdout.splitlines() if "retry: " in line]
    assert len(commands) == 2
    assert store_of(project) == before
    return next(line for line in commands if f"cells/mp-165/{displaced}." in line)


def one_is_tried_again(project: Project, command: str, displaced: int) -> None:
    """In vain, and again when the cause is mended; every other label stays."""
    again = [*shlex.split(command), "--cores", "2", *project.place("local")]
    assert again[0] == "snakemake"
    again[0] = str(SNAKEMAKE)
    before = store_of(project)
    for mended in (False, True):
        if mended:
            doom(project, ("mp-149", "rattled"))
        run = subprocess.run(again, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        word = "is labelled" if mended else "fails again"
        assert any(f"cell {displaced} of mp-165 {word}" in line for line in said(run)), run.stderr
        assert len(store_of(project)) == len(before) + mended
        assert before.items() <= store_of(project).items()
    planned = project.planned(*TABLES)
    assert planned["gather_labels"] == 1
    assert "label_batch" not in planned
    run = project.run(*TABLES)
    assert run.returncode == 0, run.stderr
    assert rmse(project).max() < 1e-3
    assert "c: 1 cell has no label" in project.run("failures").stdout
    (project.results("c") / "labels/gen0/mp-149.failures.json").write_text("[")
    run = project.run("failures")
    assert run.returncode != 0
    assert [line for line in said(run) if "mp-149.failures.json: not valid JSON" in line]


def test_refused_cells_of_a_data_set_are_on_record(tmp_path, repository):
    good, bad = label(0), label(1)
    bad.arrays[FORCES] = bad.arrays[FORCES] + 1.0
    (tmp_path / "old").mkdir()
    write_frames(tmp_path / "old/a.xyz", [good, bad, good])
    database = {
        "source": {"name": "old", "files": {"a.xyz": sha256_of(tmp_path / "old/a.xyz")}},
        "level_of_theory": "fragile:Fragile",
        "train_files": ["a.xyz"],
    }
    (tmp_path / "doomed.json").write_text("[]")
    project = Project(
        tmp_path, repository, c={**CAMPAIGN, "datasets": {"databases": {"old": database}}}
    )
    project.configure(campaigns=["c"], mirrors=["."])
    folder = "results/c/labels/databases/old"
    run = project.run(f"{folder}/failures.json")
    assert run.returncode == 0, run.stderr
    assert count_frames(tmp_path / folder / "train.extxyz") == 2
    (record,) = json.loads((tmp_path / folder / "failures.json").read_text())
    assert (record["structure"], record["part"], record["kind"]) == ("old", "train", "recorded")
    assert "cell 1: forces sum to 2 eV/Å" in record["reason"]
    told = project.run("failures").stdout
    assert "old, generation 0, recorded cell, train set" in told


def test_an_existing_data_set_is_labelled_anew_in_batches(tmp_path, repository, monkeypatch):
    """Of seven cells in two jobs one fails; the others keep their part, order and number."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "fragile.py").write_text(FRAGILE)
    cells = [bulk("Si", cubic=True) for _ in range(7)]
    for seed, cell in enumerate(cells):
        cell.rattle(0.05, seed=seed)
    (tmp_path / "doomed.json").write_text(json.dumps([np.abs(cells[2].positions).sum()]))
    (tmp_path / "old").mkdir()
    old = [labelled(cell, "other", 0.0, np.zeros((8, 3))) for cell in cells]
    files = {"train.xyz": old[:5], "test.xyz": old[5:]}
    for name, frames in files.items():
        write_frames(tmp_path / "old" / name, frames)
    sums = {name: sha256_of(tmp_path / "old" / name) for name in files}
    database = {
        "source": {"name": "old", "files": sums},
        "level_of_theory": "other",
        "relabel": True,
        **{"train_files": ["train.xyz"], "test_files": ["test.xyz"]},
    }
    labels = {"batches_per_structure": 2, "min_label_fraction": 0.8}
    campaign = {**CAMPAIGN, "labels": labels, "datasets": {"databases": {"old": database}}}
    project = Project(tmp_path, repository, c=campaign)
    project.configure(campaigns=["c"], mirrors=["."])
    folder = "results/c/labels/databases/old"
    run = project.run(f"{folder}/failures.json")
    assert run.returncode == 0, run.stderr
    parts = [read_frames(tmp_path / folder / f"{part}.extxyz") for part in ("train", "test")]
    assert [[one.info["index"] for one in part] for part in parts] == [[0, 1, 3, 4], [5, 6]]
    for one in parts[0] + parts[1]:
        cell = cells[one.info["index"]]
        assert np.allclose(one.positions, cell.positions, atol=1e-7)
        cell.calc = make_calculator(PotentialSource(calculator="stillinger-weber"))
        assert one.info[ENERGY] == pytest.approx(cell.get_potential_energy(), abs=1e-5)
    (record,) = json.loads((tmp_path / folder / "failures.json").read_text())
    assert (record["part"], record["index"]) == ("train", 2)
    assert "the density went astray" in record["reason"]
    assert len(store_of(project)) == 6
    assert len(list((tmp_path / folder / "batches").glob("?.extxyz"))) == 2


# --- in parts -----------------------------------------------------------------------------------


def failure(index: int, reason: str = "x", structure: str = "a") -> dict:
    name = {"structure": structure, "kind": "rattled", "generation": 0, "index": index}
    return {**name, "reason": reason, "output": ""}


def label(index: int) -> object:
    atoms = labelled(bulk("Si"), "SW", 0.0, np.zeros((2, 3)))
    atoms.info.update(structure="a", kind="rattled", generation=0, index=index)
    return atoms


@pytest.mark.parametrize(
    ("labelled_cells", "failed", "fraction", "enough"),
    [
        (95, 5, 0.95, True),
        (94, 6, 0.95, False),
        (0, 3, 0.0, True),
        (0, 1, 0.01, False),
        (0, 0, 1.0, True),
        (99, 1, 1.0, False),
        # one of several may be missing
        (4, 1, 0.95, True),
        (1, 1, 0.95, True),
        (3, 2, 0.95, False),
    ],
)
def test_the_fraction_decides(labelled_cells, failed, fraction, enough):
    failures = [failure(i) for i in range(failed)]
    if enough:
        require_labels(labelled_cells, failures, fraction, "c")
        return
    with pytest.raises(PhonsmithError, match=rf"^c: {labelled_cells} of .*a \({failed}\)"):
        require_labels(labelled_cells, failures, fraction, "c")


def test_the_summary_names_the_most_frequent_reasons():
    reasons = ["out of time (see /x/1)", "out of time (see /x/2)", "disk full", "a", "b", "b"]
    with pytest.raises(PhonsmithError) as caught:
        require_labels(1, [failure(i, one) for i, one in enumerate(reasons)], 0.95, "c")
    assert "reasons: out of time (2), b (2), disk full (1), 1 more" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_label_that_came_later_takes_the_place_of_its_failure():
    labels, failures = taken_up([label(0)], [failure(1), failure(2)], [label(2), label(0)])
    assert [one.info["index"] for one in labels] == [0, 2]
    assert [one["index"] for one in failures] == [1]


def test_the_list_holds_what_the_code_said():
    text = in_words([{**failure(3), "output": "one\ntwo", "again": "do this"}])
    assert text.splitlines() == [
        "a, generation 0, rattled cell 3",
        "  x",
        "    | one",
        "    | two",
        "  retry: do this",
    ]


def test_frames_are_counted_without_reading_them(tmp_path: Path):
    write_frames(tmp_path / "a.extxyz", [label(i) for i in range(3)])
    assert count_frames(tmp_path / "a.extxyz") == 3
    (tmp_path / "b.extxyz").touch()
    assert count_frames(tmp_path / "b.extxyz") == 0
