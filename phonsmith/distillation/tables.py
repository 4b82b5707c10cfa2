"""Tables of the teacher's runs."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from phonsmith.distillation.runs import Outcome


def runs_table(outcomes: Iterable[str | Path], uses: Mapping[str, str]) -> pd.DataFrame:
    """Tabulate the runs of a teacher.

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
    rows = []
    for path in map(Path, outcomes):
        name = path.parent.name
        row = {"data": name, "run": int(path.stem), "use": uses[name]}
        rows.append({**row, **Outcome.load(path).model_dump(exclude={"cautions"})})
    return pd.DataFrame(rows)
