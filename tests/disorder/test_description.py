"""Descriptions as rows of tables, means over seeds."""

import numpy as np
import pandas as pd
import pytest
from ase.build import bulk
from ase.units import GPa

from phonsmith.disorder import similarity
from phonsmith.disorder.crystals import ReferenceCrystal
from phonsmith.disorder.description import curves, describe, joined, over_seeds
from phonsmith.disorder.settings import Analysis, Scattering, SimilaritySoap
from phonsmith.disorder.similarity import References
from phonsmith.files.errors import PhonsmithError
from tests.disorder.examples import diamond

ANALYSIS = Analysis(
    neighbour_cutoff_angstrom=2.85,
    scattering=Scattering(q_max_inverse_angstrom=4),
    similarity=SimilaritySoap(n_max=4, l_max=3),
)
CRYSTALS = [
    ReferenceCrystal.of("diamond", bulk("Si", "diamond", 5.43), 0.0, -10.0),
    ReferenceCrystal.of("diamond", bulk("Si", "diamond", 5.30), 10.0, -9.8),
]


def test_description_of_diamond():
    found = describe(diamond(2), ANALYSIS)
    assert found.coordination_4_percent == 100
    assert found.coordination_3_percent == found.coordination_5_percent == 0
    assert found.coordination_mean == 4
    assert found.angle_mean_degree == pytest.approx(109.4712, abs=1e-4)
    assert found.angle_std_degree == pytest.approx(0, abs=1e-6)
    assert found.cubic_diamond_percent == found.crystalline_percent == 100
    # 8 atoms of 28.085 g/mol in (5.43 Å)³
    assert found.density_g_per_cm3 == pytest.approx(8 * 28.085 / 6.02214076e23 / 5.43e-8**3, 1e-4)
    assert found.first_peak_position_inverse_angstrom == pytest.approx(
        2 * np.pi * np.sqrt(3) / 5.43, abs=0.01
    )
    assert found.first_peak_inverse_height == pytest.approx(1 / found.first_peak_height)
    assert found.energy_above_crystal_ev_per_atom is None


def test_energy_above_the_crystal_is_at_its_pressure():
    references = References(CRYSTALS, ANALYSIS.similarity)
    frame = diamond(1)
    settings = {"references": references, "ground_state": "diamond", "energy_ev": -8 * 4.8}
    at_rest = describe(frame, ANALYSIS, **settings)
    assert at_rest.energy_above_crystal_ev_per_atom == pytest.approx(0.2)
    assert at_rest.enthalpy_above_crystal_ev_per_atom == pytest.approx(0.2)
    pressed = describe(frame, ANALYSIS, pressure_gpa=10.0, **settings)
    assert pressed.energy_above_crystal_ev_per_atom == pytest.approx(0.1)
    work = 10 * GPa * (5.43**3 - 5.30**3) / 8
    assert pressed.enthalpy_above_crystal_ev_per_atom == pytest.approx(0.1 + work)
    beyond = describe(frame, ANALYSIS, pressure_gpa=5.0, **settings)
    assert beyond.enthalpy_above_crystal_ev_per_atom is None


def test_row_has_plain_numbers_and_similarities():
    references = References(CRYSTALS, ANALYSIS.similarity)
    row = describe(diamond(1), ANALYSIS, references=references).row()
    assert row["similarity_fixed_diamond"] == pytest.approx(1)
    assert row["similarity_scaled_diamond"] == pytest.approx(1)
    assert row.pop("reason") == ""
    assert {type(value) for value in row.values()} <= {int, float, type(None)}
    assert "similarities" not in row
    assert pd.DataFrame([row])["atoms"].tolist() == [8]


def test_curves_are_those_that_the_numbers_come_from():
    frame = diamond(2)
    frame.rattle(0.15, seed=1)
    found = curves(frame, ANALYSIS)
    known = describe(frame, ANALYSIS, curve=found.structure_factor)
    assert known == describe(frame, ANALYSIS)
    angles = found.angles
    mean = (angles["angle_degree"] * angles["density_per_degree"]).sum()
    assert mean == pytest.approx(known.angle_mean_degree, abs=0.1)
    first = found.pair_distribution.set_index("r_angstrom")["pair_distribution"].idxmax()
    assert first == pytest.approx(2.35, abs=0.1)


def broken(kind):
    """A cell of diamond that a failed run may end with."""
    frame = diamond(1)
    if kind == "apart":
        frame.set_cell(frame.cell * 10, scale_atoms=True)
    elif kind == "collapsed":
        frame.set_cell(frame.cell / 10, scale_atoms=True)
    elif kind == "on one place":
        frame.positions[:] = 0
    elif kind == "not finite":
        frame.positions[3] = np.nan
    elif kind == "without volume":
        frame.set_cell(frame.cell * [1, 1, 0])
    return frame


