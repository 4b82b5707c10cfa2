"""Uncertainty of conductivities from random cells."""

import lzma
from pathlib import Path

import numpy as np
import pytest

from phonsmith.conductivity.jackknife import uncertainty, with_jackknife
from phonsmith.conductivity.kappa import mean_kappa
from phonsmith.conductivity.settings import Conductivity
from phonsmith.conductivity.tables import conductivity_table, overview
from tests.conductivity.examples import first, kappa, recorded


def test_of_a_mean_it_is_the_standard_error_of_the_mean() -> None:
    values = np.random.default_rng(1).normal(size=12)
    without = [np.delete(values, i).mean() for i in range(12)]
    error = values.std(ddof=1) / np.sqrt(12)
    assert uncertainty(without, values.mean()) == pytest.approx(error)


def test_of_a_biased_value_it_counts_the_bias() -> None:
    """The biased variance of n numbers is too small by a factor of (n - 1)/n."""
    values = np.random.default_rng(1).normal(size=12)
    without = [np.delete(values, i).var() for i in range(12)]
    bias = values.var() - values.var(ddof=1)
    random = uncertainty(without, float(np.mean(without)))
    assert uncertainty(without, values.var()) == pytest.approx(np.hypot(random, bias))


def jackknifed(third, groups: int, **settings):
    result, _ = kappa(third, **settings)
    asked = Conductivity(temperatures_kelvin=[300], jackknife_groups=groups, **settings)
    return with_jackknife(
        result, third, asked, pair_cutoff_angstrom=None, imaginary_tolerance_thz=0.1
    ), asked


@pytest.mark.slow
def test_rock_salt_within_its_error(shared_data: Path, tmp_path: Path) -> None:
    """Ten of the 100 random cells of NaCl, with their uncertainty, against all of them."""
    packed = shared_data / "nacl-pbesol-random/phono3py_params_NaCl.yaml.xz"
    path = tmp_path / "nacl.yaml"
    path.write_bytes(lzma.decompress(packed.read_bytes()))
    _, third, _ = recorded(path, tmp_path)
    truth = first(kappa(third, mesh=(4, 4, 4))[0])
    moves, forces = third.dataset["displacements"], third.dataset["forces"]
    deviations = []
    for start in (0, 10):
        some = slice(start, start + 10)
        third.dataset = {"displacements": moves[some], "forces": forces[some]}
        third.produce_fc3(fc_calculator="symfc")
        result, asked = jackknifed(third, 5, mesh=(4, 4, 4), directions=[(1, 0, 0)])
        table = conductivity_table("a", [result], asked)
        (row,) = table[table.component == "mean"].to_dict("records")
        without = [mean_kappa(one[0]) for one in result.series[0].without_groups]
        found = row["uncertainty_w_per_m_k"]
        assert found == pytest.approx(uncertainty(without, row["kappa_w_per_m_k"]))
        assert "300 K, uncertainty" in overview(table)
        assert 0.01 * row["kappa_w_per_m_k"] < found < 0.15 * row["kappa_w_per_m_k"]
        deviations.append(abs(row["kappa_w_per_m_k"] - truth) / found)
    assert max(deviations) < 2

    third.dataset = {"displacements": moves[:5], "forces": forces[:5]}
    result, asked = jackknifed(third, 5, mesh=(4, 4, 4))
    assert "do not determine the force constants; add cells" in result.without_uncertainty
    assert conductivity_table("a", [result], asked).reason.str.contains("no uncertainty").all()


def test_displacements_have_no_jackknife(silicon) -> None:
    result, asked = jackknifed(silicon[1], 5, mesh=(3, 3, 3))
    assert "random third-order cells" in result.without_uncertainty
    errors = conductivity_table("a", [result], asked).uncertainty_w_per_m_k
    assert errors.isna().all()
