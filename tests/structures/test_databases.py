"""Crystals from databases, against a real OPTIMADE server and answers of the Materials Project."""

import hashlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pandas as pd
import pytest
import yaml
from ase import Atoms
from ase.build import bulk
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure as PymatgenStructure
from pymatgen.io.ase import AseAtomsAdaptor

from phonsmith.campaign.reading import load_campaign
from phonsmith.check.inputs import check_inputs
from phonsmith.files.errors import PhonsmithError, UnusablePotential
from phonsmith.files.extxyz import read_frames
from phonsmith.labels.failed import LabelFailed
from phonsmith.labels.reference_crystal import reference_crystal
from phonsmith.potentials.calculators import make_calculator
from phonsmith.potentials.settings import PotentialSource
from phonsmith.structures.candidates import main as choose_candidates
from phonsmith.structures.databases import optimade
from phonsmith.structures.databases.addresses import fetched_path, structure_at
from phonsmith.structures.databases.entries import Entry
from phonsmith.structures.databases.fetching import fetch
from phonsmith.structures.databases.materials_project import entries as mp_entries
from phonsmith.structures.databases.materials_project import entry as mp_entry
from phonsmith.structures.reading import read_structure
from phonsmith.structures.relaxation import (
    FREE,
    Load,
    RelaxationResult,
    crystal_as_given,
    relaxed_crystal,
)
from phonsmith.structures.settings import OptimadeEntry, Relaxation, Structure
from phonsmith.structures.verdicts import Verdict, refuse, require_accepted, why_left_out

SNAKEMAKE = Path(sys.executable).with_name("snakemake")
KEY = "k" * 32


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are written below the working directory; no key comes from the machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MP_API_KEY", raising=False)


# --- a database that speaks OPTIMADE ---------------------------------------------------------

HULL = "_exmpl_hull"
GALLIA = Atoms(  # triclinic on purpose, elements in no order
    "OGaOGaO",
    scaled_positions=[
        (0, 0, 0),
        (0.31, 0.47, 0.2),
        (0.6, 0.1, 0.7),
        (0.8, 0.8, 0.4),
        (0.2, 0.9, 0.6),
    ],
    cell=[(5.1, 0, 0), (0.7, 4.9, 0), (0.3, -0.6, 5.3)],
    pbc=True,
)


def resource(id: str, atoms: Atoms, **attributes: Any) -> dict[str, Any]:
    """An entry as the OPTIMADE consortium's own converter makes it of a crystal."""
    from optimade.adapters.structures.ase import from_ase_atoms

    made = json.loads(from_ase_atoms(atoms).model_dump_json())
    made |= {"last_modified": "2025-01-02T03:04:05Z", **attributes}
    return {"type": "structures", "id": id, "attributes": made}


def silicon(a: float = 5.43) -> Atoms:
    return bulk("Si", "diamond", a)


MIXED = [{"name": "Si", "chemical_symbols": ["Si", "Ge"], "concentration": [0.5, 0.5]}]
RENAMED = [{"name": "left", "chemical_symbols": ["Si"], "concentration": [1.0]}]


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a running server of the `optimade` package: 45 silicon crystals, and odd ones."""
    import uvicorn
    from optimade.server.config import ServerConfig
    from optimade.server.create_app import create_app

    left_handed = silicon()
    left_handed.set_cell(left_handed.cell[[1, 0, 2]])
    rows = [
        resource("group/gallia", GALLIA),
        resource("mixed", silicon(), species=MIXED, structure_features=["disorder"]),
        resource("renamed", silicon(), species=RENAMED, species_at_sites=["left", "left"]),
        resource("left-handed", left_handed),
        resource("layer", silicon(), dimension_types=[1, 1, 0], nperiodic_dimensions=2),
        *(resource(f"si-{i:02}", silicon(5.4 + i / 1000), hull=i / 100) for i in range(41)),
    ]
    folder = tmp_path_factory.mktemp("optimade")
    header = {"x-optimade": {"meta": {"api_version": "1.1.0"}}}
    file = folder / "entries.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in [header, *rows]))
    config = ServerConfig(
        insert_test_data=False,
        insert_from_jsonl=file,
        log_dir=folder,
        provider_fields={"structures": ["hull"]},
    )
    door = socket.socket()
    door.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(config), log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [door]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{door.getsockname()[1]}"
    server.should_exit = True
    thread.join()


def same(found: Atoms, original: Atoms) -> None:
    """The crystals are one: by pymatgen's matcher, in size, and atom by atom in element."""
    pair = [AseAtomsAdaptor.get_structure(one) for one in (found, original)]
    assert StructureMatcher(primitive_cell=False, scale=False).fit(*pair)
    assert found.get_volume() / len(found) == pytest.approx(
        original.get_volume() / len(original), abs=1e-6
    )
    assert found.get_chemical_symbols() == original.get_chemical_symbols()


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
        ("nothing", "there is no entry 'nothing'"),
        ("mixed", "partly occupied"),
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
    with pytest.raises(PhonsmithError, match=r"no provider 'oqdm'.*oqmd"):
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


