"""YAML files of settings and of others: strict, and bounded before anything is built from them.

phonopy and phono3py load YAML with a loader that runs code named by a tag. Their files are parsed
here, and reach them as plain data.
"""

import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import yaml

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.reading_writing import read_bytes

MAX_BYTES = 10_000_000
MAX_DEPTH = 50
MAX_NODES = 1_000_000
"""Number of values in a file after expansion of all aliases."""

# libyaml where PyYAML was built with it: ten times faster
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _StrictLoader(_Loader):  # type: ignore[misc]
    """YAML without repeated keys and without numbers to the bases 60 and 8."""


def _mapping_without_repetition(loader: Any, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set()
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            continue
        key = loader.construct_object(key_node, deep=True)
        if isinstance(key, list | dict):
            raise yaml.constructor.ConstructorError(
                None, None, "keys must be text", key_node.start_mark
            )
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"duplicate key '{key}'", key_node.start_mark
            )
        seen.add(key)
    loader.flatten_mapping(node)
    content: dict[Any, Any] = loader.construct_mapping(node, deep=True)
    return content


def _decimal(loader: Any, node: yaml.ScalarNode) -> Any:
    if ":" in node.value:
        raise yaml.constructor.ConstructorError(
            None,
            None,
            f"YAML reads {node.value[:40]} as a base-60 number; give a time as one number in the "
            "unit of its key (a day is 1440 minutes), or quote a text",
            node.start_mark,
        )
    kind = node.tag.rpartition(":")[2]
    if kind == "int" and re.fullmatch(r"[-+]?0[0-9_]+", node.value):
        raise yaml.constructor.ConstructorError(
            None,
            None,
            f"YAML reads {node.value[:40]} as a base-8 number; omit the leading zeros, or quote a "
            "text",
            node.start_mark,
        )
    make = loader.construct_yaml_int if kind == "int" else loader.construct_yaml_float
    return make(node)


for _tag in ("int", "float"):
    _StrictLoader.add_constructor(f"tag:yaml.org,2002:{_tag}", _decimal)
_StrictLoader.add_constructor(
    yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_repetition
)


def load_yaml(path: str | Path, what: str) -> dict[str, Any]:
    """Read the mapping in a YAML file whose keys are unique; ``what`` names the file in messages.

    Size, nesting and aliases are bounded first, since a file of a few lines can expand to billions
    of values.

    Raises
    ------
    PhonsmithError
        One line: file, line number and problem.
    """
    path = Path(path)
    text = _text(path, what)
    try:
        _bound(text)
        content = yaml.load(text, Loader=_StrictLoader)
    except yaml.YAMLError as error:
        line, problem = _line_and_problem(error)
        raise PhonsmithError(f"{path}:{line} {problem or 'not valid YAML'}") from None
    except (ValueError, TypeError, RecursionError) as error:  # e.g. a date in month 13
        raise PhonsmithError(f"{path}: not valid YAML ({error})") from None
    if not isinstance(content, dict):
        raise PhonsmithError(f"{path}: must be a mapping of keys to values")
    return content


def _line_and_problem(error: yaml.YAMLError) -> tuple[str, str | None]:
    """Return the line for a message, if it is known, and what is wrong there."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None)
    return f" line {mark.line + 1}:" if mark else "", problem


def read_yaml(path: str | Path) -> Any:
    """Read the data in a YAML file of others, which may be large and compressed.

    Raises
    ------
    PhonsmithError
        One line: no such file, no YAML, a tag (tags can run code), or more than can be read.
    """
    path = Path(path)
    text = read_bytes(path)
    try:
        if b"&" in text:  # without anchors nothing is larger than the file
            _bound(text.decode("utf-8"), max_nodes=len(text) + MAX_NODES)
        return yaml.load(text, Loader=_StrictLoader)
    except yaml.YAMLError as error:
        line, problem = _line_and_problem(error)
        if problem and "constructor for the tag" in problem:
            tag = problem.rpartition("the tag ")[2]
            raise PhonsmithError(
                f"{path}:{line} tag {tag} is not allowed, since tags can run code; remove it"
            ) from None
        raise PhonsmithError(f"{path}:{line} not valid YAML ({problem or error})") from None
    except (ValueError, TypeError, RecursionError, MemoryError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise PhonsmithError(f"{path}: not valid YAML ({reason})") from None


def in_a_line(content: Mapping[str, Any]) -> str:
    """Write a mapping as YAML in a line: ``{a: 1, b: {c: x}}``."""
    text: str = yaml.safe_dump(
        dict(content), default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**6
    )
    return text.strip()


def _text(path: Path, what: str) -> str:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a device or a pipe"
            raise PhonsmithError(f"{path}: is {kind}; give the path of a file")
        if status.st_size > MAX_BYTES:
            raise PhonsmithError(
                f"{path}: {status.st_size / 1e6:.1f} MB is too large for a {what}; at most "
                f"{MAX_BYTES / 1e6:.0f} MB are read"
            )
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise PhonsmithError(f"{path}: no such {what}") from None
    except (OSError, ValueError) as error:
        raise PhonsmithError(f"{path}: cannot be read as UTF-8 text ({error})") from None


def _bound(text: str, max_nodes: int = MAX_NODES) -> None:
    """Refuse what would grow beyond the bounds, from the events of the parser alone.

    Raises
    ------
    yaml.YAMLError
        With the line.
    """

    def refuse(problem: str, event: yaml.Event) -> None:
        raise yaml.constructor.ConstructorError(None, None, problem, cast(Any, event.start_mark))

    sizes: dict[str | None, int] = {}  # of the content of an anchor
    open_nodes: list[tuple[str | None, int]] = []  # anchor, and nodes before it
    nodes = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            if any(anchor == event.anchor for anchor, _ in open_nodes):
                refuse(f"the alias *{event.anchor} contains itself", event)
            nodes += sizes.get(event.anchor, 1)
        elif isinstance(event, yaml.NodeEvent):
            nodes += 1
            if isinstance(event, yaml.CollectionStartEvent):
                open_nodes.append((event.anchor, nodes - 1))
            elif event.anchor:
                sizes[event.anchor] = 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            if anchor:
                sizes[anchor] = nodes - before
        if len(open_nodes) > MAX_DEPTH:
            refuse(f"nested deeper than {MAX_DEPTH} levels", event)
        if nodes > max_nodes:
            refuse(
                f"more than {max_nodes:,} values after expansion of aliases (*name); use fewer "
                "aliases or split the file",
                event,
            )
