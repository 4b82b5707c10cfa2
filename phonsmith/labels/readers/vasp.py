"""Labels from VASP runs: vasprun.xml and OUTCAR, packed or not, in folders of any depth.

Only runs that ended by themselves and converged become labels. A static run and a relaxation
give their last step, molecular dynamics all steps. The energy is VASP's free energy, the one whose
derivatives the forces are. A single atom in a large box becomes an isolated atom.
"""

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import read
from ase.units import GPa
from numpy.typing import NDArray

from phonsmith.errors import PhonsmithError
from phonsmith.labels.checks import LabelFailed, labelled
from phonsmith.labels.readers import Recorded

KILOBAR = 0.1 * GPa
LARGE_BOX_ANGSTROM = 9.0
"""Å. No crystal with one atom in the cell has lattice vectors as long as this."""

LARGEST_STRAIN = 0.01
"""Relaxations that changed the lattice more used plane waves that no longer suit the last cell."""

ROUNDING_EV = 2e-8
"""eV. Energies of electronic steps stand in vasprun.xml with eight digits."""


def read_vasprun(path: Path) -> Recorded:
    """A vasprun.xml, or all ``vasprun*.xml*`` in a folder.

    Runs that are damaged, unfinished or unconverged are left out and named in ``refused``.
    """
    return _read(path, "vasprun*.xml*", _vasprun)


def read_outcar(path: Path) -> Recorded:
    """An OUTCAR, or all ``OUTCAR*`` in a folder; otherwise as :func:`read_vasprun`."""
    return _read(path, "OUTCAR*", _outcar)


def _read(path: Path, pattern: str, reader: Callable[[Path], list[Atoms]]) -> Recorded:
    files = sorted(one for one in path.rglob(pattern) if one.is_file()) if path.is_dir() else [path]
    if not files:
        raise PhonsmithError(f"{path}: no file {pattern} in this folder or below")
    recorded = Recorded(frames=[])
    for file in files:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                recorded.frames += reader(file)
        except LabelFailed as failed:
            recorded.refused.append(f"{file}: {failed}")
    return recorded


# --- vasprun.xml --------------------------------------------------------------------------------


@dataclass(frozen=True)
class VaspRun:
    """A run that ended by itself and converged; ``frames`` are its labelled cells.

    ``scf_steps`` and ``ionic_steps`` count electronic steps of the last cell, and cells. With a
    ``pressure_kilobar`` (PSTRESS) the energies hold pV, and these are no labels.
    """

    frames: list[Atoms]
    version: str
    scf_steps: int
    ionic_steps: int
    pressure_kilobar: float = 0.0


def _vasprun(file: Path) -> list[Atoms]:
    run = read_run(file)
    _refuse_pressure(run.pressure_kilobar)
    return run.frames


def _refuse_pressure(kilobar: float) -> None:
    """VASP adds pV to energies of vasprun.xml, and changes stresses, under PSTRESS."""
    if kilobar:
        raise LabelFailed(
            f"was run under PSTRESS = {kilobar:g} kbar, which is in its energy and stress; give a "
            "static run of the last cell without"
        )


def read_run(file: Path, largest_strain: float = LARGEST_STRAIN) -> VaspRun:
    """A vasprun.xml, with all that makes it fit for labels checked.

    The lattice may change by ``largest_strain`` during the run.

    Raises
    ------
    LabelFailed
        It is damaged, unfinished or unconverged, or not of DFT.
    """
    from pymatgen.io.vasp import Vasprun

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warns of is refused below
            run = Vasprun(
                file,
                parse_dos=False,
                parse_eigen=False,
                parse_potcar_file=False,
                parse_projected_eigen=False,
            )
    except Exception as error:  # lxml, pymatgen and the unpackers raise many kinds
        raise LabelFailed(f"is not a complete vasprun.xml ({_short(error)})") from error
    steps = run.ionic_steps
    parameters = run.parameters
    if not steps:
        raise LabelFailed("holds no finished ionic step")
    if run.incar.get("ML_LMLFF"):
        raise LabelFailed("comes from VASP's machine-learned force field (ML_LMLFF)")
    dynamics = parameters.get("IBRION") == 0 and parameters.get("NSW", 0) > 1
    used = steps if dynamics else steps[-1:]
    limit = parameters["NELM"]
    if any(len(step["electronic_steps"]) >= limit for step in used):
        raise LabelFailed(f"the electronic loop did not converge within NELM = {limit} steps")
    if not run.converged_electronic or not all(_settled(step, parameters) for step in used):
        raise LabelFailed("the electronic loop did not converge")
    if not dynamics and not run.converged_ionic:
        raise LabelFailed(f"the relaxation did not converge within NSW = {parameters['NSW']} steps")
    if any("forces" not in step for step in used):
        raise LabelFailed("a step holds no forces")
    _check_strain(
        steps[0]["structure"].lattice.matrix, used[-1]["structure"].lattice.matrix, largest_strain
    )
    frames = []
    for step in used:
        structure = step["structure"]
        cell = Atoms(
            [site.specie.symbol for site in structure],
            positions=structure.cart_coords,
            cell=structure.lattice.matrix,
            pbc=True,
        )
        stress = np.array(step["stress"]) if step.get("stress") is not None else None
        frames.append(_frame(cell, step["e_fr_energy"], np.array(step["forces"]), stress))
    return VaspRun(
        frames=frames,
        version=str(run.vasp_version),
        scf_steps=len(used[-1]["electronic_steps"]),
        ionic_steps=len(steps),
        pressure_kilobar=float(parameters.get("PSTRESS") or 0.0),
    )


