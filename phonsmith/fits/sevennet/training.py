"""Fine-tune a SevenNet with sevenn, in the environment of SevenNet."""

import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from ase import Atoms

from phonsmith.datasets.sets import Baseline
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS, without_isolated_atoms, write_frames
from phonsmith.files.reading_writing import read_json, write_json
from phonsmith.fits.energy_shifts import energy_shifts
from phonsmith.fits.record import TargetCounts, TrainingRecord
from phonsmith.fits.restart import STATE_FILE, keep_own_checkpoints
from phonsmith.fits.sevennet import program
from phonsmith.fits.sevennet.program import CURVE, INPUT, MODEL, REPORT, RUN, SETTINGS
from phonsmith.fits.sevennet.settings import SevennetFit
from phonsmith.fits.task import TrainingTask
from phonsmith.fits.validation import validation_split
from phonsmith.potentials.calculators import check_elements
from phonsmith.potentials.environments import Environment, made
from phonsmith.potentials.ready import READY
from phonsmith.potentials.settings import PotentialSource
from phonsmith.running.subprocesses import Finished, failure, run_child

Known = tuple[bool, bool]
"""Whether a cell has an energy, and whether it has forces."""


def train(fit: SevennetFit, task: TrainingTask) -> TrainingRecord:
    """Fine-tune a SevenNet; write ``sevennet.pth``, and the errors by epoch as ``training.csv``.

    Interrupted trainings resume from the last checkpoint in ``work`` if data and settings are
    unchanged. The model is the state of least validation loss.

    Raises
    ------
    PhonsmithError
        The environment does not exist, the foundation model does not support an element, or sevenn
        fails (the message contains its reason) or reads other data than its input contains.
    """
    environment = made(str(READY["sevennet"].environment))
    cells = without_isolated_atoms(task.frames)
    foundation = PotentialSource(
        calculator="sevennet", model=fit.foundation, arguments={"device": fit.device}
    )
    check_elements(foundation, cells)
    shifts = {}
    labelled = [atoms for atoms in cells if ENERGY in atoms.info]
    if labelled and task.baseline.has_energies and fit.e0s == "estimated":
        shifts = energy_shifts(labelled, foundation)
    learning, validation, overlap = validation_split(cells, fit.valid_fraction, fit.seed)
    for old in task.work.glob("*.extxyz"):
        old.unlink()
    sets = {
        name: _written(name, part, fit, shifts, task.work)
        for name, part in (("train", learning), ("valid", validation))
    }
    settings = training_input(fit, sets["train"], sets["valid"], cells)
    (task.work / INPUT).write_text(yaml.safe_dump(settings), encoding="utf-8")
    write_json(task.work / SETTINGS, {"foundation": fit.foundation, "shifts": shifts})
    _keep_checkpoints_of_this_training(task.work, environment)
    finished = run_child([str(environment.interpreter), program.__file__], task.work, task.threads)
    if finished.returncode or not (task.work / REPORT).is_file():
        raise failure("the training of sevenn", finished, failure_reason(finished))
    report = read_json(task.work / REPORT)
    _compare_counts(report["read"], {"trainset": learning, "validset": validation})
    for name in (MODEL, CURVE):
        shutil.move(task.work / name, task.folder / name)
    _clean(task.work)
    stressed = fit.weights.stress > 0
    counts = TargetCounts.of(learning)
    return TrainingRecord(
        model=MODEL,
        wall_time_s=finished.wall_time_s,
        peak_memory_mb=finished.peak_memory_mb,
        counts=counts if stressed else counts.model_copy(update={"virials": 0}),
        settings=fit.model_dump(mode="json"),
        command=["sevenn", "train", INPUT],
        baseline=task.baseline.e0s,
        baseline_origin=_origin(task.baseline, shifts),
        versions=environment.version_of("sevenn") | environment.version_of("torch"),
        details={
            "energy_shifts_ev": shifts,
            "validation_cells": len(validation),
            "validation_cells_also_train": overlap,
            **{key: value for key, value in report.items() if key != "read"},
        },
    )


def _origin(baseline: Baseline, shifts: Mapping[str, float]) -> str:
    if not baseline.has_energies:
        return baseline.origin
    return "estimated" if shifts else "foundation"


# --- input --------------------------------------------------------------------------------------


