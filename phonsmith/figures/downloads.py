"""Files within the report: tables as CSV, settings as YAML, as links with the data in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from phonsmith.figures.pictures import as_data, relative_link

MOST_BYTES = 3_000_000
"""Largest size of all files within the page; larger tables are linked."""


@dataclass(frozen=True)
class Download:
    """A link to a file; ``within`` tells that the page contains it."""

    name: str
    link: str
    size: str
    within: bool


def downloads(
    tables: Mapping[str, Path], folder: Path, most_bytes: int = MOST_BYTES
) -> list[Download]:
    """Return links to the tables, the data of small ones in the links.

    Parameters
    ----------
    tables
        Paths of the CSV files by name.
    folder
        Folder of the page; links to files are relative to it.
    most_bytes
        Largest number of bytes of all files within the page; small files go first.
    """
    sizes = {name: path.stat().st_size for name, path in tables.items()}
    within = set()
    for name in sorted(sizes, key=lambda one: sizes[one]):
        most_bytes -= sizes[name] * 4 // 3
        if most_bytes < 0:
            break
        within.add(name)
    return [
        Download(
            name,
            as_data(path.read_bytes(), "text/csv")
            if name in within
            else relative_link(path, folder),
            _kilobytes(sizes[name]),
            name in within,
        )
        for name, path in tables.items()
    ]


def text_download(name: str, text: str, kind: str) -> Download:
    """Return a link that contains a text of this media type."""
    content = text.encode()
    return Download(name, as_data(content, kind), _kilobytes(len(content)), within=True)


def _kilobytes(size: int) -> str:
    return f"{max(size / 1000, 0.1):.1f} kB" if size < 10_000 else f"{size / 1000:.0f} kB"
