"""Settings of GAPs: defaults, and what is stated."""

import pytest
from pydantic import ValidationError

from phonsmith.campaign.sweeps import Sweep
from phonsmith.fits.gap import gap_fit as gap
from phonsmith.fits.gap.settings import PURPOSES, GapFit, Sigma, Soap
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


def test_a_purpose_changes_defaults_but_not_what_is_stated():
    defaults = PURPOSES["conductivity"]["soap"]
    fit = GapFit(kind="gap", purpose="conductivity")
    assert fit.soap.model_dump() == {**Soap().model_dump(), **defaults}
    stated = GapFit(kind="gap", purpose="conductivity", soap={"l_max": 3})
    assert stated.soap.model_dump() == {**Soap().model_dump(), **defaults, "l_max": 3}
    of_model = GapFit(kind="gap", purpose="conductivity", soap=Soap(l_max=3))
    assert of_model == stated
    assert GapFit(kind="gap", purpose="conductivity", soap=None).soap is None
    assert GapFit(kind="gap", purpose="phonons") == GapFit(kind="gap")


@pytest.mark.parametrize("how", ["exclude_unset", "exclude_defaults"])
@pytest.mark.parametrize(
    "soap", [{}, {"l_max": Soap().l_max}, {"n_sparse": 20, "cutoff_angstrom": 4.0}, None]
)
def test_a_fit_with_a_purpose_is_read_as_written(soap, how):
    given = {"soap": soap} if soap != {} else {}
    fit = GapFit(kind="gap", purpose="conductivity", **given)
    written = fit.model_dump(mode="json", **{how: True})
    assert GapFit.model_validate(written).model_dump() == fit.model_dump()


def test_a_sweep_of_purposes_does_not_keep_the_defaults_of_the_first():
    sweep = Sweep(
        recipe={"kind": "gap", "purpose": "conductivity", "soap": {"zeta": 2}},
        settings={"purpose": ["phonons", "conductivity"]},
    )
    soaps = [fit.soap for fit in sweep.fits("purpose").values()]
    general = Soap(zeta=2).model_dump()
    assert soaps[0].model_dump() == general
    assert soaps[1].model_dump() == {**general, **PURPOSES["conductivity"]["soap"]}


def test_a_purpose_is_no_result_of_its_own():
    defaults = PURPOSES["conductivity"]
    stated = GapFit(kind="gap", **defaults)
    assert GapFit(kind="gap", purpose="conductivity").identity() == stated.identity()


@pytest.mark.parametrize("purpose", ["kappa", ["phonons"], None])
def test_an_unknown_purpose_is_refused(purpose):
    with pytest.raises(ValidationError, match="purpose"):
        GapFit(kind="gap", purpose=purpose)
