"""Labels from VASP runs: vasprun.xml and OUTCAR, packed or not, in folders of any depth.

Only runs that ended by themselves and converged become labels. A static run and a relaxation give
their last step; molecular dynamics all steps that converged; finite differences and perturbation
theory (IBRION 5 to 8) their first, the cell at rest. The energy is VASP's free energy, the one
whose derivatives the forces are. A single atom in a large box becomes an isolated atom.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.units import GPa

from phonsmith.labels.checks import labelled
from phonsmith.labels.failed import LabelFailed
from phonsmith.labels.recorded.readers.each import Recorded, each_file
from phonsmith.labels.recorded.readers.levels import Level, level_of
from phonsmith.labels.recorded.readers.outcar import outcar_text, parse_outcar
from phonsmith.labels.recorded.readers.vasp_run import Floats, IonicStep, Run, refuse_by_settings
from phonsmith.labels.recorded.readers.vasprun import parse_vasprun

KILOBAR = 0.1 * GPa
LARGE_BOX_ANGSTROM = 9.0
"""Å. No crystal with one atom in the cell has lattice vectors as long as this."""

LARGEST_STRAIN = 0.01
"""Relaxations that changed the lattice more used plane waves that no longer suit the last cell."""

ROUNDING_EV = 2e-8
"""eV. Energies of electronic steps stand in vasprun.xml with eight digits."""

LARGEST_ENERGY_EV = 100.0
"""eV per atom. VASP counts from neutral atoms: no crystal in equilibrium lies above zero."""

UNSYMMETRIC_KILOBAR = 1.0
"""kbar. Noise of the two halves of VASP's stress is far below."""


def read_vasprun(path: Path) -> Recorded:
    """Read a vasprun.xml, or all ``vasprun*.xml*`` in a folder.

    Runs that are damaged, unfinished, unconverged, or no ground states of the bare crystal are left
    out and named in ``refused``; so are single steps of molecular dynamics.
    """
    return each_file(path, ("vasprun*.xml*",), lambda file: _recorded(read_run(file)))


def read_outcar(path: Path) -> Recorded:
    """Read an OUTCAR, or all ``OUTCAR*`` in a folder; otherwise as :func:`read_vasprun`."""

    def of_file(file: Path) -> Recorded:
        run = parse_outcar(outcar_text(file))
        return _recorded(judged(run, LARGEST_STRAIN))

    return each_file(path, ("OUTCAR*",), of_file)


def _recorded(run: "VaspRun") -> Recorded:
    run.refuse_pressure()
    return Recorded(run.frames, refused=run.refused, levels=[("", run.level)])


@dataclass(frozen=True)
class VaspRun:
    """A run that ended by itself and converged; ``frames`` are its labelled cells.

    ``scf_steps`` and ``ionic_steps`` count electronic steps of the last cell, and cells. With a
    ``pressure_kilobar`` (PSTRESS) the energies hold pV, and these are no labels. ``refused`` names
    steps of molecular dynamics that are none.
    """

    frames: list[Atoms]
    version: str
    scf_steps: int
    ionic_steps: int
    level: Level
    pressure_kilobar: float = 0.0
    refused: list[str] = field(default_factory=list)

    def refuse_pressure(self) -> None:
        """VASP adds pV to energies of vasprun.xml, and changes stresses, under PSTRESS.

        Raises
        ------
        LabelFailed
            There is one.
        """
        if self.pressure_kilobar:
            raise LabelFailed(
                f"was run under PSTRESS = {self.pressure_kilobar:g} kbar, which is included in its "
                "energy and stress; give a static run of the last cell without PSTRESS"
            )


def read_run(file: Path, largest_strain: float = LARGEST_STRAIN) -> VaspRun:
    """Read a vasprun.xml, with all that makes it fit for labels checked.

    The lattice may change by ``largest_strain`` during the run.

    Raises
    ------
    LabelFailed
        It is damaged, unfinished or unconverged, or no self-consistent DFT of the bare crystal.
    """
    return judged(parse_vasprun(file), largest_strain)


def judged(run: Run, largest_strain: float) -> VaspRun:
    """Return the labels of a run.

    Raises
    ------
    LabelFailed
        As for :func:`read_run`.
    """
    refuse_by_settings(run)
    if not run.steps:
        raise LabelFailed("contains no finished ionic step")
    _check_relaxation(run)
    frames, refused = [], []
    for number, step in enumerate(run.steps):
        if not _is_used(run, number):
            continue
        try:
            _check_step(step, run)
            frame = _frame(step, run)
            _check_strain(run.steps[0].lattice, frame, largest_strain)
            frames.append(frame)
        except LabelFailed as failed:
            if not run.is_dynamics:
                raise
            refused.append(f"ionic step {number + 1}: {failed}")
    if not frames:
        raise LabelFailed(refused[0])
    return VaspRun(
        frames=frames,
        version=run.version,
        scf_steps=run.steps[-1].electronic_steps,
        ionic_steps=len(run.steps),
        level=level_of(run, frames[0].get_chemical_formula("hill"), frames[0].cell[:]),
        pressure_kilobar=run.number("PSTRESS"),
        refused=refused,
    )


