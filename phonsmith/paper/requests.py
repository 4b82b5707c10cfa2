"""What campaigns ask of a cluster together: labels, core hours and GPU hours, from their plans."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path

import pandas as pd
from tabulate import tabulate

LABELS = ("label", "database", "distillation", "third order")
"""Stages of a plan whose runs are labels, if the reference method makes them."""


@dataclass(frozen=True)
class Amount:
    """A sum, and whether some of its summands are not known."""

    value: float
    at_least: bool

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.value + other.value, self.at_least or other.at_least)

    def __str__(self) -> str:
        number = (
            f"{self.value:,.0f}" if self.value >= 10 or self.value == 0 else f"{self.value:.1f}"
        )
        return f"{number} + ?" if self.at_least else number


@dataclass(frozen=True)
class Request:
    """What a campaign asks for.

    Attributes
    ----------
    labels
        Labels of the reference method.
    core_hours, core_hours_left
        Estimated core hours of all jobs without a GPU, in all and not done yet.
    gpu_jobs
        Trainings on a GPU.
    gpu_hours
        Their time limits: GPU time is not estimated, so that this is the largest it can be.
    """

    labels: Amount
    core_hours: Amount
    core_hours_left: Amount
    gpu_jobs: int
    gpu_hours: float

    def __add__(self, other: "Request") -> "Request":
        return Request(
            self.labels + other.labels,
            self.core_hours + other.core_hours,
            self.core_hours_left + other.core_hours_left,
            self.gpu_jobs + other.gpu_jobs,
            self.gpu_hours + other.gpu_hours,
        )


def request_of(tasks: pd.DataFrame, jobs: pd.DataFrame, gpu: str) -> Request:
    """Sum up a plan.

    Parameters
    ----------
    tasks
        ``results/CAMPAIGN/plan.csv``: a row for each task.
    jobs
        ``results/CAMPAIGN/plan_jobs.csv``: a row for each kind of jobs, time limits in minutes.
    gpu
        Name of the GPU partition.
    """
    labels = tasks[tasks["stage"].isin(LABELS) & tasks["fit"].isna()]
    on_cores = tasks[tasks["partition"] != gpu]
    on_gpu = jobs[jobs["partition"] == gpu]
    return Request(
        labels=_sum(labels["runs"]),
        core_hours=_sum(on_cores["core_hours"]),
        core_hours_left=_sum(on_cores["core_hours_left"]),
        gpu_jobs=int(on_gpu["jobs"].sum()),
        gpu_hours=float((on_gpu["jobs"] * on_gpu["minutes"]).sum()) / 60,
    )


def _sum(values: "pd.Series[float]") -> Amount:
    return Amount(float(values.sum()), bool(values.isna().any()))


def requests_in_words(folders: Mapping[str, Path], gpu: str) -> str:
    """Return a table of what campaigns ask for, with a line for those that have no plan yet."""
    found = {}
    for name, folder in folders.items():
        tasks, jobs = folder / "plan.csv", folder / "plan_jobs.csv"
        if tasks.exists() and jobs.exists():
            found[name] = request_of(pd.read_csv(tasks), pd.read_csv(jobs), gpu)
    lines = []
    if found:
        heads = ["campaign", "labels", "core hours", "left", "GPU jobs", "GPU hours, at most"]
        rows = [[name, *_cells(one)] for name, one in found.items()]
        if len(found) > 1:
            rows.append(["all", *_cells(reduce(add, found.values()))])
        right = ["left", *["right"] * 5]
        lines.append(
            tabulate(rows, heads, tablefmt="github", colalign=right, disable_numparse=True)
        )
    if without := [name for name in folders if name not in found]:
        lines.append(
            f"no plan yet: {', '.join(without)}; `snakemake paper-plan` writes the plans, and runs "
            "nothing expensive"
        )
    return "\n".join(lines)


def _cells(one: Request) -> list[str]:
    hours = f"{one.gpu_hours:,.0f}" if one.gpu_jobs else "0"
    return [
        *map(str, (one.labels, one.core_hours, one.core_hours_left)),
        f"{one.gpu_jobs:,}",
        hours,
    ]
