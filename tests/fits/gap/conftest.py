"""A GAP of silicon."""

import pytest

from tests.fits.examples import gap_fit, train


@pytest.fixture(scope="session")
def silicon_gap(silicon, tmp_path_factory):
    return train(gap_fit(), silicon, tmp_path_factory.mktemp("gap"))
