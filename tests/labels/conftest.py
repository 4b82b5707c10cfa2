"""A set of phonopy with Born charges."""

from pathlib import Path
from typing import Any

import pytest

from tests.phonopy_files import content_of


@pytest.fixture(scope="module")
def nacl(shared_data: Path) -> dict[str, Any]:
    """A set with Born charges in eV and Å, with energies added."""
    content = content_of(shared_data / "real-inputs" / "phonopy-length-Angstrom.yaml")
    content["phonopy"]["symmetry_tolerance"] = 1e-5
    return content
