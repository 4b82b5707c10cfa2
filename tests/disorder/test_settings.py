"""Settings that contradict themselves are refused."""

import pytest
from pydantic import ValidationError

from phonsmith.disorder.settings import Analysis, Scattering, SimilaritySoap


def test_defaults_of_the_similarity_are_published():
    """Morrow and Deringer 2022, supplement, table 1."""
    soap = SimilaritySoap()
    assert (soap.atom_sigma_angstrom, soap.cutoff_angstrom, soap.transition_width_angstrom) == (
        *(0.5, 5.0),
        2.0,
    )
    assert (soap.l_max, soap.n_max, soap.zeta) == (6, 10, 4)


@pytest.mark.parametrize(
    ("model", "keys", "message"),
    [
        (Scattering, {"first_peak_range_inverse_angstrom": (3, 1)}, "two ascending values"),
        (Scattering, {"q_max_inverse_angstrom": 2.5}, "up to q_max_inverse_angstrom"),
        (SimilaritySoap, {"transition_width_angstrom": 6}, "must not exceed cutoff_angstrom"),
        (Analysis, {"neighbour_cutoff_angstrom": 9}, "must not exceed r_max_angstrom"),
        (Analysis, {"cutoff": 3}, "Extra inputs"),
    ],
)
def test_contradictions_are_refused(model, keys, message):
    with pytest.raises(ValidationError, match=message):
        model(**keys)
