"""Phase transitions: model solids worked out by hand."""

import math
from typing import Any

import numpy as np
import pytest
from ase.units import GPa, J, kB, mol

from phonsmith.files.errors import PhonsmithError
from phonsmith.thermodynamics import results as thermodynamics
from phonsmith.transitions.comparisons import comparisons
from phonsmith.transitions.curves import Curve, crossings
from phonsmith.transitions.results import Comparison, Enthalpies, PressurePoint
from phonsmith.transitions.settings import PressureTransition
from phonsmith.transitions.tables import overview, transitions_table
from phonsmith.transitions.transition import pressure_transition, temperature_transition
from tests.transitions.examples import ALPHA_BETA, TEMPERATURES, THZ, einstein


def test_two_einstein_solids_cross_where_the_hand_says() -> None:
    """kT ln(ω₁/ω₂)·3 = ΔE, and the next term of the expansion in ħω/kT.

    ΔE = 30 meV, 2 and 1.5 THz: 403.4 K, and 3·(ħ²ω₂² - ħ²ω₁²)/24kT = -0.107 meV over a slope of
    0.0744 meV/K: 1.4 K less.
    """
    found = temperature_transition(
        "x",
        ALPHA_BETA,
        [einstein("alpha", -4.0, 2.0), einstein("beta", -3.97, 1.5)],
        refuse_imaginary=True,
    )
    (one,) = found.comparisons
    (crossing,) = one.crossings
    classical = 0.030 / (3 * kB * math.log(2 / 1.5))
    correction = 3 * ((1.5 * THZ) ** 2 - (2 * THZ) ** 2) / (24 * kB * classical)
    by_hand = classical + correction / (3 * kB * math.log(2 / 1.5))
    assert classical == pytest.approx(403.4, abs=0.1)
    assert by_hand == pytest.approx(402.0, abs=0.1)
    assert crossing.value == pytest.approx(by_hand, abs=0.02)
    assert (crossing.low, crossing.high) == (400, 410)
    assert one.static_mev_per_atom == pytest.approx(30)
    assert 1 / crossing.slope_mev_per_atom == pytest.approx(-13.45, abs=0.05)  # K per meV/atom
    assert crossing.falling and crossing.stable
    assert one.answer == "401.9 K (400 to 410), alpha → beta"
    assert found.of_goal() == (crossing.value, "")


def test_slopes_and_points_alone_give_the_same() -> None:
    """Without entropies as slopes the crossing is as good: PCHIP of the same curves."""
    first = einstein("alpha", 0.0, 4.0).harmonic
    second = einstein("beta", 0.02, 3.0).harmonic
    assert first and second
    difference = np.array(second.free_energy_ev_per_atom) - first.free_energy_ev_per_atom + 0.02
    slopes = -(np.array(second.entropy_j_per_mol_k) - first.entropy_j_per_mol_k) * J / mol
    (with_slopes,) = crossings(Curve(TEMPERATURES, difference, slopes))
    (without,) = crossings(Curve(TEMPERATURES, difference))
    assert with_slopes.value == pytest.approx(without.value, abs=0.01)


def test_none_in_range_is_said_plainly() -> None:
    """The other crystal lower from the start, as tin by CHGNet and MP0-3b."""
    found = temperature_transition(
        "x",
        ALPHA_BETA,
        [einstein("alpha", -4.0, 2.0), einstein("beta", -4.134, 1.5)],
        refuse_imaginary=True,
    )
    (one,) = found.comparisons
    assert one.crossings == []
    assert one.answer.startswith("none in range from 0 to 1000 K: beta is lower by 137 to ")
    value, reason = found.of_goal()
    assert value is None and reason == one.answer


def test_touching_is_not_crossing() -> None:
    x = np.linspace(-2, 2, 9)
    assert crossings(Curve(x, x**2)) == []  # zero at a point
    assert crossings(Curve(x, np.zeros(9))) == []
    (one,) = crossings(Curve(x, x))  # zero at a point, and through
    assert one.value == pytest.approx(0) and not one.falling
    assert (one.low, one.high) == (-0.5, 0.5)
    both = crossings(Curve(x, x**2 - 1.1))
    assert [each.falling for each in both] == [True, False]
    assert both[1].value == pytest.approx(math.sqrt(1.1), abs=0.01)


