"""Equations of state: energy, volume and enthalpy of a crystal without its vibrations, per atom."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from ase.units import GPa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from phonsmith.errors import UnusablePotential

Form = Literal["birch-murnaghan", "vinet"]
FORMS: tuple[Form, ...] = ("birch-murnaghan", "vinet")


class EquationOfState(BaseModel):
    """Parameters of a third-order Birch–Murnaghan or of a Vinet equation, per atom.

    F. Birch, Phys. Rev. 71, 809 (1947); P. Vinet et al., J. Phys. Condens. Matter 1, 1941 (1989).
    ``residual_mev_per_atom`` is the RMS of what the fit leaves.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    volume_angstrom3_per_atom: float
    energy_ev_per_atom: float
    bulk_modulus_gpa: float
    bulk_modulus_derivative: float
    form: Form = "birch-murnaghan"
    residual_mev_per_atom: float = 0.0

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

    def at_pressure(self, pressure_gpa: float) -> tuple[float, float]:
        """Volume (Å³/atom) and enthalpy E + pV (eV/atom) at a pressure.

        Raises
        ------
        UnusablePotential
            The enthalpy has no minimum between half and one and a half times the volume at rest.
        """
        from scipy.optimize import minimize_scalar

        rest = self.volume_angstrom3_per_atom
        pressure = pressure_gpa * GPa
        found = minimize_scalar(
            lambda volume: float(self.energy(volume)) + pressure * volume,
            bounds=(0.5 * rest, 1.5 * rest),
            method="bounded",
            options={"xatol": 1e-7 * rest},
        )
        if not 0.501 * rest < found.x < 1.499 * rest:
            raise UnusablePotential(
                f"the equation of state has no volume for {pressure_gpa:g} GPa; it was fitted "
                "around the volume at rest"
            )
        return float(found.x), float(found.fun)


def fit_equation_of_state(
    volumes: Sequence[float] | NDArray[np.float64],
    energies: Sequence[float] | NDArray[np.float64],
    form: Form = "birch-murnaghan",
) -> EquationOfState:
    """Least squares of an equation of state to volumes (Å³/atom) and energies (eV/atom).

    Raises
    ------
    UnusablePotential
        There are fewer than five volumes, or the energy has no minimum among them.
    """
    from phonopy.qha.eos import EOSFit

    volumes, energies = np.asarray(volumes, dtype=float), np.asarray(energies, dtype=float)
    if len(volumes) < 5:
        raise UnusablePotential(f"{len(volumes)} volumes, an equation of state needs five")
    curve = np.polynomial.Polynomial.fit(volumes, energies, 2)
    curvature = float(curve.deriv(2)(volumes.mean()))
    lowest = float(volumes[np.argmin(energies)])
    fit = EOSFit(volumes, energies, _function(form))
    try:
        fit.fit([float(energies.min()), max(lowest * curvature, 1e-3), 4.0, lowest])
        assert fit.parameters is not None
        energy, bulk, derivative, volume = map(float, fit.parameters)
    except RuntimeError as error:
        raise UnusablePotential(f"no equation of state fits the energies ({error})") from error
    inside = volumes.min() < volume < volumes.max()
    if not (inside and bulk > 0 and np.isfinite([energy, bulk, derivative]).all()):
        raise UnusablePotential(
            "the energy has no minimum within the volumes "
            f"{volumes.min():.3f} to {volumes.max():.3f} Å³ per atom"
        )
    left = _function(form)(volumes, np.array([energy, bulk, derivative, volume])) - energies
    return EquationOfState(
        volume_angstrom3_per_atom=volume,
        energy_ev_per_atom=energy,
        bulk_modulus_gpa=bulk / GPa,
        bulk_modulus_derivative=derivative,
        form=form,
        residual_mev_per_atom=float(1000 * np.sqrt(np.mean(left**2))),
    )


def _function(form: Form) -> Any:
    from phonopy.qha.eos import get_eos

    return get_eos(form.replace("-", "_"))
