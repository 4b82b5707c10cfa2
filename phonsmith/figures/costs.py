"""Cost of a campaign: time, memory and core hours by stage, as Snakemake measured them."""

from pathlib import Path

import pandas as pd

from phonsmith.figures.results_read import rows_of
from phonsmith.figures.table_cells import DASH, Table, table_of

_STAGES = {"relaxed": "structures"}
"""Stages whose folder of logs has another name."""

COLUMNS = ("stage", "jobs", "core_hours", "job_hours", "longest_job_hours", "peak_memory_gb")


def read_costs(logs: str | Path) -> pd.DataFrame:
    """Sum the benchmark files of a campaign by stage.

    The first folder below ``logs`` is the stage. Jobs without a file, such as those that read a
    table, and files that cannot be read are not counted.

    Parameters
    ----------
    logs
        Folder of the logs; benchmark files end in ``.tsv``.

    Returns
    -------
    Columns: stage, jobs, core_hours (CPU time), job_hours (sum of the durations),
    longest_job_hours, peak_memory_gb (largest resident memory of a job). Stages are sorted by core
    hours, the largest first.
    """
    logs = Path(logs)
    rows = []
    for path in sorted(logs.rglob("*.tsv")):
        stage = path.relative_to(logs).parts[0].removesuffix(".tsv")
        try:
            found = pd.read_csv(path, sep="\t", usecols=["s", "max_rss", "cpu_time"], na_values="-")
        except (OSError, ValueError):
            continue
        numbers = found.apply(pd.to_numeric, errors="coerce").iloc[-1:]
        rows.append(numbers.assign(stage=_STAGES.get(stage, stage)))
    if not rows:
        return pd.DataFrame(columns=list(COLUMNS))
    by_stage = pd.concat(rows).groupby("stage")
    table = pd.DataFrame(
        {
            "jobs": by_stage.size(),
            "core_hours": by_stage["cpu_time"].sum() / 3600,
            "job_hours": by_stage["s"].sum() / 3600,
            "longest_job_hours": by_stage["s"].max() / 3600,
            "peak_memory_gb": by_stage["max_rss"].max() / 1024,
        }
    )
    return table.sort_values("core_hours", ascending=False, kind="stable").reset_index()


def costs_table(costs: pd.DataFrame) -> Table | None:
    """Tabulate the cost of each stage with the total; None without measurements."""
    if costs.empty:
        return None
    rows = [
        [
            str(row["stage"]),
            str(row["jobs"]),
            *(_hours(row[name]) for name in COLUMNS[2:5]),
            _gigabytes(row["peak_memory_gb"]),
        ]
        for row in rows_of(costs)
    ]
    sums = [costs[name].sum() for name in ("core_hours", "job_hours")]
    rows.append(
        [
            "all",
            str(costs["jobs"].sum()),
            *map(_hours, sums),
            _hours(costs["longest_job_hours"].max()),
            _gigabytes(costs["peak_memory_gb"].max()),
        ]
    )
    titles = ("Stage", "Jobs", "Core hours", "Job hours", "Longest job (h)", "Peak memory (GB)")
    caption = (
        "Cost by stage. Core hours: CPU time; job hours: sum of the durations. A job that ran "
        "several times counts once"
    )
    return table_of(titles, rows, caption, total=True)


def _hours(value: float) -> str:
    return DASH if pd.isna(value) else f"{value:.3f}" if value < 10 else f"{value:.0f}"


def _gigabytes(value: float) -> str:
    return DASH if pd.isna(value) else f"{value:.1f}"
