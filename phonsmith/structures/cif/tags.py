"""The tags of the crystals in a CIF, whatever their spelling."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import gemmi

from phonsmith.files.errors import PhonsmithError

_UNKNOWN = ("?", ".")
MOST_BLOCKS = 10
"""Data blocks with atoms: one crystal in several settings, as the Pauling File has it."""


@dataclass(frozen=True)
class Tags:
    """Values by tag in lower case, with ``_`` for the ``.`` of newer dictionaries."""

    where: str
    values: dict[str, list[str]] = field(default_factory=dict)
    block: str = ""
    """Name of the data block."""

    def fail(self, why: str) -> NoReturn:
        """Refuse the file."""
        raise PhonsmithError(f"{self.where}: {why}")

    def column(self, *tags: str) -> list[str] | None:
        """Return all values of the first of the tags that is there; texts without quotes."""
        return next((self.values[tag] for tag in tags if tag in self.values), None)

    def text(self, *tags: str) -> str:
        """Return the value of the first of the tags that has one; empty where it is not known."""
        for tag in tags:
            for value in self.values.get(tag, [])[:1]:
                if value not in ("", *_UNKNOWN):
                    return value
        return ""

    def number(self, *tags: str) -> float | None:
        """Read a value as a number, without its uncertainty in brackets."""
        text = self.text(*tags)
        if not text:
            return None
        value = number_of(text)
        if value is None:
            self.fail(f"{tags[0]} must be a number, found '{text[:40]}'")
        return value


def number_of(text: str) -> float | None:
    """Return a number of CIF (``0.2339(3)``), or None."""
    value = float(gemmi.cif.as_number(text))
    return value if abs(value) < 1e300 else None  # NaN fails as well


def crystal_tags(text: str, where: str) -> list[Tags]:
    """Return the tags of each data block with atoms; a block with question marks for them has none.

    Raises
    ------
    PhonsmithError
        It is no CIF, or has no block with atoms, or a magnetic or modulated crystal.
    """
    try:
        # names of authors may have accents, for which CIF 1.1 has no letters
        document = gemmi.cif.read_string(text.encode("ascii", "replace").decode())
    except (RuntimeError, ValueError) as error:
        raise PhonsmithError(f"{where}: {_syntax(str(error))}") from None
    blocks = [Tags(where, dict(_values(block)), block.name) for block in document]
    crystals = [tags for tags in blocks if tags.column("_atom_site_fract_x")]
    crystals = [tags for tags in crystals if _has_positions(tags)] or crystals
    if not crystals:
        raise PhonsmithError(
            f"{where}: no atoms with fractional coordinates (_atom_site_fract_x); give a file with "
            "a crystal"
        )
    if len(crystals) > MOST_BLOCKS:
        raise PhonsmithError(f"{where}: {len(crystals)} data blocks contain atoms; keep one")
    for tags in crystals:
        if any(
            tag.startswith(("_space_group_magn", "_space_group_symop_magn")) for tag in tags.values
        ):
            tags.fail(
                "magnetic CIFs are not supported; give the crystal with its (non-magnetic) space "
                "group"
            )
        if tags.text("_cell_modulation_dimension") not in ("", "0"):
            tags.fail(
                "modulated crystals are not supported; give an ordered crystal, periodic in three "
                "dimensions"
            )
    return crystals


def _has_positions(tags: Tags) -> bool:
    """Whether any atom of the block has a position: others describe a cell alone."""
    return any(value not in _UNKNOWN for value in tags.column("_atom_site_fract_x") or ())


def _values(block: gemmi.cif.Block) -> Iterator[tuple[str, list[str]]]:
    for item in block:
        pair: Any = item.pair
        if pair is not None:
            yield _plain(pair[0]), [_text(pair[1])]
        elif item.loop is not None:
            width = len(item.loop.tags)
            values = [_text(value) for value in item.loop.values]
            for index, tag in enumerate(item.loop.tags):
                yield _plain(tag), values[index::width]


def _plain(tag: str) -> str:
    return tag.lower().replace(".", "_")


def _text(value: str) -> str:
    return gemmi.cif.as_string(value).strip() if value not in _UNKNOWN else value


def _syntax(message: str) -> str:
    found = re.match(r"string:(\d+)(?::\d+\(\d+\):)? ?(?:in \S+: )?(.*)", message, re.DOTALL)
    if not found:
        return f"not a readable CIF ({' '.join(message.removeprefix('string: ').split())[:100]})"
    said = " ".join(found[2].split())[:100]
    return f"line {found[1]}: not a readable CIF ({said}); correct the line or export it again"
