"""Phase transitions: where one crystal takes over from another, with temperature or with pressure.

Energies are per atom throughout; ``atoms_per_formula_unit`` takes them to formula units. Crystals
are compared within one method only, since energies of different methods have different zeros.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from ase.units import GPa, kJ, mol
from numpy.typing import NDArray
from pydantic import Field

from phonsmith.applications import (
    Pressing,
    PressureTransition,
    TemperatureTransition,
)
from phonsmith.equations_of_state import FORMS, EquationOfState, fit_energies
from phonsmith.errors import PhonsmithError, UnusablePotential
from phonsmith.records import Record, StoredRecord
from phonsmith.relaxation import Load, compare
from phonsmith.settings import Relaxation
from phonsmith.structures import at_volume
from phonsmith.verdicts import LEFT_OUT, WithRelaxations

if TYPE_CHECKING:
    from ase import Atoms

    from phonsmith.labels import LabelStore, ReferenceMethod
    from phonsmith.thermodynamics import Result as ThermodynamicsResult

Floats = NDArray[np.float64]
Approximation = Literal["harmonic", "quasi-harmonic", "enthalpy", "equation-of-state"]

NONE_IN_RANGE = "none in range"
_JOULE_PER_MOL = kJ / mol / 1000
"""1 J/mol in eV per particle."""
BEYOND = 0.04
"""Volumes for the equation of state reach this much beyond those of the relaxed crystals."""


# --- where curves cross -----------------------------------------------------------------------


@dataclass(frozen=True)
class Curve:
    """Energy of a crystal (eV/atom) against temperature (K) or pressure (GPa).

    ``slopes`` are its derivatives where they are known: minus the entropy, or the volume.
    """

    x: Floats
    energy: Floats
    slopes: Floats | None = None

    def minus(self, other: "Curve") -> "Curve":
        """The difference at the abscissas that both have."""
        x, mine, theirs = np.intersect1d(self.x, other.x, return_indices=True)
        slopes = (
            self.slopes[mine] - other.slopes[theirs]
            if self.slopes is not None and other.slopes is not None
            else None
        )
        return Curve(x, self.energy[mine] - other.energy[theirs], slopes)

    def interpolated(self) -> Any:
        """The cubic curve through at least two points: Hermite's where slopes are known.

        Otherwise that of Fritsch and Butland (PCHIP), which does not overshoot.
        """
        from scipy.interpolate import CubicHermiteSpline, PchipInterpolator

        if self.slopes is not None:
            return CubicHermiteSpline(self.x, self.energy, self.slopes)
        return PchipInterpolator(self.x, self.energy)

    def at(self, x: float) -> float:
        """The energy at ``x`` within the points, eV/atom."""
        return float(self.energy[0] if len(self.x) == 1 else self.interpolated()(x))


class Crossing(Record):
    """A change of sign between two neighbouring points ``low`` and ``high``.

    ``slope_mev_per_atom`` is that of the difference, per kelvin or GPa; ``falling``: the difference
    goes from above zero to below. ``stable``: no further crystal is lower there.
    """

    value: float
    low: float
    high: float
    slope_mev_per_atom: float
    falling: bool
    stable: bool = True


def crossings(difference: Curve) -> list[Crossing]:
    """Where a difference of energies changes its sign, from left to right.

    Between the points the curve is that of :meth:`Curve.interpolated`. A curve that touches zero
    and turns back does not cross, nor one that begins or ends at zero.
    """
    from scipy.optimize import brentq

    x, y = difference.x, difference.energy
    away = np.flatnonzero(y != 0.0)
    changes = [(left, right) for left, right in itertools.pairwise(away) if y[left] * y[right] < 0]
    if not changes:
        return []
    curve = difference.interpolated()
    found = []
    for left, right in changes:
        root = float(brentq(curve, x[left], x[right], xtol=1e-9 * max(1.0, abs(x[right]))))
        found.append(
            Crossing(
                value=root,
                low=float(x[left]),
                high=float(x[right]),
                slope_mev_per_atom=1000 * float(curve(root, 1)),
                falling=bool(y[left] > 0),
            )
        )
    return found


class Comparison(Record):
    """Two crystals in one approximation: ``second`` minus ``first``, meV/atom.

    ``x`` is in kelvin or GPa as the transition is driven. The answer in words is "none in range"
    where there is no crossing, with what is lower there; ``reason`` says why crystals could not be
    compared at all.
    """

    first: str
    second: str
    approximation: Approximation
    pressure_gpa: float | None = None
    temperature_k: float | None = None
    static_mev_per_atom: float | None = None
    """Difference of the energies at rest, without vibrations."""
    x: list[float] = Field(default_factory=list)
    difference_mev_per_atom: list[float] = Field(default_factory=list)
    crossings: list[Crossing] = Field(default_factory=list)
    answer: str = ""
    reason: str = ""
    notes: list[str] = Field(default_factory=list)


def comparisons(
    curves: Mapping[str, Curve], unit: Literal["K", "GPa"], empty: Comparison
) -> list[Comparison]:
    """All pairs of crystals in the order given; ``empty`` holds what the comparisons share."""
    found = []
    for first, second in itertools.combinations(curves, 2):
        difference = curves[second].minus(curves[first])
        others = [curve for name, curve in curves.items() if name not in (first, second)]
        places = [
            one.model_copy(update={"stable": _lowest(one.value, curves[first], others)})
            for one in crossings(difference)
        ]
        found.append(
            empty.model_copy(
                update={
                    "first": first,
                    "second": second,
                    "x": difference.x.tolist(),
                    "difference_mev_per_atom": (1000 * difference.energy).tolist(),
                    "crossings": places,
                    "answer": _answer(first, second, difference, places, unit),
                    "reason": "" if len(difference.x) > 1 else "no common points to compare",
                }
            )
        )
    return found


def _lowest(x: float, curve: Curve, others: Sequence[Curve]) -> bool:
    """Whether no other curve is lower at ``x``; those that end before are not asked."""
    inside = (one for one in others if one.x.min() <= x <= one.x.max())
    return all(curve.at(x) <= one.at(x) for one in inside)


def _answer(
    first: str, second: str, difference: Curve, places: Sequence[Crossing], unit: str
) -> str:
    if len(difference.x) < 2:
        return ""
    if places:
        return "; ".join(
            f"{one.value:.4g} {unit} ({one.low:g} to {one.high:g}), "
            + " → ".join((first, second) if one.falling else (second, first))
            for one in places
        )
    lower = second if difference.energy.sum() < 0 else first
    gaps = 1000 * np.abs(difference.energy)
    return (
        f"{NONE_IN_RANGE} from {difference.x[0]:g} to {difference.x[-1]:g} {unit}: {lower} is "
        f"lower by {gaps.min():.3g} to {gaps.max():.3g} meV/atom"
    )


# --- enthalpies ---------------------------------------------------------------------------------


class PressurePoint(Record):
    """A crystal relaxed at a pressure, or at a fixed volume where ``pressure_gpa`` is None."""

    pressure_gpa: float | None
    volume_angstrom3_per_atom: float | None = None
    energy_ev_per_atom: float | None = None
    """Without pV."""
    reason: str = ""
    converged: bool = True
    """Whether the relaxation converged."""

    @property
    def enthalpy(self) -> float:
        """E + pV in eV/atom, of a point with a pressure and without a reason."""
        assert self.pressure_gpa is not None
        assert self.energy_ev_per_atom is not None and self.volume_angstrom3_per_atom is not None
        work = self.pressure_gpa * float(GPa) * self.volume_angstrom3_per_atom
        return self.energy_ev_per_atom + work


class Enthalpies(WithRelaxations):
    """Enthalpy of one crystal by one method, twice: relaxed at pressures, and at volumes.

    ``difference_mev_per_atom`` is the largest one between both.
    """

    IN_WORDS = "enthalpies of a crystal"

    structure: str
    method: str
    formula: str
    atoms_per_formula_unit: int
    reason: str = ""
    notes: list[str] = Field(default_factory=list)
    relaxed: list[PressurePoint] = Field(default_factory=list)
    at_volumes: list[PressurePoint] = Field(default_factory=list)
    equation_of_state: EquationOfState | None = None
    difference_mev_per_atom: float | None = None

    @property
    def used(self) -> list[PressurePoint]:
        """Pressures at which the crystal stayed itself."""
        return [one for one in self.relaxed if not one.reason]

    @property
    def at_rest(self) -> float | None:
        """Energy without pressure (eV/atom), where that is among the pressures."""
        found = [one.energy_ev_per_atom for one in self.used if one.pressure_gpa == 0]
        return found[0] if found else None

    def curve(self) -> Curve:
        """H(p) from the relaxations at pressure; its slope is the volume, eV/GPa."""
        return Curve(
            np.array([one.pressure_gpa for one in self.used], dtype=float),
            np.array([one.enthalpy for one in self.used]),
            np.array([one.volume_angstrom3_per_atom for one in self.used], dtype=float) * GPa,
        )

    def curve_of_state(self) -> Curve | None:
        """H(p) from the equation of state, at those of the pressures that its volumes reach."""
        curve = self.by_state()[0] if self.equation_of_state else None
        return curve if curve is not None and len(curve.x) else None

    def by_state(self) -> tuple[Curve, list[str]]:
        """The same with the reasons why pressures are missing."""
        assert self.equation_of_state is not None
        fitted = [one.volume_angstrom3_per_atom or 0.0 for one in self.at_volumes if not one.reason]
        found, missing = [], []
        for one in self.used:
            assert one.pressure_gpa is not None
            try:
                volume, enthalpy = self.equation_of_state.at_pressure(
                    one.pressure_gpa, (min(fitted), max(fitted))
                )
            except UnusablePotential as error:
                missing.append(str(error))
            else:
                found.append((one.pressure_gpa, enthalpy, volume * GPa))
        return Curve(*np.array(found, dtype=float).reshape(-1, 3).T), missing


def no_enthalpies(structure: str, method: str, atoms: "Atoms", reason: str) -> Enthalpies:
    """What stands for enthalpies that cannot be computed."""
    from phonsmith.thermodynamics import formula_unit

    formula, count = formula_unit(atoms)
    return Enthalpies(
        structure=structure,
        method=method,
        formula=formula,
        atoms_per_formula_unit=count,
        reason=reason,
    )


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
    """H(p) of a crystal by a method, which ``name`` stands for; a ``store`` keeps relaxations.

    The crystal climbs the pressures, each relaxation starting from the one before. Where it becomes
    another crystal that pressure is left out and the next one starts from the last crystal that
    was kept: a crystal of high pressures need not exist without. Beside that it is relaxed at
    volumes from those pressures' range, whose energies give an equation of state.

    Raises
    ------
    TryAgain
        A DFT code was short of memory or time.
    """
    from phonsmith.structures import symmetrized

    empty = no_enthalpies(structure, name, atoms, "")
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
            f"enthalpies of relaxations and of the equation of state differ by up to "
            f"{difference:.1f} meV/atom, {settings.tolerance_mev_per_atom:g} are tolerated"
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
    """The crystal under a load, freed of noise; None where it is no longer the one given."""
    from phonsmith.labels.checks import LabelFailed
    from phonsmith.labels.relaxations import relaxed
    from phonsmith.structures import symmetrized

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


# --- the transition by one method ------------------------------------------------------------


class Result(StoredRecord):
    """A transition by one method: all pairs of its crystals in all approximations."""

    IN_WORDS = "a transition"

    transition: str
    driven_by: Literal["temperature", "pressure"]
    method: str
    structures: list[str]
    formula: str
    atoms_per_formula_unit: int
    comparisons: list[Comparison] = Field(default_factory=list)
    left_out: dict[str, str] = Field(default_factory=dict)
    """Crystals that could not be compared, all in all or in one approximation, and why."""
    approximation_of_goal: Approximation = "enthalpy"
    """The one that the loop's goal judges, in every generation."""
    minimum_frequencies_thz: dict[str, float] = Field(default_factory=dict)
    """Lowest phonon frequency of crystals without pressure, where it is known; negative: imaginary.
    """

    @property
    def unit(self) -> Literal["K", "GPa"]:
        """Of the transition."""
        return UNITS[self.driven_by]

    @property
    def lost(self) -> bool:
        """Whether one of the first two crystals is left out of the campaign, for every fit."""
        return any(self.left_out.get(one, "").startswith(LEFT_OUT) for one in self.structures[:2])

    def of_goal(self) -> tuple[float | None, str]:
        """The first stable crossing of the first two crystals, or why there is none."""
        first, second = self.structures[:2]
        wanted = first, second, self.approximation_of_goal
        for one in self.comparisons:
            if (one.first, one.second, one.approximation) == wanted and one.temperature_k is None:
                stable = [place.value for place in one.crossings if place.stable]
                if stable:
                    return stable[0], ""
                lower = "; another crystal is lower there" if one.crossings else ""
                return None, one.reason or one.answer + lower
        asked = [one for one in (first, second) if one in self.left_out] or list(self.left_out)
        why = [f"{name}: {self.left_out[name]}" for name in asked]
        return None, "; ".join(why) or "not compared"


