"""Band structures beside those of the reference."""

import numpy as np
import pytest

from phonsmith.benchmarks.comparison import Benchmark, cell_result, compare_spectra
from phonsmith.figures.bands import bands_of_benchmark, draw_bands
from phonsmith.figures.style import thz
from phonsmith.phonons.spectra import Spectrum
from tests.figures.examples import LOOKS, caption, chain, texts


def test_bands_show_reference_fit_and_their_difference():
    reference, fit = chain(), chain(1.1)
    errors = compare_spectra(reference, fit, 0.1)
    figure = draw_bands(
        reference, fit, errors.q_resolved_rmse_thz, LOOKS["gap"], caption(errors.rmse_thz)
    )
    bands, dos, below, _ = figure.axes
    words = texts(figure)
    for wanted in (
        "Frequency (THz)",
        "RMSE (THz)",
        "DOS (states/THz/atom)",
        "Wave vector",
        "mp-149",
        r"$Fd\overline{3}m$",
        "GAP, cell relaxed with the fit",
        thz(errors.rmse_thz),
        "CASTEP PW91",
    ):
        assert wanted in words
    solid, dashed = bands.get_lines()[:2]
    assert (solid.get_linestyle(), dashed.get_linestyle()) == ("-", "--")
    assert np.nanmax(solid.get_ydata()) == reference.frequencies_thz.max()
    assert np.nanmax(dashed.get_ydata()) == fit.frequencies_thz.max()
    drawn = np.concatenate([line.get_ydata() for line in below.get_lines()[:2]])
    np.testing.assert_array_equal(drawn, errors.q_resolved_rmse_thz)
    # per atom the density of states has three states
    line = dos.get_lines()[0]
    assert np.trapezoid(line.get_xdata(), line.get_ydata()) == pytest.approx(3, rel=1e-3)


def test_the_label_of_small_errors_stays_in_the_figure():
    """Ticks such as 0.005 THz need the place of the label."""
    reference, fit = chain(), chain(1.001)
    errors = compare_spectra(reference, fit, 0.1).q_resolved_rmse_thz
    assert errors.max() < 0.02
    figure = draw_bands(reference, fit, errors, LOOKS["gap"], caption(errors.mean()))
    below = figure.axes[2]
    figure.canvas.draw()
    assert below.get_ylabel() == "RMSE (mTHz)"
    shown = [float(one.get_text()) for one in below.get_yticklabels()]
    np.testing.assert_allclose(shown, 1000 * below.get_yticks())
    assert max(len(one.get_text()) for one in below.get_yticklabels()) <= 4


def test_a_jump_of_the_path_is_a_gap():
    figure = draw_bands(chain(), None, None, LOOKS["gap"], caption(None, "lost"))
    bands, _, below, _ = figure.axes
    assert [one.get_text() for one in below.get_xticklabels()] == ["Γ", "X$_{1}$|K", "Γ"]
    x = bands.get_lines()[0].get_xdata()
    one_band = x[: 2 * 12]
    assert np.isnan(one_band[11])
    assert one_band[12] - one_band[10] == pytest.approx(0.018 * 2.5)


def test_without_phonons_of_the_fit_the_reference_stands_alone():
    reason = "space group changed from Fd-3m to Imma"
    figure = draw_bands(chain(), None, None, LOOKS["gap"], caption(None, reason))
    bands, dos, below, _ = figure.axes
    curves = [line for line in bands.get_lines() if len(line.get_xdata()) > 2]
    assert len(curves) == 1
    assert len(dos.get_lines()) == 1
    assert f"no RMSE: {reason}" in texts(figure)
    assert not below.get_yticks().size


def test_imaginary_modes_are_marked():
    stable = draw_bands(chain(), chain(1.1), np.ones(22), LOOKS["gap"], caption(1.0))
    soft = draw_bands(chain(), chain(shift=-2.0), np.ones(22), LOOKS["gap"], caption(1.0))
    assert stable.axes[0].get_ylim()[0] == 0
    assert soft.axes[0].get_ylim()[0] < -2
    assert "imaginary" not in texts(stable)
    assert "imaginary" in texts(soft)


def test_near_special_points_do_not_write_over_each_other():
    spectrum = chain()
    close = Spectrum(
        **{
            **vars(spectrum),
            "labels": np.array([("Γ", "X_1"), ("X_1", "W_2")]),
            "distances": np.concatenate([np.linspace(0, 2.47, 11), np.linspace(2.47, 2.5, 11)]),
        }
    )
    figure = draw_bands(close, None, None, LOOKS["gap"], caption(None, "lost"))
    figure.canvas.draw()
    boxes = [one.get_window_extent() for one in figure.axes[2].get_xticklabels()]
    labels = [one.get_text() for one in figure.axes[2].get_xticklabels()]
    assert labels == ["Γ", "X$_{1}$", "\nW$_{2}$"]
    assert boxes[0].x1 < boxes[1].x0


def test_bands_of_a_benchmark(tmp_path):
    reference, fit = chain(), chain(1.1)
    reference.save(tmp_path / "reference.npz")
    fit.save(tmp_path / "fit.npz")
    (tmp_path / "lost.npz").touch()  # what the pipeline leaves where symmetry was lost
    benchmark = Benchmark(
        campaign="c",
        structure="mp-149",
        fit="gap",
        fit_kind="gap",
        generation=0,
        in_sample=True,
        imaginary_tolerance_thz=0.1,
        cells=(
            cell_result("relaxed", reference, None, 0.1, symmetry_kept=False, reason="melted"),
            cell_result("reference", reference, fit, 0.1),
        ),
    )
    files = {"relaxed": "lost.npz", "reference": "fit.npz"}
    drawn = {
        cell: texts(
            bands_of_benchmark(
                benchmark,
                cell,
                reference=tmp_path / "reference.npz",
                fit=tmp_path / file,
                look=LOOKS["gap"],
                space_group="",
                level_of_theory="CASTEP PW91",
            )
        )
        for cell, file in files.items()
    }
    assert "no RMSE: melted" in drawn["relaxed"]
    assert thz(compare_spectra(reference, fit, 0.1).rmse_thz) in drawn["reference"]


def test_diamond_of_castep_has_its_optical_mode_where_it_belongs(shared_data):
    from ase import Atoms

    from phonsmith.phonons.band_paths import band_path
    from phonsmith.phonons.files import load_phonons
    from phonsmith.phonons.settings import Phonons
    from phonsmith.phonons.spectra import spectrum

    phonon = load_phonons(shared_data / "si-castep" / "22_phonopy.yaml")
    cell = phonon.primitive
    atoms = Atoms(
        numbers=cell.numbers, cell=cell.cell, scaled_positions=cell.scaled_positions, pbc=True
    )
    settings = Phonons(
        points_per_segment=5, mesh_length_angstrom=15, band_path="setyawan-curtarolo"
    )
    found = spectrum(phonon, band_path(atoms, settings))
    figure = draw_bands(found, found, np.zeros(len(found.qpoints)), LOOKS["gap"], caption(0.0))
    assert np.nanmax(figure.axes[0].get_lines()[0].get_ydata()) == pytest.approx(15.11, abs=0.02)
    labels = [one.get_text() for one in figure.axes[2].get_xticklabels()]
    assert labels[0] == "Γ"
    assert any("|" in one for one in labels)
