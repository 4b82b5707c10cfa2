"""Reading of ``config/paper.yaml``, and checks against the campaigns."""

from collections.abc import Collection
from pathlib import Path

from pydantic import ValidationError

from phonsmith.campaign.model import Campaign
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.problems import listed, nearest, problems_of
from phonsmith.files.yaml_files import load_yaml
from phonsmith.paper.settings import PaperTable, PublishedTable


def load_paper(path: str | Path, campaigns: Collection[str]) -> PaperTable:
    """Read and check the table of figures.

    Raises
    ------
    PhonsmithError
        All problems, a line each: the file, the key's path, what was found, what is allowed.
    """
    try:
        table = PaperTable.model_validate(load_yaml(path, "table of figures"))
    except ValidationError as error:
        problems = problems_of(error, PaperTable)
        raise PhonsmithError("\n".join(f"{path}: {one}" for one in problems)) from None
    unknown = [
        f"{path}: {place}: '{name}' is no campaign{nearest(name, campaigns) or ';'} campaigns are "
        f"{listed(sorted(campaigns))}"
        for place, name in table.named_campaigns()
        if name not in campaigns
    ]
    if unknown:
        raise PhonsmithError("\n".join(dict.fromkeys(unknown)))
    return table


def figures_named(table: PaperTable, name: str | None) -> list[str]:
    """Return the names of all figures, or the given one if it is in the table.

    Raises
    ------
    PhonsmithError
        There is no such figure.
    """
    if name is None:
        return list(table.figures)
    if name not in table.figures:
        raise PhonsmithError(
            f"'{name}' is no figure of the papers{nearest(name, table.figures) or ';'} figures are "
            f"{', '.join(table.figures)}"
        )
    return [name]


def check_files(table: PaperTable, name: str, files: Collection[str]) -> None:
    """Check that a campaign makes all files that figures name of it.

    Parameters
    ----------
    table
        The table.
    name
        Name of the campaign.
    files
        The figures and tables that the campaign makes, below its results.

    Raises
    ------
    PhonsmithError
        All files that no rule makes, a line each.
    """
    problems = [
        f"figures.{figure}.{scale}.files.{name}: no rule makes {file} of this campaign"
        f"{nearest(file, files)}"
        for figure, entry in table.figures.items()
        for scale in ("full", "small")
        for file in getattr(entry, scale).files.get(name, [])
        if file not in files
    ]
    if problems:
        raise PhonsmithError("\n".join(f"config/paper.yaml: {one}" for one in problems))


def published_in(name: str, campaign: Campaign) -> list[PublishedTable]:
    """Return the published values of a campaign's own file."""
    tables = []
    if campaign.conductivity and (found := campaign.conductivity.published):
        kelvin = sorted({one.temperature_kelvin for one in found})
        rows: dict[str, list[float | None]] = {}
        for one in found:
            along = f", [{' '.join(map(str, one.direction))}]" if one.direction else ""
            row = f"{one.label}, {one.structure}{along} ({one.source})"
            values = rows.setdefault(row, [None] * len(kelvin))
            values[kelvin.index(one.temperature_kelvin)] = one.kappa_w_per_m_k
        heads = [f"{temperature:g} K" for temperature in kelvin]
        tables.append(_listed_with(name, "thermal conductivity, W/mK", heads, rows))
    for transition, settings in campaign.transitions.items():
        unit = "K" if settings.driven_by == "temperature" else "GPa"
        ends = {
            f"{one.label}, {' to '.join(one.structures)} ({one.source})": [one.value, one.up_to]
            for one in settings.published
        }
        if ends:
            shows = f"transition {transition}, {unit}"
            tables.append(_listed_with(name, shows, ["value", "up to"], ends))
    return tables


def _listed_with(
    name: str, shows: str, columns: list[str], rows: dict[str, list[float | None]]
) -> PublishedTable:
    source = f"in brackets, from config/campaigns/{name}.yaml"
    return PublishedTable(shows=shows, source=source, columns=columns, rows=rows)
