"""Distribution of the errors of fits on existing databases."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from phonsmith.figures.parity import QUANTITIES
from phonsmith.figures.rmse import plain_log
from phonsmith.figures.style import (
    DOUBLE_COLUMN_INCH,
    SINGLE_COLUMN_INCH,
    Look,
    legend_above,
    style,
)

LINE_STYLES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))
"""Line styles in order, to distinguish lines without colour."""
DECADES = 3e3
"""Ratio of largest to smallest error on the axis."""


def draw_database_errors(
    predictions: Mapping[str, pd.DataFrame], databases: list[str], fits: Mapping[str, Look]
) -> Figure:
    """Draw the cumulative distribution of absolute errors on the test cells of databases.

    One panel for each quantity, one line for each fit: the share of values (%) whose error is below
    the number on the axis. Lines further to the left are better. The legend contains the RMSE.
    (Counterpart of George et al. 2020, figure 5: a database alone and extended.)

    Parameters
    ----------
    predictions
        By fit, see :func:`phonsmith.fits.errors.predictions`.
    databases
        Names of the databases, as in the column ``structure``.
    fits
        Looks of the fits, in the order of the legend.
    """
    errors = {fit: _errors(predictions[fit], databases) for fit in fits if fit in predictions}
    quantities = [
        quantity for quantity in QUANTITIES if any(quantity in found for found in errors.values())
    ]
    with style():
        width = SINGLE_COLUMN_INCH if len(quantities) == 1 else DOUBLE_COLUMN_INCH
        height = 2.5 + 0.17 * len(errors)
        figure = Figure(figsize=(width, height), layout="constrained")
        panels = figure.subplots(1, max(1, len(quantities)), sharey=True, squeeze=False)[0]
        for axes, quantity in zip(panels, quantities, strict=False):
            _draw_panel(axes, quantity, errors, fits)
        panels[0].set_ylabel("Values with a smaller error (%)")
        handles = [
            Line2D([], [], color=fits[fit].colour, ls=_line(i), label=fits[fit].label)
            for i, fit in enumerate(errors)
        ]
        legend_above(figure, handles, most=3)
    return figure


def _errors(predictions: pd.DataFrame, databases: list[str]) -> dict[str, np.ndarray]:
    """Absolute errors by quantity, sorted, in the units of :data:`QUANTITIES` for errors."""
    wanted = predictions[
        (predictions["set"] == "test")
        & (predictions["kind"] == "recorded")
        & predictions["structure"].isin(databases)
    ].dropna(subset=["reference", "prediction"])
    found = {}
    for quantity, part in wanted.groupby("quantity"):
        _, _, factor, _, more = QUANTITIES[str(quantity)]
        difference = (part["prediction"] - part["reference"]).to_numpy(dtype=float)
        found[str(quantity)] = np.sort(np.abs(difference)) * factor * more
    return found


def _draw_panel(
    axes: Axes, quantity: str, errors: Mapping[str, dict[str, np.ndarray]], fits: Mapping[str, Look]
) -> None:
    title, _, _, unit, _ = QUANTITIES[quantity]
    shown = {fit: found[quantity] for fit, found in errors.items() if quantity in found}
    largest = max(float(values[-1]) for values in shown.values())
    # forces and stresses that are zero by symmetry would take most of the axis
    floor = max(1e-9, largest / DECADES)
    lines = []
    for i, (fit, values) in enumerate(shown.items()):
        share = 100 * np.arange(1, len(values) + 1) / len(values)
        heights = np.concatenate([[0.0], share])
        axes.step(
            np.concatenate([[floor / 10], np.maximum(values, floor / 10)]),
            heights,
            where="post",
            color=fits[fit].colour,
            ls=_line(i),
            lw=1.2,
        )
        rmse = float(np.sqrt(np.mean(values**2)))
        lines.append((f"{rmse:#.3g}".rstrip("."), fits[fit].colour))
    axes.set_xscale("log")
    axes.set_xlim(floor, max(largest * 1.2, floor * 3))
    axes.set_ylim(0, 101)
    plain_log(axes, "x")
    axes.grid(which="major")
    axes.set_title(title)
    axes.set_xlabel(f"Absolute error ({unit})")
    axes.text(0.03, 0.97, f"RMSE ({unit})", transform=axes.transAxes, va="top", fontsize=6.5)
    pitch = min(0.065, 0.88 / len(lines))
    for i, (text, colour) in enumerate(lines):
        axes.text(
            0.03,
            0.90 - pitch * i,
            text,
            transform=axes.transAxes,
            va="top",
            color=colour,
            fontsize=6.5,
        )


def _line(number: int) -> str | tuple[int, tuple[float, ...]]:
    return LINE_STYLES[number % len(LINE_STYLES)]
