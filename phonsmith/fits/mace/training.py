"""MACE potentials from scratch and from foundation models, trained with MACE's own program."""

import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

import phonsmith
from phonsmith.datasets.sets import Baseline
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS, without_isolated_atoms, write_frames
from phonsmith.fits.mace import foundation
from phonsmith.fits.mace.settings import ARCHITECTURE, Foundation, MaceFit
from phonsmith.fits.record import TargetCounts, TrainingRecord
from phonsmith.fits.restart import STATE_FILE, keep_own_checkpoints
from phonsmith.fits.task import TrainingTask
from phonsmith.fits.validation import validation_split
from phonsmith.running.subprocesses import Finished, failure, run_child

MODEL = "mace.model"
TRAIN_FILE, VALID_FILE = "train.xyz", "valid.xyz"
REPLAY_FILES = ("replay-train.xyz", "replay-valid.xyz")
FOUNDATION_FILE = "foundation.pt"
HEAD, REPLAY_HEAD = "Default", "pt_head"
"""MACE's names of the readout of the new labels and of the one of the replay data."""
NAME = "fit"

_CONTENTS = re.compile(r"Total (Training|Validation) set \[(.*)\]")
_HEAD = re.compile(r"= +Processing head (\w+) +=")


@dataclass(frozen=True)
class _Cells:
    """What one head of a MACE learns from and is steered by."""

    learning: list[Atoms]
    validation: list[Atoms]


@dataclass(frozen=True)
class _FineTuning:
    """The foundation of a fine-tuning, as it lies in the work folder."""

    settings: Foundation
    sha256: str
    head: str
    replay: _Cells = field(default_factory=lambda: _Cells([], []))


def train(fit: MaceFit, task: TrainingTask) -> TrainingRecord:
    """Train a MACE and write ``mace.model``.

    Interrupted trainings resume from the last checkpoint in ``work`` if data and settings are
    unchanged. The model is the state of least validation loss, of stage two if there is one,
    otherwise of stage one.

    Raises
    ------
    PhonsmithError
        MACE fails (the message holds its reason), or reads other data than its input holds.
    """
    _check(fit)
    cells = without_isolated_atoms(task.frames)
    learning, validation, overlap = validation_split(cells, fit.valid_fraction, fit.seed)
    write_frames(task.work / TRAIN_FILE, [mace_frame(atoms) for atoms in learning])
    write_frames(task.work / VALID_FILE, [mace_frame(atoms) for atoms in validation])
    device = _device(fit)
    tuning, baseline = None, task.baseline
    if fit.foundation is not None:
        tuning, baseline = _begin(fit, fit.foundation, cells, task, device)
    arguments = train_arguments(fit, learning, validation, baseline, device, tuning)
    restarted = _ready_to_restart(task.work, arguments)
    command = [sys.executable, "-m", "phonsmith.fits.mace.child", *arguments]
    library = str(Path(phonsmith.__file__).resolve().parents[1])
    finished = run_child(command, task.work, task.threads, {"PYTHONPATH": library})
    trained = task.work / ("fit_stagetwo.model" if fit.stage_two_start_epoch else "fit.model")
    if finished.returncode != 0 or not trained.exists():
        raise failure("mace_run_train", finished, failure_reason(finished))
    sets = {(HEAD, "Training"): learning, (HEAD, "Validation"): validation}
    if tuning and tuning.replay.learning:
        sets[REPLAY_HEAD, "Training"] = tuning.replay.learning
        sets[REPLAY_HEAD, "Validation"] = tuning.replay.validation
    _compare_contents(finished.lines, sets)
    shutil.copyfile(trained, task.folder / MODEL)
    _clean(task.work)
    (task.work / FOUNDATION_FILE).unlink(missing_ok=True)
    return TrainingRecord(
        model=MODEL,
        wall_time_s=finished.wall_time_s,
        peak_memory_mb=finished.peak_memory_mb,
        counts=_counts(learning, fit),
        settings=fit.model_dump(mode="json"),
        command=["mace_run_train", *arguments],
        baseline=baseline.e0s,
        baseline_origin=baseline.origin,
        versions={"mace-torch": version("mace-torch"), "torch": version("torch")},
        details={
            "device": device,
            "restarted": restarted,
            "validation_cells": len(validation),
            "validation_cells_also_train": overlap,
            "epochs": _last_epoch(finished.lines),
            **_account(tuning),
        },
    )


