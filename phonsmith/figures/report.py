"""The report: an HTML page with results, warnings, figures and settings of a campaign.

The page is self-contained, except for links to full-size figures of single structures and fits,
and to large tables. Its JavaScript is optional: it sorts tables and draws band structures.
Equal results give equal pages, byte for byte.
"""

import functools
import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from markupsafe import Markup

import phonsmith
from phonsmith.campaign.model import Campaign
from phonsmith.figures import citations
from phonsmith.figures.answer import answer, kappa_in_words
from phonsmith.figures.band_data import PackedBands, packed_text
from phonsmith.figures.costs import COLUMNS, costs_table
from phonsmith.figures.downloads import Download, downloads, text_download
from phonsmith.figures.pages import asset, html_of, rendered
from phonsmith.figures.pictures import embedded, link_to_figure, relative_link, thumbnail
from phonsmith.figures.report_tables import (
    errors_table,
    fits_table,
    gamma_table,
    generations_table,
    marks_in_words,
    means_table,
    mechanics_table,
    structures_table,
    worst_table,
)
from phonsmith.figures.results_read import Tables, codes_in, counted, label_of, with_minus
from phonsmith.figures.style import CELLS, thz
from phonsmith.figures.table_cells import Table, pivot_table, plain_table, readable, shortened

WARNINGS_SHOWN = 30
"""Number of warnings in the page; the others unfold."""

VERDICTS_SHOWN = 6
"""Number of verdicts on fits in the answer; the others unfold."""

LONG_TABLE = 20
"""Number of rows from which a table of details is folded."""

RMSE_IN_WORDS = (
    "Phonon RMSE: root of the mean of the squared frequency difference over all q points of the "
    "band path and all branches, the branches of each q point sorted by frequency. Sorting hides "
    "crossings: the n-th lowest frequencies are compared, not modes of the same pattern."
)


@dataclass(frozen=True)
class FigureFiles:
    """Figures of a campaign; missing figures are omitted.

    Attributes
    ----------
    by_structure
        RMSE against structure, SVG; None without fits.
    sweeps
        RMSE against a setting, SVG, by the name of the sweep.
    phonon_vs_force
        Phonon against force RMSE, SVG.
    database_errors
        Errors on existing databases, SVG.
    generations
        Phonon RMSE against the number of labels, SVG.
    parity
        Paths by fit, without suffix.
    bands
        Folders with a figure for each structure, by fit.
    applications
        Figures of the applications, SVG, with captions.
    """

    by_structure: Path | None
    sweeps: Mapping[str, Path]
    phonon_vs_force: Path | None
    database_errors: Path | None
    generations: Path | None
    parity: Mapping[str, Path]
    bands: Mapping[str, Path]
    applications: Sequence[tuple[Path, str]] = ()


@dataclass(frozen=True)
class Further:
    """Content of the page beside tables and figures.

    Attributes
    ----------
    bands
        Band structures of the interactive plot.
    costs
        Cost by stage, see :func:`phonsmith.figures.costs.read_costs`.
    models
        Fit, model file and SHA-256 of the potentials.
    cards
        Model cards by fit, Markdown.
    tables
        Paths of the CSV files by name.
    """

    bands: Sequence[PackedBands] = ()
    costs: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(COLUMNS)))
    models: Sequence[tuple[str, str, str]] = ()
    cards: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, Path] = field(default_factory=dict)


