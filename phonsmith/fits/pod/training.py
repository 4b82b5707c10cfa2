"""Train potentials of proper orthogonal descriptors with fitpod, in the environment of LAMMPS."""

import math
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.geometry.minkowski_reduction import minkowski_reduce
from ase.neighborlist import neighbor_list

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, elements_of, without_isolated_atoms
from phonsmith.fits.pod.cost import count_descriptors
from phonsmith.fits.pod.settings import BODIES, PodFit
from phonsmith.fits.record import TargetCounts, TrainingRecord
from phonsmith.fits.task import TrainingTask
from phonsmith.potentials.environments import Environment, made
from phonsmith.potentials.pod import COEFFICIENTS, PARAMETERS, coefficients_file
from phonsmith.potentials.ready import READY
from phonsmith.running.subprocesses import Finished, failure, run_child

MODEL = f"pod{COEFFICIENTS}"
DATA = "data"
"""Folder of the training cells in the work folder: one file for each pair of weights."""
DECIMALS = 15
"""Of coefficients."""

Weights = tuple[float, float]
"""Of energy and forces of a cell, as in fitpod's loss."""


def train(fit: PodFit, task: TrainingTask) -> TrainingRecord:
    """Fit a POD and write ``pod_coefficients.pod`` and ``pod_param.pod``.

    fitpod fits energies without those of single atoms, which are added to the coefficients
    afterwards: a single atom has the energy of the baseline. It reads stresses and ignores them.

    Raises
    ------
    PhonsmithError
        The environment does not exist, the cells cannot be learnt, or fitpod fails; the message
        contains its reason.
    """
    environment = made(str(READY["pod"].environment))
    cells = without_isolated_atoms(task.frames)
    elements = elements_of(cells)
    alone = {element: task.baseline.e0s.get(element, 0.0) for element in elements}
    groups = grouped(cells, fit, alone)
    shutil.rmtree(task.work / DATA, ignore_errors=True)
    (task.work / DATA).mkdir()
    for number, group in enumerate(groups.values()):
        text = "".join(map(extended_xyz, group))
        (task.work / DATA / f"{_name(number)}.xyz").write_text(text, encoding="utf-8")
    fitted = _lammps(
        environment,
        task.work,
        "fit",
        parameters=_parameters(fit, elements, 0),
        data=_data(fit, groups),
    )
    coefficients = _coefficients(fit, task.work / f"fit{COEFFICIENTS}", len(elements))
    parameters = _parameters(fit, elements, 1)
    # energies without those of single atoms, as in the data
    check = coefficients_file(_with_atoms(coefficients, [0.0] * len(elements)), parameters)
    (task.work / MODEL).write_text(check, encoding="utf-8")
    _lammps(
        environment,
        task.work,
        "check",
        parameters=parameters,
        data=_data(fit, groups, analysed=True),
        coefficients=MODEL,
    )
    errors = _errors(task.work / "check_training_errors.pod", list(groups))
    _refuse_failed(groups, errors)
    text = coefficients_file(_with_atoms(coefficients, list(alone.values())), parameters)
    (task.folder / MODEL).write_text(text, encoding="utf-8")
    (task.folder / f"pod{PARAMETERS}").write_text(parameters, encoding="utf-8")
    shutil.rmtree(task.work / DATA)
    counts = TargetCounts.of(cells).model_copy(update={"virials": 0})
    return TrainingRecord(
        model=MODEL,
        wall_time_s=fitted.wall_time_s,
        peak_memory_mb=fitted.peak_memory_mb,
        counts=counts,
        settings=fit.model_dump(mode="json"),
        command=[],
        baseline=task.baseline.e0s,
        baseline_origin=task.baseline.origin,
        versions=environment.version_of("lammps"),
        details={"species": elements, "coefficients": len(coefficients) + len(elements)},
    )


