"""Figure of errors against the cost of potentials."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from phonsmith.figures.rmse import plain_log
from phonsmith.figures.style import BLACK, DOUBLE_COLUMN_INCH, Look, legend_above, style

ROWS = {
    "energy_mae_ev_per_atom": ("Energy MAE (meV/atom)", 1000.0),
    "force_mae_ev_per_angstrom": ("Force MAE (eV/Å)", 1.0),
}


def draw_error_against_cost(
    table: pd.DataFrame, fits: Mapping[str, Look], *, reference: tuple[str, float]
) -> Figure:
    """Draw errors on each test set against the time of a step: one point for each fit.

    (Counterpart of Morrow and Deringer 2022, figure 3.)

    Parameters
    ----------
    table
        See :func:`phonsmith.benchmarks.speed.error_against_cost`.
    fits
        Looks of the fits, in the order of the legend.
    reference
        Name of the reference method and its time in s per atom and step, drawn as a line.
    """
    rows = {column: words for column, words in ROWS.items() if column in table}
    sets = [name for name in dict.fromkeys(table["data"]) if name != "all"]
    shown = [name for name in fits if name in set(table["model"])]
    name, seconds = reference
    with style():
        height = 0.8 + 1.6 * len(rows)
        figure = Figure(figsize=(DOUBLE_COLUMN_INCH, height), layout="constrained")
        grid = figure.subplots(len(rows), len(sets), sharex=True, sharey="row", squeeze=False)
        for panels, (column, (label, factor)) in zip(grid, rows.items(), strict=True):
            for axes, data in zip(panels, sets, strict=True):
                part = table[table["data"] == data].set_index("model")
                axes.set_xscale("log")
                axes.set_yscale("log")
                axes.axvline(1e6 * seconds, color=BLACK, lw=0.6, ls=":")
                for fit in shown:
                    if fit in part.index:
                        look = fits[fit]
                        axes.plot(
                            1e6 * part["wall_s_per_atom_step"][fit],
                            factor * part[column][fit],
                            **{"ls": "none", "marker": look.marker, "color": look.colour},
                        )
                for which in ("x", "y"):
                    plain_log(axes, which)
            panels[0].set_ylabel(label)
        for axes, data in zip(grid[0], sets, strict=True):
            axes.set_title(data)
        for axes in grid[-1]:
            axes.set_xlabel("Time (µs per atom and step)")
        handles = [
            Line2D(
                [],
                [],
                ls="none",
                marker=fits[fit].marker,
                color=fits[fit].colour,
                label=fits[fit].label,
            )
            for fit in shown
        ]
        handles.append(Line2D([], [], color=BLACK, lw=0.6, ls=":", label=f"{name} (reference)"))
        legend_above(figure, handles, most=3)
    return figure
