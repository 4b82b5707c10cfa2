"""Figure of errors against the size of the distilled data."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from phonsmith.figures.rmse import plain_log
from phonsmith.figures.speed import ROWS
from phonsmith.figures.style import DOUBLE_COLUMN_INCH, legend_above, looks, style


def draw_error_against_size(table: pd.DataFrame) -> Figure:
    """Draw errors on each test set against the number of distilled cells: a line for each series.

    Bars are standard deviations over the fits of equal size. The upper axis has the mean number of
    atoms. (Counterpart of Morrow and Deringer 2022, figure S5.)

    Parameters
    ----------
    table
        See :func:`phonsmith.benchmarks.sizes.error_against_size`.
    """
    rows = {column: words for column, words in ROWS.items() if column in table}
    sets = [name for name in dict.fromkeys(table["data"]) if name != "all"]
    series = looks({name: name for name in table["series"]})
    atoms = table.groupby("distilled_cells")["distilled_atoms"].mean()
    with style():
        height = 1.1 + 1.6 * len(rows)
        figure = Figure(figsize=(DOUBLE_COLUMN_INCH, height), layout="constrained")
        grid = figure.subplots(len(rows), len(sets), sharex=True, sharey="row", squeeze=False)
        for panels, (column, (label, factor)) in zip(grid, rows.items(), strict=True):
            for axes, data in zip(panels, sets, strict=True):
                for name, look in series.items():
                    part = table[(table["data"] == data) & (table["series"] == name)]
                    axes.errorbar(
                        part["distilled_cells"].to_numpy(),
                        factor * part[column].to_numpy(),
                        factor * part[f"{column}_std"].fillna(0.0).to_numpy(),
                        **{"color": look.colour, "marker": look.marker},
                        **{"ms": 4, "lw": 1.2, "capsize": 2.5},
                    )
            panels[0].set_ylabel(label)
        # after all lines: the axes are shared
        for axes in grid.flat:
            axes.set_xscale("log")
            axes.set_yscale("log")
        for axes in grid.flat:
            axes.xaxis.set_major_locator(FixedLocator(atoms.index.tolist()))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda cells, _: f"{cells:g}"))
            axes.xaxis.set_minor_locator(NullLocator())
            plain_log(axes, "y")
        for axes, data in zip(grid[0], sets, strict=True):
            axes.set_title(data)
            _put_atoms(axes, atoms)
        for axes in grid[-1]:
            axes.set_xlabel("Distilled cells")
        handles = [
            Line2D(
                [],
                [],
                marker=look.marker,
                markersize=4,
                linewidth=1.2,
                color=look.colour,
                label=look.label,
            )
            for look in series.values()
        ]
        legend_above(figure, handles, most=3)
    return figure


def _put_atoms(axes: Axes, atoms: pd.Series) -> None:
    """Mean numbers of atoms above the numbers of cells."""
    upper = axes.secondary_xaxis("top")
    upper.set_xticks(atoms.index.to_numpy(), [f"{np.round(count):.0f}" for count in atoms])
    upper.tick_params(which="minor", length=0, labeltop=False)
    upper.set_xlabel("Distilled atoms")
