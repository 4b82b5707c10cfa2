"""Equations of state: energy, volume and enthalpy of a crystal without its vibrations, per atom."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from ase.units import GPa
from numpy.typing import NDArray

from phonsmith.files.errors import UnusablePotential
from phonsmith.files.json_records import Record

Form = Literal["birch-murnaghan", "vinet"]
FORMS: tuple[Form, ...] = ("birch-murnaghan", "vinet")


class EquationOfState(Record):
    """Parameters of a third-order Birch–Murnaghan or of a Vinet equation, per atom.

    F. Birch, Phys. Rev. 71, 809 (1947); P. Vinet et al., J. Phys. Condens. Matter 1, 1941 (1989).
    ``residual_mev_per_atom`` is the RMS of what the fit leaves. ``extrapolated``: the volume at
    rest lies outside the volumes fitted to, and so do energy, bulk modulus and its derivative.
    """

    volume_angstrom3_per_atom: float
    energy_ev_per_atom: float
    bulk_modulus_gpa: float
    bulk_modulus_derivative: float
    form: Form = "birch-murnaghan"
    residual_mev_per_atom: float = 0.0
    extrapolated: bool = False

    def energy(self, volume: float | NDArray[np.float64]) -> NDArray[np.float64]:
        """Energy (eV/atom) at volumes (Å³/atom)."""
        parameters = np.array(
            [
                self.energy_ev_per_atom,
                self.bulk_modulus_gpa * GPa,
                self.bulk_modulus_derivative,
                self.volume_angstrom3_per_atom,
            ]
        )
        return np.asarray(_function(self.form)(np.asarray(volume, dtype=float), parameters))

    def at_pressure(self, pressure_gpa: float, within: tuple[float, float]) -> tuple[float, float]:
        """Volume (Å³/atom) and enthalpy E + pV (eV/atom) at a pressure.

        Raises
        ------
        UnusablePotential
            The enthalpy has no minimum ``within`` these volumes (Å³/atom).
        """
        from scipy.optimize import minimize_scalar

        low, high = within
        pressure = pressure_gpa * GPa
        found = minimize_scalar(
            lambda volume: float(self.energy(volume)) + pressure * volume,
            bounds=within,
            method="bounded",
            options={"xatol": 1e-7 * high},
        )
        if not low + 1e-5 * high < found.x < high - 1e-5 * high:
            raise UnusablePotential(
                f"the volume at {pressure_gpa:g} GPa is outside the fitted range of the equation "
                f"of state, {low:.3f} to {high:.3f} Å³ per atom"
            )
        return float(found.x), float(found.fun)


def fit_equation_of_state(
    volumes: Sequence[float] | NDArray[np.float64],
    energies: Sequence[float] | NDArray[np.float64],
    form: Form = "birch-murnaghan",
) -> EquationOfState:
    """Fit an equation of state by least squares; its minimum has to lie within the volumes.

    Arguments are those of :func:`fit_energies`.

    Raises
    ------
    UnusablePotential
        There are fewer than five volumes, or the energy has no minimum within them.
    """
    found = fit_energies(volumes, energies, form)
    if found.extrapolated:
        raise UnusablePotential(
            "the energy has no minimum within the volumes "
            f"{min(volumes):.3f} to {max(volumes):.3f} Å³ per atom"
        )
    return found


def fit_energies(
    volumes: Sequence[float] | NDArray[np.float64],
    energies: Sequence[float] | NDArray[np.float64],
    form: Form = "birch-murnaghan",
) -> EquationOfState:
    """Fit an equation of state whose minimum may lie outside the volumes, as under pressure.

    Parameters
    ----------
    volumes
        Volumes in Å³/atom.
    energies
        Energies in eV/atom.
    form
        Form of the equation of state.

    Raises
    ------
    UnusablePotential
        There are fewer than five volumes, or no equation of state of this form fits them.
    """
    from phonopy.qha.eos import EOSFit

    volumes, energies = np.asarray(volumes, dtype=float), np.asarray(energies, dtype=float)
    if len(volumes) < 5:
        raise UnusablePotential(f"{len(volumes)} volumes, an equation of state requires five")
    fit = EOSFit(volumes, energies, _function(form))
    try:
        fit.fit(_start(volumes, energies))
        assert fit.parameters is not None
        energy, bulk, derivative, volume = map(float, fit.parameters)
    except RuntimeError as error:
        raise UnusablePotential(f"no equation of state fits the energies ({error})") from error
    if not (bulk > 0 and volume > 0 and np.isfinite([energy, bulk, derivative, volume]).all()):
        raise UnusablePotential(
            f"the energy has no minimum within the volumes {volumes.min():.3f} to "
            f"{volumes.max():.3f} Å³ per atom, and does not decrease towards one"
        )
    left = _function(form)(volumes, np.array([energy, bulk, derivative, volume])) - energies
    return EquationOfState(
        volume_angstrom3_per_atom=volume,
        energy_ev_per_atom=energy,
        bulk_modulus_gpa=bulk / GPa,
        bulk_modulus_derivative=derivative,
        form=form,
        residual_mev_per_atom=float(1000 * np.sqrt(np.mean(left**2))),
        extrapolated=not volumes.min() < volume < volumes.max(),
    )


def _start(volumes: NDArray[np.float64], energies: NDArray[np.float64]) -> list[float]:
    """E0, B0, B0' and V0 to begin with: Murnaghan's from the lowest energy, with B0' = 4.

    F. D. Murnaghan, Proc. Natl. Acad. Sci. 30, 244 (1944): V0 = V (1 + B0' p/B0)^(1/B0').
    """
    curve = np.polynomial.Polynomial.fit(volumes, energies, 3)
    lowest = int(np.argmin(energies))
    volume, energy = float(volumes[lowest]), float(energies[lowest])
    pressure = -float(curve.deriv()(volume))
    if 0 < lowest < len(volumes) - 1:
        pressure = 0.0  # that of the cubic is its error
    bulk = max(volume * float(curve.deriv(2)(volume)) - 4 * pressure, 1e-3)
    ratio = min(max(1 + 4 * pressure / bulk, 0.5), 4.0)
    rest = volume * ratio**0.25
    return [energy - 0.5 * pressure * (rest - volume), bulk, 4.0, rest]


def _function(form: Form) -> Any:
    from phonopy.qha.eos import get_eos

    return get_eos(form.replace("-", "_"))