def unfinished_relaxation(file: Path) -> Atoms | None:
    """Return the last cell of a relaxation that ran into NSW, labelled; None where that is not all.

    The electronic loop of the last step has to be converged: a relaxation can go on from there.
    """
    try:
        run = parse_vasprun(file)
        refuse_by_settings(run)
        if not run.steps or _has_relaxed(run):
            return None
        _check_step(run.steps[-1], run)
        return _frame(run.steps[-1], run)
    except LabelFailed:
        return None


def _is_used(run: Run, number: int) -> bool:
    if run.is_dynamics:
        return True
    # the later ones are of its perturbations
    if run.number("IBRION", -1) in (5, 6, 7, 8) or run.is_true("LCHIMAG"):
        return number == 0
    return number == len(run.steps) - 1


def _has_relaxed(run: Run) -> bool:
    """Whether a relaxation ended before NSW; true of a run that is none."""
    if not run.is_relaxation:
        return True
    return len(run.steps) < run.number("NSW") if run.relaxed is None else run.relaxed


def _check_relaxation(run: Run) -> None:
    if not _has_relaxed(run):
        raise LabelFailed(
            f"the relaxation did not converge within NSW = {run.number('NSW'):g} steps"
        )


def _check_step(step: IonicStep, run: Run) -> None:
    """Whether the electronic loop of a step ended by EDIFF and before NELM."""
    limit, tolerance = run.number("NELM", 60), run.number("EDIFF", 1e-4)
    if not step.electronic_steps:
        raise LabelFailed("contains no electronic loop")
    if step.says_converged is False or step.electronic_steps >= limit:
        raise LabelFailed(f"the electronic loop did not converge within NELM = {limit:g} steps")
    change = step.energy_change or 0.0
    if not abs(change) <= tolerance * 1.000001 + ROUNDING_EV:
        raise LabelFailed(
            f"the electronic loop did not converge: its last step changed the energy by "
            f"{change:.1e} eV, EDIFF = {tolerance:g}"
        )


def _frame(step: IonicStep, run: Run) -> Atoms:
    if step.lattice is None or step.positions is None:
        raise LabelFailed("a step holds no atoms (as with NWRITE = 0)")
    if step.forces is None:
        raise LabelFailed("a step holds no forces (as with NWRITE = 0)")
    if step.energy is None:
        raise LabelFailed("a step holds no free energy (e_fr_energy)")
    symbols = run.symbols
    for what, values in (
        ("lattice", step.lattice),
        ("positions", step.positions),
        ("forces", step.forces),
        ("free energy", np.array(step.energy)),
    ):
        if not np.isfinite(values).all():
            raise LabelFailed(f"its {what} cannot be read (asterisks, or numbers are missing)")
    if not len(symbols) == len(step.positions) == len(step.forces):
        raise LabelFailed(
            f"has {len(symbols)} atoms, {len(step.positions)} positions and {len(step.forces)} "
            "forces"
        )
    if step.energy / len(symbols) > LARGEST_ENERGY_EV:
        raise LabelFailed(
            f"its energy is {step.energy / len(symbols):+.0f} eV per atom above neutral atoms: "
            "atoms overlap, or the run diverged"
        )
    cell = Atoms(symbols, positions=step.positions, cell=step.lattice, pbc=True)
    frame = labelled(cell, "", step.energy, step.forces, _stress(step, run))
    if len(cell) == 1 and cell.cell.lengths().min() > LARGE_BOX_ANGSTROM:
        frame.info.update({"kind": "isolated_atom", "config_type": "IsolatedAtom"})
    return frame


def _stress(step: IonicStep, run: Run) -> Floats | None:
    """In eV/Å³ with ASE's sign; VASP's is positive under compression.

    With ISIF = 1 VASP computes the pressure alone and prints it on the diagonal.
    """
    kilobar = step.kilobar
    if kilobar is None or run.number("ISIF", 2) == 1:
        return None
    if not np.isfinite(kilobar).all() or kilobar.shape != (3, 3):
        raise LabelFailed("its stress cannot be read (asterisks, or numbers are missing)")
    if np.abs(kilobar - kilobar.T).max() > UNSYMMETRIC_KILOBAR:
        raise LabelFailed("its stress is not symmetric")
    return np.asarray(-KILOBAR * (kilobar + kilobar.T) / 2)


def _check_strain(first: Floats | None, frame: Atoms, largest: float) -> None:
    if first is None or not np.isfinite(first).all() or abs(np.linalg.det(first)) < 1e-6:
        raise LabelFailed("its first step holds no lattice")
    strain = float(np.abs(np.linalg.solve(first, frame.cell[:]) - np.eye(3)).max())
    if strain > largest:
        raise LabelFailed(
            f"its lattice changed by {100 * strain:.1f} % during the run, with the plane waves of "
            "the first cell; give a static run of this one"
        )


# --- OUTCAR beside vasprun.xml -------------------------------------------------------------------


def checked_outcar(file: Path) -> str:
    """Return the text of an OUTCAR that VASP finished, its electronic and ionic loops converged.

    Raises
    ------
    LabelFailed
        It did not, or the file cannot be read.
    """
    text = outcar_text(file)
    run = parse_outcar(text)
    if not run.steps:
        raise LabelFailed("contains no electronic loop")
    _check_relaxation(run)
    _check_step(run.steps[-1], run)
    return text
