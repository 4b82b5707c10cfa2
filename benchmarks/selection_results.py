"""Labels that each way of selecting cells needs, as tables and figure (selection.py)."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from phonsmith.figures.rmse import plain_log
from phonsmith.figures.style import DOUBLE_COLUMN_INCH, Look, looks, style

METHODS = {
    "random": "random",
    "farthest": "farthest points (SOAP)",
    "committee": "committee of 3 GAPs, resampled labels",
    "farthest-all": "farthest points, all structures together",
    "committee-all": "committee, all structures together",
}
MEASURES = {
    "phonon_rmse_thz": "Mean phonon RMSE (THz)",
    "force_rmse_ev_per_angstrom": "Force RMSE, hot cells (eV/Å)",
}


def labels_needed(rows: pd.DataFrame, measure: str, target: float) -> float:
    """Labels at which one run first gets down to ``target``; NaN where it never does.

    Between two generations: straight lines in the logarithm of the error.
    """
    errors = rows[measure].to_numpy(dtype=float)
    labels = rows["labels"].to_numpy(dtype=float)
    for i, error in enumerate(errors):
        if error <= target:
            if i == 0 or not np.isfinite(errors[i - 1]):
                return float(labels[i])
            share = np.log(errors[i - 1] / target) / np.log(errors[i - 1] / error)
            return float(labels[i - 1] + share * (labels[i] - labels[i - 1]))
    return float("nan")


def ratios(table: pd.DataFrame) -> pd.DataFrame:
    """Labels needed by each method over those of ``random`` with the same seed.

    The targets are the errors that random, in the mean over the seeds, has at a half, three
    quarters and all of its labels. Pairs of which one never gets there are left out, which flatters
    methods that often fail: read the ratio with the counts. Columns: measure, target, method, mean
    ratio and its standard deviation over the pairs that are left, and how many they are.
    """
    rows = []
    for measure in MEASURES:
        random = table[table["method"] == "random"]
        mean = np.exp(np.log(random[measure]).groupby(random["generation"]).mean())
        last = int(mean.index.max())
        for target in sorted({float(mean.iloc[i]) for i in (last // 2, 3 * last // 4, last)})[::-1]:
            runs = {
                key: labels_needed(part.sort_values("generation"), measure, target)
                for key, part in table.groupby(["method", "seed"])
            }
            for method in [m for m in METHODS if m in set(table["method"])]:
                seeds = sorted(seed for m, seed in runs if m == method)
                own = np.array([runs[method, seed] for seed in seeds])
                others = np.array([runs["random", seed] for seed in seeds])
                both = np.isfinite(own) & np.isfinite(others)
                quotients = own[both] / others[both]
                rows.append(
                    {
                        "measure": measure,
                        "target": target,
                        "method": method,
                        "labels": float(np.mean(own[both])) if both.any() else np.nan,
                        "ratio": float(np.mean(quotients)) if both.any() else np.nan,
                        "spread": float(np.std(quotients, ddof=1)) if both.sum() > 1 else np.nan,
                        "seeds_reached": int(np.isfinite(own).sum()),
                        "seeds_compared": int(both.sum()),
                        "seeds": len(seeds),
                    }
                )
    return pd.DataFrame(rows)


def at_equal_labels(table: pd.DataFrame) -> pd.DataFrame:
    """Error of each method over that of ``random`` with the same seed and as many labels.

    Geometric mean over the generations after the first, then mean and standard deviation over the
    seeds. Unlike the labels to a target, it leaves out no run that does not get there.
    """
    rows = []
    later = table[table["generation"] > 0]
    for measure in MEASURES:
        errors = np.log(
            later.pivot_table(index=["seed", "generation"], columns="method", values=measure)
        )
        quotients = np.exp(errors.sub(errors["random"], axis=0).groupby("seed").mean())
        for method in [m for m in METHODS if m in quotients]:
            mean, spread = quotients[method].mean(), quotients[method].std(ddof=1)
            rows.append({"measure": measure, "method": method, "ratio": mean, "spread": spread})
    return pd.DataFrame(rows)


def markdown(found: pd.DataFrame) -> str:
    """The ratios as a table for people."""
    lines = [
        "| error | target | selection | labels | labels over random's | seeds that get there |",
        "|---|---|---|---|---|---|",
    ]
    for row in found.itertuples():
        spread = "" if np.isnan(row.spread) else f" ± {row.spread:.2f}"
        ratio = "–" if np.isnan(row.ratio) else f"{row.ratio:.2f}{spread}"
        labels = "–" if np.isnan(row.labels) else f"{row.labels:.1f}"
        lines.append(
            f"| {MEASURES[row.measure]} | {row.target:.3g} | {METHODS[row.method]} | {labels} | "
            f"{ratio} | {row.seeds_reached} of {row.seeds} |"
        )
    return "\n".join(lines) + "\n"


def draw(table: pd.DataFrame) -> Figure:
    """Errors against labels: geometric mean over the seeds, with their standard deviation."""
    shown = [method for method in METHODS if method in set(table["method"])]
    styles: dict[str, Look] = looks({method: METHODS[method] for method in shown})
    with style():
        figure = Figure(figsize=(DOUBLE_COLUMN_INCH, 2.7), layout="constrained")
        panels = figure.subplots(1, len(MEASURES), squeeze=False)[0]
        for axes, (measure, label) in zip(panels, MEASURES.items(), strict=True):
            for method in shown:
                look = styles[method]
                part = table[table["method"] == method]
                groups = np.log(part.set_index("labels")[measure]).groupby(level=0)
                mean, spread = groups.mean(), groups.std(ddof=1).fillna(0.0)
                axes.fill_between(
                    mean.index,
                    np.exp(mean - spread),
                    np.exp(mean + spread),
                    color=look.colour,
                    alpha=0.15,
                    lw=0,
                )
                axes.plot(
                    mean.index,
                    np.exp(mean),
                    color=look.colour,
                    marker=look.marker,
                    ms=3,
                    label=look.wrapped(26),
                )
            axes.set_yscale("log")
            plain_log(axes, "y")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set_xlabel("Labels so far")
            axes.set_ylabel(label)
        panels[-1].legend(loc="upper right")
        figure.get_layout_engine().set(wspace=0.05)  # type: ignore[union-attr]
    return figure
