"""Crystals over OPTIMADE: from a real server, and from faulty ones."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from phonsmith.files.errors import PhonsmithError
from phonsmith.structures.databases import optimade
from phonsmith.structures.databases.addresses import fetched_path, structure_at
from phonsmith.structures.databases.entries import Entry
from phonsmith.structures.databases.fetching import fetch
from phonsmith.structures.reading import read_structure
from phonsmith.structures.settings import OptimadeEntry, Structure
from tests.structures.databases.examples import (
    GALLIA,
    HULL,
    MIXED,
    RENAMED,
    bare,
    resource,
    same,
    silicon,
)


def test_a_crystal_comes_over_optimade_as_it_is(database: str) -> None:
    setting = Structure(optimade=OptimadeEntry(base_url=database, id="group/gallia"))
    path = fetched_path(setting)
    assert path is not None
    fetch(path)
    same(read_structure(path), GALLIA)
    kept = Entry.load(path).origin
    assert kept.entry == "group/gallia"
    assert kept.database_version == "2025-01-02T03:04:05Z"
    assert kept.url == f"{database}/v1/structures/group%2Fgallia"
    assert time.strptime(kept.fetched, "%Y-%m-%d")


def test_the_reading_agrees_with_the_consortiums_adapter(database: str) -> None:
    from optimade.adapters import Structure as Adapter

    adapted = Adapter(resource("x", GALLIA)).as_ase
    found = optimade.entry(database, "group/gallia").atoms
    assert np.allclose(found.positions, adapted.positions, atol=1e-8)
    assert np.allclose(found.cell[:], adapted.cell[:], atol=1e-12)


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/"])
def test_an_address_may_have_the_version(database: str, end: str) -> None:
    same(optimade.entry(database + end, "si-30").atoms, silicon(5.43))


def test_names_of_species_are_free_and_cells_become_right_handed(database: str) -> None:
    same(optimade.entry(database, "renamed").atoms, silicon())
    found = optimade.entry(database, "left-handed").atoms
    assert np.linalg.det(found.cell[:]) > 0
    same(found, silicon())


@pytest.mark.parametrize(
    ("id", "words"),
    [
        ("nothing", "no entry 'nothing'"),
        ("mixed", "partially occupied"),
        ("layer", "periodic in 2 of 3 directions"),
    ],
)
def test_what_is_no_bulk_crystal_is_refused(database: str, id: str, words: str) -> None:
    with pytest.raises(PhonsmithError, match=words):
        optimade.entry(database, id)


def test_all_pages_of_a_chemical_system_are_read(database: str) -> None:
    found = list(optimade.entries(database, "Si", HULL))
    crystals = {one.origin.entry: one for one in found if isinstance(one, Entry)}
    refused = [str(one) for one in found if isinstance(one, PhonsmithError)]
    assert len(found) == 45  # three pages of the server's 20
    assert len(refused) == 2
    hulls = [crystals[f"si-{i:02}"].origin.energy_above_hull_ev_per_atom for i in range(41)]
    assert hulls == pytest.approx([i / 100 for i in range(41)])
    assert [one.origin.entry for one in optimade.entries(database, "O-Ga")] == ["group/gallia"]  # type: ignore[union-attr]


def test_providers_go_by_pymatgens_names() -> None:
    one = OptimadeEntry(provider="oqmd", id="1")
    assert optimade.address_of(one).startswith("https://oqmd.org/optimade")
    with pytest.raises(PhonsmithError, match=r"unknown provider 'oqdm'.*oqmd"):
        optimade.address_of(OptimadeEntry(provider="oqdm", id="1"))


@pytest.mark.parametrize(
    "structure",
    [
        Structure(materials_project="mp-149"),
        Structure(optimade=OptimadeEntry(provider="alexandria.pbe", id="agm003")),
        Structure(optimade=OptimadeEntry(base_url="https://a.org:8/b%2F/c", id="x/y z%2F:ü")),
    ],
)
def test_the_path_of_a_fetched_crystal_tells_where_it_is_from(structure: Structure) -> None:
    path = fetched_path(structure)
    assert path is not None
    assert path.parent.parent == Path("config/structures/fetched")
    assert structure_at(path) == structure


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (500, {"errors": []}, "500 Internal Server Error; check the address"),
        (404, {"errors": []}, "no entry 'x'"),
        (200, b"<html>", "not an OPTIMADE"),
        (200, {"meta": {}}, "not an OPTIMADE"),
        (200, {"data": []}, "no entry 'x'"),
        (200, bare(lattice_vectors=None), "lacks lattice_vectors"),
        (200, bare(cartesian_site_positions=None), "lacks cartesian_site_positions"),
        (200, bare(species_at_sites=None), "lacks species_at_sites"),
        (200, bare(dimension_types=None), "lacks dimension_types"),
        (200, bare(dimension_types=None, nperiodic_dimensions=0), "periodic in 0 of 3"),
        (200, bare(dimension_types=[0, 0, 1]), "periodic in 1 of 3"),
        (200, bare(structure_features=["implicit_atoms"]), "without positions"),
        (200, bare(species=[{**MIXED[0], "chemical_symbols": ["Si", "vacancy"]}]), "occupied"),
        (200, bare(species=[{**RENAMED[0], "concentration": [0.9]}]), "partially occupied"),
        (200, bare(species=[{**RENAMED[0], "attached": ["H"]}]), "partially occupied"),
        (200, bare(species=None, species_at_sites=["X", "Si"]), "'X' is not an element"),
        (200, bare(species=None, species_at_sites=["Si1", "Si"]), "'Si1' is not an element"),
        (
            200,
            bare(species=[{**RENAMED[0], "name": "Si", "chemical_symbols": ["vacancy"]}]),
            "'vacancy' is not an element; choose an entry without vacancies",
        ),
        (
            200,
            bare(species=[{**RENAMED[0], "name": "Si", "concentration": ["much"]}]),
            "not a valid OPTIMADE response",
        ),
        (200, bare(species=["Si"]), "not a valid OPTIMADE response"),
        (200, bare(dimension_types=["a"]), "not a valid OPTIMADE response"),
        (200, bare(lattice_vectors=[[0.05, 0, 0], [0, 0.05, 0], [0, 0, 0.05]]), "must be in Å"),
        (200, bare(cartesian_site_positions=[[0, 0, 0]]), "do not match 2 atoms"),
        (200, bare(lattice_vectors=[[5, 0, 0], [0, 5, 0], [None] * 3]), "not those of|NaN"),
        (200, bare(cartesian_site_positions=[[0, 0, 0]] * 2), "apart"),
    ],
)
def test_a_faulty_answer_is_said_in_one_line(
    server: Any, status: int, body: Any, words: str
) -> None:
    server.answer = lambda url: (status, body)
    with pytest.raises(PhonsmithError, match=words) as caught:
        optimade.entry(server.url, "x")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("species", "mass"),
    [
        ({"chemical_symbols": ["D"]}, 2.014),
        ({"chemical_symbols": ["H"], "mass": [2.0141]}, 2.014),
        ({"chemical_symbols": ["H"], "mass": [1.0079]}, None),
        ({"chemical_symbols": ["H"]}, None),
    ],
)
def test_isotopes_of_an_answer_are_kept(server: Any, species: Any, mass: float | None) -> None:
    known = [{"name": "h", "concentration": [1.0], **species}]
    answer = bare(species=known, species_at_sites=["h", "h"])
    server.answer = lambda url: (200, answer)
    atoms = optimade.entry(server.url, "x").atoms
    assert set(atoms.symbols) == {"H"}
    assert atoms.has("masses") == (mass is not None)
    if mass is not None:
        assert atoms.get_masses() == pytest.approx([mass, mass], abs=1e-3)


def test_the_least_answer_is_enough(server: Any) -> None:
    server.answer = lambda url: (200, bare(species=None))
    same(optimade.entry(server.url, "x").atoms, silicon())


def test_silence_and_no_network_are_said_in_one_line(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phonsmith.files.sources.TIMEOUT_S", 0.2)
    server.answer, server.delay = lambda url: (200, bare()), 0.6
    with pytest.raises(PhonsmithError, match=r"download failed \(.*timed out.*check the address"):
        optimade.entry(server.url, "x")
    with pytest.raises(PhonsmithError, match="download failed"):
        optimade.entry("http://127.0.0.1:9", "x")


def test_pages_that_go_round_or_elsewhere_end(server: Any) -> None:
    server.answer = lambda url: (200, {"data": [], "links": {"next": {"href": "?again"}}})
    with pytest.raises(PhonsmithError, match="endless pages"):
        list(optimade.entries(server.url, "Si"))
    server.answer = lambda url: (200, {"data": [], "links": {"next": "file:///etc/hostname"}})
    with pytest.raises(PhonsmithError, match="not a web address"):
        list(optimade.entries(server.url, "Si"))


@pytest.mark.parametrize(
    ("structure", "words"),
    [
        ({}, "give `file`, `materials_project`"),
        ({"file": "a", "materials_project": "mp-1"}, "exclude each other"),
        ({"materials_project": "149"}, "pattern"),
        ({"optimade": {"id": "1"}}, "either `provider` or `base_url`"),
        ({"optimade": {"id": "1", "base_url": "ftp://a"}}, "pattern"),
    ],
)
def test_one_origin_is_asked_for(structure: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Structure.model_validate(structure)