def _begin(
    fit: MaceFit, settings: Foundation, cells: Sequence[Atoms], task: TrainingTask, device: str
) -> tuple[_FineTuning, Baseline]:
    """Put foundation and replay data into ``work``; the energy zero that belongs to them."""
    path = task.work / FOUNDATION_FILE
    sha256 = foundation.copy_to(path, settings)
    known = foundation.knowledge(path, settings)
    foundation.check_elements(known, cells, settings)
    baseline = foundation.energy_zero(
        settings, known, path, cells, task.baseline, device, task.threads
    )
    for name in REPLAY_FILES:
        (task.work / name).unlink(missing_ok=True)
    replay = _Cells([], [])
    if settings.replay:
        chosen = foundation.replay_cells(settings.replay, known, fit.seed)
        replay = _Cells(*validation_split(chosen, fit.valid_fraction, fit.seed)[:2])
        for name, part in zip(REPLAY_FILES, (replay.learning, replay.validation), strict=True):
            write_frames(task.work / name, [mace_frame(atoms) for atoms in part])
    if not settings.keep_elements:  # MACE takes no energies of atoms that are in no cell
        everyone = (*cells, *replay.learning, *replay.validation)
        there = {symbol for atoms in everyone for symbol in atoms.symbols}
        e0s = {element: e0 for element, e0 in baseline.e0s.items() if element in there}
        baseline = Baseline(e0s, baseline.origin)
    return _FineTuning(settings, sha256, known.head, replay), baseline


def _account(tuning: _FineTuning | None) -> dict[str, object]:
    if tuning is None:
        return {}
    return {
        "foundation_sha256": tuning.sha256,
        "replay_cells": len(tuning.replay.learning) + len(tuning.replay.validation),
    }


def _check(fit: MaceFit) -> None:
    start = fit.stage_two_start_epoch
    if start is not None and start >= fit.max_epochs:
        raise PhonsmithError(
            f"stage_two_start_epoch: {start} must be smaller than max_epochs = {fit.max_epochs}"
        )


def _device(fit: MaceFit) -> str:
    if fit.device == "cpu":
        return "cpu"
    import torch

    found = bool(torch.cuda.is_available())
    if fit.device == "cuda" and not found:
        raise PhonsmithError("device: cuda, but torch finds no GPU; use `auto` or `cpu`")
    return "cuda" if found else "cpu"


# --- input ---------------------------------------------------------------------------------------


def mace_frame(atoms: Atoms) -> Atoms:
    """Return a frame for MACE: what is not labelled has weight zero, everything else weight one."""
    frame = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    if FORCES in atoms.arrays:
        frame.set_array(FORCES, np.asarray(atoms.arrays[FORCES], dtype=float))
    for key, name in ((ENERGY, "energy"), (STRESS, "stress")):
        if key in atoms.info:
            frame.info[key] = atoms.info[key]
        else:
            frame.info[f"config_{name}_weight"] = 0.0
    frame.info["config_type"] = str(atoms.info.get("kind", "recorded"))
    return frame


def train_arguments(  # noqa: PLR0917
    fit: MaceFit,
    learning: Sequence[Atoms],
    validation: Sequence[Atoms],
    baseline: Baseline,
    device: str,
    tuning: _FineTuning | None = None,
) -> list[str]:
    """Return the arguments of ``mace_run_train``; ``extra_arguments`` override all others.

    Parameters
    ----------
    fit
        Settings of the fit.
    learning
        Training cells.
    validation
        Validation cells.
    baseline
        Energies of single atoms in eV.
    device
        ``cpu`` or ``cuda``.
    tuning
        Foundation model and replay cells; None trains from scratch.
    """
    labelled = [*learning, *(tuning.replay.learning if tuning else [])]
    energies = any(ENERGY in atoms.info for atoms in labelled)
    stresses = any(STRESS in atoms.info for atoms in labelled) and fit.weights.stress > 0
    e0s = {atomic_numbers[element]: e0 for element, e0 in baseline.e0s.items()}
    settings: dict[str, str | int | float | bool] = {
        "name": NAME,
        "model": "MACE",
        "train_file": TRAIN_FILE,
        "valid_file": VALID_FILE,
        "E0s": str(dict(sorted(e0s.items()))),
        "energy_key": ENERGY,
        "forces_key": FORCES,
        "stress_key": STRESS,
        **(_of_foundation(tuning) if tuning else _architecture(fit)),
        "loss": "stress" if stresses else "weighted",
        "energy_weight": fit.weights.energy if energies else 0.0,
        "forces_weight": fit.weights.forces,
        "stress_weight": fit.weights.stress,
        # MACE drops incomplete batches: with too large ones nothing would be left
        "batch_size": min(fit.batch_size, len(learning)),
        "valid_batch_size": min(fit.batch_size, len(validation)),
        "max_num_epochs": fit.max_epochs,
        "patience": fit.patience,
        "lr": fit.learning_rate,
        "amsgrad": True,
        "seed": fit.seed,
        "default_dtype": fit.dtype,
        "device": device,
        "save_cpu": True,
        "restart_latest": True,
        "plot": False,
    }
    if fit.ema_decay is not None:
        settings |= {"ema": True, "ema_decay": fit.ema_decay}
    if fit.stage_two_start_epoch is not None:
        weights = fit.stage_two_weights
        settings |= {
            "stage_two": True,
            "start_stage_two": fit.stage_two_start_epoch,
            "stage_two_lr": fit.learning_rate / 10,
            "stage_two_energy_weight": weights.energy if energies else 0.0,
            "stage_two_forces_weight": weights.forces,
            "stage_two_stress_weight": weights.stress,
        }
    settings |= fit.extra_arguments
    return _as_options(settings)