FREE = ANALYSIS.model_copy(update={"neighbour_cutoff_angstrom": None})


@pytest.mark.parametrize(
    ("kind", "analysis", "reason", "missing"),
    [
        ("apart", ANALYSIS, "", ["angle_mean_degree"]),
        ("apart", FREE, "no minimum of the pair distribution", ["coordination_mean"]),
        ("collapsed", ANALYSIS, "4845 neighbours within 2.85 Å", ["coordination_4_percent"]),
        ("on one place", ANALYSIS, "no SOAP vector", ["similarity_scaled_diamond"]),
        ("not finite", ANALYSIS, "not finite", ["density_g_per_cm3", "crystalline_percent"]),
        ("without volume", ANALYSIS, "three lattice vectors", ["volume_angstrom3_per_atom"]),
    ],
)
def test_broken_structures_are_described_as_far_as_possible(kind, analysis, reason, missing):
    references = References(CRYSTALS, ANALYSIS.similarity)
    known = {"references": references, "ground_state": "diamond", "energy_ev": -8.0}
    row = describe(broken(kind), analysis, pressure_gpa=3.0, **known).row()
    whole = describe(diamond(1), analysis, **known).row()
    assert list(row) == list(whole)
    assert reason in row["reason"] and bool(row["reason"]) == bool(reason)
    assert all(pd.isna(row[name]) for name in missing)
    assert row["atoms"] == 8 and row["pressure_gpa"] == 3.0
    if kind == "apart":
        assert row["density_g_per_cm3"] == pytest.approx(whole["density_g_per_cm3"] / 1000)
    if kind == "on one place":  # seven neighbours at no distance
        assert row["coordination_mean"] == 7


def test_a_failing_descriptor_leaves_the_other_numbers(monkeypatch):
    def fails(*args):
        raise RuntimeError("RuntimeError in calc\nmore lines")

    references = References(CRYSTALS, ANALYSIS.similarity)
    monkeypatch.setattr(similarity, "soap_vectors", fails)
    found = describe(diamond(1), ANALYSIS, references=references)
    assert found.reason == "RuntimeError: RuntimeError in calc"
    assert found.coordination_4_percent == 100
    assert np.isnan(found.row()["similarity_fixed_diamond"])


def test_wrong_references_are_no_property_of_a_structure():
    references = References(CRYSTALS, ANALYSIS.similarity)
    with pytest.raises(PhonsmithError, match="'hcp' is unknown"):
        describe(diamond(1), ANALYSIS, references=references, ground_state="hcp")
    with pytest.raises(PhonsmithError, match="are missing in the structures"):
        describe(bulk("Ge", "diamond", 5.6), ANALYSIS, references=references)


def test_mean_and_standard_deviation_over_seeds():
    table = pd.DataFrame(
        {
            "fit": ["a", "a", "a", "b"],
            "seed": [1, 2, 3, 1],
            "failed": [False, False, True, False],
            "density_g_per_cm3": [2.0, 3.0, np.nan, 5.0],
            "remark": ["", "x", "", ""],
        }
    )
    found = over_seeds(table, ["fit"]).set_index("fit")
    assert found.columns.tolist() == ["runs", "density_g_per_cm3_mean", "density_g_per_cm3_std"]
    assert found.loc["a"].tolist() == pytest.approx([3, 2.5, np.sqrt(0.5)])
    assert found.loc["b"].tolist() == pytest.approx([1, 5, np.nan], nan_ok=True)
    with pytest.raises(PhonsmithError, match=r"no column \['level'\]"):
        over_seeds(table, ["level"])


def test_curves_of_runs_are_averaged_point_by_point():
    curve = pd.DataFrame({"q_inverse_angstrom": [1.0, 2.0], "structure_factor": [0.5, 1.5]})
    other = curve.assign(structure_factor=curve["structure_factor"] + 1)
    table = joined({("a", 1): curve, ("a", 2): other}, ("fit", "seed"))
    assert table.columns.tolist() == ["fit", "seed", *curve.columns]
    found = over_seeds(table, ["fit", "q_inverse_angstrom"])
    assert found["structure_factor_mean"].tolist() == [1.0, 2.0]
    assert found["structure_factor_std"].tolist() == pytest.approx([np.sqrt(0.5)] * 2)
    assert joined({}, ("fit",)).empty