def test_a_third_crystal_takes_the_transition_away() -> None:
    """alpha and beta cross at 402 K, where gamma has been lower since before."""
    settings = ALPHA_BETA.model_copy(update={"structures": ["alpha", "beta", "gamma"]})
    solids = [
        einstein("alpha", -4.0, 2.0),
        einstein("beta", -3.97, 1.5),
        einstein("gamma", -3.985, 1.6),
    ]
    found = temperature_transition("x", settings, solids, refuse_imaginary=True)
    stable = {(one.first, one.second): one.crossings[0].stable for one in found.comparisons}
    assert stable == {("alpha", "beta"): False, ("alpha", "gamma"): True, ("beta", "gamma"): True}
    shown = overview(transitions_table("c", [found], {}), {}, {})
    assert "another crystal is lower there" in " ".join(shown["remark"])
    # the loop's goal is no metastable transition
    value, reason = found.of_goal()
    assert value is None and reason.endswith("; another crystal is lower there")


def test_what_is_lowest_is_read_from_the_curves_and_not_from_chords() -> None:
    """Chords lie below enthalpies: by 15 meV/atom where a pressure is lost, with silicon's bend."""
    bend = -0.00125  # eV/GPa² per atom: -V/B

    def curve(shift: float, slope: float, pressures: list[float]) -> Curve:
        x = np.array(pressures)
        return Curve(x, shift + slope * x + bend / 2 * x**2, slope + bend * x)

    pressures = [0.0, 5.0, 10.0, 15.0, 20.0]
    curves = {
        "first": curve(0.0, 0.10, pressures),
        "second": curve(0.03, 0.095, pressures),
        "third": curve(0.005, 0.10, [0.0, 10.0, 15.0, 20.0]),
    }
    empty = Comparison(first="", second="", approximation="enthalpy")
    found = comparisons(curves, "GPa", empty)[0]
    (crossing,) = found.crossings
    assert crossing.value == pytest.approx(6.0) and crossing.stable


def test_curves_are_hermites_between_their_points() -> None:
    x = np.array([0.0, 5.0, 10.0])
    cubic = np.polynomial.Polynomial([1.0, -0.2, 0.03, 0.001])
    curve = Curve(x, cubic(x), cubic.deriv()(x))
    assert curve.at(7.3) == pytest.approx(cubic(7.3), abs=1e-12)
    assert Curve(x[:1], cubic(x[:1]), None).at(0.0) == 1.0


def test_imaginary_modes_are_never_passed_over() -> None:
    solids = [
        einstein("alpha", -4.0, 2.0),
        einstein("beta", -3.97, 1.5, imaginary=0.03, minimum=-1),
    ]
    refused = temperature_transition("x", ALPHA_BETA, solids, refuse_imaginary=True)
    assert refused.comparisons == []
    assert refused.left_out == {
        "beta": "harmonic: 3 % of its modes are imaginary (down to -1.00 THz)"
    }
    assert refused.of_goal()[0] is None and "imaginary" in refused.of_goal()[1]
    (told,) = temperature_transition("x", ALPHA_BETA, solids, refuse_imaginary=False).comparisons
    assert "its free energy omits these modes" in told.notes[0]


def test_compositions_must_agree() -> None:
    other = einstein("beta", -4.0, 1.5).model_copy(update={"formula": "Na"})
    with pytest.raises(
        PhonsmithError, match=r"transitions\.x\.structures: all crystals must have one comp"
    ):
        temperature_transition(
            "x", ALPHA_BETA, [einstein("alpha", 0, 2), other], refuse_imaginary=True
        )


def linear_solid(structure: str, energy: float, volume: float, method: str = "reference") -> object:
    """An incompressible solid: H = E + pV at every pressure."""
    points = [
        PressurePoint(
            pressure_gpa=pressure, volume_angstrom3_per_atom=volume, energy_ev_per_atom=energy
        )
        for pressure in (0, 10, 20, 30)
    ]
    return Enthalpies(
        structure=structure,
        method=method,
        formula="NaTl",
        atoms_per_formula_unit=2,
        relaxed=points,
    )


