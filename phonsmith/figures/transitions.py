"""Figures of phase transitions."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from phonsmith.applications import PublishedTransition
from phonsmith.figures.style import (
    BLACK,
    COLOURS,
    GREY,
    PALE,
    SINGLE_COLUMN_INCH,
    Look,
    style,
)
from phonsmith.transitions import Comparison, Result

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
    """Energies relative to the first crystal, one panel for each method, stacked.

    A panel with a transition shows the energies around it; crystals far above are then outside.
    Filled symbols mark stable transitions (circles: harmonic or relaxed, squares: otherwise);
    hollow ones have another crystal below. Grey lines and bands are published values.
    """
    known = list(results)
    unit = results[known[0]].unit
    first = structures[0]
    colours = dict(zip(structures[1:], _colours(len(structures) - 1), strict=True))
    with style():
        figure = Figure(figsize=(SINGLE_COLUMN_INCH, 0.8 + 1.75 * len(known)), layout="constrained")
        rows = figure.subplots(len(known), 1, sharex=True, squeeze=False)[:, 0]
        used: set[str] = set()
        hidden: set[str] = set()
        for axes, method in zip(rows, known, strict=True):
            _draw_published(axes, published)
            axes.axhline(0, color=BLACK, lw=0.8)
            shown = [one for one in results[method].comparisons if one.temperature_k is None]
            for one in shown:
                if one.first == first and one.x:
                    used.add(one.approximation)
                    _draw_comparison(axes, one, colours[one.second])
            if not any(one.first == first and one.x for one in shown):
                axes.text(0.5, 0.6, "no comparison", transform=axes.transAxes, ha="center")
            symbols = {_WORDS[one.approximation][0] for one in shown} or {"E"}
            axes.set_ylabel(f"Δ{'/Δ'.join(sorted(symbols))} (meV/atom)")
            axes.set_title(methods[method].label)
            hidden |= _frame(axes, [one for one in shown if one.first == first and one.x])
            axes.grid(axis="y")
        rows[-1].set_xlabel(_AXES[unit])
        colours = {
            f"{name} (outside of a panel)" if name in hidden else name: colour
            for name, colour in colours.items()
        }
        _legend(figure, first, colours, [one for one in _WORDS if one in used], published)
    return figure


def _colours(number: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(number)]


def _draw_comparison(axes: Any, one: Comparison, colour: str) -> None:
    marked = one.approximation == "enthalpy"
    axes.plot(
        one.x,
        one.difference_mev_per_atom,
        color=colour,
        ls=_LINES[one.approximation],
        lw=1.2,
        marker="." if marked else None,
        ms=3,
    )
    for crossing in one.crossings:
        axes.plot(
            crossing.value,
            0,
            marker="o" if _LINES[one.approximation] == "-" else "s",
            ms=5 if _LINES[one.approximation] == "-" else 3.5,
            mec=colour,
            mfc=colour if crossing.stable else "white",
            zorder=4,
        )


def _frame(axes: Any, shown: Sequence[Comparison]) -> set[str]:
    """Limits around the crystals that cross, where there are any; the names of those outside."""
    ranges: dict[str, tuple[float, float]] = {}
    for one in shown:
        values = [*one.difference_mev_per_atom, 0.0]
        low, high = ranges.get(one.second, (0.0, 0.0))
        ranges[one.second] = (min(low, *values), max(high, *values))
    close = {one.second for one in shown if one.crossings} or set(ranges)
    if not close:
        return set()
    low = min(ranges[name][0] for name in close)
    high = max(ranges[name][1] for name in close)
    low, high = low - 0.15 * (high - low), high + 0.15 * (high - low)
    axes.set_ylim(low, high)
    return {
        one.second
        for one in shown
        if all(not low < value < high for value in one.difference_mev_per_atom)
    }


def _draw_published(axes: Any, published: Sequence[PublishedTransition]) -> None:
    for number, one in enumerate(published):
        if one.up_to is None:
            axes.axvline(one.value, color=GREY, lw=0.9, ls=_DASHES[number % len(_DASHES)])
        else:
            axes.axvspan(one.value, one.up_to, color=PALE, lw=0, zorder=0)


_DASHES = ("-.", (0, (1, 1)), (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)))


def _legend(
    figure: Figure,
    first: str,
    colours: Mapping[str, str],
    approximations: Sequence[str],
    published: Sequence[PublishedTransition],
) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [Line2D([], [], color=BLACK, lw=0.8, label=first)]
    handles += [Line2D([], [], color=colour, label=name) for name, colour in colours.items()]
    if len(approximations) > 1:
        handles += [
            Line2D([], [], color=GREY, ls=_LINES[one], label=_WORDS[one][1])
            for one in approximations
        ]
    for number, one in enumerate(published):
        if one.up_to is None:
            line = _DASHES[number % len(_DASHES)]
            handles.append(Line2D([], [], color=GREY, lw=0.9, ls=line, label=one.label))
        else:
            handles.append(Patch(color=PALE, label=one.label))
    figure.legend(handles=handles, loc="outside lower center", ncols=2)


def draw_generations(
    table: pd.DataFrame,
    fits: Mapping[str, Look],
    groups: Mapping[str, Sequence[str]],
    structures: Sequence[str],
    level_of_theory: str,
) -> Figure:
    """Transition of the first two crystals against generation: mean and spread over repeats.

    Parameters
    ----------
    table
        Rows of one transition, see :func:`phonsmith.transitions.transitions_table`.
    """
    first, second = structures
    rows = table[(table["first"] == first) & (table["second"] == second)]
    rows = rows[rows["temperature_k"].isna()]
    # the first one is that of the loop's goal
    rows = rows[rows["approximation"].isin(rows["approximation"].iloc[:1])]
    unit = {"temperature": "K", "pressure": "GPa"}[table["driven_by"].iloc[0]]
    with style():
        figure = Figure(figsize=(SINGLE_COLUMN_INCH, 2.6), layout="constrained")
        axes = figure.subplots()
        reference = rows[rows["fit"] == "reference"]["value"].dropna()
        if len(reference):
            label = f"reference: {level_of_theory}"
            axes.axhline(reference.iloc[0], color=BLACK, ls="--", lw=0.8, label=label)
        drawn = len(reference)
        for name, repeats in groups.items():
            part = rows[rows["fit"].isin(repeats)].groupby(["fit", "generation"])["value"].first()
            values = part.dropna().groupby("generation")
            mean, spread = values.mean(), values.std(ddof=1).fillna(0.0)
            if mean.empty:
                continue
            drawn += len(mean)
            look = fits[name]
            axes.errorbar(
                mean.index.to_numpy(dtype=float),
                mean,
                yerr=spread,
                color=look.colour,
                marker=look.marker,
                ms=4,
                lw=1.2,
                capsize=2,
                label=look.wrapped(28),
            )
        generations = sorted(rows["generation"].dropna().unique())
        if generations:
            axes.set_xticks(np.arange(generations[0], generations[-1] + 1))
        axes.set_xlabel("Generation")
        axes.set_ylabel(f"{first} to {second} ({unit})")
        axes.grid(axis="y")
        if drawn:
            axes.legend(loc="best")
        else:
            axes.text(0.5, 0.5, "none in range", transform=axes.transAxes, ha="center")
    return figure
