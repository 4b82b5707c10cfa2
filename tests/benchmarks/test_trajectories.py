"""Errors along molecular dynamics: of each snapshot, and over the parts of a melt and quench."""

import numpy as np
import pandas as pd
import pytest
from ase.build import bulk
from pydantic import TypeAdapter

from phonsmith.benchmarks.trajectories import errors_along, melt_quench_table
from phonsmith.distillation.settings import Protocol
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES
from phonsmith.fits.errors import predict, predictions
from phonsmith.potentials.calculators import Evaluation
from phonsmith.potentials.settings import PotentialSource

SW = PotentialSource(calculator="stillinger-weber")
QUENCH = TypeAdapter(Protocol).validate_python(
    {
        **{"kind": "melt-quench", "start": {"structure": "si", "atoms": 8}, "snapshots": 45},
        **{"equilibration_ps": 50, "cold_ps": 50},
    }
)
"""Of the length of the paper: 450 ps with a snapshot every 10 ps."""


def snapshot(time_ps: float, *, data="quench", run=0, origin="dynamics", moved=0.0):
    atoms = bulk("Si", a=5.431, cubic=True)
    atoms.positions[0] += moved
    atoms.arrays[FORCES] = np.zeros((8, 3))
    atoms.info = {
        **{"structure": data, "kind": "distilled", "origin": origin, "run": run},
        **{"time_ps": time_ps, "thermostat_kelvin": 300.0, ENERGY: -32.0},
    }
    return atoms


def with_errors(frames, energies, forces):
    """Predictions that differ by these energies per atom, and in every force component."""
    found = [
        Evaluation(frame.info[ENERGY] + 8 * energy, frame.arrays[FORCES] + force, None)
        for frame, energy, force in zip(frames, energies, forces, strict=True)
    ]
    return predictions(frames, found, "test")


def test_parts_of_the_paper_have_five_snapshots_or_fifteen() -> None:
    assert QUENCH.steps == 450_000
    parts = [QUENCH.part_at(10.0 * (i + 1)).name for i in range(45)]
    assert parts == [
        *(["crystal"] * 5 + ["heating"] * 15 + ["liquid"] * 5),
        *(["quench"] * 15 + ["amorphous"] * 5),
    ]
    assert QUENCH.cells == 46


def test_errors_are_those_of_each_snapshot() -> None:
    frames = [
        snapshot(20.0),
        snapshot(10.0),
        snapshot(450.0, origin="relaxed"),
        snapshot(1, data="x"),
    ]
    errors = [0.002, -0.003, 1.0, 1.0]
    table = errors_along(
        with_errors(frames, errors, [0.1, -0.2, 1, 1]),
        frames,
        {"quench": QUENCH},
        "gap",
        shifted=False,
    )
    assert list(table.time_ps) == [10.0, 20.0]  # relaxed cells and other data are omitted
    assert list(table.energy_error_ev_per_atom) == pytest.approx([-0.003, 0.002])
    assert list(table.force_rmse_ev_per_angstrom) == pytest.approx([0.2, 0.1])
    assert list(table.force_mae_ev_per_angstrom) == pytest.approx([0.2, 0.1])
    assert set(table.part) == {"crystal"} and set(table.energy_zero) == {"label"}


def test_a_potential_has_no_errors_on_its_own_labels() -> None:
    from phonsmith.potentials.calculators import evaluate_one, make_calculator

    frames = [snapshot(10.0, moved=0.1), snapshot(20.0, moved=0.2)]
    for frame in frames:
        found = evaluate_one(frame, make_calculator(SW))
        frame.info[ENERGY], frame.arrays[FORCES] = found.energy, found.forces
    frames[1].info[ENERGY] -= 8 * 0.01
    frames[1].arrays[FORCES][0, 0] -= 0.24
    table = errors_along(
        predict(SW, frames, "test"), frames, {"quench": QUENCH}, "sw", shifted=True
    )
    assert list(table.energy_error_ev_per_atom) == pytest.approx([0, 0.01], abs=1e-9)
    assert table.force_rmse_ev_per_angstrom[1] == pytest.approx(0.24 / np.sqrt(24))
    assert table.force_mae_ev_per_angstrom[1] == pytest.approx(0.01)
    assert set(table.energy_zero) == {"shifted"}


@pytest.mark.parametrize("stale", ["energies", "fewer cells"])
def test_predictions_of_other_cells_are_refused(stale) -> None:
    frames = [snapshot(10.0), snapshot(20.0)]
    old = with_errors(frames, [0, 0], [0, 0])
    if stale == "energies":
        frames[1].info[ENERGY] += 0.01
    else:
        frames.append(snapshot(30.0))
    with pytest.raises(PhonsmithError, match="are not of the snapshots of quench; delete"):
        errors_along(old, frames, {"quench": QUENCH}, "gap", shifted=False)


def test_the_last_five_snapshots_of_each_part_count() -> None:
    """The earlier liquid has other errors; two runs, the second of which ends in the melt."""
    times = [*range(10, 460, 10)]
    frames = [snapshot(t) for t in times] + [snapshot(t, run=1) for t in times[:22]]
    energy = {"crystal": 0.001, "liquid": -0.01, "amorphous": 0.004, "heating": 9, "quench": 9}
    energies = [energy[QUENCH.part_at(frame.info["time_ps"]).name] for frame in frames]
    energies[45 + 20] = -0.02  # of the second run, 210 ps
    along = errors_along(
        with_errors(frames, energies, [0.1] * len(frames)),
        frames,
        {"quench": QUENCH},
        "gap",
        shifted=False,
    )
    table = melt_quench_table(along, {"quench": QUENCH}).set_index("part")
    assert list(table.index) == ["crystal", "liquid", "amorphous"]
    assert list(table.snapshots) == [10, 7, 5]
    assert table.energy_mae_ev_per_atom["crystal"] == pytest.approx(0.001)
    assert table.energy_mae_ev_per_atom["liquid"] == pytest.approx((6 * 0.01 + 0.02) / 7)
    mean = (6 * 0.01**2 + 0.02**2) / 7
    assert table.energy_rmse_ev_per_atom["liquid"] == pytest.approx(np.sqrt(mean))
    assert list(table.force_rmse_ev_per_angstrom) == pytest.approx([0.1] * 3)


def test_only_melt_and_quench_have_parts() -> None:
    thermal = TypeAdapter(Protocol).validate_python(
        {"kind": "thermal", "start": {"structure": "si", "atoms": 8}}
    )
    frames = [snapshot(2.0, data="hot")]
    along = errors_along(
        with_errors(frames, [0.1], [0]), frames, {"hot": thermal}, "gap", shifted=False
    )
    assert len(along) == 1 and along.part[0] == ""
    assert melt_quench_table(along, {"hot": thermal}).empty
    assert isinstance(along, pd.DataFrame)
