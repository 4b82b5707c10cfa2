"""Phase transitions."""

import pytest

from phonsmith.figures.transitions import draw_generations as draw_transition_generations
from phonsmith.figures.transitions import draw_transition
from phonsmith.transitions import results as transitions
from phonsmith.transitions import tables as transitions_tables
from phonsmith.transitions.settings import PublishedTransition
from tests.figures.examples import LOOKS, METHOD_LOOKS


def two_crystals(method: str, shift: float) -> transitions.Result:
    """b crosses a at 4 GPa when relaxed and at 3.5 by the equation of state; c is far above."""
    pressures = [0.0, 2.0, 4.0, 6.0]

    def compared(second, approximation, values, places):
        places = [
            transitions.Crossing(
                value=one, low=2, high=6, slope_mev_per_atom=-2, falling=True, stable=stable
            )
            for one, stable in places
        ]
        return transitions.Comparison(
            first="a",
            second=second,
            approximation=approximation,
            x=pressures,
            difference_mev_per_atom=values,
            crossings=places,
        )

    return transitions.Result(
        transition="a-b",
        driven_by="pressure",
        method=method,
        structures=["a", "b", "c"],
        formula="X",
        atoms_per_formula_unit=1,
        comparisons=[
            compared("b", "enthalpy", [8 + shift, 4, 0, -4], [(4.0, True)]),
            compared("b", "equation-of-state", [7, 3, -1, -5], [(3.5, False)]),
            compared("c", "enthalpy", [300.0, 310, 320, 330], []),
        ],
    )


def test_transitions_share_their_axes_and_explain_their_marks():
    results = {one: two_crystals(one, shift) for one, shift in (("reference", 0), ("gap/gen1", 40))}
    published = PublishedTransition(label="paper", source="x", structures=("a", "b"), value=5)
    figure = draw_transition(results, METHOD_LOOKS, ["a", "b", "c"], [published])
    above, below = figure.axes
    assert [one.get_title(loc="left") for one in (above, below)] == ["reference: PBE", "GAP"]
    assert above.get_ylim() == below.get_ylim()
    assert above.get_ylim()[0] < -5 and 48 < above.get_ylim()[1] < 100
    curves = [line.get_xydata().tolist() for line in below.lines]
    assert [[0, 48], [2, 4], [4, 0], [6, -4]] in curves
    marks = [line for line in below.lines if len(line.get_xdata()) == 1]
    assert [line.get_xydata().tolist() for line in marks] == [[[4, 0]], [[3.5, 0]]]
    assert len({line.get_marker() for line in marks}) == 2
    assert marks[1].get_markerfacecolor() == "white" != marks[0].get_markerfacecolor()
    handles = dict(
        zip(
            [text.get_text() for text in figure.legends[0].get_texts()],
            figure.legends[0].legend_handles,
            strict=True,
        )
    )
    assert handles["transition, relaxed"].get_marker() == marks[0].get_marker()
    assert handles["transition, equation of state"].get_marker() == marks[1].get_marker()
    assert {"a", "b", "c (off the scale)", "another crystal is lower", "paper"} <= set(handles)
    assert above.get_ylabel() == "ΔH (meV/atom)" and below.get_xlabel() == "Pressure (GPa)"


def test_a_crystal_that_a_fit_alone_has_wrong_does_not_set_the_range():
    """c, which the fit did not learn, crosses a at −1 eV/atom."""
    wrong = two_crystals("gap/gen1", 0)
    crossing = wrong.comparisons[0].crossings
    c = wrong.comparisons[2].model_copy(
        update={"difference_mev_per_atom": [300, 0, -900, -1000], "crossings": crossing}
    )
    wrong = wrong.model_copy(update={"comparisons": [*wrong.comparisons[:2], c]})
    results = {"reference": two_crystals("reference", 0), "gap/gen1": wrong}
    figure = draw_transition(results, METHOD_LOOKS, ["a", "b", "c"], [])
    assert figure.axes[0].get_ylim()[0] > -10
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "c (off the scale in part)" in labels
    alone = draw_transition({"gap/gen1": wrong}, METHOD_LOOKS, ["a", "b", "c"], [])
    assert alone.axes[0].get_ylim()[0] < -1000


def test_transition_against_generation_counts_fits_without_one():
    """One repeat has no crossing, one has lost its crystal."""
    lost = two_crystals("gap-r3/gen1", 0).model_copy(
        update={"comparisons": [], "left_out": {"b": "became a"}}
    )
    none = two_crystals("gap-r2/gen1", 0)
    none = none.model_copy(
        update={
            "comparisons": [one.model_copy(update={"crossings": []}) for one in none.comparisons]
        }
    )
    repeats = {"gap": ["gap", "gap-r2", "gap-r3"]}
    rows = transitions_tables.transitions_table(
        "c", [two_crystals("reference", 0), two_crystals("gap/gen1", 0), none, lost], repeats
    )
    figure = draw_transition_generations(rows, LOOKS, repeats, ["a", "b"], "PBE")
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["1 of 3"]
    assert axes.containers[0][0].get_xydata().tolist() == [[1, 4]]
    assert axes.lines[0].get_ydata() == pytest.approx([4, 4])
    assert axes.get_ylabel() == "a to b (GPa)"
