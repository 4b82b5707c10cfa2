"""Figures of disordered structures: curves, similarity to crystals, maps of data sets.

Tables of curves and similarities have means and standard deviations over seeds, see
:func:`phonsmith.disorder.description.over_seeds`; the column ``model`` names the potential.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from phonsmith.figures.style import (
    BLACK,
    COLOURS,
    GREY,
    LINES,
    SINGLE_COLUMN_INCH,
    Look,
    legend_above,
    looks,
    style,
)


class Curve(NamedTuple):
    """Columns and axes of a curve: x, y without ``_mean``, labels, and the value without order.

    ``bottom`` is the lowest value of the y axis; None leaves it to the values.
    """

    x: str
    y: str
    x_label: str
    y_label: str
    level: float | None = None
    bottom: float | None = 0.0


STRUCTURE_FACTOR = Curve("q_inverse_angstrom", "structure_factor", "Q (1/Å)", "S(Q)", 1.0)
PAIR_DISTRIBUTION = Curve("r_angstrom", "pair_distribution", "r (Å)", "g(r)", 1.0)
ANGLES = Curve(
    "angle_degree", "density_per_degree", "Bond angle (degrees)", "Probability per degree"
)

DENSITY = Curve(
    "pressure_gpa", "density_g_per_cm3", "Pressure (GPa)", "Density (g/cm³)", bottom=None
)

TETRAHEDRAL_DEGREE = float(np.degrees(np.arccos(-1 / 3)))


def draw_curves(table: pd.DataFrame, curve: Curve, models: Mapping[str, Look]) -> Figure:
    """Draw a curve of each model: mean over seeds, with a band of one standard deviation.

    (S(Q): counterpart of Morrow and Deringer 2022, figures S3 and S4.)

    Parameters
    ----------
    table
        Columns ``model``, x and ``y_mean`` of the curve, and ``y_std``.
    curve
        :data:`STRUCTURE_FACTOR`, :data:`PAIR_DISTRIBUTION`, :data:`ANGLES` or :data:`DENSITY`.
    models
        Looks of the models, in the order of the legend.
    """
    with style():
        shown = _shown(table, models)
        figure = Figure(figsize=(SINGLE_COLUMN_INCH, 2.2 + 0.14 * len(shown)), layout="constrained")
        axes = figure.subplots()
        if curve.level is not None:
            axes.axhline(curve.level, color=GREY, lw=0.5)
        if curve is ANGLES:
            axes.axvline(TETRAHEDRAL_DEGREE, color=GREY, lw=0.5, ls=LINES[2])
        for number, name in enumerate(shown):
            rows = table[table["model"] == name].sort_values(curve.x)
            _draw_line(axes, rows, (curve.x, curve.y), models[name].colour, _line(number))
        known = table[table["model"].isin(shown)].dropna(subset=[f"{curve.y}_mean"])
        if curve is not STRUCTURE_FACTOR:  # nothing below the shortest distance or angle
            known = known[known[f"{curve.y}_mean"] > 0]
        if len(known):
            axes.set_xlim(known[curve.x].min(), known[curve.x].max())
        axes.set_ylim(bottom=curve.bottom)
        axes.set_xlabel(curve.x_label)
        axes.set_ylabel(curve.y_label)
        handles = [_handle(models[name], _line(number)) for number, name in enumerate(shown)]
        if curve is ANGLES:
            label = f"tetrahedral, {TETRAHEDRAL_DEGREE:.2f}°"
            handles.append(Line2D([], [], color=GREY, lw=0.5, ls=LINES[2], label=label))
        legend_above(figure, handles, most=2)
    return figure


def draw_similarity_of_models(
    table: pd.DataFrame,
    models: Mapping[str, Look],
    crystal: str,
    *,
    teacher: str,
    failures: Mapping[str, Sequence[float]] | None = None,
) -> Figure:
    """Draw the similarity to a crystal at equal pressure against pressure, for several models.

    Below, the difference from the teacher, interpolated linearly to the pressures of each model.
    An asterisk marks the pressure at which a run failed. (Counterpart of Morrow and Deringer 2022,
    figure 4.)

    Parameters
    ----------
    table
        Columns ``model``, ``crystal``, ``lattice``, ``pressure_gpa``, ``similarity_mean`` and
        ``similarity_std``.
    models
        Looks of the models, in the order of the legend.
    crystal
        Name of the crystal.
    teacher
        Model from which the others differ.
    failures
        Pressures (GPa) at which runs of a model failed.
    """
    scaled = table[(table["crystal"] == crystal) & (table["lattice"] == "scaled")]
    shown = _shown(scaled, models)
    lost = failures or {}
    with style():
        figure = Figure(figsize=(SINGLE_COLUMN_INCH, 3.0 + 0.14 * len(shown)), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
        reference = scaled[scaled["model"] == teacher].dropna(subset=["similarity_mean"])
        reference = reference.sort_values("pressure_gpa")
        for number, name in enumerate(shown):
            rows = scaled[scaled["model"] == name].sort_values("pressure_gpa")
            colour, line = models[name].colour, _line(number)
            _draw_line(upper, rows, _SIMILARITY, colour, line)
            if name != teacher and len(reference):
                rows = _minus(rows, reference)
                _draw_line(lower, rows, _SIMILARITY, colour, line)
            _mark_failures(upper, scaled[scaled["model"] == name], lost.get(name, ()), colour)
        lower.axhline(0, color=GREY, lw=0.5)
        upper.set_ylabel(f"Similarity to {crystal}")
        lower.set_ylabel("Difference\nfrom teacher")
        lower.set_xlabel("Pressure (GPa)")
        handles = [_handle(models[name], _line(number)) for number, name in enumerate(shown)]
        if any(lost.get(name) for name in shown):
            handles.append(_asterisk("run failed"))
        legend_above(figure, handles, most=2)
    return figure


def draw_similarity_to_crystals(
    table: pd.DataFrame, models: Mapping[str, Look], crystals: Mapping[str, str]
) -> Figure:
    """Draw the similarity to several crystals against pressure, one panel for each model.

    Solid lines: crystal at the pressure of the structure. Dashed lines: crystal at its lowest
    pressure. (Counterpart of Morrow and Deringer 2022, figures S1 and S2.)

    Parameters
    ----------
    table
        Columns as in :func:`draw_similarity_of_models`.
    models
        Looks of the models, in the order of the panels.
    crystals
        Labels of the crystals by name, in the order of the legend.
    """
    shown = _shown(table, models)
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(crystals)}
    with style():
        figure = Figure(figsize=(SINGLE_COLUMN_INCH, 0.9 + 1.7 * len(shown)), layout="constrained")
        panels = figure.subplots(len(shown) or 1, 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        for axes, model in zip(panels, shown, strict=False):
            for crystal, colour in colours.items():
                for lattice, line in _LATTICES.items():
                    chosen = (
                        (table["model"] == model)
                        & (table["crystal"] == crystal)
                        & (table["lattice"] == lattice)
                    )
                    rows = table[chosen].sort_values("pressure_gpa")
                    _draw_line(axes, rows, _SIMILARITY, colour, line)
            axes.set_title(models[model].label)
            axes.set_ylabel("Similarity")
        panels[-1].set_xlabel("Pressure (GPa)")
        handles = [
            Line2D([], [], color=colour, label=crystals[name]) for name, colour in colours.items()
        ]
        words = {"scaled": "crystal at this pressure", "fixed": "crystal without pressure"}
        handles += [
            Line2D([], [], color=BLACK, ls=line, label=words[lattice])
            for lattice, line in _LATTICES.items()
        ]
        legend_above(figure, handles, most=2)
    return figure


_SIMILARITY = ("pressure_gpa", "similarity")
_LATTICES: dict[str, Any] = {"scaled": "-", "fixed": LINES[1]}


def draw_map(table: pd.DataFrame, labels: Mapping[str, str]) -> Figure:
    """Draw data sets as points in the map of their SOAP distances.

    (Counterpart of Morrow and Deringer 2022, figure 2.)

    Parameters
    ----------
    table
        See :func:`phonsmith.disorder.data_map.data_map`; ``cells``, the size of each set, may be
        missing.
    labels
        Labels of the sets, in the order of the legend; larger sets are drawn below smaller ones.
    """
    sizes = table["set"].value_counts()
    whole = table.groupby("set")["cells"].first() if "cells" in table else sizes
    sets = looks(labels)
    with style():
        figure = Figure(figsize=(SINGLE_COLUMN_INCH, SINGLE_COLUMN_INCH), layout="constrained")
        axes = figure.subplots()
        handles = []
        for name in sorted(labels, key=lambda label: -int(sizes.get(label, 0))):
            rows = table[table["set"] == name]
            axes.scatter(
                rows["component_1"],
                rows["component_2"],
                s=10,
                color=sets[name].colour,
                marker=sets[name].marker,
                linewidths=0,
                alpha=0.6,
                rasterized=len(rows) > 2000,
            )
        for name, look in sets.items():
            shown, known = int(sizes.get(name, 0)), int(whole.get(name, 0))
            number = f"{shown}" if shown == known else f"{shown} of {known}"
            text = f"{look.label} ({number} cells)"
            handles.append(
                Line2D([], [], ls="none", color=look.colour, marker=look.marker, ms=3.5, label=text)
            )
        shares = [table[f"variance_{i}_percent"].iloc[0] if len(table) else 0 for i in (1, 2)]
        axes.set_xlabel(f"Component 1 ({shares[0]:.0f} % of the variance)")
        axes.set_ylabel(f"Component 2 ({shares[1]:.0f} %)")
        # distances in the map are SOAP distances
        axes.set_aspect("equal", adjustable="datalim")
        legend_above(figure, handles, most=2)
    return figure


def _shown(table: pd.DataFrame, models: Mapping[str, Look]) -> list[str]:
    found = set(table["model"])
    return [name for name in models if name in found]


def _line(number: int) -> Any:
    return LINES[number % len(LINES)]


def _handle(look: Look, line: Any) -> Line2D:
    return Line2D([], [], color=look.colour, ls=line, label=look.label)


def _draw_line(
    axes: Axes, rows: pd.DataFrame, columns: tuple[str, str], colour: str, line: Any
) -> None:
    """A line of means with a band of one standard deviation."""
    if not len(rows):
        return
    x, y = columns
    places, means = rows[x].to_numpy(dtype=float), rows[f"{y}_mean"].to_numpy(dtype=float)
    spread = np.nan_to_num(rows[f"{y}_std"].to_numpy(dtype=float))
    if spread.any():
        axes.fill_between(places, means - spread, means + spread, color=colour, alpha=0.2, lw=0)
    axes.plot(places, means, color=colour, ls=line)


def _minus(rows: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """Similarities less those of the reference at the same pressures, where it has some."""
    pressures = reference["pressure_gpa"].to_numpy(dtype=float)
    inside = rows[rows["pressure_gpa"].between(pressures.min(), pressures.max())]
    known = np.interp(
        inside["pressure_gpa"].to_numpy(dtype=float),
        pressures,
        reference["similarity_mean"].to_numpy(dtype=float),
    )
    return inside.assign(similarity_mean=inside["similarity_mean"] - known)


def _mark_failures(axes: Axes, rows: pd.DataFrame, pressures: Sequence[float], colour: str) -> None:
    """Asterisks at the last known similarity before each failure."""
    known = rows.dropna(subset=["similarity_mean"]).sort_values("pressure_gpa")
    for pressure in pressures:
        before = known[known["pressure_gpa"] <= pressure]
        height = before["similarity_mean"].iloc[-1] if len(before) else axes.get_ylim()[0]
        axes.plot(pressure, height, marker=_ASTERISK, ms=6, color=colour, ls="none", zorder=4)


_ASTERISK: Any = (6, 2, 0)  # six rays: a star would be the reference


def _asterisk(label: str) -> Line2D:
    return Line2D([], [], ls="none", marker=_ASTERISK, ms=6, color=GREY, label=label)
