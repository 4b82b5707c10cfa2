"""Phase transitions: where one crystal takes over from another, with temperature or pressure."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.units import GPa, kJ, mol

from phonsmith.files.errors import PhonsmithError
from phonsmith.transitions.comparisons import comparisons
from phonsmith.transitions.curves import Curve
from phonsmith.transitions.results import Approximation, Comparison, Enthalpies, Result
from phonsmith.transitions.settings import PressureTransition, TemperatureTransition

if TYPE_CHECKING:
    from phonsmith.thermodynamics.results import Result as ThermodynamicsResult


_JOULE_PER_MOL = kJ / mol / 1000
"""1 J/mol in eV per particle."""


def _result(
    transition: str,
    settings: TemperatureTransition | PressureTransition,
    found: Sequence["Enthalpies | ThermodynamicsResult"],
    **others: Any,
) -> Result:
    """The result on crystals of one composition."""
    formulas = {one.structure: one.formula for one in found}
    if len(set(formulas.values())) > 1:
        compositions = ", ".join(f"{name} {formula}" for name, formula in formulas.items())
        raise PhonsmithError(
            f"transitions.{transition}.structures: all crystals must have one composition, found "
            f"{compositions}"
        )
    return Result(
        transition=transition,
        driven_by=settings.driven_by,
        method=found[0].method,
        structures=settings.structures,
        formula=found[0].formula,
        atoms_per_formula_unit=found[0].atoms_per_formula_unit,
        **others,
    )


def temperature_transition(
    transition: str,
    settings: TemperatureTransition,
    found: Sequence["ThermodynamicsResult"],
    *,
    refuse_imaginary: bool,
) -> Result:
    """Find crossings of free energies: harmonic (without pressure) and quasi-harmonic.

    phonopy silently omits imaginary modes from a free energy. Crystals with imaginary modes are
    refused, or compared with the omitted share in the notes. Quasi-harmonic energies are taken from
    volumes that were judged already.

    Parameters
    ----------
    transition
        Name of the transition.
    settings
        Crystals and pressure (GPa).
    found
        Free energies of the crystals by one method.
    refuse_imaginary
        Exclude crystals with imaginary modes from harmonic comparisons.

    Raises
    ------
    PhonsmithError
        The crystals differ in composition.
    """
    lost = {one.structure: one.reason for one in found if one.reason}
    compared = []
    if settings.pressure_gpa == 0:
        compared += _harmonic(found, lost, refuse_imaginary)
    compared += _quasi_harmonic(found, settings.pressure_gpa)
    asked_for = any(one.quasi_harmonic or one.lost_pressures for one in found)
    for one in found:
        if asked_for and not one.reason and not one.at_pressure(settings.pressure_gpa):
            why = one.why_not(settings.pressure_gpa)
            _leave_out(lost, one, f"quasi-harmonic, {settings.pressure_gpa:g} GPa: {why}")
    return _result(
        transition,
        settings,
        found,
        comparisons=compared,
        left_out=lost,
        approximation_of_goal="quasi-harmonic" if settings.pressure_gpa else "harmonic",
        minimum_frequencies_thz={
            one.structure: one.harmonic.minimum_frequency_thz for one in found if one.harmonic
        },
    )


def _harmonic(
    found: Sequence["ThermodynamicsResult"], lost: dict[str, str], refuse_imaginary: bool
) -> list[Comparison]:
    curves, static, notes = {}, {}, {}
    for one in found:
        harmonic = one.harmonic
        if harmonic is None:
            continue
        if harmonic.imaginary_share:
            imaginary = (
                f"{one.structure}: {100 * harmonic.imaginary_share:.2g} % of its modes are "
                f"imaginary (down to {harmonic.minimum_frequency_thz:.2f} THz)"
            )
            if refuse_imaginary:
                _leave_out(lost, one, f"harmonic: {imaginary.partition(': ')[2]}")
                continue
            notes[one.structure] = f"{imaginary}; its free energy omits these modes"
        static[one.structure] = harmonic.energy_ev_per_atom
        curves[one.structure] = Curve(
            np.array(harmonic.temperature_kelvin),
            harmonic.energy_ev_per_atom + np.array(harmonic.free_energy_ev_per_atom),
            -np.array(harmonic.entropy_j_per_mol_k) * _JOULE_PER_MOL,
        )
    empty = Comparison(first="", second="", approximation="harmonic", pressure_gpa=0.0)
    return [_with_static(one, static, notes) for one in comparisons(curves, "K", empty)]


def _leave_out(lost: dict[str, str], one: "ThermodynamicsResult", why: str) -> None:
    """Add a reason to those of a crystal."""
    lost[one.structure] = "; ".join(filter(None, [lost.get(one.structure, ""), why]))


def _with_static(
    one: Comparison, static: Mapping[str, float], notes: Mapping[str, str]
) -> Comparison:
    difference = (
        1000 * (static[one.second] - static[one.first])
        if one.first in static and one.second in static
        else None
    )
    remarks = [notes[name] for name in (one.first, one.second) if name in notes]
    return one.model_copy(update={"static_mev_per_atom": difference, "notes": remarks})


def _quasi_harmonic(
    found: Sequence["ThermodynamicsResult"], pressure_gpa: float
) -> list[Comparison]:
    curves, notes = {}, {}
    static: dict[str, float] = {}
    for one in found:
        state = one.at_pressure(pressure_gpa)
        if state is None:
            continue
        static |= _static(one)
        if one.notes:
            notes[one.structure] = f"{one.structure}: {'; '.join(one.notes)}"
        curves[one.structure] = Curve(
            np.array(state.temperature_kelvin), np.array(state.gibbs_ev_per_atom)
        )
    empty = Comparison(
        first="", second="", approximation="quasi-harmonic", pressure_gpa=pressure_gpa
    )
    return [_with_static(one, static, notes) for one in comparisons(curves, "K", empty)]


def _static(one: "ThermodynamicsResult") -> dict[str, float]:
    return {one.structure: one.harmonic.energy_ev_per_atom} if one.harmonic else {}


def pressure_transition(
    transition: str,
    settings: PressureTransition,
    found: Sequence[Enthalpies],
    thermal: Sequence["ThermodynamicsResult"] = (),
    *,
    minimum_frequencies_thz: Mapping[str, float] | None = None,
    tolerance_thz: float = 0.1,
) -> Result:
    """Find crossings of enthalpies, by relaxation and by equation of state, and of Gibbs energies.

    Enthalpies do not show dynamical instability: a lowest phonon frequency below minus the
    tolerance at zero pressure is reported in the notes.

    Parameters
    ----------
    transition
        Name of the transition.
    settings
        Crystals and temperatures (K) of Gibbs energies.
    found
        Enthalpies of the crystals by one method.
    thermal
        Free energies of the crystals, for Gibbs energies.
    minimum_frequencies_thz
        Lowest phonon frequency of each crystal at zero pressure, as far as known.
    tolerance_thz
        A mode with a frequency below ``-tolerance_thz`` is imaginary.

    Raises
    ------
    PhonsmithError
        The crystals differ in composition.
    """
    static = {one.structure: one.at_rest for one in found if one.at_rest is not None}
    lowest = minimum_frequencies_thz or {}
    unstable = {
        name: f"imaginary modes at zero pressure, down to {frequency:.2f} THz"
        for name, frequency in lowest.items()
        if frequency < -tolerance_thz
    }
    remarks = {one.structure: [*one.notes, *_of(unstable, one.structure)] for one in found}
    notes = {name: f"{name}: {'; '.join(words)}" for name, words in remarks.items() if words}
    curves = {one.structure: one.curve() for one in found if not one.reason}
    states = {one.structure: curve for one in found if (curve := one.curve_of_state()) is not None}
    compared: list[Comparison] = []
    both: tuple[tuple[Approximation, Mapping[str, Curve]], ...] = (
        ("enthalpy", curves),
        ("equation-of-state", states),
    )
    for approximation, which in both:
        empty = Comparison(first="", second="", approximation=approximation)
        compared += [_with_static(one, static, notes) for one in comparisons(which, "GPa", empty)]
    lost = {one.structure: one.reason for one in found if one.reason}
    for one in thermal:
        if one.reason:
            _leave_out(lost, one, f"Gibbs energies: {one.reason}")
    for temperature in settings.temperatures_kelvin:
        compared += _gibbs(thermal, temperature, lost, unstable)
    return _result(
        transition,
        settings,
        found,
        comparisons=compared,
        left_out=lost,
        minimum_frequencies_thz=dict(lowest),
    )


def _of(words: Mapping[str, str], name: str) -> list[str]:
    return [words[name]] if name in words else []


def _gibbs(
    thermal: Sequence["ThermodynamicsResult"],
    temperature: float,
    lost: dict[str, str],
    unstable: Mapping[str, str],
) -> list[Comparison]:
    """G(p) at a temperature; crystals that have it at fewer than two pressures are ``lost``."""
    curves, notes = {}, {}
    static: dict[str, float] = {}
    for one in thermal:
        points = []
        for state in one.quasi_harmonic:
            near = np.isclose(state.temperature_kelvin, temperature)
            if near.any():
                at = int(np.argmax(near))
                volume = state.volume_angstrom3_per_atom[at]
                points.append((state.pressure_gpa, state.gibbs_ev_per_atom[at], volume * GPa))
        remarks = [*one.notes, *_of(unstable, one.structure)]
        if remarks:
            notes[one.structure] = f"{one.structure}: {'; '.join(remarks)}"
        if len(points) > 1:
            static |= _static(one)
            curves[one.structure] = Curve(*np.array(sorted(points)).T)
        elif not one.reason:
            why = f"reached at {len(points)} pressures, two are required"
            why += "".join(f"; {note}" for note in one.notes)
            _leave_out(lost, one, f"Gibbs energies at {temperature:g} K: {why}")
    empty = Comparison(
        first="", second="", approximation="quasi-harmonic", temperature_kelvin=temperature
    )
    return [_with_static(one, static, notes) for one in comparisons(curves, "GPa", empty)]