# --- servers that fail -------------------------------------------------------------------------


class Answering(BaseHTTPRequestHandler):
    """Gives the answer set on the server, after its delay."""

    def do_GET(self) -> None:
        server: Any = self.server
        server.asked.append((self.path, dict(self.headers)))
        time.sleep(server.delay)
        status, body = server.answer(urlsplit(self.path))
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Any]:
    one: Any = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    one.asked, one.delay, one.url = [], 0.0, f"http://127.0.0.1:{one.server_address[1]}"
    threading.Thread(target=one.serve_forever, daemon=True).start()
    yield one
    one.shutdown()
    one.server_close()


def bare(**changes: Any) -> dict[str, Any]:
    """A response with nothing but what has to be there."""
    made = resource("x", silicon())["attributes"]
    keys = (
        *("lattice_vectors", "cartesian_site_positions", "species_at_sites", "species"),
        "dimension_types",
    )
    attributes = {key: made[key] for key in keys} | changes
    return {"data": {"id": "x", "type": "structures", "attributes": attributes}, "meta": {}}


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (500, {"errors": []}, "500 Internal Server Error; check address"),
        (404, {"errors": []}, "no entry 'x'"),
        (200, b"<html>", "not OPTIMADE"),
        (200, {"meta": {}}, "not OPTIMADE"),
        (200, {"data": []}, "no entry 'x'"),
        (200, bare(lattice_vectors=None), "lacks lattice_vectors"),
        (200, bare(cartesian_site_positions=None), "lacks cartesian_site_positions"),
        (200, bare(species_at_sites=None), "lacks species_at_sites"),
        (200, bare(dimension_types=None), "lacks dimension_types"),
        (200, bare(dimension_types=None, nperiodic_dimensions=0), "periodic in 0 of 3"),
        (200, bare(dimension_types=[0, 0, 1]), "periodic in 1 of 3"),
        (200, bare(structure_features=["implicit_atoms"]), "without positions"),
        (200, bare(species=[{**MIXED[0], "chemical_symbols": ["Si", "vacancy"]}]), "occupied"),
        (200, bare(species=[{**RENAMED[0], "concentration": [0.9]}]), "partly occupied"),
        (200, bare(species=[{**RENAMED[0], "attached": ["H"]}]), "partly occupied"),
        (200, bare(species=None, species_at_sites=["X", "Si"]), "'X' is no element"),
        (200, bare(species=None, species_at_sites=["Si1", "Si"]), "'Si1' is no element"),
        (
            200,
            bare(species=[{**RENAMED[0], "name": "Si", "chemical_symbols": ["vacancy"]}]),
            "'vacancy' is no element; choose an entry without vacancies",
        ),
        (
            200,
            bare(species=[{**RENAMED[0], "name": "Si", "concentration": ["much"]}]),
            "of another form than OPTIMADE's",
        ),
        (200, bare(species=["Si"]), "of another form than OPTIMADE's"),
        (200, bare(dimension_types=["a"]), "of another form than OPTIMADE's"),
        (200, bare(lattice_vectors=[[0.05, 0, 0], [0, 0.05, 0], [0, 0, 0.05]]), "have to be in Å"),
        (200, bare(cartesian_site_positions=[[0, 0, 0]]), "not those of 2 atoms"),
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
    with pytest.raises(PhonsmithError, match=r"cannot be fetched \(.*timed out.*check address"):
        optimade.entry(server.url, "x")
    with pytest.raises(PhonsmithError, match="cannot be fetched"):
        optimade.entry("http://127.0.0.1:9", "x")


