"""Tables of the runs of several potentials: each snapshot, and the last cell of each run."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ase import Atoms
from ase.units import GPa

from phonsmith.disorder.crystals import ReferenceCrystals
from phonsmith.disorder.description import curves, describe, over_seeds
from phonsmith.disorder.scattering import first_peak
from phonsmith.disorder.settings import Disorder, Scattering
from phonsmith.disorder.similarity import References
from phonsmith.distillation.runs import Outcome
from phonsmith.files.extxyz import ENERGY, STRESS, read_frames

RUN = ["model", "data", "run"]
"""Columns that identify a run."""


def described(
    model: str, runs: Sequence[str | Path], crystals: str | Path, settings: Disorder
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Describe all snapshots of the runs of a potential.

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

    Returns
    -------
    A row for each snapshot: ``model``, ``data``, ``run``, ``time_ps``, ``origin``,
    ``thermostat_kelvin`` and the columns of
    :meth:`phonsmith.disorder.description.Description.row`. And the curves of the last cell of each
    run in long form: ``model``, ``data``, ``run``, ``curve``, ``x``, ``y``.
    """
    known = ReferenceCrystals.load(crystals).crystals
    references = References(known, settings.analysis.similarity)
    rows: list[dict[str, Any]] = []
    lines = []
    for path in map(Path, runs):
        frames = read_frames(path)
        place: dict[str, Any] = {"model": model, "data": path.parent.name, "run": int(path.stem)}
        rows += [{**place, **_row(frame, settings, references)} for frame in frames]
        if frames:
            lines.append(_curves(frames[-1], settings).assign(**place))
    columns = [*RUN, "curve", "x", "y"]
    joined = pd.concat(lines)[columns] if lines else pd.DataFrame(columns=columns)
    return pd.DataFrame(rows, columns=None if rows else RUN), joined


def _row(frame: Atoms, settings: Disorder, references: References) -> dict[str, Any]:
    found = describe(
        frame,
        settings.analysis,
        pressure_gpa=pressure_of(frame),
        energy_ev=frame.info[ENERGY],
        references=references,
        ground_state=settings.ground_state,
    )
    info = frame.info
    when = {key: info[key] for key in ("time_ps", "origin", "thermostat_kelvin")}
    return {**when, **found.row()}


def _curves(frame: Atoms, settings: Disorder) -> pd.DataFrame:
    found = curves(frame, settings.analysis)
    parts = {
        "pair_distribution": found.pair_distribution,
        "structure_factor": found.structure_factor,
        "angles": found.angles,
    }
    return pd.concat(
        [part.set_axis(["x", "y"], axis=1).assign(curve=name) for name, part in parts.items()]
    )


def pressure_of(frame: Atoms) -> float:
    """Return the pressure (GPa) of the barostat, or in a fixed cell that of the forces.

    Parameters
    ----------
    frame
        Snapshot of a run.
    """
    if "barostat_gpa" in frame.info:
        return float(frame.info["barostat_gpa"])
    stress = frame.info.get(STRESS)
    return 0.0 if stress is None else float(-np.trace(stress) / 3 / GPa)


def overview(snapshots: pd.DataFrame, lines: pd.DataFrame, scattering: Scattering) -> pd.DataFrame:
    """Tabulate the last cells of the runs: means and standard deviations over the runs.

    Parameters
    ----------
    snapshots, lines
        Tables of :func:`described`, of several potentials.
    scattering
        Range of the first sharp diffraction peak.

    Returns
    -------
    A row for each potential and protocol. ``first_peak_of_mean_inverse_height`` is 1/H of the mean
    structure factor, of which the noise is smaller than of the mean of 1/H.
    """
    last = snapshots.groupby(RUN, sort=False).tail(1)
    table = over_seeds(last, ["model", "data"], ignored=("run", "time_ps"))
    factors = lines[lines["curve"] == "structure_factor"]
    heights: dict[Any, float] = {}
    for key, curve in factors.groupby(["model", "data"], sort=False):
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
