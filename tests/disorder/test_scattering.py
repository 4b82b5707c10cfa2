"""Structure factors that are known."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk

from phonsmith.disorder import scattering
from phonsmith.disorder.neighbours import pair_distribution
from phonsmith.disorder.scattering import first_peak, structure_factor
from phonsmith.disorder.settings import Analysis, Scattering
from phonsmith.files.errors import PhonsmithError
from tests.disorder.examples import diamond, ideal_gas, rigid_pairs, rotated

SHARP = Scattering(q_max_inverse_angstrom=6, q_resolution_inverse_angstrom=0.002)


def values(frame: Atoms, settings: Scattering) -> pd.Series:
    return structure_factor(frame, settings).set_index("q_inverse_angstrom")["structure_factor"]


def test_bragg_peaks_of_diamond():
    """|F|² per atom: N at h+k+l = 4n, N/2 at odd hkl, extinct at h+k+l = 4n + 2 (8 atoms)."""
    fine = SHARP.model_copy(update={"q_step_inverse_angstrom": 0.002})
    curve = values(diamond(1), fine)
    known = {(1, 1, 1): 4, (2, 2, 0): 8, (3, 1, 1): 4, (2, 2, 2): 0, (4, 0, 0): 8, (2, 0, 0): 0}
    for indices, expected in known.items():
        q = 2 * np.pi / 5.43 * np.linalg.norm(indices)
        found = curve.iloc[np.abs(curve.index.to_numpy() - q).argmin()]
        assert found == pytest.approx(expected, abs=1e-4), indices


def test_the_primitive_cell_has_the_wave_vectors_of_the_crystal():
    """Two atoms: the intensities at reciprocal lattice vectors, twice cos² of the phase."""
    fine = SHARP.model_copy(update={"q_step_inverse_angstrom": 0.002})
    curve = values(bulk("Si", "diamond", 5.43), fine).dropna()
    first = 2 * np.pi * np.sqrt(3) / 5.43
    assert curve.index[0] == pytest.approx(first, abs=0.01)
    assert curve.iloc[0] == pytest.approx(1, abs=1e-5)


def test_direct_sum_over_all_wave_vectors():
    """Every Q = 2π B h in the sphere, each summed on its own."""
    frame = ideal_gas(40)
    settings = Scattering(
        q_max_inverse_angstrom=3,
        q_step_inverse_angstrom=0.01,
        q_resolution_inverse_angstrom=0.1,
        vectors_per_step=10**6,
    )
    grid = np.stack(np.meshgrid(*[np.arange(-9, 10)] * 3, indexing="ij"), -1).reshape(-1, 3)
    vectors = grid @ (2 * np.pi * np.linalg.inv(frame.cell.array).T)
    moduli = np.linalg.norm(vectors, axis=1)
    inside = (moduli > 1e-9) & (moduli < 3.005)
    phases = vectors[inside] @ frame.positions.T
    intensities = np.abs(np.exp(1j * phases).sum(axis=1)) ** 2 / len(frame)
    curve = values(frame, settings)
    q = curve.index.to_numpy()[:, None]
    weights = np.exp(-(((q - moduli[inside]) / 0.1) ** 2) / 2)
    direct = (weights @ intensities) / weights.sum(axis=1)
    # the wave vectors of a bin share their mean modulus; below the first, only tails remain
    beyond = curve.index.to_numpy() > moduli[inside].min()
    assert beyond.sum() > 200
    assert np.abs(curve.to_numpy() - direct)[beyond].max() < 0.01


def test_structure_factor_of_an_ideal_gas_is_one():
    """The intensity of each wave vector has an exponential distribution with mean one."""
    curve = values(ideal_gas(1500), Scattering(q_max_inverse_angstrom=6)).loc[2:]
    assert curve.mean() == pytest.approx(1, abs=0.01)
    assert curve.sub(1).abs().max() < 0.25


def test_structure_factor_and_pair_distribution_agree():
    """S(Q) - 1 = 4πρ ∫ r² (g - 1) sin(Qr)/(Qr) dr for a gas of rigid pairs, which has g = 1 beyond.

    The exact answer is S(Q) = 1 + sin(Qd)/(Qd) for pairs of length d in random directions.
    """
    pairs, length, box = 1500, 2.35, 40.0
    frame = rigid_pairs(pairs, length, box)
    settings = Scattering(q_max_inverse_angstrom=6, q_resolution_inverse_angstrom=0.1)
    curve = values(frame, settings).loc[1:]
    expected = 1 + np.sinc(curve.index.to_numpy() * length / np.pi)
    assert np.abs(curve - expected).max() < 0.15
    assert np.abs(curve - expected).mean() < 0.03
    # g(r) holds the same pairs: one neighbour each at the length of the bond
    table = pair_distribution(frame, Analysis(r_max_angstrom=4, r_step_angstrom=0.02))
    r = table["r_angstrom"].to_numpy()
    density = len(frame) / box**3
    excess = 4 * np.pi * density * (table["pair_distribution"].to_numpy() - 1) * r**2 * 0.02
    # 480 pairs of other molecules in this range, with their statistical error of 0.015 per atom
    assert excess[(r > 2.3) & (r < 2.4)].sum() == pytest.approx(1, abs=0.06)


def test_a_sample_of_wave_vectors_gives_the_same_curve():
    frame = ideal_gas(500)
    all_vectors = Scattering(q_max_inverse_angstrom=5, vectors_per_step=10**6)
    sample = all_vectors.model_copy(update={"vectors_per_step": 40})
    few, many = values(frame, sample).loc[3:], values(frame, all_vectors).loc[3:]
    # 40 vectors per step and nine steps wide: a standard error of 5 % of exponential intensities
    assert 0 < np.sqrt(((few - many) ** 2).mean()) < 0.07
    assert values(frame, sample).equals(values(frame, sample))


def test_the_effort_does_not_grow_with_the_volume(monkeypatch):
    """A gas of 64 atoms in volumes up to a cubic micrometre."""
    numbers = []
    counted = scattering._intensities
    slices = scattering._slices

    def intensities(frame, indices):
        numbers.append(len(indices))
        return counted(frame, indices)

    def listed(*args):
        for indices, bins in slices(*args):
            numbers[-1] += len(indices)
            yield indices, bins

    monkeypatch.setattr(scattering, "_intensities", intensities)
    monkeypatch.setattr(scattering, "_slices", listed)
    for edge in (100, 1000, 10_000):
        numbers.append(0)
        frame = ideal_gas(64)
        frame.set_cell([edge, edge, edge], scale_atoms=True)
        curve = values(frame, Scattering()).loc[0.5:]
        assert sum(numbers) < 600_000
        assert curve.mean() == pytest.approx(1, abs=0.03)
        numbers.clear()


def test_wave_vectors_are_drawn_with_equal_probability():
    """Of a skewed cell: each wave vector of a bin as often as any other, none beyond the bin."""
    frame = ideal_gas(1200)
    settings = Scattering(vectors_per_step=10, q_step_inverse_angstrom=0.05)
    place = 39  # 1.975 to 2.025
    grid = np.stack(np.meshgrid(*[np.arange(-14, 15)] * 3, indexing="ij"), -1).reshape(-1, 3)
    moduli = np.linalg.norm(grid @ (2 * np.pi * frame.cell.reciprocal()[:]), axis=1)
    all_of_bin = {tuple(row) for row in grid[(moduli > 1.975) & (moduli < 2.025)].tolist()}
    random = np.random.default_rng(1)
    drawn = [scattering._drawn(frame, settings, place, random).tolist() for _ in range(3000)]
    assert all(len({tuple(row) for row in rows}) == 10 for rows in drawn)
    seen = Counter(tuple(row) for rows in drawn for row in rows)
    assert set(seen) <= all_of_bin and len(seen) == len(all_of_bin) / 2
    expected = 30_000 / len(seen)
    chi2 = sum((count - expected) ** 2 / expected for count in seen.values()) / len(seen)
    assert chi2 == pytest.approx(1, abs=0.35)
    # and the number of wave vectors is that of the volume of the shell
    counts = scattering._expected_counts(frame, settings, place + 1)
    assert counts[place] == pytest.approx(len(seen), rel=0.1)


def test_drawn_and_listed_wave_vectors_give_the_same_curve():
    """Of a gas of rigid pairs, S(Q) = 1 + sin(Qd)/(Qd)."""
    frame = rigid_pairs(900, 2.35, 33.0)
    every = Scattering(q_max_inverse_angstrom=5, vectors_per_step=10**6)
    some = every.model_copy(update={"vectors_per_step": 40})
    expected = scattering._expected_counts(frame, some, 250)
    assert scattering._bins_listed(frame, some, expected) < 150
    few, many = values(frame, some).loc[3:], values(frame, every).loc[3:]
    exact = 1 + np.sinc(few.index.to_numpy() * 2.35 / np.pi)
    # intensities have exponential distributions: 40 vectors in nine steps, 5 %
    assert np.sqrt(((few - many) ** 2).mean()) < 0.06
    assert np.sqrt(((few - exact) ** 2).mean()) < 0.06
    assert few.mean() == pytest.approx(exact.mean(), abs=0.04)


def test_a_cell_that_is_too_long_is_refused():
    frame = ideal_gas(64)
    frame.set_cell([2e7, 2, 2], scale_atoms=True)
    with pytest.raises(PhonsmithError, match=r"20000000 × 2 × 2 Å requires more than 1e\+08 wave"):
        structure_factor(frame, Scattering())


def test_structure_factor_does_not_depend_on_orientation():
    frame = diamond(2)
    frame.rattle(0.2, seed=4)
    settings = Scattering(q_max_inverse_angstrom=5, q_resolution_inverse_angstrom=0.1)
    pd.testing.assert_series_equal(
        values(frame, settings), values(rotated(frame), settings), rtol=1e-4, atol=1e-5
    )


def test_first_peak_of_a_known_curve():
    q = np.arange(1, 301) * 0.02
    curve = pd.DataFrame(
        {
            "q_inverse_angstrom": q,
            "structure_factor": 1
            + 0.8 * np.exp(-(((q - 2.013) / 0.2) ** 2))
            + 2 * np.exp(-(((q - 3.6) / 0.2) ** 2)),
        }
    )
    peak = first_peak(curve, Scattering())
    assert peak is not None
    assert peak.position_inverse_angstrom == pytest.approx(2.013, abs=1e-3)
    assert peak.height == pytest.approx(1.8, abs=1e-3)
    mean = curve.rename(columns={"structure_factor": "structure_factor_mean"})
    assert first_peak(mean, Scattering(), "structure_factor_mean") == peak
    # a slope has its highest point at the end of the range
    assert first_peak(curve, Scattering(first_peak_range_inverse_angstrom=(2.5, 3.4))) is None
    assert first_peak(curve.assign(structure_factor=np.nan), Scattering()) is None


def test_cells_without_wave_vectors_have_no_curve():
    curve = structure_factor(bulk("Si", "diamond", 5.43), Scattering(q_max_inverse_angstrom=3))
    assert curve["structure_factor"].isna().sum() > 50
    empty = structure_factor(
        bulk("Si", "diamond", 5.43),
        Scattering(q_max_inverse_angstrom=1, first_peak_range_inverse_angstrom=(0.2, 0.9)),
    )
    assert empty["structure_factor"].isna().all()
