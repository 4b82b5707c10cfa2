"""Pickled models: loading one runs whatever code it holds, so that only known ones are loaded."""

import os
import zipfile
from pathlib import Path

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.reading_writing import read_json
from phonsmith.files.sources import sha256_of

RECORD = "potential.json"
"""File beside the folder of a trained model, with its checksum."""


def require_known(path: Path, sha256: str | None, trust: bool) -> None:
    """Refuse a model file whose checksum is unknown. Call it before the file is loaded.

    The checksum is known if it is stated or was recorded when the file was trained.

    Parameters
    ----------
    path
        Model file.
    sha256
        Stated checksum.
    trust
        Accept any file without a stated checksum.

    Raises
    ------
    PhonsmithError
        The checksum is unknown or differs.
    """
    expected = sha256 or on_record(path)
    if trust and sha256 is None:
        return
    found = sha256_of(path)
    if expected is None:
        raise PhonsmithError(
            f"{path}: not loaded, since loading a model file can run code in it; if you trust its "
            f"origin, add `sha256: {found}` or `trust: true`"
        )
    if found != expected:
        raise PhonsmithError(
            f"{path}: not loaded, checksum differs: SHA-256 is {found}, expected {expected}; "
            "replace the file or correct `sha256`"
        )


def check_torch_file(path: Path) -> None:
    """Raise PhonsmithError where torch cannot have written the file, or it is cut off.

    torch writes a zip, or as it did of old a pickle.
    """
    with path.open("rb") as stream:
        pickled = stream.read(1) == b"\x80"
    if not pickled and not zipfile.is_zipfile(path):
        raise PhonsmithError(f"{path}: cut off, or not a torch model file; get the file again")


def on_record(path: Path) -> str | None:
    """Return the checksum that a model of this pipeline had when it was trained; None of others.

    A record counts in the results of this project alone: anybody can write one.
    """
    path = Path(os.path.normpath(path.absolute()))
    if not path.is_relative_to(Path("results").absolute()):
        return None
    record = path.parent.parent / RECORD
    try:
        source = read_json(record)["source"]
        if (record.parent / source["model"]).resolve() == path.resolve():
            return str(source["sha256"]) if source["sha256"] else None
    except (PhonsmithError, OSError, KeyError, TypeError):
        pass
    return None
