"""Phonons against published data."""

import numpy as np
import pytest

from phonsmith.files.errors import PhonsmithError
from phonsmith.phonons.band_paths import band_path
from phonsmith.phonons.force_constants import reference_phonons
from phonsmith.phonons.settings import Phonons
from phonsmith.phonons.spectra import DOS_PITCH_THZ, DOS_SMEARING_THZ, Spectrum, spectrum
from phonsmith.supercells.cells import to_ase
from tests.phonons.published import PATHS, labelled, phonondb


@pytest.mark.parametrize("convention", PATHS)
def test_diamond_silicon_of_castep(diamond, convention):
    path = band_path(to_ase(diamond.primitive), Phonons(band_path=convention))
    found = spectrum(diamond, path)
    points = found.special_points()
    gamma = found.frequencies_thz[points["Γ"]]
    np.testing.assert_allclose(gamma[3:], 15.11, atol=0.005)
    at_x = found.frequencies_thz[points["X"]]
    np.testing.assert_allclose(at_x, [4.42, 4.42, 12.02, 12.02, 13.35, 13.35], atol=0.005)
    assert found.frequencies_thz.max() == pytest.approx(15.11, abs=0.005)
    # acoustic sum rule
    np.testing.assert_allclose(gamma[:3], 0, atol=1e-3)


def test_silicon_of_phonondb(shared_data):
    phonon, _ = phonondb(shared_data, 149)
    found = spectrum(phonon, band_path(to_ase(phonon.primitive), Phonons()))
    assert found.mesh_frequencies_thz.max() == pytest.approx(15.29, abs=0.005)


def test_gallium_oxide_needs_the_non_analytical_correction(shared_data):
    phonon, born = phonondb(shared_data, 886)
    path = band_path(to_ase(phonon.primitive), Phonons(points_per_segment=21))
    without = spectrum(phonon, path)
    frames = labelled(phonon, phonon.forces)
    found = spectrum(reference_phonons(phonon, frames, born), path)
    assert found.frequencies_thz.max() == pytest.approx(23.10, abs=0.005)
    # longitudinal modes move; at Γ they depend on the direction from which a segment comes, and
    # join the rest of their segment without a step
    ends = []
    for one in found.segments():
        near = (0, 1) if one.start == "Γ" else (-1, -2)
        if "Γ" in (one.start, one.end):
            ends.append(one.frequencies_thz[near[0]])
            step = np.abs(one.frequencies_thz[near[0]] - one.frequencies_thz[near[1]])
            assert step[3:].max() < 0.5
    assert max(np.abs(ends[0] - other).max() for other in ends) > 0.5
    index = found.special_points()["Γ"]
    moved = np.abs(found.frequencies_thz[index] - without.frequencies_thz[index])
    assert moved[3:].max() > 0.5
    assert moved[:3].max() < 1e-3


def test_antimony_selenide_of_phonondb(shared_data):
    phonon, born = phonondb(shared_data, 2160)
    phonon = reference_phonons(phonon, labelled(phonon, phonon.forces), born)
    found = spectrum(phonon, band_path(to_ase(phonon.primitive), Phonons(points_per_segment=11)))
    assert found.mesh_frequencies_thz.max() == pytest.approx(6.46, abs=0.02)


def test_spectrum_is_whole(diamond, tmp_path):
    settings = Phonons(points_per_segment=51)
    path = band_path(to_ase(diamond.primitive), settings)
    found = spectrum(diamond, path)
    n_q = 51 * len(path.segments)
    assert found.frequencies_thz.shape == (n_q, 6)
    assert found.qpoints.shape == (n_q, 3)
    assert found.natom == 2
    assert found.volume_angstrom3 == pytest.approx(diamond.primitive.volume)
    assert found.mesh_weights.sum() == np.prod(found.mesh)
    # Γ to X of fcc is 1/a long
    a = (4 * diamond.primitive.volume) ** (1 / 3)
    first, *_ = found.segments()
    assert (first.start, first.end) == ("Γ", "X")
    assert first.distances[[0, -1]] == pytest.approx([0, 1 / a])
    assert (np.diff(found.distances) >= 0).all()
    assert [one.start for one in found.segments()][:3] == ["Γ", "X", "K"]
    found.save(tmp_path / "new" / "one.npz")
    again = Spectrum.load(tmp_path / "new" / "one.npz")
    for key, value in vars(found).items():
        np.testing.assert_array_equal(getattr(again, key), value)
    found.save(tmp_path / "two.npz")
    assert (tmp_path / "two.npz").read_bytes() == (tmp_path / "new" / "one.npz").read_bytes()


def test_spectrum_file_errors(tmp_path):
    with pytest.raises(PhonsmithError, match="no such file"):
        Spectrum.load(tmp_path / "none.npz")
    (tmp_path / "bad.npz").write_text("text")
    with pytest.raises(PhonsmithError, match="not a spectrum"):
        Spectrum.load(tmp_path / "bad.npz")


def test_density_of_states_is_that_of_phonopy(diamond):
    found = spectrum(diamond, band_path(to_ase(diamond.primitive), Phonons(points_per_segment=2)))
    assert found.dos.sum() * DOS_PITCH_THZ == pytest.approx(6, rel=1e-6)
    diamond.run_mesh(found.mesh, is_gamma_center=True)
    grid = found.dos_frequencies_thz
    total = diamond.run_total_dos(
        sigma=DOS_SMEARING_THZ, freq_min=grid[0], freq_max=grid[-1], freq_pitch=DOS_PITCH_THZ
    )
    np.testing.assert_allclose(found.dos, total.dos, atol=2e-3 * total.dos.max())
    np.testing.assert_allclose(grid / DOS_PITCH_THZ, np.rint(grid / DOS_PITCH_THZ), atol=1e-9)
