"""Settings of GAPs: defaults, and what is stated."""

import pytest

from phonsmith.fits.gap import gap_fit as gap
from phonsmith.fits.gap.settings import GapFit, Sigma, Soap
from phonsmith.fits.gap.sparse import plan_sparse_points


def test_soap_defaults_are_what_they_say():
    assert (
        "l_max=6 n_max=10 atom_sigma=0.5 cutoff=6.0"
        in gap._descriptors(
            GapFit(kind="gap", soap=Soap()), plan_sparse_points(GapFit(kind="gap", soap=None), [])
        )[1]
    )


@pytest.mark.parametrize(
    ("given", "factor"),
    [
        ({}, 1e-4),
        ({"sigma": {"energy_ev_per_atom": 0.01}}, 1e-4),
        ({"sigma": {"force_ev_per_angstrom": 0.02}}, None),
        ({"sigma": Sigma(force_ev_per_angstrom=0.02)}, None),
        ({"sigma_by_group": {"displaced": {"force_ev_per_angstrom": 0.02}}}, None),
        ({"sigma": {"force_ev_per_angstrom": 0.02}, "force_proportional": {}}, 1e-4),
        ({"force_proportional": None}, None),
    ],
)
def test_a_stated_sigma_is_not_overruled_by_a_default(given, factor):
    fit = GapFit(kind="gap", **given)
    assert (fit.force_proportional and fit.force_proportional.factor) == factor
    assert GapFit.model_validate(fit.model_dump(mode="json")) == fit
    assert GapFit.model_validate(fit.model_dump(exclude_unset=True)) == fit
