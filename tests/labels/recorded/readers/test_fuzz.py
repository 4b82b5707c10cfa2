"""Damaged files of others give labels, recorded failures or one clear error; never a traceback.

``PHONSMITH_FUZZ=2000`` runs that many examples for each reader instead of some.
"""

import gzip
import lzma
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import numpy as np
import pytest

from phonsmith.files.errors import PhonsmithError
from phonsmith.labels.failed import LabelFailed
from phonsmith.labels.recorded.readers.pw import read_pw
from phonsmith.labels.recorded.reading import read_recorded

EXAMPLES = int(os.environ.get("PHONSMITH_FUZZ", "25"))
LARGEST_SEED = 400_000
LIMIT_S = 60

SEEDS = {
    "extxyz": ["real-inputs/extxyz-*.xyz"],
    "mlearn": ["si-mlearn-vasp/test.json"],
    "vasprun": ["sn-alpha-vasp/**/vasprun*", "vasp-failures/**/vasprun*", "real-inputs/vasp/vas*"],
    "outcar": ["sn-alpha-vasp/**/OUTCAR*", "real-inputs/vasp/OUTCAR*"],
    "phonopy": ["si-castep/24_phonopy.yaml", "real-inputs/phonopy-*.yaml"],
    "pw": ["qe-outputs/**/*.out", "qe-outputs/**/*.xml"],
}


def content_of(path: Path) -> bytes:
    opener = {".gz": gzip.open, ".xz": lzma.open, ".lzma": lzma.open}.get(path.suffix)
    if opener is None:
        return path.read_bytes()
    with opener(path, "rb") as stream:
        return bytes(stream.read())


def seeds_of(shared_data: Path, format: str) -> list[bytes]:
    paths = sorted(path for glob in SEEDS[format] for path in shared_data.glob(glob))
    contents = [content_of(path) for path in paths if path.is_file()]
    found = [content for content in contents if len(content) <= LARGEST_SEED]
    if not found:
        pytest.skip(f"no small file for {format}")
    return found


def damaged(seeds: list[bytes], rng: np.random.Generator) -> bytes:
    """One seed that is cut, flipped, doubled, or joined with another."""
    first, second = (seeds[int(rng.integers(len(seeds)))] for _ in range(2))
    content = bytearray(first)

    def somewhere() -> int:
        return int(rng.integers(len(content) + 1))

    for _ in range(int(rng.integers(1, 4))):
        match int(rng.integers(6)):
            case 0:
                del content[somewhere() :]
            case 1:
                for _ in range(int(rng.integers(1, 20))):
                    if content:
                        content[somewhere() - 1] ^= 1 << int(rng.integers(8))
            case 2:
                start = somewhere()
                del content[start : start + int(rng.integers(1, 5000))]
            case 3:
                start = somewhere()
                content[start:start] = content[start : start + int(rng.integers(1, 5000))]
            case 4:
                content = bytearray(content[: somewhere()] + second[int(rng.integers(1000)) :])
            case 5:
                words = [b"nan", b"********", b"1e999", b"-1", b"\x00", b"999999999999", b"T"]
                start = somewhere()
                content[start : start + 8] = words[int(rng.integers(len(words)))]
    return bytes(content)


@contextmanager
def within(seconds: int) -> Iterator[None]:
    def too_long(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def read_pw_file(path: Path) -> None:
    text = path.read_bytes().decode(errors="replace")
    read_pw(text, path, 1e-6)


NAMES = {"vasprun": "vasprun.xml", "outcar": "OUTCAR", "mlearn": "a.json", "phonopy": "a.yaml"}


@pytest.mark.parametrize("format", SEEDS)
def test_a_damaged_file_gives_labels_or_one_line(
    shared_data: Path, tmp_path: Path, format: str
) -> None:
    seeds = seeds_of(shared_data, format)
    rng = np.random.default_rng(20261129)
    path = tmp_path / NAMES.get(format, "a.xyz")
    reader: Callable[[], object] = (
        (lambda: read_pw_file(path))
        if format == "pw"
        else (lambda: read_recorded(path, format, "x"))
    )
    read = refused = 0
    for number in range(EXAMPLES):
        path.write_bytes(damaged(seeds, rng))
        try:
            with within(LIMIT_S), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                reader()
            read += 1
        except (PhonsmithError, LabelFailed) as error:
            refused += 1
            assert len(str(error).splitlines()) == 1, (number, str(error))
        except Exception:
            (tmp_path / f"traceback-{number}").write_bytes(path.read_bytes())
            raise
    print(f"{format}: {read} read, {refused} refused")
    assert read + refused == EXAMPLES
