"""Errors on the test cells of a database."""

import numpy as np
import pandas as pd
import pytest

from phonsmith.figures.database import draw_database_errors
from phonsmith.fits.errors import PREDICTION_COLUMNS
from tests.figures.examples import LOOKS


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
