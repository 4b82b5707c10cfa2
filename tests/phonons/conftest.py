"""Phonons of diamond silicon."""

from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from phonopy import Phonopy

from phonsmith.phonons.force_constants import potential_phonons
from phonsmith.supercells.settings import Displaced
from tests.phonons.published import SW, castep


@pytest.fixture(scope="module")
def diamond(shared_data: Path) -> Phonopy:
    return castep(shared_data, 22)


@pytest.fixture(scope="module")
def silicon() -> Phonopy:
    """Diamond silicon with Stillinger–Weber, at its minimum."""
    return potential_phonons(
        bulk("Si", "diamond", 5.43095), 2 * np.eye(3, dtype=int), Displaced(), SW
    )
