"""Figure of errors along molecular dynamics."""

import pandas as pd
import pytest
from pydantic import TypeAdapter

from phonsmith.benchmarks.trajectories import ALONG
from phonsmith.distillation.settings import Protocol
from phonsmith.figures.style import looks
from phonsmith.figures.trajectories import draw_errors_along
from tests.figures.examples import faults_of_text, texts

PROTOCOL = TypeAdapter(Protocol).validate_python(
    {
        **{"kind": "melt-quench", "start": {"structure": "si", "atoms": 8}, "snapshots": 4},
        **{"equilibration_ps": 1, "melt_ps": 1, "cold_ps": 0},
        **{"heating_rate_kelvin_per_s": 1.5e15, "quench_rate_kelvin_per_s": 1.5e15},
    }
)


def test_errors_are_drawn_below_the_temperature() -> None:
    rows = [
        ("gap", "quench", run, time, 300.0, part, "label", sign * 0.002 * (run + 1), 0.1, 0.1)
        for run, sign in ((0, 1), (1, -1))
        for time, part in ((1.0, "crystal"), (3.0, "liquid"))
    ]
    figure = draw_errors_along(
        pd.DataFrame(rows, columns=ALONG), PROTOCOL, looks({"gap": "GAP"}), reference="SW"
    )
    program, energy, force = figure.axes
    assert program.lines[0].get_xydata().tolist() == [
        *([0, 300], [0, 300], [1, 300], [1, 300], [2, 1800], [2, 1800], [3, 1800]),
        *([3, 1800], [4, 300], [4, 300], [4, 300]),
    ]
    assert energy.lines[0].get_ydata() == pytest.approx([3.0, 3.0])  # mean of the absolute values
    assert force.lines[0].get_ydata() == pytest.approx([0.1, 0.1])
    assert len(energy.patches) == 2  # crystal and liquid
    assert {"crystal", "liquid", "heating", "quench"} <= set(texts(figure).splitlines())
    assert faults_of_text(figure) == []
    assert "mean of 2 runs" in program.get_title(loc="right")
