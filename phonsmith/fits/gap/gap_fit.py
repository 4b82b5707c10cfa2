"""The program gap_fit: input, command line, output."""

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS, virial_of
from phonsmith.fits.gap.settings import GapFit
from phonsmith.fits.gap.sparse import SparsePlan
from phonsmith.fits.gap.targets import (
    atom_sigmas,
    balance,
    force_sigmas,
    frame_sigma,
)
from phonsmith.fits.gap.task import Fitted, GapTask
from phonsmith.fits.record import TargetCounts
from phonsmith.running.subprocesses import Finished, failure, run_child

VIRIAL = "REF_virial"
MODEL = "gap.xml"
TRAINING_FILE = "train.xyz"

_COUNT = re.compile(r"Number of target (energies|forces|virials) .*found:\s*(\d+)")
_ATOM_SIGMAS = re.compile(r"per-atom setting of force_atom_sigma found:\s*(\d+)")


def fit_with_gap_fit(task: GapTask) -> Fitted:
    """Fit with gap_fit, which leaves ``gap.xml`` with its companion files in the work folder.

    Raises
    ------
    PhonsmithError
        gap_fit fails (the message contains its reason), or the numbers of energies, forces and
        virials that it reads differ from its input.
    """
    fit, frames = task.fit, task.frames
    arguments = fit_arguments(fit, task.e0s, task.plan)
    text = training_text(fit, frames, task.plan)
    finished = run_gap_fit(text, arguments, task.work, task.threads)
    compare_counts(finished.lines, TargetCounts.of(frames), atom_sigmas(frames, fit))
    return Fitted(["gap_fit", *arguments], finished.wall_time_s, finished.peak_memory_mb)


def run_gap_fit(text: str, arguments: Sequence[str], work: Path, threads: int) -> Finished:
    """Run gap_fit.

    Parameters
    ----------
    text
        The training file.
    arguments
        Arguments ``keyword=value``.
    work
        Folder to run in.
    threads
        Number of OpenMP threads.

    Raises
    ------
    PhonsmithError
        gap_fit fails; the message contains its reason.
    """
    remove_models(work)
    (work / TRAINING_FILE).write_text(text, encoding="utf-8")
    # gap_fit keeps an index beside the file; an old one would point into another text
    (work / f"{TRAINING_FILE}.idx").unlink(missing_ok=True)
    finished = run_child([str(gap_fit_program()), *arguments], work, threads)
    if finished.returncode != 0 or not (work / MODEL).exists():
        raise failure("gap_fit", finished, failure_reason(finished))
    return finished


def remove_models(work: Path) -> None:
    """Remove the potential of an earlier fit with its companion files."""
    for stale in work.glob(f"{MODEL}*"):
        stale.unlink()


def gap_fit_program() -> Path:
    """Return the ``gap_fit`` command of the running Python environment.

    Raises
    ------
    PhonsmithError
        It is not installed.
    """
    program = Path(sys.executable).with_name("gap_fit")
    if not program.exists():
        raise PhonsmithError(f"{program}: not found; install quippy-ase in this environment")
    return program


# --- the training file -------------------------------------------------------------------------


def training_text(
    fit: GapFit, frames: Sequence[Atoms], plan: SparsePlan, labelled: bool = True
) -> str:
    """Format gap_fit's training file: the frames, and copies without labels for sparse points.

    Parameters
    ----------
    fit
        Settings of the fit.
    frames
        Training frames.
    plan
        Groups of the frames, and the copies.
    labelled
        Write energies, forces and virials of the frames.
    """
    labels = config_labels(plan)
    scales = balance(frames, fit.balance_exponent)
    cells = zip(frames, plan.groups, scales, strict=True)
    copies = zip(plan.copies, plan.copy_groups, strict=True)
    return "".join(
        [
            *(
                frame_text(atoms, fit, labels.get(group), scale, labelled)
                for atoms, group, scale in cells
            ),
            *(frame_text(atoms, fit, labels.get(group), labelled=False) for atoms, group in copies),
        ]
    )


def frame_text(
    atoms: Atoms, fit: GapFit, label: str | None, scale: float = 1.0, labelled: bool = True
) -> str:
    """Format one frame of gap_fit's training file.

    ASE is not used here because it rounds arrays to 1e-8, which would cut digits of σ. The virial
    is −stress · volume, nine plain numbers (gap_fit ignores a matrix in JSON). gap_fit takes σ of a
    frame as absolute: the per-atom values are multiplied by √N, as gap_fit scales its own defaults.

    Parameters
    ----------
    atoms
        Frame with labels.
    fit
        Settings of the fit, which hold σ.
    label
        Group of the frame (``config_type``); None for ``default``.
    scale
        Factor of the σ of the forces.
    labelled
        Write energy, forces and virial.
    """
    sigma = frame_sigma(atoms, fit)
    root = float(np.sqrt(len(atoms)))
    values = {
        "Lattice": f'"{_numbers(atoms.cell.array.ravel())}"',
        "pbc": '"' + " ".join("T" if p else "F" for p in atoms.pbc) + '"',
        # gap_fit takes no sparse points from "default" where other groups are asked for
        "config_type": label or "default",
    }
    names, columns = ["species:S:1", "pos:R:3"], [atoms.positions]
    if labelled and ENERGY in atoms.info:
        values[ENERGY] = _numbers([atoms.info[ENERGY]])
        values["energy_sigma"] = _numbers([sigma.energy_ev_per_atom * root])
    if labelled and STRESS in atoms.info:
        values[VIRIAL] = f'"{_numbers(virial_of(atoms).ravel())}"'
        values["virial_sigma"] = _numbers([sigma.virial_ev_per_atom * root])
    if labelled and FORCES in atoms.arrays:
        names.append(f"{FORCES}:R:3")
        columns.append(atoms.arrays[FORCES])
        values["force_sigma"] = _numbers([sigma.force_ev_per_angstrom * scale])
        sigmas = force_sigmas(atoms, fit)
        if sigmas is not None:
            names.append("force_atom_sigma:R:1")
            columns.append(sigmas[:, None] * scale)
    values["Properties"] = ":".join(names)
    comment = " ".join(f"{key}={value}" for key, value in values.items())
    rows = np.hstack(columns)
    lines = [
        f"{symbol} {_numbers(row)}"
        for symbol, row in zip(atoms.get_chemical_symbols(), rows, strict=True)
    ]
    return "\n".join([str(len(atoms)), comment, *lines]) + "\n"


