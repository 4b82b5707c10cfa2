"""Tables of runs, with snapshots that cannot be described."""

import numpy as np
import pandas as pd
import pytest

from phonsmith.disorder import scattering, tables
from phonsmith.disorder.crystals import ReferenceCrystal, ReferenceCrystals
from phonsmith.disorder.settings import Disorder
from phonsmith.disorder.tables import described, overview
from phonsmith.files.extxyz import write_frames
from phonsmith.labels.checks import labelled
from tests.disorder.examples import diamond

SETTINGS = Disorder.model_validate(
    {
        "crystals": ["diamond"],
        "analysis": {
            "neighbour_cutoff_angstrom": 2.85,
            "scattering": {"q_max_inverse_angstrom": 4},
            "similarity": {"n_max": 4, "l_max": 3},
        },
        "runs": {
            "press": {
                "protocol": {"kind": "compression", "start": {"composition": "Si", "atoms": 8}}
            }
        },
    }
)


def snapshot(std, time, edge=5.43, lost=False):
    frame = diamond(1)
    frame.set_cell([edge] * 3, scale_atoms=True)
    frame.rattle(std, seed=3)
    if lost:
        frame.positions[2] = frame.positions[1]
    frame.info = {"time_ps": time, "origin": "dynamics", "thermostat_kelvin": 500.0}
    frame.info["barostat_gpa"] = 0.0
    return labelled(frame, "sw", -30.0, np.zeros((8, 3)), np.zeros((3, 3)))


@pytest.fixture
def files(tmp_path):
    """Crystals, a run that ends well, and one that flies apart, with two atoms on one place."""
    crystals = tmp_path / "crystals.json"
    found = [ReferenceCrystal.of("diamond", diamond(1), 0.0, -4.3)]
    ReferenceCrystals(crystals=found).save(crystals)
    runs = []
    frames = [
        [snapshot(0.05, 1.0), snapshot(0.1, 2.0)],
        [snapshot(0.05, 1.0), snapshot(0.1, 2.0, lost=True), snapshot(0.1, 3.0, edge=60)],
    ]
    for number, ones in enumerate(frames):
        (tmp_path / "press").mkdir(exist_ok=True)
        runs.append(tmp_path / f"press/{number}.extxyz")
        write_frames(runs[-1], ones)
    return crystals, runs


@pytest.mark.parametrize("processes", [1, 2])
def test_snapshots_that_can_not_be_described_leave_the_others(files, processes):
    crystals, runs = files
    found = described("gap", runs, crystals, SETTINGS, processes)
    table = found.snapshots.set_index(["run", "time_ps"])
    assert len(table) == 5
    assert table.similarity_fixed_diamond.isna().tolist() == [False, False, False, True, False]
    assert (table.reason != "").tolist() == [False, False, False, True, False]
    assert "atoms are on one place" in table.reason[1, 2.0]
    assert table.coordination_4_percent[0, 1.0] == 100
    assert table.coordination_mean[1, 3.0] == 0  # a gas
    assert found.cautions == [
        "press, run 1: 1 of 3 snapshots cannot be described completely. Most frequent reason: "
        "Si8: no SOAP vector, atoms are on one place."
    ]
    assert set(found.curves["run"]) == {0, 1}
    # what was written and read has an empty column of reasons, which is no number
    rows = pd.concat([found.snapshots.assign(reason=np.nan)])
    ends = pd.DataFrame({"model": "gap", "data": "press", "run": [0, 1], "reason": np.nan})
    means = overview(rows, found.curves, ends, SETTINGS.analysis.scattering)
    assert "reason_mean" not in means and means.runs.tolist() == [2]


def test_means_are_over_the_runs_that_reached_their_end(files):
    crystals, runs = files
    found = described("gap", runs, crystals, SETTINGS)
    last = found.snapshots.set_index("run").volume_angstrom3_per_atom.groupby("run").last()

    def table(*reasons: str) -> pd.DataFrame:
        ends = pd.DataFrame({"model": "gap", "data": "press", "run": [0, 1], "reason": reasons})
        return overview(found.snapshots, found.curves, ends, SETTINGS.analysis.scattering)

    (row,) = table("", "hot").to_dict("records")
    assert (row["runs"], row["runs_failed"]) == (1, 1)
    assert row["volume_angstrom3_per_atom_mean"] == pytest.approx(last[0])
    (row,) = table("hot", "thin").to_dict("records")
    assert (row["runs"], row["runs_failed"]) == (0, 2)
    assert np.isnan(row["volume_angstrom3_per_atom_mean"])


def test_structure_factor_of_a_last_cell_is_computed_once(files, monkeypatch):
    crystals, runs = files
    count = 0
    computed = scattering._intensities

    def counted(*args):
        nonlocal count
        count += 1
        return computed(*args)

    monkeypatch.setattr(scattering, "_intensities", counted)
    described("gap", runs, crystals, SETTINGS)
    assert count == 5


def test_a_snapshot_that_ends_its_process_has_a_row(files, monkeypatch):
    crystals, runs = files

    def each(setup, items, processes):
        yield 1, tables.ProcessDied("a worker process died", "memory")
        yield from ((i, setup()(item)) for i, item in enumerate(items) if i != 1)

    monkeypatch.setattr(tables, "each", each)
    found = described("gap", runs, crystals, SETTINGS, 2)
    assert "ended its process" in found.snapshots.reason[1]
    assert np.isnan(found.snapshots.coordination_mean[1])
    assert found.snapshots.coordination_mean.notna().sum() == 4


def test_an_error_is_not_hidden_behind_a_process_that_ended(files, monkeypatch):
    def two_failures(setup, items, processes):
        yield 0, tables.ProcessDied("a worker process died", "memory")
        yield 1, ValueError("no such crystal")

    monkeypatch.setattr(tables, "each", two_failures)
    crystals, runs = files
    with pytest.raises(ValueError, match="no such crystal"):
        described("sw", runs, crystals, SETTINGS, 2)
