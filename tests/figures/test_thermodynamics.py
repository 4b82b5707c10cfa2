"""Thermal expansion and energies against volume."""

import numpy as np
import pytest

from phonsmith.figures.thermodynamics import draw_equations_of_state, draw_thermal_expansion
from phonsmith.thermodynamics import results as thermodynamics
from phonsmith.thermodynamics.equations_of_state import EquationOfState
from tests.figures.examples import METHOD_LOOKS, lines_of, texts


def warm(method: str, volume: float) -> thermodynamics.Result:
    """A solid that expands by 3e-5/K, with the equation of state it was made from."""
    state = EquationOfState(
        form="vinet",
        volume_angstrom3_per_atom=volume,
        energy_ev_per_atom=-5.0,
        bulk_modulus_gpa=100.0,
        bulk_modulus_derivative=4.0,
    )
    volumes = volume * np.linspace(0.96, 1.06, 6)
    temperatures = [0.0, 100.0, 200.0]
    flat = {name: [0.0] * 3 for name in thermodynamics.QuasiHarmonic.model_fields}
    expanding = {
        **flat,
        "pressure_gpa": 0.0,
        "temperature_kelvin": temperatures,
        "volume_angstrom3_per_atom": [volume * (1 + 3e-5 * t) for t in temperatures],
        "thermal_expansion_per_k": [3e-5] * 3,
    }
    return thermodynamics.Result(
        structure="x",
        method=method,
        formula="X",
        atoms_per_formula_unit=1,
        volumes=[
            thermodynamics.VolumePoint(
                volume_angstrom3_per_atom=one,
                energy_ev_per_atom=float(state.energy(one)),
                imaginary_share=0.1 if one == volumes[-1] else 0.0,
            )
            for one in volumes
        ],
        equations_of_state=[state],
        quasi_harmonic=[thermodynamics.QuasiHarmonic(**expanding)],
    )


WARM = [
    warm("reference", 20.0),
    warm("gap/gen1", 21.0),
    thermodynamics.Result(
        structure="x", method="mace/gen1", formula="X", atoms_per_formula_unit=1, reason="lost"
    ),
]


def test_thermal_expansion_and_volume_against_temperature():
    figure = draw_thermal_expansion(WARM, METHOD_LOOKS)
    above, below = figure.axes
    volumes = lines_of(above)
    assert volumes["reference: PBE"][:, 1] == pytest.approx([20, 20.06, 20.12])
    assert volumes["GAP"][:, 0].tolist() == [0, 100, 200]
    assert lines_of(below)["GAP"][:, 1] == pytest.approx([30, 30, 30])
    assert above.get_ylabel() == "Volume (Å³ per atom)"
    assert below.get_ylabel() == "Expansion of volume (10⁻⁶/K)"
    assert below.get_xlabel() == "Temperature (K)"
    assert "no result: MACE" in texts(figure)


def test_energy_against_volume_from_each_minimum():
    figure = draw_equations_of_state(WARM, METHOD_LOOKS)
    (axes,) = figure.axes
    points = [
        line for line in axes.lines if line.get_linestyle() == "None" and len(line.get_xdata())
    ]
    curve = axes.lines[0].get_xydata()
    assert curve[:, 1].min() == pytest.approx(0, abs=0.01)
    for line in points[:2]:  # points of the reference lie on its curve, in meV
        x, y = line.get_data()
        assert y == pytest.approx(np.interp(x, *curve.T), abs=0.1)
    assert [line.get_marker() for line in points] == ["*", "x", "o", "x"]
    assert [len(line.get_xdata()) for line in points] == [5, 1, 5, 1]
    assert axes.get_ylabel() == "Energy (meV per atom)"
    assert "no result: MACE" in texts(figure)
