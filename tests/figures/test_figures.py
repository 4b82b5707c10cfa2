"""Figures and the report."""

import re
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from phonsmith.benchmarks.comparison import Benchmark, CellResult, cell_result, compare_spectra
from phonsmith.benchmarks.tables import rmse_table
from phonsmith.campaign.model import Campaign
from phonsmith.campaign.reading import load_campaign
from phonsmith.conductivity.kappa import KappaResult, Modes, Series, without_result
from phonsmith.conductivity.settings import Conductivity
from phonsmith.conductivity.tables import conductivity_table
from phonsmith.figures.bands import (
    BandsCaption,
    bands_of_benchmark,
    draw_bands,
    draw_reference_bands,
)
from phonsmith.figures.cautions import cautions
from phonsmith.figures.conductivity import draw_conductivity, draw_cumulative
from phonsmith.figures.conductivity import draw_generations as draw_kappa_generations
from phonsmith.figures.database import draw_database_errors
from phonsmith.figures.generations import draw_against_generation, draw_generations
from phonsmith.figures.parity import draw_parity
from phonsmith.figures.report import FigureFiles, _embedded, render_report, settings_in_words
from phonsmith.figures.report_tables import generations_table as reported_generations
from phonsmith.figures.results_read import Tables
from phonsmith.figures.rmse import (
    draw_phonon_vs_force,
    draw_rmse_against,
    draw_rmse_by_structure,
    force_errors,
    mean_rmse,
)
from phonsmith.figures.style import (
    COLOURS,
    Look,
    looks,
    method_looks,
    save_figure,
    space_group_symbol,
    special_point,
    style,
    thz,
)
from phonsmith.figures.thermodynamics import draw_equations_of_state, draw_thermal_expansion
from phonsmith.figures.transitions import draw_generations as draw_transition_generations
from phonsmith.figures.transitions import draw_transition
from phonsmith.files.cautions import Caution, of_records, read_cautions, write_cautions
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.reading_writing import write_json
from phonsmith.fits.errors import PREDICTION_COLUMNS, errors_of
from phonsmith.generations.properties import PropertyVerdict
from phonsmith.generations.verdict import FitVerdict, GenerationVerdict
from phonsmith.phonons.spectra import Spectrum
from phonsmith.thermodynamics import results as thermodynamics
from phonsmith.thermodynamics.equations_of_state import EquationOfState
from phonsmith.transitions import results as transitions
from phonsmith.transitions import tables as transitions_tables
from phonsmith.transitions.settings import PublishedTransition

LOOKS = looks({"gap": "GAP", "mace": "MACE", "sw": "Stillinger–Weber"})


def chain(scale: float = 1.0, shift: float = 0.0) -> Spectrum:
    """Three bands on the path Γ–X_1|K–Γ, each a sine as in a linear chain."""
    n = 11
    legs = [(0.0, 1.0), (1.5, 0.0)]
    q = np.concatenate([np.linspace(a, b, n) for a, b in legs])
    acoustic = 10 * scale * np.abs(np.sin(q * np.pi / 2))
    frequencies = np.sort(np.stack([acoustic, acoustic + 1, acoustic + 3], axis=1) + shift)
    grid = np.arange(-100, 400) * 0.05
    dos = np.exp(-((grid - 8 * scale) ** 2))
    return Spectrum(
        labels=np.array([("Γ", "X_1"), ("K", "Γ")]),
        segment_lengths=np.array([n, n]),
        distances=np.concatenate([np.linspace(0, 1, n), np.linspace(1, 2.5, n)]),
        qpoints=np.stack([q, q, 0 * q], axis=1),
        frequencies_thz=frequencies,
        mesh=np.array([2, 2, 2]),
        mesh_frequencies_thz=frequencies[::5],
        mesh_weights=np.ones(len(frequencies[::5]), dtype=np.int64),
        dos_frequencies_thz=grid,
        dos=3 * dos / (dos.sum() * 0.05),
        volume_angstrom3=20.0,
        natom=1,
    )


def caption(rmse: float | None, reason: str = "") -> BandsCaption:
    return BandsCaption("mp-149", "Fd-3m", "CASTEP PW91", "relaxed", rmse, reason)


def texts(figure: Figure) -> str:
    """All text of a figure, as it is when drawn."""
    figure.canvas.draw()
    found = [one.get_text() for one in figure.findobj(mpl.text.Text)]
    return "\n".join(found)


def faults_of_text(figure: Figure) -> list[str]:
    """Texts of a figure that are cut at its edge or run into each other."""
    canvas = FigureCanvasAgg(figure)
    with style():
        canvas.draw()
    renderer = canvas.get_renderer()
    hidden = hidden_ticks(figure)
    shown = [
        (one.get_text(), one.get_window_extent(renderer))
        for one in figure.findobj(mpl.text.Text)
        if one.get_text().strip() and one.get_visible() and id(one) not in hidden
    ]
    width, height = canvas.get_width_height()
    found = [
        f"cut: {text!r}"
        for text, box in shown
        if min(box.x0, box.y0) < -1 or box.x1 > width + 1 or box.y1 > height + 1
    ]
    for number, (text, box) in enumerate(shown):
        for other, place in shown[number + 1 :]:
            wide = min(box.x1, place.x1) - max(box.x0, place.x0)
            high = min(box.y1, place.y1) - max(box.y0, place.y0)
            if wide > 1 and high > 1:
                found.append(f"over each other: {text!r}, {other!r}")
    return found


def hidden_ticks(figure: Figure) -> set[int]:
    """The labels of ticks outside of the limits of their axis, which are not drawn."""
    return {
        id(label)
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        for label in (tick.label1, tick.label2)
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
    }


# --- style -------------------------------------------------------------------------------------


def test_fits_differ_by_colour_and_marker():
    many = looks({f"fit-{i}": f"fit {i}" for i in range(40)})
    assert len({(look.colour, look.marker) for look in many.values()}) == 40
    assert many["fit-0"].colour == COLOURS[0]


def test_a_new_fit_leaves_the_colours_of_the_others():
    assert looks({"a": "a", "b": "b"})["b"] == looks({"a": "a", "b": "b", "c": "c"})["b"]


@pytest.mark.parametrize(
    ("name", "drawn"),
    [("Γ", "Γ"), ("X_1", "X$_{1}$"), ("U|K_2", "U|K$_{2}$"), ("Y_1|M", "Y$_{1}$|M")],
)
def test_special_points_have_subscripts(name, drawn):
    assert special_point(name) == drawn


@pytest.mark.parametrize(
    ("symbol", "drawn"),
    [("Fd-3m", r"$Fd\overline{3}m$"), ("P6_3/mmc", "$P6_{3}/mmc$"), ("", "")],
)
def test_space_groups_have_overbars_and_subscripts(symbol, drawn):
    assert space_group_symbol(symbol) == drawn


def test_frequencies_in_words():
    assert (thz(0.0212), thz(1.234), thz(None), thz(float("nan"))) == (
        "0.021 THz",
        "1.23 THz",
        "–",
        "–",
    )


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf"])
def test_the_same_figure_gives_the_same_bytes(tmp_path, suffix):
    paths = [tmp_path / f"{i}.{suffix}" for i in range(2)]
    for path in paths:
        figure = draw_bands(chain(), chain(1.1), np.ones(22), LOOKS["gap"], caption(1.0))
        save_figure(figure, path, dpi=60)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[0].stat().st_size > 1000


