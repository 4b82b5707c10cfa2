"""Enthalpies of silicon under pressure."""

from pathlib import Path

import numpy as np
import pytest

from phonsmith.labels.factory import reference_method
from phonsmith.structures.reading import read_structure
from phonsmith.structures.settings import Relaxation
from phonsmith.transitions.enthalpies import enthalpies
from phonsmith.transitions.results import Enthalpies
from phonsmith.transitions.settings import PressureTransition
from phonsmith.transitions.transition import pressure_transition


def under_pressure(
    calculator: str, pressures: list[float], structures: str = "db"
) -> list[Enthalpies]:
    """Silicon's diamond (d) and β-tin type (b)."""
    method = reference_method({"method": "calculator", "potential": {"calculator": calculator}})
    files = {"d": "silicon/mp-149", "b": "foundation/si-beta-sn"}
    folder = Path(__file__).parents[2] / "config/structures"
    return [
        enthalpies(
            name,
            read_structure(folder / f"{files[name]}.vasp"),
            method,
            pressure_settings(pressures),
            Relaxation(fmax_ev_per_angstrom=2e-3),
            name="reference",
        )
        for name in structures
    ]


def pressure_settings(pressures: list[float]) -> PressureTransition:
    return PressureTransition(
        driven_by="pressure", structures=["d", "b"], pressures_gpa=pressures, volumes=6
    )


@pytest.fixture(scope="module")
def pressed() -> list[Enthalpies]:
    return under_pressure("stillinger-weber", [0, 10, 20, 30])


def test_enthalpies_of_relaxations_and_volumes_agree(pressed: list[Enthalpies]) -> None:
    """And dH/dp is the volume: differences of enthalpies know nothing of it."""
    for one in pressed:
        assert not one.reason and len(one.used) == 4
        assert one.difference_mev_per_atom is not None and one.difference_mev_per_atom < 5
        curve = one.curve()
        assert curve.slopes is not None
        mean = (curve.slopes[:-1] + curve.slopes[1:]) / 2
        assert np.diff(curve.energy) / 10 == pytest.approx(mean, rel=4e-3)


def test_a_crystal_of_high_pressures_has_an_equation_of_state() -> None:
    """β-tin type from 15 GPa on: its volume at rest is not among those, its enthalpies are."""
    (found,) = under_pressure("stillinger-weber", [15, 22, 30], "b")
    state = found.equation_of_state
    assert state is not None and state.extrapolated
    assert state.volume_angstrom3_per_atom > max(
        one.volume_angstrom3_per_atom or 0.0 for one in found.at_volumes
    )
    assert any("is extrapolated" in note for note in found.notes)
    assert found.difference_mev_per_atom is not None and found.difference_mev_per_atom < 2
    curve = found.curve_of_state()
    assert curve is not None and curve.x.tolist() == [15, 22, 30]


def test_diamond_gives_way_to_beta_tin(pressed: list[Enthalpies]) -> None:
    """18.1 GPa by Stillinger–Weber on a finer scale; the common tangent is another way to it."""
    found = pressure_transition("x", pressure_settings([0, 10, 20, 30]), pressed)
    relaxed, state = found.comparisons
    assert relaxed.crossings[0].value == pytest.approx(18.1, abs=0.4)
    assert state.crossings[0].value == pytest.approx(relaxed.crossings[0].value, abs=0.6)
    assert (relaxed.crossings[0].low, relaxed.crossings[0].high) == (10, 20)
    assert relaxed.static_mev_per_atom == pytest.approx(200, abs=2)


@pytest.mark.slow
def test_diamond_gives_way_to_beta_tin_earlier_with_chgnet() -> None:
    """CHGNet learnt from PBE, which has 8 to 11 GPa by calculations of several authors."""
    solids = under_pressure("chgnet", [0, 6, 12])
    relaxed, state = pressure_transition("x", pressure_settings([0, 6, 12]), solids).comparisons
    assert relaxed.static_mev_per_atom == pytest.approx(242, abs=5)
    for one in (relaxed, state):
        assert one.crossings[0].value == pytest.approx(8.0, abs=0.5)
