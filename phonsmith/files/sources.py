"""Files of data sets: from a folder of the user, or checksummed from mirror, cache or web."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.reading_writing import alone, replacing
from phonsmith.files.settings import Source

TIMEOUT_S = 60.0
CHUNK = 1 << 20
MOST_FILES = 100_000
STEM = "{stem}"
"""In the address of a data set: the name of a file without its suffix."""


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file as 64 hexadecimal digits."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@dataclass(frozen=True)
class Places:
    """Where files of data sets are.

    Attributes
    ----------
    mirrors
        Folders searched before downloading.
    cache
        Folder for downloaded files.
    """

    mirrors: Sequence[str | Path] = ()
    cache: str | Path = "sources"


DEFAULT_PLACES = Places()


def locate(source: Source, file: str, places: Places) -> Path:
    """Find or fetch one file of a data set and verify its checksum.

    A source with a ``folder`` has its files there. Otherwise these places are searched in turn:
    ``{mirror}/{source.name}/{file}`` of each mirror, ``{cache}/{source.name}/{file}``, and
    its :func:`address` on the web, which is kept in the cache. A damaged file in the cache is
    fetched again.

    Parameters
    ----------
    source
        Source of the data set.
    file
        Name of the file in the source.
    places
        Mirrors and cache.

    Returns
    -------
    Local path.

    Raises
    ------
    PhonsmithError
        The file is not part of the source, has another checksum, or is not available.
    """
    if file not in listed(source):
        raise PhonsmithError(f"source '{source.name}': '{file}' is not in its `files`")
    mirrored = find_in_mirrors(source, file, places.mirrors)
    if mirrored is not None:
        return mirrored
    expected = source.files[file]
    cached = Path(places.cache) / source.name / file
    if _is(cached, expected):
        return cached
    if source.url is None:
        folders = ", ".join(str(Path(mirror) / source.name) for mirror in places.mirrors)
        raise PhonsmithError(
            f"source '{source.name}': '{file}' not found in any mirror folder "
            f"({folders or 'none is set'}), and the source has no `url`; put the file there or add "
            "`url`"
        )
    with alone(cached):
        if not _is(cached, expected):  # another process may have been faster
            download(address(source.url, file), cached, expected)
    return cached


def address(url: str, file: str) -> str:
    """Return the address of a file of a data set from the ``url`` of its source."""
    if STEM in url:
        return url.replace(STEM, quote(PurePosixPath(file).stem))
    return f"{url.rstrip('/')}/{quote(file)}"


def _is(path: Path, sha256: str | None) -> bool:
    return path.is_file() and sha256_of(path) == sha256


def listed(source: Source) -> list[str]:
    """Return the names of the files of a data set; without a list, of all files in its folder.

    Raises
    ------
    PhonsmithError
        The folder is not there, or has more files than a data set.
    """
    if source.files or source.folder is None:
        return sorted(source.files)
    folder = Path(source.folder)
    if not folder.is_dir():
        raise PhonsmithError(
            f"source '{source.name}': {folder}: no such folder; correct `folder` (relative to the "
            "project)"
        )
    found = [path for path in islice(folder.rglob("*"), MOST_FILES + 1) if path.is_file()]
    if len(found) > MOST_FILES:
        raise PhonsmithError(
            f"source '{source.name}': {folder} contains more than {MOST_FILES} files; give a "
            "folder with the data only, or list the `files`"
        )
    return sorted(str(path.relative_to(folder)) for path in found)


def at_hand(source: Source, places: Places) -> bool:
    """Check whether all files of a data set are in a mirror or in the cache."""
    return all(
        find_in_mirrors(source, file, places.mirrors)
        or (Path(places.cache) / source.name / file).is_file()
        for file in listed(source)
    )


def find_in_mirrors(source: Source, file: str, mirrors: Sequence[str | Path]) -> Path | None:
    """Find a file of a data set in its folder or in the mirrors.

    Parameters
    ----------
    source
        Source of the data set; if it has a ``folder``, only this folder is searched.
    file
        Name of the file in the source.
    mirrors
        Mirrors, searched for ``{mirror}/{source.name}/{file}`` in this order.

    Returns
    -------
    Local path; None if no mirror has the file.

    Raises
    ------
    PhonsmithError
        The file has another checksum, or is missing in the folder of the source.
    """
    if source.folder is not None:
        path = Path(source.folder) / file
        if not path.is_file():
            raise PhonsmithError(
                f"source '{source.name}': {path}: no such file; correct `files` or `folder`"
            )
        _compare(path, source.files.get(file))
        return path
    for mirror in mirrors:
        path = Path(mirror) / source.name / file
        if path.is_file():
            _compare(path, source.files[file])
            return path
    return None


def _compare(path: Path, expected: str | None) -> None:
    """Whether a file has the checksum that is stated, if one is."""
    if expected is None:
        return
    found = sha256_of(path)
    if found != expected:
        raise PhonsmithError(
            f"{path}: checksum differs: SHA-256 is {found}, the campaign has {expected}; replace "
            "the file or correct the checksum"
        )


def download(url: str, target: Path, expected: str | None) -> None:
    """Download a file; it appears when it is complete and its checksum is verified.

    Hold :func:`phonsmith.files.reading_writing.alone` for the target, so that no two processes
    fetch it.

    Parameters
    ----------
    url
        Address of the file.
    target
        Local path.
    expected
        SHA-256, or None.

    Raises
    ------
    PhonsmithError
        The file cannot be fetched, is cut off, or has another checksum.
    """
    with replacing(target) as temporary, temporary.open("wb") as stream:
        found = _fetch(url, stream)
        if expected not in (None, found):
            raise PhonsmithError(
                f"{url}: checksum differs: SHA-256 is {found}, the campaign has {expected}; "
                "correct the address or the checksum"
            )


def _fetch(url: str, stream: BinaryIO) -> str:
    digest, size = hashlib.sha256(), 0
    with opened(
        url, "check the address and the network, or put the file into a mirror folder"
    ) as answer:
        promised = getattr(answer, "length", None)
        while chunk := answer.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
            stream.write(chunk)
    if promised is not None and size != promised:
        raise PhonsmithError(f"{url}: cut off after {size} of {promised} bytes; try again")
    return digest.hexdigest()


@contextmanager
def opened(url: str, remedy: str) -> Iterator[BinaryIO]:
    """The answer to a request for ``url``; faults of the body's reading are those of the request.

    Raises
    ------
    PhonsmithError
        One line with what went wrong and the ``remedy``.
    """
    try:
        request = Request(url, headers={"User-Agent": "phonsmith"})
        with urlopen(request, timeout=TIMEOUT_S) as answer:
            yield answer
    except HTTPError as error:
        raise PhonsmithError(f"{url}: {error.code} {error.reason}; {remedy}") from None
    except (URLError, HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise PhonsmithError(f"{url}: download failed ({reason}); {remedy}") from None
