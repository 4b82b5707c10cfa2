"""Thermal conductivity against temperature, path and generation."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from phonsmith.conductivity.kappa import KappaResult, Modes, Series, without_result
from phonsmith.conductivity.settings import Conductivity
from phonsmith.conductivity.tables import conductivity_table, convergence_table
from phonsmith.figures.conductivity import draw_conductivity, draw_cumulative
from phonsmith.figures.conductivity import draw_generations as draw_kappa_generations
from tests.figures.examples import LOOKS, METHOD_LOOKS, METHODS, faults_of_text, lines_of, texts

MONOCLINIC = [[12.2, 0.0, 0.0], [0.0, 3.0, 0.0], [-1.4, 0.0, 5.6]]
"""β-Ga2O3 with b along y, in Å."""


def kappa(method: str, factor: float, temperatures: list[float]) -> KappaResult:
    """A tensor that falls with 1/T, in two solutions that differ by a tenth."""
    series = [
        Series(
            solver=solver,
            isotopes=False,
            non_analytical=True,
            transport="boltzmann",
            mesh=[3, 3, 3],
            kappa=[
                [300 / t * more * factor * one for one in (9, 18, 15, 0, 0, 0)]
                for t in temperatures
            ],
            between_bands=None,
        )
        for solver, more in (("rta", 1.0), ("lbte", 1.1))
    ]
    return KappaResult(
        structure="beta",
        method=method,
        mesh=[3, 3, 3],
        mesh_of="primitive",
        q_points=27,
        cell=MONOCLINIC,
        temperatures_kelvin=temperatures,
        lowest_frequency_thz=0.0,
        imaginary_percent=0.0,
        series=series,
        reason="",
    )


def conductivity(temperatures: list[float], **changes) -> Conductivity:
    published = {"label": "experiment", "source": "x", "structure": "beta"}
    points = [({}, 13.0), ({"direction": [0, 1, 0]}, 21.0)]
    return Conductivity.model_validate(
        {
            "temperatures_kelvin": temperatures,
            "directions": [[1, 0, 0], [0, 1, 0]],
            "solvers": ["rta", "lbte"],
            "published": [
                {**published, **more, "temperature_kelvin": 300, "kappa_w_per_m_k": value}
                for more, value in points
            ],
            **changes,
        }
    )


def drawn_kappa(settings: Conductivity) -> Figure:
    """κ of the reference and of GAP; MACE has none."""
    results = [
        kappa("reference", 1.0, settings.temperatures_kelvin),
        kappa("gap/gen1", 0.5, settings.temperatures_kelvin),
        without_result("beta", "mace/gen1", settings, "imaginary"),
    ]
    values = conductivity_table("c", results, settings)
    return draw_conductivity(values, METHOD_LOOKS, settings, "beta")


def seen(line) -> bool:
    """Whether a line with a single point can be seen."""
    return line.get_marker() not in ("", "None", None) and line.get_markersize() > 2


def test_conductivity_has_a_panel_for_each_direction():
    figure = drawn_kappa(conductivity([300.0, 600.0]))
    panels = [axes for axes in figure.axes if axes.axison]
    titles = [axes.get_title(loc="left") for axes in panels]
    assert titles == ["mean", "[100]", "[010]"]
    mean, along_a, along_b = (lines_of(axes) for axes in panels)
    assert mean["reference: PBE, relaxation time"] == pytest.approx(np.array([[300, 14], [600, 7]]))
    assert mean["GAP, direct solution"] == pytest.approx(np.array([[300, 7.7], [600, 3.85]]))
    assert along_a["GAP, relaxation time"][:, 1] == pytest.approx([4.5, 2.25])
    assert along_b["reference: PBE, relaxation time"][:, 1] == pytest.approx([18, 9])
    assert mean["experiment"] == pytest.approx(np.array([[300, 13]]))
    assert along_b["experiment"] == pytest.approx(np.array([[300, 21]]))
    assert "experiment" not in along_a
    assert len({axes.get_ylim() for axes in panels}) == 1
    low, high = panels[0].get_ylim()
    assert low <= 2.25 and high >= 21 and len(panels[0].get_yticks()) >= 2
    assert panels[0].get_ylabel() == "Thermal conductivity (W/mK)"
    assert panels[-1].get_xlabel() == "Temperature (K)"
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(words) == len(set(words)) == 5
    assert "no result: MACE" in texts(figure)


def test_temperatures_on_the_axis_keep_apart():
    figure = drawn_kappa(conductivity([float(one) for one in range(100, 1001, 100)]))
    assert "beta" in texts(figure)
    assert not faults_of_text(figure)
    ticks = figure.axes[0].get_xticks()
    assert ticks.tolist() == [100, 200, 300, 500, 1000]
    assert np.diff(np.log(ticks)).min() > 0.1 * np.log(10)


def test_conductivity_of_one_temperature_stands_side_by_side():
    figure = drawn_kappa(conductivity([300.0]))
    (axes,) = figure.axes
    names = [text.get_text() for text in axes.get_xticklabels()]
    assert names == ["mean", "[100]", "[010]"]
    assert axes.get_ylabel() == "Thermal conductivity at 300 K (W/mK)"
    assert axes.get_ylim()[0] == 0 and axes.get_ylim()[1] > 21
    found = lines_of(axes)
    reference = found["reference: PBE, relaxation time"]
    assert reference[:, 1] == pytest.approx([14, 9, 18])
    # every value has a place of its own, within the group of its component
    named = [line for line in axes.lines if not line.get_label().startswith("_")]
    points = np.concatenate([line.get_xydata() for line in named])
    assert len(np.unique(points[:, 0].round(6))) == len(points) == 4 * 3 + 2
    assert np.round(reference[:, 0]).tolist() == [0, 1, 2]
    published = np.array([line.get_xydata()[0] for line in axes.lines if "exp" in line.get_label()])
    assert published[:, 1].tolist() == [13, 21]
    assert np.round(published[:, 0]).tolist() == [0, 2]
    assert all(seen(line) for line in named)
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(words) == len(set(words)) == 5


def test_conductivity_without_any_result_says_so():
    settings = conductivity([300.0], published=[])
    lost = [without_result("beta", one, settings, "imaginary") for one in METHODS]
    figure = draw_conductivity(conductivity_table("c", lost, settings), METHOD_LOOKS, settings, "b")
    assert "no result: reference: PBE, GAP, MACE" in texts(figure).replace("\n", " ")
    figure = draw_cumulative(dict.fromkeys(METHODS), METHOD_LOOKS, 300, "beta")
    assert "no result: reference: PBE, GAP, MACE" in texts(figure).replace("\n", " ")


def test_cumulative_conductivity_is_drawn_in_nanometres():
    paths, frequencies = np.geomspace(1, 1e4, 50), np.linspace(0, 15, 50)
    heat = np.linspace(0, 100, 50)
    one = Modes(
        kappa=np.ones((2, 3)),
        frequencies=np.ones((2, 3)),
        mean_free_path=np.ones((2, 3)),
        curve_frequencies=frequencies,
        by_frequency=heat,
        curve_paths=paths,
        by_path=heat,
    )
    figure = draw_cumulative(
        {"reference": one, "gap/gen1": None, "mace/gen1": None}, METHOD_LOOKS, 300, "beta"
    )
    assert "beta" in texts(figure)
    assert not faults_of_text(figure)
    left, right = figure.axes
    assert left.lines[0].get_xydata() == pytest.approx(np.stack([frequencies, heat], axis=1))
    assert right.lines[0].get_xydata() == pytest.approx(np.stack([paths / 10, heat], axis=1))
    assert left.get_xlabel() == "Frequency (THz)" and right.get_xlabel() == "Mean free path (nm)"
    assert "300 K (W/mK)" in left.get_ylabel()
    assert right.get_xlim()[1] == pytest.approx(1000)
    assert "no result: GAP, MACE" in texts(figure)


def test_conductivity_against_generation_is_that_of_the_mean():
    settings = conductivity([300.0, 600.0], cumulative_kelvin=600)
    methods = {"reference": 1.0, "gap/gen1": 0.75, "gap-r2/gen1": 0.25, "gap/gen0": 0.5}
    results = [kappa(method, one, [300.0, 600.0]) for method, one in methods.items()]
    results.append(without_result("beta", "gap-r2/gen0", settings, "imaginary"))
    figure = draw_kappa_generations(
        conductivity_table("c", results, settings),
        LOOKS,
        {"gap": ["gap", "gap-r2"]},
        settings,
        "PBE",
        structure="beta",
    )
    assert "beta" in texts(figure)
    (axes,) = figure.axes
    assert axes.lines[0].get_ydata() == pytest.approx([7, 7])
    assert axes.containers[0][0].get_xydata() == pytest.approx(np.array([[0, 3.5], [1, 3.5]]))
    assert [text.get_text() for text in axes.texts] == ["1 of 2"]
    assert axes.get_ylabel() == "κ at 600 K (W/mK)"


def test_a_single_mesh_shows_no_convergence():
    found = convergence_table("c", [kappa("reference", 1.0, [300.0])])
    assert found["change_percent"].isna().all()
