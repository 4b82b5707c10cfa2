"""Description of a disordered structure: one row of a table, and its curves.

references = References(crystals, analysis.similarity)
found = describe(frame, analysis, pressure_gpa=5.0, energy_ev=energy, references=references,
                 ground_state="diamond")
table = pd.DataFrame([found.row()])
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from ase import Atoms
from ase.units import GPa, kg
from numpy.typing import NDArray

from phonsmith.disorder.crystallites import crystallites
from phonsmith.disorder.neighbours import (
    Bonds,
    angle_distribution,
    bond_angles,
    bonds_within,
    checked,
    neighbour_cutoff,
    pair_distribution,
)
from phonsmith.disorder.scattering import first_peak, structure_factor
from phonsmith.disorder.settings import Analysis
from phonsmith.disorder.similarity import References
from phonsmith.files.errors import PhonsmithError
from phonsmith.potentials.calculators import one_line

Value = TypeVar("Value")

MOST_NEIGHBOURS = 200
"""Mean number of atoms within the neighbour cutoff, beyond which a structure has collapsed: angles
between all of them require gigabytes. Diamond has 4 within its first shell and 46 within 6 Å."""


@dataclass(frozen=True)
class Curves:
    """Curves of a structure as tables.

    ``pair_distribution``: ``r_angstrom``, ``pair_distribution``; ``structure_factor``:
    ``q_inverse_angstrom``, ``structure_factor``; ``angles``: ``angle_degree``,
    ``density_per_degree``.
    """

    pair_distribution: pd.DataFrame
    structure_factor: pd.DataFrame
    angles: pd.DataFrame


@dataclass(frozen=True)
class Description:
    """Numbers that describe a structure; None where a number is not defined.

    Units are in the names. ``coordination_N_percent`` is the share of atoms with N bonded
    neighbours; ``angle_std_degree`` the standard deviation of all bond angles (the width Δθ);
    ``first_peak_height`` the height H of the first sharp diffraction peak and
    ``first_peak_inverse_height`` 1/H. ``crystalline_percent`` is the share of atoms in diamond-like
    crystallites with their first and second neighbours, ``cubic_diamond_percent`` and
    ``hexagonal_diamond_percent`` are shares of diamond-like atoms alone. Energies refer to the
    crystal at the pressure of the structure: E - E_c and, with the work of the pressure,
    H - H_c = E - E_c + p (V - V_c), per atom. ``similarities`` has the columns of
    :meth:`phonsmith.disorder.similarity.References.similarities`. ``reason`` says why numbers of a
    structure are missing that other structures have; empty if none is.
    """

    atoms: int
    pressure_gpa: float
    volume_angstrom3_per_atom: float | None
    density_g_per_cm3: float | None
    neighbour_cutoff_angstrom: float | None
    coordination_mean: float | None
    coordination_3_percent: float | None
    coordination_4_percent: float | None
    coordination_5_percent: float | None
    angle_mean_degree: float | None
    angle_std_degree: float | None
    first_peak_position_inverse_angstrom: float | None
    first_peak_height: float | None
    first_peak_inverse_height: float | None
    cubic_diamond_percent: float | None
    hexagonal_diamond_percent: float | None
    crystalline_percent: float | None
    energy_above_crystal_ev_per_atom: float | None = None
    enthalpy_above_crystal_ev_per_atom: float | None = None
    similarities: pd.DataFrame = field(default_factory=pd.DataFrame, compare=False, repr=False)
    reason: str = ""

    @classmethod
    def of_nothing(
        cls, frame: Atoms, pressure_gpa: float, references: References | None, reason: str
    ) -> "Description":
        """Return the description of a structure that cannot be analysed."""
        undefined = {key.name: None for key in fields(cls)}
        similarities = references.no_similarities() if references else pd.DataFrame()
        known = {"atoms": len(frame), "pressure_gpa": pressure_gpa, "reason": reason}
        return cls(**(undefined | known | {"similarities": similarities}))  # type: ignore[arg-type]

    def row(self) -> dict[str, Any]:
        """Return the description as one row of a table.

        Similarities are columns ``similarity_LATTICE_CRYSTAL``, such as
        ``similarity_scaled_simple-hexagonal``.
        """
        row = {key.name: getattr(self, key.name) for key in fields(self)}
        del row["similarities"]
        reason = row.pop("reason")
        for one in self.similarities.to_dict("records"):
            row[f"similarity_{one['lattice']}_{one['crystal']}"] = one["similarity"]
        return {**row, "reason": reason}


def describe(
    frame: Atoms,
    analysis: Analysis,
    *,
    pressure_gpa: float = 0.0,
    energy_ev: float | None = None,
    references: References | None = None,
    ground_state: str | None = None,
    curve: pd.DataFrame | None = None,
) -> Description:
    """Describe a structure, as far as it can be described.

    Runs that fail end with cells that flew apart or collapsed: numbers that they do not have are
    None, with the reason in ``reason``.

    Parameters
    ----------
    frame
        Periodic structure.
    analysis
        Settings of the analysis.
    pressure_gpa
        Pressure of the structure: of the barostat, or of the relaxation.
    energy_ev
        Potential energy of the cell by the method that relaxed the reference crystals. For ΔE of a
        quenched structure, relax it first: a snapshot contains the energy of vibrations.
    references
        Reference crystals; None omits similarities and energies.
    ground_state
        Name of the reference crystal that energies refer to; None omits them.
    curve
        Structure factor of the structure if it is known, see :func:`curves`; computed by default.

    Raises
    ------
    PhonsmithError
        A reference crystal is unknown, or the structure has elements that no reference crystal has.
    """
    if references is not None:
        references.require(frame, ground_state)
    parts = _Parts()
    if parts.tried(lambda: checked(frame)) is None:
        return Description.of_nothing(frame, pressure_gpa, references, parts.reason)
    cutoff = parts.tried(lambda: neighbour_cutoff(frame, analysis))
    bonds = None if cutoff is None else parts.tried(lambda: _bonds(frame, cutoff))
    coordination = None if bonds is None else bonds.coordination
    angles = np.empty(0) if bonds is None else bond_angles(bonds)
    if curve is None:
        curve = parts.tried(lambda: structure_factor(frame, analysis.scattering))
    peak = None if curve is None else first_peak(curve, analysis.scattering)
    diamond = parts.tried(lambda: crystallites(frame))
    energy, enthalpy = _above(frame, pressure_gpa, energy_ev, references, ground_state)
    similarities = pd.DataFrame()
    if references is not None:
        known = parts.tried(lambda: references.similarities(frame, pressure_gpa))
        similarities = references.no_similarities() if known is None else known

    def shared(number: int) -> float | None:
        return None if coordination is None else _percent(coordination == number)

    return Description(
        atoms=len(frame),
        pressure_gpa=pressure_gpa,
        volume_angstrom3_per_atom=float(frame.get_volume() / len(frame)),
        density_g_per_cm3=density(frame),
        neighbour_cutoff_angstrom=cutoff,
        coordination_mean=None if coordination is None else float(coordination.mean()),
        coordination_3_percent=shared(3),
        coordination_4_percent=shared(4),
        coordination_5_percent=shared(5),
        angle_mean_degree=float(angles.mean()) if len(angles) else None,
        angle_std_degree=float(angles.std()) if len(angles) else None,
        first_peak_position_inverse_angstrom=peak.position_inverse_angstrom if peak else None,
        first_peak_height=peak.height if peak else None,
        first_peak_inverse_height=1 / peak.height if peak else None,
        cubic_diamond_percent=_percent(diamond.cubic) if diamond else None,
        hexagonal_diamond_percent=_percent(diamond.hexagonal) if diamond else None,
        crystalline_percent=_percent(diamond.crystalline) if diamond else None,
        energy_above_crystal_ev_per_atom=energy,
        enthalpy_above_crystal_ev_per_atom=enthalpy,
        similarities=similarities,
        reason=parts.reason,
    )


class _Parts:
    """Parts of a description, of which some fail on broken structures."""

    def __init__(self) -> None:
        self._reasons: list[str] = []

    def tried(self, part: Callable[[], Value]) -> Value | None:
        """The value of a part; None if it fails, with the reason kept."""
        try:
            return part()
        except PhonsmithError as error:
            self._reasons.append(str(error))
        except Exception as error:  # quippy and matscipy fail in their own ways
            self._reasons.append(one_line(error))
        return None

    @property
    def reason(self) -> str:
        return "; ".join(dict.fromkeys(self._reasons))


def _bonds(frame: Atoms, cutoff: float) -> Bonds:
    """Bonds of a structure that has not collapsed."""
    expected = 4 * np.pi / 3 * cutoff**3 * len(frame) / frame.get_volume()
    bonds = bonds_within(frame, cutoff) if expected <= MOST_NEIGHBOURS else None
    found = expected if bonds is None else bonds.coordination.max()
    if bonds is None or found > MOST_NEIGHBOURS:
        raise PhonsmithError(
            f"{frame.get_chemical_formula()}: {found:.0f} neighbours within {cutoff:.2f} Å, the "
            "structure has collapsed"
        )
    return bonds


def curves(frame: Atoms, analysis: Analysis, structure: pd.DataFrame | None = None) -> Curves:
    """Compute the pair distribution, structure factor and bond angles of a structure.

    Parameters
    ----------
    frame
        Periodic structure.
    analysis
        Settings of the analysis.
    structure
        Its structure factor if it is known, see
        :func:`phonsmith.disorder.scattering.structure_factor`; computed by default.

    Raises
    ------
    PhonsmithError
        The structure is not periodic or not finite, has collapsed, or the neighbour cutoff is
        undefined.
    """
    bonds = _bonds(frame, neighbour_cutoff(frame, analysis))
    if structure is None:
        structure = structure_factor(frame, analysis.scattering)
    return Curves(
        pair_distribution=pair_distribution(frame, analysis),
        structure_factor=structure,
        angles=angle_distribution(bonds, analysis),
    )


def density(frame: Atoms) -> float:
    """Return the density of a structure in g/cm³."""
    grams = frame.get_masses().sum() / (1e-3 * kg)
    return float(grams / (1e-24 * frame.get_volume()))


def over_seeds(
    table: pd.DataFrame, by: Sequence[str], ignored: Sequence[str] = ("seed",)
) -> pd.DataFrame:
    """Return means and standard deviations over seeds.

    Parameters
    ----------
    table
        One row for each run, such as rows of :class:`Description` or points of curves, with further
        columns that identify the run.
    by
        Columns that identify what is averaged: all rows of equal values are seeds of each other.
    ignored
        Further columns without averages.

    Returns
    -------
    The columns ``by``, ``runs`` (rows of the group), and ``X_mean`` and ``X_std`` of each numeric
    column X. Missing values are omitted; the standard deviation is that of a sample (n - 1), NaN
    for a single value.

    Raises
    ------
    PhonsmithError
        A column of ``by`` is missing.
    """
    missing = [name for name in by if name not in table]
    if missing:
        raise PhonsmithError(
            f"mean over seeds: no column {missing}; columns are {list(table.columns)}"
        )
    numeric = [
        name
        for name in table.columns
        if name not in (*by, *ignored)
        and pd.api.types.is_numeric_dtype(table[name])
        and not pd.api.types.is_bool_dtype(table[name])
    ]
    groups = table.groupby(list(by), sort=False, dropna=False)
    found = groups.size().rename("runs").to_frame()
    for name in numeric:
        found[f"{name}_mean"] = groups[name].mean()
        found[f"{name}_std"] = groups[name].std(ddof=1)
    return found.reset_index()


def joined(
    curves_of_runs: Mapping[tuple[Any, ...], pd.DataFrame], keys: Sequence[str]
) -> pd.DataFrame:
    """Join curves of several runs to one table.

    Parameters
    ----------
    curves_of_runs
        Curve by the values that identify its run, such as ``("gap", 1)``.
    keys
        Names of these values, such as ``("fit", "seed")``; they become the first columns.
    """
    parts = [
        curve.assign(**dict(zip(keys, values, strict=True)))[[*keys, *curve.columns]]
        for values, curve in curves_of_runs.items()
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(keys))


def _percent(marked: NDArray[np.bool_]) -> float:
    return float(100 * marked.mean())


def _above(
    frame: Atoms,
    pressure_gpa: float,
    energy_ev: float | None,
    references: References | None,
    ground_state: str | None,
) -> tuple[float | None, float | None]:
    """Energy and enthalpy above the crystal, eV per atom."""
    if references is None or ground_state is None or energy_ev is None:
        return None, None
    crystal = references.at(ground_state, pressure_gpa)
    if crystal is None or crystal.energy_ev_per_atom is None:
        return None, None
    energy = energy_ev / len(frame) - crystal.energy_ev_per_atom
    larger = frame.get_volume() / len(frame) - crystal.volume_angstrom3_per_atom
    return energy, float(energy + pressure_gpa * GPa * larger)
