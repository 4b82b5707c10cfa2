"""POTCARs: which one is taken, and what of it is known."""

import json
from pathlib import Path

import pytest
from pymatgen.core import SETTINGS

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.sources import sha256_of
from phonsmith.labels.protocol import Allocation
from phonsmith.labels.registry import method_kind
from phonsmith.labels.vasp.method import VaspMethod
from phonsmith.labels.vasp.potcars import check_cutoff, potcars_of, valence_electrons
from tests.labels.vasp.examples import vasp
from tests.labels.vasp.vasp_std import TITEL
from tests.potcars import SECRET, write_potcar


def contents(reference):
    """Checksums of the pseudopotential files."""
    return method_kind(reference).contents(reference)


def test_potcars_are_found_and_told_by_title_and_hash(potcar_folder: Path) -> None:
    reference = vasp()
    file = potcars_of(reference, ["Sn"])["Sn"]
    assert (file.title, file.valence, file.enmax_ev) == (TITEL, 14.0, 241.083)
    assert valence_electrons(reference, ["Sn", "Sn"]) == {"Sn": 14.0}
    method = VaspMethod(reference, None, Allocation())
    content = json.loads(method.fingerprint(["Sn"]))
    assert content["potcars"] == {"Sn": {"title": TITEL, "sha256": file.sha256}}
    assert SECRET not in method.fingerprint(["Sn"]) + repr(file)
    write_potcar(potcar_folder, "Sn", valence=4.0)
    other = VaspMethod(vasp(potcars={"Sn": "Sn"}), None, Allocation())
    assert other.fingerprint(["Sn"]) != method.fingerprint(["Sn"])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"lexch": "CA"}, r"potcars.Sn: the POTCAR Sn_d is made for LDA.* PBEsol requires .* PBE"),
        ({"element": "Sb"}, "potcars.Sn: the POTCAR Sn_d is one of Sb"),
        ({}, None),
    ],
)
def test_unsuited_potcars_are_refused(potcar_folder: Path, values: dict, words: str | None) -> None:
    path = write_potcar(potcar_folder, "Sn_d", **values)
    if words is None:
        words = "potcars.Sn: the POTCAR Sn_d is cut off"
        path.write_text(path.read_text().replace("End of Dataset", ""))
    with pytest.raises(PhonsmithError, match=words):
        potcars_of(vasp(potcars={"Sn": "Sn_d"}), ["Sn"])


def test_contents_of_potcars_are_told_without_pymatgen(
    potcar_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PMG_VASP_PSP_DIR", str(potcar_folder))
    path = write_potcar(potcar_folder, "Sn_d")
    first = contents(vasp())
    assert first == {"Sn": sha256_of(path)}
    monkeypatch.setenv("PMG_VASP_PSP_DIR", str(potcar_folder / "other"))
    assert contents(vasp()) == {"Sn": "missing"}
    packed = write_potcar(potcar_folder / "other", "Sn_d", enmax=300.0)
    packed = packed.rename(packed.with_name("POTCAR.Sn_d.gz"))
    assert contents(vasp()) == {"Sn": sha256_of(packed)} != first


def test_a_cutoff_in_other_units_is_refused(potcar_folder: Path) -> None:
    write_potcar(potcar_folder, "Sn_d", enmax=241.083)
    check_cutoff(vasp(encut_ev=200), ["Sn"])
    with pytest.raises(PhonsmithError, match=r"encut_ev: 25.7 eV .*ENMAX .*Sn_d \(241 eV\)"):
        check_cutoff(vasp(encut_ev=25.7), ["Sn"])


def test_the_folder_of_potcars_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(SETTINGS, "PMG_VASP_PSP_DIR", raising=False)
    with pytest.raises(PhonsmithError, match="folder that contains POT_GGA_PAW_PBE_54/"):
        potcars_of(vasp(), ["Sn"])
