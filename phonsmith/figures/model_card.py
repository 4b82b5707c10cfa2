"""Model card: what a potential was trained on, how good it is, and how to load it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from phonsmith.campaign.model import Campaign
from phonsmith.figures.answer import applications, goal_in_words, judge
from phonsmith.figures.limits_of_use import limits_of_use, range_in_words
from phonsmith.figures.pages import rendered
from phonsmith.figures.report_tables import errors_table, marks_in_words, means_table, worst_table
from phonsmith.figures.results_read import Tables, codes_in, counted, label_of
from phonsmith.figures.table_cells import DASH, Table, shortened, table_of
from phonsmith.files.cautions import Caution
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import elements_of, read_frames
from phonsmith.files.sources import sha256_of
from phonsmith.fits.covered import Covered, covered
from phonsmith.fits.kept import IN_LAMMPS
from phonsmith.fits.record import TrainingRecord
from phonsmith.fits.registry import trained_kind
from phonsmith.fits.settings import TrainedFit
from phonsmith.fits.training import learnable
from phonsmith.potentials.calculators import load_potential

MOST_ROWS = 20
"""Largest number of rows of a table of the card."""

MOST_WARNINGS = 20
"""Largest number of warnings of the card."""

ENERGY_ZEROS = {
    "isolated_atoms": "isolated atoms of the reference method",
    "least_squares": "a least-squares fit of the labels, so that only differences between cells of "
    "the same composition have a meaning",
    "forces_only": "none; the labels contain forces only",
    "estimated": "estimated from the foundation model and the labels",
    "foundation": "as in the foundation model",
}
"""Origins of the energy zero, see :class:`phonsmith.datasets.sets.Baseline`, in words."""


@dataclass(frozen=True)
class FitResults:
    """Files of a trained fit.

    Attributes
    ----------
    fit
        Id of the fit.
    generation
        Its generation.
    potential
        ``potential.json``.
    model
        Folder of the model.
    record
        Training record.
    train
        Training set of its generation.
    """

    fit: str
    generation: int
    potential: Path
    model: Path
    record: Path
    train: Path


def model_card(
    name: str,
    campaign: Campaign,
    files: FitResults,
    tables: Tables,
    *,
    accepted: int,
) -> str:
    """Return the card of a trained potential as Markdown.

    Parameters
    ----------
    name
        Name of the campaign.
    campaign
        Its settings.
    files
        The fit and its files.
    tables
        Tables of the campaign.
    accepted
        Generation that the tables describe.

    Raises
    ------
    PhonsmithError
        The fit was not trained, its generation is not that of the tables, or a file is missing or
        damaged.
    """
    fit = files.fit
    if files.generation != accepted:
        raise PhonsmithError(
            f"a model card describes the last generation; use results/{name}/fits/{fit}/"
            f"gen{accepted}/model_card.md"
        )
    settings, record = campaign.fits[fit], TrainingRecord.load_if_trained(files.record)
    if not isinstance(settings, TrainedFit) or record is None:
        raise PhonsmithError(f"fit '{fit}' was not trained by this campaign: it has no model card")
    potential = load_potential(files.potential)
    label = label_of(campaign, fit)
    frames = learnable(read_frames(files.train), settings, potential.has_energies)
    cells, elements = covered(frames), elements_of(frames)
    own = replace(
        tables,
        rmse=tables.rmse[tables.rmse["fit"] == fit],
        errors=None if tables.errors is None else tables.errors[tables.errors["fit"] == fit],
    )
    lammps = files.model / IN_LAMMPS
    warnings = [caution.in_words() for caution in _about(tables.warnings, campaign, label)]
    return rendered(
        "phonsmith.figures",
        "model_card.md.jinja",
        name=name,
        fit=fit,
        label=label,
        kind=settings.kind,
        generation=files.generation,
        description=campaign.description,
        elements=elements,
        judged=judge(campaign, tables.rmse, fit) if campaign.benchmarked else None,
        goal=goal_in_words(campaign),
        untested=applications(campaign)[1],
        level_of_theory=potential.level_of_theory,
        computed="recorded" if campaign.recorded else "computed",
        codes=", ".join(codes_in(tables.labels)),
        cells=counted(cells[-1].cells, "cell"),
        counts=record.counts,
        energy_zero=ENERGY_ZEROS[record.baseline_origin],
        trained_by=", ".join(f"{code} {version}" for code, version in record.versions.items()),
        recipe=_recipe(settings),
        covered=_covered_table(cells),
        means=_of_fit(means_table(campaign, own.rmse), label),
        phonons=shortened(
            _of_fit(worst_table(campaign, own.rmse), label), "tables/rmse.csv", MOST_ROWS
        ),
        marks=marks_in_words(own.rmse),
        errors=_of_fit(errors_table(campaign, own.errors), label),
        limits=limits_of_use(
            campaign, fit, tables, cells, elements, has_energies=potential.has_energies
        ),
        warnings=warnings[:MOST_WARNINGS],
        more_warnings=len(warnings) - MOST_WARNINGS,
        checksums=_checksums(files.model),
        has_energies=potential.has_energies,
        in_ase=trained_kind(settings).in_ase(f"{files.model.name}/{record.model}"),
        lammps=lammps.read_text(encoding="utf-8").rstrip() if lammps.exists() else "",
        **_example(campaign, files, tables),
    )


def _recipe(settings: TrainedFit) -> str:
    """Return the settings that differ from the defaults, as in a campaign file."""
    content = settings.model_dump(
        mode="json", exclude_defaults=True, by_alias=True, exclude={"resources", "label"}
    )
    text = yaml.safe_dump({"kind": settings.kind, **content}, sort_keys=False, allow_unicode=True)
    return str(text).rstrip()


def _covered_table(cells: Sequence[Covered]) -> Table:
    """Tabulate what the training cells cover; all of them last."""
    rows = [
        [
            one.structure,
            one.kind,
            str(one.cells),
            range_in_words(one.atoms, 0),
            range_in_words(one.volume_angstrom3, 2),
            range_in_words(one.pressure_gpa, 1) if one.pressure_gpa else DASH,
            range_in_words(one.kelvin, 0) if one.kelvin else DASH,
            f"{one.largest_force:.2f}",
        ]
        for one in cells
    ]
    titles = ["Crystal or data", "Kind", "Cells", "Atoms", "Volume (Å³/atom)", "Pressure (GPa)"]
    titles += ["Thermostat (K)", "Largest force (eV/Å)"]
    known = [column for column in range(len(titles)) if any(row[column] != DASH for row in rows)]
    rows = [[row[column] for column in known] for row in rows]
    table = table_of([titles[column] for column in known], rows, "", text_columns=2)
    if len(rows) <= MOST_ROWS:
        return table
    words = f"The first {MOST_ROWS} of {len(rows) - 1} rows, and all cells together"
    return replace(table, caption=words, rows=[*table.rows[:MOST_ROWS], table.rows[-1]])


def _of_fit(table: Table | None, label: str) -> Table | None:
    """Return the rows of a fit without the column of its label; None without any row."""
    if table is None:
        return None
    column = [one.title for one in table.columns].index("Fit")
    rows = [[*row[:column], *row[column + 1 :]] for row in table.rows if row[column].text == label]
    columns = [*table.columns[:column], *table.columns[column + 1 :]]
    return replace(table, rows=rows, columns=columns) if rows else None


def _about(cautions: Sequence[Caution], campaign: Campaign, label: str) -> list[Caution]:
    """Return the warnings that are not about other fits alone."""
    labels = sorted((label_of(campaign, fit) for fit in campaign.fits), key=len, reverse=True)
    any_label = re.compile(rf"(?<![\w.-])({'|'.join(map(re.escape, labels))})(?![\w.-])")
    named = [(caution, any_label.findall(caution.subject)) for caution in cautions]
    return [caution for caution, fits in named if not fits or label in fits]


def _checksums(model: Path) -> list[tuple[str, str]]:
    """Return file and SHA-256 of all files of a model; Snakemake's hidden ones are none."""
    files = sorted(path for path in model.rglob("[!.]*") if path.is_file())
    return [(str(path.relative_to(model.parent)), sha256_of(path)) for path in files]


def _example(campaign: Campaign, files: FitResults, tables: Tables) -> Mapping[str, object]:
    """Return the crystal of the snippets, its supercell, and its phonons by this fit.

    Paths are relative to the folder of the card.
    """
    here, fit, cell = "../../..", files.fit, campaign.phonons.cells[0]
    known = tables.rmse.query("fit == @fit and cell == @cell").dropna(subset="rmse_thz")
    computed = known["structure"].tolist()
    crystal = next(iter([*computed, *campaign.structures]), None)
    matrix = [[2, 0, 0], [0, 2, 0], [0, 0, 2]]
    if tables.phonons is not None:
        own = tables.phonons[tables.phonons["structure"] == crystal]
        for text in own["supercell_matrix"]:
            rows = [[int(value) for value in row.split()] for row in text.split(";")]
            matrix = [list(column) for column in zip(*rows, strict=True)]  # as phonopy has it
    return {
        "crystal": f"{here}/relaxed/{crystal}.extxyz" if crystal else "crystal.extxyz",
        "supercell_matrix": matrix,
        "distance": campaign.supercells.displaced.distance_angstrom,
        "phonons_file": f"{here}/phonons/{fit}/gen{files.generation}/{cell}/{crystal}.yaml"
        if computed
        else "",
    }
