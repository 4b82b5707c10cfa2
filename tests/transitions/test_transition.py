"""Phase transitions: model solids worked out by hand, silicon under pressure, whole runs."""

import copy
import gzip
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ase.units import GPa, J, kB, mol
from pydantic import ValidationError

from phonsmith.campaign.model import Campaign
from phonsmith.files.errors import PhonsmithError
from phonsmith.generations.properties import Property, judge_property, property_of
from phonsmith.generations.settings import TransitionGoal
from phonsmith.generations.verdict import GenerationVerdict
from phonsmith.labels.factory import reference_method
from phonsmith.labels.recorded.readers.vasp import read_outcar, read_vasprun
from phonsmith.structures.reading import read_structure
from phonsmith.structures.settings import Relaxation
from phonsmith.thermodynamics import results as thermodynamics
from phonsmith.transitions.comparisons import comparisons
from phonsmith.transitions.curves import Curve, crossings
from phonsmith.transitions.enthalpies import enthalpies
from phonsmith.transitions.results import Comparison, Enthalpies, PressurePoint, Result
from phonsmith.transitions.settings import (
    PressureTransition,
    PublishedTransition,
    TemperatureTransition,
)
from phonsmith.transitions.tables import overview, transitions_table
from phonsmith.transitions.transition import pressure_transition, temperature_transition
from tests.project import Project

THZ = 4.135667696923859e-3  # eV
TEMPERATURES = np.arange(0.0, 1001.0, 10.0)
ALPHA_BETA = TemperatureTransition(driven_by="temperature", structures=["alpha", "beta"])


# --- model solids -----------------------------------------------------------------------------


def einstein(
    structure: str, energy: float, frequency_thz: float, method: str = "reference", **changes: float
) -> thermodynamics.Result:
    """A solid all of whose modes have one frequency: free energy and entropy in closed form."""
    quantum = frequency_thz * THZ
    x = quantum / (kB * np.maximum(TEMPERATURES, 1e-9))
    zero = TEMPERATURES == 0
    factor = np.exp(-np.minimum(x, 700))
    free = 3 * (quantum / 2 + kB * TEMPERATURES * np.log1p(-factor))
    entropy = np.where(zero, 0.0, 3 * kB * (x * factor / (1 - factor) - np.log1p(-factor)))
    harmonic = thermodynamics.Harmonic(
        volume_angstrom3_per_atom=30.0,
        energy_ev_per_atom=energy,
        minimum_frequency_thz=changes.get("minimum", frequency_thz),
        imaginary_share=changes.get("imaginary", 0.0),
        temperature_kelvin=TEMPERATURES.tolist(),
        free_energy_ev_per_atom=free.tolist(),
        entropy_j_per_mol_k=(entropy * mol / J).tolist(),
        heat_capacity_v_j_per_mol_k=np.zeros_like(free).tolist(),
    )
    return thermodynamics.Result(
        structure=structure,
        method=method,
        formula="NaTl",
        atoms_per_formula_unit=2,
        harmonic=harmonic,
    )


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
    assert "left out of its free energy" in told.notes[0]


def test_compositions_must_agree() -> None:
    other = einstein("beta", -4.0, 1.5).model_copy(update={"formula": "Na"})
    with pytest.raises(PhonsmithError, match=r"transitions\.x\.structures: crystals of one comp"):
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
        "short": "Gibbs energies at 300 K: reached at 1 pressures, two are needed; 10 GPa: no fit",
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


# --- uncertainty and generations -----------------------------------------------------------------


def by_fits(energies: dict[str, float]) -> list[Result]:
    return [
        temperature_transition(
            "x",
            ALPHA_BETA,
            [einstein("alpha", 0.0, 2.0, method), einstein("beta", energy, 1.5, method)],
            refuse_imaginary=True,
        )
        for method, energy in energies.items()
    ]


