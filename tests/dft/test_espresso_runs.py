"""Runs of pw.x: good ones, and failures that were made on purpose."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES
from phonsmith.labels.espresso import running
from phonsmith.labels.espresso.inputs import Subject, k_points, merged, namelists
from phonsmith.labels.espresso.method import EspressoMethod
from phonsmith.labels.espresso.remedies import Start
from phonsmith.labels.failed import LabelFailed
from phonsmith.labels.labelling import label_cells
from phonsmith.labels.settings import Labels
from phonsmith.labels.store import LabelStore
from tests.dft.conftest import DEBIAN
from tests.dft.examples import SILICON, method, rattled

pytestmark = pytest.mark.dft


def run_once(silicon: EspressoMethod, cell: Atoms, work: Path, changes=None):
    """One run without remedies."""
    potentials = silicon._potentials(cell)
    settings = merged(namelists(silicon.reference, potentials), changes or {})
    work.mkdir(parents=True, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "next_remedy", lambda *_: None)
        subject = Subject(cell, potentials, k_points(silicon.reference, cell))
        return silicon.runner.converge(subject, Start(settings), work)


def later(number: int, name: str, work: Path) -> threading.Thread:
    """Send a signal to the program of that name that runs below ``work``, once it computes."""

    def send() -> None:
        until = time.monotonic() + 600
        while time.monotonic() < until:
            outputs = list(work.rglob("*.pwo"))
            if any("iteration #" in one.read_text() for one in outputs):
                break
            time.sleep(0.02)
        for pid in below(work, name)[:1]:
            os.kill(pid, number)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


def below(work: Path, name: str) -> list[int]:
    """Processes of that name in the folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            same = (entry / "comm").read_text().strip() == name
            if same and (entry / "cwd").readlink().is_relative_to(work):
                found.append(int(entry.name))
        except OSError:
            continue  # it has just ended
    return found


def long_running() -> Atoms:
    return bulk("Si", a=5.43, cubic=True)


def bad_runs(pseudo: Path, place: Path):
    """Name, words of the reason, and how to run it."""
    cell = rattled()
    plain = method(pseudo, place)
    yield (
        "electron_maxstep = 2",
        "did not converge in 2 steps",
        lambda work: run_once(plain, cell, work, {"electrons": {"electron_maxstep": 2}}),
    )
    yield (
        "scf_must_converge = .false.",
        "1.0e-11 is required",
        lambda work: run_once(
            plain, cell, work, {"electrons": {"electron_maxstep": 3, "scf_must_converge": False}}
        ),
    )
    yield (
        "max_seconds",
        "out of time",
        lambda work: run_once(plain, long_running(), work, {"control": {"max_seconds": 1.0}}),
    )
    yield (
        "without forces",
        "no forces",
        lambda work: run_once(plain, cell, work, {"control": {"tprnfor": False}}),
    )
    yield (
        "coincident atoms",
        "overlap|on top",
        lambda work: run_once(
            plain, Atoms("Si2", positions=[[0, 0, 0], [0, 0, 5e-7]], cell=[4, 4, 4], pbc=True), work
        ),
    )
    yield (
        "time limit",
        "out of time",
        lambda work: run_once(method(pseudo, place, time_limit_minutes=0.02), long_running(), work),
    )
    yield (
        "truncated pseudopotential",
        "cut off|pseudopotential",
        lambda work: truncated(pseudo, work),
    )
    yield "SIGKILL of pw.x", "killed", lambda work: killed(plain, "pw.x", work)
    parallel = method(
        pseudo, place, cores=2, command="mpirun --oversubscribe -np {cores} pw.x", pools=2
    )
    yield "SIGKILL of a rank", "killed", lambda work: killed(parallel, "pw.x", work)
    yield "SIGKILL of mpirun", "killed", lambda work: killed(parallel, "mpirun", work)
    yield "SIGTERM of pw.x", "SIGTERM", lambda work: killed(plain, "pw.x", work, signal.SIGTERM)
    yield (
        "memory limit",
        "out of memory",
        lambda work: run_once(
            method(pseudo, place, ecutwfc_ry=400, ecutrho_ry=1600, **limited("--as=800000000")),
            long_running(),
            work,
        ),
    )
    yield (
        "file size limit",
        "disk|larger than",
        lambda work: run_once(
            method(pseudo, place, ecutwfc_ry=90, ecutrho_ry=2000, **limited("--fsize=8000000")),
            long_running(),
            work,
            {"electrons": {"conv_thr": 1e-5}},
        ),
    )
    yield "full disk", "disk", lambda work: on_a_full_disk(plain, cell, work)


