"""Speed of potentials side by side, and errors against cost."""

import time

import numpy as np
import pandas as pd
import pytest
from ase.build import bulk

from phonsmith.benchmarks.speed import STEPS, error_against_cost, speeds
from phonsmith.figures.speed import draw_error_against_cost
from phonsmith.figures.style import looks
from phonsmith.potentials.settings import PotentialSource

SW = PotentialSource(calculator="stillinger-weber")


def test_every_step_is_a_new_calculation(monkeypatch) -> None:
    from phonsmith.benchmarks import speed

    seen = {"quick": [], "slow": []}

    def with_delay(source):
        from phonsmith.potentials.calculators import make_calculator

        name = "slow" if source.arguments else "quick"
        calculator = make_calculator(SW)
        calculate = calculator.calculate

        def timed(atoms, *rest):
            seen[name].append(atoms.positions.copy())
            time.sleep(0.2 if name == "slow" else 0)
            calculate(atoms, *rest)

        calculator.calculate = timed
        return calculator

    monkeypatch.setattr(speed, "make_calculator", with_delay)
    slow = PotentialSource(calculator="stillinger-weber", arguments={"epsilon": 2.1})
    cells = [bulk("Si", cubic=True), bulk("Si", cubic=True) * (2, 1, 1)]
    table = speeds({"quick": SW, "slow": slow}, cells).set_index("model")
    assert list(table.steps) == [2 * STEPS] * 2
    assert list(table.atoms) == [12, 12]
    assert len(seen["quick"]) == len(seen["slow"]) == 2 * (STEPS + 1)
    first = np.array(seen["slow"][: STEPS + 1])
    assert (np.ptp(np.diff(first, axis=0), axis=(1, 2)) > 1e-3).all()
    # 0.2 s of 8 or 16 atoms
    assert table.wall_s_per_atom_step["slow"] > 0.2 / 16
    assert table.wall_s_per_atom_step["quick"] < table.wall_s_per_atom_step["slow"]


ERRORS = pd.DataFrame(
    [
        (fit, part, kind, data, quantity, mae)
        for fit, size in (("student", 1.0), ("other", 2.0))
        for part, kind, data, factor in (
            ("test", "all", "all", 1.5),
            ("test", "all", "liquid", 2.0),
            ("test", "distilled", "liquid", 2.0),
            ("train", "all", "liquid", 1.0),
        )
        for quantity, mae in (
            ("energy", 0.001 * size * factor),
            ("force", 0.1 * size * factor),
            ("stress", 0.01),
        )
    ],
    columns=["fit", "set", "kind", "structure", "quantity", "mae"],
)
TIMES = pd.DataFrame(
    {"model": ["reference", "student", "other"], "wall_s_per_atom_step": [4e-3, 1e-4, 2e-4]}
)


def test_errors_stand_beside_times() -> None:
    table = error_against_cost(ERRORS, TIMES, "reference").set_index(["model", "data"])
    assert len(table) == 4
    assert table.force_mae_ev_per_angstrom["student", "liquid"] == pytest.approx(0.2)
    assert table.energy_mae_ev_per_atom["other", "all"] == pytest.approx(0.003)
    assert table.times_faster["student", "all"] == pytest.approx(40)


def test_figure_has_a_point_for_each_fit_and_a_line_for_the_teacher() -> None:
    table = error_against_cost(ERRORS, TIMES, "reference")
    labels = {"student": "Student", "other": "Other"}
    figure = draw_error_against_cost(table, looks(labels), reference=("GAP", 4e-3))
    energies, forces = figure.axes
    assert energies.get_title(loc="left") == "liquid"
    teacher, *points = forces.lines
    assert teacher.get_xdata()[0] == pytest.approx(4000)
    found = [(float(p.get_xdata()[0]), float(p.get_ydata()[0])) for p in points]
    assert found == [pytest.approx((100, 0.2)), pytest.approx((200, 0.4))]
