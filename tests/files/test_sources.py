"""Files of public data sets: mirror, cache, web."""

import hashlib
import importlib
import multiprocessing
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.reading_writing import alone
from phonsmith.files.settings import Source
from phonsmith.files.sources import Places, download, find_in_mirrors, locate, sha256_of
from phonsmith.fits.mace.settings import Foundation

CONTENT = b"forces of one displaced cell\n"
SHA = hashlib.sha256(CONTENT).hexdigest()


class Quiet(SimpleHTTPRequestHandler):
    requests = 0

    def do_GET(self) -> None:
        Quiet.requests += 1
        super().do_GET()

    def log_message(self, *arguments: object) -> None:
        pass


class Cut(Quiet):
    """Promises more than it sends."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(CONTENT)


def serve(handler: object) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)  # type: ignore[arg-type]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "web" / "sub folder"
    folder.mkdir(parents=True)
    (folder / "a.yaml").write_bytes(CONTENT)
    Quiet.requests = 0
    yield from serve(partial(Quiet, directory=tmp_path / "web"))


@pytest.fixture
def cutting() -> Iterator[str]:
    yield from serve(Cut)


def source(url: str | None = None, sha: str = SHA) -> Source:
    return Source(name="set", url=url, files={"sub folder/a.yaml": sha})


def put(folder: Path, content: bytes = CONTENT) -> Path:
    path = folder / "set" / "sub folder" / "a.yaml"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def test_sha256_is_that_of_the_standard(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_of(tmp_path / "abc") == expected


def test_the_first_mirror_that_has_the_file_wins(tmp_path: Path, web: str) -> None:
    path = put(tmp_path / "two")
    mirrors = [tmp_path / "one", tmp_path / "two", tmp_path / "three"]
    put(tmp_path / "three", b"other")
    assert locate(source(web), "sub folder/a.yaml", Places(mirrors, tmp_path / "cache")) == path
    assert find_in_mirrors(source(), "sub folder/a.yaml", mirrors) == path
    assert find_in_mirrors(source(), "sub folder/a.yaml", []) is None
    assert not (tmp_path / "cache").exists()
    assert Quiet.requests == 0


def test_a_mirror_with_another_file_is_an_error_that_names_both_sums(tmp_path: Path) -> None:
    put(tmp_path / "mirror", b"other")
    with pytest.raises(PhonsmithError, match="checksum differs") as caught:
        locate(source(), "sub folder/a.yaml", Places([tmp_path / "mirror"], tmp_path / "cache"))
    assert SHA in str(caught.value)
    assert hashlib.sha256(b"other").hexdigest() in str(caught.value)


def test_a_download_is_kept_and_not_repeated(tmp_path: Path, web: str) -> None:
    for _ in range(2):
        path = locate(source(web), "sub folder/a.yaml", Places([tmp_path], tmp_path / "cache"))
        assert path.read_bytes() == CONTENT
    assert path == tmp_path / "cache" / "set" / "sub folder" / "a.yaml"
    assert Quiet.requests == 1
    assert [one.name for one in path.parent.iterdir()] == ["a.yaml"]


def test_a_file_may_be_named_after_its_folder_on_the_web(tmp_path: Path, web: str) -> None:
    """An address with {stem}: the file sub.yaml of the set is …/sub folder/a.yaml on the web."""
    known = Source(name="set", url=f"{web}{{stem}}%20folder/a.yaml", files={"sub.yaml": SHA})
    path = locate(known, "sub.yaml", Places(cache=tmp_path / "cache"))
    assert path == tmp_path / "cache/set/sub.yaml"
    assert path.read_bytes() == CONTENT


def test_a_damaged_cache_is_mended(tmp_path: Path, web: str) -> None:
    put(tmp_path / "cache", b"half")
    path = locate(source(web), "sub folder/a.yaml", Places(cache=tmp_path / "cache"))
    assert path.read_bytes() == CONTENT


def test_a_download_with_another_checksum_leaves_nothing(tmp_path: Path, web: str) -> None:
    with pytest.raises(PhonsmithError, match="checksum differs"):
        locate(source(web, "0" * 64), "sub folder/a.yaml", Places(cache=tmp_path / "cache"))
    assert list((tmp_path / "cache" / "set" / "sub folder").iterdir()) == []


def test_a_cut_download_leaves_nothing(tmp_path: Path, cutting: str) -> None:
    with pytest.raises(PhonsmithError):
        locate(source(cutting, "0" * 64), "sub folder/a.yaml", Places(cache=tmp_path / "cache"))
    assert list((tmp_path / "cache" / "set" / "sub folder").iterdir()) == []


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (None, "not found in any mirror folder .* add `url`"),
        ("http://127.0.0.1:9/", "download failed .*mirror folder"),
        ("http://no-such-host.invalid/x", "download failed .*mirror folder"),
    ],
)
def test_what_is_nowhere_is_said_in_one_line(tmp_path: Path, url: str | None, message: str) -> None:
    with pytest.raises(PhonsmithError, match=message) as caught:
        locate(source(url), "sub folder/a.yaml", Places([tmp_path], tmp_path / "cache"))
    assert "\n" not in str(caught.value)


class Slow(Quiet):
    """Sends a file in two halves, with a pause."""

    def do_GET(self) -> None:
        Quiet.requests += 1
        self.send_response(200)
        self.send_header("Content-Length", str(2 * len(CONTENT)))
        self.end_headers()
        for _ in range(2):
            self.wfile.write(CONTENT)
            self.wfile.flush()
            time.sleep(0.7)


@pytest.fixture
def slow() -> Iterator[str]:
    Quiet.requests = 0
    yield from serve(Slow)


TWICE = hashlib.sha256(2 * CONTENT).hexdigest()


def ask(kind: str, url: str, cache: str, start: Any, queue: Any) -> None:
    """Fetch a file as one of several processes; tell the checksum of what was found."""
    if kind == "source":
        known = Source(name="set", url=url, files={"a": TWICE})
        find = partial(locate, known, "a", Places(cache=cache))
    else:
        mace: Any = ModuleType("mace.calculators")  # it takes ten seconds to import
        mace.foundations_models = SimpleNamespace(
            mace_mp_urls={"medium-0b3": f"{url}a.model"}, get_cache_dir=lambda: Path(cache)
        )
        sys.modules |= {"mace": ModuleType("mace"), "mace.calculators": mace}
        foundation = importlib.import_module("phonsmith.fits.mace.foundation")
        find = partial(foundation.find, Foundation(model="medium-0b3"))
    start.wait()
    try:
        queue.put(sha256_of(find()))
    except BaseException as error:
        queue.put(repr(error))


@pytest.mark.parametrize("kind", ["source", "name"])
def test_processes_that_want_one_file_get_it_once_and_whole(
    tmp_path: Path, slow: str, kind: str
) -> None:
    context = multiprocessing.get_context("spawn")
    start, queue = context.Barrier(2), context.Queue()
    asking = [
        context.Process(target=ask, args=(kind, slow, str(tmp_path), start, queue))
        for _ in range(2)
    ]
    for one in asking:
        one.start()
    found = [queue.get(timeout=600) for _ in asking]
    for one in asking:
        one.join()
    assert found == [TWICE, TWICE]
    assert Quiet.requests == 1
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


def test_a_lock_is_free_once_its_process_is_killed(tmp_path: Path) -> None:
    code = "import sys, time; from phonsmith.files.reading_writing import alone\n"
    code += "with alone(sys.argv[1]): print('held', flush=True); time.sleep(60)"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "a")], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    holder.kill()
    holder.wait()
    with alone(tmp_path / "a"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_download_without_checksum_that_is_cut_off_leaves_nothing(
    tmp_path: Path, cutting: str
) -> None:
    with pytest.raises(PhonsmithError, match="cut off after 29 of 1000 bytes"):
        download(f"{cutting}a", tmp_path / "a", None)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_page_is_an_error(tmp_path: Path, web: str) -> None:
    with pytest.raises(PhonsmithError, match="404"):
        locate(source(web + "absent"), "sub folder/a.yaml", Places(cache=tmp_path / "cache"))


def test_a_file_that_is_not_listed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PhonsmithError, match="not in its `files`"):
        locate(source(), "b.yaml", Places([tmp_path], tmp_path))
