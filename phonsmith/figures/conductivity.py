"""Figures of the thermal conductivity: against temperature, and cumulative."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import NullFormatter, ScalarFormatter

from phonsmith.conductivity.kappa import Modes
from phonsmith.conductivity.settings import Conductivity
from phonsmith.conductivity.tables import direction_name
from phonsmith.figures.generations import draw_against_generation
from phonsmith.figures.rmse import plain_log
from phonsmith.figures.style import (
    DOUBLE_COLUMN_INCH,
    GREY,
    PALE,
    REFERENCE_MARKER,
    SINGLE_COLUMN_INCH,
    Look,
    say_lacking,
    style,
)

SOLVERS = {"rta": "relaxation time", "lbte": "direct solution"}
"""Descriptions of the solvers."""
PUBLISHED_MARKERS = ("P", "X", "h", "d", "8", "p")
LINES = ("-", "--")
"""Line styles of the first and the second solver; symbols are filled and hollow."""


def draw_conductivity(
    table: pd.DataFrame, methods: Mapping[str, Look], settings: Conductivity, structure: str
) -> Figure:
    """Draw the mean conductivity and the conductivity along directions, with published values.

    Several temperatures have one panel per component; for a single temperature the values are drawn
    side by side. Each method and solver has one line or point, of the first kind of scattering and
    correction.

    Parameters
    ----------
    table
        Rows of one structure, see :func:`phonsmith.conductivity.tables.conductivity_table`.
    methods
        Label, colour and marker of each method.
    settings
        Settings of the conductivity.
    structure
        Name of the crystal, for the title.
    """
    single = len(settings.temperatures_kelvin) == 1
    with style():
        found = _values(table, methods, settings)
        figure = (_draw_groups if single else _draw_panels)(found, methods, settings, structure)
        known = {method for method, _, _ in found}
        say_lacking(
            figure.axes[0], (look.label for method, look in methods.items() if method not in known)
        )
        # above the axes, one below the other: lines go through every corner
        handles: dict[str, Any] = {}
        for panel in figure.axes:
            for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
                handles.setdefault(label, handle)
        columns = 1 if figure.get_figwidth() == SINGLE_COLUMN_INCH else 3
        rows = 1 + -(-len(handles) // columns)
        figure.set_figheight(figure.get_figheight() + 0.13 * rows)
        if handles:
            figure.legend(
                handles.values(),
                handles.keys(),
                loc="outside upper left",
                fontsize=6,
                ncols=columns,
            )
        _set_crystal(figure, structure)
    return figure


def _set_crystal(figure: Figure, structure: str) -> None:
    """Write the name of the crystal above the legend, or above a figure without legend."""
    if not figure.legends:
        figure.suptitle(structure, x=0.01, ha="left", fontsize=7.5, fontweight="bold")
        return
    legend = figure.legends[0]
    legend.set_title(structure, prop=FontProperties(size=7.5, weight="bold"))
    legend.set_alignment("left")


def _values(
    table: pd.DataFrame, methods: Iterable[str], settings: Conductivity
) -> dict[tuple[str, str, str], pd.Series]:
    """Return conductivities by temperature, of the first kind, by method, solver, component."""
    computed = table[table["solver"].notna() & table["kappa_w_per_m_k"].notna()]
    found: dict[tuple[str, str, str], pd.Series] = {}
    for method in methods:
        own = computed[computed["method"] == method]
        if own.empty:
            continue
        first = own.iloc[0]
        for kind in ("isotopes", "non_analytical"):
            own = own[own[kind] == first[kind]]
        for solver, component in itertools.product(settings.solvers, set(own["component"])):
            rows = own[(own["solver"] == solver) & (own["component"] == component)]
            if len(rows):
                line = rows.set_index("temperature_kelvin")["kappa_w_per_m_k"].sort_index()
                found[method, solver, component] = line
    return found


def _components(settings: Conductivity, structure: str) -> list[str]:
    """Return the components to draw: the mean, and computed or published directions."""
    names = ["mean", *map(direction_name, settings.directions)]
    names += [
        direction_name(value.direction)
        for value in settings.published
        if value.structure == structure and value.direction
    ]
    return list(dict.fromkeys(names))


def _draw_panels(
    found: Mapping[tuple[str, str, str], pd.Series],
    methods: Mapping[str, Look],
    settings: Conductivity,
    structure: str,
) -> Figure:
    components = _components(settings, structure)
    columns = 1 if len(components) == 1 else 2
    rows = -(-len(components) // columns)
    width = SINGLE_COLUMN_INCH if columns == 1 else DOUBLE_COLUMN_INCH
    figure = Figure(figsize=(width, 2.6 if rows == 1 else 2.1 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flatten()
    for axes, component in zip(panels, components, strict=False):
        for (method, solver, direction), line in found.items():
            if direction == component:
                look, number = methods[method], _number(solver, settings)
                axes.plot(
                    line.index.to_numpy(dtype=float),
                    line.to_numpy(),
                    ls=LINES[number],
                    label=_label(look, solver, settings),
                    **_symbol(look, number),
                )
        for label, number, points in _published(settings, structure, component):
            axes.plot(*np.array(points).T, label=label, **_published_symbol(number))
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.grid(which="major")
        if len(components) > 1:
            axes.set_title(component)
    _plain_ticks(panels[0], settings)
    for axes in panels[len(components) :]:
        axes.set_axis_off()
    for axes in panels[max(0, len(components) - columns) : len(components)]:
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("Temperature (K)")
    for axes in panels[: len(components) : columns]:
        axes.set_ylabel("Thermal conductivity (W/mK)")
    return figure


def _draw_groups(
    found: Mapping[tuple[str, str, str], pd.Series],
    methods: Mapping[str, Look],
    settings: Conductivity,
    structure: str,
) -> Figure:
    """Draw values at a single temperature, grouped by component, published values on the right."""
    components = _components(settings, structure)
    published = {name: _published(settings, structure, name) for name in components}
    kinds = list(dict.fromkeys((method, solver) for method, solver, _ in found))
    numbers = sorted({number for values in published.values() for _, number, _ in values})
    places = np.linspace(-0.35, 0.35, len(kinds) + len(numbers) + 2)[1:-1]
    width = SINGLE_COLUMN_INCH if len(components) <= 4 else DOUBLE_COLUMN_INCH
    figure = Figure(figsize=(width, 2.6), layout="constrained")
    axes = figure.subplots()
    for place, (method, solver) in zip(places, kinds, strict=False):
        group = [i for i, name in enumerate(components) if (method, solver, name) in found]
        axes.plot(
            place + np.array(group, dtype=float),
            [found[method, solver, components[i]].iloc[0] for i in group],
            ls="none",
            label=_label(methods[method], solver, settings),
            **_symbol(methods[method], _number(solver, settings)),
        )
    for i, component in enumerate(components):
        for label, number, points in published[component]:
            place = places[len(kinds) + numbers.index(number)]
            x = np.full(len(points), i + place)
            axes.plot(x, [y for _, y in points], label=label, **_published_symbol(number))
    axes.set_xticks(range(len(components)), components)
    axes.set_xlim(-0.5, len(components) - 0.5)
    for i in range(1, len(components)):
        axes.axvline(i - 0.5, color=PALE, lw=0.5)
    axes.tick_params(axis="x", length=0)
    axes.set_ylim(bottom=0)
    axes.grid(axis="y")
    kelvin = settings.temperatures_kelvin[0]
    axes.set_ylabel(f"Thermal conductivity at {kelvin:g} K (W/mK)")
    return figure


def _label(look: Look, solver: str, settings: Conductivity) -> str:
    return look.label if len(settings.solvers) == 1 else f"{look.label}, {SOLVERS[solver]}"


def _number(solver: str, settings: Conductivity) -> int:
    return [str(known) for known in settings.solvers].index(solver)


def _symbol(look: Look, number: int) -> dict[str, Any]:
    """Return colour and marker of a method, hollow for the second solver."""
    face = look.colour if number == 0 else "white"
    size = 6 if look.marker == REFERENCE_MARKER else 4
    return {"color": look.colour, "marker": look.marker, "ms": size, "mfc": face, "mew": 0.8}


def _published_symbol(number: int) -> dict[str, Any]:
    marker = PUBLISHED_MARKERS[number % len(PUBLISHED_MARKERS)]
    return {"ls": "none", "marker": marker, "color": GREY, "ms": 4.5, "mfc": "white", "mew": 0.8}


def _published(
    settings: Conductivity, structure: str, component: str
) -> list[tuple[str, int, list[tuple[float, float]]]]:
    """Return published values of a component: label, its number, (temperature, conductivity)."""
    own = [value for value in settings.published if value.structure == structure]
    labels = list(dict.fromkeys(value.label for value in own))
    values: dict[str, list[tuple[float, float]]] = {}
    for value in own:
        if (direction_name(value.direction) if value.direction else "mean") == component:
            point = (value.temperature_kelvin, value.kappa_w_per_m_k)
            values.setdefault(value.label, []).append(point)
    return [(label, labels.index(label), points) for label, points in values.items()]


def _plain_ticks(axes: Axes, settings: Conductivity) -> None:
    """Use plain numbers on logarithmic axes over less than a decade or two."""
    axes.set_xticks(_apart(settings.temperatures_kelvin))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_formatter(NullFormatter())
    low, high = axes.get_ylim()
    nice = np.array([m * 10.0**e for e in range(-4, 6) for m in (1, 2, 5)])
    low, high = nice[nice <= low].max(), nice[nice >= high].min()
    axes.set_yticks(nice[(low <= nice) & (nice <= high)])
    axes.set_ylim(low, high)


def _apart(temperatures: Sequence[float]) -> list[float]:
    """Return lowest and highest temperature, and those between whose labels do not overlap.

    >>> _apart([100, 200, 300, 400, 500, 600, 700, 800, 900, 1000])
    [100, 200, 300, 500, 1000]
    """
    ticks = sorted(temperatures)
    room = (ticks[-1] / ticks[0]) ** 0.17
    chosen = ticks[:1]
    for tick in ticks[1:-1]:
        if tick / chosen[-1] > room and ticks[-1] / tick > room:
            chosen.append(tick)
    return chosen + ticks[-1:]


def draw_cumulative(
    modes: Mapping[str, Modes | None],
    methods: Mapping[str, Look],
    temperature: float,
    structure: str,
) -> Figure:
    """Draw the conductivity of all modes below a frequency and below a mean free path.

    Parameters
    ----------
    modes
        Conductivity of single modes by method; None if unavailable.
    methods
        Label, colour and marker of each method.
    temperature
        Temperature in K, for the axis label.
    structure
        Name of the crystal, for the title.
    """
    with style():
        figure = Figure(figsize=(DOUBLE_COLUMN_INCH, 2.6), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        shortest, longest = np.inf, 0.0
        lacking = []
        for method, look in methods.items():
            own = modes[method]
            if own is None:
                lacking.append(look.label)
                continue
            left.plot(own.curve_frequencies, own.by_frequency, color=look.colour, label=look.label)
            paths = own.curve_paths / 10
            right.plot(paths, own.by_path, color=look.colour)
            carried = paths[own.by_path > 0.002 * own.by_path[-1]]
            shortest, longest = min(shortest, carried[0]), max(longest, paths[-1])
        if longest:
            right.set_xlim(shortest, longest)
        right.set_xscale("log")
        plain_log(right, "x")
        left.set_xlim(left=0)
        left.set_ylim(bottom=0)
        left.set_xlabel("Frequency (THz)")
        right.set_xlabel("Mean free path (nm)")
        left.set_ylabel(f"Cumulative conductivity\nat {temperature:g} K (W/mK)")
        for axes in (left, right):
            axes.grid()
        say_lacking(left, lacking)
        if len(lacking) < len(methods):
            figure.legend(loc="outside upper left", ncols=3)
        _set_crystal(figure, structure)
    return figure


def draw_generations(
    table: pd.DataFrame,
    fits: Mapping[str, Look],
    groups: Mapping[str, Sequence[str]],
    settings: Conductivity,
    level_of_theory: str,
    *,
    structure: str,
) -> Figure:
    """Draw the mean conductivity against generation, of the first kind at one temperature.

    Parameters
    ----------
    table
        Rows of one structure, see :func:`phonsmith.conductivity.tables.conductivity_table`.
    fits
        Label, colour and marker of each fit.
    groups
        Fits by the first of their repeats.
    settings
        Settings of the conductivity.
    level_of_theory
        Level of theory of the reference.
    structure
        Name of the crystal, for the title.
    """
    published = {value.label for value in settings.published}
    methods = [method for method in table["method"].unique() if method not in published]
    kelvin = settings.cumulative_kelvin or settings.temperatures_kelvin[0]
    found = _values(table, methods, settings)
    rows = []
    for method in methods:
        fit, _, generation = method.partition("/gen")
        values = found.get((method, settings.solvers[0], "mean"))
        rows.append(
            {
                "fit": fit,
                "generation": float(generation) if generation else math.nan,
                "value": math.nan if values is None else values[kelvin],
            }
        )
    figure = draw_against_generation(
        pd.DataFrame(rows), fits, groups, level_of_theory, f"κ at {kelvin:g} K (W/mK)"
    )
    with style():
        _set_crystal(figure, structure)
    return figure
