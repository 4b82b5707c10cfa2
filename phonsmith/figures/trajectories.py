"""Figure of errors along molecular dynamics."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from phonsmith.benchmarks.trajectories import LAST_SNAPSHOTS
from phonsmith.distillation.settings import AMORPHOUS, CRYSTAL, LIQUID, Dynamics
from phonsmith.figures.rmse import plain_log
from phonsmith.figures.style import BLACK, DOUBLE_COLUMN_INCH, GREY, PALE, Look, legend_above, style

ERRORS = {
    "energy": ("|Energy error| (meV/atom)", 1000.0),
    "force": ("Force RMSE (eV/Å)", 1.0),
}


def draw_errors_along(
    table: pd.DataFrame, protocol: Dynamics, fits: Mapping[str, Look], *, reference: str
) -> Figure:
    """Draw the temperature of the runs, and below it the errors of each fit against time.

    (Counterpart of George et al. 2020, figure 6.)

    Parameters
    ----------
    table
        Table of :func:`phonsmith.benchmarks.trajectories.errors_along`, rows of one data set.
        Errors are means over the runs at equal times.
    protocol
        Protocol of the runs.
    fits
        Looks of the fits, in the order of the legend.
    reference
        Name of the reference method.
    """
    runs = table["run"].nunique()
    squares = table["force_rmse_ev_per_angstrom"] ** 2
    sized = table.assign(energy=table["energy_error_ev_per_atom"].abs(), force=squares)
    means = sized.groupby(["fit", "time_ps"], sort=False)[["energy", "force"]].mean().reset_index()
    means["force"] = np.sqrt(means["force"])
    with style():
        height = 4.6 + 0.14 * max(0, len(fits) - 8)  # the legend of many fits has many rows
        figure = Figure(figsize=(DOUBLE_COLUMN_INCH, height), layout="constrained")
        panels = figure.subplots(3, 1, sharex=True, height_ratios=(0.7, 1, 1))
        _draw_program(panels[0], protocol)
        panels[0].set_ylabel("Temperature (K)")
        words = f"reference: {reference}" + (f"; mean of {runs} runs" if runs > 1 else "")
        panels[0].set_title(words, loc="right", color=GREY, fontsize=6)
        for axes, (quantity, (label, factor)) in zip(panels[1:], ERRORS.items(), strict=True):
            axes.set_yscale("log")
            for fit, look in fits.items():
                line = means[means["fit"] == fit]
                times, values = line["time_ps"].to_numpy(), line[quantity].to_numpy() * factor
                axes.plot(times, values, marker=look.marker, ms=2.6, mew=0, color=look.colour)
            axes.set_ylabel(label)
            low, high = axes.get_ylim()
            axes.set_ylim(low / 1.4, high * 1.4)  # several labelled ticks
            plain_log(axes, "y")
            _mark_last(axes, table, protocol)
        panels[-1].set_xlabel("Time (ps)")
        panels[-1].set_xlim(0, max(protocol.steps * protocol.timestep_fs / 1000, 1e-6))
        handles = [
            Line2D([], [], marker=look.marker, ms=3, mew=0, color=look.colour, label=look.label)
            for look in fits.values()
        ]
        legend_above(figure, handles)
    return figure


def _draw_program(axes: Axes, protocol: Dynamics) -> None:
    """The temperature of the thermostat, and the names of the parts."""
    times, temperatures = [0.0], [protocol.program()[0].kelvin[0]]
    for part in protocol.program():
        start = times[-1]
        times += [start, start + part.ps]
        temperatures += part.kelvin
        if part.name and part.ps:
            axes.text(
                start + part.ps / 2,
                0.04,
                part.name,
                transform=axes.get_xaxis_transform(),
                ha="center",
                fontsize=6.5,
                color=GREY,
            )
    axes.plot(times, temperatures, color=BLACK)
    low, high = min(temperatures), max(temperatures)
    span = (high - low) or 0.1 * high
    axes.set_ylim(low - 0.45 * span, high + 0.15 * span)


def _mark_last(axes: Axes, table: pd.DataFrame, protocol: Dynamics) -> None:
    """The times over which the table of a melt and quench averages."""
    for name in (CRYSTAL, LIQUID, AMORPHOUS):
        times = np.unique(table.loc[table["part"] == name, "time_ps"])[-LAST_SNAPSHOTS:]
        if len(times):
            half = protocol.steps * protocol.timestep_fs / 1000 / protocol.snapshots / 2
            axes.axvspan(times[0] - half, times[-1] + half, color=PALE, alpha=0.5, lw=0, zorder=0)
