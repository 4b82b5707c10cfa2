"""The report."""

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from phonsmith.benchmarks.tables import rmse_table
from phonsmith.campaign.model import Campaign
from phonsmith.campaign.reading import load_campaign
from phonsmith.figures.bands import draw_bands
from phonsmith.figures.cautions import cautions
from phonsmith.figures.parity import draw_parity
from phonsmith.figures.report import FigureFiles, _embedded, render_report, settings_in_words
from phonsmith.figures.report_tables import generations_table as reported_generations
from phonsmith.figures.results_read import Tables
from phonsmith.figures.rmse import draw_rmse_by_structure
from phonsmith.figures.style import save_figure
from tests.figures.examples import (
    FORCES,
    LOOKS,
    RMSE,
    bare_tables,
    campaign,
    caption,
    chain,
    generations,
    predictions,
    table,
    tables,
)


def test_the_report_marks_changes_within_the_noise():
    found = reported_generations(campaign(), generations())
    assert found is not None
    texts = [[cell.text for cell in row][3:5] for row in found.rows]
    assert texts == [
        ["0.150 ± 0.001", "–"],
        ["–", "–"],
        ["0.140 ± 0.020", "−0.010 (not significant, n = 3)"],
    ]


@pytest.fixture
def files(tmp_path) -> FigureFiles:
    """Figures of the campaign above, as the pipeline leaves them."""
    folder = tmp_path / "figures"
    figure = draw_rmse_by_structure(table(RMSE), LOOKS)
    save_figure(figure, folder / "rmse_by_structure.svg", dpi=60)
    parity = draw_parity(predictions(*FORCES), "GAP")
    for suffix in ("svg", "png"):
        save_figure(parity, folder / "parity" / f"gap.{suffix}", dpi=60)
    for structure in ("mp-149", "mp-165"):
        drawn = draw_bands(chain(), None, None, LOOKS["gap"], caption(None, "lost"))
        for suffix in ("svg", "png"):
            save_figure(drawn, folder / "bands" / "gap" / f"{structure}.{suffix}", dpi=60)
    return FigureFiles(
        by_structure=folder / "rmse_by_structure.svg",
        sweeps={},
        phonon_vs_force=None,
        database_errors=None,
        generations=None,
        parity={"gap": folder / "parity" / "gap"},
        bands={"gap": folder / "bands" / "gap"},
    )


def test_the_report_says_what_a_reader_needs(tmp_path, files):
    page = render_report("si-demo", campaign(), tables(), files, tmp_path)
    for wanted in (
        "<h1>si-demo</h1>",
        "Silicon &lt;tiny&gt; &amp; quick",
        "2 crystals; reference: stillinger-weber (computed labels)",
        "GAP and MACE: In-sample: trained on the displaced cells",
        "MACE: No RMSE, cell relaxed with the fit – mp-165: space group changed",
        "sw: False imaginary modes",
        "cell relaxed with the fit: mp-149 (−1.25 THz)",
        "mp-149: 2 labels failed and are missing from the data. Most frequent reason: SCF not",
        "mp-165: Relaxed with the reference method: space group changed from P6_3/mmc to Cmcm",
        "P6₃/mmc",
        "0.900†",
        "n_sparse: 123",
        "1.5",  # GAP: minutes
        "10.0",  # MACE: minutes
        "J. Chem. Phys. 153, 044104",
        "Stillinger, T. A. Weber",
        "CHGNet",
        "MACE: I. Batatia",
        "GAP and SOAP",
    ):
        assert wanted in page
    assert "seekpath" in page
    assert "Setyawan" not in page


def test_the_report_needs_nothing_from_elsewhere(tmp_path, files):
    page = render_report("si-demo", campaign(), tables(), files, tmp_path)
    assert not re.search(r"<(script|link|iframe)|@import|url\(", page)
    sources = re.findall(r'<img[^>]* src="([^"]*)"', page)
    assert len(sources) == 4
    assert all(source.startswith("data:image/") for source in sources)
    links = re.findall(r'href="([^"#]+)"', page)
    assert links
    assert all((tmp_path / link).is_file() for link in links)


def test_figures_stand_in_the_report_as_wide_as_in_print(tmp_path) -> None:
    """One column is about half of two; what says no width gets the whole page."""
    widths = []
    for inches in (3.4, 7.0, None):
        path = tmp_path / f"{inches}.svg"
        if inches is None:
            path.write_text("<svg/>")
        else:
            Figure(figsize=(inches, 2)).savefig(path)
        widths.append(float(_embedded(path, "x")["width"].removesuffix("rem")))
    assert widths == pytest.approx([54 * 3.4 / 7.0, 54, 54], abs=0.1)