def test_pages_that_go_round_or_elsewhere_end(server: Any) -> None:
    server.answer = lambda url: (200, {"data": [], "links": {"next": {"href": "?again"}}})
    with pytest.raises(PhonsmithError, match="pages have no end"):
        list(optimade.entries(server.url, "Si"))
    server.answer = lambda url: (200, {"data": [], "links": {"next": "file:///etc/hostname"}})
    with pytest.raises(PhonsmithError, match="no web address"):
        list(optimade.entries(server.url, "Si"))


# --- the Materials Project -----------------------------------------------------------------------


def document(id: str, structure: PymatgenStructure, hull: float, **more: Any) -> dict[str, Any]:
    """A document of materials/summary as api.materialsproject.org gives it."""
    return {
        "material_id": id,
        "structure": structure.as_dict(),
        "energy_above_hull": hull,
        "deprecated": False,
        "deprecation_reasons": None,
        **more,
    }


# mp-149 as the interface gave it in October 2022
MP_149 = PymatgenStructure(
    [(0.0, 2.73436, 2.73436), (2.73436, 0.0, 2.73436), (2.73436, 2.73436, 0.0)],
    ["Si", "Si"],
    [(0.25, 0.25, 0.25), (0.0, 0.0, 0.0)],
    site_properties={"magmom": [0.0, 0.0]},
)


@pytest.fixture
def materials_project(server: Any, monkeypatch: pytest.MonkeyPatch, repository: Path) -> Any:
    """A server with the addresses, filters and answers of api.materialsproject.org."""
    monkeypatch.setenv("MP_API_ENDPOINT", server.url)
    monkeypatch.setenv("MP_API_KEY", KEY)
    folder = repository / "config/structures/silicon"
    crystals = {
        id: AseAtomsAdaptor.get_structure(read_structure(folder / f"{id}.vasp"))
        for id in ("mp-165", "mp-1203790", "mp-999200", "mp-571520")
    }
    disordered = PymatgenStructure(MP_149.lattice, [{"Si": 0.5, "Ge": 0.5}] * 2, MP_149.frac_coords)
    documents = [
        document("mp-149", MP_149, 0.0),
        document("mp-165", crystals["mp-165"], 0.0106),
        document("mp-1203790", crystals["mp-1203790"], 0.0561),
        document("mp-999200", crystals["mp-999200"], 0.35),
        document("mp-571520", crystals["mp-571520"], 0.0962),
        document("mp-1", MP_149, 0.0, deprecated=True, deprecation_reasons=["Mixed occupation"]),
        document("mp-2", disordered, 0.0, chemsys="Ge-Si"),
    ]

    def answer(url: Any) -> tuple[int, Any]:
        query = {key: value[0] for key, value in parse_qs(url.query).items()}
        if url.path == "/heartbeat":
            return 200, {"status": "OK", "db_version": "2025_09_25"}
        if server.asked[-1][1].get("x-api-key") != KEY:
            return 403, {"message": "Invalid authentication credentials"}
        if url.path == "/materials/core/":
            found = [{"material_id": "mp-149"}] if query.get("task_ids") == "mp-656511" else []
            return 200, {"data": found, "meta": {"total_doc": len(found)}}
        assert url.path == "/materials/summary/"
        found = [
            one for one in documents if query.get("deprecated") != "False" or not one["deprecated"]
        ]
        if "material_ids" in query:
            found = [one for one in found if one["material_id"] == query["material_ids"]]
        if "chemsys" in query:
            systems = query["chemsys"].split(",")
            found = [one for one in found if one.get("chemsys", "Si") in systems]
        return 200, {"data": found, "meta": {"total_doc": len(found), "api_version": "0.84"}}

    server.answer = answer
    return server


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
        ("mp-656511", "mp-656511 is mp-149 now"),
        ("mp-99999", "there is no mp-99999"),
        ("mp-2", "mp-2: has partly occupied sites"),
    ],
)
def test_an_id_of_no_use_is_said_in_one_line(materials_project: Any, id: str, words: str) -> None:
    with pytest.raises(PhonsmithError, match=words):
        mp_entry(id)


