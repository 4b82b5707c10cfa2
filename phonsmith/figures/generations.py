"""The loop as a figure: phonon RMSE against the number of labels."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from phonsmith.figures.rmse import SMALLEST_THZ, plain_log
from phonsmith.figures.style import GREY, SINGLE_COLUMN_INCH, Look, style


def draw_generations(table: pd.DataFrame, fits: Mapping[str, Look], goal_thz: float) -> Figure:
    """Mean RMSE of each recipe against the labels so far; bars are the spread of its repeats.

    A point is hollow where some structure has no RMSE and is not in the mean. The dashed line is
    the goal for each structure.

    Parameters
    ----------
    table
        See :func:`phonsmith.generations.generations_table`.
    """
    with style():
        figure = Figure(figsize=(SINGLE_COLUMN_INCH, 2.7), layout="constrained")
        axes = figure.subplots()
        axes.axhline(goal_thz, color=GREY, ls="--", lw=0.8, label="goal")
        for fit, look in fits.items():
            rows = table[table["fit"] == fit]
            if rows.empty:
                continue
            groups = rows.groupby("labels")
            mean = groups["rmse_thz"].mean().clip(lower=SMALLEST_THZ)
            noise = groups["noise_thz"].mean().fillna(0.0)
            labels = mean.index.to_numpy(dtype=float)
            axes.errorbar(
                labels,
                mean,
                yerr=noise,
                color=look.colour,
                marker=look.marker,
                ms=4,
                lw=1.2,
                capsize=2,
                label=look.wrapped(28),
            )
            part = mean[~groups["rmse_thz"].apply(lambda one: one.notna().all())]
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
        axes.set_xlabel("Labels so far")
        axes.set_ylabel("Mean phonon RMSE (THz)")
        axes.legend(loc="upper right")
    return figure
