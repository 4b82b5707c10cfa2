"""Relaxation of crystals, and the verdict whether a crystal stayed itself.

Relaxation imposes no symmetry, so that a potential that breaks it is found out. Only after the
verdict is the remaining numerical noise removed.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.filters import FrechetCellFilter
from ase.neighborlist import neighbor_list
from ase.optimize import CellAwareBFGS
from ase.units import GPa
from numpy.typing import NDArray

from phonsmith.errors import PhonsmithError, UnusablePotential
from phonsmith.settings import Relaxation
from phonsmith.structures import (
    SHORTEST_DISTANCE,
    plain,
    space_group,
    symmetrized,
    vacuum_caution,
)
from phonsmith.verdicts import Verdict

if TYPE_CHECKING:
    from phonsmith.labels import LabelStore, ReferenceMethod

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
    """The crystal as a calculator relaxes it, with exact symmetry where it kept it."""
    return _judged(crystal, relax(crystal, calculator, settings, load), settings)


def reference_crystal(
    structure: str,
    crystal: Atoms,
    method: "ReferenceMethod",
    settings: Relaxation,
    load: Load = FREE,
    *,
    store: "LabelStore | None" = None,
) -> tuple[Atoms, Verdict]:
    """The crystal as the reference method relaxes it; ``structure`` is its name in messages.

    A ``store`` keeps the relaxation. The verdict reports a crystal that changes or does not relax;
    :mod:`phonsmith.verdicts` has what a campaign does then.

    Raises
    ------
    PhonsmithError
        The method cannot relax at all, such as without stresses.
    TryAgain
        The code was short of memory or time.
    """
    from phonsmith.labels.checks import LabelFailed
    from phonsmith.labels.relaxations import relaxed

    try:
        result = relaxed(crystal, method, settings, load, store)
    except (LabelFailed, UnusablePotential) as error:
        if isinstance(error, LabelFailed) and error.wants:
            raise error.for_good(f"structure {structure}") from error
        return crystal, _not_relaxed(crystal, str(error), settings)
    return _judged(crystal, result, settings)


def _not_relaxed(crystal: Atoms, reason: str, settings: Relaxation) -> Verdict:
    """The verdict on a crystal that the reference method cannot even compute."""
    result = RelaxationResult(crystal, False, 0, math.inf, None)
    return replace(compare(crystal, result, settings), reason=reason, computed=False)


def _judged(
    crystal: Atoms, result: "RelaxationResult", settings: Relaxation
) -> tuple[Atoms, Verdict]:
    """The verdict, and the crystal freed of noise where its symmetry holds."""
    verdict = compare(crystal, result, settings)
    if not verdict.converged:
        return result.atoms, verdict
    try:
        return symmetrized(result.atoms, settings.symprec_angstrom), verdict
    except PhonsmithError as error:
        reason = "; ".join(filter(None, [verdict.reason, str(error)]))
        return result.atoms, replace(verdict, reason=reason)


def crystal_as_given(crystal: Atoms, settings: Relaxation) -> tuple[Atoms, Verdict]:
    """The crystal unchanged, with a verdict that says so.

    Crystals from files with few digits want :func:`phonsmith.structures.symmetrized` before.
    """
    return crystal, compare(crystal, RelaxationResult(crystal, True, 0, math.nan, None), settings)


@dataclass(frozen=True)
class RelaxationResult:
    """Where a relaxation ended.

    ``fmax_ev_per_angstrom`` is the largest force left, the cell's included as ASE's filter
    scales it (unbalanced stress times volume per atom); ``energy_ev`` is that of the cell, without
    the work of a pressure.
    """

    atoms: Atoms
    converged: bool
    steps: int
    fmax_ev_per_angstrom: float
    energy_ev: float | None


def relax(
    atoms: Atoms, calculator: Any, settings: Relaxation, load: Load = FREE
) -> RelaxationResult:
    """Relax cell and positions together under a load, without imposed symmetry.

    A quasi-Newton method whose first Hessian knows the stiffness of bonds and cell: a half to a
    third of the steps of ASE's BFGS on silicon allotropes. Converged means that every force, and
    the stress times the volume per atom (ASE's default scale), is below the tolerance.

    A relaxation that does not converge, flies apart or collapses is no error: ``converged`` is
    false then and the atoms are those of the last sane step. The same input gives the same result.

    Raises
    ------
    PhonsmithError
        The calculator offers no stress.
    LabelFailed
        A DFT code fails on the first cell, or runs short of memory or time.
    """
    from phonsmith.labels.checks import LabelFailed

    moving = plain(atoms)
    moving.calc = calculator
    filtered = FrechetCellFilter(
        moving,
        exp_cell_factor=1.0,
        constant_volume=load.fixed_volume,
        scalar_pressure=load.pressure_gpa * GPa,
    )
    sane, fmax, energy, steps, converged = plain(atoms), math.inf, None, 0, False
    try:
        optimizer = CellAwareBFGS(
            filtered, logfile=None, maxstep=0.1, alpha=_BOND_STIFFNESS, bulk_modulus=_BULK_MODULUS
        )
        while True:
            now = _largest_force(moving, load)
            if not math.isfinite(now) or _went_astray(moving, atoms):
                break
            sane, fmax, energy = plain(moving), now, _energy(moving)
            converged = fmax < settings.fmax_ev_per_angstrom
            if converged or steps == settings.max_steps:
                break
            with warnings.catch_warnings():  # it is inaccurate by 1e-13
                warnings.filterwarnings("ignore", "logm result may be inaccurate")
                optimizer.step()
            steps += 1
    except PropertyNotImplementedError:
        raise PhonsmithError(
            f"{type(calculator).__name__}: gives no stress, which relaxation of the cell needs"
        ) from None
    except PhonsmithError:  # nothing that another geometry would mend
        raise
    except LabelFailed as failed:
        if failed.wants or not math.isfinite(fmax):
            raise
        print(f"relaxation stopped after {steps} steps: {failed}")
    except Exception as error:  # calculators fail in their own ways on broken geometries
        if not math.isfinite(fmax):  # not even the start can be computed
            raise UnusablePotential(
                f"{type(calculator).__name__} fails on {atoms.get_chemical_formula()}: "
                f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            ) from error
        print(f"relaxation stopped after {steps} steps: {type(error).__name__}: {error}")
    return RelaxationResult(sane, converged, steps, fmax, energy)


def _largest_force(atoms: Atoms, load: Load) -> float:
    """Largest force on an atom or, in eV/Å by ASE's scale, of the unbalanced stress on the cell."""
    forces = np.linalg.norm(atoms.get_forces(), axis=1)
    unbalanced = unbalanced_stress(atoms.get_stress(voigt=False), load)
    stress = np.linalg.norm(unbalanced, axis=1)
    return float(max(forces.max(), stress.max() * atoms.get_volume() / len(atoms)))


def unbalanced_stress(stress: NDArray[np.float64], load: Load) -> NDArray[np.float64]:
    """What of a stress (3, 3; eV/Å³, tension positive) the load does not balance."""
    if load.fixed_volume:
        return np.asarray(stress - np.trace(stress) / 3 * np.eye(3))
    return np.asarray(stress + load.pressure_gpa * GPa * np.eye(3))


def _energy(atoms: Atoms) -> float | None:
    try:
        energy = float(atoms.get_potential_energy())
    except PropertyNotImplementedError:
        return None
    return energy if math.isfinite(energy) else None


def _went_astray(now: Atoms, start: Atoms) -> bool:
    """Whether the volume changed by a factor of three or atoms fell onto each other."""
    ratio = float(np.linalg.det(now.cell[:]) / np.linalg.det(start.cell[:]))
    if not (1 / 3 < ratio < 3):
        return True
    return len(neighbor_list("d", now, SHORTEST_DISTANCE)) > 0


# --- verdict ---------------------------------------------------------------------------------


def compare(before: Atoms, result: RelaxationResult, settings: Relaxation) -> Verdict:
    """Compare a crystal before and after relaxation: type, size and space group.

    Type and size together: pymatgen's StructureMatcher with the tolerances of the campaign, as
    the cells are (not scaled to the same volume), so that lengths have to agree within ``ltol``.
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
    """The verdict with what a reader has to know of the crystal as it was given."""
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
