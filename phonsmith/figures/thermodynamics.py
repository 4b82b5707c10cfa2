"""Figures of thermodynamics: equations of state, and volume and expansion against temperature."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from phonsmith.figures.style import (
    DOUBLE_COLUMN_INCH,
    GREY,
    LINES,
    REFERENCE_MARKER,
    SINGLE_COLUMN_INCH,
    Look,
    say_lacking,
    style,
)
from phonsmith.thermodynamics.results import Result, at_lowest_pressure

COLUMNS = 3
PANEL_HEIGHT_INCH = 2.1
Panels: TypeAlias = NDArray[Any]
"""Axes, shape (panels, rows of each)."""

IMAGINARY = "with imaginary modes"


def by_structure(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Group results by structure, in the given order."""
    found: dict[str, list[Result]] = {}
    for result in results:
        found.setdefault(result.structure, []).append(result)
    return found


def draw_equations_of_state(results: Sequence[Result], methods: Mapping[str, Look]) -> Figure:
    """Draw energy against volume, a panel for each structure, relative to each method's minimum.

    Crosses are volumes with imaginary modes.
    """
    with style():
        panels = by_structure(results)
        figure, axes = grid(len(panels), 1)
        for (structure, group), panel in zip(panels.items(), axes[:, 0], strict=False):
            lacking = []
            for number, result in enumerate(group):
                look, state = methods[result.method], result.equation_of_state("vinet")
                if state is None:
                    lacking.append(look.label)
                    continue
                volumes = np.array([v.volume_angstrom3_per_atom for v in result.volumes])
                energies = np.array([v.energy_ev_per_atom for v in result.volumes])
                unstable = np.array([bool(v.imaginary_share) for v in result.volumes])
                line = np.linspace(volumes.min(), volumes.max(), 200)
                rest = state.energy_ev_per_atom
                # the reference is seen where fits have the same energies
                above = look.marker == REFERENCE_MARKER
                symbol = {
                    "color": look.colour,
                    "ms": 4.5 if above else 3,
                    "zorder": 4 if above else 3,
                }
                curve = {"color": look.colour, "ls": LINES[number % len(LINES)]}
                panel.plot(line, 1000 * (state.energy(line) - rest), **curve)
                for chosen, marker in ((~unstable, look.marker), (unstable, "x")):
                    panel.plot(
                        volumes[chosen],
                        1000 * (energies[chosen] - rest),
                        marker=marker,
                        ls="none",
                        mfc=look.colour if above else "none",
                        **symbol,
                    )
                symbol["mfc"] = look.colour if above else "none"
                panel.plot([], [], marker=look.marker, label=look.label, **curve | symbol)
                if unstable.any():
                    panel.plot([], [], ls="none", marker="x", ms=3, color=GREY, label=IMAGINARY)
            say_lacking(panel, lacking)
            panel.set_title(structure)
            panel.set_xlabel("Volume (Å³ per atom)")
            panel.set_ylabel("Energy (meV per atom)")
        legend_of(figure, axes)
    return figure


def draw_thermal_expansion(results: Sequence[Result], methods: Mapping[str, Look]) -> Figure:
    """Draw volume and thermal expansion against temperature at the pressure nearest to zero."""
    with style():
        panels = by_structure(results)
        figure, axes = grid(len(panels), 2)
        for (structure, group), (above, below) in zip(panels.items(), axes, strict=False):
            lacking = []
            for number, result in enumerate(group):
                look, found = methods[result.method], at_lowest_pressure(result)
                if found is None:
                    lacking.append(look.label)
                    continue
                pressure = f", {found.pressure_gpa:g} GPa" if found.pressure_gpa else ""
                line = {"color": look.colour, "label": look.label + pressure}
                line["ls"] = LINES[number % len(LINES)]
                above.plot(found.temperature_kelvin, found.volume_angstrom3_per_atom, **line)
                # the first and the last value are one-sided differences
                expansion = 1e6 * np.array(found.thermal_expansion_per_k)
                below.plot(found.temperature_kelvin, expansion, **line)
            say_lacking(above, lacking)
            above.set_title(structure)
            above.set_ylabel("Volume (Å³ per atom)")
            below.set_ylabel("Expansion of volume (10⁻⁶/K)")
            below.set_xlabel("Temperature (K)")
            below.axhline(0, color=GREY, lw=0.5)
        legend_of(figure, axes)
    return figure


def grid(panels: int, rows_each: int) -> tuple[Figure, Panels]:
    """Return a figure and its axes (panels, rows): panels side by side with ``rows_each`` rows."""
    columns = min(COLUMNS, panels)
    bands = math.ceil(panels / columns)
    width = SINGLE_COLUMN_INCH if columns == 1 else DOUBLE_COLUMN_INCH
    height = PANEL_HEIGHT_INCH * bands * rows_each + 0.3
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = np.asarray(figure.subplots(bands * rows_each, columns, squeeze=False), dtype=object)
    # (band, row, column) → (band, column, row)
    axes = axes.reshape(bands, rows_each, columns).transpose(0, 2, 1).reshape(-1, rows_each)
    for unused in axes[panels:].flat:
        unused.set_axis_off()
    return figure, axes


def legend_of(figure: Figure, axes: Panels) -> None:
    """Draw a legend above all panels, with distinct labels."""
    found: dict[str, Any] = {}
    for panel in axes.flat:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if found:
        columns = 4 if figure.get_figwidth() > SINGLE_COLUMN_INCH else 2
        figure.legend(found.values(), found.keys(), loc="outside upper left", ncols=columns)
