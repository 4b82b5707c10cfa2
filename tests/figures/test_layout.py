"""No text of a figure is cut or runs into another."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from pydantic import TypeAdapter

from phonsmith.benchmarks.trajectories import ALONG
from phonsmith.distillation.settings import Protocol
from phonsmith.figures.bands import draw_bands, draw_reference_bands
from phonsmith.figures.database import draw_database_errors
from phonsmith.figures.generations import draw_generations
from phonsmith.figures.parity import draw_parity
from phonsmith.figures.rmse import draw_phonon_vs_force, draw_rmse_against, draw_rmse_by_structure
from phonsmith.figures.style import COLOURS, Look, looks
from phonsmith.figures.trajectories import draw_errors_along
from phonsmith.fits.errors import PREDICTION_COLUMNS
from tests.figures.examples import (
    FORCES,
    LOOKS,
    RMSE,
    against_generation,
    caption,
    chain,
    faults_of_text,
    generations,
    predictions,
    table,
)

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
MANY = {f"size-{n}": f"MTP 12, indirect, distilled_cells = {n}, repeat 2" for n in range(16)}
"""A sweep with repeats."""


def many_rmse() -> pd.DataFrame:
    return table(
        {
            (fit, structure, cell): 0.3 + 0.01 * n
            for n, fit in enumerate(MANY)
            for structure in ("mp-149", "mp-165")
            for cell in ("relaxed", "reference")
        }
    )


def many_database_errors() -> Figure:
    rows = [("test", "old", "recorded", 0, "force", 0.0, 0.003 * i) for i in range(1, 9)]
    found = pd.DataFrame(rows, columns=PREDICTION_COLUMNS)
    return draw_database_errors(dict.fromkeys(MANY, found), ["old"], looks(MANY))


def many_trajectories() -> Figure:
    rows = [
        (fit, "cold", 0, time, 300.0, "", "label", 0.002 * time, 0.1, 0.1)
        for fit in MANY
        for time in (1.0, 3.0)
    ]
    settings = {"kind": "compression", "start": {"structure": "si", "atoms": 8}, "snapshots": 4}
    protocol = TypeAdapter(Protocol).validate_python(settings)
    return draw_errors_along(
        pd.DataFrame(rows, columns=ALONG), protocol, looks(MANY), reference="GAP"
    )


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
    "many fits by structure": lambda: draw_rmse_by_structure(many_rmse(), looks(MANY)),
    "many fits against force": lambda: draw_phonon_vs_force(
        many_rmse(),
        {fit: 0.02 + 0.01 * n for n, fit in enumerate(MANY)},
        "test set",
        looks(MANY),
        dict.fromkeys(MANY, 500),
    ),
    "many fits on a database": many_database_errors,
    "many fits along trajectories": many_trajectories,
}


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_is_cut_or_runs_into_another(name):
    assert faults_of_text(FIGURES[name]()) == []


@pytest.mark.parametrize("name", [name for name in FIGURES if name.startswith("many")])
def test_many_fits_leave_space_for_the_panels(name):
    figure = FIGURES[name]()
    faults_of_text(figure)  # draws it
    for axes in figure.axes:
        box = axes.get_window_extent()
        assert box.height > 0.4 * figure.dpi
        assert box.width > 1.4 * figure.dpi


def test_counts_have_whole_ticks():
    """Labels and generations come in ones."""
    for figure in (long_generations(), draw_generations(generations(), LOOKS, 0.2)):
        (axes,) = figure.axes
        ticks = axes.get_xticks()
        assert len(ticks) <= 13
        assert all(tick == round(tick) for tick in ticks)
