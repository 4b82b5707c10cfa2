"""Phonon RMSE against structure, against a setting of the fits, and against their force errors.

All functions draw from the table of RMSE (columns ``fit``, ``structure``, ``cell``, ``rmse_thz``
and ``reason``; one row per combination), see :func:`phonsmith.benchmarks.tables.rmse_table`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import (
    FixedFormatter,
    FixedLocator,
    FuncFormatter,
    LogLocator,
    NullFormatter,
)

from phonsmith.benchmarks.tables import mean_rmse
from phonsmith.campaign.sweeps import value_text, values_text
from phonsmith.figures.style import (
    BLACK,
    CELLS,
    COLOURS,
    DOUBLE_COLUMN_INCH,
    GREY,
    LINES,
    MARKERS,
    SINGLE_COLUMN_INCH,
    Look,
    style,
)

SMALLEST_THZ = 1e-3
"""Lower limit of drawn RMSE on the logarithmic axis (THz)."""
MOST_FITS = 8
"""Largest number of fits with a line each for their mean."""


# --- against structure -----------------------------------------------------------------------


def draw_rmse_by_structure(table: pd.DataFrame, fits: Mapping[str, Look]) -> Figure:
    """RMSE of every structure, one marker and colour for each fit, one panel for each cell.

    The mean of a fit is given in the legend, and drawn as a line for up to :data:`MOST_FITS` fits.
    Structures without RMSE are marked by a cross in the colour of the fit at the top.
    """
    cells = _in_order(table["cell"])
    structures = _in_order(table["structure"])
    shown = {fit: look for fit, look in fits.items() if fit in set(table["fit"])}
    with style():
        height = max(1.75, 0.4 + _legend_inch(shown))
        figure = Figure(
            figsize=(DOUBLE_COLUMN_INCH, height * len(cells) + 0.75), layout="constrained"
        )
        grid = figure.subplots(len(cells), 1, sharex=True, sharey=True, squeeze=False)
        panels = grid.ravel().tolist()
        _log_rmse_axis(panels, table["rmse_thz"])
        for axes, cell in zip(panels, cells, strict=True):
            part = table[table["cell"] == cell]
            for i, (fit, look) in enumerate(shown.items()):
                offset = 0.62 * ((i + 0.5) / len(shown) - 0.5)
                values = part[part["fit"] == fit].set_index("structure")["rmse_thz"]
                _draw_fit(axes, values.reindex(structures), offset, look)
                if len(shown) <= MOST_FITS and values.notna().any():
                    mean = max(float(values.mean()), SMALLEST_THZ)
                    line = LINES[i % len(LINES)]
                    axes.axhline(mean, color=look.colour, lw=0.8, ls=line, alpha=0.75, zorder=1)
            axes.set_title(CELLS[cell])
            _legend_with_means(axes, part, cell, shown)
            for i in range(0, len(structures), 2):
                axes.axvspan(i - 0.5, i + 0.5, color="#F5F5F5", lw=0, zorder=-2)
            axes.set_xlim(-0.5, len(structures) - 0.5)
            axes.tick_params(axis="x", length=0)
        angle = 0 if len(structures) <= 7 else 35
        panels[-1].set_xticks(
            range(len(structures)),
            structures,
            rotation=angle,
            ha="right" if angle else "center",
            rotation_mode="anchor",
        )
        panels[-1].tick_params(axis="x", pad=4)
        _note(figure, table)
    return figure


def _label_width(fits: Mapping[str, Look]) -> int:
    """Return the number of characters in a line of the legend."""
    return 28 if len(fits) <= MOST_FITS else 40


def _legend_inch(fits: Mapping[str, Look], further_lines: int = 0) -> float:
    """Return the height of a legend of fits, ``further_lines`` for each, in inch."""
    width = _label_width(fits)
    labels = [look.wrapped(width).count("\n") + 1 + further_lines for look in fits.values()]
    return 0.12 * sum(labels) + 0.05 * len(labels)


def _draw_fit(axes: Axes, values: pd.Series, offset: float, look: Look) -> None:
    places = np.arange(len(values)) + offset
    there = values.notna().to_numpy()
    heights = np.maximum(values.to_numpy(dtype=float), SMALLEST_THZ)
    axes.plot(
        places[there],
        heights[there],
        ls="none",
        marker=look.marker,
        ms=4,
        mew=0,
        color=look.colour,
        label=look.label,
    )
    _draw_crosses(axes, places[~there], look.colour)


def _draw_crosses(axes: Axes, places: Sequence[float] | np.ndarray, colour: str) -> None:
    """Draw crosses at the top for missing RMSE."""
    if len(places):
        axes.plot(
            places,
            np.full(len(places), 0.95),
            ls="none",
            marker="x",
            ms=4,
            mew=1.1,
            color=colour,
            transform=axes.get_xaxis_transform(),
            label="_no RMSE",
        )


def _legend_with_means(
    axes: Axes, table: pd.DataFrame, cell: str, fits: Mapping[str, Look]
) -> None:
    handles = []
    for i, (fit, look) in enumerate(fits.items()):
        mean = mean_rmse(table, fit, cell)
        number = "  –  " if np.isnan(mean.rmse_thz) else f"{mean.rmse_thz:.3f}"
        some = "" if mean.structures == mean.total else f" ({mean.structures} of {mean.total})"
        handles.append(
            _handle(
                color=look.colour,
                ls=LINES[i % len(LINES)] if len(fits) <= MOST_FITS else "none",
                marker=look.marker,
                ms=4,
                mew=0,
                label=f"{number}  {look.wrapped(_label_width(fits))}{some}",
            )
        )
    legend = axes.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(1.005, 1.03),
        title="mean (THz)",
        title_fontsize=7,
        alignment="left",
        borderaxespad=0,
        handlelength=1.4,
    )
    legend.set_in_layout(True)


def _log_rmse_axis(panels: Sequence[Axes], values: pd.Series) -> None:
    """Make an axis logarithmic with plain numbers: 1, 2 and 5 in each decade."""
    known = np.maximum(values.dropna().to_numpy(dtype=float), SMALLEST_THZ)
    low, high = (known.min(), known.max()) if len(known) else (0.1, 1.0)
    for axes in panels:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.35, high * (2.0 if values.isna().any() else 1.35))
        plain_log(axes, "y")
        axes.grid(axis="y", which="major")
        axes.set_ylabel("Phonon RMSE (THz)")


def plain_log(axes: Axes, which: str) -> None:
    """Label a logarithmic axis with plain numbers: 1, 2 and 5 in each decade if there is space."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
    decades = np.log10(high / low)
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 3.2 else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _note(figure: Figure, table: pd.DataFrame) -> None:
    """Explain the marks that occur below the panels."""
    words = []
    if table["rmse_thz"].isna().any():
        words.append("×: no RMSE (crystal or symmetry lost, or no phonons)")
    if (table["rmse_thz"] < SMALLEST_THZ).any():
        words.append(f"RMSE below {SMALLEST_THZ:g} THz are drawn at this value")
    if words:
        figure.supxlabel("; ".join(words), fontsize=6.5, color=GREY)


