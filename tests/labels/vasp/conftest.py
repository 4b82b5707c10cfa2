"""POTCARs and recorded runs."""

from pathlib import Path

import pytest
from pymatgen.core import SETTINGS

from tests.potcars import write_potcar


@pytest.fixture(autouse=True)
def potcar_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "potcars"
    write_potcar(folder, "Sn_d")
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(folder))
    return folder


@pytest.fixture
def tin(shared_data: Path) -> Path:
    return shared_data / "sn-alpha-vasp"