def test_a_dot_in_the_name_is_no_suffix(tmp_path):
    figure = draw_bands(chain(), None, None, LOOKS["gap"], caption(None, "lost"))
    save_figure(figure, tmp_path / "gap-f0.001.svg", dpi=60)
    assert [path.name for path in tmp_path.iterdir()] == ["gap-f0.001.svg"]


def test_svg_needs_no_font(tmp_path):
    figure = draw_bands(chain(), None, None, LOOKS["gap"], caption(None, "lost"))
    save_figure(figure, tmp_path / "a.svg", dpi=60)
    assert "<text" not in (tmp_path / "a.svg").read_text(encoding="utf-8")


def test_a_failed_figure_leaves_the_old_file(tmp_path):
    class Broken(Figure):
        def savefig(self, *args, **kwargs):
            raise OSError("disk full")

    path = tmp_path / "a.svg"
    path.write_text("old")
    with pytest.raises(OSError, match="disk full"):
        save_figure(Broken(), path, dpi=60)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_drawing_leaves_matplotlib_as_it_was(tmp_path):
    before = dict(mpl.rcParams)
    figure = draw_bands(chain(), chain(1.1), np.ones(22), LOOKS["gap"], caption(1.0))
    save_figure(figure, tmp_path / "a.png", dpi=60)
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == []


# --- bands -----------------------------------------------------------------------------------


def test_bands_show_reference_fit_and_their_difference():
    reference, fit = chain(), chain(1.1)
    errors = compare_spectra(reference, fit, 0.1)
    figure = draw_bands(
        reference, fit, errors.q_resolved_rmse_thz, LOOKS["gap"], caption(errors.rmse_thz)
    )
    bands, dos, below, _ = figure.axes
    words = texts(figure)
    for wanted in (
        "Frequency (THz)",
        "RMSE (THz)",
        "DOS (states/THz/atom)",
        "Wave vector",
        "mp-149",
        r"$Fd\overline{3}m$",
        "GAP, cell relaxed with the fit",
        thz(errors.rmse_thz),
        "CASTEP PW91",
    ):
        assert wanted in words
    solid, dashed = bands.get_lines()[:2]
    assert (solid.get_linestyle(), dashed.get_linestyle()) == ("-", "--")
    assert np.nanmax(solid.get_ydata()) == reference.frequencies_thz.max()
    assert np.nanmax(dashed.get_ydata()) == fit.frequencies_thz.max()
    drawn = np.concatenate([line.get_ydata() for line in below.get_lines()[:2]])
    np.testing.assert_array_equal(drawn, errors.q_resolved_rmse_thz)
    # per atom the density of states has three states
    line = dos.get_lines()[0]
    assert np.trapezoid(line.get_xdata(), line.get_ydata()) == pytest.approx(3, rel=1e-3)


def test_a_jump_of_the_path_is_a_gap():
    figure = draw_bands(chain(), None, None, LOOKS["gap"], caption(None, "lost"))
    bands, _, below, _ = figure.axes
    assert [one.get_text() for one in below.get_xticklabels()] == ["Γ", "X$_{1}$|K", "Γ"]
    x = bands.get_lines()[0].get_xdata()
    one_band = x[: 2 * 12]
    assert np.isnan(one_band[11])
    assert one_band[12] - one_band[10] == pytest.approx(0.018 * 2.5)


def test_without_phonons_of_the_fit_the_reference_stands_alone():
    reason = "space group changed from Fd-3m to Imma"
    figure = draw_bands(chain(), None, None, LOOKS["gap"], caption(None, reason))
    bands, dos, below, _ = figure.axes
    curves = [line for line in bands.get_lines() if len(line.get_xdata()) > 2]
    assert len(curves) == 1
    assert len(dos.get_lines()) == 1
    assert f"no RMSE: {reason}" in texts(figure)
    assert not below.get_yticks().size


def test_imaginary_modes_are_marked():
    stable = draw_bands(chain(), chain(1.1), np.ones(22), LOOKS["gap"], caption(1.0))
    soft = draw_bands(chain(), chain(shift=-2.0), np.ones(22), LOOKS["gap"], caption(1.0))
    assert stable.axes[0].get_ylim()[0] == 0
    assert soft.axes[0].get_ylim()[0] < -2
    assert "imaginary" not in texts(stable)
    assert "imaginary" in texts(soft)


def test_near_special_points_do_not_write_over_each_other():
    spectrum = chain()
    close = Spectrum(
        **{
            **vars(spectrum),
            "labels": np.array([("Γ", "X_1"), ("X_1", "W_2")]),
            "distances": np.concatenate([np.linspace(0, 2.47, 11), np.linspace(2.47, 2.5, 11)]),
        }
    )
    figure = draw_bands(close, None, None, LOOKS["gap"], caption(None, "lost"))
    figure.canvas.draw()
    boxes = [one.get_window_extent() for one in figure.axes[2].get_xticklabels()]
    labels = [one.get_text() for one in figure.axes[2].get_xticklabels()]
    assert labels == ["Γ", "X$_{1}$", "\nW$_{2}$"]
    assert boxes[0].x1 < boxes[1].x0


def test_bands_of_a_benchmark(tmp_path):
    reference, fit = chain(), chain(1.1)
    reference.save(tmp_path / "reference.npz")
    fit.save(tmp_path / "fit.npz")
    (tmp_path / "lost.npz").touch()  # what the pipeline leaves where symmetry was lost
    benchmark = Benchmark(
        campaign="c",
        structure="mp-149",
        fit="gap",
        fit_kind="gap",
        generation=0,
        in_sample=True,
        imaginary_tolerance_thz=0.1,
        cells=(
            cell_result("relaxed", reference, None, 0.1, symmetry_kept=False, reason="melted"),
            cell_result("reference", reference, fit, 0.1),
        ),
    )
    files = {"relaxed": "lost.npz", "reference": "fit.npz"}
    drawn = {
        cell: texts(
            bands_of_benchmark(
                benchmark,
                cell,
                reference=tmp_path / "reference.npz",
                fit=tmp_path / file,
                look=LOOKS["gap"],
                space_group="",
                level_of_theory="CASTEP PW91",
            )
        )
        for cell, file in files.items()
    }
    assert "no RMSE: melted" in drawn["relaxed"]
    assert thz(compare_spectra(reference, fit, 0.1).rmse_thz) in drawn["reference"]


def test_diamond_of_castep_has_its_optical_mode_where_it_belongs(shared_data):
    from ase import Atoms

    from phonsmith.phonons.band_paths import band_path
    from phonsmith.phonons.files import load_phonons
    from phonsmith.phonons.settings import Phonons
    from phonsmith.phonons.spectra import spectrum

    phonon = load_phonons(shared_data / "si-castep" / "22_phonopy.yaml")
    cell = phonon.primitive
    atoms = Atoms(
        numbers=cell.numbers, cell=cell.cell, scaled_positions=cell.scaled_positions, pbc=True
    )
    settings = Phonons(
        points_per_segment=5, mesh_length_angstrom=15, band_path="setyawan-curtarolo"
    )
    found = spectrum(phonon, band_path(atoms, settings))
    figure = draw_bands(found, found, np.zeros(len(found.qpoints)), LOOKS["gap"], caption(0.0))
    assert np.nanmax(figure.axes[0].get_lines()[0].get_ydata()) == pytest.approx(15.11, abs=0.02)
    labels = [one.get_text() for one in figure.axes[2].get_xticklabels()]
    assert labels[0] == "Γ"
    assert any("|" in one for one in labels)


