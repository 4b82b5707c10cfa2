"""Runs that are killed, and disks that are full: nothing finished is lost, nothing differs."""

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase import Atoms

from phonsmith.files.errors import PhonsmithError, TryAgain
from phonsmith.files.extxyz import FORCES
from phonsmith.labels.checks import labelled, labelled_alone
from phonsmith.labels.labelling import ask_for_more, isolated_atoms, label_cells
from phonsmith.labels.provenance import Provenance
from phonsmith.labels.runs import LOCK, OwnFolder
from phonsmith.labels.settings import Labels
from phonsmith.labels.store import LabelStore
from phonsmith.running.attempts import TRIES
from tests.campaigns import TINY
from tests.cells import rattled_cells
from tests.project import Project

CAMPAIGN = {
    **TINY,
    "fits": {
        **TINY["fits"],
        "gap": {"kind": "gap", "soap": {**TINY["fits"]["gap"]["soap"], "n_sparse": 40}},
    },
    "phonons": {**TINY["phonons"], "cells": ["reference"]},
}
SHORT = {**CAMPAIGN, "fits": {"itself": CAMPAIGN["fits"]["itself"]}}
NAMES = ("rmse", "modes", "structures", "labels", "fits")
EFFORT = ["wall_time_s", "peak_memory_mb"]


def targets(settings: dict) -> list[str]:
    names = [*NAMES, *(["errors"] if "gap" in settings["fits"] else [])]
    return [f"results/c/tables/{name}.csv" for name in names]


def tables(project: Project) -> dict[str, str]:
    """All tables as text, to the last digit, without times and memory."""
    found = {}
    for path in sorted((project.results("c") / "tables").glob("*.csv")):
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        found[path.name] = table.drop(columns=EFFORT, errors="ignore").to_csv(index=False)
    return found


def finished_labels(project: Project) -> dict[Path, int]:
    """Every label that is whole, and when it was written."""
    return {
        path: path.stat().st_mtime_ns
        for path in (project.results("c") / "labels/store").glob("??/*.npz")
        if not path.name.startswith(".")
    }


def killed(project: Project, wanted: list[str], seconds: float) -> bool:
    """Start a run and kill all of it after some time; whether it was still at work."""
    process = subprocess.Popen(
        project.command(*wanted),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    ended = process.poll() is not None
    if not ended:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return not ended


@pytest.fixture(scope="module")
def quiet(tmp_path_factory, repository) -> Callable[[dict], Project]:
    """A function that gives the same campaign undisturbed, run once."""
    done: dict[int, Project] = {}

    def of(settings: dict) -> Project:
        if id(settings) not in done:
            project = Project(tmp_path_factory.mktemp("quiet"), repository, c=settings)
            run = project.run(*targets(settings))
            assert run.returncode == 0, run.stdout + run.stderr
            assert len(tables(project)) == len(targets(settings))
            done[id(settings)] = project
        return done[id(settings)]

    return of


def kill_again_and_again(
    folder: Path, undisturbed: Project, settings: dict, kills: int, seed: int
) -> None:
    """Compare campaigns that were killed with one that was not."""
    wanted, expected = targets(settings), tables(undisturbed)
    start = time.monotonic()
    undisturbed.run("--dry-run", *wanted)  # in a fresh process, as the runs that are killed
    startup = time.monotonic() - start
    chance = random.Random(seed)
    while kills > 0:
        project = Project(folder / f"killed-{kills}", undisturbed.repository, c=settings)
        labels: dict[Path, int] = {}
        while kills > 0 and killed(project, wanted, startup * chance.uniform(0.4, 2.5)):
            kills -= 1
            labels = finished_labels(project) | labels
            shutil.rmtree(project.folder / ".snakemake/locks", ignore_errors=True)  # unlock
        run = project.run(*wanted)
        assert run.returncode == 0, run.stdout + run.stderr
        assert tables(project) == expected
        assert labels.items() <= finished_labels(project).items()
        assert len(finished_labels(project)) == len(finished_labels(undisturbed))
        assert project.planned(*wanted) == {}


def test_a_campaign_that_is_killed_four_times_ends_the_same(tmp_path, quiet):
    kill_again_and_again(tmp_path, quiet(SHORT), SHORT, 4, seed=2)


@pytest.mark.slow
def test_a_campaign_that_is_killed_25_times_ends_the_same(tmp_path, quiet):
    kill_again_and_again(tmp_path, quiet(CAMPAIGN), CAMPAIGN, 25, seed=3)


# --- a full disk ---------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own for a project."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(place)]
    if (
        not shutil.which("mount")
        or subprocess.run(mount, capture_output=True, check=False).returncode
    ):
        pytest.skip("mounting a tmpfs is not permitted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def resize(disk: Path, kilobytes: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", str(disk)], check=True)


