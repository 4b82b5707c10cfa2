"""Recorded third-order force constants of silicon."""

from pathlib import Path

import pytest

from phonsmith.conductivity.settings import ThirdOrder
from phonsmith.conductivity.third_order import cells_to_label, produce
from tests.conductivity.examples import SMALL, recorded


@pytest.fixture(scope="module")
def folded(silicon):
    """The same with the cubic cell in the place of the primitive cell."""
    phonon, data, _ = silicon
    third, _, _ = cells_to_label(
        "x", phonon, ThirdOrder(**SMALL), 0, recorded=data, mesh_of="unit_folded"
    )
    return produce(third, phonon, ThirdOrder(**SMALL))


@pytest.fixture(scope="module")
def silicon(shared_data: Path, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("silicon")
    return recorded(shared_data / "si-pbesol-fc3/phono3py_disp.yaml", folder)
