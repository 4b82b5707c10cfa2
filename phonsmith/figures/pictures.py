"""Pictures in the report: whole figures, and small pictures with links to the files."""

import base64
import io
import os
import re
from pathlib import Path

from phonsmith.figures.style import DOUBLE_COLUMN_INCH

THUMBNAIL_PIXELS = 900
"""Width of the small pictures in the page."""
MOST_SVG_BYTES = 300_000
"""Largest SVG file that is embedded as a small picture."""
SUFFIXES = ("svg", "pdf", "png")
"""Formats of figures, the best first."""
_WIDTH = re.compile(rb'<svg[^>]*\swidth="([\d.]+)pt"')
PAGE_REM = 54
"""Width of a figure of two columns in the page."""


def embedded(path: Path, caption: str) -> dict[str, str]:
    """Embed an SVG figure, with a width relative to a two-column figure."""
    content = path.read_bytes()
    found = _WIDTH.search(content)
    points = float(found[1]) if found else 72 * DOUBLE_COLUMN_INCH
    width = f"{PAGE_REM * min(1.0, points / (72 * DOUBLE_COLUMN_INCH)):.1f}rem"
    source = as_data(content, "image/svg+xml")
    return {"caption": caption, "source": source, "link": "", "width": width}


def thumbnail(stem: Path, caption: str, folder: Path) -> dict[str, str]:
    """Return a thumbnail with a link to the file.

    ``stem`` is the path without suffix. Without a PNG file, a small SVG file is embedded.
    """
    link = link_to_figure(stem, folder)
    png, svg = (stem.with_name(f"{stem.name}.{suffix}") for suffix in ("png", "svg"))
    if png.exists():
        source = as_data(_small_png(png), "image/png")
    elif svg.exists() and svg.stat().st_size <= MOST_SVG_BYTES:
        source = as_data(svg.read_bytes(), "image/svg+xml")
    else:
        source = ""
    return {"caption": caption, "source": source, "link": link}


def link_to_figure(stem: Path, folder: Path) -> str:
    """Return the link to a figure in its best available format; empty if there is none.

    ``stem`` is the path without suffix; the link is relative to ``folder``.
    """
    paths = [stem.with_name(f"{stem.name}.{suffix}") for suffix in SUFFIXES]
    return next((relative_link(path, folder) for path in paths if path.exists()), "")


def relative_link(path: Path, folder: Path) -> str:
    """Return the link to a file from a page in ``folder``."""
    return Path(os.path.relpath(path, folder)).as_posix()


def as_data(content: bytes, kind: str) -> str:
    """Return a ``data:`` link of this media type."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _small_png(path: Path) -> bytes:
    from PIL import Image

    with Image.open(path) as image:
        height = round(image.height * THUMBNAIL_PIXELS / image.width)
        small = image.convert("RGB").resize((THUMBNAIL_PIXELS, height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.quantize(64, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