# --- RMSE ------------------------------------------------------------------------------------


def table(values: dict[tuple[str, str, str], float | None], in_sample=("gap", "mace")):
    """A table of RMSE from fit, structure and cell; None stands for a lost symmetry."""
    benchmarks = []
    for (fit, structure, cell), rmse in values.items():
        numbers = (
            {"reason": "space group changed", "symmetry_kept": False, "imaginary_reference": 0}
            if rmse is None
            else {
                "rmse_thz": rmse,
                "volume_error_percent": -0.5,
                "minimum_frequency_fit_thz": -1.25 if rmse > 0.8 else 0.0,
                "imaginary_reference": 0,
                "imaginary_fit": 4 if rmse > 0.8 else 0,
            }
        )
        benchmarks.append(
            Benchmark(
                campaign="c",
                structure=structure,
                fit=fit,
                fit_kind={"sw": "existing"}.get(fit, fit),
                generation=0,
                in_sample=fit in in_sample,
                imaginary_tolerance_thz=0.1,
                cells=(CellResult(cell=cell, **numbers),),
            )
        )
    return rmse_table(benchmarks)


RMSE = {
    ("gap", "mp-149", "relaxed"): 0.1,
    ("gap", "mp-165", "relaxed"): 0.3,
    ("mace", "mp-149", "relaxed"): 0.2,
    ("mace", "mp-165", "relaxed"): None,
    ("sw", "mp-149", "relaxed"): 0.9,
    ("sw", "mp-165", "relaxed"): 0.7,
    ("gap", "mp-149", "reference"): 0.05,
    ("gap", "mp-165", "reference"): 0.15,
    ("mace", "mp-149", "reference"): 0.2,
    ("mace", "mp-165", "reference"): 0.2,
    ("sw", "mp-149", "reference"): 0.5,
    ("sw", "mp-165", "reference"): 0.7,
}


def test_mean_says_how_many_structures_it_is_of():
    assert mean_rmse(table(RMSE), "gap", "relaxed") == pytest.approx((0.2, 2, 2))
    assert mean_rmse(table(RMSE), "mace", "relaxed") == pytest.approx((0.2, 1, 2))
    nothing = mean_rmse(table({("gap", "a", "relaxed"): None}), "gap", "relaxed")
    assert np.isnan(nothing.rmse_thz)


def test_rmse_by_structure_has_a_panel_for_each_cell_and_crosses_for_what_is_missing():
    figure = draw_rmse_by_structure(table(RMSE), LOOKS)
    relaxed, reference = figure.axes
    assert relaxed.get_yscale() == "log"
    assert relaxed.get_ylabel() == "Phonon RMSE (THz)"
    markers = {line.get_marker() for line in relaxed.get_lines()}
    assert {look.marker for look in LOOKS.values()} <= markers
    assert "x" in markers
    assert "x" not in {line.get_marker() for line in reference.get_lines()}
    words = texts(figure)
    for wanted in (
        "cell relaxed with the fit",
        "reference cell",
        "0.200  GAP",
        "0.200  MACE (1 of 2)",
        "mp-149",
        "×: no RMSE",
    ):
        assert wanted in words
    lines = {line.get_color(): line.get_ydata()[0] for line in relaxed.get_lines()[1::2]}
    assert lines[LOOKS["gap"].colour] == pytest.approx(0.2)


def test_a_potential_against_itself_can_be_drawn():
    figure = draw_rmse_by_structure(
        table({("sw", "a", "relaxed"): 0.0, ("gap", "a", "relaxed"): 0.1}), LOOKS
    )
    assert figure.axes[0].get_ylim()[0] > 0
    assert "smaller than that" in texts(figure)


def test_nothing_but_failures_can_be_drawn():
    values = {("gap", "a", "relaxed"): None, ("mace", "a", "relaxed"): None}
    assert "no RMSE" in texts(draw_rmse_by_structure(table(values), LOOKS))
    assert "Phonon RMSE (THz)" in texts(
        draw_rmse_against(table(values), {"gap": {"n": 1}, "mace": {"n": 2}}, "x")
    )


def test_a_sweep_over_decades_is_logarithmic():
    figure = draw_rmse_against(table(RMSE), {"gap": {"f": 0.1}, "mace": {"f": 0.001}}, "factor f")
    relaxed, reference = figure.axes
    assert relaxed.get_xscale() == "log"
    assert "factor f" in texts(figure)
    assert [one.get_text() for one in relaxed.get_xticklabels()] == ["0.001", "0.1"]
    # two structures and the mean, in the order of the setting
    assert len([line for line in reference.get_lines() if line.get_linestyle() == "-"]) == 3
    mean = max(reference.get_lines(), key=lambda line: line.get_linewidth())
    np.testing.assert_allclose(mean.get_xydata(), [(0.001, 0.2), (0.1, 0.1)])
    assert "mean of fewer structures" in texts(figure)


def test_a_narrow_sweep_is_linear_and_complete():
    values = {key: rmse for key, rmse in RMSE.items() if key[2] == "reference"}
    figure = draw_rmse_against(table(values), {"gap": {"n": 1000}, "mace": {"n": 2000}}, "points")
    (axes,) = figure.axes
    assert axes.get_xscale() == "linear"
    assert "mean of fewer structures" not in texts(figure)


def test_a_sweep_of_two_settings_has_a_line_for_each_value_of_the_second():
    swept = {
        "gap": {"mode": "naive", "soap.n_sparse": 10},
        "mace": {"mode": "multihead", "soap.n_sparse": 10},
        "sw": {"mode": "naive", "soap.n_sparse": 20},
        "existing": {"mode": "multihead", "soap.n_sparse": 20},
    }
    values = dict(zip(swept, (0.1, 0.2, 0.3, 0.4), strict=True))
    rmse = {(fit, "a", "relaxed"): value for fit, value in values.items()}
    figure = draw_rmse_against(table(rmse), swept, "fine-tuning")
    (axes,) = figure.axes
    lines = [line.get_xydata().tolist() for line in axes.get_lines()]
    assert lines == [[[0, 0.1], [1, 0.2]], [[0, 0.3], [1, 0.4]]]
    assert [one.get_text() for one in axes.get_xticklabels()] == ["naive", "multihead"]
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == ["n_sparse = 10", "n_sparse = 20"]


