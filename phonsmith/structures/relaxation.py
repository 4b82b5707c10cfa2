"""Relaxation of crystals, and the verdict whether a crystal stayed itself."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.filters import FrechetCellFilter
from ase.neighborlist import neighbor_list
from ase.optimize import CellAwareBFGS
from ase.units import GPa
from numpy.typing import NDArray

from phonsmith.files.errors import PhonsmithError, UnusablePotential
from phonsmith.potentials.at_once import AtOnce
from phonsmith.structures.reading import SHORTEST_DISTANCE
from phonsmith.structures.settings import Relaxation
from phonsmith.structures.sites import plain
from phonsmith.structures.symmetry import space_group, symmetrized
from phonsmith.structures.vacuum import vacuum_caution
from phonsmith.structures.verdicts import Verdict

_BOND_STIFFNESS = 30.0  # eV/Å², of the size of a covalent crystal's optical modes

_BULK_MODULUS = 100 * GPa  # of the size of a semiconductor's


@dataclass(frozen=True)
class Load:
    """What acts on the cell while a crystal relaxes: a hydrostatic pressure, or a fixed volume."""

    pressure_gpa: float = 0.0
    fixed_volume: bool = False


FREE = Load()
"""No pressure."""


def relaxed_crystal(
    crystal: Atoms, calculator: Any, settings: Relaxation, load: Load = FREE
) -> tuple[Atoms, Verdict]:
    """Relax a crystal; restore exact symmetry where the relaxation kept it.

    Parameters
    ----------
    crystal
        Crystal before relaxation.
    calculator
        ASE calculator with stress.
    settings
        Tolerances, largest number of steps, symmetry precision.
    load
        Pressure (GPa) or fixed volume; no load by default.

    Returns
    -------
    Relaxed crystal and verdict, see :func:`judged`.
    """
    return judged(crystal, relax(crystal, calculator, settings, load), settings)


def judged(
    crystal: Atoms, result: "RelaxationResult", settings: Relaxation
) -> tuple[Atoms, Verdict]:
    """Compare a relaxed crystal with the original and remove its numerical noise.

    Parameters
    ----------
    crystal
        Crystal before relaxation.
    result
        Result of the relaxation.
    settings
        Tolerances of the comparison and symmetry precision.

    Returns
    -------
    The symmetrized crystal and the verdict. A crystal that is not converged or cannot be
    symmetrized is returned unchanged, with the reason in the verdict.
    """
    verdict = compare(crystal, result, settings)
    if not verdict.converged:
        return result.atoms, verdict
    try:
        return symmetrized(result.atoms, settings.symprec_angstrom), verdict
    except PhonsmithError as error:
        reason = "; ".join(filter(None, [verdict.reason, str(error)]))
        return result.atoms, replace(verdict, reason=reason)


def crystal_as_given(crystal: Atoms, settings: Relaxation) -> tuple[Atoms, Verdict]:
    """Return the crystal unchanged, with the verdict of an unchanged crystal.

    Crystals from files with few digits require :func:`phonsmith.structures.symmetry.symmetrized`
    before.
    """
    return crystal, compare(crystal, RelaxationResult(crystal, True, 0, math.nan, None), settings)


@dataclass(frozen=True)
class RelaxationResult:
    """Where a relaxation ended.

    ``fmax_ev_per_angstrom`` is the largest force left, the cell's included as ASE's filter
    scales it (unbalanced stress times volume per atom); ``energy_ev`` is that of the cell, without
    the work of a pressure. ``stopped`` is why it stopped before converging or taking all steps.
    """

    atoms: Atoms
    converged: bool
    steps: int
    fmax_ev_per_angstrom: float
    energy_ev: float | None
    stopped: str = ""


def relax(
    atoms: Atoms,
    calculator: Any,
    settings: Relaxation,
    load: Load = FREE,
    *,
    on_step: Callable[[int, Atoms], None] | None = None,
) -> RelaxationResult:
    """Relax cell and positions together under a load, without imposed symmetry.

    A quasi-Newton method whose first Hessian knows the stiffness of bonds and cell: a half to a
    third of the steps of ASE's BFGS on silicon allotropes. Converged means that every force, and
    the stress times the volume per atom (ASE's default scale), is below the tolerance.

    A relaxation that does not converge, flies apart or collapses is not an error: ``converged`` is
    then false and the atoms are those of the last sane step. Equal input gives equal results.

    Parameters
    ----------
    atoms
        Crystal; remains unchanged.
    calculator
        ASE calculator with stress.
    settings
        Force tolerance (eV/Å) and largest number of steps.
    load
        Pressure (GPa) or fixed volume; no load by default.
    on_step
        Called with the number of steps so far and the present, sane cell; its calculator holds the
        results.

    Raises
    ------
    PhonsmithError
        The calculator offers no stress.
    LabelFailed
        A DFT code fails on the first cell, or runs short of memory or time.
    """
    from phonsmith.labels.failed import LabelFailed

    moving = plain(atoms)
    moving.calc = AtOnce(calculator)
    filtered = FrechetCellFilter(
        moving,
        exp_cell_factor=1.0,
        constant_volume=load.fixed_volume,
        scalar_pressure=load.pressure_gpa * GPa,
    )
    sane, fmax, energy, steps, converged = plain(atoms), math.inf, None, 0, False
    stopped = ""
    try:
        optimizer = CellAwareBFGS(
            filtered, logfile=None, maxstep=0.1, alpha=_BOND_STIFFNESS, bulk_modulus=_BULK_MODULUS
        )
        while True:
            now = largest_force(
                moving.get_forces(), moving.get_stress(voigt=False), moving.get_volume(), load
            )
            stopped = _went_astray(moving, atoms) if math.isfinite(now) else "forces not finite"
            if stopped:
                break
            sane, fmax, energy = plain(moving), now, _energy(moving)
            if on_step:
                on_step(steps, moving)
            converged = fmax < settings.fmax_ev_per_angstrom
            if converged or steps == settings.max_steps:
                break
            with warnings.catch_warnings():  # it is inaccurate by 1e-13
                warnings.filterwarnings("ignore", "logm result may be inaccurate")
                optimizer.step()
            steps += 1
    except PropertyNotImplementedError:
        raise PhonsmithError(
            f"{type(calculator).__name__}: no stress, which relaxation of the cell requires"
        ) from None
    except PhonsmithError:  # another geometry would not help
        raise
    except LabelFailed as failed:
        if failed.wants or not math.isfinite(fmax):
            raise
        stopped = str(failed)
        print(f"relaxation stopped after {steps} steps: {stopped}")
    except Exception as error:  # calculators fail in their own ways on broken geometries
        if not math.isfinite(fmax):  # not even the start can be computed
            raise UnusablePotential(
                f"{type(calculator).__name__} fails on {atoms.get_chemical_formula()}: "
                f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            ) from error
        stopped = f"{type(error).__name__}: {error}"
        print(f"relaxation stopped after {steps} steps: {stopped}")
    return RelaxationResult(sane, converged, steps, fmax, energy, stopped)


def largest_force(
    forces: NDArray[np.float64], stress: NDArray[np.float64], volume: float, load: Load
) -> float:
    """Find the largest force on an atom or, by ASE's scale, of the unbalanced stress, in eV/Å.

    Parameters
    ----------
    forces
        Forces (atoms, 3) in eV/Å.
    stress
        Stress (3, 3) in eV/Å³, tension positive.
    volume
        Volume of the cell in Å³.
    load
        Load that balances the stress.
    """
    unbalanced = np.linalg.norm(unbalanced_stress(stress, load), axis=1).max()
    return float(max(np.linalg.norm(forces, axis=1).max(), unbalanced * volume / len(forces)))


def unbalanced_stress(stress: NDArray[np.float64], load: Load) -> NDArray[np.float64]:
    """Return what of a stress (3, 3; eV/Å³, tension positive) the load does not balance."""
    if load.fixed_volume:
        return np.asarray(stress - np.trace(stress) / 3 * np.eye(3))
    return np.asarray(stress + load.pressure_gpa * GPa * np.eye(3))


def _energy(atoms: Atoms) -> float | None:
    try:
        energy = float(atoms.get_potential_energy())
    except PropertyNotImplementedError:
        return None
    return energy if math.isfinite(energy) else None


def _went_astray(now: Atoms, start: Atoms) -> str:
    """Text on a volume that changed by a factor of three or on atoms on each other, or empty."""
    ratio = float(np.linalg.det(now.cell[:]) / np.linalg.det(start.cell[:]))
    if not (1 / 3 < ratio < 3):
        return f"volume {ratio:.2g} times the first"
    close = neighbor_list("d", now, SHORTEST_DISTANCE)
    return f"atoms {close.min():.2f} Å apart" if len(close) else ""


def compare(before: Atoms, result: RelaxationResult, settings: Relaxation) -> Verdict:
    """Compare a crystal before and after relaxation: type, size and space group.

    Type and size are compared by pymatgen's StructureMatcher with the tolerances of the campaign
    and without scaling the volumes, so that lengths have to agree within ``ltol``.

    Parameters
    ----------
    before
        Crystal before relaxation.
    result
        Result of the relaxation.
    settings
        Tolerances of StructureMatcher and symmetry precision (Å).

    Returns
    -------
    The verdict; ``reason`` lists all differences and is empty if there are none.
    """
    after = result.atoms
    number_before, symbol_before = space_group(before, settings.symprec_angstrom)
    number_after, symbol_after = _group_or_unknown(after, settings.symprec_angstrom)
    same = _same_structure(before, after, settings)
    kept = number_before == number_after
    change = 100 * float(after.get_volume() / before.get_volume() - 1)
    reasons: list[tuple[bool, Callable[[], str]]] = [
        (
            result.converged,
            lambda: (
                f"relaxation not converged after {result.steps} steps "
                f"(largest force {result.fmax_ev_per_angstrom:.2g} eV/Å)"
            ),
        ),
        (same, lambda: f"became another structure (volume {change:+.1f} %)"),
        (kept, lambda: f"space group changed from {symbol_before} to {symbol_after}"),
    ]
    return Verdict(
        space_group_before=number_before,
        space_group_after=number_after,
        symbol_before=symbol_before,
        symbol_after=symbol_after,
        same_structure=same,
        symmetry_kept=kept,
        converged=result.converged,
        volume_change_percent=change,
        reason="; ".join(words() for fine, words in reasons if not fine),
        max_steps=settings.max_steps,
    )


def cautioned(verdict: Verdict, given: Atoms) -> Verdict:
    """Return the verdict with what a reader has to know of the crystal as it was given."""
    caution = vacuum_caution(given)
    return replace(verdict, cautions=[*verdict.cautions, caution]) if caution else verdict


def _group_or_unknown(atoms: Atoms, symprec: float) -> tuple[int, str]:
    try:
        return space_group(atoms, symprec)
    except PhonsmithError:
        return 0, "unknown"


def _same_structure(before: Atoms, after: Atoms, settings: Relaxation) -> bool:
    from pymatgen.analysis.structure_matcher import StructureMatcher
    from pymatgen.io.ase import AseAtomsAdaptor

    matcher = StructureMatcher(
        ltol=settings.ltol,
        stol=settings.stol,
        angle_tol=settings.angle_tol_degree,
        primitive_cell=False,
        scale=False,
    )
    first, second = (AseAtomsAdaptor.get_structure(plain(a)) for a in (before, after))
    return bool(matcher.fit(first, second))
