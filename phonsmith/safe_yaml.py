"""YAML of others: only data come of it, within bounds of size, whatever the file holds.

phonopy and phono3py load YAML with a loader that runs code named by a tag. Files reach them as
parsed data from here instead.
"""

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from phonsmith.errors import PhonsmithError

LARGEST_BYTES = 512 * 1024**2
"""Largest file that is read, after decompression: published third-order sets have some 100 MB."""
LARGEST_EXPANSION = 10
"""Aliases may make a file so many times larger; nested ones would grow without bounds."""
LONGEST_NUMBER = 100
"""Characters. Longer numbers (or those to the base 60) take Python hours."""

_OPENERS: dict[str, Callable[..., Any]] = {
    ".xz": lzma.open,
    ".lzma": lzma.open,
    ".gz": gzip.open,
    ".bz2": bz2.open,
}
COMPRESSED = tuple(_OPENERS)
"""Suffixes of compressed files that can be read, as phonopy knows them."""


def read_yaml(path: str | Path) -> Any:
    """The content of a YAML file, which may be compressed (``.gz``, ``.bz2``, ``.xz``, ``.lzma``).

    Raises
    ------
    PhonsmithError
        One line: no such file, no YAML, a tag of Python or any other tag, or larger than allowed.
    """
    path = Path(path)
    text = read_bytes(path)
    try:
        if b"&" in text:
            _check_aliases(text)
        return yaml.load(text, Loader=_Loader)
    except yaml.constructor.ConstructorError as error:
        mark = error.problem_mark
        line = f" line {mark.line + 1}:" if mark else ""
        reason = str(error.problem)
        reason = reason.replace("could not determine a constructor for the", "has the")
        if "has the tag" in reason:
            reason += "; tags can run code and are not read: remove it"
        raise PhonsmithError(f"{path}:{line} {reason}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}:" if mark else ""
        problem = getattr(error, "problem", None) or getattr(error, "reason", None)
        raise PhonsmithError(f"{path}:{line} not valid YAML ({problem or error})") from None
    except (ValueError, TypeError, RecursionError, MemoryError, OverflowError) as error:
        raise PhonsmithError(f"{path}: not valid YAML ({error or type(error).__name__})") from None


def read_bytes(path: Path) -> bytes:
    """The content of a file, decompressed by its suffix, up to :data:`LARGEST_BYTES`.

    Raises
    ------
    PhonsmithError
        It is no regular file, is damaged, or holds more.
    """
    if not path.exists():
        raise PhonsmithError(f"{path}: no such file")
    if not path.is_file():
        raise PhonsmithError(f"{path}: is no regular file")
    opener = _OPENERS.get(path.suffix)
    try:
        with opener(path) if opener else path.open("rb") as stream:
            content = stream.read(LARGEST_BYTES + 1)
    except (OSError, EOFError, ValueError, lzma.LZMAError) as error:
        raise PhonsmithError(f"{path}: cannot be read ({error})") from None
    if len(content) > LARGEST_BYTES:
        raise PhonsmithError(
            f"{path}: holds more than {LARGEST_BYTES // 1024**2} MB; no phonopy file is so large"
        )
    return content


class _Loader(yaml.CSafeLoader):
    """Plain data only, and no number that takes long."""


def _number(loader: _Loader, node: yaml.ScalarNode) -> Any:
    if ":" in node.value or len(node.value) > LONGEST_NUMBER:
        raise yaml.constructor.ConstructorError(
            None, None, f"'{node.value[:20]}' is no decimal number", node.start_mark
        )
    kind = node.tag.rpartition(":")[2]
    return (loader.construct_yaml_int if kind == "int" else loader.construct_yaml_float)(node)


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    stated = len(node.value)
    loader.flatten_mapping(node)
    content = loader.construct_mapping(node, deep=True)
    if len(content) < stated:
        keys = [key.value for key, _ in node.value]
        twice = next((key for key in keys if keys.count(key) > 1), "")
        raise yaml.constructor.ConstructorError(
            None, None, f"the key '{twice}' stands here twice", node.start_mark
        )
    return content


for _tag in ("int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _number)
_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def _check_aliases(text: bytes) -> None:
    """Refuse aliases that make the data much larger than the file, before anything is built.

    Counted in nodes: an alias stands for all nodes below its anchor.
    """
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = []  # anchor, and the count before it
    total = 0
    for events, event in enumerate(yaml.parse(text, Loader=yaml.CSafeLoader)):
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise yaml.YAMLError(f"the alias *{event.anchor} stands inside its own anchor")
            total += sizes[event.anchor]
        elif isinstance(event, yaml.ScalarEvent):
            total += 1
            if event.anchor:
                sizes[event.anchor] = 1
        elif isinstance(event, yaml.CollectionStartEvent):
            sizes.pop(event.anchor or "", None)
            open_nodes.append((event.anchor, total))
            total += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            if anchor:
                sizes[anchor] = total - before
        if total > 1000 + LARGEST_EXPANSION * max(events, 10_000):
            raise yaml.YAMLError(f"its aliases make it more than {LARGEST_EXPANSION} times larger")
