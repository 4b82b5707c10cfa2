"""Tables of the report."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
from ase.units import GPa

from phonsmith.benchmarks.tables import mean_rmse
from phonsmith.campaign.model import Campaign
from phonsmith.figures.results_read import false_imaginary, label_of, rows_of, with_minus
from phonsmith.figures.style import CELLS
from phonsmith.figures.table_cells import DASH, Table, number, significant, table_of
from phonsmith.generations.verdict import STOP_IN_WORDS, change_in_words


def means_table(campaign: Campaign, rmse: pd.DataFrame) -> Table | None:
    """Return the headline: for each fit and cell mean, worst structure, false imaginary modes.

    None without fits or without crystals whose phonons are compared.
    """
    if not campaign.fits or not campaign.benchmarked:
        return None
    rows = []
    for fit in campaign.fits:
        for cell in campaign.phonons.cells:
            part = rmse[(rmse["fit"] == fit) & (rmse["cell"] == cell)]
            mean = mean_rmse(rmse, fit, cell)
            known = part.dropna(subset="rmse_thz")
            worst = max(rows_of(known), key=lambda row: float(row["rmse_thz"]), default=None)
            volume = part["volume_error_percent"].abs().max()
            rows.append(
                (
                    label_of(campaign, fit),
                    cell,
                    number(mean.rmse_thz),
                    f"{mean.structures} of {mean.total}",
                    DASH if worst is None else f"{worst['structure']}: {worst['rmse_thz']:.3f}",
                    str(int((false_imaginary(part)).sum())),
                    number(volume, 2) if cell == "relaxed" else DASH,
                )
            )
    titles = (
        "Fit",
        "Cell",
        "Mean RMSE (THz)",
        "Crystals",
        "Largest (THz)",
        "With false imaginary modes",
        "Largest volume error (%)",
    )
    return table_of(titles, rows, "Phonons against the reference", text_columns=2)


_DETAILS: dict[str, tuple[str, int, str]] = {
    "rmse_thz": ("RMSE (THz)", 3, ""),
    "max_deviation_thz": ("Largest deviation (THz)", 3, ""),
    "rmse_gamma_thz": ("RMSE at Γ (THz)", 3, ""),
    "dos_distance": ("DOS distance", 3, ""),
    "volume_error_percent": ("Volume error (%)", 2, ""),
    "minimum_frequency_fit_thz": (
        "Lowest frequency (THz), fit / reference",
        2,
        "minimum_frequency_reference_thz",
    ),
    "imaginary_fit": ("Imaginary modes, fit / reference", 0, "imaginary_reference"),
}
"""Column, title, digits, and the column of the reference shown in the same cell."""


def worst_table(campaign: Campaign, rmse: pd.DataFrame) -> Table | None:
    """Every crystal with every fit and cell, the largest errors first; None without any."""
    if not campaign.fits or rmse.empty:
        return None
    table = rmse.sort_values("rmse_thz", ascending=False, na_position="first", kind="stable")
    rows = [
        [
            str(row["structure"]),
            label_of(campaign, str(row["fit"])),
            str(row["cell"]),
            *(
                " / ".join(_signed(row[key], digits) for key in (name, other) if key)
                for name, (_, digits, other) in _DETAILS.items()
            ),
            with_minus(str(row["reason"])),
        ]
        for row in rows_of(table)
    ]
    titles = ["Crystal", "Fit", "Cell", *(title for title, *_ in _DETAILS.values()), "Note"]
    if not any(row[-1] for row in rows):
        titles, rows = titles[:-1], [row[:-1] for row in rows]
    caption = "Errors of each fit and crystal, the largest first"
    return table_of(titles, rows, caption, text_columns=3, last_text="Note")


def _signed(value: Any, digits: int) -> str:
    """Format a number with a minus sign, zero without any."""
    return with_minus(number(value if pd.isna(value) else round(value, digits) + 0.0, digits))


def marks_in_words(rmse: pd.DataFrame) -> str:
    """Explain the marks that occur in the tables of RMSE."""
    words = []
    if rmse["in_sample"].astype(bool).any():
        words.append("* in-sample: the fit was trained on the displaced cells of these crystals.")
    if false_imaginary(rmse).any():
        words.append("† imaginary modes where the reference has none.")
    if rmse["rmse_thz"].isna().any():
        words.append("– no RMSE; the reason is listed under “Warnings”.")
    return " ".join(words)


_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def _symbol(value: Any) -> str:
    """Return a Hermann–Mauguin symbol with screw axes as subscripts: P6₃/mmc."""
    return re.sub(r"_(\d)", lambda match: match[1].translate(_SUBSCRIPTS), str(value))


def _formula(value: Any) -> str:
    """Return a formula with numbers as subscripts: Ga₂O₃."""
    return str(value).translate(_SUBSCRIPTS)


def _supercell(value: Any) -> str:
    """Return a supercell matrix for tables: ``2 × 2 × 1`` if it is diagonal.

    >>> _supercell("2 0 0; 0 2 0; 0 0 1")
    '2 × 2 × 1'
    >>> _supercell("-2 2 2; 2 -2 2; 2 2 -2")
    '(−2 2 2; 2 −2 2; 2 2 −2)'
    """
    rows = [row.split() for row in str(value).split(";")]
    if all(rows[i][j] == "0" for i in range(3) for j in range(3) if i != j):
        return " × ".join(rows[i][i] for i in range(3))
    return f"({value})".replace("-", "−")


_CRYSTAL_COLUMNS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "structure": ("Crystal", str),
    "formula": ("Formula", _formula),
    "space_group_before": ("No.", lambda value: f"{value:.0f}"),
    "symbol_before": ("Space group", _symbol),
}

_RELAXATION_COLUMNS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "symbol_after": ("after relaxation", _symbol),
    "volume_change_percent": (
        "Volume change (%)",
        lambda value: with_minus(f"{value:+.2f}"),
    ),
    "converged": ("Converged", lambda value: "yes" if value else "no"),
    "reason": ("Note", str),
}

_PHONON_COLUMNS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "supercell_matrix": ("Supercell", _supercell),
    "supercell_atoms": ("Atoms", lambda value: f"{value:.0f}"),
    "nac": ("NAC", lambda value: "yes" if value else "no"),
}
"""NAC: non-analytical correction."""


def structures_table(
    campaign: Campaign, table: pd.DataFrame, phonons: pd.DataFrame | None = None
) -> Table:
    """List formulae, space groups, supercells and, for relaxed crystals, the relaxation.

    Parameters
    ----------
    campaign
        The campaign.
    table
        Table of the structures.
    phonons
        Table of the reference phonons; None omits the supercells.
    """
    relaxed = campaign.relaxation.reference and not campaign.recorded
    shown = _CRYSTAL_COLUMNS | (_RELAXATION_COLUMNS if relaxed else {})
    if phonons is not None:
        own = ["structure", "formula", *_PHONON_COLUMNS]
        table = table.merge(phonons[own], on="structure", how="left")
        note = shown.pop("reason", None)
        shown = shown | _PHONON_COLUMNS | ({} if note is None else {"reason": note})
    columns = [name for name in shown if name in table]
    rows = [
        [
            DASH if pd.isna(row[name]) or row[name] == "" else shown[name][1](row[name])
            for name in columns
        ]
        for row in rows_of(table)
    ]
    if relaxed:
        caption = "Crystals before and after relaxation with the reference method"
    else:
        caption = "Crystals, used without relaxation"
    if phonons is not None:
        caption += ". Supercell: in lattice vectors of the crystal. NAC: non-analytical correction"
    return table_of([shown[name][0] for name in columns], rows, caption, text_columns=len(columns))


LONGEST_LIST = 24
"""Largest number of distinct frequencies at Γ; of longer lists, the ends are shown."""


def gamma_table(campaign: Campaign, gamma: pd.DataFrame | None) -> Table | None:
    """Tabulate the frequencies at Γ, reference and fits; None without frequencies."""
    if gamma is None or gamma.empty:
        return None
    cell = campaign.phonons.cells[0]
    groups = {
        (str(structure), str(method)): part["frequency_thz"].tolist()
        for (structure, method, of), part in gamma.groupby(
            ["structure", "method", "cell"], sort=False
        )
        if of == cell or method == "reference"
    }
    names = {"reference": "reference"} | {fit: label_of(campaign, fit) for fit in campaign.fits}
    rows = [
        (structure, name, _modes(groups[structure, method]))
        for structure in campaign.benchmarked
        for method, name in names.items()
        if (structure, method) in groups
    ]
    caption = (
        "Frequencies at Γ (THz), including acoustic modes; negative: imaginary. In brackets: "
        "degeneracy. Without the direction-dependent part of a non-analytical correction"
    )
    if campaign.fits:
        caption += f". Fits: {CELLS[cell]}"
    return table_of(("Crystal", "Method", "Frequencies"), rows, caption, text_columns=3)


def _modes(frequencies: Sequence[float]) -> str:
    """Format frequencies with degeneracies, grouped within 0.005 THz.

    >>> _modes([-1e-7, 0.0, 0.0, 15.07, 15.0701, 15.0702])
    '0.00 (3), 15.07 (3)'
    """
    groups: list[list[float]] = []
    for frequency in sorted(frequencies):
        if groups and frequency - groups[-1][0] < 0.005:
            groups[-1].append(frequency)
        else:
            groups.append([frequency])
    words = []
    for group in groups:
        text = with_minus(f"{round(sum(group) / len(group), 2) + 0.0:.2f}")
        words.append(f"{text} ({len(group)})" if len(group) > 1 else text)
    if len(words) > LONGEST_LIST:
        half = LONGEST_LIST // 2
        more = f"… ({len(words) - 2 * half} more in tables/gamma.csv)"
        words = [*words[:half], more, *words[-half:]]
    return ", ".join(words)


_FIT_COLUMNS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "wall_time_s": ("Time (min)", lambda value: f"{value / 60:.{1 if value >= 60 else 2}f}"),
    "peak_memory_mb": ("Memory (GB)", lambda value: f"{value / 1000:.1f}"),
    "energies": ("Energies", lambda value: f"{value:.0f}"),
    "forces": ("Force components", lambda value: f"{value:.0f}"),
    "virials": ("Virial components", lambda value: f"{value:.0f}"),
    "code": ("Code", str),
}


def fits_table(campaign: Campaign, table: pd.DataFrame) -> Table | None:
    """Cost of each fit, and the numbers it learnt from; None without fits."""
    if not campaign.fits:
        return None
    columns = [name for name in _FIT_COLUMNS if name in table]
    found = {str(row["fit"]): row for row in rows_of(table)}
    rows = []
    for fit, settings in campaign.fits.items():
        points = settings.sparse_points()
        row = [label_of(campaign, fit), settings.kind, str(points) if points else DASH]
        for name in columns:
            value = found[fit][name] if fit in found else None
            row.append(DASH if pd.isna(value) else _FIT_COLUMNS[name][1](value))
        rows.append(row)
    titles = ["Fit", "Kind", "SOAP sparse points", *(_FIT_COLUMNS[name][0] for name in columns)]
    return table_of(titles, rows, "Training: cost and number of observations", 2, last_text="Code")


_OF_RECIPE = ["mean_rmse_thz", "mean_noise_thz", "change_thz", "significant"]

_COUNTS = ["repeats", "repeats_before"]


def generations_table(campaign: Campaign, table: pd.DataFrame | None) -> Table | None:
    """Each recipe in each generation, and why the loop ended; None without a loop."""
    if table is None:
        return None
    rows = []
    for (generation, fit), part in table.groupby(["generation", "fit"], sort=False):
        failing = part.loc[~part["meets"], "structure"].astype(str).tolist()
        mean, noise, change, significant = part[_OF_RECIPE].iloc[0]
        spread = "" if pd.isna(noise) else f" ± {noise:.3f}"
        marked = None if pd.isna(significant) else bool(significant)
        counts = part[_COUNTS].iloc[0].fillna(0).astype(int).tolist()
        words = change_in_words(None if pd.isna(change) else change, marked, counts)
        rows.append(
            [
                str(generation),
                label_of(campaign, str(fit)),
                str(part["labels"].iloc[0]),
                DASH if pd.isna(mean) else f"{mean:.3f}{spread}",
                words.replace("-", "−") or DASH,
                ", ".join(failing) or "none",
            ]
        )
    stop = STOP_IN_WORDS[str(table["stop"].dropna().iloc[-1])]
    titles = ["Generation", "Fit", "Labels so far", "Mean RMSE (THz)", "Change (THz)"]
    titles.append("Not good enough")
    caption = f"The loop ended with generation {table['generation'].max()}: {stop}"
    return table_of(titles, rows, caption, text_columns=2)


_ERROR_COLUMNS = {
    "energy": ("Energy (meV/atom)", 1e3),
    "force": ("Force (meV/Å)", 1e3),
    "stress": ("Stress (GPa)", 1 / GPa),
}


def errors_table(campaign: Campaign, errors: pd.DataFrame | None) -> Table | None:
    """RMSE of energies, forces and stresses, training and test set; None without any.

    Energies of existing potentials are shifted, see :func:`phonsmith.fits.errors.energy_shift`.
    """
    if errors is None or errors.empty:
        return None
    whole = errors[(errors["kind"] == "all") & (errors["structure"] == "all")]
    quantities = [quantity for quantity in _ERROR_COLUMNS if quantity in set(whole["quantity"])]
    found = {(row["fit"], row["set"], row["quantity"]): row["rmse"] for row in rows_of(whole)}
    parts = ("train", "test") if campaign.trained else ("test",)
    columns = [(part, quantity) for quantity in quantities for part in parts]
    rows = []
    for fit in campaign.with_errors:
        values = [found.get((fit, part, quantity)) for part, quantity in columns]
        if fit not in campaign.tested and all(value is None for value in values):
            continue  # recorded forces on other cells
        factors = [_ERROR_COLUMNS[quantity][1] for _, quantity in columns]
        rows.append(
            [
                label_of(campaign, fit),
                *(
                    DASH if value is None else significant(value * factor)
                    for value, factor in zip(values, factors, strict=True)
                ),
            ]
        )
    titles = ["Fit", *(f"{_ERROR_COLUMNS[quantity][0]}, {part}" for part, quantity in columns)]
    caption = "RMSE of energies, force components and stresses; –: no such label in the set"
    if not campaign.trained:
        caption += ". Test: all labels, because no potential was trained on them"
    return table_of(titles, rows, caption)


def mechanics_table(campaign: Campaign, table: pd.DataFrame | None) -> Table | None:
    """Volume and bulk modulus, reference and fit; the CSV file holds all constants."""
    if table is None or table.empty:
        return None
    found = {(row["structure"], row["fit"], row["quantity"]): row for row in rows_of(table)}
    reasons = table[table["reason"].fillna("") != ""]
    why = {(row["structure"], row["fit"]): str(row["reason"]) for row in rows_of(reasons)}
    rows = []
    for structure in campaign.benchmarked:
        for fit in campaign.fits:
            cells = [structure, label_of(campaign, fit), why.get((structure, fit), DASH)]
            for quantity, digits in (("V0", 3), ("B0", 1)):
                row = found.get((structure, fit, quantity), {})
                for column in ("reference_value", "fit_value"):
                    cells.append(number(row.get(column), digits))
            rows.append(cells)
    titles = [
        "Crystal",
        "Fit",
        "Note",
        "V₀ (Å³/atom), reference",
        "fit",
        "B₀ (GPa), reference",
        "fit",
    ]
    caption = "Equation of state (Birch–Murnaghan); elastic constants: tables/mechanics.csv"
    return table_of(titles, rows, caption, text_columns=3)
