"""Checksums of the pseudopotential files of a reference method, for the params of rules.

A folder may be exchanged for another one of the same family: names stay, contents do not, and
labels have to be made anew. Nothing heavy is imported here, since Snakemake asks at every start;
whether the files are fit for use is checked elsewhere.
"""

import hashlib
import os
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from phonsmith.labels.espresso.settings import EspressoReference
from phonsmith.labels.kinds import Reference
from phonsmith.labels.vasp.settings import VaspReference

MISSING = "missing"
_POTCAR_FOLDERS = {
    **{"PBE": "POT_GGA_PAW_PBE", "PBE_52": "POT_GGA_PAW_PBE_52", "PBE_54": "POT_GGA_PAW_PBE_54"},
    **{"PBE_64": "POT_PAW_PBE_64", "LDA": "POT_LDA_PAW", "LDA_52": "POT_LDA_PAW_52"},
    **{"LDA_54": "POT_LDA_PAW_54", "LDA_64": "POT_LDA_PAW_64"},
    **{"PBE_52_W_HASH": "POTPAW_PBE_52", "PBE_54_W_HASH": "POTPAW_PBE_54"},
    **{"LDA_52_W_HASH": "POTPAW_LDA_52", "LDA_54_W_HASH": "POTPAW_LDA_54"},
}
"""As pymatgen names them."""
_PACKED = ("", ".gz", ".bz2", ".xz", ".lzma", ".Z")


def pseudopotential_contents(reference: Reference) -> dict[str, str]:
    """SHA-256 of the files that a DFT code computes with, by element or name; else nothing.

    A family of pseudopotentials counts by its table (SSSP) or by all files in the folder. What
    cannot be read is ``missing``.
    """
    if isinstance(reference, EspressoReference):
        source = reference.pseudopotentials
        folder = Path(source.folder)
        if source.files is not None:
            return {element: _sha256(folder / name) for element, name in source.files.items()}
        pattern = "SSSP*.json" if source.family == "SSSP" else "*.[uU][pP][fF]"
        return {path.name: _sha256(path) for path in sorted(folder.glob(pattern))}
    if isinstance(reference, VaspReference):
        return {
            element: _sha256(_potcar(symbol, reference.family))
            for element, symbol in reference.potcars.items()
        }
    return {}


def _potcar(symbol: str, family: str) -> Path | None:
    """Where pymatgen finds a POTCAR."""
    settings = _pymatgen_settings()
    folder = settings.get("PMG_VASP_PSP_DIR")
    if not folder:
        return None
    names = settings.get("PMG_VASP_PSP_SUB_DIRS") or {}
    place = Path(os.path.expandvars(str(folder))).expanduser()
    place /= str(names.get(family, _POTCAR_FOLDERS.get(family, family)))
    for name in (f"POTCAR.{symbol}", f"{symbol}/POTCAR"):
        for ending in _PACKED:
            if (path := place / (name + ending)).is_file():
                return path
    return None


def _pymatgen_settings() -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for file in (os.environ.get("PMG_CONFIG_FILE"), "~/.config/.pmgrc.yaml", "~/.pmgrc.yaml"):
        try:
            found = yaml.safe_load(Path(file or "").expanduser().read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError):
            continue
        settings = found if isinstance(found, dict) else {}
        break
    for key, value in os.environ.items():
        if key.startswith("PMG_"):
            settings[key] = value
        elif key == "VASP_PSP_DIR":
            settings["PMG_VASP_PSP_DIR"] = value
    return settings


def _sha256(path: Path | None) -> str:
    try:
        if path is None:
            return MISSING
        status = path.stat()
        return _of_file(path, status.st_mtime_ns, status.st_size)
    except OSError:
        return MISSING


@cache
def _of_file(path: Path, modified: int, size: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
