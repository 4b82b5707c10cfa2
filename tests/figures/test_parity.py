"""Predictions against labels."""

from phonsmith.figures.parity import draw_parity
from tests.figures.examples import FORCES, WITH_ENERGIES, predictions, texts


def test_parity_has_a_panel_for_each_quantity_in_its_unit():
    words = texts(draw_parity(predictions(*WITH_ENERGIES), "GAP"))
    for wanted in (
        "GAP",
        "Energy, training set\nRMSE 10, MAE 10 meV/atom",
        "Force component, training set\nRMSE 3.54, MAE 3.5 meV/Å",
        "Force component, test set\nRMSE 100, MAE 100 meV/Å",
        # 0.01 eV/Å³; the constraint cell is no label
        "Stress component, training set\nRMSE 1.6, MAE 1.6 GPa",
        "Reference (eV/atom)",
        "Predicted (GPa)",
        "constraint",
    ):
        assert wanted in words


def test_parity_leaves_isolated_atoms_out():
    figure = draw_parity(predictions(*WITH_ENERGIES), "GAP")
    energy = figure.axes[0]
    assert energy.get_xlim()[1] < -3


def test_forces_alone_have_no_energy_panel():
    figure = draw_parity(predictions(*FORCES), "GAP")
    assert len(figure.axes) == 2
    assert "Energy" not in texts(figure)


def test_parity_without_any_label_says_so():
    assert "no reference value" in texts(draw_parity(predictions(), "GAP"))
