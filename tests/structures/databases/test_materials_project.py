"""Crystals of the Materials Project, against its answers."""

from pathlib import Path
from typing import Any

import pytest
from pymatgen.io.ase import AseAtomsAdaptor

from phonsmith.files.errors import PhonsmithError
from phonsmith.structures.databases.addresses import fetched_path
from phonsmith.structures.databases.entries import Entry
from phonsmith.structures.databases.fetching import fetch
from phonsmith.structures.databases.materials_project import entries as mp_entries
from phonsmith.structures.databases.materials_project import entry as mp_entry
from phonsmith.structures.reading import read_structure
from phonsmith.structures.settings import Structure
from tests.structures.databases.examples import KEY, MP_149, same


def test_a_crystal_of_the_materials_project_is_kept_with_its_origin(materials_project: Any) -> None:
    path = fetched_path(Structure(materials_project="mp-149"))
    assert path == Path("config/structures/fetched/materials_project/mp-149.extxyz")
    fetch(path)
    crystal = read_structure(path)
    same(crystal, AseAtomsAdaptor.get_atoms(MP_149))
    assert crystal.get_volume() == pytest.approx(40.8883, abs=1e-3)  # the volume it states itself
    origin = Entry.load(path).origin
    assert origin.database_version == "2025_09_25"
    assert origin.energy_above_hull_ev_per_atom == 0.0
    assert origin.url.endswith("/materials/mp-149")
    text = path.read_text()
    assert KEY not in text


@pytest.mark.parametrize(
    ("id", "words"),
    [
        ("mp-1", r"mp-1 is deprecated \(Mixed occupation\)"),
        ("mp-656511", "mp-656511 is now mp-149"),
        ("mp-99999", "unknown entry mp-99999"),
        ("mp-2", "mp-2: has partially occupied sites"),
    ],
)
def test_an_id_of_no_use_is_said_in_one_line(materials_project: Any, id: str, words: str) -> None:
    with pytest.raises(PhonsmithError, match=words):
        mp_entry(id)


def test_no_key_a_wrong_key_and_no_network(
    materials_project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MP_API_KEY", "x" * 32)
    with pytest.raises(PhonsmithError, match="the key in MP_API_KEY is refused") as refused:
        mp_entry("mp-149")
    assert "x" * 32 not in str(refused.value)
    monkeypatch.setenv("MP_API_KEY", "old-key")
    with pytest.raises(PhonsmithError, match="MP_API_KEY is not an API key"):
        mp_entry("mp-149")
    monkeypatch.delenv("MP_API_KEY")
    with pytest.raises(PhonsmithError, match="no API key; set the environment variable MP_API_KEY"):
        mp_entry("mp-149")
    monkeypatch.setenv("MP_API_KEY", KEY)
    monkeypatch.setenv("MP_API_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(PhonsmithError, match=r"cannot be reached .*check the network") as lost:
        mp_entry("mp-149")
    assert KEY not in str(lost.value)


def test_a_broken_server_is_said_in_one_line(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MP_API_ENDPOINT", server.url)
    monkeypatch.setenv("MP_API_KEY", KEY)
    for answer in ((500, {}), (200, b"<html>"), (200, {"detail": "what?"})):
        server.answer = lambda url, answer=answer: answer
        with pytest.raises(PhonsmithError, match="try again later") as caught:
            mp_entry("mp-149")
        assert "\n" not in str(caught.value)


def test_a_chemical_system_has_no_deprecated_entries(materials_project: Any) -> None:
    found = {one.origin.entry for one in mp_entries(["Si"])}
    assert found == {"mp-149", "mp-165", "mp-1203790", "mp-999200", "mp-571520"}
