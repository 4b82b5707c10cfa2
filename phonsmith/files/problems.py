"""Messages on invalid settings: every problem, its place, and the allowed values."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from phonsmith.files.forms import example

Schema = Mapping[str, Any]

SHA256_PATTERN = r"^[0-9a-f]{64}$"

_SHA256_IN_WORDS = "a SHA-256 of 64 digits and letters a to f, as `sha256sum FILE` prints it"

UNITS = {
    "thz": "1 THz is 33.4 cm⁻¹ or 4.14 meV",
    "kelvin": "0 °C is 273.15 K",
    "gpa": "1 GPa is 10 kbar",
    "fs": "1 fs is 0.001 ps",
    "kelvin_per_s": "1 K/ps is 1e12 K/s",
    "percent": "1 % is a fraction of 0.01",
    "angstrom": "1 Å is 0.1 nm or 1.89 bohr",
    "inverse_angstrom": "1/Å is 10/nm",
    "angstrom3": "1 Å³ is 6.75 bohr³",
    "per_angstrom": "2π/Å included; 1/bohr is 1.89/Å",
    "ev_per_angstrom": "1 eV/Å is 1000 meV/Å",
    "ev_per_atom": "1 eV is 1000 meV",
    "mb": "1 GB is 1000 MB",
    "minutes": "1 hour is 60 minutes",
    "ry": "1 Ry is 13.6 eV",
    "degree": "1 rad is 57.3 degrees",
    "micrometre": "1 µm is 1000 nm",
}
"""Conversions by the unit at the end of a key, for numbers beyond the limits of the key."""

SHOWN = 40
"""Names listed at most where a word is not among the allowed ones."""


def most_similar(word: object, known: Iterable[str]) -> str:
    """Return the most similar of the known words; empty where none is similar."""
    folded = {one.lower(): one for one in sorted(known, reverse=True)}
    found = difflib.get_close_matches(str(word).lower(), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else ""


def nearest(word: object, known: Iterable[str]) -> str:
    """Ask for the most similar of the known words; empty if none is similar.

    >>> nearest("kapa", ["kappa", "gap"])
    "; did you mean 'kappa'?"
    """
    found = most_similar(word, known)
    return f"; did you mean '{found}'?" if found else ""


def listed(words: Sequence[str]) -> str:
    """Words of a list for a message, cut where there are many."""
    more = f", … ({len(words)} in all)" if len(words) > SHOWN else ""
    return ", ".join(words[:SHOWN]) + more


def problems_of(
    error: ValidationError, model: type[BaseModel] | TypeAdapter[Any] | None = None
) -> list[str]:
    """Return all problems of a validation: each on a line, with the path of its key.

    A value that is none of several kinds is one problem, however many kinds pydantic tried.
    """
    schema: Schema = {}
    if isinstance(model, TypeAdapter):
        schema = model.json_schema(by_alias=True)
    elif model is not None:
        schema = model.model_json_schema(by_alias=True)
    found: dict[str, list[str]] = {}
    for one in error.errors():
        where, places = _place(schema, one)
        for text in _texts(one, schema, places):
            texts = found.setdefault(where, [])
            if text not in texts:
                texts.append(text)
    return [
        f"{where}: {text}" if where else text
        for where, texts in found.items()
        for text in _together(texts)
        if text != "is missing" or not _is_misspelt(where, found)
    ]


def _is_misspelt(missing: str, found: Mapping[str, list[str]]) -> bool:
    """Whether a missing key is present under a wrong name: one problem rather than two."""
    parent, _, key = missing.rpartition(".")
    return any(
        where.rpartition(".")[0] == parent and text.startswith(f"unknown key; did you mean '{key}'")
        for where, texts in found.items()
        for text in texts
    )


def _together(texts: Sequence[str]) -> Iterator[str]:
    """Merge alternatives into one text; keep unrelated texts."""
    wanted = [text for text in texts if text.startswith("must be ")]
    if len(wanted) > 1:
        bare, founds = zip(*(_parted(text) for text in wanted), strict=True)
        first, *rest = dict.fromkeys(bare)
        yield " or ".join([first, *(text.removeprefix("must be ") for text in rest)]) + founds[0]
        yield from (text for text in texts if text not in wanted)
    else:
        yield from texts


def _parted(text: str) -> tuple[str, str]:
    bare, found, rest = text.partition(" (found ")
    return bare, found + rest


# --- where ---------------------------------------------------------------------------------------


def _place(schema: Schema, error: Any) -> tuple[str, list[Schema]]:
    """Path of the key as in the file, and what is allowed there (or beside an unknown key).

    pydantic puts names of kinds (of a discriminated union, of a branch) into the path; those are
    no keys of the file. Everything else is a key or a position in a list.
    """
    places, keys = _options(schema, [schema]), []
    for position, part in enumerate(error["loc"]):
        if part == "[key]":
            continue
        last = position == len(error["loc"]) - 1
        if last and error["type"] in ("extra_forbidden", "missing"):
            keys.append(_printable(part))
            break
        tagged = [one for option in places for one in _tagged(schema, option, part)]
        inner = [one for option in places for one in _below(schema, option, part)]
        if inner:
            keys.append(_printable(part))
            places = inner
        elif tagged:
            places = tagged
        elif not _is_kind(part):
            keys.append(_printable(part))
            places = []
    return ".".join(keys), places


def _is_kind(part: int | str) -> bool:
    """Whether a part of a path names what pydantic tried: a type or a validator."""
    if isinstance(part, int):
        return False
    types = ("str", "int", "float", "bool", "list", "dict", "names", "url")
    kind = r"[a-z-]+\[.*\]$|[A-Z]\w+$|function-|constrained-"
    return part in types or re.match(kind, part) is not None


def _printable(part: int | str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(part))


def _options(root: Schema, schemas: Iterable[Schema]) -> list[Schema]:
    """The schemas with references resolved and alternatives taken apart."""
    found = []
    for schema in schemas:
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            found += _options(root, [root["$defs"][name]])
        elif alternatives := schema.get("anyOf") or schema.get("oneOf"):
            found += [dict(schema), *_options(root, alternatives)]
        else:
            found.append(schema)
    return found


def _below(root: Schema, schema: Schema, part: int | str) -> list[Schema]:
    """What is allowed at a key or a position of a schema."""
    if isinstance(part, int):
        items = schema.get("items")
        return _options(root, [items]) if items else []
    if part in schema.get("properties", {}):
        return _options(root, [schema["properties"][part]])
    further = schema.get("additionalProperties")
    if isinstance(further, Mapping):
        return _options(root, [further])
    for further in schema.get("patternProperties", {}).values():
        return _options(root, [further])
    return []


def _tagged(root: Schema, schema: Schema, part: int | str) -> list[Schema]:
    """The kind that a discriminated union calls ``part``."""
    mapping = schema.get("discriminator", {}).get("mapping", {})
    return _options(root, [{"$ref": mapping[part]}]) if part in mapping else []


# --- what ----------------------------------------------------------------------------------------


def _texts(error: Any, root: Schema, places: Sequence[Schema]) -> list[str]:
    match error["type"]:
        case "missing":
            return ["is missing"]
        case "extra_forbidden":
            return [_unknown_key(str(error["loc"][-1]), root, places)]
        case "value_error":
            lines = error["msg"].removeprefix("Value error, ").splitlines()
            return [f"{line}{_found(error)}" for line in lines]
        case "union_tag_invalid" | "union_tag_not_found":
            return [_unknown_kind(error["ctx"], places)]
        case "literal_error" | "enum":
            expected = error["ctx"]["expected"]
            allowed = [one.strip("' ") for one in re.split(r", | or ", expected)]
            return [f"must be {expected}{_found(error)}{nearest(error['input'], allowed)}"]
        case kind:
            words, found = _plain(error["msg"]), _found(error)
            if kind in ("dict_type", "model_type", "model_attributes_type", "list_type"):
                form = example(error["input"], places, root)
                words += f", such as {form}" if form else ""
            elif re.match("(greater|less)_than", kind):
                found += _of_unit(error["loc"])
            return [words + found]


def _unknown_kind(context: Mapping[str, str], places: Sequence[Schema]) -> str:
    """Of a value whose key ``kind`` (or ``method``, …) selects its settings."""
    key = context["discriminator"].strip("'")
    if (tag := context.get("tag")) is not None:
        allowed = [one.strip("' ") for one in context["expected_tags"].split(",")]
        return f"unknown {key} {tag!r}; it must be one of {listed(allowed)}{nearest(tag, allowed)}"
    mappings = [one.get("discriminator", {}).get("mapping", {}) for one in places]
    allowed = [tag for mapping in mappings for tag in mapping]
    return f"{key} is missing; it must be one of {listed(allowed)}"


def _plain(message: str) -> str:
    """Reword a message of pydantic."""
    message = message.replace(f"match pattern '{SHA256_PATTERN}'", f"be {_SHA256_IN_WORDS}")
    message = re.sub(r"^Input should (have|be|contain|match)", r"must \1", message)
    message = re.sub(r"^\w+ should have (at \w+ \d+ items?) after.*", r"must have \1", message)
    message = message.replace("must match pattern", "must match the pattern").replace(
        "String should", "must"
    )
    message = re.sub(r"valid dictionary.*", "mapping of keys to values (a dictionary)", message)
    return re.sub(r"a valid (\w+), .*", r"a valid \1", message)


def _of_unit(place: Sequence[int | str]) -> str:
    """The conversion of the unit in the last key of a path; empty without a unit."""
    words = [part for part in place if isinstance(part, str) and not _is_kind(part)]
    ends = [unit for unit in UNITS if words and words[-1].endswith(f"_{unit}")]
    return f"; {UNITS[max(ends, key=len)]}" if ends else ""


def _found(error: Any) -> str:
    if isinstance(error["input"], dict):
        return ""
    found = repr(error["input"])
    return f" (found {found if len(found) <= 200 else found[:200] + ' …'})"


def _unknown_key(key: str, root: Schema, places: Sequence[Schema]) -> str:
    inner = {name: schema for one in places for name, schema in one.get("properties", {}).items()}
    if not inner:
        return "unknown key"
    deeper = [
        f"{name}.{key}"
        for name, schema in inner.items()
        if any(key in one.get("properties", {}) for one in _options(root, [schema]))
    ]
    quoted = " or ".join(f"'{one}'" for one in deeper)
    guess = f"; did you mean {quoted}?" if deeper else nearest(key, inner)
    return f"unknown key{guess or ';'} allowed are {listed(sorted(inner))}"