def limited(limit: str) -> dict:
    return {"command": f"prlimit {limit} pw.x", "kspacing_per_angstrom": 3.0}


def truncated(pseudo: Path, work: Path):
    folder = work / "pseudo"
    folder.mkdir(parents=True)
    text = (pseudo / SILICON).read_text()
    (folder / SILICON).write_text(text[: len(text) // 2])
    return method(folder, work).label(rattled())


def killed(silicon: EspressoMethod, name: str, work: Path, number=signal.SIGKILL):
    thread = later(number, name, work)
    try:
        return run_once(silicon, long_running(), work)
    finally:
        thread.join()
        assert not below(work, "pw.x"), "ranks go on after the run was given up"


def on_a_full_disk(silicon: EspressoMethod, cell: Atoms, work: Path):
    """On a file system of 1.4 MB where we may mount one."""
    disk = work / "disk"
    disk.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1400k", "none", disk], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        raise LabelFailed("disk: no right to mount one here")
    try:
        return run_once(silicon, cell, disk / "runs")
    finally:
        subprocess.run(["umount", disk], check=True)


def good_runs(pseudo: Path, place: Path):
    """Name, and a method with a cell that it has to label."""
    yield "fixed", method(pseudo, place), rattled()
    yield "smearing", method(pseudo, place, occupations="smearing"), rattled()
    yield "Γ alone", method(pseudo, place, kspacing_per_angstrom=3.0), rattled()
    yield "shifted mesh", method(pseudo, place, shifted_mesh=True), rattled()
    yield "displaced", method(pseudo, place), displaced()
    yield "pristine", method(pseudo, place), bulk("Si", a=5.43)
    yield "large forces", method(pseudo, place), close_atoms()
    yield "strained", method(pseudo, place), strained()
    yield "eight atoms", method(pseudo, place, kspacing_per_angstrom=1.2), long_running()
    yield "metal", method(pseudo, place, occupations="smearing"), bulk("Si", "fcc", a=3.9)
    yield (
        "magnetic start",
        method(
            pseudo,
            place,
            occupations="smearing",
            magnetism=True,
            starting_magnetization={"Si": 0.1},
        ),
        rattled(),
    )
    other = {
        "folder": str(DEBIAN),
        "files": {"Si": "Si.pbe-nl-rrkjus_psl.1.0.0.UPF"},
        "allow_other_functional": True,
    }
    yield "input_dft", method(pseudo, place, pseudopotentials=other), rattled()
    mpi = {"cores": 2, "command": "mpirun --oversubscribe -np {cores} pw.x"}
    yield "two ranks", method(pseudo, place, **mpi), rattled()
    yield "two pools", method(pseudo, place, pools=2, **mpi), rattled()
    yield "wrapped atoms", method(pseudo, place), shifted()


def displaced() -> Atoms:
    cell = bulk("Si", a=5.43)
    cell.positions[0, 0] += 0.01
    return cell


def close_atoms() -> Atoms:
    """Atoms 1.2 Å apart: forces of tens of eV/Å."""
    cell = bulk("Si", a=5.43)
    cell.positions[1] *= 0.5
    return cell


def strained() -> Atoms:
    cell = bulk("Si", a=5.43)
    strain = np.array([[1.02, 0.03, 0], [0, 0.98, 0.01], [0.02, 0, 1.01]])
    cell.set_cell(cell.cell[:] @ strain, scale_atoms=True)
    return cell


def shifted() -> Atoms:
    cell = rattled()
    cell.positions += 2 * cell.cell[0] - cell.cell[1]
    return cell


def test_no_bad_run_is_accepted(pseudo, tmp_path):
    accepted, reasons = [], {}
    for number, (name, words, run) in enumerate(bad_runs(pseudo, tmp_path)):
        try:
            run(tmp_path / f"bad{number}")
            accepted.append(name)
        except (LabelFailed, PhonsmithError) as failed:
            reasons[name] = (words, str(failed))
            print(f"{name}: {failed}")
    print(f"bad runs: {len(reasons) + len(accepted)} offered, {len(accepted)} accepted")
    assert accepted == []
    vague = {
        name: reason
        for name, (words, reason) in reasons.items()
        if not re.search(words, reason, re.IGNORECASE)
    }
    assert vague == {}


def test_no_good_run_is_refused(pseudo, tmp_path):
    refused, labels = [], {}
    for name, silicon, cell in good_runs(pseudo, tmp_path):
        try:
            labels[name] = silicon.label(cell)
        except (LabelFailed, PhonsmithError) as failed:
            refused.append(f"{name}: {failed}")
    print(f"good runs: {len(refused) + len(labels)} offered, {len(refused)} refused")
    assert refused == []
    fixed = labels["fixed"]
    for name in ("two ranks", "two pools", "wrapped atoms", "magnetic start", "smearing"):
        np.testing.assert_allclose(labels[name].arrays[FORCES], fixed.arrays[FORCES], atol=2e-3)
    np.testing.assert_allclose(labels["pristine"].arrays[FORCES], 0, atol=1e-6)
    assert np.abs(labels["large forces"].arrays[FORCES]).max() > 20
    for label in labels.values():
        assert label.info["code"] == "Quantum ESPRESSO"
        assert label.info["code_version"][0] in "678"
        assert "remedies" not in label.info
        assert label.info["scf_steps"] > 3
        assert 20 < label.info["memory_mb"] < 1000
    assert not list((tmp_path / "failed").glob("*")) if (tmp_path / "failed").exists() else True
    assert not list(tmp_path.glob("run-*"))


def test_remedies_mend_a_run_that_did_not_converge(pseudo, tmp_path, capfd):
    cell = rattled()
    plain = method(pseudo, tmp_path).label(cell)
    mended = method(pseudo, tmp_path, electron_maxstep=2).label(cell)
    assert mended.info["remedies"] == "mixing_beta 0.3 and 200 SCF steps"
    assert "did not converge in 2 steps" in capfd.readouterr().out
    assert mended.info[ENERGY] == pytest.approx(plain.info[ENERGY], abs=1e-8)
    np.testing.assert_allclose(mended.arrays[FORCES], plain.arrays[FORCES], atol=1e-4)


def test_failed_runs_leave_their_texts_and_ask_for_time(pseudo, tmp_path):
    impatient = method(pseudo, tmp_path, time_limit_minutes=0.02)
    with pytest.raises(LabelFailed, match=r"out of time.*\(see (.*)\)") as caught:
        impatient.label(long_running())
    assert caught.value.wants == "time"
    left = {path.name for path in (tmp_path / "failed").rglob("*") if path.is_file()}
    assert left == {"espresso.pwi", "espresso.pwo"}
    assert not list(tmp_path.glob("run-*"))


PARENT = """
from pathlib import Path
from ase.build import bulk
from phonsmith.labels.protocol import Allocation
from phonsmith.labels.factory import reference_method
settings = {settings!r}
method = reference_method(settings, allocation=Allocation(2, Path({work!r})))
method.label(bulk("Si", a=5.43, cubic=True))
"""


def test_ranks_end_with_a_killed_phonsmith(pseudo, tmp_path):
    settings = method(
        pseudo, tmp_path, cores=2, command="mpirun --oversubscribe -np {cores} pw.x"
    ).reference.model_dump(mode="json")
    program = PARENT.format(settings=settings, work=str(tmp_path))
    parent = subprocess.Popen([sys.executable, "-c", program])
    wait_for(lambda: len(below(tmp_path, "pw.x")) == 2)
    parent.kill()
    parent.wait()
    wait_for(lambda: not below(tmp_path, "pw.x") and not below(tmp_path, "mpirun"))


def wait_for(condition) -> None:
    until = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_cells_are_labelled_side_by_side(pseudo, tmp_path, capsys):
    silicon = method(pseudo, tmp_path / "work")
    cells = [rattled(seed=seed) for seed in range(3)]
    store = LabelStore(tmp_path / "store")
    labels, failures = label_cells(cells, silicon, Labels(), store, cores=2)
    assert (len(labels), failures) == (3, [])
    (settings,) = (tmp_path / "store/settings").glob("*.json")
    assert {label.info["settings"] for label in labels} == {settings.stem}
    assert "pseudopotential_files" in settings.read_text()
    label_cells(cells, silicon, Labels(), store, cores=2)
    assert "3 cells: 3 labels are in the store" in capsys.readouterr().out
    assert not list((tmp_path / "work").glob("*"))