def test_repeats_give_the_uncertainty_and_tell_what_a_change_means() -> None:
    """One meV/atom is 13.45 K here: repeats 2 meV apart are 27 K of standard deviation."""
    names = ["gap", "gap-r2", "gap-r3"]
    energies = {
        f"{name}/gen{generation}": energy
        for generation, values in enumerate(
            [(0.028, 0.030, 0.032), (0.0295, 0.0305, 0.0315), (0.039, 0.0392, 0.0394)]
        )
        for name, energy in zip(names, values, strict=True)
    }
    table = transitions_table("c", by_fits(energies), {"gap": names})
    rows = table[table["fit"] == "gap"].set_index("generation")
    assert rows.loc[0, "uncertainty"] == pytest.approx(2 * 13.45, rel=0.01)
    assert rows.loc[0, "static_spread_mev_per_atom"] == pytest.approx(2)
    assert rows.loc[0, "uncertainty_from"] == "repeats"
    # of the mean of all three, on the row of each
    assert rows.loc[1, "change"] == pytest.approx(0.5 * 13.45, rel=0.01)
    assert [rows.loc[g, "significant"] for g in (1, 2)] == [False, True]
    assert rows.loc[2, ["repeats", "repeats_before"]].tolist() == [3, 3]
    shown = overview(table, {}, {})
    assert shown.loc[shown["generation"] == "1", "change"].iloc[0] == (
        "+6.75 K (not significant, n = 3)"
    )
    two = {name: energy for name, energy in energies.items() if "r3" not in name}
    rows = transitions_table("c", by_fits(two), {"gap": names[:2]}).set_index("generation")
    assert rows.loc[2, "change"].tolist() == pytest.approx([9.1 * 13.45] * 2, rel=0.01)
    assert rows["significant"].isna().all()
    assert "not assessed, n = 2" in overview(rows.reset_index(), {}, {})["change"].iloc[-1]


def test_where_a_repeat_has_no_transition_static_energies_give_the_uncertainty() -> None:
    energies = {"gap/gen0": 0.030, "gap-r2/gen0": -0.01}
    table = transitions_table("c", by_fits(energies), {"gap": ["gap", "gap-r2"]})
    row = table[table["fit"] == "gap"].iloc[0]
    assert row["uncertainty_from"] == "static energies of repeats"
    assert row["uncertainty"] == pytest.approx(40 / math.sqrt(2) * 13.45, rel=0.01)


def test_the_goal_reads_the_transition(tmp_path: Path) -> None:
    (found,) = by_fits({"gap/gen0": 0.030})
    found.save(tmp_path / "x.json")
    goal = TransitionGoal(of="transition", transition="x", within_kelvin=20)
    read = property_of(goal, tmp_path / "x.json")
    assert (read.unit, read.reason) == ("K", "") and read.value == pytest.approx(402, abs=0.1)
    last = judge_property("x", goal, [Property(430.0, "K")], {})
    assert (
        "changed by -28.1 K (not assessed, n = 1), 20 K are allowed"
        in judge_property("x", goal, [read], {"x": last}).reason
    )
    near = goal.model_copy(update={"within_kelvin": 30.0})
    assert not judge_property("x", near, [read], {"x": last}).reason


def test_a_goal_on_a_crystal_that_is_left_out_cannot_be_judged(tmp_path: Path) -> None:
    """No fit will ever have it; what a fit alone has lost may come back."""
    goal = TransitionGoal(of="transition", transition="x", within_kelvin=20)
    for reason, judged in (("left out: becomes another", False), ("does not relax", True)):
        solids = [
            einstein("alpha", 0.0, 2.0, "gap/gen0"),
            einstein("beta", 0.0, 1.5).model_copy(update={"reason": reason, "harmonic": None}),
        ]
        temperature_transition("x", ALPHA_BETA, solids, refuse_imaginary=True).save(
            tmp_path / "x.json"
        )
        verdict = judge_property("x", goal, [property_of(goal, tmp_path / "x.json")], {})
        assert verdict.judged == judged
        assert reason in verdict.reason
        assert ("cannot be judged" in verdict.reason) == (not judged)


