"""The report."""

import base64
import hashlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.figure import Figure

from phonsmith.benchmarks.tables import rmse_table
from phonsmith.campaign.model import Campaign
from phonsmith.campaign.reading import load_campaign
from phonsmith.figures.band_data import BandsOfFit, CrystalBands, pack_bands, worst_first
from phonsmith.figures.bands import draw_bands
from phonsmith.figures.cautions import cautions
from phonsmith.figures.costs import COLUMNS
from phonsmith.figures.parity import draw_parity
from phonsmith.figures.pictures import embedded
from phonsmith.figures.report import FigureFiles, Further, render_report, settings_in_words
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
    further,
    generations,
    large_spectrum,
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
    page = render_report("si-demo", campaign(), tables(), files, tmp_path, further=further())
    without_plotly = re.sub(r'<script type="text/plain"[^>]*>[^<]*</script>', "", page)
    assert not re.search(r"<script [^>]*src|<(link|iframe)|@import|url\(", without_plotly)
    sources = re.findall(r'<img[^>]* src="([^"]*)"', page)
    assert len(sources) == 2
    assert all(source.startswith("data:image/") for source in sources)
    links = re.findall(r'href="([^"#]+)"', page)
    files_linked = [link for link in links if not link.startswith("data:")]
    assert {link.rpartition("/")[2] for link in files_linked} >= {"mp-149.svg", "mp-165.svg"}
    assert all((tmp_path / link).is_file() for link in files_linked)


def test_figures_stand_in_the_report_as_wide_as_in_print(tmp_path) -> None:
    """One column is about half of two; what says no width gets the whole page."""
    widths = []
    for inches in (3.4, 7.0, None):
        path = tmp_path / f"{inches}.svg"
        if inches is None:
            path.write_text("<svg/>")
        else:
            Figure(figsize=(inches, 2)).savefig(path)
        widths.append(float(embedded(path, "x")["width"].removesuffix("rem")))
    assert widths == pytest.approx([54 * 3.4 / 7.0, 54, 54], abs=0.1)


def test_the_report_is_the_same_each_time(tmp_path, files):
    pages = {render_report("a", campaign(), tables(), files, tmp_path) for _ in range(2)}
    assert len(pages) == 1


def test_without_png_small_svg_figures_are_embedded(tmp_path, files):
    for path in tmp_path.rglob("*.png"):
        path.unlink()
    page = render_report("a", campaign(), tables(), files, tmp_path)
    sources = re.findall(r'<img[^>]* src="([^"]*)"', page)
    assert len(sources) == 2
    assert all(source.startswith("data:image/svg+xml") for source in sources)


SECTIONS = (
    *("answer", "warnings", "question", "structures", "labels", "errors", "bands", "cost"),
    *("versions", "reproduce", "downloads", "cite"),
)


def test_the_answer_comes_first_and_all_sections_follow_in_order(tmp_path, files):
    page = render_report("a", campaign(), tables(), files, tmp_path, further=further())
    assert tuple(re.findall(r'<section id="(\w+)"', page)) == SECTIONS
    for anchor in re.findall(r'href="#(\w+)"', page):
        assert f'id="{anchor}"' in page


def test_costs_checksums_and_tables_are_in_the_page(tmp_path, files):
    (tmp_path / "tables").mkdir()
    paths = {name: tmp_path / "tables" / f"{name}.csv" for name in ("small", "large")}
    paths["small"].write_text("fit,rmse_thz\ngap,0.1\n")
    paths["large"].write_text("0" * 4_000_000)
    costs = pd.DataFrame(
        [["labels", 12, 30.5, 8.0, 1.5, 2.25], ["fits", 1, 0.5, 0.4, 0.4, 3.0]],
        columns=list(COLUMNS),
    )
    more = Further(
        costs=costs,
        models=[("GAP", "fits/gap/gen0/model/gap.xml", "c" * 64)],
        tables={path.name: path for path in paths.values()},
    )
    page = render_report("a", campaign(), tables(), files, tmp_path, further=more)
    assert re.search(r"<td[^>]*>all</td>.*>13<.*>31<.*>8.400<.*>1.500<.*>3.0<", page)
    assert f"{'c' * 64}" in page
    (link,) = re.findall(r'href="data:text/csv;base64,([^"]*)" download="small.csv"', page)
    assert base64.b64decode(link).decode() == paths["small"].read_text()
    assert 'href="tables/large.csv"' in page
    (link,) = set(re.findall(r'href="data:application/yaml;base64,([^"]*)"', page))
    settings = base64.b64decode(link)
    assert Campaign.model_validate(yaml.safe_load(settings)) == campaign()
    assert hashlib.sha256(settings).hexdigest() in page


