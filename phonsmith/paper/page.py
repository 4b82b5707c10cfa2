"""The figures of the papers on one page, made by phonsmith, beside the published values.

Figures come from files of campaigns; typed numbers are the published values alone, marked as such.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from phonsmith.figures.pages import asset, rendered
from phonsmith.figures.pictures import as_data
from phonsmith.figures.table_cells import DASH, Table, number, plain_table, table_of, with_spreads
from phonsmith.paper.settings import Figure, PaperTable, PublishedTable, Scale

MAX_ROWS = 60
"""Rows of a table that the page shows; the file has all."""

SCALES: dict[Scale, str] = {"full": "full scale", "small": "small scale"}


@dataclass(frozen=True)
class Source:
    """A campaign, as the page describes it.

    Attributes
    ----------
    description
        What it computes.
    reference
        Its reference method.
    published
        Published values of its own file.
    """

    description: str
    reference: str
    published: Sequence[PublishedTable] = ()


@dataclass(frozen=True)
class Shown:
    """A file on the page: a picture as data, a table, or the reason why there is none."""

    path: str
    picture: str = ""
    table: Table | None = None
    missing: str = ""


def render_page(
    table: PaperTable,
    scale: Scale,
    names: Sequence[str],
    sources: Mapping[str, Source],
    read: Callable[[str], bytes | None],
) -> str:
    """Render the page as HTML, without links to other files than those it names.

    Parameters
    ----------
    table
        The table of figures.
    scale
        The scale.
    names
        The figures on the page, in this order.
    sources
        The campaigns that the figures name.
    read
        Returns the content of a file, by its path; None if the file does not exist.
    """
    entries = [_entry(name, table, scale, sources, read) for name in names]
    used = dict.fromkeys(table.figures[name].paper for name in names)
    states = [str(entry["state"]) for entry in entries]
    return rendered(
        "phonsmith.paper",
        "page.html.jinja",
        style=Markup(asset("phonsmith.figures", "report.css")),
        scale=SCALES[scale],
        entries=entries,
        papers=[table.papers[key] for key in used],
        counts={state: states.count(state) for state in STATES if state in states},
        command="snakemake paper" if scale == "full" else "snakemake paper-small",
    )


def _entry(
    name: str,
    table: PaperTable,
    scale: Scale,
    sources: Mapping[str, Source],
    read: Callable[[str], bytes | None],
) -> dict[str, object]:
    figure = table.figures[name]
    wanted = figure.at(scale)
    campaigns = [
        (one, sources[one], [_shown(f"results/{one}/{file}", read) for file in paths])
        for one, paths in wanted.files.items()
    ]
    made = [not file.missing for _, _, shown in campaigns for file in shown]
    return {
        "name": name,
        "paper": table.papers[figure.paper].name,
        "shows": figure.shows,
        "state": state_of(made, wanted.lacks),
        "lacks": wanted.lacks,
        "campaigns": campaigns,
        "published": [_values(one) for one in _published(figure, table, sources)],
    }


STATES = ("made", "made in part", "not made yet", "no data")


def state_of(made: Sequence[bool], lacks: str | None) -> str:
    """Describe a figure by whether each of its files exists, and by what they lack."""
    if not made:
        return "no data"
    if not any(made):
        return "not made yet"
    return "made" if all(made) and not lacks else "made in part"


def _published(
    figure: Figure, table: PaperTable, sources: Mapping[str, Source]
) -> list[PublishedTable]:
    own = [table.published[key] for key in figure.published]
    return own + [one for name in figure.published_in for one in sources[name].published]


def _values(published: PublishedTable) -> tuple[Table, str]:
    """Return published values as a table, with the note below it."""
    rows = [
        [name, *(DASH if value is None else f"{value:g}" for value in values)]
        for name, values in published.rows.items()
    ]
    caption = f"Published: {published.shows}. Source: {published.source}."
    return table_of(["", *published.columns], rows, caption), published.note or ""


def _shown(path: str, read: Callable[[str], bytes | None]) -> Shown:
    content = read(path)
    if content is None:
        return Shown(path, missing="not made yet")
    if path.endswith(".svg"):
        return Shown(path, picture=as_data(content, "image/svg+xml"))
    return _table(path, content)


def _table(path: str, content: bytes) -> Shown:
    try:
        values = pd.read_csv(io.BytesIO(content))
    except pd.errors.EmptyDataError:
        return Shown(path, missing="without rows")
    if not len(values):
        return Shown(path, missing="without rows")
    values = with_spreads(_without_campaign(values))
    if path.endswith("/rmse.csv") and {"fit", "structure", "cell", "rmse_thz"} <= {*values}:
        return Shown(path, table=_by_crystal(values, f"{path}: phonon RMSE (THz)"))
    more = f" (first {MAX_ROWS} of {len(values)} rows)" if len(values) > MAX_ROWS else ""
    return Shown(path, table=plain_table(values.head(MAX_ROWS), path + more))


def _without_campaign(values: pd.DataFrame) -> pd.DataFrame:
    """Omit the campaign, which is in the heading, and remarks that nobody makes."""
    return values.drop(columns="campaign", errors="ignore").dropna(axis="columns", how="all")


def _by_crystal(rmse: pd.DataFrame, caption: str) -> Table:
    """Put the phonon errors of all fits to a crystal beside each other."""
    one = rmse.drop_duplicates(["structure", "cell", "fit"], keep="last")
    errors = one.set_index(["structure", "cell", "fit"])["rmse_thz"].unstack("fit", sort=False)
    rows = [
        [*place, *(number(value) for value in row)]
        for place, row in zip(errors.index, errors.to_numpy(), strict=True)
    ]
    return table_of(["Crystal", "Cell", *errors.columns], rows, caption, text_columns=2)