def test_incompressible_solids_cross_at_minus_de_over_dv() -> None:
    """The common tangent: 0.1 eV and 4 Å^3 apart give 4.005 GPa."""
    settings = PressureTransition(
        driven_by="pressure", structures=["a", "b"], pressures_gpa=[0, 10, 20, 30]
    )
    found = pressure_transition(
        "x", settings, [linear_solid("a", -3.0, 28.0), linear_solid("b", -2.9, 24.0)]
    )
    (one,) = found.comparisons
    (crossing,) = one.crossings
    assert crossing.value == pytest.approx(0.1 / 4 / GPa)
    assert crossing.value == pytest.approx(4.005, abs=0.001)
    assert (crossing.low, crossing.high) == (0, 10)
    table = transitions_table("c", [found], {})
    (row,) = table.to_dict("records")
    assert row["static_mev_per_atom"] == pytest.approx(100)
    assert row["static_mev_per_formula_unit"] == pytest.approx(200)
    assert row["shift_per_mev_per_atom"] == pytest.approx(0.04005, abs=1e-4)  # GPa


def gibbs(structure: str, energy: float, volume: float, **more: Any) -> thermodynamics.Result:
    """An incompressible solid without vibrations at 300 K: G = E + pV, at the pressures given."""
    states = [
        thermodynamics.QuasiHarmonic.model_construct(
            pressure_gpa=pressure,
            temperature_kelvin=[300.0],
            gibbs_ev_per_atom=[energy + pressure * GPa * volume],
            volume_angstrom3_per_atom=[volume],
        )
        for pressure in more.pop("pressures", (0.0, 10.0))
    ]
    return einstein(structure, energy, 2.0).model_copy(update={"quasi_harmonic": states, **more})


def test_what_has_no_gibbs_energy_has_a_row_with_the_reason() -> None:
    """Left out, failed, or known at one pressure alone: never dropped without a word."""
    names = ["a", "b", "lost", "short"]
    settings = PressureTransition(
        driven_by="pressure",
        structures=names,
        pressures_gpa=[0, 10, 20],
        temperatures_kelvin=[300.0],
    )
    thermal = [
        gibbs("a", -3.0, 28.0),
        gibbs("b", -2.9, 24.0),
        gibbs("lost", 0.0, 20.0, pressures=(), reason="left out: becomes another"),
        gibbs("short", -2.9, 24.0, pressures=(0.0,), notes=["10 GPa: no fit"]),
    ]
    found = pressure_transition(
        "x", settings, [linear_solid(one, -3, 28) for one in names], thermal
    )
    compared = [one for one in found.comparisons if one.temperature_kelvin == 300]
    (pair,) = compared
    assert pair.crossings[0].value == pytest.approx(0.1 / 4 / GPa)
    assert found.left_out == {
        "lost": "Gibbs energies: left out: becomes another",
        "short": "Gibbs energies at 300 K: reached at 1 pressures, two are required; "
        "10 GPa: no fit",
    }
    table = transitions_table("c", [found], {})
    rows = table[table["answer"] == "left out"].set_index("second")["notes"].to_dict()
    assert rows == found.left_out
    assert not found.lost  # for the enthalpies, which the goal reads, all are there


def warm(structure: str, energy: float, entropy: float, pressure: float) -> thermodynamics.Result:
    """G = E - TS at one pressure, the entropy (eV/K) the same at all temperatures."""
    state = thermodynamics.QuasiHarmonic.model_construct(
        pressure_gpa=pressure,
        temperature_kelvin=TEMPERATURES.tolist(),
        gibbs_ev_per_atom=(energy - entropy * TEMPERATURES).tolist(),
        volume_angstrom3_per_atom=np.full_like(TEMPERATURES, 20.0).tolist(),
    )
    return einstein(structure, energy, 2.0).model_copy(update={"quasi_harmonic": [state]})


def test_gibbs_energies_cross_where_de_is_tds() -> None:
    """20 meV and 0.05 meV/K apart: 400 K, at the pressure that is asked for and no other."""
    solids = [warm("alpha", -4.0, 1e-4, 5.0), warm("beta", -3.98, 1.5e-4, 5.0)]
    asked = ALPHA_BETA.model_copy(update={"pressure_gpa": 5.0})
    found = temperature_transition("x", asked, solids, refuse_imaginary=True)
    (one,) = found.comparisons
    assert (one.approximation, one.pressure_gpa) == ("quasi-harmonic", 5.0)
    assert one.crossings[0].value == pytest.approx(0.020 / 0.05e-3)
    assert one.crossings[0].slope_mev_per_atom == pytest.approx(-0.05)
    assert one.crossings[0].falling and one.static_mev_per_atom == pytest.approx(20)
    assert found.of_goal() == (one.crossings[0].value, "")
    without = temperature_transition("x", ALPHA_BETA, solids, refuse_imaginary=True)
    assert [each.approximation for each in without.comparisons] == ["harmonic"]
    assert without.left_out == dict.fromkeys(
        ("alpha", "beta"), "quasi-harmonic, 0 GPa: not computed"
    )


