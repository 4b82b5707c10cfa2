"""Errors by structure, against settings of a sweep, against errors of forces."""

import numpy as np
import pandas as pd
import pytest

from phonsmith.figures.rmse import (
    draw_phonon_vs_force,
    draw_rmse_against,
    draw_rmse_by_structure,
    force_errors,
    mean_rmse,
)
from phonsmith.fits.errors import errors_of
from tests.figures.examples import FORCES, LOOKS, RMSE, predictions, table, texts


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
    assert "drawn at this value" in texts(figure)


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
    assert points["GAP"].get_xydata().tolist() == [[pytest.approx(20), pytest.approx(0.2)]]
    assert points["GAP"].get_markersize() > points["MACE"].get_markersize()
    assert points["MACE"].get_markerfacecolor() == "none"  # its mean lacks a structure
    words = texts(figure)
    assert "Force RMSE, test set (meV/Å)" in words
    assert "Mean phonon RMSE (THz)" in words
    assert "9000 sparse points" in words


def test_force_errors_are_of_the_test_set_or_say_that_they_are_not():
    tested = errors_of(predictions(*FORCES)).assign(fit="gap")
    assert force_errors(tested) == ({"gap": pytest.approx(0.1)}, "test set")
    trained = errors_of(predictions(*FORCES[:2])).assign(fit="gap")
    values, words = force_errors(trained)
    assert values["gap"] == pytest.approx(0.0035355, rel=1e-4)
    assert "training set" in words
