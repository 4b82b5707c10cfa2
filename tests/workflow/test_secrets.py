"""The key of the Materials Project goes to its server and nowhere else."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pymatgen.core import Structure

from phonsmith.files.errors import PhonsmithError, TryAgain, without_secrets
from tests.project import Project

KEY = "Sec0ret9Key0That1Must2Not3Leak4x"
SILICON = Structure(
    [(0.0, 2.73436, 2.73436), (2.73436, 0.0, 2.73436), (2.73436, 2.73436, 0.0)],
    ["Si", "Si"],
    [(0.25, 0.25, 0.25), (0.0, 0.0, 0.0)],
)
CAMPAIGN = {
    "structures": {"si": {"materials_project": "mp-149"}},
    "reference": {"method": "calculator", "potential": {"calculator": "stillinger-weber"}},
    "fits": {"sw": {"kind": "existing", "potential": {"calculator": "stillinger-weber"}}},
}
TARGETS = ["results/c/structures/si.extxyz", "results/c/plan.md"]


class Telling(BaseHTTPRequestHandler):
    """A server that knows the key; where it fails, it sends everything back that it was sent."""

    def do_GET(self) -> None:
        server: Any = self.server
        server.keys.append(self.headers.get("x-api-key"))
        if server.status == 200:
            one = {"material_id": "mp-149", "structure": SILICON.as_dict(), "deprecated": False}
            answer = {"data": [one], "meta": {"total_doc": 1}, "db_version": "2025_09_25"}
        else:
            answer = {"detail": f"you said {dict(self.headers)}"}
        body = json.dumps(answer).encode()
        self.send_response(server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Any]:
    one: Any = ThreadingHTTPServer(("127.0.0.1", 0), Telling)
    one.keys = []
    threading.Thread(target=one.serve_forever, daemon=True).start()
    yield one
    one.shutdown()
    one.server_close()


def run(project: Project, server: Any) -> subprocess.CompletedProcess[str]:
    address = f"http://127.0.0.1:{server.server_address[1]}"
    return subprocess.run(
        project.command("--verbose", *TARGETS),
        env={**os.environ, "MP_API_KEY": KEY, "MP_API_ENDPOINT": address},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("status", [200, 500, 403])
def test_the_key_is_in_no_file_and_on_no_terminal(
    tmp_path: Path, repository: Path, server: Any, status: int
) -> None:
    server.status = status
    project = Project(tmp_path, repository, c=CAMPAIGN)
    (tmp_path / "config/structures").unlink()  # what is fetched is not for the repository
    finished = run(project, server)
    assert (finished.returncode == 0) == (status == 200), finished.stderr
    assert KEY in server.keys  # it was used
    assert KEY not in finished.stdout + finished.stderr
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".log" for path in files)
    assert any(".snakemake" in path.parts for path in files)
    for path in files:
        assert KEY.encode() not in path.read_bytes(), path


def test_an_error_blacks_the_key_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MP_API_KEY", KEY)
    for kind in (PhonsmithError, TryAgain):
        error = kind(f"the server says: no such key {KEY}; ask for another")
        assert str(error) == "the server says: no such key (MP_API_KEY); ask for another"
    monkeypatch.setenv("MP_API_KEY", " ")
    assert without_secrets("a b") == "a b"