def test_the_goal_keeps_to_its_approximation() -> None:
    """Where harmonic energies are refused the quasi-harmonic ones do not take their place."""
    solids = [warm("alpha", -4.0, 1e-4, 0.0), warm("beta", -3.98, 1.5e-4, 0.0)]
    assert solids[1].harmonic is not None
    unstable = solids[1].harmonic.model_copy(
        update={"imaginary_share": 0.02, "minimum_frequency_thz": -1.0}
    )
    solids[1] = solids[1].model_copy(update={"harmonic": unstable})
    found = temperature_transition("x", ALPHA_BETA, solids, refuse_imaginary=True)
    assert [one.approximation for one in found.comparisons] == ["quasi-harmonic"]
    value, reason = found.of_goal()
    assert value is None and "2 % of its modes are imaginary" in reason


def test_gibbs_energies_under_pressure_cross_on_the_line_of_clapeyron() -> None:
    """dp/dT = ΔS/ΔV: E, S and V of two incompressible solids, at four temperatures."""
    solids = []
    for name, energy, volume, entropy in (("a", -3.0, 28.0, 1e-4), ("b", -2.9, 24.0, 1.5e-4)):
        states = [
            thermodynamics.QuasiHarmonic.model_construct(
                pressure_gpa=pressure,
                temperature_kelvin=TEMPERATURES.tolist(),
                gibbs_ev_per_atom=(
                    energy + pressure * GPa * volume - entropy * TEMPERATURES
                ).tolist(),
                volume_angstrom3_per_atom=np.full_like(TEMPERATURES, volume).tolist(),
            )
            for pressure in (0.0, 5.0, 10.0)
        ]
        solids.append(einstein(name, energy, 2.0).model_copy(update={"quasi_harmonic": states}))
    settings = PressureTransition(
        driven_by="pressure",
        structures=["a", "b"],
        pressures_gpa=[0, 10, 20],
        temperatures_kelvin=[10, 200, 400, 600],
    )
    enthalpies_ = [linear_solid("a", -3.0, 28.0), linear_solid("b", -2.9, 24.0)]
    found = pressure_transition("x", settings, enthalpies_, solids)
    places = {
        one.temperature_kelvin: one.crossings[0].value
        for one in found.comparisons
        if one.temperature_kelvin
    }
    assert places == pytest.approx(
        {kelvin: (0.1 - 0.05e-3 * kelvin) / 4 / GPa for kelvin in (10, 200, 400, 600)}
    )


def test_imaginary_modes_without_pressure_stand_beside_enthalpies() -> None:
    settings = PressureTransition(
        driven_by="pressure", structures=["a", "b"], pressures_gpa=[0, 10, 20]
    )
    solids = [linear_solid("a", -3.0, 28.0), linear_solid("b", -2.9, 24.0)]
    found = pressure_transition(
        "x", settings, solids, minimum_frequencies_thz={"a": -0.05, "b": -1.2}
    )
    table = transitions_table("c", [found], {})
    (shown,) = overview(table, {}, {}).to_dict("records")
    assert shown["remark"] == "b: imaginary modes at zero pressure, down to -1.20 THz"
    (row,) = table.to_dict("records")
    assert (row["minimum_frequency_first_thz"], row["minimum_frequency_second_thz"]) == (
        -0.05,
        -1.2,
    )
    (quiet,) = overview(
        transitions_table("c", [pressure_transition("x", settings, solids)], {}), {}, {}
    ).to_dict("records")
    assert quiet["remark"] == ""


def test_quasi_harmonic_losses_without_pressure_are_told() -> None:
    lost = thermodynamics.LostPressure(pressure_gpa=0.0, reason="no volume is left")
    beta = einstein("beta", -3.97, 1.5).model_copy(update={"lost_pressures": [lost]})
    found = temperature_transition(
        "x", ALPHA_BETA, [gibbs("alpha", -4.0, 20.0), beta], refuse_imaginary=True
    )
    assert [one.approximation for one in found.comparisons] == ["harmonic"]
    assert found.left_out == {"beta": "quasi-harmonic, 0 GPa: no volume is left"}
