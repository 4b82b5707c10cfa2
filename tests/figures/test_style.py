"""Names, colours and files of figures."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from phonsmith.figures.bands import draw_bands
from phonsmith.figures.style import (
    COLOURS,
    legend_above,
    looks,
    save_figure,
    space_group_symbol,
    special_point,
    thz,
)
from tests.figures.examples import LOOKS, caption, chain


def test_fits_differ_by_colour_and_marker():
    many = looks({f"fit-{i}": f"fit {i}" for i in range(40)})
    assert len({(look.colour, look.marker) for look in many.values()}) == 40
    assert many["fit-0"].colour == COLOURS[0]


@pytest.mark.parametrize(("length", "rows"), [(3, 1), (25, 2), (400, 4)])
def test_a_legend_is_no_wider_than_its_figure(length, rows):
    figure = Figure(figsize=(7, 3), layout="constrained")
    figure.subplots()
    legend_above(figure, [Line2D([], [], label=str(number) * length) for number in range(4)])
    figure.draw_without_rendering()
    (legend,) = figure.legends
    heights = {round(text.get_window_extent().y0) for text in legend.get_texts()}
    assert len(heights) == rows
    if rows < 4:
        assert legend.get_window_extent().x1 <= figure.bbox.x1


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