def test_repeats_of_a_sweep_are_one_point_with_a_bar():
    rmse = pd.DataFrame(
        [
            (fit, structure, "relaxed", value, "")
            for fit, values in {
                "s-10": (0.1, 0.3),
                "s-10-r2": (0.3, 0.5),
                "s-20": (0.1, 0.1),
                "s-20-r2": (0.2, None),
            }.items()
            for structure, value in zip(("a", "b"), values, strict=True)
        ],
        columns=["fit", "structure", "cell", "rmse_thz", "reason"],
    )
    swept = {fit: {"n": int(fit.split("-")[1])} for fit in rmse["fit"].unique()}
    (axes,) = draw_rmse_against(rmse, swept, "points").axes
    mean = max(axes.get_lines(), key=lambda line: line.get_linewidth())
    # of "b" at 20 one repeat is left
    np.testing.assert_allclose(mean.get_xydata(), [(10, 0.3), (20, (0.15 + 0.1) / 2)])
    structure = next(line for line in axes.get_lines() if line.get_linewidth() < 1)
    np.testing.assert_allclose(structure.get_xydata(), [(10, 0.2), (20, 0.15)])
    ((bar,),) = [one.get_segments() for one in axes.collections]
    spread = np.std([0.2, 0.4], ddof=1)
    np.testing.assert_allclose(bar, [(10, 0.3 - spread), (10, 0.3 + spread)])
    words = texts(axes.figure)
    assert "standard deviation of repeats" in words
    assert "mean of fewer structures" in words


def test_values_that_differ_late_are_lines_of_their_own():
    swept = {
        "gap": {"n": 1, "weights.energy": 1000001.0},
        "mace": {"n": 1, "weights.energy": 1000002.0},
    }
    words = texts(draw_rmse_against(table(RMSE), swept, "n"))
    assert "energy = 1000001" in words and "energy = 1000002" in words


def test_phonon_against_force_marks_sparse_points_by_area():
    figure = draw_phonon_vs_force(
        table(RMSE),
        {"gap": 0.02, "mace": 0.05},
        "test set",
        LOOKS,
        {"gap": 9000, "mace": None, "sw": None},
    )
    relaxed, _ = figure.axes
    points = {line.get_label(): line for line in relaxed.get_lines()}
    assert set(points) == {"GAP", "MACE"}
    assert points["GAP"].get_xydata().tolist() == [[0.02, pytest.approx(0.2)]]
    assert points["GAP"].get_markersize() > points["MACE"].get_markersize()
    assert points["MACE"].get_markerfacecolor() == "none"  # its mean lacks a structure
    words = texts(figure)
    assert "Force RMSE, test set (eV/Å)" in words
    assert "Mean phonon RMSE (THz)" in words
    assert "9000 sparse points" in words


# --- parity ----------------------------------------------------------------------------------


def predictions(*rows):
    names = ["set", "structure", "kind", "cell", "quantity", "reference", "prediction"]
    return pd.DataFrame(rows, columns=names)


FORCES = [
    ("train", "a", "displaced", 0, "force", 0.0, 0.003),
    ("train", "a", "displaced", 0, "force", 1.0, 1.004),
    ("test", "a", "rattled", 1, "force", -1.0, -1.1),
]
WITH_ENERGIES = [
    *FORCES,
    ("train", "a", "displaced", 0, "energy", -4.0, -4.01),
    ("train", "a", "isolated_atom", 9, "energy", -0.5, -0.5),
    ("train", "a", "displaced", 0, "stress", 0.01, 0.02),
    ("train", "a", "constraint", 8, "stress", 0.0, 5.0),
]


def test_parity_has_a_panel_for_each_quantity_in_its_unit():
    words = texts(draw_parity(predictions(*WITH_ENERGIES), "GAP"))
    for wanted in (
        "GAP",
        "Energy, training set\nRMSE 10, MAE 10 meV/atom",
        "Force component, training set\nRMSE 3.54, MAE 3.5 meV/Å",
        "Force component, test set\nRMSE 100, MAE 100 meV/Å",
        # 0.01 eV/Å³; the constraint cell is no label
        "Stress component, training set\nRMSE 1.6, MAE 1.6 GPa",
        "Reference (eV/atom)",
        "Predicted (GPa)",
        "constraint",
    ):
        assert wanted in words


def test_parity_leaves_isolated_atoms_out():
    figure = draw_parity(predictions(*WITH_ENERGIES), "GAP")
    energy = figure.axes[0]
    assert energy.get_xlim()[1] < -3


def test_forces_alone_have_no_energy_panel():
    figure = draw_parity(predictions(*FORCES), "GAP")
    assert len(figure.axes) == 2
    assert "Energy" not in texts(figure)


def test_parity_without_any_label_says_so():
    assert "no reference value" in texts(draw_parity(predictions(), "GAP"))


def test_force_errors_are_of_the_test_set_or_say_that_they_are_not():
    tested = errors_of(predictions(*FORCES)).assign(fit="gap")
    assert force_errors(tested) == ({"gap": pytest.approx(0.1)}, "test set")
    trained = errors_of(predictions(*FORCES[:2])).assign(fit="gap")
    values, words = force_errors(trained)
    assert values["gap"] == pytest.approx(0.0035355, rel=1e-4)
    assert "training set" in words


# --- applications ----------------------------------------------------------------------------

METHODS = ["reference", "gap/gen1", "mace/gen1"]
METHOD_LOOKS = method_looks(METHODS, {"gap": "GAP", "mace": "MACE"}, "PBE")
MONOCLINIC = [[12.2, 0.0, 0.0], [0.0, 3.0, 0.0], [-1.4, 0.0, 5.6]]
"""β-Ga2O3 with b along y, in Å."""


def kappa(method: str, factor: float, temperatures: list[float]) -> KappaResult:
    """A tensor that falls with 1/T, in two solutions that differ by a tenth."""
    series = [
        Series(
            solver=solver,
            isotopes=False,
            non_analytical=True,
            transport="boltzmann",
            mesh=[3, 3, 3],
            kappa=[
                [300 / t * more * factor * one for one in (9, 18, 15, 0, 0, 0)]
                for t in temperatures
            ],
            between_bands=None,
        )
        for solver, more in (("rta", 1.0), ("lbte", 1.1))
    ]
    return KappaResult(
        structure="beta",
        method=method,
        mesh=[3, 3, 3],
        mesh_of="primitive",
        q_points=27,
        cell=MONOCLINIC,
        temperatures_kelvin=temperatures,
        lowest_frequency_thz=0.0,
        imaginary_percent=0.0,
        series=series,
        reason="",
    )


def conductivity(temperatures: list[float], **changes) -> Conductivity:
    published = {"label": "experiment", "source": "x", "structure": "beta"}
    points = [({}, 13.0), ({"direction": [0, 1, 0]}, 21.0)]
    return Conductivity.model_validate(
        {
            "temperatures_kelvin": temperatures,
            "directions": [[1, 0, 0], [0, 1, 0]],
            "solvers": ["rta", "lbte"],
            "published": [
                {**published, **more, "temperature_kelvin": 300, "kappa_w_per_m_k": value}
                for more, value in points
            ],
            **changes,
        }
    )


def drawn_kappa(settings: Conductivity) -> Figure:
    """κ of the reference and of GAP; MACE has none."""
    results = [
        kappa("reference", 1.0, settings.temperatures_kelvin),
        kappa("gap/gen1", 0.5, settings.temperatures_kelvin),
        without_result("beta", "mace/gen1", settings, "imaginary"),
    ]
    values = conductivity_table("c", results, settings)
    return draw_conductivity(values, METHOD_LOOKS, settings, "beta")