def test_the_report_is_the_same_each_time(tmp_path, files):
    pages = {render_report("a", campaign(), tables(), files, tmp_path) for _ in range(2)}
    assert len(pages) == 1


def test_without_png_the_report_links_to_svg(tmp_path, files):
    for path in tmp_path.rglob("*.png"):
        path.unlink()
    page = render_report("a", campaign(), tables(), files, tmp_path)
    assert 'src="figures/bands/gap/mp-149.svg"' in page


def test_a_campaign_of_existing_potentials_has_a_report(tmp_path, files):
    only = campaign(fits={"sw": {"kind": "existing", "potential": {"calculator": "chgnet"}}})
    rmse = table({key: value for key, value in RMSE.items() if key[0] == "sw"}, in_sample=())
    given = tables(rmse, failures=0)
    given = Tables(rmse, given.structures.assign(reason=""), given.labels, given.fits)
    bare = FigureFiles(files.by_structure, {}, None, None, None, {}, {})
    page = render_report("a", only, given, bare, tmp_path)
    assert "1 existing potential." in page
    assert "In-sample" not in page
    assert "failed" not in page
    assert 'id="bands"' not in page


def test_a_campaign_without_fits_has_a_report(tmp_path):
    bare = bare_tables(failures=0)
    given = Tables(rmse_table([]), bare.structures.assign(reason=""), bare.labels, bare.fits[:0])
    none = FigureFiles(None, {}, None, None, None, {}, {})
    alone = campaign(fits={}, thermodynamics={})
    page = render_report("a", alone, given, none, tmp_path)
    assert "mp-165" in page
    assert 'id="warnings"' not in page
    assert 'id="fits"' not in page
    assert "Phonon RMSE" not in page
    assert "; ." not in page


RECORDED = {
    "method": "recorded",
    "level_of_theory": "CASTEP PW91",
    "source": {"name": "si-castep", "url": "https://example.org", "files": {"1.yaml": "a" * 64}},
}


def test_force_only_data_and_pseudo_observations_are_said_in_words(tmp_path, files):
    settings = campaign(
        reference=RECORDED,
        structures={"mp-149": {"recorded": "1.yaml"}, "mp-165": {"recorded": "1.yaml"}},
        datasets={"constraints": {"structures": "all"}},
    )
    given = bare_tables()
    assert "forces only" not in " ".join(one.message for one in cautions(settings, given))
    given.fits["baseline_origin"] = ["forces_only", "forces_only", None]
    given = replace(given, warnings=cautions(settings, given))
    page = render_report("a", settings, given, files, tmp_path)
    for wanted in (
        "CASTEP PW91 (recorded labels)",
        "The labels contain forces only.",
        "Pseudo-observations: for the undisplaced cells of all crystals",
        "si-castep: https://example.org",
        "used without relaxation",
        "files: 1 file",
    ):
        assert wanted in page
    assert "a" * 64 not in page


def test_settings_that_are_defaults_are_not_listed():
    text = settings_in_words(campaign(supercells={"max_atoms": 200, "min_atoms": 50}))
    assert "max_atoms: 200" in text
    assert "min_atoms" not in text


def test_campaigns_survive_the_way_to_the_report(repository: Path):
    """The report's job gets the settings as plain JSON without defaults."""
    paths = sorted((repository / "config" / "campaigns").glob("*.yaml"))
    assert paths
    for path in paths:
        settings = load_campaign(path)
        again = Campaign.model_validate(settings.as_written())
        assert again.as_written() == settings.as_written()
        assert list(again.fits) == list(settings.fits)


def test_sparse_points_of_a_gap():
    groups = campaign(
        fits={"gap": {"kind": "gap", "soap": {"n_sparse_by_group": {"displaced": 5, "rattled": 7}}}}
    )
    assert groups.fits["gap"].soap.sparse_points == 12
    assert campaign().fits["gap"].soap.sparse_points == 123


def test_tables_are_read_as_they_were_written(tmp_path):
    given = tables()
    paths = {name: tmp_path / f"{name}.csv" for name in ("rmse", "structures", "labels", "fits")}
    for name, path in paths.items():
        getattr(given, name).to_csv(path, index=False)
    found = Tables.read(**paths)
    pd.testing.assert_frame_equal(found.rmse, given.rmse)
    assert found.errors is None
    assert found.mechanics is None
