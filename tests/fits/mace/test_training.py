"""MACE learns what it is given, says so, and goes on where it was killed."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read

from phonsmith.datasets.sets import constraint_frames
from phonsmith.datasets.settings import ConstraintCells
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS, read_frames, write_frames
from phonsmith.fits.mace import training as mace
from phonsmith.fits.mace.settings import MaceFit
from phonsmith.potentials.calculators import evaluate
from tests.fits.examples import TINY, mace_of, stresses, train


@pytest.fixture(scope="session")
def silicon_mace(silicon, tmp_path_factory):
    root = tmp_path_factory.mktemp("mace")
    fit = TINY.model_copy(update={"stage_two_start_epoch": 4})
    folder, record = train(fit, silicon, root)
    return folder, record, root / "work"


def test_mace_learns_forces_and_the_sign_and_unit_of_stress(silicon_mace, held_out):
    folder, _, _ = silicon_mace
    results = evaluate(held_out, mace_of(folder))
    forces = np.array([r.forces for r in results]).ravel()
    truth = np.array([a.arrays[FORCES] for a in held_out]).ravel()
    assert np.corrcoef(forces, truth)[0, 1] > 0.9
    mine, its = stresses(results).ravel(), stresses(held_out).ravel()
    assert np.corrcoef(mine, its)[0, 1] > 0.9
    assert np.polyfit(its, mine, 1)[0] == pytest.approx(1, abs=0.5)


def test_mace_record_and_leftovers(silicon_mace):
    folder, record, work = silicon_mace
    assert record.counts.model_dump() == {"energies": 14, "forces": 14 * 24, "virials": 14 * 6}
    assert record.details["epochs"] == 6
    assert record.details["validation_cells"] == 2
    assert not record.details["restarted"]
    assert record.peak_memory_mb > 100
    assert [file.name for file in folder.iterdir()] == ["mace.model"]
    # a finished training must not be gone on with
    assert sorted(file.name for file in work.iterdir()) == ["train.xyz", "valid.xyz"]


def test_force_only_mace_with_constraints_and_patience(displaced, tmp_path, capfd):
    frames = [displaced, *constraint_frames({"dia": bulk("Si", a=5.431)}, ConstraintCells())]
    fit = TINY.model_copy(update={"max_epochs": 30, "patience": 1, "learning_rate": 1.0})
    folder, record = train(fit, frames, tmp_path, has_energies=False)
    said = capfd.readouterr().out
    assert record.counts.model_dump() == {"energies": 0, "forces": 198, "virials": 6}
    assert "--energy_weight=0.0" in record.command
    assert "--E0s={14: 0.0}" in record.command
    assert re.search(r"Total Training set \[energy: 0, stress: 1,.* forces: 2,", said)
    # a learning rate far too large: mace itself would go on for all 30 epochs
    assert record.details["epochs"] < 30
    assert record.details["validation_cells_also_train"]
    result = evaluate([displaced], mace_of(folder))[0]
    assert np.isfinite(result.forces).all()
    lone = Atoms("Si", cell=[20] * 3, pbc=True)
    assert evaluate([lone], mace_of(folder))[0].energy == pytest.approx(0, abs=1e-9)


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, {repository!r})
from phonsmith.fits import training as fits
from phonsmith.fits.mace.settings import MaceFit
from phonsmith.datasets.sets import isolated_energies
from phonsmith.files.extxyz import read_frames
frames = read_frames("frames.extxyz")
fit = MaceFit.model_validate_json(Path("fit.json").read_text())
fits.train(fit, frames, isolated_energies(frames), Path("fit"), Path("work"), 1)
"""