def _architecture(fit: MaceFit) -> dict[str, int | float]:
    options = ("num_channels", "max_L", "num_interactions", "correlation", "r_max")
    return {option: getattr(fit, key) for option, key in zip(options, ARCHITECTURE, strict=True)}


def _of_foundation(tuning: _FineTuning) -> dict[str, str | int | float | bool]:
    settings = tuning.settings
    options: dict[str, str | int | float | bool] = {
        "foundation_model": FOUNDATION_FILE,
        "foundation_head": tuning.head,
        "foundation_model_elements": settings.keep_elements,
        "multiheads_finetuning": settings.method == "multihead",
        "freeze": settings.frozen_layers,
        "scaling": "no_scaling",  # the foundation has its own
    }
    if settings.lora:
        options |= {
            "lora": True,
            "lora_rank": settings.lora.rank,
            "lora_alpha": settings.lora.alpha,
        }
    if settings.replay:
        options |= dict(zip(("pt_train_file", "pt_valid_file"), REPLAY_FILES, strict=True))
        options |= {
            "force_mh_ft_lr": True,  # else MACE sets learning rate and EMA itself
            "real_pt_data_ratio_threshold": 0,  # else it repeats new cells, as many as it likes
        }
    return options


FLAGS = frozenset(
    {
        "distributed",
        "pair_repulsion",
        "disallow_random_padding_pt",
        "amsgrad",
        "swa",
        "stage_two",
        "lbfgs",
        "ema",
        "foundation_model_readout",
        "keep_checkpoints",
        "save_all_checkpoints",
        "restart_latest",
        "save_cpu",
        "dry_run",
        "wandb",
    }
)
"""Options of mace_run_train that take no value."""


def _as_options(settings: Mapping[str, str | int | float | bool]) -> list[str]:
    options = []
    for key, value in settings.items():
        if key not in FLAGS:
            options.append(f"--{key}={value}")
        elif value:
            options.append(f"--{key}")
    return options


# --- restart -------------------------------------------------------------------------------------


def _ready_to_restart(work: Path, arguments: Sequence[str]) -> bool:
    """Keep checkpoints of this very training, delete all others.

    Returns whether a checkpoint to resume from exists.
    """
    what = [one for one in arguments if not one.startswith("--device=")]  # any can go on
    files = [work / file for file in (TRAIN_FILE, VALID_FILE, FOUNDATION_FILE, *REPLAY_FILES)]
    content = [
        shlex.join(what).encode(),
        *(file.read_bytes() for file in files if file.exists()),
        version("mace-torch").encode(),
    ]
    keep_own_checkpoints(work, content, _clean)
    for model in work.glob("*.model"):
        model.unlink()
    return any(work.glob(f"checkpoints/{NAME}_*.pt"))


def _clean(work: Path) -> None:
    """Remove files of a finished or different training, so that it is not resumed."""
    for name in ("checkpoints", "results", "logs"):
        shutil.rmtree(work / name, ignore_errors=True)
    for file in (STATE_FILE, *(path.name for path in work.glob("*.model"))):
        (work / file).unlink(missing_ok=True)


# --- output of MACE ------------------------------------------------------------------------------


def _counts(frames: Sequence[Atoms], fit: MaceFit) -> TargetCounts:
    found = TargetCounts.of(frames)
    return found if fit.weights.stress > 0 else found.model_copy(update={"virials": 0})


def _compare_contents(
    lines: Sequence[str], sets: Mapping[tuple[str, str], Sequence[Atoms]]
) -> None:
    """Check the numbers of labels that MACE has loaded, by head and set, against its input.

    Raises
    ------
    PhonsmithError
        They differ, or MACE does not report them.
    """
    found: dict[tuple[str, str], dict[str, int]] = {}
    head = HEAD
    for line in lines:
        if match := _HEAD.search(line):
            head = match[1]
        elif match := _CONTENTS.search(line):
            pairs = re.findall(r"(\w+): (\d+)", match[2])
            found[head, match[1]] = {name: int(number) for name, number in pairs}
    for (head, name), frames in sets.items():
        wanted = {
            "energy": sum(ENERGY in atoms.info for atoms in frames),
            "forces": sum(FORCES in atoms.arrays for atoms in frames),
            "stress": sum(STRESS in atoms.info for atoms in frames),
        }
        for what, number in wanted.items():
            loaded = found.get((head, name), {}).get(what)
            if loaded != number:
                raise PhonsmithError(
                    f"MACE loaded {loaded if loaded is not None else 'no'} {what} labels of its "
                    f"{name.lower()} set, but the input contains {number}; the fit is discarded"
                )


def failure_reason(finished: Finished) -> str:
    """Return the line of MACE's output that explains its failure."""
    lines = [line.strip() for line in finished.lines if line.strip()]
    for line in reversed(lines):
        if re.match(r"^[\w.]*(Error|Exception|Interrupt)\b", line) or "error:" in line:
            return line
    return lines[-1] if lines else "no output"


def _last_epoch(lines: Sequence[str]) -> int:
    epochs = [int(match[1]) for line in lines if (match := re.search(r"Epoch (\d+): head", line))]
    return max(epochs, default=-1) + 1