@pytest.mark.slow
def test_a_full_disk_is_told_and_the_campaign_goes_on_where_it_was(small_disk, quiet, repository):
    undisturbed = quiet(SHORT)
    project = Project(small_disk, repository, c=SHORT)
    used = int(subprocess.check_output(["du", "-sk", undisturbed.folder]).split()[0])
    resize(small_disk, used * 2 // 3)
    run = project.run(*targets(SHORT))
    assert run.returncode != 0
    said = [line for line in run.stderr.splitlines() if line.startswith("phonsmith: ")]
    # where Snakemake meets it first and raises, the words are its own
    assert said or "No space left on device" in run.stderr, run.stderr
    told = r"phonsmith: the disk is full( \(writing .+\))?: free some space and restart"
    assert [line for line in said if not re.match(told, line)] == []
    labels = finished_labels(project)
    resize(small_disk, used * 10)
    # started twice, as a user would: one time in some 35 Snakemake, whose records were cut off too,
    # ended well without labels.csv; why is not known, and the output below is to tell
    output = ""
    for _ in range(2):
        run = project.run(*targets(SHORT))
        output += run.stdout + run.stderr
        assert run.returncode == 0, output
    assert tables(project) == tables(undisturbed), output
    assert labels.items() <= finished_labels(project).items()
    assert project.planned(*targets(SHORT)) == {}


# --- folders of runs -----------------------------------------------------------------------------

OWNER = """
import sys, time
from pathlib import Path
from phonsmith.labels.runs import OwnFolder
folder = OwnFolder(Path(sys.argv[1]), "run")
(folder.path / "wfc1.dat").write_text("large")
print(folder.path, flush=True)
time.sleep(600)
"""


def test_what_killed_processes_left_goes_and_nothing_else(tmp_path):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    try:
        left, kept = (Path(one.stdout.readline().strip()) for one in processes)
        assert left.exists() and kept.exists()
        processes[0].kill()
        processes[0].wait()
        of_another_machine = tmp_path / "run-another-machine-x"
        of_another_machine.mkdir()
        (of_another_machine / LOCK).touch()
        mine = OwnFolder(tmp_path, "run")
        assert not left.exists()
        assert (kept / "wfc1.dat").exists()
        assert of_another_machine.exists()
        second = OwnFolder(tmp_path, "run")
        assert mine.path.exists()
        for one in (mine, second):
            one.remove()
            assert not one.path.exists()
    finally:
        for process in processes:
            process.kill()
            process.wait()


# --- labels side by side -------------------------------------------------------------------------


class Vanishing:
    """A method whose program vanishes at the second cell; ``marker`` says so to those beside it."""

    name = "vanishing"
    cores = 1

    def __init__(self, marker: Path | None = None) -> None:
        self.marker = marker

    def fingerprint(self, elements: Iterable[str]) -> str:
        return "{}"

    def elements(self) -> None:
        return None

    def label(self, cell: Atoms) -> Atoms:
        if cell.info["index"] == 1:
            if self.marker:
                self.marker.touch()
            raise PhonsmithError("no such program")
        while self.marker and not self.marker.exists():
            time.sleep(0.1)
        time.sleep(1.5)
        return labelled(cell, self.name, 1.0, np.zeros((len(cell), 3)))


@pytest.mark.parametrize("side_by_side", [1, 3])
def test_what_runs_beside_an_error_is_finished_and_kept(tmp_path, side_by_side):
    store = LabelStore(tmp_path)
    cells = sorted(rattled_cells(8), key=lambda one: store.turn(LabelStore.key(one, "{}")))
    for index, cell in enumerate(cells):
        cell.info["index"] = index
    method = Vanishing(tmp_path / "vanished" if side_by_side > 1 else None)
    with pytest.raises(PhonsmithError, match="no such program"):
        label_cells(cells, method, Labels(), store, side_by_side)
    kept = [index for index, one in enumerate(cells) if store.get(LabelStore.key(one, "{}"))]
    assert kept == ([0] if side_by_side == 1 else [0, 2])


class Deadly(Vanishing):
    """A method that takes its process along at some cells."""

    def __init__(self, *deadly: int) -> None:
        self.deadly = deadly

    def label(self, cell: Atoms) -> Atoms:
        if cell.info["index"] in self.deadly:
            os._exit(9)
        return labelled(cell, self.name, 1.0, np.zeros((len(cell), 3)))


def test_a_cell_that_kills_its_process_is_put_on_record(tmp_path):
    """And costs no other label: those beside it are done again, the others come after it."""
    store = LabelStore(tmp_path)
    labels, failures = label_cells(rattled_cells(6), Deadly(1), Labels(), store, 2)
    assert [label.info["index"] for label in labels] == [0, 2, 3, 4, 5]
    (failure,) = failures
    assert (failure.index, failure.wants) == (1, "memory")
    assert "a worker process died" in failure.reason
    # the next try has this cell alone, and must outlive it
    labels, failures = label_cells(rattled_cells(6), Deadly(1), Labels(), store, 2)
    assert (len(labels), len(failures)) == (5, 1)
    with pytest.raises(TryAgain):
        ask_for_more(failures, 1)
    ask_for_more(failures, TRIES)


def test_a_method_that_kills_all_its_processes_ends_the_job(tmp_path):
    with pytest.raises(TryAgain, match="worker process died"):
        label_cells(rattled_cells(6), Deadly(*range(6)), Labels(), LabelStore(tmp_path), 2)


# --- isolated atoms ------------------------------------------------------------------------------


class Lonely(Vanishing):
    """A method that counts the isolated atoms that it computes."""

    computed = 0

    def isolated_atom(self, element: str) -> Atoms | None:
        if element == "He":
            return None
        self.computed += 1
        made = Provenance("code", "1.0", "settings", 3.0, scf_steps=7)
        return labelled_alone(Atoms(element, cell=[5, 6, 7], pbc=True), "m", -3.25, made)


def test_isolated_atoms_are_kept_one_by_one(tmp_path):
    method, store = Lonely(), LabelStore(tmp_path)
    first = isolated_atoms(["Si", "He"], method, store, [5, 6, 7])
    again = isolated_atoms(["Ge", "Si"], method, store, [5, 6, 7])
    assert method.computed == 2
    assert [atom.symbols[0] for atom in first + again] == ["Si", "Ge", "Si"]
    assert first[0].info == again[1].info
    assert first[0] == again[1]
    assert FORCES not in again[1].arrays
    isolated_atoms(["Si"], method, store, [8, 8, 8])
    assert method.computed == 3
