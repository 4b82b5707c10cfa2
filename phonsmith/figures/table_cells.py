"""Elements of the report's tables: cells, columns, numbers."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pandas as pd

from phonsmith.benchmarks.tables import Mean, mean_rmse
from phonsmith.campaign.model import Campaign
from phonsmith.figures.column_titles import title_of
from phonsmith.figures.results_read import label_of, rows_of
from phonsmith.figures.style import CELLS
from phonsmith.files.settings import CellChoice

DASH = "–"


@dataclass(frozen=True)
class Cell:
    """Text in a table.

    ``hint`` is its tooltip, ``link`` the address of a file, and ``crystal`` the crystal whose
    bands are shown by a click.
    """

    text: str
    hint: str = ""
    best: bool = False
    link: str = ""
    crystal: str = ""


@dataclass(frozen=True)
class Column:
    """Head of a column."""

    title: str
    number: bool


@dataclass(frozen=True)
class Table:
    """A table for the template; with ``total``, the last row is a total."""

    caption: str
    columns: list[Column]
    rows: list[list[Cell]]
    total: bool = False


def table_of(
    titles: Sequence[str],
    rows: Iterable[Sequence[str]],
    caption: str,
    text_columns: int = 1,
    *,
    total: bool = False,
    last_text: str = "",
) -> Table:
    """Build a table of plain text.

    Parameters
    ----------
    titles
        Titles of the columns.
    rows
        Texts of the cells, by row.
    caption
        Caption of the table.
    text_columns
        Number of leading text columns; further columns hold numbers.
    total
        Whether the last row is a total.
    last_text
        Title of a further text column behind the numbers.
    """
    return Table(
        caption,
        [
            Column(title, number=i >= text_columns and title != last_text)
            for i, title in enumerate(titles)
        ],
        [[Cell(text) for text in row] for row in rows],
        total,
    )


MOST_ROWS = 200
"""Largest number of rows of a long table in the page."""


def shortened(table: Table | None, file: str, most: int = MOST_ROWS) -> Table | None:
    """Cut a long table and name the file with all rows; None remains None.

    Parameters
    ----------
    table
        The table.
    file
        Name of the file with all rows.
    most
        Largest number of rows.
    """
    if table is None or len(table.rows) <= most:
        return table
    words = f"The first {most} of {len(table.rows)} rows; all: {file}"
    caption = f"{table.caption}. {words}" if table.caption else words
    return replace(table, caption=caption, rows=table.rows[:most])


def number(value: Any, digits: int = 3) -> str:
    """Format a number for a table."""
    return DASH if pd.isna(value) else f"{value:.{digits}f}"


def significant(value: float) -> str:
    """Format a positive number with three significant digits, without an exponent.

    >>> [significant(value) for value in (7210.4, 56.0, 0.5, 0.01846)]
    ['7210', '56.0', '0.500', '0.0185']
    """
    if not 1e-4 <= abs(value) < 1e6:
        return f"{value:.2g}"
    return f"{value:.0f}" if abs(value) >= 999.5 else f"{value:#.3g}".rstrip(".")


MOST_COLUMNS = 8
"""Largest number of fits beside each other in the table of the RMSE."""


def pivot_table(
    campaign: Campaign,
    rmse: pd.DataFrame,
    cell: CellChoice,
    links: Mapping[tuple[str, str], str] | None = None,
    shown: Collection[str] = (),
) -> Table:
    """Tabulate the RMSE of structures × fits, the smallest of each structure in bold.

    Fits are the columns; more than :data:`MOST_COLUMNS` of them, and more than there are
    structures, are the rows.

    Parameters
    ----------
    campaign
        The campaign.
    rmse
        Table of phonon RMSE.
    cell
        Choice of the cell.
    links
        Figures by structure and fit.
    shown
        Crystals with an interactive band structure.
    """
    links = links or {}
    part = rmse[rmse["cell"] == cell]
    found = {(row["structure"], row["fit"]): row for row in rows_of(part)}
    sampled = set(part.loc[part["in_sample"].astype(bool), "fit"])
    fits = [
        Cell(label_of(campaign, fit) + (" *" if fit in sampled else "")) for fit in campaign.fits
    ]
    names = [Cell(name, crystal=name if name in shown else "") for name in campaign.benchmarked]
    body = []
    for structure in campaign.benchmarked:
        mine = [found.get((structure, fit)) for fit in campaign.fits]
        known = [row["rmse_thz"] for row in mine if row and pd.notna(row["rmse_thz"])]
        best = min(known) if len(known) > 1 else None
        body.append(
            [
                rmse_cell(row, best, links.get((structure, fit), ""))
                for fit, row in zip(campaign.fits, mine, strict=True)
            ]
        )
    means = [Cell(mean_in_words(mean_rmse(rmse, fit, cell))) for fit in campaign.fits]
    caption = f"Phonon RMSE (THz), {CELLS[cell]}"
    if len(fits) > max(MOST_COLUMNS, len(names)):
        columns = [Column("Fit", number=False), *(Column(one.text, number=True) for one in names)]
        rows = [list(row) for row in zip(fits, *body, means, strict=True)]
        return Table(caption, [*columns, Column("mean", number=True)], rows)
    columns = [Column("Crystal", number=False), *(Column(one.text, number=True) for one in fits)]
    rows = [[name, *row] for name, row in zip(names, body, strict=True)]
    return Table(caption, columns, [*rows, [Cell("mean"), *means]], total=True)


def mean_in_words(mean: Mean) -> str:
    """Format mean and spread of repeats."""
    some = "" if mean.structures == mean.total else f" (of {mean.structures})"
    return number(mean.rmse_thz) + some


def rmse_cell(row: dict[str, Any] | None, best: float | None, link: str = "") -> Cell:
    """Return the cell of a phonon RMSE; the best of a row is marked."""
    if row is None or pd.isna(row["rmse_thz"]):
        return Cell(DASH, hint=row["reason"] if row else "", link=link)
    false = row["false_imaginary"]
    mark = "†" if pd.notna(false) and false else ""
    return Cell(f"{row['rmse_thz']:.3f}{mark}", best=row["rmse_thz"] == best, link=link)


def readable(campaign: Campaign, table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of results as the page shows it.

    Labels stand for the keys of fits, also in ``FIT/genG``, mean and standard deviation are one
    column, and the campaign and empty remarks are omitted.
    """
    empty = {
        name for name in _REMARKS if name in table and not table[name].fillna("").astype(str).any()
    }
    shown = table.drop(columns=["campaign", *empty], errors="ignore")
    labels = {fit: label_of(campaign, fit) for fit in campaign.fits}
    names = {name: shown[name].map(partial(_labelled, labels)) for name in _METHODS & {*shown}}
    return with_spreads(shown.assign(**names))


