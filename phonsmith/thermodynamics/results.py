"""Results of thermodynamics."""

from typing import TYPE_CHECKING, Self

from pydantic import Field

from phonsmith.files.json_records import Record
from phonsmith.structures.verdicts import WithRelaxations
from phonsmith.thermodynamics.equations_of_state import EquationOfState

if TYPE_CHECKING:
    from ase import Atoms


class VolumePoint(Record):
    """One volume: energy without vibrations, and how stable its phonons are.

    ``imaginary_share`` is the share of modes below minus the tolerance. ``reason`` explains why a
    volume is not used, and is empty where it is.
    """

    volume_angstrom3_per_atom: float
    energy_ev_per_atom: float
    minimum_frequency_thz: float | None = None
    imaginary_share: float | None = None
    reason: str = ""


class Harmonic(Record):
    """Vibrations at the minimum of the energy; one number for each temperature.

    Without the imaginary modes, whose share is stated.
    """

    volume_angstrom3_per_atom: float
    energy_ev_per_atom: float
    minimum_frequency_thz: float
    imaginary_share: float
    temperature_kelvin: list[float]
    free_energy_ev_per_atom: list[float]
    """Of the vibrations alone."""
    entropy_j_per_mol_k: list[float]
    """Per mole of atoms, as the heat capacity."""
    heat_capacity_v_j_per_mol_k: list[float]


class QuasiHarmonic(Record):
    """Equilibrium at one pressure; one number for each temperature up to the last bracketed one."""

    pressure_gpa: float
    temperature_kelvin: list[float]
    gibbs_ev_per_atom: list[float]
    """E + F(vibrations) + pV."""

    volume_angstrom3_per_atom: list[float]
    thermal_expansion_per_k: list[float]
    """Of the volume; that of lengths of a cubic crystal is a third."""
    bulk_modulus_gpa: list[float]
    """Isothermal."""
    entropy_j_per_mol_k: list[float]
    heat_capacity_p_j_per_mol_k: list[float]
    heat_capacity_v_j_per_mol_k: list[float]
    grueneisen: list[float]


class LostPressure(Record):
    """A pressure without a quasi-harmonic equilibrium, and why."""

    pressure_gpa: float
    reason: str


class CrystalResult(WithRelaxations):
    """Base of results on one crystal by one method, or the reason why there are none."""

    structure: str
    method: str
    formula: str
    atoms_per_formula_unit: int
    reason: str = ""
    notes: list[str] = Field(default_factory=list)

    @classmethod
    def without(cls, structure: str, method: str, atoms: "Atoms", reason: str) -> Self:
        """Build the result for a crystal without energies.

        Parameters
        ----------
        structure
            Id of the structure.
        method
            Name of the method.
        atoms
            Unit cell.
        reason
            Reason in words.
        """
        formula, units = atoms.symbols.formula.reduce()
        return cls(
            structure=structure,
            method=method,
            formula=f"{formula:metal}",
            atoms_per_formula_unit=len(atoms) // units,
            reason=reason,
        )


class Result(CrystalResult):
    """Thermodynamics of one structure by one method."""

    IN_WORDS = "thermodynamics of a crystal"

    volumes: list[VolumePoint] = Field(default_factory=list)
    equations_of_state: list[EquationOfState] = Field(default_factory=list)
    harmonic: Harmonic | None = None
    quasi_harmonic: list[QuasiHarmonic] = Field(default_factory=list)
    lost_pressures: list[LostPressure] = Field(default_factory=list)

    def at_pressure(self, pressure_gpa: float) -> QuasiHarmonic | None:
        """Return the equilibrium at this very pressure, if there is any."""
        found = (one for one in self.quasi_harmonic if one.pressure_gpa == pressure_gpa)
        return next(found, None)

    def why_not(self, pressure_gpa: float) -> str:
        """Return why there is no equilibrium at this pressure."""
        found = (one.reason for one in self.lost_pressures if one.pressure_gpa == pressure_gpa)
        return next(found, "") or self.reason or "not computed"

    def equation_of_state(self, form: str) -> EquationOfState | None:
        """Return the equation of state of this form, if it could be fitted."""
        return next((one for one in self.equations_of_state if one.form == form), None)


def at_lowest_pressure(one: Result) -> QuasiHarmonic | None:
    """Return the equilibrium at the pressure nearest to zero, if there is any."""
    return min(one.quasi_harmonic, key=lambda part: abs(part.pressure_gpa), default=None)
