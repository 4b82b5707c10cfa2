"""Where pymatgen finds POTCAR files, without pymatgen: for the params of rules."""

import os
from pathlib import Path
from typing import Any

import yaml

_POTCAR_FOLDERS = {
    **{"PBE": "POT_GGA_PAW_PBE", "PBE_52": "POT_GGA_PAW_PBE_52", "PBE_54": "POT_GGA_PAW_PBE_54"},
    **{"PBE_64": "POT_PAW_PBE_64", "LDA": "POT_LDA_PAW", "LDA_52": "POT_LDA_PAW_52"},
    **{"LDA_54": "POT_LDA_PAW_54", "LDA_64": "POT_LDA_PAW_64"},
    **{"PBE_52_W_HASH": "POTPAW_PBE_52", "PBE_54_W_HASH": "POTPAW_PBE_54"},
    **{"LDA_52_W_HASH": "POTPAW_LDA_52", "LDA_54_W_HASH": "POTPAW_LDA_54"},
}
"""As pymatgen names them."""
_PACKED = ("", ".gz", ".bz2", ".xz", ".lzma", ".Z")


def potcar_file(symbol: str, family: str) -> Path | None:
    """Return where pymatgen finds a POTCAR."""
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
