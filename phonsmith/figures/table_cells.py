"""Elements of the report's tables: cells, columns, numbers."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from phonsmith.benchmarks.tables import Mean, mean_rmse
from phonsmith.campaign.model import Campaign
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


def pivot_table(
    campaign: Campaign,
    rmse: pd.DataFrame,
    cell: CellChoice,
    links: Mapping[tuple[str, str], str] | None = None,
    shown: Collection[str] = (),
) -> Table:
    """Tabulate the RMSE of structures × fits, the smallest of each row in bold.

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
    titles = [label_of(campaign, fit) + (" *" if fit in sampled else "") for fit in campaign.fits]
    rows = []
    for structure in campaign.benchmarked:
        mine = [found.get((structure, fit)) for fit in campaign.fits]
        known = [row["rmse_thz"] for row in mine if row and pd.notna(row["rmse_thz"])]
        best = min(known) if len(known) > 1 else None
        cells = [
            rmse_cell(row, best, links.get((structure, fit), ""))
            for fit, row in zip(campaign.fits, mine, strict=True)
        ]
        first = Cell(structure, crystal=structure if structure in shown else "")
        rows.append([first, *cells])
    means = [mean_in_words(mean_rmse(rmse, fit, cell)) for fit in campaign.fits]
    rows.append([Cell(text) for text in ("mean", *means)])
    columns = [Column("Structure", number=False), *(Column(title, number=True) for title in titles)]
    return Table(f"Phonon RMSE (THz), {CELLS[cell]}", columns, rows, total=True)


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


def plain_table(table: pd.DataFrame, caption: str) -> Table:
    """Convert a tidy table without changes."""
    numbers = [
        pd.api.types.is_numeric_dtype(table[name]) and bool(table[name].notna().any())
        for name in table
    ]
    rows = [
        [
            DASH if pd.isna(value) else f"{value:.4g}" if isinstance(value, float) else str(value)
            for value in row.values()
        ]
        for row in rows_of(table)
    ]
    names = [str(name).replace("_", " ") for name in table]
    columns = [Column(name, number) for name, number in zip(names, numbers, strict=True)]
    return Table(caption, columns, [[Cell(text) for text in row] for row in rows])