def with_spreads(table: pd.DataFrame) -> pd.DataFrame:
    """Replace the columns ``X_mean`` and ``X_std`` by ``X``, such as ``12.58 ± 0.49``."""
    columns = {}
    for name in map(str, table.columns):
        stem = name.removesuffix("_mean")
        if stem != name and f"{stem}_std" in table:
            pairs = zip(table[name], table[f"{stem}_std"], strict=True)
            columns[stem] = [_with_spread(mean, spread) for mean, spread in pairs]
        elif not (name.endswith("_std") and f"{name.removesuffix('_std')}_mean" in table):
            columns[name] = table[name].tolist()
    return pd.DataFrame(columns)


def _with_spread(mean: float, spread: float) -> float | str:
    return mean if pd.isna(mean) or pd.isna(spread) else f"{_text_of(mean)}{SPREAD}{spread:.2g}"


SPREAD = " ± "
WIDEST = 16
"""Largest number of columns; wider tables have a row for each quantity."""
MOST_TURNED = 12
"""Largest number of rows that become columns."""

_REMARKS = ("reason", "remark", "notes", "note", "code")
_METHODS = frozenset({"fit", "method", "model"})


def _labelled(labels: Mapping[str, str], name: Any) -> Any:
    """Return the label of ``FIT`` or ``FIT/genG``, with the generation unless it is the first."""
    fit, _, generation = str(name).partition("/gen")
    if fit not in labels:
        return name
    return labels[fit] + (f", generation {generation}" if generation not in ("", "0") else "")


def plain_table(table: pd.DataFrame, caption: str) -> Table:
    """Convert a tidy table, its names to titles.

    A table of more than :data:`WIDEST` columns and few rows becomes one of a row for each number,
    below the texts of each row.
    """
    columns = [Column(title_of(str(name)), number=_is_numeric(table[name])) for name in table]
    rows = [[Cell(_text_of(value)) for value in row.values()] for row in rows_of(table)]
    if len(columns) <= WIDEST or len(rows) > MOST_TURNED:
        return Table(caption, columns, rows)
    texts = [i for i, column in enumerate(columns) if not column.number]
    heads = [", ".join(row[i].text for i in texts) for row in rows]
    return Table(
        caption,
        [Column("Quantity", number=False), *(Column(head, number=True) for head in heads)],
        [
            [Cell(column.title), *(row[i] for row in rows)]
            for i, column in enumerate(columns)
            if column.number
        ],
    )


def _is_numeric(values: pd.Series) -> bool:
    """Return whether a column has numbers, perhaps with their spread."""
    if not values.notna().any() or pd.api.types.is_bool_dtype(values):
        return False
    numbers = pd.api.types.is_numeric_dtype(values)
    return numbers or bool(values.astype(str).str.contains(SPREAD, regex=False).any())


def _text_of(value: Any) -> str:
    if pd.isna(value) or value == "":
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return f"−{text[1:]}" if isinstance(value, int | float) and text.startswith("-") else text
