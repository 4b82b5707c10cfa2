"""Small files, written whole or not at all."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from phonsmith.errors import PhonsmithError

Made = TypeVar("Made")


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the body has succeeded.

    The temporary file keeps the suffix of ``path``, for writers that go by it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".part-", suffix=path.name)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


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
        raise PhonsmithError(f"{path}: not valid JSON ({error}); delete it and run again") from None


def read_as(path: str | Path, what: str, build: Callable[[Any], Made]) -> Made:
    """What ``build`` makes of a JSON file that this project has written; ``what`` says it in words.

    Raises
    ------
    PhonsmithError
        The file is missing, not JSON, or holds something else.
    """
    content = read_json(path)
    try:
        return build(content)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise PhonsmithError(f"{path}: not {what} ({reason}); delete it and run again") from None
