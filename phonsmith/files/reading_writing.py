"""Small files, written whole or not at all, and files of others, read within bounds."""

import bz2
import fcntl
import gzip
import json
import lzma
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from phonsmith.files.errors import PhonsmithError

Made = TypeVar("Made")

LARGEST_BYTES = 512 * 1024**2
"""Largest file of others that is read whole, decompressed: third-order sets have some 100 MB."""
_OPENERS: dict[str, Callable[..., Any]] = {
    ".xz": lzma.open,
    ".lzma": lzma.open,
    ".gz": gzip.open,
    ".bz2": bz2.open,
}
COMPRESSED = tuple(_OPENERS)
"""Suffixes of compressed files that can be read, as phonopy knows them."""


@contextmanager
def replacing(path: str | Path, mode: int | None = None) -> Iterator[Path]:
    """Yield a temporary path that replaces ``path`` when the body has succeeded.

    The temporary file keeps the suffix of ``path``, since some writers depend on it. The file gets
    the permissions ``mode``; default: the user's umask.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _created(path)
    try:
        if mode is None:
            mode = stat.S_IMODE(temporary.stat().st_mode)
        yield temporary
        temporary.chmod(mode)  # whatever the writer set
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _created(path: Path) -> Path:
    """A new empty file beside ``path``, with the permissions that any new file of the user has."""
    while True:
        temporary = path.with_name(f".part-{secrets.token_hex(4)}{path.name}")
        with suppress(FileExistsError):
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            return temporary


@contextmanager
def alone(path: str | Path) -> Iterator[None]:
    """Hold a lock beside ``path`` while the body runs: other processes wait for it.

    A killed process releases its lock. File systems without locks never block.
    """
    lock = Path(path).with_name(f".{Path(path).name}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with lock.open("w") as stream:
            with suppress(OSError):
                fcntl.flock(stream, fcntl.LOCK_EX)
            try:
                if os.fstat(stream.fileno()).st_ino != lock.stat().st_ino:
                    continue  # another file by now: who had it removed it
            except FileNotFoundError:
                continue
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)
            return


def expanded(path: str) -> str:
    """Return a path with the home folder and the environment variables of this machine filled in.

    Raises
    ------
    ValueError
        A variable or user is unknown: nothing is to be made in a folder that is named ``~`` or
        ``$NAME``.
    """
    for one in re.finditer(r"\$\{?(\w+)\}?", path):
        if not os.environ.get(one[1]):
            raise ValueError(f"the environment variable {one[1]} is not set; write the full path")
    filled = os.path.expandvars(path)
    try:
        filled = str(Path(filled).expanduser())
    except RuntimeError:  # no such user
        raise ValueError("~ names an unknown home folder; write the full path") from None
    if "$" in filled:
        raise ValueError("$ marks an environment variable; write the full path")
    return filled


def write_json(path: str | Path, data: Any) -> None:
    """Write plain data as JSON, readable for people."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def read_json(path: str | Path) -> Any:
    """Read JSON.

    Raises
    ------
    PhonsmithError
        The file is missing or not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PhonsmithError(f"{path}: no such file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise PhonsmithError(
            f"{path}: not valid JSON ({error}); delete the file and run again"
        ) from None


def read_as(path: str | Path, what: str, build: Callable[[Any], Made]) -> Made:
    """Read a JSON file that phonsmith has written.

    Parameters
    ----------
    path
        JSON file.
    what
        Name of the content, for messages.
    build
        Function that builds the result from the content.

    Raises
    ------
    PhonsmithError
        The file is missing, not JSON, or has another content.
    """
    content = read_json(path)
    try:
        return build(content)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise PhonsmithError(
            f"{path}: not {what} ({reason}); delete the file and run again"
        ) from None


DAMAGED = (OSError, EOFError, ValueError, lzma.LZMAError)
"""What reading a damaged compressed file raises."""


def unpacked(path: Path) -> Any:
    """Return a file opened in binary mode, decompressed by its suffix; read it within bounds."""
    opener = _OPENERS.get(path.suffix)
    return opener(path) if opener else path.open("rb")


def read_bytes(path: Path) -> bytes:
    """Read the content of a file, decompressed by its suffix, up to :data:`LARGEST_BYTES`.

    Raises
    ------
    PhonsmithError
        It is not a regular file, is damaged, or is larger.
    """
    if not path.exists():
        raise PhonsmithError(f"{path}: no such file")
    if not path.is_file():
        raise PhonsmithError(f"{path}: not a regular file")
    try:
        with unpacked(path) as stream:
            content: bytes = stream.read(LARGEST_BYTES + 1)
    except DAMAGED as error:
        raise PhonsmithError(f"{path}: cannot be read ({error})") from None
    if len(content) > LARGEST_BYTES:
        raise PhonsmithError(
            f"{path}: larger than {LARGEST_BYTES // 1024**2} MB, the largest size that is read"
        )
    return content
