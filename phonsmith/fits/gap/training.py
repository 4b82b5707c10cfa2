"""Gaussian approximation potentials, fitted with gap_fit."""

import hashlib
import re
import shlex
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ase import Atoms

from phonsmith.datasets.sets import FORCE_SIGMA, VIRIAL_SIGMA, Baseline
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS
from phonsmith.fits.gap.settings import ForceProportional, GapFit, Sigma
from phonsmith.fits.gap.sparse import SparsePlan, plan_sparse_points, special_name
from phonsmith.fits.record import TargetCounts, TrainingRecord
from phonsmith.running.subprocesses import Finished, failure, run_child

VIRIAL = "REF_virial"
MODEL = "gap.xml"
TRAINING_FILE = "train.xyz"

_COUNT = re.compile(r"Number of target (energies|forces|virials) .*found:\s*(\d+)")
_ATOM_SIGMAS = re.compile(r"per-atom setting of force_atom_sigma found:\s*(\d+)")
_LABEL = re.compile(r"^\s*<(GAP_[0-9_]+)>", re.MULTILINE)


def train(
    fit: GapFit,
    frames: Sequence[Atoms],
    baseline: Baseline,
    *,
    folder: Path,
    work: Path,
    threads: int,
) -> TrainingRecord:
    """Fit a GAP and write ``gap.xml`` with its companion files.

    Equal data and settings give equal potentials and file names.

    Parameters
    ----------
    fit
        Settings of the fit.
    frames
        Training frames.
    baseline
        Energies of single atoms in eV.
    folder
        Folder for the potential.
    work
        Folder for the input and output of gap_fit.
    threads
        Number of OpenMP threads of gap_fit.

    Raises
    ------
    PhonsmithError
        gap_fit fails (the message holds its reason), or the numbers of energies, forces and virials
        that it reads differ from its input.
    """
    for stale in work.glob(f"{MODEL}*"):
        stale.unlink()
    _check_groups(fit, frames)
    plan = plan_sparse_points(fit, frames)
    labels = config_labels(plan)
    scales = balance(frames, fit.balance_exponent)
    text = "".join(
        [
            *(
                frame_text(atoms, fit, labels.get(group), scale)
                for atoms, group, scale in zip(frames, plan.groups, scales, strict=True)
            ),
            *(
                frame_text(atoms, fit, labels.get(group), labelled=False)
                for atoms, group in zip(plan.copies, plan.copy_groups, strict=True)
            ),
        ]
    )
    (work / TRAINING_FILE).write_text(text, encoding="utf-8")
    # gap_fit keeps an index beside the file; an old one would point into another text
    (work / f"{TRAINING_FILE}.idx").unlink(missing_ok=True)
    arguments = fit_arguments(fit, baseline.e0s, plan)
    print("sparse points: " + (_in_words(plan) or "two- and three-body only"), flush=True)
    finished = run_child([str(gap_fit_program()), *arguments], work, threads)
    if finished.returncode != 0 or not (work / MODEL).exists():
        raise failure("gap_fit", finished, failure_reason(finished))
    counts = expected_counts(frames)
    compare_counts(finished.lines, counts, _atom_sigmas(frames, fit))
    _collect(work, folder, hashlib.sha256((text + shlex.join(arguments)).encode()).hexdigest())
    sparse_points = _soap_sparse_points(folder / MODEL)
    return TrainingRecord(
        model=MODEL,
        wall_time_s=finished.wall_time_s,
        peak_memory_mb=finished.peak_memory_mb,
        counts=counts,
        settings=fit.model_dump(mode="json"),
        command=["gap_fit", *arguments],
        baseline=baseline.e0s,
        baseline_origin=baseline.origin,
        versions={"quippy-ase": version("quippy-ase")},
        details={
            "sparse_points_by_group": plan.points,
            "sparse_points": sparse_points,
            "unlabelled_cells_for_sparse_points": len(plan.copies),
        },
        cautions=_cautions(sparse_points, _wanted_sparse_points(plan, frames)),
    )


def _wanted_sparse_points(plan: SparsePlan, frames: Sequence[Atoms]) -> int:
    """SOAP sparse points asked for, over all central elements that each group has."""
    elements: dict[str | None, set[str]] = defaultdict(set)
    cells = [*zip(plan.groups, frames, strict=True)]
    for group, atoms in [*cells, *zip(plan.copy_groups, plan.copies, strict=True)]:
        elements[group] |= set(atoms.symbols)
    return sum(number * len(elements[group]) for group, number in plan.points.items())


def _cautions(found: int, wanted: int) -> list[str]:
    if found >= wanted:
        return []
    return [
        f"Only {found} of the {wanted} SOAP sparse points that the settings ask for: the training "
        "cells have no more different environments. Add cells, or lower soap.n_sparse."
    ]


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


def _check_groups(fit: GapFit, frames: Sequence[Atoms]) -> None:
    known = {
        str(atoms.info[key])
        for atoms in frames
        for key in ("config_type", "structure", "kind")
        if key in atoms.info
    }
    for name in fit.sigma_by_group:
        if name not in known:
            raise PhonsmithError(
                f"sigma_by_group: no training cell has the config type, structure or kind "
                f"'{name}'; there are {', '.join(sorted(known))}"
            )