def test_killed_training_goes_on_from_its_checkpoint(silicon, tmp_path, repository, capfd):
    fit = TINY.model_copy(update={"max_epochs": 25})
    write_frames(tmp_path / "frames.extxyz", silicon[:6])
    (tmp_path / "fit.json").write_text(fit.model_dump_json())
    (tmp_path / "fit").mkdir()
    parent = subprocess.Popen(
        [sys.executable, "-c", KILLED.format(repository=str(repository))],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    checkpoints = tmp_path / "work" / "checkpoints"
    wait_for(lambda: max(epochs_of(checkpoints), default=0) >= 2)
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    assert children
    wait_for(lambda: not any(is_running(child) for child in children))
    reached = max(epochs_of(checkpoints))
    assert reached < 24
    # a checkpoint that was being written is passed over
    (checkpoints / ".part-1fit_run-0_epoch-24.pt").write_bytes(b"PK\x03\x04 half")
    capfd.readouterr()
    _, record = train(fit, read_frames(tmp_path / "frames.extxyz"), tmp_path)
    said = capfd.readouterr().out
    assert record.details["restarted"]
    before = said.split("===TRAINING===")[0]
    assert f"Loading checkpoint: ./checkpoints/fit_run-0_epoch-{reached}.pt" in before
    assert f"Epoch {reached - 1}: head" not in said
    assert "Epoch 24: head" in said


def test_killed_while_writing_a_checkpoint_keeps_the_last(tmp_path, monkeypatch):
    import torch
    from mace.tools import CheckpointIO

    from phonsmith.fits.mace.child import save_before_deleting

    monkeypatch.setattr(CheckpointIO, "save", save_before_deleting)
    checkpoints = CheckpointIO(directory=str(tmp_path), tag="fit_run-0")
    checkpoints.save({"epoch": 3}, 3)
    checkpoints.save({"epoch": 4}, 4)
    assert epochs_of(tmp_path) == [4]
    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            checkpoints.save({"epoch": 5}, 5)
    assert epochs_of(tmp_path) == [4]
    assert checkpoints.load_latest() == ({"epoch": 4}, 4)


def epochs_of(folder):
    return [int(re.search(r"epoch-(\d+)", file.name)[1]) for file in folder.glob("fit_*.pt")]


def is_running(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def wait_for(condition, seconds=600):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_other_settings_do_not_go_on_from_old_checkpoints(tmp_path):
    for name in ("train.xyz", "valid.xyz"):
        (tmp_path / name).write_text("cells")
    assert not mace._ready_to_restart(tmp_path, ["--lr=1"])
    checkpoint = tmp_path / "checkpoints" / "fit_run-0_epoch-3.pt"
    checkpoint.parent.mkdir()
    # the smallest zip archive
    checkpoint.write_bytes(b"PK\x05\x06" + bytes(18))
    assert mace._ready_to_restart(tmp_path, ["--lr=1"])
    assert not mace._ready_to_restart(tmp_path, ["--lr=2"])
    assert not checkpoint.exists()


def test_mace_reads_the_frames_as_they_are_meant(silicon, displaced, tmp_path):
    frames = [silicon[0], displaced]
    write_frames(tmp_path / "frames.xyz", [mace.mace_frame(atoms) for atoms in frames])
    first, second = read(tmp_path / "frames.xyz", index=":")
    assert np.allclose(np.reshape(first.info[STRESS], (3, 3)), silicon[0].info[STRESS])
    assert first.info[ENERGY] == pytest.approx(silicon[0].info[ENERGY], rel=1e-12)
    assert ENERGY not in second.info
    assert second.info["config_energy_weight"] == 0
    assert second.info["config_stress_weight"] == 0


def test_options_without_value_are_those_of_mace():
    from mace.tools import build_default_arg_parser

    options = {
        option.lstrip("-")
        for action in build_default_arg_parser()._actions
        if action.nargs == 0
        for option in action.option_strings
    }
    assert options - {"h", "help"} == mace.FLAGS


def test_no_option_of_mace_names_a_place_under_any_of_its_names():
    """mace takes `--model_di` for `--model_dir`: of all beginnings none may get through."""
    from mace.tools import build_default_arg_parser

    def accepted(name):
        try:
            return MaceFit(kind="mace", extra_arguments={name: 1})
        except ValueError:
            return None

    options = [one.lstrip("-") for one in build_default_arg_parser()._option_string_actions]
    places = {one for one in options if one.endswith(("_dir", "_file")) or one == "config"}
    assert len(places) >= 14
    refused = {one for one in options if not accepted(one)}
    others = {"name", "heads", "h", "foundation_model", "foundation_model_kwargs"}
    assert refused == places | others
    for place in refused:
        beginnings = {place[:length] for length in range(1, len(place))}
        assert not {one for one in beginnings - set(options) if accepted(one)}, place


def test_mace_failure_shows_its_reason(silicon, tmp_path):
    fit = TINY.model_copy(update={"extra_arguments": {"no_such_option": 3}})
    with pytest.raises(PhonsmithError, match=r"mace_run_train failed.*no_such_option"):
        train(fit, silicon[:3], tmp_path)


def test_stage_two_after_the_end_is_refused(silicon, tmp_path):
    fit = TINY.model_copy(update={"stage_two_start_epoch": 6})
    with pytest.raises(PhonsmithError, match="stage_two_start_epoch: 6 must be smaller"):
        train(fit, silicon[:3], tmp_path)