# --- against a setting -----------------------------------------------------------------------


def draw_rmse_against(
    table: pd.DataFrame, swept: Mapping[str, Mapping[str, Any]], axis_label: str
) -> Figure:
    """Draw the RMSE against one setting of the fits.

    With one setting: a thin line per structure, a thick line for the mean. With several settings,
    the first is the axis, and each combination of the others has one line, the mean. Fits with
    equal settings are repeats: lines are their mean; bars are the standard deviation over them (n -
    1) of the mean of the structures.

    Parameters
    ----------
    table
        Table of phonon RMSE.
    swept
        Settings of each fit to show, by id, in the same order. Values that are not numbers are
        equally spaced; the axis is logarithmic if positive numbers span a factor of ten or more.
    axis_label
        Name and unit of the first setting.
    """
    table = table[table["fit"].isin(swept)]
    cells = _in_order(table["cell"])
    axis = _SweptAxis.of([next(iter(settings.values())) for settings in swept.values()])
    places = {fit: axis.place(next(iter(settings.values()))) for fit, settings in swept.items()}
    series = {fit: _other_settings(settings) for fit, settings in swept.items()}
    names = list(dict.fromkeys(series.values()))
    with style():
        width = SINGLE_COLUMN_INCH if len(cells) == 1 else DOUBLE_COLUMN_INCH
        figure = Figure(figsize=(width, 2.7), layout="constrained")
        panels = figure.subplots(1, len(cells), sharex=True, sharey=True, squeeze=False)[0].tolist()
        _log_rmse_axis(panels, table["rmse_thz"])
        for axes, cell in zip(panels, cells, strict=True):
            part = table[table["cell"] == cell]
            for number, name in enumerate(names):
                fits = [fit for fit in swept if series[fit] == name]
                rmse = part[part["fit"].isin(fits)]
                rmse = rmse.pivot(index="fit", columns="structure", values="rmse_thz")
                values = rmse.index.map(places)
                if len(names) == 1:
                    _draw_structures(axes, rmse.groupby(values).mean())
                colour = _series_colour(number, len(names))
                _draw_mean(axes, rmse, values, colour, MARKERS[number % 8])
            axes.set_title(CELLS[cell])
            axes.set_xlabel(axis_label)
            axes.label_outer()
        axis.put_on(panels)
        incomplete = bool(table["rmse_thz"].isna().any())
        repeated = len({(places[fit], series[fit]) for fit in swept}) < len(swept)
        _sweep_legend(figure, names, incomplete, repeated, columns=2 * len(cells))
    return figure