def lines_of(axes) -> dict[str, np.ndarray]:
    """Points by label."""
    return {line.get_label(): line.get_xydata() for line in axes.lines}


def seen(line) -> bool:
    """Whether a line with a single point can be seen."""
    return line.get_marker() not in ("", "None", None) and line.get_markersize() > 2


def test_conductivity_has_a_panel_for_each_direction():
    figure = drawn_kappa(conductivity([300.0, 600.0]))
    panels = [axes for axes in figure.axes if axes.axison]
    titles = [axes.get_title(loc="left") for axes in panels]
    assert titles == ["mean", "[100]", "[010]"]
    mean, along_a, along_b = (lines_of(axes) for axes in panels)
    assert mean["reference: PBE, relaxation time"] == pytest.approx(np.array([[300, 14], [600, 7]]))
    assert mean["GAP, direct solution"] == pytest.approx(np.array([[300, 7.7], [600, 3.85]]))
    assert along_a["GAP, relaxation time"][:, 1] == pytest.approx([4.5, 2.25])
    assert along_b["reference: PBE, relaxation time"][:, 1] == pytest.approx([18, 9])
    assert mean["experiment"] == pytest.approx(np.array([[300, 13]]))
    assert along_b["experiment"] == pytest.approx(np.array([[300, 21]]))
    assert "experiment" not in along_a
    assert len({axes.get_ylim() for axes in panels}) == 1
    low, high = panels[0].get_ylim()
    assert low <= 2.25 and high >= 21 and len(panels[0].get_yticks()) >= 2
    assert panels[0].get_ylabel() == "Thermal conductivity (W/mK)"
    assert panels[-1].get_xlabel() == "Temperature (K)"
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(words) == len(set(words)) == 5
    assert "no result: MACE" in texts(figure)


def test_temperatures_on_the_axis_keep_apart():
    figure = drawn_kappa(conductivity([float(one) for one in range(100, 1001, 100)]))
    assert "beta" in texts(figure)
    assert not faults_of_text(figure)
    ticks = figure.axes[0].get_xticks()
    assert ticks.tolist() == [100, 200, 300, 500, 1000]
    assert np.diff(np.log(ticks)).min() > 0.1 * np.log(10)


def test_conductivity_of_one_temperature_stands_side_by_side():
    figure = drawn_kappa(conductivity([300.0]))
    (axes,) = figure.axes
    names = [text.get_text() for text in axes.get_xticklabels()]
    assert names == ["mean", "[100]", "[010]"]
    assert axes.get_ylabel() == "Thermal conductivity at 300 K (W/mK)"
    assert axes.get_ylim()[0] == 0 and axes.get_ylim()[1] > 21
    found = lines_of(axes)
    reference = found["reference: PBE, relaxation time"]
    assert reference[:, 1] == pytest.approx([14, 9, 18])
    # every value has a place of its own, within the group of its component
    named = [line for line in axes.lines if not line.get_label().startswith("_")]
    points = np.concatenate([line.get_xydata() for line in named])
    assert len(np.unique(points[:, 0].round(6))) == len(points) == 4 * 3 + 2
    assert np.round(reference[:, 0]).tolist() == [0, 1, 2]
    published = np.array([line.get_xydata()[0] for line in axes.lines if "exp" in line.get_label()])
    assert published[:, 1].tolist() == [13, 21]
    assert np.round(published[:, 0]).tolist() == [0, 2]
    assert all(seen(line) for line in named)
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(words) == len(set(words)) == 5


def test_conductivity_without_any_result_says_so():
    settings = conductivity([300.0], published=[])
    lost = [without_result("beta", one, settings, "imaginary") for one in METHODS]
    figure = draw_conductivity(conductivity_table("c", lost, settings), METHOD_LOOKS, settings, "b")
    assert "no result: reference: PBE, GAP, MACE" in texts(figure).replace("\n", " ")
    figure = draw_cumulative(dict.fromkeys(METHODS), METHOD_LOOKS, 300, "beta")
    assert "no result: reference: PBE, GAP, MACE" in texts(figure).replace("\n", " ")


def test_cumulative_conductivity_is_drawn_in_nanometres():
    paths, frequencies = np.geomspace(1, 1e4, 50), np.linspace(0, 15, 50)
    heat = np.linspace(0, 100, 50)
    one = Modes(
        kappa=np.ones((2, 3)),
        frequencies=np.ones((2, 3)),
        mean_free_path=np.ones((2, 3)),
        curve_frequencies=frequencies,
        by_frequency=heat,
        curve_paths=paths,
        by_path=heat,
    )
    figure = draw_cumulative(
        {"reference": one, "gap/gen1": None, "mace/gen1": None}, METHOD_LOOKS, 300, "beta"
    )
    assert "beta" in texts(figure)
    assert not faults_of_text(figure)
    left, right = figure.axes
    assert left.lines[0].get_xydata() == pytest.approx(np.stack([frequencies, heat], axis=1))
    assert right.lines[0].get_xydata() == pytest.approx(np.stack([paths / 10, heat], axis=1))
    assert left.get_xlabel() == "Frequency (THz)" and right.get_xlabel() == "Mean free path (nm)"
    assert "300 K (W/mK)" in left.get_ylabel()
    assert right.get_xlim()[1] == pytest.approx(1000)
    assert "no result: GAP, MACE" in texts(figure)


def against_generation(values: dict[tuple[str, float], float]) -> Figure:
    rows = pd.DataFrame([(*key, one) for key, one in values.items()])
    rows.columns = ["fit", "generation", "value"]
    repeats = {"gap": ["gap", "gap-r2", "gap-r3"]}
    return draw_against_generation(rows, LOOKS, repeats, "PBE", "κ at 300 K (W/mK)")