def _numbers(values: Sequence[float] | np.ndarray) -> str:
    # always with a decimal point: gap_fit passes over a virial that looks like integers
    return " ".join(f"{float(value):.16e}" for value in values)


# --- the command line ----------------------------------------------------------------------------


def config_labels(plan: SparsePlan) -> dict[str | None, str]:
    """Return names of the groups for gap_fit, without characters at which it splits."""
    return {group: f"group{i}" for i, group in enumerate(plan.points)}


def fit_arguments(fit: GapFit, e0s: Mapping[str, float], plan: SparsePlan) -> list[str]:
    """Return the ``keyword=value`` arguments of gap_fit; ``extra_arguments`` override all others.

    Parameters
    ----------
    fit
        Settings of the fit.
    e0s
        Energies of single atoms in eV, by element.
    plan
        Sparse points of the descriptors.
    """
    sigma = fit.sigma
    default = (
        sigma.energy_ev_per_atom,
        sigma.force_ev_per_angstrom,
        sigma.virial_ev_per_atom,
        0.0,
    )
    arguments: dict[str, str | int | float] = {
        "at_file": TRAINING_FILE,
        "gap": "{" + " : ".join(_descriptors(fit, plan)) + "}",
        "default_sigma": "{" + " ".join(repr(value) for value in default) + "}",
        "e0": "{" + ":".join(f"{element}:{e0!r}" for element, e0 in sorted(e0s.items())) + "}",
        "energy_parameter_name": ENERGY,
        "force_parameter_name": FORCES,
        "virial_parameter_name": VIRIAL,
        "sparse_jitter": fit.sparse_jitter,
        "do_copy_at_file": "F",
        "sparse_separate_file": "T",
        "gp_file": MODEL,
        "rnd_seed": fit.seed + 1,  # zero would let gap_fit take a seed from the clock
    }
    arguments.update(fit.extra_arguments)
    return [f"{key}={value}" for key, value in arguments.items()]


def _descriptors(fit: GapFit, plan: SparsePlan) -> list[str]:
    descriptors = []
    for name, body in (("distance_2b", fit.two_body), ("angle_3b", fit.three_body)):
        if body is not None:
            descriptors.append(
                f"{name} cutoff={body.cutoff_angstrom} covariance_type=ard_se "
                f"delta={body.delta_ev} theta_uniform={body.theta_uniform_angstrom} "
                f"sparse_method=uniform n_sparse={body.n_sparse}"
            )
    if fit.soap is not None:
        soap = fit.soap
        labels = config_labels(plan)
        points = ":".join(f"{labels[group]}:{number}" for group, number in plan.points.items())
        descriptors.append(
            f"soap l_max={soap.l_max} n_max={soap.n_max} atom_sigma={soap.atom_sigma_angstrom} "
            f"cutoff={soap.cutoff_angstrom} "
            f"cutoff_transition_width={soap.cutoff_transition_angstrom} "
            f"covariance_type=dot_product zeta={soap.zeta} delta={soap.delta_ev} "
            f"sparse_method={soap.sparse_method} config_type_n_sparse={{{points}}}"
        )
    return descriptors


# --- what gap_fit says ---------------------------------------------------------------------------


def compare_counts(lines: Sequence[str], expected: TargetCounts, atom_sigmas: int) -> None:
    """Check gap_fit's report against its input, since gap_fit ignores unreadable data.

    Parameters
    ----------
    lines
        Output of gap_fit.
    expected
        Numbers of energies, forces and virials in the input.
    atom_sigmas
        Number of atoms with individual σ.

    Raises
    ------
    PhonsmithError
        The numbers differ, or the report has none.
    """
    found: dict[str, int] = {}
    for line in lines:
        if match := _COUNT.search(line):
            found[match[1]] = int(match[2])
        elif match := _ATOM_SIGMAS.search(line):
            found["atom-wise force sigmas"] = int(match[1])
    wanted = {**expected.model_dump(), "atom-wise force sigmas": atom_sigmas}
    for what, number in wanted.items():
        if found.get(what) != number:
            raise PhonsmithError(
                f"gap_fit read {found.get(what, 'no')} {what}, but its input {TRAINING_FILE} "
                f"contains {number}; the fit is not used"
            )


def failure_reason(finished: Finished) -> str:
    """Return the line of gap_fit's output that explains its failure."""
    lines = [line.strip() for line in finished.lines if line.strip()]
    for i, line in enumerate(lines):
        if "SYSTEM ABORT" in line:
            # a wrong argument is named in the line before
            named = f"{lines[i - 1]}; " if i and lines[i - 1].startswith("param_read") else ""
            words = line.split("SYSTEM ABORT:")[-1].strip()
            return named + (words or " ".join(lines[i + 1 : i + 3]))
    return lines[-1] if lines else "no output"