def _other_settings(settings: Mapping[str, Any]) -> str:
    """Format all settings but the first; empty for a single setting."""
    _, *others = settings.items()
    return values_text(dict(others))


class _SweptAxis(NamedTuple):
    """Return positions of the values of the swept setting on the axis."""

    values: list[Any]
    numeric: bool

    @classmethod
    def of(cls, values: Sequence[Any]) -> "_SweptAxis":
        distinct = list(dict.fromkeys(values))
        numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in distinct)
        return cls(sorted(distinct) if numeric else distinct, numeric)

    def place(self, value: Any) -> float:
        return float(value) if self.numeric else float(self.values.index(value))

    def put_on(self, panels: Sequence[Axes]) -> None:
        places = [self.place(value) for value in self.values]
        logarithmic = self.numeric and places[0] > 0 and places[-1] >= 10 * places[0]
        words = [value_text(value) for value in self.values]
        for axes in panels:
            if logarithmic:
                axes.set_xscale("log")
            axes.xaxis.set_major_locator(FixedLocator(places))
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.xaxis.set_major_formatter(FixedFormatter(words))
            if not self.numeric and len("".join(words)) > 36:  # else they would overlap
                for label in axes.get_xticklabels():
                    label.set(rotation=35, ha="right", rotation_mode="anchor")


_THIN = "#9A9A9A"
_THICK = "#0072B2"


def _series_colour(number: int, count: int) -> str:
    return _THICK if count == 1 else COLOURS[number % len(COLOURS)]


def _draw_structures(axes: Axes, rmse: pd.DataFrame) -> None:
    """``rmse``: values of the setting × structures."""
    x = rmse.index.to_numpy(dtype=float)
    for structure in rmse:
        y = rmse[structure].to_numpy(dtype=float)
        axes.plot(x, np.maximum(y, SMALLEST_THZ), color=_THIN, lw=0.6, marker=".", ms=2.5)


def _draw_mean(axes: Axes, rmse: pd.DataFrame, values: pd.Index, colour: str, marker: str) -> None:
    """``rmse``: fits × structures; ``values``: position of each fit on the axis."""
    mean = rmse.groupby(values).mean().mean(axis=1).clip(lower=SMALLEST_THZ)
    x = mean.index.to_numpy(dtype=float)
    axes.plot(x, mean, color=colour, lw=1.8, marker=marker, ms=4)
    spread = rmse.mean(axis=1, skipna=False).groupby(values).std()
    known = spread.dropna().index
    if len(known):
        axes.errorbar(known, mean[known], spread[known], fmt="none", ecolor=colour, capsize=2.5)
    part = mean[~rmse.notna().all(axis=1).groupby(values).all()]
    if len(part):
        # a mean over fewer structures is not comparable: hollow
        there = part.index.to_numpy(dtype=float)
        axes.plot(there, part, ls="none", marker=marker, ms=4, mfc="white", mec=colour, zorder=3)
        _draw_crosses(axes, there, BLACK if colour == _THICK else colour)


def _sweep_legend(
    figure: Figure, series: Sequence[str], incomplete: bool, repeated: bool, columns: int
) -> None:
    if len(series) == 1:
        handles = [
            _handle("one structure", color=_THIN, lw=0.6, marker=".", ms=2.5),
            _handle("mean", color=_THICK, lw=1.8, marker="o", ms=4),
        ]
    else:
        handles = [
            _handle(name, color=_series_colour(i, len(series)), lw=1.8, marker=MARKERS[i % 8], ms=4)
            for i, name in enumerate(series)
        ]
    if repeated:
        colour = _THICK if len(series) == 1 else GREY
        words = "standard deviation of repeats"
        handles.append(_handle(words, marker="|", ms=8, mew=1.5, color=colour, lw=0))
    if incomplete:
        handles += [
            _handle("mean of fewer structures", marker="o", ms=4, mfc="white", mec=GREY, lw=0),
            _handle("structure without RMSE", marker="x", ms=4, color=BLACK, lw=0),
        ]
    if columns == 2 and len(handles) > 2:
        columns = 1  # long words beside each other are wider than a figure of one column
        figure.set_figheight(figure.get_figheight() + 0.14 * (len(handles) - 2))
    figure.legend(handles=handles, loc="outside upper left", ncols=min(columns, len(handles)))


# --- against the errors of forces --------------------------------------------------------------


def force_errors(errors: pd.DataFrame) -> tuple[dict[str, float], str]:
    """Return force RMSE (component, eV/Å) of each fit and its set: the test set if available.

    Parameters
    ----------
    errors
        See :func:`phonsmith.fits.errors.errors_of`, with a column ``fit``.
    """
    whole = errors[
        (errors["kind"] == "all") & (errors["structure"] == "all") & (errors["quantity"] == "force")
    ]
    tested = "test" in set(whole["set"])
    rows = whole[whole["set"] == ("test" if tested else "train")]
    values = {str(fit): float(rmse) for fit, rmse in zip(rows["fit"], rows["rmse"], strict=True)}
    return values, "test set" if tested else "training set (no test set)"


