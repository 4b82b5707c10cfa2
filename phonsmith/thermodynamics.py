"""Thermodynamics of a crystal by one method, be it the reference or a fit.

The crystal is relaxed at several volumes around its own minimum, with the volume held, and has its
phonons at each of them. From these come the equation of state without vibrations, the harmonic free
energy at the minimum, and the quasi-harmonic Gibbs energy at pressures (phonopy's ``run_qha``).

Everything is per atom; ``atoms_per_formula_unit`` takes it to formula units. Free energies of
vibrations hold the zero-point energy. Energies of different methods have different zeros: compare
structures within one method, never methods.
"""

import itertools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.units import GPa, kJ, mol
from numpy.typing import NDArray
from pydantic import Field

from phonsmith.applications import Thermodynamics
from phonsmith.equations_of_state import (
    FORMS,
    EquationOfState,
    fit_equation_of_state,
)
from phonsmith.errors import MissingLabels, NotRelaxed, PhonsmithError, UnusablePotential
from phonsmith.labels.checks import LabelFailed
from phonsmith.records import Record
from phonsmith.relaxation import Load, compare
from phonsmith.settings import LEAST_VOLUMES, Displaced, Labels, Relaxation
from phonsmith.structures import at_volume
from phonsmith.verdicts import WithRelaxations

if TYPE_CHECKING:
    from ase import Atoms
    from phonopy import Phonopy

    from phonsmith.labels import LabelStore, ReferenceMethod

_KJ_PER_MOL = kJ / mol  # in eV

STEPS_OF_WIDENING = 2
"""Volumes that are added at an end where the volume at equilibrium is not bracketed."""


# --- what comes out -------------------------------------------------------------------------


