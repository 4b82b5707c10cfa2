"""Enthalpies of a crystal under pressure."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from phonsmith.files.errors import PhonsmithError, UnusablePotential
from phonsmith.structures.relaxation import Load, compare
from phonsmith.structures.settings import Relaxation
from phonsmith.structures.sites import at_volume
from phonsmith.structures.symmetry import symmetrized
from phonsmith.thermodynamics.equations_of_state import FORMS, EquationOfState, fit_energies
from phonsmith.transitions.results import BEYOND, Enthalpies, PressurePoint
from phonsmith.transitions.settings import Pressing

if TYPE_CHECKING:
    from ase import Atoms

    from phonsmith.labels.protocol import ReferenceMethod
    from phonsmith.labels.store import LabelStore


def enthalpies(
    structure: str,
    atoms: "Atoms",
    method: "ReferenceMethod",
    settings: Pressing,
    relaxation: Relaxation,
    *,
    name: str,
    store: "LabelStore | None" = None,
) -> Enthalpies:
    """Compute the enthalpy H(p) of a crystal.

    The crystal is compressed stepwise, each relaxation starting from the previous crystal. A
    pressure at which it becomes another crystal is omitted, and the next relaxation starts from the
    last accepted crystal: a high-pressure crystal need not exist without pressure. In addition, the
    crystal is relaxed at fixed volumes within this range, whose energies determine an equation of
    state.

    Parameters
    ----------
    structure
        Id of the structure.
    atoms
        Crystal before relaxation.
    method
        Method that relaxes the crystal.
    settings
        Pressures (GPa), number of volumes, tolerance.
    relaxation
        Settings of the relaxations.
    name
        Name of the method in the result.
    store
        Label store that keeps the relaxations.

    Raises
    ------
    TryAgain
        A DFT code was short of memory or time.
    """
    empty = Enthalpies.without(structure, name, atoms, "")
    given = symmetrized(atoms, relaxation.symprec_angstrom)
    relax = partial(_relaxed, given, method=method, relaxation=relaxation, store=store)
    kept: list[Atoms] = []
    points = []
    for pressure in settings.pressures_gpa:
        load = Load(pressure_gpa=pressure)
        point, found = relax(kept[-1] if kept else given, load)
        print(f"{structure}: {pressure:g} GPa {point.reason or 'relaxed'}", flush=True)
        points.append(point)
        kept += [found] if found is not None else []
    at_volumes = _at_volumes(kept, settings, relax) if kept else []
    converged = all(one.converged for one in [*points, *at_volumes])
    found = empty.model_copy(
        update={"relaxed": points, "at_volumes": at_volumes, "converged": converged}
    )
    if not kept:
        return found.model_copy(update={"reason": f"at no pressure: {points[0].reason}"})
    notes = [f"{one.pressure_gpa:g} GPa: {one.reason}" for one in points if one.reason]
    state, problem = _state(at_volumes)
    if state is None:
        return found.model_copy(update={"notes": [*notes, f"no equation of state: {problem}"]})
    curve, missing = found.model_copy(update={"equation_of_state": state}).by_state()
    notes += missing
    if state.extrapolated:
        notes.append(
            f"the volume at rest of its equation of state, {state.volume_angstrom3_per_atom:.3f} "
            "Å³ per atom, is extrapolated"
        )
    differences = 1000 * np.abs(curve.minus(found.curve()).energy)
    difference = float(differences.max()) if len(differences) else None
    if difference is not None and difference > settings.tolerance_mev_per_atom:
        notes.append(
            "enthalpies of relaxations and of the equation of state differ by up to "
            f"{difference:.1f} meV/atom, more than tolerance_mev_per_atom = "
            f"{settings.tolerance_mev_per_atom:g}"
        )
    return found.model_copy(
        update={"notes": notes, "equation_of_state": state, "difference_mev_per_atom": difference}
    )


def _relaxed(
    given: "Atoms",
    start: "Atoms",
    load: Load,
    *,
    method: "ReferenceMethod",
    relaxation: Relaxation,
    store: "LabelStore | None",
) -> tuple[PressurePoint, "Atoms | None"]:
    """Symmetrised crystal under pressure; None if it turned into another crystal."""
    from phonsmith.labels.failed import LabelFailed
    from phonsmith.labels.relaxations import relaxed

    pressure = None if load.fixed_volume else load.pressure_gpa
    try:
        found = relaxed(start, method, relaxation, load, store)
    except (LabelFailed, UnusablePotential) as error:
        if isinstance(error, LabelFailed) and error.wants:
            raise error.for_good("relaxation under pressure") from error
        return PressurePoint(pressure_gpa=pressure, reason=str(error)), None
    # type and shape count; the volume is the pressure's
    verdict = compare(at_volume(given, found.atoms.get_volume()), found, relaxation)
    reason = verdict.reason
    if not reason and found.energy_ev is None:
        reason = "the method gives no energy"
    if reason:
        point = PressurePoint(pressure_gpa=pressure, reason=reason, converged=found.converged)
        return point, None
    try:
        crystal = symmetrized(found.atoms, relaxation.symprec_angstrom)
    except PhonsmithError as error:
        return PressurePoint(pressure_gpa=pressure, reason=str(error)), None
    assert found.energy_ev is not None
    return (
        PressurePoint(
            pressure_gpa=pressure,
            volume_angstrom3_per_atom=found.atoms.get_volume() / len(given),
            energy_ev_per_atom=found.energy_ev / len(given),
        ),
        crystal,
    )


def _at_volumes(
    kept: Sequence["Atoms"],
    settings: Pressing,
    relax: Callable[["Atoms", Load], tuple[PressurePoint, "Atoms | None"]],
) -> list[PressurePoint]:
    """Energies at volumes from a little below to a little above those at the pressures."""
    volumes = [one.get_volume() for one in kept]
    wanted = np.linspace((1 - BEYOND) * min(volumes), (1 + BEYOND) * max(volumes), settings.volumes)
    points = []
    for volume in wanted:
        nearest = kept[int(np.argmin(np.abs(np.array(volumes) - volume)))]
        points.append(relax(at_volume(nearest, volume), Load(fixed_volume=True))[0])
    return points


def _state(points: Sequence[PressurePoint]) -> tuple[EquationOfState | None, str]:
    """The equation of state that leaves less, or why there is none.

    For enthalpies the volume at rest need not lie among the volumes: a crystal may exist under
    pressure alone.
    """
    good = [one for one in points if not one.reason]
    volumes = [one.volume_angstrom3_per_atom or 0.0 for one in good]
    energies = [one.energy_ev_per_atom or 0.0 for one in good]
    states, problem = [], ""
    for form in FORMS:
        try:
            states.append(fit_energies(volumes, energies, form))
        except UnusablePotential as error:
            problem = str(error)
    if not states:
        return None, problem
    return min(states, key=lambda one: one.residual_mev_per_atom), ""
