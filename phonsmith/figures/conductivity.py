"""Figures of the thermal conductivity: against temperature, and where the heat is."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from phonsmith.applications import Conductivity
from phonsmith.conductivity import Modes
from phonsmith.figures.style import (
    BLACK,
    DOUBLE_COLUMN_INCH,
    GREY,
    SINGLE_COLUMN_INCH,
    Look,
    looks,
    style,
)

SOLVERS = {"rta": "relaxation time", "lbte": "direct solution"}
"""The solvers in words."""
PUBLISHED_MARKERS = ("P", "X", "*", "h", "d", "8")


def method_looks(
    methods: Sequence[str], labels: Mapping[str, str], level_of_theory: str
) -> dict[str, Look]:
    """Looks by method: the reference black, fits as in all figures of the campaign."""
    fits = looks(labels)
    found = {"reference": Look(f"reference: {level_of_theory}", BLACK, "")}
    found |= {one: fits[one.partition("/")[0]] for one in methods if one != "reference"}
    return {one: found[one] for one in methods}


def draw_conductivity(
    table: pd.DataFrame, methods: Mapping[str, Look], settings: Conductivity, structure: str
) -> Figure:
    """Mean conductivity against temperature, with the published values beside.

    One line per method and solver, of the first kind of scattering and correction.

    Parameters
    ----------
    table
        Rows of one structure, see :func:`phonsmith.conductivity_tables.conductivity_table`.
    """
    with style():
        figure = Figure(figsize=(SINGLE_COLUMN_INCH, 2.9), layout="constrained")
        axes = figure.subplots()
        computed = table[(table["component"] == "mean") & table["solver"].notna()]
        for method, look in methods.items():
            own = computed[computed["method"] == method]
            if own.empty:
                continue
            first = own.iloc[0]
            same = (own["isotopes"] == first["isotopes"]) & (
                own["non_analytical"] == first["non_analytical"]
            )
            for solver, ls in zip(settings.solvers, ("-", "--"), strict=False):
                line = own[same & (own["solver"] == solver)].sort_values("temperature_kelvin")
                name = look.label
                if len(settings.solvers) > 1:
                    name += f", {SOLVERS[solver]}"
                axes.plot(
                    line["temperature_kelvin"],
                    line["kappa_w_per_m_k"],
                    color=look.colour,
                    marker=look.marker,
                    ms=3.5,
                    ls=ls,
                    label=name,
                )
        _published(axes, settings, structure)
        axes.set_xscale("log")
        axes.set_yscale("log")
        _plain_ticks(axes, settings)
        axes.grid(which="major")
        axes.set_xlabel("Temperature (K)")
        axes.set_ylabel("Thermal conductivity (W/mK)")
        # above the axes, one below the other: lines go through every corner
        lines = len(axes.get_legend_handles_labels()[0])
        figure.set_figheight(2.6 + 0.13 * lines)
        figure.legend(loc="outside upper left", fontsize=6)
    return figure


def _published(axes: Axes, settings: Conductivity, structure: str) -> None:
    """Published values as grey marks, one look for each label."""
    values: dict[str, list[tuple[float, float]]] = {}
    for one in settings.published:
        if one.structure == structure:
            direction = "" if one.direction is None else " [{}{}{}]".format(*one.direction)
            point = (one.temperature_kelvin, one.kappa_w_per_m_k)
            values.setdefault(one.label + direction, []).append(point)
    for number, (label, points) in enumerate(values.items()):
        x, y = np.array(points).T
        marker = PUBLISHED_MARKERS[number % len(PUBLISHED_MARKERS)]
        axes.plot(x, y, ls="none", marker=marker, color=GREY, ms=4.5, mfc="white", label=label)


def _plain_ticks(axes: Axes, settings: Conductivity) -> None:
    """Numbers as people write them, on logarithmic axes over less than a decade or two."""
    axes.set_xticks(settings.temperatures_kelvin)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_formatter(NullFormatter())
    low, high = axes.get_ylim()
    nice = [m * 10.0**e for e in range(-3, 5) for m in (1, 2, 5)]
    axes.set_yticks([one for one in nice if low <= one <= high])
    axes.set_ylim(low, high)


def draw_cumulative(
    modes: Mapping[str, Modes | None], methods: Mapping[str, Look], temperature: float
) -> Figure:
    """Conductivity of all modes below a frequency, and below a mean free path.

    Parameters
    ----------
    modes
        By method; None where there is no conductivity.
    temperature
        K, for the title.
    """
    with style():
        figure = Figure(figsize=(DOUBLE_COLUMN_INCH, 2.6), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        shortest, longest = np.inf, 0.0
        for method, look in methods.items():
            own = modes[method]
            if own is None:
                continue
            left.plot(own.curve_frequencies, own.by_frequency, color=look.colour, label=look.label)
            paths = own.curve_paths / 10
            right.plot(paths, own.by_path, color=look.colour)
            carried = paths[own.by_path > 0.002 * own.by_path[-1]]
            shortest, longest = min(shortest, carried[0]), max(longest, paths[-1])
        if longest:
            right.set_xlim(shortest, longest)
        right.set_xscale("log")
        left.set_xlim(left=0)
        left.set_ylim(bottom=0)
        left.set_xlabel("Frequency (THz)")
        right.set_xlabel("Mean free path (nm)")
        left.set_ylabel(f"Cumulative conductivity\nat {temperature:g} K (W/mK)")
        for axes in (left, right):
            axes.grid()
        left.legend(loc="upper left")
    return figure
