"""Tables of the runs of several potentials: each snapshot, and the last cell of each run."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from ase import Atoms
from ase.units import GPa

from phonsmith.disorder.crystals import ReferenceCrystals
from phonsmith.disorder.description import Curves, Description, curves, describe, over_seeds
from phonsmith.disorder.scattering import first_peak
from phonsmith.disorder.settings import Disorder, Scattering
from phonsmith.disorder.similarity import References
from phonsmith.distillation.runs import Outcome
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, STRESS, read_frames
from phonsmith.running.process_pool import ProcessDied, each

RUN = ["model", "data", "run"]
"""Columns that identify a run."""


class Described(NamedTuple):
    """Tables of the runs of a potential, and sentences for the table of warnings by run.

    ``snapshots`` has a row for each snapshot: ``model``, ``data``, ``run``, ``time_ps``,
    ``origin``, ``thermostat_kelvin`` and the columns of
    :meth:`phonsmith.disorder.description.Description.row`. ``curves`` has the curves of the last
    cell of each run in long form: ``model``, ``data``, ``run``, ``curve``, ``x``, ``y``.
    """

    snapshots: pd.DataFrame
    curves: pd.DataFrame
    cautions: list[str]


def described(
    model: str,
    runs: Sequence[str | Path],
    crystals: str | Path,
    settings: Disorder,
    processes: int = 1,
) -> Described:
    """Describe all snapshots of the runs of a potential.

    Snapshots that cannot be described have a row with the reason.

    Parameters
    ----------
    model
        Key of the potential.
    runs
        extxyz files of the snapshots, ``…/NAME/NUMBER.extxyz``.
    crystals
        JSON file of the reference crystals, relaxed with the same potential.
    settings
        Settings of the analysis.
    processes
        Number of processes that share the snapshots.
    """
    places: list[dict[str, Any]] = []
    snapshots: list[Snapshot] = []
    for path in map(Path, runs):
        frames = read_frames(path)
        place: dict[str, Any] = {"model": model, "data": path.parent.name, "run": int(path.stem)}
        places += [place] * len(frames)
        snapshots += [Snapshot(one, number == len(frames)) for number, one in enumerate(frames, 1)]
    found = {}
    for number, outcome in each(partial(_describer, crystals, settings), snapshots, processes):
        if isinstance(outcome, Exception) and not isinstance(outcome, ProcessDied):
            raise outcome
        found[number] = outcome
    references = _references(crystals, settings)
    rows, lines = [], []
    for number, (place, snapshot) in enumerate(zip(places, snapshots, strict=True)):
        outcome = found[number]
        if isinstance(outcome, ProcessDied):
            outcome = _without_process(snapshot, references), None
        row, curve = outcome
        rows.append({**place, **_moment(snapshot.frame), **row})
        lines += [] if curve is None else [curve.assign(**place)]
    columns = [*RUN, "curve", "x", "y"]
    return Described(
        pd.DataFrame(rows, columns=None if rows else RUN),
        pd.concat(lines)[columns] if lines else pd.DataFrame(columns=columns),
        list(_cautions(rows)),
    )


class Snapshot(NamedTuple):
    """A snapshot, and whether it is the last one of its run, which has curves."""

    frame: Atoms
    last: bool


def _references(crystals: str | Path, settings: Disorder) -> References:
    return References(ReferenceCrystals.load(crystals).crystals, settings.analysis.similarity)


def _describer(
    crystals: str | Path, settings: Disorder
) -> Callable[[Snapshot], tuple[dict[str, Any], pd.DataFrame | None]]:
    """Function that returns the row of a snapshot, and of a last one its curves."""
    references = _references(crystals, settings)

    def row_and_curves(snapshot: Snapshot) -> tuple[dict[str, Any], pd.DataFrame | None]:
        frame, found = snapshot.frame, None
        if snapshot.last:
            with suppress(PhonsmithError):  # its description has the reason
                found = curves(frame, settings.analysis)
        description = describe(
            frame,
            settings.analysis,
            pressure_gpa=pressure_of(frame),
            energy_ev=frame.info[ENERGY],
            references=references,
            ground_state=settings.ground_state,
            curve=found.structure_factor if found else None,
        )
        return description.row(), _long(found) if found else None

    return row_and_curves


def _without_process(snapshot: Snapshot, references: References) -> dict[str, Any]:
    reason = "the analysis ended its process, probably out of memory"
    frame = snapshot.frame
    return Description.of_nothing(frame, pressure_of(frame), references, reason).row()


def _moment(frame: Atoms) -> dict[str, Any]:
    return {key: frame.info[key] for key in ("time_ps", "origin", "thermostat_kelvin")}


def _long(found: Curves) -> pd.DataFrame:
    """Curves in long form: ``curve``, ``x``, ``y``."""
    parts = {
        "pair_distribution": found.pair_distribution,
        "structure_factor": found.structure_factor,
        "angles": found.angles,
    }
    return pd.concat(
        [part.set_axis(["x", "y"], axis=1).assign(curve=name) for name, part in parts.items()]
    )


def _cautions(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A sentence for each run with snapshots that cannot be described completely."""
    for (data, run), group in groupby(rows, key=lambda row: (row["data"], row["run"])):
        reasons = [row["reason"] for row in group]
        if failed := [reason for reason in reasons if reason]:
            ((reason, _),) = Counter(failed).most_common(1)
            yield (
                f"{data}, run {run}: {len(failed)} of {len(reasons)} snapshots cannot be "
                f"described completely. Most frequent reason: {reason}."
            )