def render_report(
    name: str,
    campaign: Campaign,
    tables: Tables,
    figures: FigureFiles,
    folder: Path,
    *,
    further: Further | None = None,
    date: str = "",
) -> str:
    """Render the page as HTML.

    Figures of the whole campaign are embedded in full; those of single fits are embedded small,
    with links to the files. Band structures are data of an interactive plot, and links.

    Parameters
    ----------
    name
        Name of the campaign.
    campaign
        Its settings.
    tables
        Its tables.
    figures
        Its figures.
    folder
        Folder of the page; links are relative to it.
    further
        Band structures, costs, checksums and files to download.
    date
        Date of the newest result, not of the page: equal results give equal pages.
    """
    further = further or Further()
    settings = written_settings(campaign)
    shown = [bands.structure for bands in further.bands]
    links = _figure_links(campaign, figures.bands, folder)
    cells = campaign.phonons.cells
    return rendered(
        "phonsmith.figures",
        "report.html.jinja",
        name=name,
        style=Markup(asset("phonsmith.figures", "report.css")),
        script=Markup(asset("phonsmith.figures", "report.js")),
        plotly=_plotly() if further.bands else "",
        version=_version("phonsmith"),
        date=date,
        codes=_codes(campaign, tables),
        description=campaign.description,
        summary=_summary(campaign),
        answer=answer(campaign, tables.rmse),
        kappa=kappa_in_words(campaign, [one for one, _ in tables.applications]),
        level_of_theory=campaign.level_of_theory,
        means=means_table(campaign, tables.rmse),
        rmse_in_words=RMSE_IN_WORDS,
        warnings=[with_minus(caution.in_words()) for caution in tables.warnings],
        warnings_shown=WARNINGS_SHOWN,
        verdicts_shown=VERDICTS_SHOWN,
        pivots=[
            pivot_table(campaign, tables.rmse, cell, links if cell == cells[0] else None, shown)
            for cell in cells
            if campaign.fits and campaign.benchmarked
        ],
        marks=marks_in_words(tables.rmse),
        long_table=LONG_TABLE,
        worst=shortened(worst_table(campaign, tables.rmse), "tables/rmse.csv"),
        structures=(
            structures_table(campaign, tables.structures, tables.phonons)
            if campaign.structures
            else None
        ),
        gamma=shortened(gamma_table(campaign, tables.gamma), "tables/gamma.csv"),
        labels=_labels_table(campaign, tables.labels),
        generations=generations_table(campaign, tables.generations),
        fits=fits_table(campaign, tables.fits),
        errors=errors_table(campaign, tables.errors),
        mechanics=shortened(mechanics_table(campaign, tables.mechanics), "tables/mechanics.csv"),
        figures=_whole_figures(campaign, figures),
        applications=[embedded(path, caption) for path, caption in figures.applications],
        application_tables=[
            shortened(plain_table(readable(campaign, table), caption), "tables")
            for table, caption in tables.applications
            if len(table)
        ],
        parity=[
            thumbnail(path, label_of(campaign, fit), folder)
            for fit, path in figures.parity.items()
            if tables.errors is None or fit in set(tables.errors["fit"])
        ],
        bands=[(one, _option(one)) for one in further.bands],
        bands_in_words=_bands_in_words(campaign, len(shown)),
        band_links=[]
        if campaign.fits
        else [(crystal, link) for (crystal, _), link in links.items()],
        cards=[_card(campaign, fit, text) for fit, text in further.cards.items()],
        costs=costs_table(further.costs),
        checksums=_checksums(further.models, name, settings),
        settings=settings_in_words(campaign),
        downloads=[
            text_download(f"{name}.yaml", settings, "application/yaml"),
            *downloads(further.tables, folder),
        ],
        method=citations.METHOD,
        software=citations.software(campaign),
        data=citations.data(campaign),
    )


@functools.cache
def _plotly() -> str:
    """Return plotly's JavaScript, packed: the wheel has the bundle of all kinds of plots alone."""
    return packed_text(asset("plotly", "package_data/plotly.min.js"))


def _labels_table(campaign: Campaign, labels: pd.DataFrame) -> Table | None:
    caption = "Labelled cells by crystal and kind; atoms: in all of these cells together"
    found = plain_table(readable(campaign, labels), caption) if len(labels) else None
    return shortened(found, "tables/labels.csv")


def _card(campaign: Campaign, fit: str, text: str) -> tuple[str, Markup, Download]:
    """Return label, content and file of a model card."""
    file = text_download(f"{fit}.model_card.md", text, "text/markdown")
    return label_of(campaign, fit), Markup(html_of(text, top=3)), file


def _option(bands: PackedBands) -> str:
    """Return the text of a crystal in the list of band structures."""
    error = "" if bands.largest_thz is None else f" – RMSE {thz(bands.largest_thz)}"
    return f"{bands.structure}{error}"


def _figure_links(
    campaign: Campaign, bands: Mapping[str, Path], folder: Path
) -> dict[tuple[str, str], str]:
    """Return the links to the figures of band structures by crystal and fit."""
    links = {
        (structure, fit): link_to_figure(place / structure, folder)
        for structure in campaign.benchmarked
        for fit, place in bands.items()
    }
    return {key: link for key, link in links.items() if link}


def _bands_in_words(campaign: Campaign, shown: int) -> str:
    total = len(campaign.benchmarked)
    if not campaign.fits:
        return f"{shown} of {counted(total, 'crystal')}." if shown < total else ""
    words = (
        f"Reference: solid black; fits: {CELLS[campaign.phonons.cells[0]]}. Branches are sorted by "
        "frequency, and the error is the difference of branches with equal numbers. "
    )
    if shown < total:
        words += (
            f"The {shown} crystals with the largest errors of {total}; figures of the others are "
            "linked in the table of the phonon RMSE. "
        )
    return (
        f"{words}In the list: the largest RMSE of all fits. A click on a name in the legend "
        "shows or hides it; of many fits, those with the smallest RMSE are shown first."
    )


def checksums_of(
    campaign: Campaign, potentials: Mapping[str, Path], folder: Path
) -> list[tuple[str, str, str]]:
    """Return label, model file and SHA-256 of each fit with a model file and a checksum.

    Parameters
    ----------
    campaign
        The campaign.
    potentials
        ``potential.json`` of each fit.
    folder
        Folder of the page; names of files are relative to it.
    """
    from phonsmith.potentials.calculators import has_calculator, load_potential

    found = []
    for fit, path in potentials.items():
        if not has_calculator(path):
            continue
        source = load_potential(path).source
        if source.model_file is not None and source.sha256:
            file = relative_link(Path(source.model_file), folder.resolve())
            found.append((label_of(campaign, fit), file, source.sha256))
    return found


