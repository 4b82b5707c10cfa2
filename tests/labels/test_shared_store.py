"""Campaigns that share their labels, and plans of many crystals."""

import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from phonsmith.campaign.model import Campaign
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS, read_frames
from phonsmith.labels.calculator.method import CalculatorMethod
from phonsmith.labels.calculator.settings import CalculatorReference
from phonsmith.labels.labelling import label_cells
from phonsmith.labels.settings import Labels
from phonsmith.labels.store import LabelStore
from phonsmith.potentials.calculators import Evaluation, evaluate_one
from tests.cells import rattled_cells
from tests.project import Project

SW = {"method": "calculator", "potential": {"calculator": "stillinger-weber"}}
CELLS = 40


class SlowMethod(CalculatorMethod):
    """Stillinger-Weber labels that take their time, as those of a DFT code do, and are counted."""

    done = 0

    def label(self, cell: Atoms) -> Atoms:
        time.sleep(0.1)
        self.done += 1
        return super().label(cell)


def label_as(user, project, folder, start, queue) -> None:
    """Label all cells as one campaign; tell how many were computed, and the labels."""
    project.mkdir(exist_ok=True)
    os.chdir(project)
    method = SlowMethod(CalculatorReference(**SW))
    start.wait()
    labels, failures = label_cells(rattled_cells(CELLS), method, Labels(), LabelStore(folder, user))
    queue.put((method.done, [label.arrays[FORCES] for label in labels], len(failures)))


@pytest.mark.parametrize("users", [("a/one", "a/other"), ("a/one", "b/one")])
def test_campaigns_that_run_at_the_same_time_share_the_work(
    tmp_path: Path, users: tuple[str, str]
) -> None:
    """Two campaigns of a project, or of two projects that call theirs the same."""
    context = multiprocessing.get_context("spawn")
    start, queue = context.Barrier(2), context.Queue()
    jobs = [
        context.Process(
            target=label_as,
            args=(Path(one).name, tmp_path / Path(one).parent, tmp_path, start, queue),
        )
        for one in users
    ]
    for job in jobs:
        job.start()
    found = [queue.get(timeout=600) for _ in jobs]
    for job in jobs:
        job.join()
    alone, _ = label_cells(
        rattled_cells(CELLS), CalculatorMethod(CalculatorReference(**SW)), Labels()
    )
    for _, forces, failed in found:
        assert failed == 0
        for one, other in zip(forces, alone, strict=True):
            assert np.array_equal(one, other.arrays[FORCES])
    # each label has one file, nothing partial is left, and few cells were in work twice at once
    assert len(list(tmp_path.glob("??/*"))) == CELLS
    computed = [done for done, _, _ in found]
    assert CELLS <= sum(computed) <= 1.2 * CELLS
    assert min(computed) > 0


def test_batches_leave_out_what_another_job_has_labelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells, store = rattled_cells(6), LabelStore(tmp_path)
    method = CalculatorMethod(CalculatorReference(**SW))
    keys = [LabelStore.key(cell, method.fingerprint("Si")) for cell in cells]
    computed = []

    def batch(together: list[Atoms], calculator: object) -> list[Evaluation]:
        """Label a batch, while another job labels the cells 3, 4 and 5."""
        computed.append(len(together))
        for index in (3, 4, 5):
            store.put(keys[index], method.label(cells[index]))
        return [evaluate_one(cell, calculator) for cell in together]

    monkeypatch.setattr("phonsmith.labels.calculator.method.evaluate_batch", batch)
    monkeypatch.setattr("phonsmith.labels.calculator.method.BATCH_ATOMS", 2 * len(cells[0]))
    monkeypatch.setattr(
        CalculatorMethod, "label_in_batches", lambda self, *args: self._in_batches(*args)
    )
    store.turn = keys.index  # in the order of the cells
    labels, _ = label_cells(cells, method, Labels(), store)
    assert computed == [2, 1]
    for cell, label in zip(cells, labels, strict=True):
        assert label.info[ENERGY] == pytest.approx(method.label(cell).info[ENERGY], abs=1e-10)


def test_users_take_cells_in_orders_of_their_own_always_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [LabelStore.key(cell, "") for cell in rattled_cells(10)]

    def order(user: str) -> list[str]:
        return sorted(keys, key=LabelStore(tmp_path, user).turn)

    here = order("a")
    assert here == order("a") != order("b")
    monkeypatch.chdir(tmp_path)
    assert order("a") != here


