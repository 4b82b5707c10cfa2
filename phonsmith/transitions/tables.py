"""Tidy tables of phase transitions, all methods together."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from phonsmith.generations.repeats import Sample, difference_in_words
from phonsmith.transitions.results import Comparison, Result
from phonsmith.transitions.settings import PublishedTransition


def transitions_table(
    campaign: str, results: Sequence[Result], groups: Mapping[str, Sequence[str]]
) -> pd.DataFrame:
    """Tabulate the crossings of each method, pair and approximation, or one row without a crossing.

    ``groups`` holds fits by the first of their repeats. Columns: campaign, transition, driven_by,
    first, second, approximation, pressure_gpa, temperature_kelvin, method, fit, generation, value,
    unit, low, high (the bracket), lower_above (which crystal), stable, static_mev_per_atom and
    static_mev_per_formula_unit (second minus first, at rest), minimum_frequency_first_thz and
    minimum_frequency_second_thz (of phonons without pressure), static_spread_mev_per_atom (standard
    deviation over the repeats of the fit), shift_per_mev_per_atom (how far the transition moves
    when the difference moves by 1 meV/atom), uncertainty (training noise: one standard deviation),
    uncertainty_from, change (of the mean over the repeats since the generation before), significant
    (:meth:`phonsmith.generations.repeats.Sample.differs_from`), repeats and repeats_before (with a
    transition, in both generations), answer, notes.

    Parameters
    ----------
    campaign
        Name of the campaign.
    results
        Transitions of all methods.
    groups
        Fits by the first of their repeats.
    """
    rows = [row for one in results for row in _rows(campaign, one)]
    table = pd.DataFrame(rows, columns=_COLUMNS)
    leader = {fit: name for name, fits in groups.items() for fit in fits}
    table["group"] = table["fit"].map(lambda fit: leader.get(fit, fit))
    table["significant"] = table["significant"].astype(object)
    for column in ("value", "uncertainty", "change", "static_spread_mev_per_atom"):
        table[column] = table[column].astype(float)
    for column in ("repeats", "repeats_before"):
        table[column] = table[column].astype("Int64")
    _add_uncertainty(table)
    _add_change(table)
    return table.drop(columns=["group", "number"])


_COLUMNS = [
    *("campaign", "transition", "driven_by", "first", "second", "approximation", "pressure_gpa"),
    *("temperature_kelvin", "method", "fit", "generation", "value", "unit", "low", "high"),
    *("lower_above", "stable", "static_mev_per_atom", "static_mev_per_formula_unit"),
    *("minimum_frequency_first_thz", "minimum_frequency_second_thz"),
    *("static_spread_mev_per_atom", "shift_per_mev_per_atom", "uncertainty", "uncertainty_from"),
    *("change", "significant", "repeats", "repeats_before", "number", "answer", "notes"),
]
_SAME = ["transition", "first", "second", "approximation", "pressure_gpa", "temperature_kelvin"]


def _rows(campaign: str, result: Result) -> list[dict[str, object]]:
    fit, _, generation = result.method.partition("/gen")
    shared: dict[str, object] = {
        "campaign": campaign,
        "transition": result.transition,
        "driven_by": result.driven_by,
        "method": result.method,
        "fit": fit,
        "generation": int(generation) if generation else None,
        "unit": result.unit,
    }
    rows: list[dict[str, object]] = [
        {
            **shared,
            "second": name,
            "minimum_frequency_second_thz": result.minimum_frequencies_thz.get(name),
            "answer": "left out",
            "notes": reason,
        }
        for name, reason in result.left_out.items()
    ]
    for one in result.comparisons:
        pair = {**shared, **_of_pair(result, one)}
        crossings = [{**pair, **crossing} for crossing in _crossings(one)]
        rows += crossings or [{**pair, "number": 0}]
    return rows


def _of_pair(result: Result, one: Comparison) -> dict[str, object]:
    static = one.static_mev_per_atom
    units = None if static is None else static * result.atoms_per_formula_unit
    return {
        **{key: getattr(one, key) for key in _SAME if key != "transition"},
        "static_mev_per_atom": static,
        "static_mev_per_formula_unit": units,
        "minimum_frequency_first_thz": result.minimum_frequencies_thz.get(one.first),
        "minimum_frequency_second_thz": result.minimum_frequencies_thz.get(one.second),
        "answer": one.reason or one.answer,
        "notes": "; ".join(one.notes),
    }


def _crossings(one: Comparison) -> Iterator[dict[str, object]]:
    for number, crossing in enumerate(one.crossings):
        slope = crossing.slope_mev_per_atom
        yield {
            "number": number,
            "value": crossing.value,
            "low": crossing.low,
            "high": crossing.high,
            "lower_above": one.second if crossing.falling else one.first,
            "stable": crossing.stable,
            "shift_per_mev_per_atom": 1 / abs(slope) if slope else None,
        }


def _add_uncertainty(table: pd.DataFrame) -> None:
    """From the repeats of a fit: of the transition itself, else of the static energies."""
    keys = [*_SAME, "group", "generation", "number"]
    table["uncertainty_from"] = ""
    for _, part in table[table["number"].notna()].groupby(keys, dropna=False):
        if part["fit"].nunique() < 2:
            continue
        static = part.groupby("fit")["static_mev_per_atom"].first()
        if static.notna().all():
            table.loc[part.index, "static_spread_mev_per_atom"] = float(static.std(ddof=1))
        if part["value"].notna().all():
            table.loc[part.index, "uncertainty"] = float(part["value"].std(ddof=1))
            table.loc[part.index, "uncertainty_from"] = "repeats"
        else:
            moved = static.std(ddof=1) * part["shift_per_mev_per_atom"].astype(float)
            table.loc[part.index, "uncertainty"] = moved
            table.loc[moved.dropna().index, "uncertainty_from"] = "static energies of repeats"


def _add_change(table: pd.DataFrame) -> None:
    """What a generation has changed of the mean over the repeats, and whether that is significant.

    Repeats are judged together, as in the loop; where one of them has no transition there is no
    mean to compare.
    """
    keys = [*_SAME, "group", "number"]
    for _, part in table[table["generation"].notna()].groupby(keys, dropna=False):
        # a fit has several rows where its curves cross more than once, parted by their number
        generations = [rows for _, rows in part.groupby("generation")]
        for before, after in itertools.pairwise(generations):
            if before["value"].isna().any() or after["value"].isna().any():
                continue
            last, now = Sample.of(before["value"]), Sample.of(after["value"])
            table.loc[after.index, "change"] = now.mean - last.mean
            table.loc[after.index, ["repeats", "repeats_before"]] = [now.count, last.count]
            differs = now.differs_from(last)
            if differs is not None:
                table.loc[after.index, "significant"] = differs


def overview(
    table: pd.DataFrame,
    published: Mapping[str, Sequence[PublishedTransition]],
    labels: Mapping[str, str],
) -> pd.DataFrame:
    """Format the table for readers: pairs with the first crystal and stable transitions, in words.

    Parameters
    ----------
    table
        Table of :func:`transitions_table`.
    published
        Published values by transition; they are listed last.
    labels
        Labels of the methods in legends.
    """
    rows: list[dict[str, object]] = []
    firsts = table.dropna(subset=["first"]).groupby("transition")["first"].first()
    for row in table.to_dict("records"):
        pair = not pd.isna(row["first"])
        if pair and row["first"] != firsts[row["transition"]] and row["stable"] is not True:
            continue
        value, unit = row["value"], row["unit"]
        known = not pd.isna(value)
        remarks = [] if pd.isna(row["notes"]) else [str(row["notes"])]
        if known and row["stable"] is False:
            remarks.insert(0, "another crystal is lower there")
        rows.append(
            {
                "transition": row["transition"],
                "crystals": _crystals(row) if pair else row["second"],
                "approximation": _in_words(row),
                "method": labels.get(str(row["fit"]), row["fit"]),
                "generation": _measure(row["generation"]),
                "answer": f"{value:.4g} {unit}" if known else row["answer"],
                "bracket": f"{row['low']:g} to {row['high']:g} {unit}" if known else "",
                "uncertainty": _measure(row["uncertainty"], unit),
                "change": _change_in_words(row),
                "static ΔE (meV/atom)": _measure(row["static_mev_per_atom"]),
                "± repeats": _measure(row["static_spread_mev_per_atom"]),
                "per meV/atom": _measure(row["shift_per_mev_per_atom"], unit),
                "remark": "; ".join(remarks),
            }
        )
    for name, values in published.items():
        for one in values:
            unit = table.loc[table["transition"] == name, "unit"].iloc[0]
            upper = f" to {one.up_to:g}" if one.up_to else ""
            rows.append(
                {
                    "transition": name,
                    "crystals": " → ".join(one.structures),
                    "method": one.label,
                    "answer": f"{one.value:g}{upper} {unit}",
                    "remark": f"published: {one.source}",
                }
            )
    found = pd.DataFrame(rows).fillna("")
    without_loop = "change" in found and not found["change"].astype(bool).any()
    return found.drop(columns="change") if without_loop else found


def _change_in_words(row: Mapping[Any, Any]) -> str:
    """The change since the last generation, empty where there is none."""
    if pd.isna(row["change"]):
        return ""
    differs = None if pd.isna(row["significant"]) else bool(row["significant"])
    words = difference_in_words(differs, [int(row["repeats"]), int(row["repeats_before"])])
    return f"{row['change']:+.3g} {row['unit']} ({words})"


def _crystals(row: Mapping[Any, Any]) -> str:
    """The crystals of a row, with the direction of their transition."""
    pair = [str(row["first"]), str(row["second"])]
    if row["lower_above"] == pair[0]:
        pair.reverse()
    return (", " if pd.isna(row["lower_above"]) else " → ").join(pair)


def _in_words(row: Mapping[Any, Any]) -> str:
    kelvin, pressure = row["temperature_kelvin"], row["pressure_gpa"]
    if not pd.isna(kelvin):
        return f"{row['approximation']}, {kelvin:g} K"
    if pd.isna(row["approximation"]):
        return ""
    if pd.isna(pressure) or not pressure:
        return str(row["approximation"])
    return f"{row['approximation']}, {pressure:g} GPa"


def _measure(value: Any, unit: str = "") -> str:
    """A number for readers, empty where there is none."""
    return "" if pd.isna(value) else f"{value:.3g} {unit}".strip()