def test_no_key_a_wrong_key_and_no_network(
    materials_project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MP_API_KEY", "x" * 32)
    with pytest.raises(PhonsmithError, match="refuses the key in MP_API_KEY") as refused:
        mp_entry("mp-149")
    assert "x" * 32 not in str(refused.value)
    monkeypatch.setenv("MP_API_KEY", "old-key")
    with pytest.raises(PhonsmithError, match="what MP_API_KEY holds is no key"):
        mp_entry("mp-149")
    monkeypatch.delenv("MP_API_KEY")
    with pytest.raises(PhonsmithError, match="no key; set the environment variable MP_API_KEY"):
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


# --- candidates -----------------------------------------------------------------------


def test_candidates_are_low_small_and_stay_themselves(
    materials_project: Any, repository: Path
) -> None:
    arguments = [
        *("config/structures/si.yaml", "--chemical-system", "Si"),
        *("--max-energy-above-hull", "0.1", "--min-length", "6", "--min-atoms", "8"),
        *("--max-atoms", "64", "--relax-with", "stillinger-weber"),
    ]
    choose_candidates(arguments)
    table = pd.read_csv("config/structures/si.csv", index_col="id", keep_default_na=False)
    assert list(table.index) == ["mp-149", "mp-165", "mp-1203790", "mp-571520", "mp-999200"]
    assert list(table.energy_above_hull_ev_per_atom) == [0.0, 0.0106, 0.0561, 0.0962, 0.35]
    assert list(table.space_group) == ["Fd-3m", "P6_3/mmc", "P6_3/mmc", "R-3", "I4/mmm"]
    kept = table[table.kept]
    assert list(kept.index) == ["mp-149", "mp-165"]
    assert (kept.reason == "").all()
    assert "0.350 eV/atom above the hull, more than 0.1" in table.reason["mp-999200"]
    assert "max_atoms" in table.reason["mp-1203790"]  # 68 atoms in the cell alone
    assert "became another structure" in table.reason["mp-571520"]
    # a = 5.47 Å is too short, so that the first cubic one is of 2 x 2 x 2 conventional cells
    assert int(table.atoms_in_supercell["mp-149"]) == 64
    written = yaml.safe_load(Path("config/structures/si.yaml").read_text())
    assert written == {"structures": {id: {"materials_project": id} for id in kept.index}}
    files = {one.stem for one in Path("config/structures/fetched").rglob("*.extxyz")}
    assert files == set(kept.index)


def test_stillinger_weber_turns_r8_into_bc8(repository: Path) -> None:
    """What the word of the choice, and of on_change, stands for: R8 is BC8 after relaxation."""
    folder = repository / "config/structures/silicon"
    calculator = make_calculator(PotentialSource(calculator="stillinger-weber"))
    start = {id: read_structure(folder / f"{id}.vasp") for id in ("mp-571520", "mp-168")}
    end = {id: relaxed_crystal(one, calculator, Relaxation()) for id, one in start.items()}
    assert end["mp-571520"][1].lost
    assert not end["mp-168"][1].lost
    matcher = StructureMatcher(ltol=0.05, stol=0.05, angle_tol=2)
    to_pymatgen = AseAtomsAdaptor.get_structure
    assert not matcher.fit(*(to_pymatgen(one) for one in start.values()))
    assert matcher.fit(*(to_pymatgen(one) for one, _ in end.values()))


def test_a_campaign_takes_the_list(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    choose_candidates(
        [
            *("config/structures/si.yaml", "--chemical-system", "Si", "--base-url", database),
            *("--hull-key", HULL, "--max-energy-above-hull", "0.02"),
            *("--min-length", "6", "--min-atoms", "8"),
        ]
    )
    campaign = {
        "structures_from": "config/structures/si.yaml",
        "structures": {"si-00": {"file": "own.vasp"}},
        "reference": {"method": "calculator", "potential": {"calculator": "stillinger-weber"}},
        "fits": {"gap": {"kind": "gap", "soap": {"n_sparse": 10}}},
    }
    silicon().write("own.vasp")
    Path("c.yaml").write_text(yaml.safe_dump(campaign))
    loaded = load_campaign("c.yaml")
    # those without an energy (renamed, left-handed) and the higher ones are not there
    assert sorted(loaded.structures) == ["si-00", "si-01", "si-02"]
    assert loaded.structures["si-00"].file == "own.vasp"
    check_inputs(loaded, "c.yaml", [])
    paths = [fetched_path(one) for one in loaded.structures.values()]
    assert [path.exists() for path in paths if path] == [True, True]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "structures_from: list.yaml: no such list"),
        ("[1]", "mapping of keys"),
        ("structures: [a]", "a mapping of ids"),
        ("structures: {}", "give at least one"),
        ("structures: {a: {files: x}}", "structures.a.files: unknown key"),
    ],
)
def test_a_faulty_list_is_said_in_one_line(text: str | None, words: str) -> None:
    if text is not None:
        Path("list.yaml").write_text(text)
    campaign = {
        "structures_from": ["list.yaml"],
        "reference": {"method": "calculator", "potential": {"calculator": "stillinger-weber"}},
        "fits": {"gap": {"kind": "gap", "soap": {"n_sparse": 10}}},
    }
    Path("c.yaml").write_text(yaml.safe_dump(campaign))
    with pytest.raises(PhonsmithError, match=words):
        load_campaign("c.yaml")


