"""SHA-256 of files, for the params of rules: light, and computed once for each state of a file."""

import hashlib
from functools import cache
from pathlib import Path

MISSING = "missing"


def checksum(path: Path | None) -> str:
    """SHA-256 of a file; ``missing`` where it cannot be read."""
    try:
        if path is None:
            return MISSING
        status = path.stat()
        return _of_file(path, status.st_mtime_ns, status.st_size)
    except OSError:
        return MISSING


@cache
def _of_file(path: Path, modified: int, size: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