def _checksums(
    models: Sequence[tuple[str, str, str]], name: str, settings: str
) -> list[tuple[str, str, str]]:
    """Return what, file and SHA-256 of the campaign file and of all models."""
    digest = hashlib.sha256(settings.encode()).hexdigest()
    return [("Settings, as downloaded from this page", f"{name}.yaml", digest), *models]


def _version(package: str) -> str:
    """Return the installed version of a package; empty if it is not installed.

    phonsmith may run from its repository, which contains its version.
    """
    with suppress(PackageNotFoundError):
        return version(package)
    project = Path(phonsmith.__file__).parents[1] / "pyproject.toml"
    if package == "phonsmith" and project.exists():
        found = tomllib.loads(project.read_text(encoding="utf-8"))
        return str(found.get("project", {}).get("version", ""))
    return ""


def _codes(campaign: Campaign, tables: Tables) -> list[tuple[str, str]]:
    """Return the codes with versions; versions of labels and fits are as recorded."""
    packages = ["phonsmith", "snakemake", "phonopy", "spglib", "ase"]
    packages += ["phono3py", "symfc"] if campaign.conductivity else []
    installed = [f"{package} {_version(package)}" for package in packages if _version(package)]
    codes = [("Pipeline, as installed when this page was written", ", ".join(installed))]
    unknown = f"{campaign.level_of_theory}, version not recorded"
    codes.append(("Reference labels", ", ".join(codes_in(tables.labels)) or unknown))
    for fit, part in tables.fits.groupby("fit", sort=False) if "code" in tables.fits else []:
        if found := codes_in(part):
            codes.append((label_of(campaign, str(fit)), ", ".join(found)))
    return codes


def _summary(campaign: Campaign) -> str:
    """Summarise the campaign in two sentences."""
    made = "recorded" if campaign.recorded else "computed"
    trained, constants = len(campaign.trained), len(campaign.without_potential)
    potentials, there = trained - constants, len(campaign.fits) - trained
    fits = " and ".join(
        text
        for number, text in (
            (potentials, f"{counted(potentials, 'potential')} fitted to these labels"),
            (constants, f"{counted(constants, 'fit')} of force constants"),
            (there, f"{counted(there, 'existing potential')}"),
        )
        if number
    )
    reference = (
        f"{counted(len(campaign.benchmarked), 'crystal')}; reference: {campaign.level_of_theory} "
        f"({made} labels)"
    )
    if not campaign.fits:
        return f"{reference}; no potentials."
    if campaign.is_test_alone:
        databases = counted(len(campaign.datasets.databases), "data set")
        return f"{databases}: {campaign.level_of_theory}; {fits}, tested on all of their cells."
    return (
        f"{reference}; {fits}. Phonons of every potential are compared with those of the "
        "reference, at the same q points and with the same supercells."
    )


# --- settings ----------------------------------------------------------------------------------


def written_settings(campaign: Campaign) -> str:
    """Return the settings as a campaign file, complete but for defaults."""
    text = yaml.safe_dump(campaign.as_written(), sort_keys=False, allow_unicode=True, width=100)
    return str(text)


def settings_in_words(campaign: Campaign) -> str:
    """Return the settings that differ from the defaults, as YAML without checksums."""
    settings = campaign.as_written()
    for key in ("description", "figures"):
        settings.pop(key, None)
    _shorten(settings)
    text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True, width=100)
    return str(text)


def _shorten(settings: Any) -> None:
    """Replace the files of every source, with their checksums, by their number."""
    if isinstance(settings, dict):
        for key, value in settings.items():
            if key == "source" and isinstance(value, dict) and "files" in value:
                value["files"] = counted(len(value["files"]), "file")
            else:
                _shorten(value)


# --- pictures ----------------------------------------------------------------------------------


def _whole_figures(campaign: Campaign, figures: FigureFiles) -> list[dict[str, str]]:
    several_fits = len(campaign.fits) > 1
    several_points = several_fits or len(campaign.benchmarked) > 1
    captions: list[tuple[Path | None, str]] = [
        (
            figures.by_structure if several_points else None,
            "Phonon RMSE of every crystal; the legend has the means.",
        ),
        *(
            (path, f"Phonon RMSE against “{campaign.sweeps[name].label}”, sweep {name}.")
            for name, path in figures.sweeps.items()
        ),
        (
            figures.phonon_vs_force if several_fits else None,
            "Mean phonon RMSE against the force RMSE of each trained fit; the area of a circle "
            "increases with the number of sparse points.",
        ),
        (
            figures.generations,
            "Mean phonon RMSE against the number of labels for each generation; bars are "
            "the standard deviation of the mean over the repeats. Hollow: some crystals have "
            "no RMSE; the mean is over the other crystals.",
        ),
        (
            figures.database_errors,
            "Share of the test values of the existing database whose error is below the value on "
            "the axis, for each fit.",
        ),
    ]
    return [embedded(path, caption) for path, caption in captions if path is not None]