def test_nothing_kept_says_where_the_reasons_stand(
    materials_project: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        choose_candidates(["si.yaml", "--chemical-system", "Si", "--max-energy-above-hull", "-1"])
    assert ended.value.code == 1
    told = "phonsmith: si.yaml: none of 5 crystals is kept; si.csv says why"
    assert told in capsys.readouterr().err
    assert not Path("si.yaml").exists()


# --- campaigns -----------------------------------------------------------------------


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


SW = {"method": "calculator", "potential": {"calculator": "stillinger-weber"}}


def tiny(structures: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Phonons of the reference alone, small."""
    return {
        "structures": structures,
        "reference": SW,
        "supercells": {
            **{"kinds": ["displaced"], "min_length_angstrom": 6.0},
            **{"min_atoms": 8, "max_atoms": 70},
        },
        "fits": {"itself": {"kind": "existing", "potential": SW["potential"]}},
        "phonons": {"points_per_segment": 3, "mesh_length_angstrom": 10, "cells": ["relaxed"]},
        "figures": {"formats": ["svg"]},
        **more,
    }


def snakemake(repository: Path, campaign: dict[str, Any], *arguments: str) -> Any:
    Path("config/campaigns").mkdir(parents=True, exist_ok=True)
    Path("config/campaigns/tiny.yaml").write_text(yaml.safe_dump(campaign))
    Path("config/config.yaml").write_text(yaml.safe_dump({"campaigns": ["tiny"]}))
    command = [SNAKEMAKE, "--snakefile", repository / "Snakefile", "--cores", "1"]
    command += ["--profile", repository / "profiles/local", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_a_campaign_fetches_once_and_a_dry_run_never(server: Any, repository: Path) -> None:
    server.answer = lambda url: (200, bare())
    campaign = tiny({"si": {"optimade": {"base_url": server.url, "id": "x"}}})
    target = "results/tiny/structures/si.extxyz"
    dry = snakemake(repository, campaign, "--dry-run", target)
    assert dry.returncode == 0, dry.stderr
    assert "fetching crystal x" in dry.stdout + dry.stderr
    assert server.asked == []
    run = snakemake(repository, campaign, target)
    assert run.returncode == 0, run.stderr
    assert len(server.asked) == 1
    (path,) = Path("config/structures/fetched").rglob("*.extxyz")
    same(read_structure(path), silicon())
    # the database moves on or is gone: nothing is asked for again
    server.answer = lambda url: (500, {})
    Path("results/tiny/structures/si.extxyz").unlink()
    again = snakemake(repository, campaign, target)
    assert again.returncode == 0, again.stderr
    assert len(server.asked) == 1


def test_a_committed_crystal_needs_neither_network_nor_key(repository: Path) -> None:
    path = fetched_path(Structure(materials_project="mp-149"))
    assert path is not None
    path.parent.mkdir(parents=True)
    silicon().write(path)
    campaign = tiny({"si": {"materials_project": "mp-149"}})
    run = snakemake(repository, campaign, "results/tiny/structures/si.extxyz")
    assert run.returncode == 0, run.stderr
    assert "fetch_crystal" not in run.stdout + run.stderr


def test_a_missing_key_is_said_before_any_job(repository: Path) -> None:
    run = snakemake(repository, tiny({"si": {"materials_project": "mp-149"}}), "--dry-run")
    said = [line for line in run.stderr.splitlines() if line.startswith("phonsmith: ")]
    assert run.returncode != 0
    assert len(said) == 1
    assert "structures.si.materials_project" in said[0]
    assert "MP_API_KEY" in said[0]


def test_recorded_data_are_fetched_by_a_job_of_their_own(
    server: Any, repository: Path, shared_data: Path
) -> None:
    """After it, nothing asks the web any more: the other jobs may run where there is none."""
    data = (shared_data / "si-castep/22_phonopy.yaml").read_bytes()
    server.answer = lambda url: (200, data) if url.path == "/set/a.yaml" else (404, {})
    source = {
        "name": "set",
        "url": f"{server.url}/set",
        "files": {"a.yaml": hashlib.sha256(data).hexdigest()},
    }
    campaign = tiny({"si": {"recorded": "a.yaml"}})
    campaign["reference"] = {
        "method": "recorded",
        "level_of_theory": "CASTEP PW91",
        "source": source,
    }
    del campaign["supercells"]
    run = snakemake(repository, campaign, "results/tiny/sources/si.json")
    assert run.returncode == 0, run.stderr
    assert [path for path, _ in server.asked] == ["/set/a.yaml"]
    listed = json.loads(Path("results/tiny/sources/si.json").read_text())
    assert listed == {"results/.sources/set/a.yaml": source["files"]["a.yaml"]}
    server.answer = lambda url: (500, {})
    run = snakemake(repository, campaign, "results/tiny/labels/gen0/si.extxyz")
    assert run.returncode == 0, run.stderr
    assert len(server.asked) == 1
    assert len(read_frames("results/tiny/labels/gen0/si.extxyz")) == 1


@pytest.mark.slow
def test_a_crystal_that_is_lost_is_left_out_and_the_campaign_goes_on(repository: Path) -> None:
    Path("config/structures").mkdir(parents=True)
    folder = repository / "config/structures/silicon"
    crystals = {id: {"file": str(folder / f"{id}.vasp")} for id in ("mp-149", "mp-571520")}
    campaign = tiny(
        crystals,
        relaxation={"on_change": "leave_out"},
        supercells={
            **{"min_length_angstrom": 6.0, "min_atoms": 8, "max_atoms": 70},
            "rattled": {"count": 5, "std_angstrom": 0.05},
        },
        datasets={"constraints": {"structures": list(crystals)}},
        benchmarks={"mechanics": True},
    )
    soap = {"n_sparse": 20, "n_max": 3, "l_max": 2, "cutoff_angstrom": 3.5}
    campaign["fits"]["gap"] = {"kind": "gap", "soap": soap}
    run = snakemake(repository, campaign)
    assert run.returncode == 0, run.stderr
    tables = Path("results/tiny/tables")
    structures = pd.read_csv(tables / "structures.csv", index_col="structure")
    assert dict(structures.left_out) == {"mp-149": False, "mp-571520": True}
    assert "became another structure" in structures.reason["mp-571520"]
    rmse = pd.read_csv(tables / "rmse.csv").set_index(["fit", "structure"])
    for fit in ("itself", "gap"):
        assert rmse.rmse_thz[fit, "mp-149"] >= 0
        assert np.isnan(rmse.rmse_thz[fit, "mp-571520"])
        assert rmse.reason[fit, "mp-571520"].startswith("left out: became another structure")
    learnt = read_frames("results/tiny/datasets/gen0/train.extxyz")
    kinds = {(one.info["structure"], one.info["kind"]) for one in learnt}
    assert {name for name, kind in kinds if kind != "isolated_atom"} == {"mp-149"}
    assert ("mp-149", "constraint") in kinds
    mechanics = pd.read_csv(tables / "mechanics.csv", index_col="structure")
    assert set(mechanics.reason["mp-571520"]) == set(rmse.reason.xs("mp-571520", level="structure"))
    again = snakemake(repository, campaign)
    assert "Nothing to be done" in again.stdout + again.stderr


class Failing:
    """A reference method whose relaxation ends as it is told."""

    name = "failing"

    def __init__(self, outcome: Exception | RelaxationResult) -> None:
        self.outcome = outcome

    def relax(self, atoms: Atoms, settings: Relaxation, load: Load = FREE) -> RelaxationResult:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (RelaxationResult(silicon(), False, 7, 0.2, -1.0), "not converged after 7 steps"),
        (LabelFailed("SCF does not converge"), "SCF does not converge"),
        (UnusablePotential("flies apart"), "flies apart"),
    ],
)
def test_what_the_reference_cannot_relax_is_lost(outcome: Any, reason: str) -> None:
    verdict = reference_crystal("si", silicon(), Failing(outcome), Relaxation())[1]  # type: ignore[arg-type]
    assert verdict.lost
    assert reason in verdict.reason
    require_accepted("si", verdict, "leave_out")
    assert reason in why_left_out(verdict, "leave_out")
    for policy in ("report", "stop"):
        assert not why_left_out(verdict, policy)
        with pytest.raises(PhonsmithError, match=f"structure si: .*{reason}.*leave_out"):
            require_accepted("si", verdict, policy)


def verdict_on(**changes: Any) -> Verdict:
    return replace(crystal_as_given(silicon(), Relaxation())[1], **changes)


@pytest.mark.parametrize(
    ("changes", "stopped_by"),
    [
        ({}, set()),
        ({"symmetry_kept": False, "reason": "space group changed"}, {"stop"}),
        ({"same_structure": False, "reason": "became another"}, {"stop"}),
        ({"converged": False, "reason": "not converged"}, {"stop", "report"}),
        ({"converged": False, "computed": False, "reason": "no SCF"}, {"stop", "report"}),
    ],
)
def test_one_gate_applies_the_policy(changes: dict[str, Any], stopped_by: set[str]) -> None:
    verdict = verdict_on(**changes)
    policies = ("stop", "report", "leave_out")
    assert {one for one in policies if refuse("si", verdict, one)} == stopped_by
    lost = not (verdict.converged and verdict.same_structure)
    assert {one for one in policies if why_left_out(verdict, one)} == (
        {"leave_out"} if lost else set()
    )


@pytest.mark.parametrize(
    ("changes", "max_steps", "policy", "again"),
    [
        ({}, 1000, "report", 0),  # converged: the limit does not matter
        ({"again": 2}, 1000, "stop", 2),
        ({"converged": False}, 500, "report", 0),
        ({"converged": False}, 400, "report", 0),
        ({"converged": False}, 501, "report", 1),
        ({"converged": False}, 501, "leave_out", 1),
        ({"converged": False, "computed": False}, 500, "report", 1),
        ({"converged": False, "computed": False, "again": 1}, 500, "stop", 2),
        ({"converged": False, "computed": False}, 500, "leave_out", 0),
        ({"converged": False, "computed": False}, 501, "leave_out", 1),
    ],
)
def test_when_a_relaxation_is_tried_again(
    changes: dict[str, Any], max_steps: int, policy: Any, again: int
) -> None:
    assert verdict_on(max_steps=500, **changes).tries_again(max_steps, policy) == again


def test_a_run_short_of_memory_fails_its_job_rather_than_leaving_the_crystal_out() -> None:
    short = Failing(LabelFailed("killed for memory", wants="memory"))
    with pytest.raises(PhonsmithError, match="structure si: killed for memory"):
        reference_crystal("si", silicon(), short, Relaxation(on_change="leave_out"))  # type: ignore[arg-type]