UNITS: dict[Literal["temperature", "pressure"], Literal["K", "GPa"]] = {
    "temperature": "K",
    "pressure": "GPa",
}


def _same_formula(
    transition: str, found: Sequence["Enthalpies | ThermodynamicsResult"]
) -> tuple[str, int]:
    formulas = {one.structure: one.formula for one in found}
    if len(set(formulas.values())) > 1:
        told = ", ".join(f"{name} {formula}" for name, formula in formulas.items())
        raise PhonsmithError(
            f"transitions.{transition}.structures: crystals of one composition can be compared "
            f"only, these are {told}"
        )
    return found[0].formula, found[0].atoms_per_formula_unit


def temperature_transition(
    transition: str,
    settings: TemperatureTransition,
    found: Sequence["ThermodynamicsResult"],
    *,
    refuse_imaginary: bool,
) -> Result:
    """Crossings of free energies, harmonic (without pressure) and quasi-harmonic.

    Imaginary modes count for nothing in a free energy (phonopy leaves them out): such a crystal is
    refused, or compared with the share that is left out in the notes. Quasi-harmonic energies come
    from volumes that were judged already.

    Raises
    ------
    PhonsmithError
        The crystals differ in composition.
    """
    formula, count = _same_formula(transition, found)
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
    return Result(
        transition=transition,
        driven_by="temperature",
        method=found[0].method,
        structures=settings.structures,
        formula=formula,
        atoms_per_formula_unit=count,
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
            told = (
                f"{one.structure}: {100 * harmonic.imaginary_share:.2g} % of its modes are "
                f"imaginary (down to {harmonic.minimum_frequency_thz:.2f} THz)"
            )
            if refuse_imaginary:
                _leave_out(lost, one, f"harmonic: {told.partition(': ')[2]}")
                continue
            notes[one.structure] = f"{told} and left out of its free energy"
        static[one.structure] = harmonic.energy_ev_per_atom
        curves[one.structure] = Curve(
            np.array(harmonic.temperature_k),
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
    told = [notes[name] for name in (one.first, one.second) if name in notes]
    return one.model_copy(update={"static_mev_per_atom": difference, "notes": told})


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
            np.array(state.temperature_k), np.array(state.gibbs_ev_per_atom)
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
    """Crossings of enthalpies, by relaxation and by equation of state, and of Gibbs energies.

    An enthalpy says nothing of dynamical stability: where the lowest phonon frequency of a crystal
    without pressure is known to be below minus the tolerance, that is noted beside.

    Raises
    ------
    PhonsmithError
        The crystals differ in composition.
    """
    formula, count = _same_formula(transition, found)
    static = {one.structure: one.at_rest for one in found if one.at_rest is not None}
    lowest = minimum_frequencies_thz or {}
    unstable = {
        name: f"imaginary modes at zero pressure, down to {frequency:.2f} THz"
        for name, frequency in lowest.items()
        if frequency < -tolerance_thz
    }
    told = {one.structure: [*one.notes, *_of(unstable, one.structure)] for one in found}
    notes = {name: f"{name}: {'; '.join(words)}" for name, words in told.items() if words}
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
    return Result(
        transition=transition,
        driven_by="pressure",
        method=found[0].method,
        structures=settings.structures,
        formula=formula,
        atoms_per_formula_unit=count,
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
            near = np.isclose(state.temperature_k, temperature)
            if near.any():
                at = int(np.argmax(near))
                volume = state.volume_angstrom3_per_atom[at]
                points.append((state.pressure_gpa, state.gibbs_ev_per_atom[at], volume * GPa))
        told = [*one.notes, *_of(unstable, one.structure)]
        if told:
            notes[one.structure] = f"{one.structure}: {'; '.join(told)}"
        if len(points) > 1:
            static |= _static(one)
            curves[one.structure] = Curve(*np.array(sorted(points)).T)
        elif not one.reason:
            why = f"reached at {len(points)} pressures, two are needed"
            why += "".join(f"; {note}" for note in one.notes)
            _leave_out(lost, one, f"Gibbs energies at {temperature:g} K: {why}")
    empty = Comparison(
        first="", second="", approximation="quasi-harmonic", temperature_k=temperature
    )
    return [_with_static(one, static, notes) for one in comparisons(curves, "GPa", empty)]
