"""Band structures and densities of states: the reference against a fit."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from phonsmith.benchmarks.comparison import Benchmark, compare_spectra
from phonsmith.figures.style import (
    BLACK,
    CELLS,
    DOUBLE_COLUMN_INCH,
    GREY,
    PALE,
    Look,
    save_figure,
    short,
    space_group_symbol,
    special_point,
    style,
    thz,
)
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.reading_writing import write_json
from phonsmith.files.settings import CellChoice
from phonsmith.phonons.spectra import Spectrum

Floats = NDArray[np.float64]

_DASHES = (0, (4, 1.6))
_DOTS = (0, (1, 1.5))
_SMALL_ERROR_THZ = 0.02
_JUMP = 0.018
"""Width of the gap at a jump of the path, as a share of the path."""


@dataclass(frozen=True)
class BandsCaption:
    """Texts of the figure.

    Attributes
    ----------
    structure
        Id of the crystal.
    space_group
        Hermann–Mauguin symbol; empty if unknown.
    reference
        Name of the reference method.
    cell
        ``relaxed`` or ``reference``.
    rmse_thz
        RMSE over the path; None if unavailable.
    reason
        Reason for a missing RMSE.
    """

    structure: str
    space_group: str
    reference: str
    cell: CellChoice
    rmse_thz: float | None
    reason: str = ""


class BandFigures:
    """Files of band structures in a folder: a single figure, or all figures and their list.

    Parameters
    ----------
    target
        The single figure, or the list: a JSON file with the names of the figures.
    formats
        Endings of the files.
    dpi
        Resolution of PNG.
    """

    def __init__(self, target: str | Path, formats: Sequence[str], dpi: int) -> None:
        self._target, self._formats, self._dpi = Path(target), formats, dpi
        self._names: list[str] = []
        self._target.parent.mkdir(parents=True, exist_ok=True)

    def save(self, structure: str, figure: Figure | None) -> None:
        """Write the figure of a crystal in all formats; without a figure, remove older files."""
        for suffix in self._formats:
            path = self._target.parent / f"{structure}.{suffix}"
            if figure is None:
                path.unlink(missing_ok=True)
            else:
                save_figure(figure, path, self._dpi)
                self._names.append(path.name)

    def finish(self) -> None:
        """Write the list.

        Raises
        ------
        PhonsmithError
            The requested single figure cannot be drawn.
        """
        if self._target.suffix == ".json":
            write_json(self._target, self._names)
        elif self._target.name not in self._names:
            raise PhonsmithError(
                f"{self._target}: the reference has no phonons of this crystal; `snakemake "
                "failures` lists the labels that failed"
            )


def draw_bands(
    reference: Spectrum,
    fit: Spectrum | None,
    q_resolved_rmse_thz: Floats | None,
    look: Look,
    caption: BandsCaption,
) -> Figure:
    """Draw the band structure with the density of states and the q-resolved RMSE.

    The reference is black, the fit dashed in its colour. Distances along the path are those of the
    reference crystal for both. Without ``fit`` only the reference is drawn, with
    ``caption.reason``.

    Parameters
    ----------
    reference, fit
        Spectra at equal fractional q points.
    q_resolved_rmse_thz
        RMSE in THz, shape (q points,), see :class:`phonsmith.benchmarks.comparison.SpectrumErrors`.
    look
        Label and colour of the fit.
    caption
        Content of the caption.
    """
    with style():
        figure = Figure(figsize=(DOUBLE_COLUMN_INCH, 4.0))
        grid = figure.add_gridspec(
            2,
            2,
            width_ratios=[4.2, 1],
            height_ratios=[3.6, 1],
            left=0.062,
            right=0.99,
            bottom=0.125,
            top=0.945,
            wspace=0.035,
            hspace=0.07,
        )
        bands = figure.add_subplot(grid[0, 0])
        dos = figure.add_subplot(grid[0, 1], sharey=bands)
        errors = figure.add_subplot(grid[1, 0], sharex=bands)
        words = figure.add_subplot(grid[1, 1])

        places = places_of(reference)
        _draw_frequencies(bands, reference, fit, places, look)
        _draw_dos(dos, reference, fit, look)
        if q_resolved_rmse_thz is None:
            _draw_reason(errors, caption.reason or "no phonons of the fit")
        else:
            _draw_errors(errors, reference, q_resolved_rmse_thz, places, look.colour)
            if caption.rmse_thz is not None:
                errors.axhline(caption.rmse_thz, color=BLACK, lw=0.6, ls=_DOTS)
        _mark_path(reference, places, bands, errors)
        _write_words(words, fit is not None, look, caption)
        _set_title(bands, look, caption)
    return figure


def draw_reference_bands(reference: Spectrum, caption: BandsCaption) -> Figure:
    """Band structure of the reference alone, with density of states at its side."""
    with style():
        figure = Figure(figsize=(DOUBLE_COLUMN_INCH, 3.2))
        grid = figure.add_gridspec(
            1,
            2,
            width_ratios=[4.2, 1],
            left=0.062,
            right=0.99,
            bottom=0.155,
            top=0.93,
            wspace=0.035,
        )
        bands = figure.add_subplot(grid[0, 0])
        dos = figure.add_subplot(grid[0, 1], sharey=bands)
        places = places_of(reference)
        _draw_frequencies(bands, reference, None, places, None)
        _draw_dos(dos, reference, None, None)
        _mark_path(reference, places, bands)
        _set_crystal(bands, caption)
        bands.set_title(short(caption.reference, 56), loc="right")
    return figure


def bands_of_benchmark(
    benchmark: Benchmark,
    cell: CellChoice,
    *,
    reference: str | Path,
    fit: str | Path,
    look: Look,
    space_group: str,
    level_of_theory: str,
) -> Figure:
    """Draw the bands of one structure and one fit for one choice of the cell.

    Parameters
    ----------
    benchmark
        Benchmark of the fit.
    cell
        Reference cell or relaxed cell.
    reference
        File of :meth:`Spectrum.save` for the reference.
    fit
        File of :meth:`Spectrum.save` for the fit; read only if the benchmark has an RMSE.
    look
        Label, colour and marker of the fit.
    space_group
        Space group in the caption.
    level_of_theory
        Level of theory of the reference.
    """
    result = next(item for item in benchmark.cells if item.cell == cell)
    caption = BandsCaption(
        structure=benchmark.structure,
        space_group=space_group,
        reference=level_of_theory,
        cell=cell,
        rmse_thz=result.rmse_thz,
        reason=result.reason,
    )
    wanted = Spectrum.load(reference)
    if result.rmse_thz is None:
        return draw_bands(wanted, None, None, look, caption)
    found = Spectrum.load(fit)
    errors = compare_spectra(wanted, found, benchmark.imaginary_tolerance_thz)
    return draw_bands(wanted, found, errors.q_resolved_rmse_thz, look, caption)


def places_of(spectrum: Spectrum) -> Floats:
    """Return the (n_q,) abscissae: distances, with a gap wherever the path jumps."""
    places = np.array(spectrum.distances, dtype=float)
    gap = _JUMP * float(places[-1] - places[0])
    end = None
    for segment in spectrum.segments():
        if end not in (None, segment.start):
            places[segment.indices.start :] += gap
        end = segment.end
    return places


def _draw_frequencies(
    axes: Axes, reference: Spectrum, fit: Spectrum | None, places: Floats, look: Look | None
) -> None:
    n_bands = reference.frequencies_thz.shape[1]
    width = float(np.clip(4.5 / np.sqrt(n_bands), 0.35, 1.1))
    axes.plot(*_one_line(reference, places), color=BLACK, lw=width, label="reference")
    if fit is not None and look is not None:
        axes.plot(
            *_one_line(fit, places), color=look.colour, lw=width, ls=_DASHES, label=look.label
        )
    spectra = [spectrum for spectrum in (reference, fit) if spectrum is not None]
    lowest = min(spectrum.frequencies_thz.min() for spectrum in spectra)
    highest = max(spectrum.frequencies_thz.max() for spectrum in spectra)
    margin = 0.04 * float(highest - lowest)
    bottom = float(lowest) - margin if lowest < -0.02 * highest else 0.0
    axes.set_ylim(bottom, float(highest) + margin)
    if bottom < 0:
        axes.axhline(0, color=GREY, lw=0.5, zorder=0)
        axes.axhspan(bottom, 0, color="#F4ECEC", zorder=-1, lw=0)
        axes.text(
            0.995,
            bottom + 0.3 * margin,
            "imaginary",
            transform=axes.get_yaxis_transform(),
            ha="right",
            va="bottom",
            color=GREY,
            fontsize=6.5,
        )
    axes.set_ylabel("Frequency (THz)")
    axes.yaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))


def _one_line(spectrum: Spectrum, places: Floats) -> tuple[Floats, Floats]:
    """Return all bands as a single broken line, for small files and fast drawing."""
    x: list[Floats] = []
    y: list[Floats] = []
    hole = np.full((1, spectrum.frequencies_thz.shape[1]), np.nan)
    for segment in spectrum.segments():
        x += [places[segment.indices], np.array([np.nan])]
        y += [segment.frequencies_thz, hole]
    abscissae = np.concatenate(x)
    ordinates = np.concatenate(y)
    return np.tile(abscissae, ordinates.shape[1]), ordinates.T.ravel()


def _draw_dos(axes: Axes, reference: Spectrum, fit: Spectrum | None, look: Look | None) -> None:
    density = reference.dos / reference.natom
    axes.fill_betweenx(reference.dos_frequencies_thz, density, color=PALE, lw=0)
    axes.plot(density, reference.dos_frequencies_thz, color=BLACK, lw=0.6)
    highest = float(density.max())
    if fit is not None and look is not None:
        density = fit.dos / fit.natom
        axes.plot(density, fit.dos_frequencies_thz, color=look.colour, lw=0.9, ls=_DASHES)
        highest = max(highest, float(density.max()))
    axes.set_xlim(0, 1.08 * highest)
    axes.xaxis.set_major_locator(MaxNLocator(3, prune="lower"))
    axes.set_xlabel("DOS (states/THz/atom)", labelpad=1)
    axes.tick_params(labelleft=False)


def _draw_errors(
    axes: Axes, reference: Spectrum, q_resolved_rmse_thz: Floats, places: Floats, colour: str
) -> None:
    for segment in reference.segments():
        x, y = places[segment.indices], q_resolved_rmse_thz[segment.indices]
        axes.fill_between(x, y, color=colour, alpha=0.25, lw=0)
        axes.plot(x, y, color=colour, lw=0.9)
    largest = max(float(q_resolved_rmse_thz.max()), 1e-3)
    axes.set_ylim(0, 1.15 * largest)
    axes.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    axes.set_ylabel("RMSE (THz)")
    if largest < _SMALL_ERROR_THZ:  # ticks of three decimals would push the label out of the figure
        axes.yaxis.set_major_formatter(FuncFormatter(lambda thz, _: f"{1000 * thz:g}"))
        axes.set_ylabel("RMSE (mTHz)")


def _draw_reason(axes: Axes, reason: str) -> None:
    axes.set_yticks([])
    axes.text(
        0.5,
        0.5,
        textwrap.fill(f"no RMSE: {reason}", 80),
        transform=axes.transAxes,
        ha="center",
        va="center",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 2},
    )


def path_marks(reference: Spectrum, places: Floats) -> list[tuple[float, float, str]]:
    """Return start, end and name of the special points; start and end differ at a jump."""
    marks: list[tuple[float, float, str]] = []
    for segment in reference.segments():
        first, last = places[segment.indices.start], places[segment.indices.stop - 1]
        if not marks:
            marks.append((first, first, segment.start))
        elif marks[-1][2] != segment.start:
            marks[-1] = (marks[-1][0], first, f"{marks[-1][2]}|{segment.start}")
        marks.append((last, last, segment.end))
    return marks


def _mark_path(reference: Spectrum, places: Floats, *panels: Axes) -> None:
    """Draw special points as ticks and lines, and jumps of the path as grey gaps.

    ``panels`` are stacked; the last has the names.
    """
    marks = path_marks(reference, places)
    for axes in panels:
        for start, end, _ in marks:
            if end > start:
                axes.axvspan(start, end, facecolor="#EFEFEF", edgecolor=GREY, lw=0.5, zorder=2.5)
            else:
                axes.axvline(start, color=GREY, lw=0.4, zorder=0.5)
        axes.set_xlim(places[0], places[-1])
        axes.tick_params(axis="x", length=0)
        axes.tick_params(labelbottom=axes is panels[-1])
    panels[-1].set_xticks([(start + end) / 2 for start, end, _ in marks])
    panels[-1].set_xticklabels(_staggered(marks, float(places[-1] - places[0])))
    panels[-1].set_xlabel("Wave vector")


def _staggered(marks: list[tuple[float, float, str]], length: float) -> list[str]:
    """Return names of the special points; names that would overlap start one line lower."""
    inch_per_unit = 0.75 * DOUBLE_COLUMN_INCH / length
    labels: list[str] = []
    free = [-np.inf, -np.inf]  # right ends of the labels in the two lines
    for start, end, name in marks:
        half = 0.5 * (0.075 * len(name.replace("_", "")) + 0.03)
        centre = (start + end) / 2 * inch_per_unit
        line = 0 if centre - half >= free[0] else 1
        free[line] = centre + half
        labels.append("\n" * line + special_point(name))
    return labels


def _write_words(axes: Axes, has_fit: bool, look: Look, caption: BandsCaption) -> None:
    """Draw the legend in the empty corner between the panels."""
    axes.set_axis_off()
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=BLACK, label=textwrap.fill(caption.reference, 17))
    ]
    if has_fit:
        handles.append(Line2D([], [], color=look.colour, ls=_DASHES, label=look.wrapped(17)))
    if has_fit and caption.rmse_thz is not None:
        handles.append(Line2D([], [], color=BLACK, lw=0.6, ls=_DOTS, label="RMSE of the path"))
    axes.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(-0.06, 0.55),
        borderaxespad=0,
        fontsize=6.5,
    )


def _set_crystal(axes: Axes, caption: BandsCaption) -> None:
    crystal = f"{short(caption.structure, 20)}  {space_group_symbol(caption.space_group)}".rstrip()
    axes.set_title(crystal, fontweight="bold", loc="left")


def _set_title(axes: Axes, look: Look, caption: BandsCaption) -> None:
    _set_crystal(axes, caption)
    result = "no RMSE" if caption.rmse_thz is None else f"RMSE {thz(caption.rmse_thz)}"
    axes.set_title(f"{short(look.label, 22)}, {CELLS[caption.cell]}: {result}", loc="right")