def _soap_sparse_points(model: Path) -> int:
    """Sparse points of the SOAP descriptors in a GAP: gap_fit takes fewer where data are few.

    SOAP's covariance is of type 2, a dot product.
    """
    text = model.read_text(encoding="utf-8", errors="replace")
    found = re.findall(r'<gpCoordinates [^>]*covariance_type="2"[^>]*n_sparseX="(\d+)"', text)
    return sum(int(number) for number in found)


# --- the training file -------------------------------------------------------------------------


def force_sigmas(atoms: Atoms, fit: GapFit) -> np.ndarray | None:
    """σ of each atom's force, eV/Å, shape (atoms,), or None where one σ holds for the frame.

    f · max(\\|F\\|, F_min), equation 8 of George et al., J. Chem. Phys. 153, 044104 (2020).
    """
    rule: ForceProportional | None = fit.force_proportional
    if rule is None or FORCES not in atoms.arrays or atoms.info.get("kind") not in rule.kinds:
        return None
    sizes = np.linalg.norm(atoms.arrays[FORCES], axis=1)
    return np.asarray(rule.factor * np.maximum(sizes, rule.minimum_force_ev_per_angstrom))


def balance(frames: Sequence[Atoms], exponent: float) -> list[float]:
    """Factor on the force σ of each frame: n**exponent for displaced cells, 1 for others.

    n counts the displaced cells of the frame's structure, which depends on its symmetry alone.
    """
    counts = Counter(a.info.get("structure") for a in frames if a.info.get("kind") == "displaced")
    return [
        counts[a.info.get("structure")] ** exponent if a.info.get("kind") == "displaced" else 1.0
        for a in frames
    ]


def frame_sigma(atoms: Atoms, fit: GapFit) -> Sigma:
    """Regularisation of a frame.

    The most special entry of ``sigma_by_group`` (config type, structure, kind), then what a
    constraint cell states itself, then the fit's general one. A constraint cell listens to an
    entry ``constraint`` only.
    """
    info = atoms.info
    if info.get("kind") == "constraint":
        named = fit.sigma_by_group.get("constraint")
        if named is not None:
            return named
        return Sigma(
            energy_ev_per_atom=fit.sigma.energy_ev_per_atom,
            force_ev_per_angstrom=info.get(FORCE_SIGMA, fit.sigma.force_ev_per_angstrom),
            virial_ev_per_atom=info.get(VIRIAL_SIGMA, fit.sigma.virial_ev_per_atom),
        )
    name = special_name(atoms, fit.sigma_by_group.keys())
    return fit.sigma if name is None else fit.sigma_by_group[name]


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
        virial = -np.asarray(atoms.info[STRESS], dtype=float).reshape(3, 3) * atoms.get_volume()
        values[VIRIAL] = f'"{_numbers((virial + virial.T).ravel() / 2)}"'
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
    """Return names of the groups for gap_fit, free of characters that it splits at."""
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


def _in_words(plan: SparsePlan) -> str:
    return ", ".join(f"{group}: {number}" for group, number in plan.points.items())


# --- what gap_fit says ---------------------------------------------------------------------------


def expected_counts(frames: Sequence[Atoms]) -> TargetCounts:
    """Numbers of energies, force components and independent virial components of the frames."""
    return TargetCounts(
        energies=sum(ENERGY in atoms.info for atoms in frames),
        forces=sum(3 * len(atoms) for atoms in frames if FORCES in atoms.arrays),
        virials=sum(6 for atoms in frames if STRESS in atoms.info),
    )


def _atom_sigmas(frames: Sequence[Atoms], fit: GapFit) -> int:
    return sum(len(atoms) for atoms in frames if force_sigmas(atoms, fit) is not None)


def compare_counts(lines: Sequence[str], expected: TargetCounts, atom_sigmas: int) -> None:
    """Check gap_fit's report against its input, since gap_fit ignores what it cannot read.

    Parameters
    ----------
    lines
        Output of gap_fit.
    expected
        Numbers of energies, forces and virials in the input.
    atom_sigmas
        Number of atoms with σ of their own.

    Raises
    ------
    PhonsmithError
        The report has other numbers, or none.
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
                f"gap_fit read {found.get(what, 'no')} {what} where its input {TRAINING_FILE} "
                f"holds {number}; the fit is not used"
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


def _collect(work: Path, folder: Path, digest: str) -> None:
    """Move the potential to ``folder``, with a name from its contents for gap_fit's time stamp."""
    text = (work / MODEL).read_text(encoding="utf-8")
    found = _LABEL.search(text)
    if found is None:
        raise PhonsmithError(f"{work / MODEL}: gap_fit wrote a potential without its label")
    old, new = found[1], f"GAP_{digest[:12]}_"
    for file in sorted(work.glob(f"{MODEL}.sparseX.{old}*")):
        (folder / file.name.replace(old, new)).write_bytes(file.read_bytes())
        file.unlink()
    (folder / MODEL).write_text(text.replace(old, new), encoding="utf-8")
    (work / MODEL).unlink()