def _settled(step: dict[str, Any], parameters: dict[str, Any]) -> bool:
    """Whether the last electronic step changed the energy by no more than EDIFF."""
    energies = [one["e_fr_energy"] for one in step["electronic_steps"] if "e_fr_energy" in one]
    change = abs(energies[-1] - energies[-2]) if len(energies) > 1 else 0.0
    return bool(change <= parameters["EDIFF"] + ROUNDING_EV)


def _frame(
    cell: Atoms, energy: float, forces: NDArray[np.float64], kilobar: NDArray[np.float64] | None
) -> Atoms:
    """``kilobar``: VASP's stress (3, 3), positive under compression, so minus ASE's."""
    stress = None if kilobar is None else -KILOBAR * (kilobar + kilobar.T) / 2
    frame = labelled(cell, "", energy, forces, stress)
    if len(cell) == 1 and cell.cell.lengths().min() > LARGE_BOX_ANGSTROM:
        frame.info.update({"kind": "isolated_atom", "config_type": "IsolatedAtom"})
    return frame


def _check_strain(first: NDArray[np.float64], last: NDArray[np.float64], largest: float) -> None:
    strain = float(np.abs(np.linalg.solve(first, last) - np.eye(3)).max())
    if strain > largest:
        raise LabelFailed(
            f"its lattice changed by {100 * strain:.1f} % during the run, with the plane waves of "
            "the first cell; give a static run of the last one"
        )


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


# --- OUTCAR --------------------------------------------------------------------------------------


def checked_outcar(file: Path) -> str:
    """The text of an OUTCAR that VASP finished, its electronic and ionic loops converged.

    Raises
    ------
    LabelFailed
        It did not, or the file cannot be read.
    """
    from monty.io import zopen

    try:
        with zopen(file, "rt", encoding="utf-8", errors="replace") as stream:
            text = str(stream.read())
    except (OSError, EOFError) as error:
        raise LabelFailed(f"cannot be read ({_short(error)})") from error
    if "General timing and accounting" not in text:
        raise LabelFailed("is not a complete OUTCAR (VASP did not come to its end)")
    _check_loops(text, every=_of_dynamics(text))
    if (
        _number(text, "IBRION") in (1, 2, 3)
        and _number(text, "NSW") > 1
        and "reached required accuracy" not in text
    ):
        raise LabelFailed(
            f"the relaxation did not converge within NSW = {_number(text, 'NSW')} steps"
        )
    return text


def _of_dynamics(text: str) -> bool:
    return _number(text, "IBRION") == 0 and _number(text, "NSW") > 1


def _outcar(file: Path) -> list[Atoms]:
    text = checked_outcar(file)
    pressed = re.search(r"\bPSTRESS\s*=\s*(-?[\d.]+)", text)
    _refuse_pressure(float(pressed[1]) if pressed else 0.0)
    dynamics = _of_dynamics(text)
    try:
        steps = read(file, index=":", format="vasp-out")
    except Exception as error:  # ASE raises many kinds for broken files
        raise LabelFailed(f"cannot be understood ({_short(error)})") from error
    used = steps if dynamics else steps[-1:]
    _check_strain(steps[0].cell[:], used[-1].cell[:], LARGEST_STRAIN)
    frames = []
    for step in used:
        results = step.calc.results
        stress = step.get_stress(voigt=False) / -KILOBAR if "stress" in results else None
        cell = Atoms(step.numbers, positions=step.positions, cell=step.cell[:], pbc=True)
        frames.append(_frame(cell, results["free_energy"], results["forces"], stress))
    return frames


def _check_loops(text: str, every: bool) -> None:
    """Each electronic loop, or the last one, has to end with VASP's word that EDIFF is reached."""
    loops = re.split(r"-+ Iteration +\d+\( +1\)", text)[1:]
    if not loops:
        raise LabelFailed("holds no electronic loop")
    for loop in loops if every else loops[-1:]:
        if "aborting loop because EDIFF is reached" not in loop:
            raise LabelFailed(
                f"the electronic loop did not converge within NELM = {_number(text, 'NELM')} steps"
            )


def _number(text: str, name: str) -> int:
    found = re.search(rf"\b{name}\s*=\s*(-?\d+)", text)
    return int(found.group(1)) if found else 0
