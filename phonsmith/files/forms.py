"""The form of a setting, as an example made of what was written in its place."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

Schema = Mapping[str, Any]

_TYPES = {str: "string", int: "integer", float: "number"}


def example(given: Any, places: Sequence[Schema], root: Schema) -> str:
    """Return a mapping or list that contains the given word or number; empty without one.

    Parameters
    ----------
    given
        What was written where a mapping or a list is expected.
    places
        The schemas of what is allowed there, without references.
    root
        The whole schema.

    >>> schema = {"required": ["of"], "properties": {"of": {"type": "string"}, "linear": {}}}
    >>> example("si", [schema], {})
    '{of: si}'
    """
    if type(given) not in _TYPES:
        return ""
    for place in places:
        if place.get("type") == "array" and _fits(given, place.get("items", {})):
            return f"[{given}]"
        if mapping := place.get("discriminator", {}).get("mapping"):
            return _of_kind(given, place["discriminator"]["propertyName"], mapping, root)
        required = place.get("required", [])
        fitting = [key for key, one in place.get("properties", {}).items() if _fits(given, one)]
        if chosen := [*(key for key in fitting if key in required), *fitting][:1]:
            more = ", …" if set(required) - set(chosen) else ""
            return f"{{{chosen[0]}: {given}{more}}}"
    return ""


def _of_kind(given: Any, key: str, mapping: Mapping[str, str], root: Schema) -> str:
    """A mapping whose ``key`` chooses a kind: the most similar one to the word given."""
    kind = next(iter([*get_close_matches(str(given), mapping, n=1), *sorted(mapping)]))
    schema = root["$defs"][mapping[kind].rpartition("/")[2]]
    more = ", …" if set(schema.get("required", [])) - {key} else ""
    return f"{{{key}: {kind}{more}}}"


def _fits(given: Any, schema: Schema) -> bool:
    """Whether a key has values of the type given."""
    types = {one.get("type") for one in (schema, *schema.get("anyOf", []))}
    return _TYPES[type(given)] in types or (type(given) is int and "number" in types)
