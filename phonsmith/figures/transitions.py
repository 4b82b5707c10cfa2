"""Figures of phase transitions."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import CARETDOWN, CARETUP

from phonsmith.figures.generations import draw_against_generation
from phonsmith.figures.style import BLACK, COLOURS, GREY, PALE, SINGLE_COLUMN_INCH, Look, style
from phonsmith.transitions.results import Comparison, Result
from phonsmith.transitions.settings import PublishedTransition

_AXES = {"K": "Temperature (K)", "GPa": "Pressure (GPa)"}
_WORDS = {
    "harmonic": ("F", "harmonic"),
    "quasi-harmonic": ("G", "quasi-harmonic"),
    "enthalpy": ("H", "relaxed"),
    "equation-of-state": ("H", "equation of state"),
}
_LINES = {"harmonic": "-", "quasi-harmonic": "--", "enthalpy": "-", "equation-of-state": ":"}


def draw_transition(
    results: Mapping[str, Result],
    methods: Mapping[str, Look],
    structures: Sequence[str],
    published: Sequence[PublishedTransition],
) -> Figure:
    """Draw energies relative to the first crystal, one panel per method, stacked.

    All panels share a range around the transitions of the reference, or of the fits where it has
    none; crystals far from them are outside.
    Triangles on the line of the first crystal mark transitions, from above for the first
    approximation and from below for the second; they are hollow where another crystal is lower.
    Grey lines and bands are published values.

    Parameters
    ----------
    results
        Transition of each method.
    methods
        Label, colour and marker of each method.
    structures
        Ids of the crystals; energies refer to the first.
    published
        Published values.
    """
    known = list(results)
    unit = results[known[0]].unit
    first = structures[0]
    colours = dict(zip(structures[1:], _colours(len(structures) - 1), strict=True))
    with style():
        figure = Figure(figsize=(SINGLE_COLUMN_INCH, 0.8 + 1.75 * len(known)), layout="constrained")
        rows = figure.subplots(len(known), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        curves_of: dict[str, list[Comparison]] = {}
        for axes, method in zip(rows, known, strict=True):
            _draw_published(axes, published)
            axes.axhline(0, color=BLACK, lw=0.8)
            shown = [
                pair for pair in results[method].comparisons if pair.temperature_kelvin is None
            ]
            curves = curves_of[method] = [pair for pair in shown if pair.first == first and pair.x]
            for pair in curves:
                _draw_comparison(axes, pair, colours[pair.second])
            if not curves:
                axes.text(0.5, 0.6, "no comparison", transform=axes.transAxes, ha="center")
            symbols = {_WORDS[pair.approximation][0] for pair in shown} or {"E"}
            axes.set_ylabel(f"Δ{'/Δ'.join(sorted(symbols))} (meV/atom)")
            axes.set_title(methods[method].label)
            axes.grid(axis="y")
        rows[-1].set_xlabel(_AXES[unit])
        drawn = [pair for curves in curves_of.values() for pair in curves]
        hidden = _frame(rows[0], drawn, curves_of.get("reference", []))
        colours = {
            f"{name} (off the scale{hidden[name]})" if name in hidden else name: colour
            for name, colour in colours.items()
        }
        _legend(figure, first, colours, drawn, published)
    return figure


def _colours(number: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(number)]


def _draw_comparison(axes: Any, pair: Comparison, colour: str) -> None:
    marked = pair.approximation == "enthalpy"
    axes.plot(
        pair.x,
        pair.difference_mev_per_atom,
        color=colour,
        ls=_LINES[pair.approximation],
        lw=1.2,
        marker="." if marked else None,
        ms=3,
    )
    for crossing in pair.crossings:
        axes.plot(
            crossing.value,
            0,
            marker=_marker(pair.approximation),
            ms=5.5,
            ls="none",
            mew=0.8,
            mec=colour,
            mfc=colour if crossing.stable else "white",
            zorder=4,
        )


def _marker(approximation: str) -> int:
    """Return a triangle with its tip at the transition, from above for the first approximation."""
    return CARETDOWN if _LINES[approximation] == "-" else CARETUP


def _frame(
    axes: Any, drawn: Sequence[Comparison], of_reference: Sequence[Comparison]
) -> dict[str, str]:
    """Set the limits of all panels around the crystals that cross: in the reference, in any, all.

    Returns the names of crystals outside, with `` in part`` if only in some panels.
    """
    ranges: dict[str, tuple[float, float]] = {}
    for pair in drawn:
        values = [*pair.difference_mev_per_atom, 0.0]
        low, high = ranges.get(pair.second, (0.0, 0.0))
        ranges[pair.second] = (min(low, *values), max(high, *values))
    close = (
        {pair.second for pair in of_reference if pair.crossings}
        or {pair.second for pair in drawn if pair.crossings}
        or set(ranges)
    )
    if not close:
        return {}
    low = min(ranges[name][0] for name in close)
    high = max(ranges[name][1] for name in close)
    low, high = low - 0.15 * (high - low), high + 0.15 * (high - low)
    axes.set_ylim(low, high)
    inside: dict[str, list[bool]] = {}
    for pair in drawn:
        seen = [low < value < high for value in pair.difference_mev_per_atom]
        inside.setdefault(pair.second, []).extend(seen)
    return {name: " in part" if any(seen) else "" for name, seen in inside.items() if not all(seen)}


def _draw_published(axes: Any, published: Sequence[PublishedTransition]) -> None:
    for number, entry in enumerate(published):
        if entry.up_to is None:
            axes.axvline(entry.value, color=GREY, lw=0.9, ls=_DASHES[number % len(_DASHES)])
        else:
            axes.axvspan(entry.value, entry.up_to, color=PALE, lw=0, zorder=0)


_DASHES = ("-.", (0, (1, 1)), (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)))


def _legend(
    figure: Figure,
    first: str,
    colours: Mapping[str, str],
    drawn: Sequence[Comparison],
    published: Sequence[PublishedTransition],
) -> None:
    from matplotlib.patches import Patch

    handles: list[Any] = [Line2D([], [], color=BLACK, lw=0.8, label=first)]
    handles += [Line2D([], [], color=colour, label=name) for name, colour in colours.items()]
    approximations = [name for name in _WORDS if any(pair.approximation == name for pair in drawn)]
    if len(approximations) > 1:
        handles += [
            Line2D([], [], color=GREY, ls=_LINES[name], label=_WORDS[name][1])
            for name in approximations
        ]
    for name in approximations:
        if any(pair.crossings for pair in drawn if pair.approximation == name):
            handles.append(_triangle(name, f"transition, {_WORDS[name][1]}", GREY))
    unstable = [pair for pair in drawn if not all(place.stable for place in pair.crossings)]
    if unstable:
        handles.append(_triangle(unstable[0].approximation, "another crystal is lower", "white"))
    for number, entry in enumerate(published):
        if entry.up_to is None:
            line = _DASHES[number % len(_DASHES)]
            handles.append(Line2D([], [], color=GREY, lw=0.9, ls=line, label=entry.label))
        else:
            handles.append(Patch(color=PALE, label=entry.label))
    figure.legend(handles=handles, loc="outside lower center", ncols=2)


def _triangle(approximation: str, label: str, face: str) -> Any:
    marker: Any = _marker(approximation)
    return Line2D([], [], ls="none", color=GREY, marker=marker, ms=5.5, mfc=face, label=label)


def draw_generations(
    table: pd.DataFrame,
    fits: Mapping[str, Look],
    groups: Mapping[str, Sequence[str]],
    structures: Sequence[str],
    level_of_theory: str,
) -> Figure:
    """Draw the transition of two crystals against generation: mean and spread over repeats.

    Parameters
    ----------
    table
        Rows of one transition, see :func:`phonsmith.transitions.tables.transitions_table`.
    fits
        Label, colour and marker of each fit.
    groups
        Fits by the first of their repeats.
    structures
        Ids of the two crystals.
    level_of_theory
        Level of theory of the reference.
    """
    first, second = structures
    rows = table[(table["first"] == first) & (table["second"] == second)]
    rows = rows[rows["temperature_kelvin"].isna()]
    # the first one is that of the loop's goal
    rows = rows[rows["approximation"].isin(rows["approximation"].iloc[:1])]
    unit = {"temperature": "K", "pressure": "GPa"}[table["driven_by"].iloc[0]]
    keys = ["fit", "generation"]
    # of a fit whose crystals are left out there is no comparison
    found = (
        table[keys]
        .drop_duplicates()
        .merge(rows.drop_duplicates(keys)[[*keys, "value"]], on=keys, how="left")
    )
    name = f"{first} to {second} ({unit})"
    return draw_against_generation(found, fits, groups, level_of_theory, name)