def draw_phonon_vs_force(
    table: pd.DataFrame,
    force_rmse: Mapping[str, float],
    force_set: str,
    fits: Mapping[str, Look],
    sparse_points: Mapping[str, int | None],
) -> Figure:
    """Draw the mean phonon RMSE against the force RMSE, one point per fit.

    Parameters
    ----------
    table
        Table of phonon RMSE.
    force_rmse
        Force RMSE (component, eV/Å) of each fit; fits without force RMSE are omitted.
    force_set
        Name of the cells with these forces, for the axis.
    fits
        Label, colour and marker of each fit.
    sparse_points
        Number of sparse points of a GAP, shown as the area of its marker; None for other fits.

    References
    ----------
    Poster of Ertural et al., figure 3.
    """
    cells = _in_order(table["cell"])
    shown = {fit: look for fit, look in fits.items() if fit in force_rmse}
    sizes = _marker_sizes({fit: sparse_points.get(fit) for fit in shown})
    with style():
        narrow = len(cells) == 1 and len(shown) <= MOST_FITS
        width = SINGLE_COLUMN_INCH + 1.4 if narrow else DOUBLE_COLUMN_INCH
        height = max(2.7, 0.6 + _legend_inch(shown, further_lines=int(any(sparse_points.values()))))
        figure = Figure(figsize=(width, height), layout="constrained")
        panels = figure.subplots(1, len(cells), sharex=True, sharey=True, squeeze=False)[0].tolist()
        incomplete = False
        for axes, cell in zip(panels, cells, strict=True):
            axes.set_xscale("log")
            axes.set_yscale("log")
            for fit, look in shown.items():
                mean = mean_rmse(table, fit, cell)
                part = mean.structures < mean.total
                incomplete |= part
                axes.plot(
                    1000 * max(force_rmse[fit], 1e-6),
                    max(mean.rmse_thz, SMALLEST_THZ),
                    ls="none",
                    marker="o" if sparse_points.get(fit) else "D",
                    ms=sizes[fit],
                    # seen through, so that no fit hides another
                    mfc="none" if part else to_rgba(look.colour, 0.45),
                    mec=look.colour,
                    mew=1.0,
                    label=look.label,
                )
            axes.set_title(CELLS[cell])
            axes.grid(which="major")
            axes.set_xlabel(f"Force RMSE, {force_set} (meV/Å)")
            axes.set_ylabel("Mean phonon RMSE (THz)")
            axes.label_outer()
        for axes in panels:
            axes.margins(0.15)
            _widen(axes)
            plain_log(axes, "x")
            plain_log(axes, "y")
        _legend_of_fits(panels[-1], shown, sparse_points, sizes, incomplete)
    return figure


def _widen(axes: Axes) -> None:
    """Extend both axes to at least a factor of three, so that a tick has a number."""
    for get, put in ((axes.get_xlim, axes.set_xlim), (axes.get_ylim, axes.set_ylim)):
        low, high = get()
        if high < 3 * low:
            middle = np.sqrt(low * high)
            put(middle / np.sqrt(3), middle * np.sqrt(3))


def _marker_sizes(sparse_points: Mapping[str, int | None]) -> dict[str, float]:
    """Return diameters in points: the area increases with the number of sparse points."""
    most = max((number for number in sparse_points.values() if number), default=1)
    return {
        fit: 6.0 if number is None else 3.0 + 8.0 * float(np.sqrt(number / most))
        for fit, number in sparse_points.items()
    }


def _legend_of_fits(
    axes: Axes,
    fits: Mapping[str, Look],
    sparse_points: Mapping[str, int | None],
    sizes: Mapping[str, float],
    incomplete: bool,
) -> None:
    handles = []
    for fit, look in fits.items():
        number = sparse_points.get(fit)
        handles.append(
            _handle(
                ls="none",
                marker="o" if number else "D",
                ms=min(sizes[fit], 8.0),
                mfc=to_rgba(look.colour, 0.45),
                mec=look.colour,
                label=look.wrapped(_label_width(fits))
                + (f"\n{number} sparse points" if number else ""),
            )
        )
    if incomplete:
        handles.append(_handle("mean of fewer structures", marker="o", mfc="white", mec=GREY, lw=0))
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0)


def _handle(label: str, **look: Any) -> Line2D:
    """Return an entry of a legend."""
    return Line2D([], [], label=label, **look)


def _in_order(values: pd.Series) -> list[str]:
    """Return distinct values in the order of their first occurrence."""
    return [str(value) for value in values.unique()]