def test_published_values_stand_beside() -> None:
    (found,) = by_fits({"gap/gen0": 0.030})
    published = PublishedTransition(
        label="experiment", source="somewhere", structures=("alpha", "beta"), value=286
    )
    shown = overview(transitions_table("c", [found], {}), {"x": [published]}, {"gap": "GAP"})
    assert shown["method"].tolist() == ["GAP", "experiment"]
    assert shown["answer"].tolist() == ["401.9 K", "286 K"]


# --- silicon under pressure -----------------------------------------------------------------------


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


# --- VASP under pressure ---------------------------------------------------------------------


def test_runs_under_pstress_are_no_labels(shared_data: Path, tmp_path: Path) -> None:
    """Their energies hold pV."""
    (run,) = (shared_data / "sn-alpha-vasp").glob("dft_rattle_static_1_1_mp-117_1.0_0_65")
    for name, before, after, reader in (
        ("vasprun.xml", 'name="PSTRESS">      0.00', 'name="PSTRESS">      5.00', read_vasprun),
        ("OUTCAR", "PSTRESS=    0.0", "PSTRESS=    5.0", read_outcar),
    ):
        text = gzip.decompress((run / f"outputs/{name}.gz").read_bytes()).decode()
        assert text.count(before) == 1
        (tmp_path / name).write_text(text)
        assert len(reader(tmp_path / name).frames) == 1
        (tmp_path / name).write_text(text.replace(before, after))
        (refused,) = reader(tmp_path / name).refused
        assert "PSTRESS = 5 kbar" in refused


# --- campaigns ------------------------------------------------------------------------------------

SILICON = {
    "structures": {
        "diamond": {"file": "config/structures/silicon/mp-149.vasp"},
        "beta-tin": {"file": "config/structures/foundation/si-beta-sn.vasp"},
        "hexagonal": {"file": "config/structures/silicon/mp-165.vasp"},
    },
    "reference": {"method": "calculator", "potential": {"calculator": "stillinger-weber"}},
    "relaxation": {"fmax_ev_per_angstrom": 2e-3, "on_change": "leave_out"},
    "supercells": {
        "kinds": ["displaced"],
        "min_length_angstrom": 7.0,
        "min_atoms": 8,
        "max_atoms": 64,
    },
    "fits": {
        "sw": {"kind": "existing", "potential": {"calculator": "stillinger-weber"}},
    },
    "phonons": {"cells": ["relaxed"]},
}
PRESSED = {
    "beta-tin": {
        "driven_by": "pressure",
        "structures": ["diamond", "beta-tin"],
        "pressures_gpa": [0, 15, 30],
        "volumes": 6,
    }
}
WARMED = {"hexagonal": {"driven_by": "temperature", "structures": ["diamond", "hexagonal"]}}


def test_a_campaign_under_pressure(tmp_path: Path) -> None:
    """Reference and fit are one potential here: two ways through the pipeline, one answer."""
    project = Project(tmp_path, Path(__file__).parents[2], si={**SILICON, "transitions": PRESSED})
    run = project.run(
        "results/si/tables/transitions_overview.csv", "results/si/figures/transitions/beta-tin.svg"
    )
    assert run.returncode == 0, run.stderr
    table = pd.read_csv(tmp_path / "results/si/tables/transitions.csv")
    relaxed = table[table["approximation"] == "enthalpy"].set_index("fit")
    assert set(relaxed.index) == {"reference", "sw"}
    assert relaxed["value"].tolist() == pytest.approx([18.1, 18.1], abs=0.6)
    assert relaxed.loc["reference", "value"] == pytest.approx(relaxed.loc["sw", "value"], abs=0.01)
    assert (tmp_path / "results/si/figures/transitions/beta-tin.svg").stat().st_size > 5000


