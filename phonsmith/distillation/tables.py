"""Tables of the teacher's runs."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from phonsmith.distillation.runs import Outcome
from phonsmith.distillation.searches import CrystalRecord, SearchOutcome


def runs_table(outcomes: Iterable[str | Path], uses: Mapping[str, str]) -> pd.DataFrame:
    """Tabulate the molecular dynamics of a teacher.

    Parameters
    ----------
    outcomes
        JSON files of the outcomes, ``…/NAME/NUMBER.json``.
    uses
        Whether a data set is for training or tests, by its name.

    Returns
    -------
    A row for each run: ``data``, ``run``, ``use``, and the fields of
    :class:`phonsmith.distillation.runs.Outcome`.
    """
    return pd.DataFrame(
        {**run, **Outcome.load(path).model_dump(exclude={"cautions"})}
        for path, run in _runs(outcomes, uses)
    )


def searches_table(outcomes: Iterable[str | Path], uses: Mapping[str, str]) -> pd.DataFrame:
    """Tabulate the random structure searches of a teacher.

    Parameters
    ----------
    outcomes, uses
        See :func:`runs_table`.

    Returns
    -------
    A row for each crystal: ``data``, ``run``, ``use``, and the fields of
    :class:`phonsmith.distillation.searches.CrystalRecord`.
    """
    rows = [
        {**run, **one.model_dump()}
        for path, run in _runs(outcomes, uses)
        for one in SearchOutcome.load(path).crystals
    ]
    return pd.DataFrame(rows, columns=[*RUN, *CrystalRecord.model_fields])


RUN = ("data", "run", "use")
"""Columns that name a run."""


def _runs(
    outcomes: Iterable[str | Path], uses: Mapping[str, str]
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Each file of an outcome, and the first columns of its rows."""
    for path in map(Path, outcomes):
        name = path.parent.name
        yield path, dict(zip(RUN, (name, int(path.stem), uses[name]), strict=True))
