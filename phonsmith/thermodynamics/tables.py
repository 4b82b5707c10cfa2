"""Thermodynamics of all crystals and methods as tidy tables."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from phonsmith.thermodynamics.equations_of_state import EquationOfState
from phonsmith.thermodynamics.results import Harmonic, QuasiHarmonic, Result, at_lowest_pressure


def thermodynamics_table(campaign: str, results: Sequence[Result]) -> pd.DataFrame:
    """Return one row for each method, structure, approximation, pressure and temperature.

    ``approximation`` is ``harmonic`` (at the minimum of the energy, without pressure; ``gibbs`` is
    E + F then) or ``quasi-harmonic``. A structure without results has one row with the reason, and
    so has a pressure without any.
    """
    rows: list[dict[str, Any]] = []
    for one in results:
        keys = {"campaign": campaign, "method": one.method, "structure": one.structure}
        if one.reason or not (one.harmonic or one.quasi_harmonic):
            rows.append({**keys, "reason": one.reason})
        if one.harmonic:
            rows += [{**keys, **row} for row in _harmonic_rows(one, one.harmonic)]
        for part in one.quasi_harmonic:
            rows += [{**keys, **row} for row in _quasi_harmonic_rows(one, part)]
        rows += [
            {**keys, "approximation": "quasi-harmonic", **lost.model_dump()}
            for lost in one.lost_pressures
        ]
    return pd.DataFrame(rows, columns=list(THERMODYNAMICS_COLUMNS))


THERMODYNAMICS_COLUMNS = (
    *("campaign", "method", "structure", "approximation", "pressure_gpa", "temperature_kelvin"),
    *("gibbs_ev_per_atom", "gibbs_ev_per_formula_unit", "volume_angstrom3_per_atom"),
    *("thermal_expansion_per_k", "bulk_modulus_gpa", "entropy_j_per_mol_k"),
    *("heat_capacity_p_j_per_mol_k", "heat_capacity_v_j_per_mol_k", "grueneisen"),
    *("imaginary_share", "reason"),
)
"""Entropies and heat capacities are per mole of atoms."""


def _harmonic_rows(one: Result, found: Harmonic) -> list[dict[str, Any]]:
    columns = ("entropy_j_per_mol_k", "heat_capacity_v_j_per_mol_k")
    rows = []
    for i, temperature in enumerate(found.temperature_kelvin):
        energy = found.energy_ev_per_atom + found.free_energy_ev_per_atom[i]
        rows.append(
            {
                "approximation": "harmonic",
                "pressure_gpa": 0.0,
                "temperature_kelvin": temperature,
                "gibbs_ev_per_atom": energy,
                "gibbs_ev_per_formula_unit": energy * one.atoms_per_formula_unit,
                "volume_angstrom3_per_atom": found.volume_angstrom3_per_atom,
                **{column: getattr(found, column)[i] for column in columns},
                "imaginary_share": found.imaginary_share,
            }
        )
    return rows


def _quasi_harmonic_rows(one: Result, found: QuasiHarmonic) -> list[dict[str, Any]]:
    columns = [name for name in QuasiHarmonic.model_fields if name != "pressure_gpa"]
    return [
        {
            "approximation": "quasi-harmonic",
            "pressure_gpa": found.pressure_gpa,
            "gibbs_ev_per_formula_unit": found.gibbs_ev_per_atom[i] * one.atoms_per_formula_unit,
            **{column: getattr(found, column)[i] for column in columns},
        }
        for i in range(len(found.temperature_kelvin))
    ]


def states_table(campaign: str, results: Sequence[Result]) -> pd.DataFrame:
    """Return one row for each method, structure and form of the equation of state."""
    rows = [
        {
            "campaign": campaign,
            "method": one.method,
            "structure": one.structure,
            **state.model_dump(),
            "energy_ev_per_formula_unit": state.energy_ev_per_atom * one.atoms_per_formula_unit,
        }
        for one in results
        for state in one.equations_of_state
    ]
    columns = ["campaign", "method", "structure", "form"]
    without = {"form", "extrapolated"}  # extrapolated ones belong to enthalpies
    numbers = [name for name in EquationOfState.model_fields if name not in without]
    return pd.DataFrame(rows, columns=[*columns, *numbers, "energy_ev_per_formula_unit"])


def thermodynamics_overview(results: Sequence[Result], temperature_kelvin: float) -> pd.DataFrame:
    """Tabulate quasi-harmonic values at the pressure nearest to zero, by method and structure.

    They are those of the temperature nearest to ``temperature_kelvin``; empty where the
    approximation is harmonic alone. ``notes`` lists what is missing.
    """
    rows = []
    for one in results:
        row: dict[str, Any] = {"structure": one.structure, "method": one.method}
        found = at_lowest_pressure(one)
        if found:
            nearest = int(
                np.argmin(np.abs(np.array(found.temperature_kelvin) - temperature_kelvin))
            )
            row |= {"pressure_gpa": found.pressure_gpa}
            row |= {column: getattr(found, column)[nearest] for column in _OVERVIEW}
        unstable = sum(bool(point.imaginary_share) for point in one.volumes)
        imaginary = [f"{unstable} of {len(one.volumes)} volumes have imaginary modes"]
        row["notes"] = "; ".join(
            [*filter(None, [one.reason]), *one.notes, *imaginary * (unstable > 0)]
        )
        rows.append(row)
    return pd.DataFrame(rows, columns=["structure", "method", "pressure_gpa", *_OVERVIEW, "notes"])


_OVERVIEW = (
    *(
        "temperature_kelvin",
        "volume_angstrom3_per_atom",
        "thermal_expansion_per_k",
        "bulk_modulus_gpa",
    ),
    *("heat_capacity_p_j_per_mol_k", "entropy_j_per_mol_k"),
)
