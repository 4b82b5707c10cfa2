"""Style of all figures, and output to files.

Colours are those of Okabe and Ito, which are distinguishable with the common kinds of colour
blindness; every fit also has its own marker. Fonts are those of matplotlib, so that figures are
identical on all machines.
"""

import math
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from phonsmith.files.reading_writing import replacing

SINGLE_COLUMN_INCH = 3.4
DOUBLE_COLUMN_INCH = 7.0

BLACK = "#000000"
GREY = "#6E6E6E"
PALE = "#D9D9D9"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", GREY)
MARKERS = ("o", "s", "^", "D", "v", "p", ">", "<")
"""Markers; a cross is reserved for missing results."""
LINES: tuple[Any, ...] = ("-", (0, (4, 2)), (0, (1.5, 1.5)), (0, (5, 1.5, 1, 1.5)))
"""Line styles of overlapping curves: lower curves are visible in the gaps."""
REFERENCE_MARKER = "*"
"""Marker of the reference in figures of several methods."""

CELLS = {"relaxed": "cell relaxed with the fit", "reference": "reference cell"}
"""Descriptions of the choices of a cell."""

_STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "mathtext.fontset": "dejavusans",
    "font.size": 7.5,
    "axes.titlesize": 7.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "axes.linewidth": 0.6,
    "axes.axisbelow": True,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "lines.linewidth": 0.9,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.5,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    # text as outlines: a viewer without the font shows the same figure
    "svg.fonttype": "path",
    "svg.hashsalt": "phonsmith",
    "pdf.fonttype": 42,
    "path.simplify": True,
}


@dataclass(frozen=True)
class Look:
    """Name, colour and marker of a fit in all figures of a campaign."""

    label: str
    colour: str
    marker: str

    def wrapped(self, width: int) -> str:
        """Return the label in lines of at most ``width`` characters, for legends."""
        return textwrap.fill(self.label, width)


def looks(labels: Mapping[str, str]) -> dict[str, Look]:
    """Return a look for each fit from its key and label, by its place in the campaign."""
    return {
        fit: Look(label, COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)])
        for i, (fit, label) in enumerate(labels.items())
    }


def reference_in_words(level_of_theory: str) -> str:
    """Return the reference in legends."""
    return f"reference: {level_of_theory}"


def method_looks(
    methods: Iterable[str], labels: Mapping[str, str], level_of_theory: str
) -> dict[str, Look]:
    """Return label, colour and marker of each method; the reference is black.

    Parameters
    ----------
    methods
        ``reference`` or ``FIT/genG``.
    labels
        Labels of the fits, in the order of their colours.
    level_of_theory
        Level of theory of the reference.
    """
    fits = looks(labels)
    reference = Look(reference_in_words(level_of_theory), BLACK, REFERENCE_MARKER)
    return {
        method: reference if method == "reference" else fits[method.partition("/")[0]]
        for method in methods
    }


def say_lacking(axes: Axes, names: Iterable[str]) -> None:
    """List the methods without a result above a panel, where nothing is drawn."""
    found = list(dict.fromkeys(names))
    if found:
        text = textwrap.fill("no result: " + ", ".join(found), 44)
        axes.set_title(text, loc="right", fontsize=6, color=GREY)


def short(text: str, length: int) -> str:
    """Shorten a name to a number of characters.

    >>> short("one two three", 9)
    'one two…'
    """
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


@contextmanager
def style() -> Iterator[None]:
    """Apply the style to figures drawn or written in the body; restore settings afterwards."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


_METADATA: dict[str, dict[str, str | None]] = {
    ".svg": {"Date": None, "Creator": "phonsmith"},
    ".pdf": {"CreationDate": None, "Creator": "phonsmith"},
    ".png": {"Software": "phonsmith"},
}


VECTOR_DPI = 200
"""Resolution of point clouds stored as pixels in SVG and PDF."""


def save_formats(figure: Figure, path: str | Path, formats: Iterable[str], dpi: int) -> None:
    """Write a figure in several formats, see :func:`save_figure`.

    Parameters
    ----------
    figure
        Figure returned by a drawing function.
    path
        The file in one of the formats; the others lie beside it.
    formats
        Endings of the files.
    dpi
        Resolution of PNG.
    """
    for suffix in formats:
        resolution = dpi if suffix == "png" else VECTOR_DPI
        save_figure(figure, Path(path).with_suffix(f".{suffix}"), resolution)


def save_figure(figure: Figure, path: str | Path, dpi: int) -> None:
    """Write a figure as SVG, PDF or PNG, chosen by the suffix of ``path``, atomically.

    The file contains no date: equal figures give equal bytes.

    Parameters
    ----------
    figure
        Figure returned by a drawing function.
    path
        The file.
    dpi
        Resolution of PNG, and of point clouds stored as pixels in other formats.
    """
    suffix = Path(path).suffix
    with replacing(path) as temporary, style():
        figure.savefig(temporary, format=suffix[1:], dpi=dpi, metadata=_METADATA[suffix])


def legend_above(figure: Figure, handles: Sequence[Artist], most: int = 4) -> None:
    """Draw a legend above the panels in as many columns as fit the width of a figure.

    Parameters
    ----------
    figure
        Figure with constrained layout.
    handles
        Lines and patches with labels.
    most
        Largest number of columns.
    """
    canvas = FigureCanvasAgg(figure)
    for columns in range(min(most, max(1, len(handles))), 0, -1):
        legend = figure.legend(handles=handles, loc="outside upper left", ncols=columns)
        width = legend.get_window_extent(canvas.get_renderer()).width
        if columns == 1 or width <= figure.bbox.width:
            return
        legend.remove()


def special_point(name: str) -> str:
    """Return a label of the band path with subscripts: ``X_1|K`` becomes X₁|K.

    >>> special_point("X_1|K")
    'X$_{1}$|K'
    """
    return re.sub(r"_(\w+?)(?=\||$)", r"$_{\1}$", name)


def space_group_symbol(symbol: str) -> str:
    """Return a Hermann–Mauguin symbol with overbars and screw axes, as mathtext.

    >>> space_group_symbol("P6_3/mmc")
    '$P6_{3}/mmc$'
    >>> space_group_symbol("Fd-3m")
    '$Fd\\\\overline{3}m$'
    """
    if not symbol:
        return ""
    text = re.sub(r"-(\d)", r"\\overline{\1}", symbol)
    return "$" + re.sub(r"_(\d)", r"_{\1}", text) + "$"


def thz(value: float | None) -> str:
    """Format a frequency with two decimals, three below 0.1, and unit."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.3f} THz" if abs(value) < 0.0995 else f"{value:.2f} THz"
