"""Errors of fits are those put in."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from phonsmith.datasets.sets import constraint_frames
from phonsmith.datasets.settings import ConstraintCells
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS
from phonsmith.fits import errors
from phonsmith.potentials.calculators import Evaluation, evaluate
from tests.fits.examples import SW


def test_errors_are_those_put_in(silicon, tmp_path):
    frames = silicon[:3]
    shifts = (1.0, -2.0, 2.0)
    results = [
        Evaluation(
            atoms.info[ENERGY] + 8 * shift,
            atoms.arrays[FORCES] + 0.1 * shift,
            atoms.info[STRESS] + 0.01 * shift,
        )
        for atoms, shift in zip(frames, shifts, strict=True)
    ]
    table = errors.errors_of(errors.predictions(frames, results, "test"))
    everything = table[(table["kind"] == "all") & (table["structure"] == "all")]
    rows = everything.set_index("quantity")
    for quantity, scale, count in (("energy", 1, 3), ("force", 0.1, 72), ("stress", 0.01, 18)):
        row = rows.loc[quantity]
        assert row["count"] == count
        assert row["rmse"] == pytest.approx(scale * 3**0.5)
        assert row["mae"] == pytest.approx(scale * 5 / 3)
        assert row["max"] == pytest.approx(scale * 2)
    assert rows["unit"].to_dict() == {"energy": "eV/atom", "force": "eV/Å", "stress": "eV/Å³"}
    assert set(table["set"]) == {"test"}


def test_a_potential_has_no_error_against_itself(silicon):
    table = errors.errors_of(errors.predict(SW, silicon[:2], "train"))
    assert (table["max"] < 1e-12).all()
    assert len(table) == 4 * 3  # kind and structure, each or all; three quantities


@pytest.mark.parametrize(
    ("symbols", "shift"),
    [
        (["Na2Cl2", "NaCl2", "Cl2"], {"Na": 158.87, "Cl": -3.5}),  # compositions part the elements
        (["NaCl", "Na2Cl2"], {"Na": 1.0, "Cl": 1.0}),  # they do not: the sum alone is known
        (["Si2"], {"Si": -7.0}),
    ],
)
def test_another_zero_of_energy_is_found_by_least_squares(symbols, shift):
    frames = [
        Atoms(one, info={ENERGY: -5.0 * len(Atoms(one)), "kind": "rattled"}) for one in symbols
    ]
    energies = [one.info[ENERGY] - sum(shift[e] for e in one.symbols) for one in frames]
    lone = Atoms("Si", info={ENERGY: 99.0, "kind": "isolated_atom"})  # in another state: no measure
    broken = Atoms("Si3", info={ENERGY: 0.0, "kind": "rattled"})
    found = errors.energy_shift([*frames, lone, broken], [*energies, 0.0, np.nan])
    assert found == pytest.approx(shift)


def test_energies_of_an_existing_potential_are_compared_after_the_shift(silicon):
    moved = [atoms.copy() for atoms in silicon[:3]]
    for atoms in moved:
        atoms.info[ENERGY] += 158.87 * len(atoms)
    table, shift = errors.predict_shifted(SW, moved, "test")
    assert shift == pytest.approx({"Si": 158.87})
    assert errors.errors_of(table)["max"].max() < 1e-9


def test_no_labels_with_energies_give_no_shift(displaced):
    assert errors.energy_shift([displaced], [1.0]) == {}


def test_constraint_cells_and_missing_labels_do_not_count(displaced):
    frames = [displaced, *constraint_frames({"dia": bulk("Si")}, ConstraintCells())]
    results = evaluate(frames, SW)
    table = errors.errors_of(errors.predictions(frames, results, "train"))
    assert "energy" not in set(table["quantity"])
    assert set(table[table["kind"] == "all"]["quantity"]) == {"force"}
    assert set(table[table["kind"] == "constraint"]["quantity"]) == {"force", "stress"}


def test_predictions_come_back_and_are_written_the_same(silicon, tmp_path):
    table = errors.predict(SW, silicon[:2], "test")
    for name in ("one.csv.gz", "two.csv.gz"):
        errors.save_predictions(tmp_path / name, table)
    assert (tmp_path / "one.csv.gz").read_bytes() == (tmp_path / "two.csv.gz").read_bytes()
    back = errors.load_predictions(tmp_path / "one.csv.gz")
    assert list(back.columns) == list(table.columns)
    assert np.allclose(back["prediction"], table["prediction"], atol=1e-6)
    assert (back["structure"] == "dia").all()
