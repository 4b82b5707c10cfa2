"""Predicted against reference energies, forces and stresses."""

import textwrap
from collections.abc import Mapping

import pandas as pd
from ase.units import GPa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from phonsmith.figures.style import DOUBLE_COLUMN_INCH, GREY, SINGLE_COLUMN_INCH, style
from phonsmith.fits.errors import ALL, errors_of

EV_PER_ANGSTROM3_IN_GPA = 1 / GPa

QUANTITIES: Mapping[str, tuple[str, str, float, str, float]] = {
    # name: (title, unit of the axes, factor to it, unit of the errors, factor to it)
    "energy": ("Energy", "eV/atom", 1.0, "meV/atom", 1e3),
    "force": ("Force component", "eV/Å", 1.0, "meV/Å", 1e3),
    "stress": ("Stress component", "GPa", EV_PER_ANGSTROM3_IN_GPA, "GPa", 1.0),
}
SETS = {"train": "training set", "test": "test set"}
KIND_COLOURS = {
    "displaced": "#0072B2",
    "rattled": "#D55E00",
    "recorded": "#009E73",
    "constraint": "#CC79A7",
}


def draw_parity(predictions: pd.DataFrame, title: str) -> Figure:
    """Draw one panel for each quantity that has a reference, in a row for each set.

    Isolated atoms are omitted: their energies would dominate the axis. Titles contain the errors
    over the labels of a panel; constraint cells are drawn, but excluded as they are not labels.

    Parameters
    ----------
    predictions
        See :func:`phonsmith.fits.errors.predictions`: columns ``set`` (train, test), ``kind``,
        ``quantity`` (energy, force, stress), ``reference`` and ``prediction`` in eV/atom, eV/Å
        and eV/Å³.
    title
        Name of the fit.
    """
    known = predictions[
        (predictions["kind"] != "isolated_atom")
        & predictions["reference"].notna()
        & predictions["prediction"].notna()
    ]
    quantities = [quantity for quantity in QUANTITIES if quantity in set(known["quantity"])]
    sets = [name for name in SETS if name in set(known["set"])]
    kinds = [kind for kind in KIND_COLOURS if kind in set(known["kind"])]
    with style():
        if not quantities:
            return _nothing(title)
        # a quantity alone has its sets side by side
        rows, columns = (len(sets), len(quantities)) if len(quantities) > 1 else (1, len(sets))
        width = SINGLE_COLUMN_INCH if columns == 1 else DOUBLE_COLUMN_INCH
        height = (0.96 * width / columns + 0.35) * rows + 0.5
        figure = Figure(figsize=(width, height), layout="constrained")
        panels = iter(figure.subplots(rows, columns, squeeze=False).T.ravel())
        for quantity in quantities:
            part = known[known["quantity"] == quantity]
            limits = _limits(part, QUANTITIES[quantity][2])
            for name in sets:
                axes = next(panels)
                _draw_panel(axes, part[part["set"] == name], quantity, kinds, limits)
                errors = _errors_in_words(part[part["set"] == name], quantity)
                axes.set_title(f"{QUANTITIES[quantity][0]}, {SETS[name]}\n{errors}", fontsize=6.5)
        handles = [
            Line2D([], [], ls="none", marker="o", ms=4, mew=0, color=KIND_COLOURS[kind], label=kind)
            for kind in kinds
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=len(kinds))
        words = textwrap.fill(title, 90 if columns > 1 else 44)
        figure.suptitle(words, x=0.01, ha="left", fontsize=7.5, fontweight="bold")
    return figure


def _limits(part: pd.DataFrame, factor: float) -> tuple[float, float]:
    values = part[["reference", "prediction"]].to_numpy(dtype=float) * factor
    low, high = float(values.min()), float(values.max())
    margin = 0.04 * (high - low) or 0.5
    return low - margin, high + margin


def _draw_panel(
    axes: Axes,
    part: pd.DataFrame,
    quantity: str,
    kinds: list[str],
    limits: tuple[float, float],
) -> None:
    _, unit, factor, _, _ = QUANTITIES[quantity]
    axes.axline((0, 0), slope=1, color=GREY, lw=0.6, zorder=0)
    for kind in kinds:
        points = part[part["kind"] == kind]
        axes.plot(
            points["reference"].to_numpy(dtype=float) * factor,
            points["prediction"].to_numpy(dtype=float) * factor,
            ls="none",
            marker="o",
            ms=2.4,
            mew=0,
            alpha=0.5,
            color=KIND_COLOURS[kind],
            rasterized=len(points) > 500,
            label=kind,
        )
    axes.set_xlim(limits)
    axes.set_ylim(limits)
    axes.set_aspect("equal")
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    labels = int((part["kind"] != "constraint").sum())
    axes.text(0.04, 0.95, f"n = {labels}", transform=axes.transAxes, va="top", fontsize=6.5)
    axes.set_xlabel(f"Reference ({unit})")
    axes.set_ylabel(f"Predicted ({unit})")


def _errors_in_words(part: pd.DataFrame, quantity: str) -> str:
    _, _, factor, unit, more = QUANTITIES[quantity]
    labels = part[part["kind"] != "constraint"]
    if labels.empty:
        return "no labels"
    table = errors_of(labels)
    total = table[(table["kind"] == ALL) & (table["structure"] == ALL)].iloc[0]
    rmse, mae = (_three_digits(float(total[name]) * factor * more) for name in ("rmse", "mae"))
    return f"RMSE {rmse}, MAE {mae} {unit}"


def _three_digits(value: float) -> str:
    return f"{value:.0f}" if value >= 99.95 else f"{value:.3g}"


def _nothing(title: str) -> Figure:
    figure = Figure(figsize=(SINGLE_COLUMN_INCH, 1.2))
    figure.text(0.05, 0.5, f"{title}: no reference values", va="center")
    return figure
