"""Tables of the page."""

import pandas as pd

from phonsmith.figures.table_cells import MOST_COLUMNS, WIDEST, pivot_table, plain_table, readable
from tests.figures.examples import campaign, table


def test_a_table_of_results_has_titles_units_labels_and_words():
    found = pd.DataFrame(
        {
            "campaign": ["c", "c"],
            "method": ["reference", "gap/gen0"],
            "isotopes": [False, True],
            "kappa_w_per_m_k": [12.951, -0.5],
            "reason": [None, None],
        }
    )
    shown = plain_table(readable(campaign(), found), "κ")
    assert [column.title for column in shown.columns] == ["Method", "Isotopes", "κ (W/mK)"]
    assert [column.number for column in shown.columns] == [False, False, True]
    texts = [[cell.text for cell in row] for row in shown.rows]
    assert texts == [["reference", "no", "12.95"], ["GAP", "yes", "−0.5"]]


def test_a_later_generation_is_named():
    found = pd.DataFrame({"method": ["gap/gen2", "other"], "reason": ["", "lost"]})
    shown = readable(campaign(), found)
    assert shown["method"].tolist() == ["GAP, generation 2", "other"]
    assert "reason" in shown


def test_many_fits_are_rows():
    recipe = campaign().fits["gap"].model_dump()
    many = {f"gap-{number}": {**recipe, "label": None} for number in range(MOST_COLUMNS + 1)}
    settings = campaign(fits=many)
    errors = {
        (fit, name, "relaxed"): 0.1 * (i + 1)
        for i, fit in enumerate(many)
        for name in settings.benchmarked
    }
    found = pivot_table(settings, table(errors, in_sample=()), "relaxed")
    assert [column.title for column in found.columns] == ["Fit", *settings.benchmarked, "mean"]
    assert [row[0].text for row in found.rows] == list(many)
    assert not found.total
    assert [cell.best for cell in found.rows[0]] == [False, True, True, False]


def test_means_have_their_spread_and_a_wide_table_has_a_row_for_each_quantity():
    spread = {"density_g_per_cm3_mean": [2.3361, 1.0], "density_g_per_cm3_std": [0.0123, None]}
    more = {f"x{number}_thz": [1.0, 2.0] for number in range(WIDEST)}
    found = pd.DataFrame({"model": ["gap", "mace"], "data": "quench", **spread, **more})
    shown = plain_table(readable(campaign(), found), "")
    heads = ["Quantity", "GAP, quench", "MACE, quench"]
    assert [column.title for column in shown.columns] == heads
    texts = [cell.text for cell in shown.rows[0]]
    assert texts == ["Density (g/cm³)", "2.336 ± 0.012", "1"]
    assert len(shown.rows) == 1 + WIDEST
