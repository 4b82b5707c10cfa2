"""Results of phase transitions."""

from typing import Literal

import numpy as np
from ase.units import GPa
from pydantic import Field

from phonsmith.files.errors import UnusablePotential
from phonsmith.files.json_records import Record, StoredRecord
from phonsmith.structures.verdicts import LEFT_OUT
from phonsmith.thermodynamics.equations_of_state import EquationOfState
from phonsmith.thermodynamics.results import CrystalResult
from phonsmith.transitions.curves import Crossing, Curve

Approximation = Literal["harmonic", "quasi-harmonic", "enthalpy", "equation-of-state"]

NONE_IN_RANGE = "none in range"

BEYOND = 0.04
"""Volumes for the equation of state reach this much beyond those of the relaxed crystals."""


class Comparison(Record):
    """Two crystals in one approximation: ``second`` minus ``first``, meV/atom.

    ``x`` is in kelvin or GPa, depending on the driving variable. The answer is "none in range"
    without a crossing, with the crystal of lower energy; ``reason`` explains why crystals could not
    be compared at all.
    """

    first: str
    second: str
    approximation: Approximation
    pressure_gpa: float | None = None
    temperature_kelvin: float | None = None
    static_mev_per_atom: float | None = None
    """Difference of the energies at rest, without vibrations."""
    x: list[float] = Field(default_factory=list)
    difference_mev_per_atom: list[float] = Field(default_factory=list)
    crossings: list[Crossing] = Field(default_factory=list)
    answer: str = ""
    reason: str = ""
    notes: list[str] = Field(default_factory=list)


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


class Enthalpies(CrystalResult):
    """Enthalpy of one crystal by one method, twice: relaxed at pressures, and at volumes.

    ``difference_mev_per_atom`` is the largest one between both.
    """

    IN_WORDS = "enthalpies of a crystal"

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
        """Return H(p) from the equation of state, at the pressures that its volumes reach."""
        curve = self.by_state()[0] if self.equation_of_state else None
        return curve if curve is not None and len(curve.x) else None

    def by_state(self) -> tuple[Curve, list[str]]:
        """Return H(p) from the equation of state, and the reasons why pressures are missing."""
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
        """Return the first stable crossing of the first two crystals, or why there is none."""
        first, second = self.structures[:2]
        wanted = first, second, self.approximation_of_goal
        for one in self.comparisons:
            if (
                one.first,
                one.second,
                one.approximation,
            ) == wanted and one.temperature_kelvin is None:
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
