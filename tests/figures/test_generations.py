"""Figures and tables of the loop."""

import numpy as np
import pandas as pd
import pytest

from phonsmith.figures.generations import draw_against_generation, draw_generations
from tests.figures.examples import LOOKS, against_generation, generations


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


def test_equal_recipes_stand_beside_each_other():
    rows = [(fit, g, 1.0) for fit in ("gap", "mace") for g in (0, 1)]
    rows = pd.DataFrame(rows, columns=["fit", "generation", "value"])
    one = {"gap": ["gap"], "mace": ["mace"]}
    (axes,) = draw_against_generation(rows, LOOKS, one, "PBE", "κ (W/mK)").axes
    first, second = (container[0].get_xdata() for container in axes.containers)
    assert (np.abs(first - second) > 0.03).all()
