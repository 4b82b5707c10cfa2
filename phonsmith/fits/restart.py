"""Checkpoints are resumed by the very training that wrote them."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

STATE_FILE = "training.sha256"
"""Checksum of what the checkpoints beside it were trained with."""


def keep_own_checkpoints(
    work: Path, content: Iterable[bytes], clean: Callable[[Path], None]
) -> None:
    """Keep the checkpoints of a training with equal content, and delete all others.

    Parameters
    ----------
    work
        Folder of the training.
    content
        Settings, data and versions on which the training depends.
    clean
        Function that removes the checkpoints, and :data:`STATE_FILE`, from the folder.
    """
    digest = hashlib.sha256()
    for part in content:
        digest.update(part)
    state = work / STATE_FILE
    if not state.is_file() or state.read_text(encoding="utf-8") != digest.hexdigest():
        clean(work)
        state.write_text(digest.hexdigest(), encoding="utf-8")