def training_input(
    fit: SevennetFit,
    train: Sequence[Mapping[str, Any]],
    valid: Sequence[Mapping[str, Any]],
    cells: Sequence[Atoms],
) -> dict[str, Any]:
    """Return sevenn's ``input.yaml`` without the keys of the foundation model.

    Parameters
    ----------
    fit
        Settings of the fit.
    train, valid
        Files of training and validation cells with their weights, see :func:`grouped`.
    cells
        All cells.
    """
    stresses = fit.weights.stress > 0 and any(STRESS in atoms.info for atoms in cells)
    errors = [["Force", "ComponentRMSE"], ["TotalLoss", "None"]]
    if all(ENERGY in atoms.info for atoms in cells):
        errors.insert(0, ["Energy", "RMSE"])
    if stresses:
        errors.insert(-1, ["Stress", "RMSE"])
    device = {} if fit.device == "auto" else {"device": fit.device}
    return {
        "train": {
            "random_seed": fit.seed,
            "epoch": fit.max_epochs,
            "per_epoch": fit.checkpoint_epochs,
            "loss": "huber",
            "loss_param": {"delta": fit.huber_delta},
            "optimizer": "adam",
            "optim_param": {"lr": fit.learning_rate},
            "scheduler": "exponentiallr",
            "scheduler_param": {"gamma": fit.learning_rate_decay},
            "force_loss_weight": fit.weights.forces,
            "stress_loss_weight": fit.weights.stress,
            "is_train_stress": stresses,
            "use_weight": True,  # for labels that are missing
            "error_record": errors,
            "best_metric": "TotalLoss",
            **device,
        },
        "data": {
            "batch_size": fit.batch_size,
            "load_trainset_path": list(train),
            "load_validset_path": list(valid),
        },
    }


def grouped(cells: Sequence[Atoms], shifts: Mapping[str, float]) -> dict[Known, list[Atoms]]:
    """Return the cells as sevenn reads them, by the labels that they have.

    sevenn ignores missing stresses, but cannot read cells without energies or forces. In their
    place it reads zeros; :func:`weights_of` gives them zero weight, so that nothing is learnt from
    them.

    Parameters
    ----------
    cells
        Cells with labels.
    shifts
        Energies of elements in eV per atom that the foundation model lacks; they are subtracted.
    """
    groups: dict[Known, list[Atoms]] = defaultdict(list)
    for cell in cells:
        frame = Atoms(cell.symbols, cell.positions, cell=cell.cell, pbc=cell.pbc)
        known = ENERGY in cell.info, FORCES in cell.arrays
        lacking = sum(shifts.get(symbol, 0.0) for symbol in cell.symbols)
        frame.info["energy"] = float(cell.info[ENERGY]) - lacking if known[0] else 0.0
        forces = cell.arrays[FORCES] if known[1] else np.zeros((len(cell), 3))
        frame.set_array("forces", np.asarray(forces, dtype=float))
        if STRESS in cell.info:
            frame.info["stress"] = np.asarray(cell.info[STRESS], dtype=float)
        groups[known].append(frame)
    return dict(groups)


def weights_of(known: Known, fit: SevennetFit) -> dict[str, float]:
    """Return sevenn's weights of cells: that of energies, and zero for labels that are missing.

    sevenn multiplies those of forces and stresses by ``force_loss_weight`` and
    ``stress_loss_weight``.
    """
    energy, forces = known
    return {"energy": fit.weights.energy * energy, "force": 1.0 * forces, "stress": 1.0}


def _written(
    name: str, cells: Sequence[Atoms], fit: SevennetFit, shifts: Mapping[str, float], work: Path
) -> list[dict[str, Any]]:
    """Write the cells, one file for each set of labels, and return sevenn's list of the files."""
    entries = []
    for number, (known, group) in enumerate(grouped(cells, shifts).items()):
        file = f"{name}{number}.extxyz"
        write_frames(work / file, group)
        entries.append({"file_list": [{"file": file}], "data_weight": weights_of(known, fit)})
    return entries


# --- restart ------------------------------------------------------------------------------------


def _keep_checkpoints_of_this_training(work: Path, environment: Environment) -> None:
    """Remove checkpoints of other data, settings or packages, and old output."""
    files = (work / INPUT, work / SETTINGS, *sorted(work.glob("*.extxyz")))
    content = [environment.sha256.encode(), *(path.read_bytes() for path in files)]
    keep_own_checkpoints(work, content, _clean)
    for name in (MODEL, REPORT):
        (work / name).unlink(missing_ok=True)


def _clean(work: Path) -> None:
    """Remove the folders of a finished or different training, so that it is not resumed."""
    for path in work.glob(f"{RUN}*"):
        shutil.rmtree(path)
    (work / STATE_FILE).unlink(missing_ok=True)


# --- output of sevenn ---------------------------------------------------------------------------


def _compare_counts(
    found: Mapping[str, Sequence[int]], sets: Mapping[str, Sequence[Atoms]]
) -> None:
    """Raise PhonsmithError unless sevenn has read all cells of its input."""
    for name, cells in sets.items():
        expected = [len(cells), 3 * sum(map(len, cells))]
        if list(found[name]) != expected:
            raise PhonsmithError(
                f"sevenn read {found[name][0]} cells and {found[name][1]} force components of its "
                f"{name}, but the input contains {expected[0]} and {expected[1]}; the fit is "
                "discarded"
            )


def failure_reason(finished: Finished) -> str:
    """Return the line of sevenn's output that explains its failure."""
    lines = [line.strip() for line in finished.lines if line.strip()]
    errors = [line for line in lines if line.partition(":")[0].endswith(("Error", "Exception"))]
    return [*(lines or ["no output"])[-1:], *errors][-1]
