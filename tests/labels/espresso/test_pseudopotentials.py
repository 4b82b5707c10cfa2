"""Pseudopotentials for pw.x: their headers, families and cutoffs."""

import json
import shutil

import pytest

from phonsmith.files.errors import PhonsmithError
from phonsmith.labels.espresso.inputs import namelists
from phonsmith.labels.espresso.pseudopotentials import (
    checksums,
    cutoffs,
    pseudopotentials_of,
    read_upf,
)
from phonsmith.labels.espresso.settings import EspressoPseudopotentials
from phonsmith.labels.registry import method_kind
from tests.labels.espresso.examples import UPF_2, reference, upf

UPF_1 = """<PP_INFO>
Generated using Vanderbilt code
</PP_INFO>
<PP_HEADER>
   0                   Version Number
  Rh                   Element
   US                  Ultrasoft pseudopotential
    T                  Nonlinear Core Correction
 SLA  PW   PBE  PBE     PBE  Exchange-Correlation functional
    9.00000000000      Z valence
  -39.07842000000      Total energy
   33.5   199.0        Suggested cutoff for wfc and rho
</PP_HEADER>
<PP_MESH>
</PP_MESH>
<PP_RHOATOM>
</PP_RHOATOM>
"""


def contents(reference):
    """Checksums of the pseudopotential files."""
    return method_kind(reference).contents(reference)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("PBESOL", "PBEsol"),
        (" SLA  PW   PSX  PSC", "PBEsol"),
        ("SLA-PW-PBX-PBC", "PBE"),
        ("PBE", "PBE"),
        (" SLA  PZ   NOGX NOGC", "LDA"),
        ("SLA LYP B88 BLYP", "SLA LYP B88 BLYP"),
    ],
)
def test_header_of_version_2(tmp_path, text, name):
    found = read_upf(upf(tmp_path, "Si.UPF", functional=text))
    assert (found.element, found.functional, found.valence) == ("Si", name, 4.0)
    assert found.ecutwfc_ry == pytest.approx(43.74)
    assert len(found.sha256) == 64


def test_header_of_version_1(tmp_path):
    (tmp_path / "Rh.UPF").write_text(UPF_1)
    found = read_upf(tmp_path / "Rh.UPF")
    assert (found.element, found.functional, found.valence) == ("Rh", "PBE", 9.0)
    assert (found.kind, found.ecutwfc_ry, found.ecutrho_ry) == ("US", 33.5, 199.0)


@pytest.mark.parametrize("text", [UPF_2.format(element="Si", functional="PBE", kind="NC"), UPF_1])
def test_truncated_files_are_refused(tmp_path, text):
    path = tmp_path / "Si.UPF"
    for share in (0.5, 0.8, 0.97):
        path.write_text(text[: int(share * len(text))])
        read_upf.cache_clear()
        with pytest.raises(PhonsmithError, match=r"Si\.UPF: .*(cut off|not a pseudopotential)"):
            read_upf(path)


def test_other_functional_is_refused_or_asked_for(pseudo):
    upf(pseudo, "Si.pbe.UPF", functional="PBE")
    settings = EspressoPseudopotentials(folder=str(pseudo), files={"Si": "Si.pbe.UPF"})
    with pytest.raises(PhonsmithError, match=r"Si\.pbe\.UPF: is made for PBE, .* uses PBEsol"):
        pseudopotentials_of(settings, "PBEsol", ["Si"])
    allowed = settings.model_copy(update={"allow_other_functional": True})
    potentials = pseudopotentials_of(allowed, "PBEsol", ["Si"])
    asked = reference(pseudo)
    assert namelists(asked, potentials)["system"]["input_dft"] == "pbesol"
    right = pseudopotentials_of(asked.pseudopotentials, "PBEsol", ["Si"])
    assert "input_dft" not in namelists(asked, right)["system"]


def test_other_element_is_refused(tmp_path):
    upf(tmp_path, "Si.UPF", element="Ge")
    settings = EspressoPseudopotentials(folder=str(tmp_path), files={"Si": "Si.UPF"})
    with pytest.raises(PhonsmithError, match="is a pseudopotential of Ge, not Si"):
        pseudopotentials_of(settings, "PBEsol", ["Si"])
    with pytest.raises(PhonsmithError, match="no file for C; found Si"):
        pseudopotentials_of(settings, "PBEsol", ["C"])


def test_family_by_names(tmp_path):
    for name, element in (("Si_ONCV.upf", "Si"), ("s_pbesol_v1.UPF", "S"), ("Sn.upf", "Sn")):
        upf(tmp_path, name, element=element)
    settings = EspressoPseudopotentials(folder=str(tmp_path), family="PseudoDojo")
    found = pseudopotentials_of(settings, "PBEsol", ["S", "Si", "Sn"])
    assert {one.path.name for one in found.values()} == {
        "Si_ONCV.upf",
        "s_pbesol_v1.UPF",
        "Sn.upf",
    }
    upf(tmp_path, "Si.other.upf")
    with pytest.raises(PhonsmithError, match="has 2 UPF files of Si"):
        pseudopotentials_of(settings, "PBEsol", ["Si"])


def test_family_by_the_table_of_sssp(tmp_path):
    import hashlib

    path = upf(tmp_path, "Si.any.UPF")
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    table = {"Si": {"filename": path.name, "md5": md5, "cutoff_wfc": 30.0, "cutoff_rho": 240.0}}
    (tmp_path / "SSSP_1.3.0_PBEsol_efficiency.json").write_text(json.dumps(table))
    settings = EspressoPseudopotentials(folder=str(tmp_path), family="SSSP")
    assert pseudopotentials_of(settings, "PBEsol", ["Si"])["Si"].path == path
    assert checksums(settings) == {"Si": f"md5:{md5}"}
    path.write_text(path.read_text() + "\n")
    with pytest.raises(PhonsmithError, match="MD5 differs"):
        pseudopotentials_of(settings, "PBEsol", ["Si"])


def test_density_cutoff_goes_by_the_kind_of_pseudopotential(pseudo):
    soft = read_upf(upf(pseudo, "Si.nc.UPF", kind="NC"))
    ultrasoft = read_upf(pseudo / "Si.pbesol.UPF")
    assert cutoffs(reference(pseudo), [soft]) == (30, 120)
    assert cutoffs(reference(pseudo), [soft, ultrasoft]) == (30, 240)
    assert cutoffs(reference(pseudo, ecutrho_ry=180), [ultrasoft]) == (30, 180)


def test_another_folder_of_the_same_names_is_told_apart(pseudo, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(pseudo, other)
    first = contents(reference(pseudo))
    assert contents(reference(other)) == first
    (other / "Si.pbesol.UPF").write_text("another")
    files = {"folder": str(other), "files": {"Si": "Si.pbesol.UPF"}}
    assert contents(reference(other, pseudopotentials=files)) != first
    family = {"folder": str(other), "family": "PseudoDojo"}
    found = contents(reference(other, pseudopotentials=family))
    (other / "Si.pbesol.UPF").write_text("and another")
    assert contents(reference(other, pseudopotentials=family)) != found
