"""Figures of the loop: phonon RMSE against labels, and quantities against generation."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from phonsmith.figures.rmse import SMALLEST_THZ, plain_log
from phonsmith.figures.style import BLACK, GREY, SINGLE_COLUMN_INCH, Look, reference_in_words, style

MOST_TICKS = 12
"""Label of an axis of generations."""


def draw_generations(table: pd.DataFrame, fits: Mapping[str, Look], goal_thz: float) -> Figure:
    """Draw the mean RMSE of each fit against the number of labels, with the spread of its repeats.

    The bars are the standard deviation over the repeats of their mean over the structures. A point
    is hollow and has neither line nor bar if a structure has no RMSE: the mean of the remaining
    structures cannot be compared. The dashed line is the goal for each structure.

    Parameters
    ----------
    table
        See :func:`phonsmith.generations.verdict.generations_table`.
    fits
        Label, colour and marker of each fit.
    goal_thz
        Goal in THz.
    """
    with style():
        figure = Figure(figsize=(SINGLE_COLUMN_INCH, 2.7), layout="constrained")
        axes = figure.subplots()
        axes.axhline(goal_thz, color=GREY, ls="--", lw=0.8, label="goal")
        for fit, look in fits.items():
            rows = table[table["fit"] == fit]
            if rows.empty:
                continue
            # the same in the rows of all structures
            whole = rows.drop_duplicates("labels").set_index("labels").sort_index()
            mean = whole["mean_rmse_thz"].clip(lower=SMALLEST_THZ)
            _draw_means(axes, mean, whole["mean_noise_thz"], look)
            rest = rows.groupby("labels")["rmse_thz"].mean().clip(lower=SMALLEST_THZ)
            part = rest[mean.isna()]
            axes.plot(
                part.index.to_numpy(dtype=float),
                part,
                ls="none",
                marker=look.marker,
                ms=4,
                mfc="white",
                mec=look.colour,
                zorder=3,
            )
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        axes.set_ylim(low / 1.2, high * 1.2)
        plain_log(axes, "y")
        axes.grid(axis="y", which="major")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_xlabel("Labels so far")
        axes.set_ylabel("Mean phonon RMSE (THz)")
        figure.legend(loc="outside upper left", ncols=1)
    return figure


def draw_against_generation(
    table: pd.DataFrame,
    fits: Mapping[str, Look],
    groups: Mapping[str, Sequence[str]],
    level_of_theory: str,
    name: str,
) -> Figure:
    """Draw a quantity against generation: mean and standard deviation over the repeats.

    If only some repeats have a value, the point is labelled "n of N"; if no repeat has a
    value, the label is at the bottom. The dashed line is the reference.

    Parameters
    ----------
    table
        Columns fit (including ``reference``), generation and value, NaN where there is none.
    fits
        Label, colour and marker of each fit.
    groups
        Fits by the first of their repeats.
    level_of_theory
        Level of theory of the reference.
    name
        Name and unit of the quantity.
    """
    with style():
        figure = Figure(figsize=(SINGLE_COLUMN_INCH, 2.6), layout="constrained")
        axes = figure.subplots()
        reference = table[table["fit"] == "reference"]["value"].dropna()
        if len(reference):
            label = reference_in_words(level_of_theory)
            axes.axhline(reference.iloc[0], color=BLACK, ls="--", lw=0.8, label=label)
        lost = 0
        for number, (fit, repeats) in enumerate(groups.items()):
            # beside each other, or equal ones would hide each other
            aside = 0.06 * (number - (len(groups) - 1) / 2)
            own = table[table["fit"].isin(repeats)].groupby("generation")["value"]
            known, look = own.count(), fits[fit]
            mean = own.mean()
            if mean.notna().any():
                _draw_means(axes, mean, own.std(ddof=1), look, aside)
            for generation in known.index[known < len(repeats)]:
                text = f"{known[generation]} of {len(repeats)}"
                there = known[generation] > 0
                axes.annotate(
                    text,
                    (generation + aside, mean[generation] if there else 0),
                    (5, -9) if there else (0, 3 + 7 * lost),
                    xycoords="data" if there else ("data", "axes fraction"),
                    textcoords="offset points",
                    ha="left" if there else "center",
                    color=look.colour,
                    fontsize=6,
                )
            lost += bool((known == 0).any())
        generations = table["generation"].dropna()
        if len(generations):
            first, last = generations.min(), generations.max()
            step = max(1, int(np.ceil((last - first) / MOST_TICKS)))
            axes.set_xticks(np.arange(first, last + 1, step))
            axes.set_xlim(first - 0.3, last + 0.3)
        axes.set_xlabel("Generation")
        axes.set_ylabel(name)
        axes.margins(y=0.15)
        axes.grid(axis="y")
        if axes.get_legend_handles_labels()[0]:
            figure.legend(loc="outside upper left", ncols=1)
        else:
            axes.text(0.5, 0.5, "no value", transform=axes.transAxes, ha="center")
    return figure


def _draw_means(
    axes: Axes, mean: pd.Series, spread: pd.Series, look: Look, aside: float = 0.0
) -> None:
    axes.errorbar(
        mean.index.to_numpy(dtype=float) + aside,
        mean,
        yerr=spread.fillna(0.0),
        color=look.colour,
        marker=look.marker,
        ms=4,
        lw=1.2,
        capsize=2,
        label=look.wrapped(28),
    )