def test_what_only_some_repeats_have_is_told_beside_the_generation():
    nan = float("nan")
    values = {("reference", nan): 20.0}
    for generation, repeats in enumerate([(10, 12, 14), (nan, 15, 17), (nan, nan, nan)]):
        for fit, value in zip(("gap", "gap-r2", "gap-r3"), repeats, strict=True):
            values[fit, generation] = value
    figure = against_generation(values)
    (axes,) = figure.axes
    assert axes.lines[0].get_ydata() == pytest.approx([20, 20])
    assert [text.get_text() for text in axes.texts] == ["2 of 3", "0 of 3"]
    (mean,) = axes.containers
    assert mean[0].get_ydata()[:2] == pytest.approx([12, 16])
    bars = [bar[:, 1] for bar in mean[2][0].get_segments() if len(bar)]
    assert bars[0] == pytest.approx([10, 14])
    assert bars[1] == pytest.approx([16 - 2**0.5, 16 + 2**0.5])
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == ["reference: PBE", "GAP"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Generation", "κ at 300 K (W/mK)")
    assert axes.get_xticks().tolist() == [0, 1, 2]


def test_conductivity_against_generation_is_that_of_the_mean():
    settings = conductivity([300.0, 600.0], cumulative_kelvin=600)
    methods = {"reference": 1.0, "gap/gen1": 0.75, "gap-r2/gen1": 0.25, "gap/gen0": 0.5}
    results = [kappa(method, one, [300.0, 600.0]) for method, one in methods.items()]
    results.append(without_result("beta", "gap-r2/gen0", settings, "imaginary"))
    figure = draw_kappa_generations(
        conductivity_table("c", results, settings),
        LOOKS,
        {"gap": ["gap", "gap-r2"]},
        settings,
        "PBE",
        structure="beta",
    )
    assert "beta" in texts(figure)
    (axes,) = figure.axes
    assert axes.lines[0].get_ydata() == pytest.approx([7, 7])
    assert axes.containers[0][0].get_xydata() == pytest.approx(np.array([[0, 3.5], [1, 3.5]]))
    assert [text.get_text() for text in axes.texts] == ["1 of 2"]
    assert axes.get_ylabel() == "κ at 600 K (W/mK)"


def generations() -> pd.DataFrame:
    """Two crystals in three generations; in the second, one repeat has no RMSE on one of them."""
    same = {"fit": "gap", "meets": False, "repeats": 3, "repeats_before": 3}
    numbers = ["labels", "mean_rmse_thz", "mean_noise_thz", "change_thz", "significant"]
    of_recipe = [
        (6, 0.15, 0.001, None, None),
        (9, None, None, None, None),
        (12, 0.14, 0.02, -0.01, False),
    ]
    rows = [
        {**same, "generation": g, "structure": name, "rmse_thz": rmse, "noise_thz": 0.07}
        | dict(zip(numbers, of_recipe[g], strict=True))
        for g, found in enumerate([(0.1, 0.2), (0.1, None), (0.12, 0.16)])
        for name, rmse in zip(("mp-149", "mp-165"), found, strict=True)
    ]
    return pd.DataFrame(rows).assign(stop=[None] * 4 + ["max_generations"] * 2)


def test_generations_are_drawn_with_the_noise_of_their_mean():
    figure = draw_generations(generations(), LOOKS, 0.05)
    (axes,) = figure.axes
    (drawn,) = axes.containers
    line, _, (bars,) = drawn
    expected = [[6, 0.15], [9, np.nan], [12, 0.14]]
    np.testing.assert_allclose(line.get_xydata(), expected)
    lengths = [np.ptp(one[:, 1]) / 2 for one in bars.get_segments() if len(one)]
    assert [one for one in lengths if one > 0] == pytest.approx([0.001, 0.02])
    # what is left of the second generation stands by itself
    assert axes.lines[-1].get_xydata().tolist() == [[9, 0.1]]


def test_the_report_marks_changes_within_the_noise():
    found = reported_generations(campaign(), generations())
    assert found is not None
    texts = [[cell.text for cell in row][3:5] for row in found.rows]
    assert texts == [
        ["0.150 ± 0.001", "–"],
        ["–", "–"],
        ["0.140 ± 0.020", "−0.010 (not significant, n = 3)"],
    ]


def two_crystals(method: str, shift: float) -> transitions.Result:
    """b crosses a at 4 GPa when relaxed and at 3.5 by the equation of state; c is far above."""
    pressures = [0.0, 2.0, 4.0, 6.0]

    def compared(second, approximation, values, places):
        places = [
            transitions.Crossing(
                value=one, low=2, high=6, slope_mev_per_atom=-2, falling=True, stable=stable
            )
            for one, stable in places
        ]
        return transitions.Comparison(
            first="a",
            second=second,
            approximation=approximation,
            x=pressures,
            difference_mev_per_atom=values,
            crossings=places,
        )

    return transitions.Result(
        transition="a-b",
        driven_by="pressure",
        method=method,
        structures=["a", "b", "c"],
        formula="X",
        atoms_per_formula_unit=1,
        comparisons=[
            compared("b", "enthalpy", [8 + shift, 4, 0, -4], [(4.0, True)]),
            compared("b", "equation-of-state", [7, 3, -1, -5], [(3.5, False)]),
            compared("c", "enthalpy", [300.0, 310, 320, 330], []),
        ],
    )


def test_transitions_share_their_axes_and_explain_their_marks():
    results = {one: two_crystals(one, shift) for one, shift in (("reference", 0), ("gap/gen1", 40))}
    published = PublishedTransition(label="paper", source="x", structures=("a", "b"), value=5)
    figure = draw_transition(results, METHOD_LOOKS, ["a", "b", "c"], [published])
    above, below = figure.axes
    assert [one.get_title(loc="left") for one in (above, below)] == ["reference: PBE", "GAP"]
    assert above.get_ylim() == below.get_ylim()
    assert above.get_ylim()[0] < -5 and 48 < above.get_ylim()[1] < 100
    curves = [line.get_xydata().tolist() for line in below.lines]
    assert [[0, 48], [2, 4], [4, 0], [6, -4]] in curves
    marks = [line for line in below.lines if len(line.get_xdata()) == 1]
    assert [line.get_xydata().tolist() for line in marks] == [[[4, 0]], [[3.5, 0]]]
    assert len({line.get_marker() for line in marks}) == 2
    assert marks[1].get_markerfacecolor() == "white" != marks[0].get_markerfacecolor()
    handles = dict(
        zip(
            [text.get_text() for text in figure.legends[0].get_texts()],
            figure.legends[0].legend_handles,
            strict=True,
        )
    )
    assert handles["transition, relaxed"].get_marker() == marks[0].get_marker()
    assert handles["transition, equation of state"].get_marker() == marks[1].get_marker()
    assert {"a", "b", "c (off the scale)", "another crystal is lower", "paper"} <= set(handles)
    assert above.get_ylabel() == "ΔH (meV/atom)" and below.get_xlabel() == "Pressure (GPa)"


def test_transition_against_generation_counts_fits_without_one():
    """One repeat has no crossing, one has lost its crystal."""
    lost = two_crystals("gap-r3/gen1", 0).model_copy(
        update={"comparisons": [], "left_out": {"b": "became a"}}
    )
    none = two_crystals("gap-r2/gen1", 0)
    none = none.model_copy(
        update={
            "comparisons": [one.model_copy(update={"crossings": []}) for one in none.comparisons]
        }
    )
    repeats = {"gap": ["gap", "gap-r2", "gap-r3"]}
    rows = transitions_tables.transitions_table(
        "c", [two_crystals("reference", 0), two_crystals("gap/gen1", 0), none, lost], repeats
    )
    figure = draw_transition_generations(rows, LOOKS, repeats, ["a", "b"], "PBE")
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["1 of 3"]
    assert axes.containers[0][0].get_xydata().tolist() == [[1, 4]]
    assert axes.lines[0].get_ydata() == pytest.approx([4, 4])
    assert axes.get_ylabel() == "a to b (GPa)"


def warm(method: str, volume: float) -> thermodynamics.Result:
    """A solid that expands by 3e-5/K, with the equation of state it was made from."""
    state = EquationOfState(
        form="vinet",
        volume_angstrom3_per_atom=volume,
        energy_ev_per_atom=-5.0,
        bulk_modulus_gpa=100.0,
        bulk_modulus_derivative=4.0,
    )
    volumes = volume * np.linspace(0.96, 1.06, 6)
    temperatures = [0.0, 100.0, 200.0]
    flat = {name: [0.0] * 3 for name in thermodynamics.QuasiHarmonic.model_fields}
    expanding = {
        **flat,
        "pressure_gpa": 0.0,
        "temperature_kelvin": temperatures,
        "volume_angstrom3_per_atom": [volume * (1 + 3e-5 * t) for t in temperatures],
        "thermal_expansion_per_k": [3e-5] * 3,
    }
    return thermodynamics.Result(
        structure="x",
        method=method,
        formula="X",
        atoms_per_formula_unit=1,
        volumes=[
            thermodynamics.VolumePoint(
                volume_angstrom3_per_atom=one,
                energy_ev_per_atom=float(state.energy(one)),
                imaginary_share=0.1 if one == volumes[-1] else 0.0,
            )
            for one in volumes
        ],
        equations_of_state=[state],
        quasi_harmonic=[thermodynamics.QuasiHarmonic(**expanding)],
    )


WARM = [
    warm("reference", 20.0),
    warm("gap/gen1", 21.0),
    thermodynamics.Result(
        structure="x", method="mace/gen1", formula="X", atoms_per_formula_unit=1, reason="lost"
    ),
]


def test_thermal_expansion_and_volume_against_temperature():
    figure = draw_thermal_expansion(WARM, METHOD_LOOKS)
    above, below = figure.axes
    volumes = lines_of(above)
    assert volumes["reference: PBE"][:, 1] == pytest.approx([20, 20.06, 20.12])
    assert volumes["GAP"][:, 0].tolist() == [0, 100, 200]
    assert lines_of(below)["GAP"][:, 1] == pytest.approx([30, 30, 30])
    assert above.get_ylabel() == "Volume (Å³ per atom)"
    assert below.get_ylabel() == "Expansion of volume (10⁻⁶/K)"
    assert below.get_xlabel() == "Temperature (K)"
    assert "no result: MACE" in texts(figure)


def test_energy_against_volume_from_each_minimum():
    figure = draw_equations_of_state(WARM, METHOD_LOOKS)
    (axes,) = figure.axes
    points = [
        line for line in axes.lines if line.get_linestyle() == "None" and len(line.get_xdata())
    ]
    curve = axes.lines[0].get_xydata()
    assert curve[:, 1].min() == pytest.approx(0, abs=0.01)
    for line in points[:2]:  # points of the reference lie on its curve, in meV
        x, y = line.get_data()
        assert y == pytest.approx(np.interp(x, *curve.T), abs=0.1)
    assert [line.get_marker() for line in points] == ["*", "x", "o", "x"]
    assert [len(line.get_xdata()) for line in points] == [5, 1, 5, 1]
    assert axes.get_ylabel() == "Energy (meV per atom)"
    assert "no result: MACE" in texts(figure)


# --- all figures -----------------------------------------------------------------------------

LONG = "MACE fine-tuned on all rattled cells, batch size 16, repeat 2"


def many_predictions() -> pd.DataFrame:
    """Large numbers, as of a wild potential on a large set."""
    rows = [
        (part, "a", "rattled", cell, quantity, float(cell % 7), float(cell % 7) * 1.4)
        for part in ("train", "test")
        for quantity in ("energy", "force", "stress")
        for cell in range(1200)
    ]
    return predictions(*rows)


def many_sweeps() -> Figure:
    rows = [
        (f"s-{n}{again}", name, "relaxed", value, "")
        for n in (10, 20)
        for again in ("", "-r2")
        for name, value in (("a", 0.1 * n), ("b", None if n == 10 else 0.2))
    ]
    rmse = pd.DataFrame(rows, columns=["fit", "structure", "cell", "rmse_thz", "reason"])
    swept = {fit: {"n": int(fit.split("-")[1])} for fit in rmse["fit"].unique()}
    return draw_rmse_against(rmse, swept, "points")


def long_generations() -> Figure:
    values = {("reference", float("nan")): 20.0}
    repeats = ("gap", "gap-r2", "gap-r3")
    values |= {(fit, float(g)): 10.0 + g for g in range(30) for fit in repeats}
    return against_generation(values)


def long_bands() -> Figure:
    named = replace(caption(0.3), structure="alpha-quartz-high-temperature-form")
    errors = np.ones(len(chain().distances))
    return draw_bands(chain(), chain(1.1), errors, Look(LONG, COLOURS[0], "o"), named)


def long_reference() -> Figure:
    named = replace(caption(None), reference="Quantum ESPRESSO PBEsol+U, SSSP efficiency 1.3")
    return draw_reference_bands(chain(), named)


LONG_LOOKS = looks({"gap": LONG, "mace": LONG})
FIGURES = {
    "parity": lambda: draw_parity(many_predictions(), LONG),
    "parity of forces": lambda: draw_parity(predictions(*FORCES), LONG),
    "sweep": many_sweeps,
    "long loop": long_generations,
    "loop": lambda: draw_generations(generations(), LOOKS, 0.2),
    "bands": long_bands,
    "bands of the reference": long_reference,
    "phonon against force": lambda: draw_phonon_vs_force(
        table(RMSE), {"gap": 0.02, "mace": 0.05}, "test set", LONG_LOOKS, {"gap": 9000}
    ),
    "by structure": lambda: draw_rmse_by_structure(table(RMSE), LONG_LOOKS),
}


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_is_cut_or_runs_into_another(name):
    assert faults_of_text(FIGURES[name]()) == []


def test_counts_have_whole_ticks():
    """Labels and generations come in ones."""
    for figure in (long_generations(), draw_generations(generations(), LOOKS, 0.2)):
        (axes,) = figure.axes
        ticks = axes.get_xticks()
        assert len(ticks) <= 13
        assert all(tick == round(tick) for tick in ticks)


def test_equal_recipes_stand_beside_each_other():
    rows = [(fit, g, 1.0) for fit in ("gap", "mace") for g in (0, 1)]
    rows = pd.DataFrame(rows, columns=["fit", "generation", "value"])
    one = {"gap": ["gap"], "mace": ["mace"]}
    (axes,) = draw_against_generation(rows, LOOKS, one, "PBE", "κ (W/mK)").axes
    first, second = (container[0].get_xdata() for container in axes.containers)
    assert (np.abs(first - second) > 0.03).all()


# --- report ----------------------------------------------------------------------------------


def campaign(**changes) -> Campaign:
    settings = {
        "description": "Silicon <tiny> & quick",
        "structures": {"mp-149": {"file": "a.vasp"}, "mp-165": {"file": "b.vasp"}},
        "reference": {"method": "calculator", "potential": {"calculator": "stillinger-weber"}},
        "fits": {
            "gap": {"kind": "gap", "label": "GAP", "soap": {"n_sparse": 123}},
            "mace": {"kind": "mace", "label": "MACE"},
            "sw": {"kind": "existing", "potential": {"calculator": "chgnet"}},
        },
        **changes,
    }
    return Campaign.model_validate(settings)


def tables(rmse=None, failures=2) -> Tables:
    """Tables of the campaign above, with the warnings that they give rise to."""
    bare = bare_tables(rmse, failures)
    return replace(bare, warnings=cautions(campaign(), bare))


def bare_tables(rmse=None, failures=2) -> Tables:
    return Tables(
        rmse=table(RMSE) if rmse is None else rmse,
        structures=pd.DataFrame(
            {
                "structure": ["mp-149", "mp-165"],
                "space_group_before": [227, 194],
                "symbol_before": ["Fd-3m", "P6_3/mmc"],
                "symbol_after": ["Fd-3m", "Cmcm"],
                "volume_change_percent": [0.1, -1.5],
                "converged": [True, True],
                "reason": ["", "space group changed from P6_3/mmc to Cmcm"],
            }
        ),
        labels=pd.DataFrame(
            {
                "structure": ["mp-149"],
                "kind": ["rattled"],
                "labels": [8],
                "failures": [failures],
                "reason": ["SCF not converged"],
            }
        ),
        fits=pd.DataFrame(
            {
                "fit": ["gap", "mace", "sw"],
                "wall_time_s": [90.0, 600.0, None],
                "peak_memory_mb": [1500.0, 900.0, None],
                "energies": [20, 20, None],
            }
        ),
        errors=pd.concat([errors_of(predictions(*WITH_ENERGIES)).assign(fit="gap")]),
    )


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


def test_database_errors_are_those_of_the_test_cells_of_the_database():
    rows = [
        ("test", "old", "recorded", 0, "force", 0.0, 0.003),
        ("test", "old", "recorded", 0, "force", 0.0, -0.004),
        ("train", "old", "recorded", 1, "force", 0.0, 9.0),
        ("test", "mp-149", "recorded", 2, "force", 0.0, 9.0),
        ("test", "old", "rattled", 3, "force", 0.0, 9.0),
    ]
    table = pd.DataFrame(rows, columns=PREDICTION_COLUMNS)
    worse = table.assign(prediction=2 * table["prediction"])
    figure = draw_database_errors({"gap": table, "mace": worse}, ["old"], LOOKS)
    (axes,) = figure.axes
    words = [text.get_text() for text in axes.texts]
    rmse = 1e3 * np.sqrt((0.003**2 + 0.004**2) / 2)
    assert words == ["RMSE (meV/Å)", f"{rmse:#.3g}", f"{2 * rmse:#.3g}"]
    first, second = (line.get_xydata() for line in axes.lines)
    assert first[1:].tolist() == pytest.approx(np.array([[3, 50], [4, 100]]))
    assert second[-1].tolist() == pytest.approx([8, 100])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["GAP", "MACE"]


def verdict(stop: str, reasons: list[str], unjudged: str = "") -> GenerationVerdict:
    """What warnings read of a verdict."""
    unknown = [PropertyVerdict.model_construct(reason=unjudged, judged=False)] if unjudged else []
    fit = FitVerdict.model_construct(fit="gap", reasons=reasons, properties=unknown)
    return GenerationVerdict.model_construct(generation=3, stop=stop, best="gap", fits=[fit])


@pytest.mark.parametrize(
    ("stop", "reasons", "unjudged", "said"),
    [
        (
            "max_generations",
            ["67 % of the structures meet the criteria"],
            "",
            "The loop missed its goal (generation 3, no generations are left): 67 % of the",
        ),
        ("goal_in_part", [], "one repeat", "The loop met its goal only in part"),
        ("goal", [], "", None),
    ],
)
def test_a_loop_that_misses_its_goal_is_the_first_thing_said(stop, reasons, unjudged, said):
    found = cautions(campaign(), bare_tables(), verdict(stop, reasons, unjudged))
    first = found[0]
    if said is None:
        assert first.stage != "generations"
    else:
        assert (first.stage, first.subject) == ("generations", "GAP")
        assert said in first.message


def test_warnings_survive_the_way_through_their_file(tmp_path):
    path = tmp_path / "warnings.csv"
    slab = Caution("structures", "mp-1", 'A slab: "vacuum, 12 Å"; phonons are of the bulk.')
    miss = Caution("generations", "gap", "The loop missed its goal.")
    fit = Caution("fits", "gap", "Only 46 of 1000 sparse points.")
    write_cautions(path, [miss, fit, slab, fit])
    assert read_cautions(path) == [miss, slab, fit]  # the loop first, then stage by stage
    path.write_text("a,b\n1,2\n")
    with pytest.raises(PhonsmithError, match="not a table of warnings"):
        read_cautions(path)


def test_results_hold_warnings_under_one_key(tmp_path):
    contents = [{"cautions": ["Displaced by 0.01 Å."]}, {"reason": ""}, None, [1]]
    paths = []
    for number, content in enumerate(contents):
        paths.append(tmp_path / f"{number}.json")
        write_json(paths[-1], content)
    files = {"phonons": [("gap", path) for path in paths]}
    assert of_records(files) == [Caution("phonons", "gap", "Displaced by 0.01 Å.")]
    write_json(paths[0], {"cautions": "no list"})
    with pytest.raises(PhonsmithError, match=r"0\.json: cautions is not a list"):
        of_records(files)


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


def test_all_well_gives_no_cautions():
    rmse = table({("sw", "mp-149", "relaxed"): 0.1}, in_sample=())
    given = tables(rmse, failures=0)
    given = Tables(rmse, given.structures.assign(reason=""), given.labels, given.fits)
    far = {"displaced": {"distance_angstrom": 0.03}}
    assert cautions(campaign(supercells=far), given) == []
    (cusp,) = cautions(campaign(), given)
    assert (cusp.stage, cusp.subject) == ("phonons", "sw")
    assert "Displaced by 0.01 Å, inside the narrow well that chgnet has" in cusp.message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"minimum_frequency_thz": -0.25}, "The reference itself has imaginary modes (−0.25 THz"),
        ({"minimum_frequency_thz": None}, "No reference phonons: not all displaced cells"),
        ({"minimum_frequency_thz": -0.01}, ""),
    ],
)
def test_reference_phonons_that_are_missing_or_imaginary_are_told(changes, said):
    alone = campaign(fits={}, thermodynamics={})
    bare = bare_tables(failures=0)
    phonons = pd.DataFrame([{"structure": "mp-149", **changes}])
    given = Tables(
        rmse_table([]), bare.structures.assign(reason=""), bare.labels, bare.fits, phonons=phonons
    )
    found = cautions(alone, given)
    assert [one.subject for one in found] == (["mp-149"] if said else [])
    assert all(said in one.message for one in found)


def test_labels_of_two_versions_and_energies_of_another_zero_are_told():
    bare = bare_tables(failures=0)
    errors = pd.DataFrame({"fit": ["mace", "sw"], "energy_shift_ev": ["Si +0.0001", "Si +158.87"]})
    labels = bare.labels.assign(code="vasp 6.3.0, vasp 6.4.1")
    far = campaign(supercells={"displaced": {"distance_angstrom": 0.03}})
    rmse = table({("sw", "mp-149", "relaxed"): 0.1}, in_sample=())
    given = Tables(rmse, bare.structures.assign(reason=""), labels, bare.fits, errors)
    codes, shift = cautions(far, given)
    assert "2 codes or versions are used together: vasp 6.3.0 and vasp 6.4.1" in codes.message
    assert (shift.stage, shift.subject) == ("errors", "sw")
    assert "Si +158.87" in shift.message


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
        "The labels hold forces only.",
        "Pseudo-observations: on the undisplaced cells of all crystals",
        "si-castep: https://example.org",
        "not relaxed here",
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
