"""Errors against the number of distilled cells."""

import numpy as np
import pandas as pd
import pytest
from ase.build import bulk

from phonsmith.benchmarks.sizes import distilled_sizes, error_against_size
from phonsmith.figures.sizes import draw_error_against_size
from phonsmith.files.extxyz import ENERGY, FORCES
from phonsmith.fits.training import recipe


def frames():
    cells = []
    for index in range(12):
        cell = bulk("Si") if index % 2 else bulk("Si", cubic=True)
        cell.info = {ENERGY: -1.0, "structure": "press", "kind": "distilled", "index": index}
        cell.arrays[FORCES] = np.zeros((len(cell), 3))
        cells.append(cell)
    cells[0].info["kind"] = "rattled"
    return cells


def test_sizes_count_distilled_cells_and_their_atoms() -> None:
    fits = {
        f"mtp-{number}": recipe({"kind": "mtp", "level": 8, "distilled_cells": number})
        for number in (3, 11)
    }
    sizes = distilled_sizes(fits, frames()).set_index("fit")
    assert list(sizes.distilled_cells) == [3, 11]
    assert sizes.distilled_atoms["mtp-11"] == 5 * 8 + 6 * 2
    assert 3 * 2 <= sizes.distilled_atoms["mtp-3"] <= 3 * 8


ERRORS = pd.DataFrame(
    [
        (fit, "test", "all", data, quantity, mae * factor)
        for fit, mae in (("a", 1.0), ("a-r2", 3.0), ("b", 0.5), ("other", 9.0))
        for data in ("liquid", "all")
        for quantity, factor in (("energy", 0.001), ("force", 0.1))
    ],
    columns=["fit", "set", "kind", "structure", "quantity", "mae"],
)
SIZES = pd.DataFrame(
    {
        "fit": ["a", "a-r2", "b"],
        "distilled_cells": [5, 5, 20],
        "distilled_atoms": [100, 140, 480],
    }
)
SERIES = dict.fromkeys(["a", "a-r2", "b"], "MTP 8")


def test_errors_are_averaged_over_fits_of_equal_size() -> None:
    table = error_against_size(ERRORS, SIZES, SERIES)
    assert set(table.series) == {"MTP 8"} and len(table) == 4
    few, many = (
        table[(table.data == "liquid") & (table.distilled_cells == size)].iloc[0]
        for size in (5, 20)
    )
    assert (few.fits, few.distilled_atoms) == (2, 120)
    assert few.force_mae_ev_per_angstrom == pytest.approx(0.2)
    assert few.force_mae_ev_per_angstrom_std == pytest.approx(0.1 * 2**0.5)
    assert few.energy_mae_ev_per_atom == pytest.approx(0.002)
    assert (many.fits, many.force_mae_ev_per_angstrom) == (1, pytest.approx(0.05))
    assert np.isnan(many.force_mae_ev_per_angstrom_std)


def test_figure_has_a_line_with_bars_for_each_series() -> None:
    figure = draw_error_against_size(error_against_size(ERRORS, SIZES, SERIES))
    energies, forces = figure.axes
    assert energies.get_title(loc="left") == "liquid"
    (line, *_), *_ = forces.containers
    assert list(line.get_xdata()) == [5, 20]
    np.testing.assert_allclose(line.get_ydata(), [0.2, 0.05])
    np.testing.assert_allclose(energies.containers[0][0].get_ydata(), [2, 0.5])
    figure.canvas.draw()
    assert [text.get_text() for text in forces.get_xticklabels()] == ["5", "20"]
    (upper,) = energies.child_axes
    assert [text.get_text() for text in upper.get_xticklabels()] == ["120", "480"]
