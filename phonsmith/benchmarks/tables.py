"""Tidy tables made of many benchmarks, and their rendering for people."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from phonsmith.benchmarks.comparison import NUMBERS, Benchmark, ModeError

if TYPE_CHECKING:
    from phonopy import Phonopy

    from phonsmith.phonons.spectra import Spectrum

_KEYS = ("campaign", "fit", "fit_kind", "generation", "structure")
RMSE_COLUMNS = (
    *_KEYS,
    "cell",
    *NUMBERS,
    "false_imaginary",
    "symmetry_kept",
    "in_sample",
    "reason",
)


def rmse_table(benchmarks: Iterable[Benchmark]) -> pd.DataFrame:
    """Return one row per campaign × fit × generation × structure × cell, in the order given.

    ``false_imaginary`` is true where the fit has imaginary modes and the reference has none;
    it is empty where the fit has no phonons.
    """
    rows = []
    for one in benchmarks:
        for cell in one.cells:
            row = {key: getattr(one, key) for key in _KEYS}
            row |= {key: getattr(cell, key) for key in ("cell", *NUMBERS)}
            row["false_imaginary"] = (
                None
                if cell.imaginary_fit is None
                else bool(cell.imaginary_fit and not cell.imaginary_reference)
            )
            row |= {
                "symmetry_kept": cell.symmetry_kept,
                "in_sample": one.in_sample,
                "reason": cell.reason,
            }
            rows.append(row)
    table = pd.DataFrame(rows, columns=list(RMSE_COLUMNS))
    return table.astype(
        {"imaginary_reference": "Int64", "imaginary_fit": "Int64"}
        | {"false_imaginary": "boolean", "symmetry_kept": "boolean"}
        | {name: float for name in NUMBERS if not name.startswith("imaginary")}
    )


def read_rmse_table(path: str | Path) -> pd.DataFrame:
    """Read the CSV of a table of :func:`rmse_table`, with its types of columns."""
    return pd.read_csv(
        path,
        keep_default_na=False,
        na_values={name: [""] for name in RMSE_COLUMNS if name != "reason"},
        dtype=dict.fromkeys(("campaign", "fit", "fit_kind", "structure", "cell", "reason"), str)
        | {"imaginary_reference": "Int64", "imaginary_fit": "Int64"}
        | {"false_imaginary": "boolean", "symmetry_kept": "boolean"},
    )


class Mean(NamedTuple):
    """Mean RMSE of a fit, over how many structures, and out of how many."""

    rmse_thz: float
    structures: int
    total: int


def mean_rmse(table: pd.DataFrame, fit: str, cell: str) -> Mean:
    """Average the RMSE over the structures that have one; NaN if none has.

    Parameters
    ----------
    table
        Table of phonon RMSE.
    fit
        Id of the fit.
    cell
        Choice of the cell.

    Returns
    -------
    Mean in THz, number of structures with an RMSE, and number of structures.
    """
    values = table.loc[(table["fit"] == fit) & (table["cell"] == cell), "rmse_thz"]
    mean = float(values.mean()) if values.notna().any() else float("nan")
    return Mean(mean, int(values.count()), len(values))


def special_point_table(benchmarks: Iterable[Benchmark]) -> pd.DataFrame:
    """Return one row per mode at a special point: keys, label, branch, reference_thz, fit_thz."""
    rows = [
        {key: getattr(one, key) for key in _KEYS} | {"cell": cell.cell} | mode.model_dump()
        for one in benchmarks
        for cell in one.cells
        for mode in cell.special_points
    ]
    return pd.DataFrame(rows, columns=[*_KEYS, "cell", *ModeError.model_fields])


def reference_table(phonons: Mapping[str, "tuple[Phonopy, Spectrum | None]"]) -> pd.DataFrame:
    """Return what the reference phonons of each crystal were computed with, and their range.

    Columns: structure, formula (reduced), atoms (in the primitive cell), supercell_matrix (a row
    for each vector of the supercell in vectors of the crystal's cell, rows parted by semicolons),
    supercell_atoms, nac (whether with the non-analytical correction), minimum_frequency_thz and
    maximum_frequency_thz (on path and mesh; empty where there are no phonons).
    """
    from ase.formula import Formula

    rows = []
    for structure, (phonon, found) in phonons.items():
        matrix = np.asarray(phonon.supercell_matrix).T  # phonopy has vectors as columns
        rows.append(
            {
                "structure": structure,
                "formula": f"{Formula.from_list(phonon.primitive.symbols).reduce()[0]:metal}",
                "atoms": len(phonon.primitive),
                "supercell_matrix": "; ".join(" ".join(map(str, row)) for row in matrix),
                "supercell_atoms": len(phonon.supercell),
                "nac": phonon.nac_params is not None,
                "minimum_frequency_thz": None if found is None else found.minimum_thz,
                "maximum_frequency_thz": None if found is None else found.maximum_thz,
            }
        )
    columns = [
        *("structure", "formula", "atoms", "supercell_matrix", "supercell_atoms", "nac"),
        *("minimum_frequency_thz", "maximum_frequency_thz"),
    ]
    return pd.DataFrame(rows, columns=columns)


def gamma_table(
    spectra: Iterable[tuple[str, str, str, "Spectrum | None"]],
) -> pd.DataFrame:
    """Return the frequencies at Γ, of (structure, method, cell, spectrum) each.

    Columns: structure, method (``reference`` or the fit), cell, branch (from 1), frequency_thz
    (negative: imaginary). The non-analytical correction has no direction here and is omitted, so
    that these are transverse modes where the crystal is polar.
    """
    rows = [
        (structure, method, cell, branch, float(frequency))
        for structure, method, cell, found in spectra
        if found is not None
        for branch, frequency in enumerate(found.gamma_thz, start=1)
    ]
    return pd.DataFrame(rows, columns=["structure", "method", "cell", "branch", "frequency_thz"])


def mechanics_table(benchmarks: Iterable[Benchmark]) -> pd.DataFrame:
    """Return one row per quantity: keys, quantity, unit, reference_value, fit_value, reason."""
    rows = []
    for one in benchmarks:
        keys = {key: getattr(one, key) for key in _KEYS}
        if one.mechanics_reason:
            rows.append(keys | {"quantity": "", "unit": "", "reason": one.mechanics_reason})
        if one.mechanics_reference and one.mechanics_fit:
            wanted = one.mechanics_reference.quantities()
            found = one.mechanics_fit.quantities()
            for quantity, (unit, value) in wanted.items():
                row = {"quantity": quantity, "unit": unit, "reference_value": value, "reason": ""}
                rows.append(keys | row | {"fit_value": found[quantity][1]})
    columns = [*_KEYS, "quantity", "unit", "reference_value", "fit_value", "reason"]
    return pd.DataFrame(rows, columns=columns)


def sweeps_table(
    rmse: pd.DataFrame, sweeps: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> pd.DataFrame:
    """Tabulate RMSE and swept settings of fits, one row per fit, setting, structure and cell.

    Columns: campaign, sweep, fit, repeat (1, 2, …, of the fits with the same settings), generation,
    setting, value, structure, cell, rmse_thz, volume_error_percent.

    Parameters
    ----------
    rmse
        See :func:`rmse_table`.
    sweeps
        The settings of each fit of each sweep: sweep → fit → dotted key → value.
    """
    rows = []
    for sweep, fits in sweeps.items():
        seen: Counter[tuple[tuple[str, Any], ...]] = Counter()
        for fit, values in fits.items():
            seen[tuple(values.items())] += 1
            repeat = seen[tuple(values.items())]
            rows += [(sweep, fit, repeat, setting, value) for setting, value in values.items()]
    settings = pd.DataFrame(rows, columns=["sweep", "fit", "repeat", "setting", "value"])
    merged = settings.merge(rmse, on="fit", how="inner")
    columns = ["campaign", "sweep", "fit", "repeat", "generation", "setting", "value"]
    return merged[[*columns, "structure", "cell", "rmse_thz", "volume_error_percent"]]


def errors_on_test_sets(errors: pd.DataFrame) -> pd.DataFrame:
    """Return the errors on each group of test cells, one row per fit and group.

    Columns: fit, data (the group, or ``all``), energy_mae_ev_per_atom, force_mae_ev_per_angstrom.

    Parameters
    ----------
    errors
        Errors of the fits on labels, see :func:`phonsmith.fits.errors.errors_of`.
    """
    test = errors[(errors["set"] == "test") & (errors["kind"] == "all")]
    wide = test.pivot_table(
        index=["fit", "structure"], columns="quantity", values="mae", sort=False
    ).reset_index()
    return wide.rename(
        columns={
            **{"structure": "data", "energy": "energy_mae_ev_per_atom"},
            "force": "force_mae_ev_per_angstrom",
        }
    ).drop(columns="stress", errors="ignore")


def to_markdown(table: pd.DataFrame) -> str:
    """Return the table of :func:`rmse_table` for people.

    First, for each campaign, generation and cell: RMSE in THz of structures × fits, with the mean
    of each fit and the number of structures that went into it. Then the whole table.
    """
    parts = []
    groups = ["campaign", "generation", "cell"]
    for (campaign, generation, cell), part in table.groupby(groups, sort=False):
        title = f"## {campaign}, generation {generation}, {cell} cell: phonon RMSE (THz)"
        parts.append(f"{title}\n\n{_pivot(part)}")
    whole = table.astype(object).map(_cell)
    text = whole.to_markdown(index=False, disable_numparse=True)
    parts.append(f"## All results\n\n{text}")
    return "\n\n".join(parts) + "\n"


def _cell(value: object) -> str:
    """One value of the table as text."""
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return "–"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    # zero has no sign for a reader
    return f"{round(value, 4) + 0.0:.4f}" if isinstance(value, float) else str(value)


def _pivot(part: pd.DataFrame) -> str:
    """RMSE of structures × fits; rows and columns in the order of first appearance."""
    values = part.set_index(["structure", "fit"])["rmse_thz"].unstack("fit")
    values = values.reindex(index=part["structure"].unique(), columns=part["fit"].unique())
    shown = values.map(lambda value: "–" if np.isnan(value) else f"{value:.3f}")
    mean, count = values.mean(), values.count()
    shown.loc["**mean**"] = ["–" if np.isnan(value) else f"**{value:.3f}**" for value in mean]
    shown.loc["structures in the mean"] = [str(number) for number in count]
    return str(shown.to_markdown(disable_numparse=True))
