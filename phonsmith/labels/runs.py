"""Folders in which codes run."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from phonsmith.labels.checks import LabelFailed

MPI_ENVIRONMENT = {"OMPI_MCA_hwloc_base_binding_policy": "none"}
"""Several runs side by side would else be bound to the same cores, each counting from the first."""


@contextmanager
def run_folder(work: Path, keep: Sequence[str]) -> Iterator[Path]:
    """A fresh folder below ``work`` for the runs of one label; removed afterwards.

    After a :class:`LabelFailed` the files whose names match ``keep`` (inputs and text outputs, no
    wavefunctions or densities) stay in ``work``/failed, and the reason names the place.
    Environment variables in ``work`` are filled in.
    """
    place = Path(os.path.expandvars(work)).absolute()
    place.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=place))
    try:
        yield folder
    except LabelFailed as failed:
        kept = _keep(folder, place / "failed" / folder.name.removeprefix("run-"), keep)
        raise LabelFailed(f"{failed}{f' (see {kept})' if kept else ''}", failed.wants) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _keep(folder: Path, target: Path, keep: Sequence[str]) -> Path | None:
    try:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and any(path.match(pattern) for pattern in keep):
                copy = target / path.relative_to(folder)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
    except OSError:  # a full disk must not hide the reason
        return None
    return target if target.exists() else None