class VolumePoint(Record):
    """One volume: energy without vibrations, and how stable its phonons are.

    ``imaginary_share`` is the share of modes below minus the tolerance. ``reason`` says why a
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
    temperature_k: list[float]
    free_energy_ev_per_atom: list[float]
    """Of the vibrations alone."""
    entropy_j_per_mol_k: list[float]
    """Per mole of atoms, as the heat capacity."""
    heat_capacity_v_j_per_mol_k: list[float]


class QuasiHarmonic(Record):
    """Equilibrium at one pressure; one number for each temperature up to the last bracketed one."""

    pressure_gpa: float
    temperature_k: list[float]
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


class Result(WithRelaxations):
    """Thermodynamics of one structure by one method, or the reason why there is none."""

    IN_WORDS = "thermodynamics of a crystal"

    structure: str
    method: str
    formula: str
    atoms_per_formula_unit: int
    reason: str = ""
    notes: list[str] = Field(default_factory=list)
    volumes: list[VolumePoint] = Field(default_factory=list)
    equations_of_state: list[EquationOfState] = Field(default_factory=list)
    harmonic: Harmonic | None = None
    quasi_harmonic: list[QuasiHarmonic] = Field(default_factory=list)
    lost_pressures: list[LostPressure] = Field(default_factory=list)

    def at_pressure(self, pressure_gpa: float) -> QuasiHarmonic | None:
        """The equilibrium at this very pressure, if there is any."""
        found = (one for one in self.quasi_harmonic if one.pressure_gpa == pressure_gpa)
        return next(found, None)

    def why_not(self, pressure_gpa: float) -> str:
        """Why there is no equilibrium at this pressure."""
        found = (one.reason for one in self.lost_pressures if one.pressure_gpa == pressure_gpa)
        return next(found, "") or self.reason or "not computed"

    def equation_of_state(self, form: str) -> EquationOfState | None:
        """The equation of state of this form, if it could be fitted."""
        return next((one for one in self.equations_of_state if one.form == form), None)


# --- how it is computed ---------------------------------------------------------------------


@dataclass
class Crystal:
    """A crystal and what computes it: the method, its supercell, and what keeps its results.

    ``template`` has supercell, primitive cell, masses and non-analytical correction of the
    reference phonons.
    """

    structure: str
    atoms: "Atoms"
    template: "Phonopy"
    method: "ReferenceMethod"
    relaxation: Relaxation
    displaced: Displaced
    labels: Labels
    store: "LabelStore | None" = None
    cores: int = 1
    attempt: int = 1

    def at_rest(self) -> "Atoms":
        """The crystal as the method relaxes it without pressure.

        Raises
        ------
        NotRelaxed
            It does not relax.
        UnusablePotential
            It becomes another crystal.
        """
        return self._relaxed(self.atoms, Load())[0]

    def at_volume(self, atoms: "Atoms", volume: float) -> tuple["Atoms", float]:
        """The crystal relaxed at a volume of its cell (Å³), and its energy (eV).

        Raises
        ------
        NotRelaxed
            It does not relax.
        UnusablePotential
            It becomes another crystal.
        """
        return self._relaxed(at_volume(atoms, volume), Load(fixed_volume=True))

    def _relaxed(self, atoms: "Atoms", load: Load) -> tuple["Atoms", float]:
        from phonsmith.labels.relaxations import relaxed
        from phonsmith.structures import symmetrized

        try:
            found = relaxed(atoms, self.method, self.relaxation, load, self.store)
        except LabelFailed as failed:
            if failed.wants:
                raise failed.for_good(self.structure) from failed
            raise UnusablePotential(f"{self.structure}: {failed}") from failed
        verdict = compare(atoms, found, self.relaxation)
        if verdict.reason:
            kind = UnusablePotential if verdict.converged else NotRelaxed
            raise kind(f"{self.structure}: {verdict.reason}")
        if found.energy_ev is None:
            raise UnusablePotential(f"{self.structure}: the method gives no energy")
        return symmetrized(found.atoms, self.relaxation.symprec_angstrom), found.energy_ev

    def phonons(self, atoms: "Atoms") -> "Phonopy":
        """Phonons of the crystal in a cell, under the conditions of the template.

        Raises
        ------
        MissingLabels
            A displaced cell could not be labelled.
        TryAgain
            It lacked memory or time, which another try of the job has more of.
        """
        from phonsmith.labels import ask_for_more, label_cells
        from phonsmith.phonons import phonons_like

        def forces(cells: Sequence["Atoms"]) -> list[NDArray[np.float64]]:
            from phonsmith.extxyz import FORCES

            named = [
                _named(cell, self.structure, index, len(self.template.supercell))
                for index, cell in enumerate(cells)
            ]
            frames, failures = label_cells(named, self.method, self.labels, self.store, self.cores)
            ask_for_more(failures, self.attempt)
            if failures:
                raise MissingLabels(f"{self.structure}: {failures[0].reason}")
            return [frame.arrays[FORCES] for frame in frames]

        return phonons_like(self.template, atoms, self.displaced, forces)


@dataclass
class RecordedCrystal:
    """A crystal whose energies and phonons at several volumes were computed by others.

    In the place of :class:`Crystal`: what is asked of it is looked up, and nothing is computed.

    Attributes
    ----------
    structure
        Its id.
    recorded
        Phonons with forces or force constants, one for each volume, of like unit cells.
    energies_ev
        Energies of these unit cells without vibrations, in eV.
    """

    structure: str
    recorded: Sequence["Phonopy"]
    energies_ev: Sequence[float]

    def __post_init__(self) -> None:
        """Raise a PhonsmithError where the two do not belong together."""
        if len(self.recorded) != len(self.energies_ev):
            raise PhonsmithError(
                f"{self.structure}: {len(self.recorded)} phonons but {len(self.energies_ev)} "
                "energies; each volume needs both"
            )
        numbers = [phonon.unitcell.numbers for phonon in self.recorded]
        if any(not np.array_equal(one, numbers[0]) for one in numbers):
            raise PhonsmithError(
                f"{self.structure}: the unit cells at the volumes differ in their atoms"
            )

    @property
    def volumes(self) -> list[float]:
        """Volumes of the unit cell in Å³."""
        return [float(phonon.unitcell.volume) for phonon in self.recorded]

    @property
    def template(self) -> "Phonopy":
        """The phonons at the lowest energy."""
        return self.recorded[int(np.argmin(self.energies_ev))]

    @property
    def atoms(self) -> "Atoms":
        """The crystal at the lowest energy."""
        return self.at_rest()

    def at_rest(self) -> "Atoms":
        """The crystal at the lowest energy that was recorded."""
        from phonsmith.supercells import to_ase

        return to_ase(self.template.unitcell)

    def at_volume(self, atoms: "Atoms", volume: float) -> tuple["Atoms", float]:
        """The recorded crystal nearest to a volume of its cell (Å³), and its energy (eV)."""
        from phonsmith.supercells import to_ase

        index = int(np.argmin(np.abs(np.array(self.volumes) - volume)))
        return to_ase(self.recorded[index].unitcell), float(self.energies_ev[index])

    def phonons(self, atoms: "Atoms") -> "Phonopy":
        """The recorded phonons of the crystal in this cell."""
        index = int(np.argmin(np.abs(np.array(self.volumes) - atoms.get_volume())))
        return self.recorded[index]


def _named(cell: "Atoms", structure: str, index: int, atoms: int) -> "Atoms":
    cell.info = {"structure": structure, "kind": "displaced", "generation": 0, "index": index}
    return cell


@dataclass
class _Point:
    """A volume of the cell (Å³) with its crystal, energy (eV per cell) and phonons."""

    volume: float
    atoms: "Atoms"
    energy: float
    phonon: Any = None
    minimum: float | None = None
    share: float | None = None
    reason: str = ""


@dataclass
class _Curve:
    """Points in the order of their volumes, widened at either end on demand."""

    crystal: Crystal | RecordedCrystal
    settings: Thermodynamics
    tolerance_thz: float
    mesh: Sequence[int]
    points: list[_Point] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    rest: float = 0.0
    converged: bool = True

    @property
    def used(self) -> list[_Point]:
        return [one for one in self.points if not one.reason]

    def begin(self) -> None:
        """The crystal at rest, and the first volumes around it."""
        atoms = self.crystal.at_rest()
        self.rest = atoms.get_volume()
        if isinstance(self.crystal, RecordedCrystal):
            for volume in self.crystal.volumes:
                self._add(volume, atoms)
            return
        low, high = (percent / 100 for percent in self.settings.first_volumes_percent)
        factors = np.linspace(1 + low, 1 + high, self.settings.volumes)
        self.step = float(factors[1] - factors[0])
        near = int(np.argmin(np.abs(factors - 1)))
        for index in [*range(near, len(factors)), *range(near - 1, -1, -1)]:
            neighbour = self.nearest(factors[index] * self.rest, atoms)
            self._add(factors[index] * self.rest, neighbour)

    def nearest(self, volume: float, otherwise: "Atoms | None") -> "Atoms | None":
        """The crystal of the volume in use that is nearest to one (Å³ per cell)."""
        if not self.used:
            return otherwise
        return min(self.used, key=lambda one: abs(one.volume - volume)).atoms

    def widen(self, upwards: bool) -> bool:
        """Add volumes at one end; whether one of them can be used."""
        if isinstance(self.crystal, RecordedCrystal):
            return False
        end = self.points[-1 if upwards else 0].volume / self.rest
        added = False
        for number in range(1, STEPS_OF_WIDENING + 1):
            factor = end + (number if upwards else -number) * self.step
            if abs(factor - 1) > self.settings.largest_volume_change_percent / 100 + 1e-9:
                break
            point = self._add(factor * self.rest, self.nearest(factor * self.rest, None))
            added = added or not point.reason
        return added

    def _add(self, volume: float, start: Any) -> _Point:
        point = _Point(volume, start, float("nan"))
        try:
            point.atoms, point.energy = self.crystal.at_volume(start, volume)
            if self.settings.quasi_harmonic:
                self._vibrate(point)
        except (UnusablePotential, MissingLabels) as error:
            self.converged = self.converged and not isinstance(error, NotRelaxed)
            point.reason = str(error)
            self.notes.append(f"{self._per_atom(volume)}: {error}")
        self.points.append(point)
        self.points.sort(key=lambda one: one.volume)
        return point

    def _vibrate(self, point: _Point) -> None:
        point.phonon = self.crystal.phonons(point.atoms)
        point.minimum, point.share = stability(point.phonon, self.mesh, self.tolerance_thz)
        told = (
            f"{100 * point.share:.2g} % of its modes are imaginary, down to {point.minimum:.2f} THz"
        )
        if point.share and self.settings.imaginary != "report":
            point.reason = told
            return
        if point.share:
            self.notes.append(f"{self._per_atom(point.volume)}: {told}; the free energy lacks them")
        self.tell_within_tolerance(point.phonon, point.volume)

    def tell_within_tolerance(self, phonon: "Phonopy", volume: float) -> None:
        """Note the modes that phonopy leaves out without their counting as imaginary."""
        share = share_within_tolerance(phonon, self.tolerance_thz)
        if share:
            self.notes.append(
                f"{self._per_atom(volume)}: {100 * share:.2g} % of the modes are between "
                f"-{self.tolerance_thz:g} and 0 THz; the free energy lacks them"
            )

    def _per_atom(self, volume: float) -> str:
        return f"{volume / len(self.crystal.atoms):.3f} Å³ per atom"


def thermodynamics(
    crystal: Crystal | RecordedCrystal,
    settings: Thermodynamics,
    *,
    method: str,
    tolerance_thz: float,
) -> Result:
    """Equation of state, harmonic and quasi-harmonic free energies of a crystal by one method.

    Of a recorded crystal the volumes are those of the record, and the harmonic properties are
    those at its lowest energy. Else volumes are added until the volume at equilibrium at the
    highest temperature and at all pressures lies between the outermost ones, or until the largest
    change of volume is reached: then the notes say up to which temperature it does.
    """
    empty = no_result(crystal.structure, method, crystal.atoms, "")
    mesh = odd_mesh(crystal.template, settings.mesh_length_angstrom)
    curve = _Curve(crystal, settings, tolerance_thz, mesh)
    try:
        curve.begin()
        if settings.imaginary == "stop":
            _require_stable(curve)
        harmonic = _harmonic(crystal, curve, settings)
        quasi_harmonic: list[QuasiHarmonic] = []
        lost: list[LostPressure] = []
        if settings.quasi_harmonic:
            quasi_harmonic, lost = _quasi_harmonic(curve, settings)
            for reason, pressures in itertools.groupby(lost, key=lambda one: one.reason):
                where = ", ".join(f"{one.pressure_gpa:g}" for one in pressures)
                curve.notes.append(f"{where} GPa: {reason}")
        else:
            _bracket_rest(curve)
        if settings.imaginary == "stop":  # the volumes added since, and the minimum itself
            _require_stable(curve, harmonic)
    except (UnusablePotential, MissingLabels) as error:
        converged = curve.converged and not isinstance(error, NotRelaxed)
        reason = {"reason": str(error), "volumes": _volumes(curve), "converged": converged}
        return empty.model_copy(update=reason)
    states = []
    for form in FORMS:
        try:
            states.append(_equation_of_state(curve.points, form))
        except UnusablePotential as error:
            curve.notes.append(f"{form}: {error}")
    return empty.model_copy(
        update={
            "notes": curve.notes,
            "volumes": _volumes(curve),
            "equations_of_state": states,
            "harmonic": harmonic,
            "quasi_harmonic": quasi_harmonic,
            "lost_pressures": lost,
            "converged": curve.converged,
        }
    )


def no_result(structure: str, method: str, atoms: "Atoms", reason: str) -> Result:
    """What stands for a structure without results: the reason why."""
    formula, count = formula_unit(atoms)
    return Result(
        structure=structure,
        method=method,
        formula=formula,
        atoms_per_formula_unit=count,
        reason=reason,
    )


def formula_unit(atoms: "Atoms") -> tuple[str, int]:
    """Reduced formula of a crystal, and how many atoms it has."""
    formula, units = atoms.symbols.formula.reduce()
    return f"{formula:metal}", len(atoms) // units


def odd_mesh(phonon: "Phonopy", length_angstrom: float) -> list[int]:
    """Odd numbers of q points, for a length that stands for a density: Γ is one of them."""
    from phonopy.phonon.grid import length2mesh

    numbers = length2mesh(length_angstrom, phonon.primitive.cell)
    return [int(number) | 1 for number in numbers]


def stability(phonon: "Phonopy", mesh: Sequence[int], tolerance_thz: float) -> tuple[float, float]:
    """Lowest frequency on a mesh (THz), and the share of modes below minus the tolerance."""
    found = phonon.run_mesh(mesh)
    weights = np.asarray(found.weights, dtype=float)[:, None]
    imaginary = found.frequencies < -tolerance_thz
    share = float((imaginary * weights).sum() / (weights.sum() * imaginary.shape[1]))
    return float(found.frequencies.min()), share


def share_within_tolerance(phonon: "Phonopy", tolerance_thz: float) -> float:
    """Share of modes of the last mesh that are below zero, but not below minus the tolerance.

    phonopy leaves them out of free energies, too. The acoustic modes at Γ do not count: they are
    zero but for noise of either sign.
    """
    from phonopy.phonon.thermal_properties import gamma_acoustic_bands

    mesh = phonon.mesh
    left_out = (mesh.frequencies <= 0) & (mesh.frequencies >= -tolerance_thz)
    gamma, bands = gamma_acoustic_bands(mesh)
    if gamma is not None:
        left_out[gamma, bands] = False
    weights = np.asarray(mesh.weights, dtype=float)[:, None]
    return float((left_out * weights).sum() / (weights.sum() * left_out.shape[1]))


def _volumes(curve: _Curve) -> list[VolumePoint]:
    atoms = len(curve.crystal.atoms)
    return [
        VolumePoint(
            volume_angstrom3_per_atom=one.volume / atoms,
            energy_ev_per_atom=one.energy / atoms,
            minimum_frequency_thz=one.minimum,
            imaginary_share=one.share,
            reason=one.reason,
        )
        for one in curve.points
        if np.isfinite(one.energy)
    ]


def _equation_of_state(points: Sequence[_Point], form: Any) -> EquationOfState:
    good = [one for one in points if np.isfinite(one.energy)]
    atoms = len(good[0].atoms) if good else 1
    return fit_equation_of_state(
        [one.volume / atoms for one in good], [one.energy / atoms for one in good], form
    )


def _require_stable(curve: _Curve, harmonic: Harmonic | None = None) -> None:
    if harmonic and harmonic.imaginary_share:
        raise UnusablePotential(
            f"imaginary modes at the minimum of the energy: {100 * harmonic.imaginary_share:.2g} % "
            f"of its modes, down to {harmonic.minimum_frequency_thz:.2f} THz"
        )
    for one in curve.points:
        if one.share:
            raise UnusablePotential(
                f"imaginary modes at {one.volume / len(one.atoms):.3f} Å³ per atom: {one.reason}"
            )


def _bracket_rest(curve: _Curve) -> None:
    """Widen until the minimum of the energy is bracketed."""
    while True:
        good = [one for one in curve.points if np.isfinite(one.energy)]
        lowest = min(good, key=lambda one: one.energy)
        if good[0] is not lowest is not good[-1]:
            return
        if not curve.widen(upwards=lowest is good[-1]):
            return


# --- vibrations -----------------------------------------------------------------------------


def _temperatures(settings: Thermodynamics) -> NDArray[np.float64]:
    step = settings.temperature_step_kelvin
    return np.asarray(np.arange(0, settings.max_temperature_kelvin + 1e-6 * step, step))


def _harmonic(
    crystal: Crystal | RecordedCrystal, curve: _Curve, settings: Thermodynamics
) -> Harmonic:
    """Vibrations in the cell at rest."""
    start = curve.nearest(curve.rest, None)
    if start is None:
        raise UnusablePotential(curve.points[0].reason)
    atoms, energy = crystal.at_volume(start, curve.rest)
    phonon = crystal.phonons(atoms)
    minimum, share = stability(phonon, curve.mesh, curve.tolerance_thz)
    curve.tell_within_tolerance(phonon, curve.rest)
    temperatures = _temperatures(settings)
    found = phonon.run_thermal_properties(temperatures=temperatures, exclude_gamma_acoustic=True)
    per_atom = 1 / len(phonon.primitive)
    return Harmonic(
        volume_angstrom3_per_atom=curve.rest / len(atoms),
        energy_ev_per_atom=energy / len(atoms),
        minimum_frequency_thz=minimum,
        imaginary_share=share,
        temperature_k=temperatures.tolist(),
        free_energy_ev_per_atom=_list(found.free_energy * _KJ_PER_MOL * per_atom),
        entropy_j_per_mol_k=_list(found.entropy * per_atom),
        heat_capacity_v_j_per_mol_k=_list(found.heat_capacity * per_atom),
    )


def _quasi_harmonic(
    curve: _Curve, settings: Thermodynamics
) -> tuple[list[QuasiHarmonic], list[LostPressure]]:
    """Equilibrium at all pressures, and those without; widens the volumes until all have one."""
    atoms = len(curve.crystal.atoms)
    while True:
        found, failed = {}, {}
        for pressure in settings.pressures_gpa:
            try:
                found[pressure] = _at_pressure(curve, settings, pressure)
            except UnusablePotential as error:
                failed[pressure] = str(error)
        if len(curve.used) < LEAST_VOLUMES:
            break
        low, high = (curve.used[end].volume for end in (0, -1))
        ends = [_lowest_end(curve, pressure) for pressure in failed]
        above = 1 in ends or any(np.any(volumes * atoms >= high) for volumes, _ in found.values())
        below = -1 in ends or any(np.any(volumes * atoms <= low) for volumes, _ in found.values())
        wider = (above and curve.widen(upwards=True)) or (below and curve.widen(upwards=False))
        if not wider:
            break
    results = []
    for pressure, (volumes, make) in found.items():
        inside = (volumes * atoms > low) & (volumes * atoms < high)
        last = int(np.argmin(inside)) if not inside.all() else len(inside)
        if last < len(inside):
            what, how = "volume at equilibrium", "bracketed"
            if not np.isfinite(volumes[last]):
                what, how = "free energy", "fitted"
            if last:
                reached = f"up to {_temperatures(settings)[last - 1]:g} K only"
                curve.notes.append(f"{pressure:g} GPa: the {what} is {how} {reached}")
            else:
                failed[pressure] = f"the {what} is not {how}"
        if last:
            results.append(make(last))
    lost = [
        LostPressure(pressure_gpa=pressure, reason=failed[pressure])
        for pressure in settings.pressures_gpa
        if pressure in failed
    ]
    return results, lost


def _lowest_end(curve: _Curve, pressure: float) -> int:
    """At which end of the volumes E + pV is lowest: -1 below, 1 above, 0 at neither."""
    enthalpies = [one.energy + pressure * GPa * one.volume for one in curve.used]
    return {0: -1, len(enthalpies) - 1: 1}.get(int(np.argmin(enthalpies)), 0)


def _at_pressure(
    curve: _Curve, settings: Thermodynamics, pressure: float
) -> tuple[NDArray[np.float64], Any]:
    """Volumes at equilibrium (Å³ per atom), and a function that gives the first so many results.

    Volumes are NaN from the first temperature on at which phonopy finds no fit: it leaves such ones
    out, and takes its derivatives across the gap.
    """
    from phonopy import run_qha

    points = curve.used
    if len(points) < LEAST_VOLUMES:
        reasons = [one.reason for one in curve.points if one.reason]
        raise UnusablePotential(
            f"{len(points)} volumes are left, {LEAST_VOLUMES} are needed"
            + (f": {reasons[0]}" if reasons else "")
        )
    temperatures = _temperatures(settings)
    step = temperatures[1] - temperatures[0]
    atoms = len(points[0].phonon.primitive)
    per_cell = len(points[0].atoms) / atoms
    try:
        with warnings.catch_warnings():
            # temperatures without a fit: told once, as the volumes below
            warnings.filterwarnings("ignore", "EOS fitting failed", UserWarning)
            found = run_qha(
                [one.phonon for one in points],
                # the derivatives take one temperature more
                [*temperatures, temperatures[-1] + step],
                [one.energy / per_cell for one in points],
                mesh=curve.mesh,
                pressure=pressure,
                eos=settings.equation_of_state.replace("-", "_"),
                exclude_gamma_acoustic=True,
            )
    except (RuntimeError, ValueError) as error:
        raise UnusablePotential(f"quasi-harmonic approximation: {error}") from error
    cv = [0.0] + [
        float(np.polyval(coefficients, volume))
        for coefficients, volume in zip(
            found.heat_capacity_P.volume_cv_parameters, found.equilibrium_volumes[1:], strict=True
        )
    ]
    in_joule = 1000 / _KJ_PER_MOL / atoms

    def first(count: int) -> QuasiHarmonic:
        def part(values: Any, factor: float = 1.0) -> list[float]:
            return _list(np.asarray(values)[:count] * factor)

        return QuasiHarmonic(
            pressure_gpa=pressure,
            temperature_k=part(found.temperatures),
            gibbs_ev_per_atom=part(found.gibbs_free_energies, 1 / atoms),
            volume_angstrom3_per_atom=part(found.equilibrium_volumes, 1 / atoms),
            thermal_expansion_per_k=part(found.thermal_expansion),
            bulk_modulus_gpa=part(found.bulk_moduli, 1 / GPa),
            entropy_j_per_mol_k=part(found.entropy_temperature, in_joule),
            heat_capacity_p_j_per_mol_k=part(found.heat_capacity_P.heat_capacities, in_joule),
            heat_capacity_v_j_per_mol_k=part(cv, in_joule),
            grueneisen=part(found.gruneisen_parameters),
        )

    there = np.isin(temperatures, found.temperatures)
    whole = len(there) if there.all() else max(int(np.argmin(there)) - 1, 0)
    volumes = np.full(len(temperatures), np.nan)
    volumes[:whole] = np.asarray(found.equilibrium_volumes)[:whole] / atoms
    return volumes, first


def _list(values: Any) -> list[float]:
    return [float(value) for value in np.asarray(values)]


def at_lowest_pressure(one: Result) -> QuasiHarmonic | None:
    """The equilibrium at the pressure nearest to zero, if there is any."""
    return min(one.quasi_harmonic, key=lambda part: abs(part.pressure_gpa), default=None)
