"""The report: an HTML page with results, warnings, figures and settings of a campaign.

The page is self-contained, except for links to full-size figures of single structures and fits.
Equal results give equal pages, byte for byte.
"""

import base64
import io
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

import phonsmith
from phonsmith.campaign.model import Campaign
from phonsmith.figures import citations
from phonsmith.figures.report_tables import (
    errors_table,
    fits_table,
    gamma_table,
    generations_table,
    marks_in_words,
    means_table,
    mechanics_table,
    structures_table,
)
from phonsmith.figures.results_read import Tables, counted, label_of, rows_of
from phonsmith.figures.style import CELLS, DOUBLE_COLUMN_INCH, thz
from phonsmith.figures.table_cells import pivot_table, plain_table

THUMBNAIL_PIXELS = 620
"""Width of the small pictures in the page."""

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


def render_report(
    name: str,
    campaign: Campaign,
    tables: Tables,
    figures: FigureFiles,
    folder: Path,
    *,
    date: str = "",
) -> str:
    """Render the page as HTML.

    Figures of the whole campaign are embedded in full; those of single fits and structures are
    embedded small, with links to the files.

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
    date
        Date of the newest result, not of the page: equal results give equal pages.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined)
    template = files("phonsmith.figures").joinpath("report.html.jinja").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        name=name,
        version=_version("phonsmith"),
        date=date,
        codes=_codes(campaign, tables),
        description=campaign.description,
        summary=_summary(campaign),
        level_of_theory=campaign.level_of_theory,
        means=means_table(campaign, tables.rmse),
        rmse_in_words=RMSE_IN_WORDS,
        warnings=[caution.in_words() for caution in tables.warnings],
        pivots=[
            pivot_table(campaign, tables.rmse, cell)
            for cell in campaign.phonons.cells
            if campaign.fits and campaign.benchmarked
        ],
        marks=marks_in_words(tables.rmse),
        structures=(
            structures_table(campaign, tables.structures, tables.phonons)
            if campaign.structures
            else None
        ),
        gamma=gamma_table(campaign, tables.gamma),
        labels=plain_table(tables.labels, "Labels and failures") if len(tables.labels) else None,
        generations=generations_table(campaign, tables.generations),
        fits=fits_table(campaign, tables.fits),
        errors=errors_table(campaign, tables.errors),
        mechanics=mechanics_table(campaign, tables.mechanics),
        figures=_whole_figures(campaign, figures),
        applications=[_embedded(path, caption) for path, caption in figures.applications],
        application_tables=[
            plain_table(table, caption) for table, caption in tables.applications if len(table)
        ],
        parity=[
            _thumbnail(path, label_of(campaign, fit), folder)
            for fit, path in figures.parity.items()
        ],
        gallery=_gallery(campaign, tables.rmse, figures.bands, folder),
        gallery_in_words=_gallery_in_words(campaign),
        settings=settings_in_words(campaign),
        method=citations.METHOD,
        software=citations.software(campaign),
        data=citations.data(campaign),
    )


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
    codes.append(("Reference labels", _distinct(tables.labels) or unknown))
    for fit, part in tables.fits.groupby("fit", sort=False) if "code" in tables.fits else []:
        if code := _distinct(part):
            codes.append((label_of(campaign, str(fit)), code))
    return codes


def _distinct(table: pd.DataFrame) -> str:
    """Return the distinct codes in the column ``code``."""
    values: list[str] = table["code"].dropna().tolist() if "code" in table else []
    return ", ".join(
        dict.fromkeys(code for text in values for code in str(text).split(", ") if code)
    )


def _gallery_in_words(campaign: Campaign) -> str:
    words = (
        "The reference is black, the fit dashed and in colour; "
        f"{CELLS[campaign.phonons.cells[0]]}. "
        if campaign.fits
        else ""
    )
    return f"{words}Each picture links to the full-size figure."


def _summary(campaign: Campaign) -> str:
    """Summarise the campaign in two sentences."""
    made = "recorded" if campaign.recorded else "computed"
    trained, constants = len(campaign.trained), len(campaign.without_potential)
    potentials, there = trained - constants, len(campaign.fits) - trained
    fits = " and ".join(
        text
        for number, text in (
            (potentials, f"{counted(potentials, 'potential')} fitted to them"),
            (constants, f"{counted(constants, 'fit')} of force constants alone"),
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
    captions: list[tuple[Path | None, str]] = [
        (figures.by_structure, "Phonon RMSE of every crystal; lines are means."),
        *(
            (path, f"Phonon RMSE against {campaign.sweeps[name].label} ({name}).")
            for name, path in figures.sweeps.items()
        ),
        (
            figures.phonon_vs_force,
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
    return [_embedded(path, caption) for path, caption in captions if path is not None]


def _gallery(
    campaign: Campaign, rmse: pd.DataFrame, bands: Mapping[str, Path], folder: Path
) -> list[tuple[str, list[dict[str, str]]]]:
    """Return the band structures by crystal, each with its RMSE or the reason for its absence."""
    first = rmse[rmse["cell"] == campaign.phonons.cells[0]]
    found = {(row["structure"], row["fit"]): row for row in rows_of(first)}
    gallery = []
    for structure in campaign.benchmarked:
        pictures = []
        for fit, place in bands.items():
            caption = "reference"
            if fit in campaign.fits:
                row = found[structure, fit]
                value = row["rmse_thz"]
                result = f"no RMSE: {row['reason']}" if pd.isna(value) else f"RMSE {thz(value)}"
                caption = f"{label_of(campaign, fit)}: {result}"
            pictures.append(_thumbnail(place / structure, caption, folder))
        if pictures:
            gallery.append((structure, pictures))
    return gallery


_WIDTH = re.compile(rb'<svg[^>]*\swidth="([\d.]+)pt"')
PAGE_REM = 54
"""Width of a figure of two columns in the page."""


def _embedded(path: Path, caption: str) -> dict[str, str]:
    """Embed an SVG figure, with a width relative to a two-column figure."""
    content = path.read_bytes()
    found = _WIDTH.search(content)
    points = float(found[1]) if found else 72 * DOUBLE_COLUMN_INCH
    width = f"{PAGE_REM * min(1.0, points / (72 * DOUBLE_COLUMN_INCH)):.1f}rem"
    source = _as_data(content, "svg+xml")
    return {"caption": caption, "source": source, "link": "", "width": width}


def _thumbnail(stem: Path, caption: str, folder: Path) -> dict[str, str]:
    """Return a thumbnail with a link to the file.

    ``stem`` is the path without suffix; the best available format is used.
    """
    paths = {suffix: stem.with_name(f"{stem.name}.{suffix}") for suffix in ("svg", "pdf", "png")}
    there = [path for path in paths.values() if path.exists()]
    link = Path(os.path.relpath(there[0], folder)).as_posix() if there else ""
    if paths["png"].exists():
        source = _as_data(_small_png(paths["png"]), "png")
    else:
        source = link if link.endswith(".svg") else ""
    return {"caption": caption, "source": source, "link": link}


def _as_data(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _small_png(path: Path) -> bytes:
    from PIL import Image

    with Image.open(path) as image:
        height = round(image.height * THUMBNAIL_PIXELS / image.width)
        small = image.convert("RGB").resize((THUMBNAIL_PIXELS, height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.quantize(64, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