def pressure_of(frame: Atoms) -> float:
    """Return the pressure (GPa) of the barostat, or in a fixed cell that of the forces."""
    if "barostat_gpa" in frame.info:
        return float(frame.info["barostat_gpa"])
    stress = frame.info.get(STRESS)
    return 0.0 if stress is None else float(-np.trace(stress) / 3 / GPa)


def failed(runs: pd.DataFrame) -> "pd.Series[bool]":
    """Return which runs of :func:`outcomes` did not reach their end."""
    return runs["reason"].notna() & (runs["reason"] != "")


def ended(table: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the runs that reached their end.

    Parameters
    ----------
    table
        Rows with the columns of ``RUN``.
    runs
        Table of :func:`outcomes`.
    """
    return table.merge(runs.loc[~failed(runs), RUN], on=RUN)


def overview(
    snapshots: pd.DataFrame, lines: pd.DataFrame, runs: pd.DataFrame, scattering: Scattering
) -> pd.DataFrame:
    """Tabulate the last cells of the runs: means and standard deviations over the runs.

    Parameters
    ----------
    snapshots, lines
        Tables of :func:`described`, of several potentials.
    runs
        Table of :func:`outcomes` of the same runs.
    scattering
        Range of the first sharp diffraction peak.

    Returns
    -------
    A row for each potential and protocol. ``runs`` is the number of runs that reached their end,
    over which means are taken, ``runs_failed`` that of all others.
    ``first_peak_of_mean_inverse_height`` is 1/H of the mean structure factor, of which the noise is
    smaller than of the mean of 1/H.
    """
    last = ended(snapshots.groupby(RUN, sort=False).tail(1), runs)
    groups = ["model", "data"]
    means = over_seeds(last, groups, ignored=("run", "time_ps", "reason"))
    counts = runs.assign(runs_failed=failed(runs)).groupby(groups, sort=False)["runs_failed"].sum()
    table = counts.reset_index().merge(means, on=groups, how="left").fillna({"runs": 0})
    table.insert(2, "runs", table.pop("runs").astype(int))
    factors = ended(lines[lines["curve"] == "structure_factor"], runs)
    heights: dict[Any, float] = {}
    for key, curve in factors.groupby(groups, sort=False):
        mean = curve.groupby("x")["y"].mean().rename_axis("q_inverse_angstrom")
        peak = first_peak(mean.rename("structure_factor").reset_index(), scattering)
        heights[key] = 1 / peak.height if peak else np.nan
    keys = zip(table["model"], table["data"], strict=True)
    found = [heights.get(key, np.nan) for key in keys]
    return table.assign(first_peak_of_mean_inverse_height=found)


def outcomes(files: Mapping[str, Iterable[str | Path]]) -> pd.DataFrame:
    """Tabulate how the runs of each potential ended.

    Parameters
    ----------
    files
        By key of the potential: JSON files of outcomes, ``…/NAME/NUMBER.json``.
    """
    rows = [
        {
            **{"model": model, "data": Path(path).parent.name, "run": int(Path(path).stem)},
            **Outcome.load(path).model_dump(exclude={"cautions"}),
        }
        for model, paths in files.items()
        for path in paths
    ]
    return pd.DataFrame(rows)