def test_the_first_label_stays_and_a_broken_one_is_replaced(tmp_path: Path) -> None:
    (cell,) = rattled_cells(1)
    store = LabelStore(tmp_path)
    label = CalculatorMethod(CalculatorReference(**SW)).label(cell)
    store.put("abc", label)
    (file,) = tmp_path.glob("??/*")
    kept = file.read_bytes()
    other = label.copy()
    other.info[ENERGY] = label.info[ENERGY] + 1e-9  # another machine's last digits
    store.put("abc", other)
    assert file.read_bytes() == kept
    file.write_bytes(kept[:100])
    store.put("abc", other)
    assert store.get("abc").info[ENERGY] == other.info[ENERGY]


def test_members_of_a_group_share_a_store(tmp_path: Path) -> None:
    """Whatever the umask of the one who comes first."""
    store = LabelStore(tmp_path / "labels")
    store.folder.mkdir()
    store.folder.chmod(0o2775)
    before = os.umask(0o077)
    try:
        (cell,) = rattled_cells(1)
        method = CalculatorMethod(CalculatorReference(**SW))
        store.put("abc", method.label(cell))
        store.describe(method.fingerprint(["Si"]))
    finally:
        os.umask(before)
    folders = {path for path in store.folder.rglob("*") if path.is_dir()}
    assert {path.name for path in folders} == {"ab", "settings"}
    assert {path.stat().st_mode & 0o7777 for path in folders} == {0o2775}
    files = {path for path in store.folder.rglob("*") if path.is_file()}
    assert {path.stat().st_mode & 0o777 for path in files} == {0o644}
    # a store of one's own alone is not opened to others
    own = LabelStore(tmp_path / "own")
    before = os.umask(0o077)
    try:
        own.put("abc", method.label(cell))
    finally:
        os.umask(before)
    modes = {path.is_dir(): path.stat().st_mode & 0o777 for path in own.folder.rglob("*")}
    assert modes == {True: 0o700, False: 0o600}
    # what a killed job has left is no description of a method
    (store.folder / "settings/.part-x.json").write_text("{")
    assert store.latest_fingerprint(["Si"], {}) == method.fingerprint(["Si"])


def campaign_of(structures: dict, **changes: object) -> dict:
    return {
        "seed": 3,
        "structures": structures,
        "reference": SW,
        "supercells": {"min_length_angstrom": 5.0, "min_atoms": 8, "rattled": {"count": 3}},
        "fits": {"itself": {"kind": "existing", "potential": SW["potential"]}},
        **changes,
    }


@pytest.mark.slow
def test_two_campaigns_compute_a_label_once(tmp_path: Path, repository: Path) -> None:
    crystal = {"mp-149": {"file": "config/structures/silicon/mp-149.vasp"}}
    project = Project(
        tmp_path,
        repository,
        first=campaign_of(crystal),
        # other settings where no label depends on them
        second=campaign_of(
            crystal, datasets={"test_fraction": 0.4}, labels={"batches_per_structure": 2}
        ),
    )
    project.configure(campaigns=["first", "second"], label_store="shared")
    target = "results/{}/labels/gen0/mp-149.extxyz"
    for name in ("first", "second"):
        run = project.run(target.format(name))
        assert run.returncode == 0, run.stderr
    one, other = (read_frames(tmp_path / target.format(name)) for name in ("first", "second"))
    assert len(one) == len(other) > 3
    for a, b in zip(one, other, strict=True):
        assert a.info[ENERGY] == b.info[ENERGY]
        assert np.array_equal(a.arrays[FORCES], b.arrays[FORCES])
        assert np.array_equal(a.info[STRESS], b.info[STRESS])
    assert len(list((tmp_path / "shared").glob("??/*.npz"))) == len(one)
    for batch in (0, 1):
        log = project.results("second") / f"logs/labels/gen0/mp-149/{batch}.log"
        asked, there = log.read_text().splitlines()[0].split(" cells: ")
        assert there == f"{asked} labels are in the store"
    assert not (project.results("first") / "labels/store").exists()
    # where labels are kept makes none of them stale
    project.configure(campaigns=["first", "second"])
    assert project.planned(target.format("first")) == {}


def test_the_cost_of_a_campaign_of_many_crystals_grows_linearly() -> None:
    """What rules ask for every job must not go through all crystals each time."""

    def seconds(count: int) -> float:
        crystals = {f"si-{number}": {"file": "si.vasp"} for number in range(count)}
        campaign = Campaign.model_validate(campaign_of(crystals))
        begin = time.process_time()
        for _ in range(20 * count):
            assert len(campaign.benchmarked) == len(campaign.learnt) == len(campaign.at_rest)
            assert campaign.trained == []
            assert campaign.fits
        return time.process_time() - begin

    assert seconds(2000) < 50 * seconds(200)
