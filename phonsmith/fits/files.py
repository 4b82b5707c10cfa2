"""The files of a fit."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FitFiles:
    """Where a fit is: the folder of its model, ``potential.json``, and the training record."""

    model: Path
    potential: Path
    record: Path


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces ``folder`` when the body has succeeded."""
    made, old = (folder.with_name(f".{folder.name}-{what}") for what in ("new", "old"))
    for left in (made, old):
        shutil.rmtree(left, ignore_errors=True)
    made.mkdir(parents=True)
    try:
        yield made
        if folder.exists():
            folder.rename(old)
        made.rename(folder)
    finally:
        for left in (made, old):
            shutil.rmtree(left, ignore_errors=True)
