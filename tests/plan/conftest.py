"""Pseudopotentials and crystals."""

import pytest

from phonsmith.structures.reading import read_structure

UPF = """<UPF version="2.0.1">
<PP_HEADER element="{element}" pseudo_type="USPP" functional="PBESOL" z_valence="{valence}"
 wfc_cutoff="30" rho_cutoff="240"/>
</UPF>
"""


@pytest.fixture
def pseudopotentials(tmp_path):
    """Headers of UPF files, which is all that a plan reads."""
    for element, valence in (("Si", 4.0), ("O", 6.0)):
        (tmp_path / f"{element}.UPF").write_text(UPF.format(element=element, valence=valence))
    return tmp_path


@pytest.fixture
def crystals(repository):
    folder = repository / "config/structures/silicon"
    return {name: read_structure(folder / f"{name}.vasp") for name in ("mp-149", "mp-165")}
