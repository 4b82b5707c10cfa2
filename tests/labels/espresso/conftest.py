"""Pseudopotential files."""

from pathlib import Path

import pytest

from tests.labels.espresso.examples import upf


@pytest.fixture
def pseudo(tmp_path) -> Path:
    upf(tmp_path / "pseudo", "Si.pbesol.UPF")
    return tmp_path / "pseudo"