@pytest.mark.slow
def test_a_loop_goes_on_until_the_transition_has_settled(tmp_path: Path) -> None:
    """Small GAPs from cells under pressure: 15.3, 16.9, 17.1 GPa; Stillinger–Weber has 18.1."""
    gap = {
        **{"kind": "gap", "learn_from": ["rattled"], "repeats": 2},
        "soap": {"n_sparse": 60, "n_max": 4, "l_max": 3, "cutoff_angstrom": 4.0},
    }
    settings = {
        **copy.deepcopy(SILICON),
        "seed": 2,
        "supercells": {
            **{"min_length_angstrom": 6.0, "min_atoms": 8, "max_atoms": 70},
            "rattled": {
                **{"count": 4, "std_angstrom": 0.05},
                "volume_factors": [0.85, 0.9, 1.0, 1.03],
            },
        },
        "datasets": {"test_fraction": 0.1, "min_group_to_split": 10},
        "fits": {"gap": gap},
        "phonons": {"points_per_segment": 5, "mesh_length_angstrom": 15, "cells": ["relaxed"]},
        "transitions": {"press": {**PRESSED["beta-tin"], "pressures_gpa": [0, 10, 20, 30]}},
        "loop": {
            **{"max_generations": 5, "cells_per_structure": 4},
            "goal": {
                **{"rmse_thz": 9.0, "no_false_imaginary": False, "max_volume_error_percent": None},
                "properties": {
                    "press": {"of": "transition", "transition": "press", "within_gpa": 1.0}
                },
            },
        },
    }
    settings["reference"]["isolated_atoms"] = False
    del settings["structures"]["hexagonal"]
    project = Project(tmp_path, Path(__file__).parents[2], si=settings)
    run = project.run("results/si/tables/properties.csv", "results/si/tables/transitions.csv")
    assert run.returncode == 0, run.stderr
    files = sorted(project.results("si").glob("generations/gen*.json"))
    verdicts = [GenerationVerdict.load(one) for one in files]
    assert 2 <= len(verdicts) < 5
    assert [one.stop for one in verdicts] == [None] * (len(verdicts) - 1) + ["goal"]
    assert [list(one.next_cells.values()) for one in verdicts[:-1]] == [[4, 4]] * (
        len(verdicts) - 1
    )
    table = pd.read_csv(project.results("si") / "tables/properties.csv")
    assert "has no value of a generation before" in table["reason"].iloc[0]
    changes = table["change"].iloc[1:].tolist()
    assert changes == pytest.approx(np.diff(table["value"]))
    assert abs(changes[-1]) <= 1 and all(abs(one) > 1 for one in changes[:-1])
    assert (table["noise"] > 0).all()
    # what settled is near the truth, and the mean of what stands in the table of transitions
    assert table["value"].iloc[-1] == pytest.approx(18.1, abs=2.5)
    found = pd.read_csv(project.results("si") / "tables/transitions.csv")
    last = found[
        (found["approximation"] == "enthalpy") & (found["generation"] == len(verdicts) - 1)
    ]
    assert last["value"].mean() == pytest.approx(table["value"].iloc[-1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"transitions": WARMED}, "needs `thermodynamics`"),
        (
            {"transitions": {"x": {**PRESSED["beta-tin"], "pressures_gpa": [0, 30, 15]}}},
            "ascending order",
        ),
        (
            {"transitions": {"x": {**PRESSED["beta-tin"], "structures": ["diamond", "graphite"]}}},
            "'graphite' is no crystal",
        ),
        (
            {"transitions": {"x": {**PRESSED["beta-tin"], "temperatures_kelvin": [300]}}},
            "needs `thermodynamics`",
        ),
        (
            {
                "thermodynamics": {"pressures_gpa": [0, 5]},
                "transitions": {"x": {**WARMED["hexagonal"], "pressure_gpa": 2}},
            },
            "thermodynamics has 0, 5 GPa, not 2",
        ),
    ],
)
def test_contradictions_are_found_when_planning(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Campaign.model_validate({**SILICON, **changes})