def _lammps(
    environment: Environment,
    work: Path,
    name: str,
    *,
    parameters: str,
    data: str,
    coefficients: str = "",
) -> Finished:
    """Run fitpod in the work folder with input files of this name."""
    (work / f"{name}{PARAMETERS}").write_text(parameters, encoding="utf-8")
    (work / f"{name}_data.pod").write_text(data, encoding="utf-8")
    command = f"fitpod {name}{PARAMETERS} {name}_data.pod {coefficients}".strip()
    (work / f"in.{name}").write_text(f"units metal\n{command}\n", encoding="utf-8")
    program = environment.folder.absolute() / "bin/lmp"
    finished = run_child(
        [str(environment.interpreter), str(program), "-in", f"in.{name}", "-log", "none"], work, 1
    )
    if finished.returncode:
        lines = [line.strip() for line in finished.lines if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")]
        raise failure("fitpod", finished, (errors or lines or ["no output"])[-1])
    return finished


# --- input --------------------------------------------------------------------------------------


def grouped(
    cells: Sequence[Atoms], fit: PodFit, alone: Mapping[str, float]
) -> dict[Weights, list[Atoms]]:
    """Return the cells as fitpod must read them, by weights of energies and forces.

    Parameters
    ----------
    cells
        Training cells.
    fit
        Settings of the fit.
    alone
        Energies of single atoms in eV, which are subtracted.

    Raises
    ------
    PhonsmithError
        A cell is not periodic, has atoms within the inner cutoff, or there are no forces.
    """
    groups: dict[Weights, list[Atoms]] = defaultdict(list)
    for cell in cells:
        _check(cell, fit)
        copy, repeats = complete(cell, fit.cutoff_angstrom)
        displaced = cell.info.get("kind") == "displaced"
        energy = fit.weights.energy if ENERGY in cell.info else 0.0
        forces = fit.weights.displaced_forces if displaced else fit.weights.forces
        if FORCES not in cell.arrays:
            forces, copy.arrays[FORCES] = 0.0, np.zeros((len(copy), 3))
        if energy:
            copy.info[ENERGY] = float(cell.info[ENERGY]) * repeats - sum(
                alone[symbol] for symbol in copy.symbols
            )
        if energy or forces:
            groups[energy, forces / math.sqrt(repeats)].append(copy)
    if not any(forces for _, forces in groups):
        raise PhonsmithError("a POD needs cells with forces; found none")
    return dict(groups)


def _check(cell: Atoms, fit: PodFit) -> None:
    what = f"{cell.info.get('structure', 'cell')} ({cell.get_chemical_formula()})"
    if not cell.pbc.all():
        raise PhonsmithError(f"{what}: fitpod needs cells that are periodic in three directions")
    near = neighbor_list("d", cell, fit.inner_cutoff_angstrom)
    if len(near):
        raise PhonsmithError(
            f"{what}: two atoms are {near.min():.3f} Å apart; lower inner_cutoff_angstrom, now "
            f"{fit.inner_cutoff_angstrom:g}"
        )


def complete(cell: Atoms, cutoff_angstrom: float) -> tuple[Atoms, int]:
    """Return an equivalent cell whose neighbours fitpod finds without exception.

    fitpod repeats a cell ceil(cutoff / length) times in both directions, where the lengths are the
    diagonal of the lower triangular lattice; heights of the cell count, which are smaller. In an
    oblique cell, or with atoms outside the cell, neighbours would be missing.

    Parameters
    ----------
    cell
        Cell with labels.
    cutoff_angstrom
        Cutoff radius.

    Returns
    -------
    The cell with reduced lattice vectors and atoms inside, repeated where that does not suffice,
    and the number of repetitions.
    """
    found = cell.copy()
    found.set_cell(minkowski_reduce(cell.cell)[0])
    found.wrap()
    times = np.ones(3, dtype=int)
    while True:
        lattice = found.cell.array * times[:, None]
        area = np.linalg.norm(np.cross(lattice[0], lattice[1]))
        volume = abs(np.linalg.det(lattice))
        first = np.linalg.norm(lattice[0])
        counted = np.ceil(cutoff_angstrom / np.array([first, area / first, volume / area]))
        crossed = [np.cross(lattice[i - 2], lattice[i - 1]) for i in range(3)]
        heights = volume / np.linalg.norm(crossed, axis=1)
        short = np.ceil(cutoff_angstrom / heights) > counted
        if not short.any():
            return found.repeat(times), int(times.prod())
        times += short


def extended_xyz(cell: Atoms) -> str:
    """Return a cell as fitpod reads it; the stress must be there, but is not used."""
    lattice = " ".join(map(repr, cell.cell.array.ravel().tolist()))
    energy = float(cell.info.get(ENERGY, 0.0))
    head = f'Lattice="{lattice}" energy={energy!r} stress="0 0 0 0 0 0 0 0 0" pbc="T T T"'
    columns = np.hstack([cell.positions, cell.arrays[FORCES]]).tolist()
    rows = (
        " ".join([symbol, *map(repr, row)])
        for symbol, row in zip(cell.symbols, columns, strict=True)
    )
    properties = "Properties=species:S:1:pos:R:3:forces:R:3"
    return "\n".join([str(len(cell)), f"{head} {properties}", *rows, ""])


def _name(number: int) -> str:
    return f"group{number}"


def _parameters(fit: PodFit, elements: Sequence[str], onebody: int) -> str:
    keys = [
        f"species {' '.join(elements)}",
        "pbc 1 1 1",
        f"rin {fit.inner_cutoff_angstrom!r}",
        f"rcut {fit.cutoff_angstrom!r}",
        f"bessel_polynomial_degree {fit.bessel_degree}",
        f"inverse_polynomial_degree {fit.inverse_degree}",
        f"onebody {onebody}",
    ]
    for bodies, radial in zip(BODIES, fit.radial, strict=True):
        keys.append(f"{bodies}body_number_radial_basis_functions {radial}")
    for bodies, degree in zip(BODIES[1:], fit.angular, strict=True):
        keys.append(f"{bodies}body_angular_degree {degree}")
    return "\n".join([*keys, ""])


def _data(fit: PodFit, groups: Mapping[Weights, list[Atoms]], analysed: bool = False) -> str:
    """Return fitpod's second file.

    The table of weights must follow all other keys, and a line must follow the table: otherwise
    LAMMPS reads a closed file.
    """
    table = [
        f"{_name(number)} {energy!r} {forces!r}" for number, (energy, forces) in enumerate(groups)
    ]
    return "\n".join(
        [
            "file_format extxyz",
            "file_extension xyz",
            f'path_to_training_data_set "{DATA}"',
            f"fitting_regularization_parameter {fit.regularisation!r}",
            f"error_analysis_for_training_data_set {int(analysed)}",
            f"precision_for_pod_coefficients {DECIMALS}",
            f"basename_for_output_files {'check' if analysed else 'fit'}",
            "group_weights table",
            *table,
            "# end of the table",
            "",
        ]
    )


# --- output -------------------------------------------------------------------------------------


def _coefficients(fit: PodFit, path: Path, elements: int) -> list[str]:
    """Read the coefficients of the descriptors, element after element."""
    if not path.is_file():
        raise PhonsmithError("fitpod wrote no coefficients; its output is in the log")
    found = path.read_text(encoding="utf-8").split()[4:]
    expected = elements * count_descriptors(fit, elements)
    if len(found) != expected or not np.isfinite([float(one) for one in found]).all():
        raise PhonsmithError(
            f"fitpod wrote {len(found)} coefficients, expected are {expected} finite numbers; "
            "raise regularisation"
        )
    return found


def _with_atoms(coefficients: Sequence[str], energies: Sequence[float]) -> list[str]:
    """Put the energy of the single atom before the coefficients of each element."""
    each = len(coefficients) // len(energies)
    return [
        number
        for element, energy in enumerate(energies)
        for number in (f"{energy:.{DECIMALS}f}", *coefficients[element * each :][:each])
    ]


def _errors(path: Path, groups: Sequence[Weights]) -> list[Weights]:
    """Read the RMSE of energies (eV/atom) and forces (eV/Å) of each group on the training cells."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, *words = line.split() or [""]
        if name.endswith(".xyz") and len(words) == 6:
            found[name.removesuffix(".xyz")] = (float(words[3]), float(words[5]))
    return [found[_name(number)] for number in range(len(groups))]


def _refuse_failed(groups: Mapping[Weights, list[Atoms]], errors: Sequence[Weights]) -> None:
    """Raise PhonsmithError if the loss is larger than without any potential.

    fitpod does not report equations that it cannot solve.
    """
    loss = before = 0.0
    for ((energy, forces), cells), (energy_rmse, force_rmse) in zip(
        groups.items(), errors, strict=True
    ):
        components = 3 * sum(map(len, cells))
        loss += energy**2 * len(cells) * energy_rmse**2 + forces**2 * components * force_rmse**2
        before += sum(
            energy**2 * (cell.info.get(ENERGY, 0.0) / len(cell)) ** 2
            + forces**2 * float((cell.arrays[FORCES] ** 2).sum())
            for cell in cells
        )
    if not loss <= before * (1 + 1e-6):
        raise PhonsmithError(
            "fitpod cannot solve the equations: the errors on the training cells are larger than "
            "without a potential; raise regularisation, use fewer radial_functions, or more cells"
        )