def test_a_campaign_of_a_thousand_crystals_has_a_page_of_less_than_20_mb(tmp_path):
    """Three fits, 36 branches, 300 q points: worse than most, and random in the last digits."""
    names = [f"mp-{number}" for number in range(1000)]
    labels = {"gap": "GAP", "mace": "MACE", "sw": "Stillinger–Weber"}
    errors = np.random.default_rng(1).uniform(0.01, 1, (3, 1000))
    values = {
        (fit, name, "relaxed"): float(error)
        for fit, row in zip(labels, errors, strict=True)
        for name, error in zip(names, row, strict=True)
    }
    rmse = table(values)
    spectrum, shifted = large_spectrum(0.0), large_spectrum(0.2)
    fits = [BandsOfFit(LOOKS[fit], shifted, 0.2) for fit in labels]
    largest = worst_first(names, rmse)
    packed = pack_bands(largest, lambda name: CrystalBands(name, spectrum, fits))
    assert 40 <= len(packed) <= 100
    assert [one.structure for one in packed] == list(largest)[: len(packed)]

    structures = {name: {"file": "a.vasp"} for name in names}
    bare = bare_tables(rmse)
    given = replace(
        bare,
        structures=pd.concat([bare.structures[:1]] * 1000).assign(structure=names),
        labels=pd.concat([bare.labels] * 1000).assign(structure=names),
    )
    none = FigureFiles(None, {}, None, None, None, {}, {})
    path = tmp_path / "rmse.csv"
    rmse.to_csv(path)
    more = Further(bands=packed, tables={path.name: path})
    page = render_report("a", campaign(structures=structures), given, none, tmp_path, further=more)
    assert len(page.encode()) < 20e6
    assert page.count('class="bands"') == len(packed)
    assert all(f">{name}<" in page for name in names)


def test_a_campaign_of_existing_potentials_has_a_report(tmp_path, files):
    only = campaign(fits={"sw": {"kind": "existing", "potential": {"calculator": "chgnet"}}})
    rmse = table({key: value for key, value in RMSE.items() if key[0] == "sw"}, in_sample=())
    given = tables(rmse, failures=0)
    given = Tables(rmse, given.structures.assign(reason=""), given.labels, given.fits)
    bare = FigureFiles(files.by_structure, {}, None, None, None, {}, {})
    page = render_report("a", only, given, bare, tmp_path)
    assert "1 existing potential." in page
    assert "In-sample" not in page
    assert "No potential" not in page
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
    assert 'id="bands"' not in page
    assert 'id="cost"' not in page
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


def test_many_fits_are_folded_and_figures_of_one_point_omitted(tmp_path, files):
    recipe = {"kind": "existing", "potential": {"calculator": "chgnet"}}
    fits = {f"fit-{number}": recipe for number in range(8)}
    values = {(fit, name, "relaxed"): 0.3 for fit in fits for name in ("mp-149", "mp-165")}
    given = bare_tables(table(values, in_sample=()))
    given = replace(given, fits=given.fits[:0])
    files = replace(files, parity={})
    page = render_report("a", campaign(fits=fits), given, files, tmp_path)
    assert "2 more potentials, none of them better" in page
    assert "Phonon RMSE of every crystal" in page
    one = campaign(fits={"fit-0": recipe}, structures={"mp-149": {"file": "a.vasp"}})
    rmse = table({("fit-0", "mp-149", "relaxed"): 0.3}, in_sample=())
    alone = replace(given, rmse=rmse)
    page = render_report("a", one, alone, files, tmp_path)
    assert "more potentials" not in page
    assert "Phonon RMSE of every crystal" not in page


def test_a_fit_without_errors_has_no_empty_parity_plot(tmp_path, files):
    given = tables()
    errors = pd.DataFrame(
        [["mace", "test", "all", "all", "force", 0.1]],
        columns=["fit", "set", "kind", "structure", "quantity", "rmse"],
    )
    page = render_report("a", campaign(), replace(given, errors=errors), files, tmp_path)
    assert "Predicted against reference" not in page
    page = render_report("a", campaign(), given, files, tmp_path)
    assert "Predicted against reference" in page
