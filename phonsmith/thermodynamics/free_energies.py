"""Thermodynamics of a crystal by one method, be it the reference or a fit."""

import itertools
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.units import GPa, kJ, mol
from numpy.typing import NDArray

from phonsmith.files.errors import MissingLabels, NotRelaxed, UnusablePotential
from phonsmith.structures.settings import LEAST_VOLUMES
from phonsmith.thermodynamics.crystals import Crystal, PointOfCurve, RecordedCrystal
from phonsmith.thermodynamics.equations_of_state import (
    FORMS,
    EquationOfState,
    fit_equation_of_state,
)
from phonsmith.thermodynamics.results import (
    Harmonic,
    LostPressure,
    QuasiHarmonic,
    Result,
    VolumePoint,
)
from phonsmith.thermodynamics.settings import Thermodynamics

if TYPE_CHECKING:
    from ase import Atoms
    from phonopy import Phonopy


_KJ_PER_MOL = kJ / mol  # in eV

STEPS_OF_WIDENING = 2
"""Volumes that are added at an end where the volume at equilibrium is not bracketed."""


@dataclass
class _Curve:
    """Points in the order of their volumes, widened at either end on demand."""

    crystal: Crystal | RecordedCrystal
    settings: Thermodynamics
    tolerance_thz: float
    mesh: Sequence[int]
    points: list[PointOfCurve] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    rest: float = 0.0
    converged: bool = True

    @property
    def used(self) -> list[PointOfCurve]:
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
        """Add volumes at one end; return whether any can be used."""
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

    def _add(self, volume: float, start: Any) -> PointOfCurve:
        point = PointOfCurve(volume, start, float("nan"))
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

    def _vibrate(self, point: PointOfCurve) -> None:
        point.phonon = self.crystal.phonons(point.atoms)
        point.minimum, point.share = stability(point.phonon, self.mesh, self.tolerance_thz)
        imaginary = (
            f"{100 * point.share:.2g} % of its modes are imaginary, down to {point.minimum:.2f} THz"
        )
        if point.share and self.settings.imaginary != "report":
            point.reason = imaginary
            return
        if point.share:
            self.notes.append(
                f"{self._per_atom(point.volume)}: {imaginary}; the free energy omits these modes"
            )
        self.note_within_tolerance(point.phonon, point.volume)

    def note_within_tolerance(self, phonon: "Phonopy", volume: float) -> None:
        """Record modes that phonopy omits although they do not count as imaginary."""
        share = share_within_tolerance(phonon, self.tolerance_thz)
        if share:
            self.notes.append(
                f"{self._per_atom(volume)}: {100 * share:.2g} % of the modes are between "
                f"-{self.tolerance_thz:g} and 0 THz; the free energy omits these modes"
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
    """Compute equation of state, harmonic and quasi-harmonic free energies of a crystal.

    A recorded crystal has the volumes of its record, and the harmonic properties are those at its
    lowest energy. Otherwise volumes are added until the equilibrium volumes at the highest
    temperature and at all pressures lie between the outermost volumes, or until the largest change
    of volume is reached; the notes then report up to which temperature they do.

    Parameters
    ----------
    crystal
        Crystal with the means to compute energies and phonons, or recorded ones.
    settings
        Volumes, temperatures (K), pressures (GPa), treatment of imaginary modes.
    method
        Name of the method.
    tolerance_thz
        A mode with a frequency below ``-tolerance_thz`` is imaginary.

    Returns
    -------
    The result; ``reason`` is set if there are no free energies.
    """
    empty = Result.without(crystal.structure, method, crystal.atoms, "")
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


def odd_mesh(phonon: "Phonopy", length_angstrom: float) -> list[int]:
    """Odd numbers of q points, for a length that defines a density: Γ is included."""
    from phonopy.phonon.grid import length2mesh

    numbers = length2mesh(length_angstrom, phonon.primitive.cell)
    return [int(number) | 1 for number in numbers]


def stability(phonon: "Phonopy", mesh: Sequence[int], tolerance_thz: float) -> tuple[float, float]:
    """Find the lowest frequency and the share of imaginary modes on a mesh.

    Parameters
    ----------
    phonon
        Phonons with force constants.
    mesh
        Three numbers of q points.
    tolerance_thz
        A mode with a frequency below ``-tolerance_thz`` is imaginary.

    Returns
    -------
    Lowest frequency in THz, and share of imaginary modes, 0 to 1.
    """
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


def _equation_of_state(points: Sequence[PointOfCurve], form: Any) -> EquationOfState:
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
    curve.note_within_tolerance(phonon, curve.rest)
    temperatures = _temperatures(settings)
    found = phonon.run_thermal_properties(temperatures=temperatures, exclude_gamma_acoustic=True)
    per_atom = 1 / len(phonon.primitive)
    return Harmonic(
        volume_angstrom3_per_atom=curve.rest / len(atoms),
        energy_ev_per_atom=energy / len(atoms),
        minimum_frequency_thz=minimum,
        imaginary_share=share,
        temperature_kelvin=temperatures.tolist(),
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
) -> tuple[NDArray[np.float64], Callable[[int], QuasiHarmonic]]:
    """Volumes at equilibrium (Å³ per atom), and a function that gives the first so many results.

    Volumes are NaN from the first temperature on at which phonopy finds no fit: it leaves such ones
    out, and takes its derivatives across the gap.
    """
    points = curve.used
    if len(points) < LEAST_VOLUMES:
        reasons = [one.reason for one in curve.points if one.reason]
        raise UnusablePotential(
            f"{len(points)} volumes remain, {LEAST_VOLUMES} are required"
            + (f": {reasons[0]}" if reasons else "")
        )
    temperatures = _temperatures(settings)
    found = _run_qha(curve, settings, pressure, temperatures)
    atoms = len(points[0].phonon.primitive)
    there = np.isin(temperatures, found.temperatures)
    whole = len(there) if there.all() else max(int(np.argmin(there)) - 1, 0)
    volumes = np.full(len(temperatures), np.nan)
    volumes[:whole] = np.asarray(found.equilibrium_volumes)[:whole] / atoms
    return volumes, partial(_first_results, found, pressure, atoms)


def _run_qha(
    curve: _Curve, settings: Thermodynamics, pressure: float, temperatures: NDArray[np.float64]
) -> Any:
    """phonopy's quasi-harmonic approximation at one pressure."""
    from phonopy import run_qha

    points = curve.used
    step = temperatures[1] - temperatures[0]
    per_cell = len(points[0].atoms) / len(points[0].phonon.primitive)
    try:
        with warnings.catch_warnings():
            # temperatures without a fit: reported once, as volumes that are NaN
            warnings.filterwarnings("ignore", "EOS fitting failed", UserWarning)
            return run_qha(
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


def _first_results(found: Any, pressure: float, atoms: int, count: int) -> QuasiHarmonic:
    """Results of phonopy at the first temperatures, per atom of a primitive cell."""
    cv = [0.0] + [
        float(np.polyval(coefficients, volume))
        for coefficients, volume in zip(
            found.heat_capacity_P.volume_cv_parameters, found.equilibrium_volumes[1:], strict=True
        )
    ]
    in_joule = 1000 / _KJ_PER_MOL / atoms

    def part(values: Any, factor: float = 1.0) -> list[float]:
        return _list(np.asarray(values)[:count] * factor)

    return QuasiHarmonic(
        pressure_gpa=pressure,
        temperature_kelvin=part(found.temperatures),
        gibbs_ev_per_atom=part(found.gibbs_free_energies, 1 / atoms),
        volume_angstrom3_per_atom=part(found.equilibrium_volumes, 1 / atoms),
        thermal_expansion_per_k=part(found.thermal_expansion),
        bulk_modulus_gpa=part(found.bulk_moduli, 1 / GPa),
        entropy_j_per_mol_k=part(found.entropy_temperature, in_joule),
        heat_capacity_p_j_per_mol_k=part(found.heat_capacity_P.heat_capacities, in_joule),
        heat_capacity_v_j_per_mol_k=part(cv, in_joule),
        grueneisen=part(found.gruneisen_parameters),
    )


def _list(values: Any) -> list[float]:
    return [float(value) for value in np.asarray(values)]
