"""A real OPTIMADE server, and a server that answers as a test wants."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pymatgen.core import Structure as PymatgenStructure
from pymatgen.io.ase import AseAtomsAdaptor

from phonsmith.structures.reading import read_structure
from tests.structures.databases.examples import (
    GALLIA,
    KEY,
    MIXED,
    MP_149,
    RENAMED,
    document,
    resource,
    silicon,
)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are written below the working directory; no key comes from the machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MP_API_KEY", raising=False)


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
