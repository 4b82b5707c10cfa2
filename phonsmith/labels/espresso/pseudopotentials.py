"""Pseudopotential files (UPF): found in a folder, read, and checked against the functional.

``python -m phonsmith.labels.espresso.pseudopotentials FUNCTIONAL FILE.UPF FOLDER`` makes one for
another functional with the recipe that the file holds (:func:`remake`).
"""

import hashlib
import html
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.reading_writing import read_json, replacing
from phonsmith.labels.espresso.settings import EspressoPseudopotentials, EspressoReference
from phonsmith.running.terminal import errors_in_words

_FUNCTIONALS = {
    "PBE": ("PBE", "SLA PW PBX PBC", "SLA PW PBE PBE"),
    "PBEsol": ("PBESOL", "SLA PW PSX PSC"),
    "LDA": ("LDA", "PZ", "SLA PZ NOGX NOGC", "PW", "SLA PW NOGX NOGC"),
}
"""Names in UPF headers: short ones, and the four terms of Quantum ESPRESSO's funct.f90."""

INPUT_DFT = {"PBE": "pbe", "PBEsol": "pbesol", "LDA": "pz"}
"""Names of the functionals in pw.x's ``input_dft``."""


@dataclass(frozen=True)
class Pseudopotential:
    """Content of the header of a UPF file, and the file's checksum.

    ``functional`` is PBEsol, PBE or LDA, or the functional in the header if it is another one;
    ``valence`` is the number of valence electrons; the cutoffs in Ry are 0 where not suggested.
    """

    path: Path
    element: str
    functional: str
    valence: float
    kind: str
    ecutwfc_ry: float
    ecutrho_ry: float
    sha256: str


# --- reading -----------------------------------------------------------------------------------


@cache
def read_upf(path: Path) -> Pseudopotential:
    """Read the header of a UPF file, version 1 or 2.

    Raises
    ------
    PhonsmithError
        The file is missing, no UPF file, or cut off.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PhonsmithError(
            f"{path}: cannot be read as a pseudopotential ({error.strerror})"
        ) from None
    text = content.decode("utf-8", errors="replace")
    second = re.search(r'<UPF\s+version\s*=\s*"', text)
    if second is None and "<PP_HEADER" not in text:
        raise PhonsmithError(f"{path}: is not a pseudopotential in UPF format")
    if ("</UPF>" not in text) if second else not _sections_closed(text):
        raise PhonsmithError(f"{path}: is cut off, its end is missing; get the file again")
    try:
        header = _header_of_version_2(text) if second else _header_of_version_1(text)
        return Pseudopotential(
            path=path,
            element=header["element"].strip().capitalize(),
            functional=functional_name(header["functional"]),
            valence=_number(header["z_valence"]),
            kind=header["pseudo_type"].strip(),
            ecutwfc_ry=_number(header.get("wfc_cutoff", "0")),
            ecutrho_ry=_number(header.get("rho_cutoff", "0")),
            sha256=hashlib.sha256(content).hexdigest(),
        )
    except (KeyError, ValueError, IndexError, ET.ParseError) as error:
        raise PhonsmithError(f"{path}: unreadable header ({error!r})") from None


def _sections_closed(text: str) -> bool:
    """Whether a UPF file of version 1, which has no root element, is whole."""
    opened = set(re.findall(r"<(PP_(?:INFO|HEADER|MESH|LOCAL|NONLOCAL|RHOATOM|PSWFC))\b", text))
    return "PP_RHOATOM" in opened and all(f"</{name}>" in text for name in opened)


def _header_of_version_2(text: str) -> dict[str, str]:
    found = re.search(r"<PP_HEADER\b[^>]*>", text)
    if found is None:
        raise KeyError("PP_HEADER")
    tag = found[0]
    return dict(ET.fromstring(tag if tag.endswith("/>") else f"{tag}</PP_HEADER>").attrib)


def _header_of_version_1(text: str) -> dict[str, str]:
    """Lines of a value and its name: ``4.000  Z valence``."""
    lines = text.split("<PP_HEADER>", 1)[1].split("</PP_HEADER>", 1)[0].strip().splitlines()
    header = {"element": lines[1].split()[0], "pseudo_type": lines[2].split()[0]}
    for line in lines:
        if "Exchange-Corr" in line:  # four terms, and often the short name behind them
            header["functional"] = " ".join(line.split("Exchange-Corr")[0].split()[:4])
        elif "Z valence" in line:
            header["z_valence"] = line.split()[0]
        elif "Suggested cutoff" in line or "Suggested Cutoff" in line:
            header["wfc_cutoff"], header["rho_cutoff"] = line.split()[:2]
    return header


def functional_name(text: str) -> str:
    """PBEsol, PBE or LDA for what Quantum ESPRESSO calls it; other functionals in capitals."""
    words = " ".join(text.upper().replace("-", " ").split())
    for name, written in _FUNCTIONALS.items():
        if words in written:
            return name
    return words


def _number(text: str) -> float:
    return float(text.strip().upper().replace("D", "E"))


# --- choosing ----------------------------------------------------------------------------------


def pseudopotentials_of(
    settings: EspressoPseudopotentials, functional: str, elements: Iterable[str]
) -> dict[str, Pseudopotential]:
    """Read and check the pseudopotential of each element.

    Parameters
    ----------
    settings
        Folder and file names.
    functional
        Functional of the reference.
    elements
        Elements to read.

    Returns
    -------
    Pseudopotentials by element.

    Raises
    ------
    PhonsmithError
        A file is missing, broken, of another element, or made for another functional.
    """
    folder = Path(settings.folder)
    if not folder.is_dir():
        raise PhonsmithError(
            f"pseudopotentials.folder: no folder {folder}; put the UPF files there "
            "(`make pseudopotentials` makes those of si-qe-small in config/pseudopotentials)"
        )
    found = {}
    for element in sorted(set(elements)):
        one = read_upf(_file_of(element, settings, folder))
        if one.element != element:
            raise PhonsmithError(
                f"{one.path}: is a pseudopotential of {one.element}, not {element}"
            )
        if one.functional != functional and not settings.allow_other_functional:
            raise PhonsmithError(
                f"{one.path}: is made for {one.functional}, but the reference uses {functional}; "
                f"use a file made for {functional}, or set "
                "pseudopotentials.allow_other_functional: true"
            )
        found[element] = one
    return found


def _file_of(element: str, settings: EspressoPseudopotentials, folder: Path) -> Path:
    if settings.files is not None:
        if element not in settings.files:
            raise PhonsmithError(
                f"pseudopotentials.files: no file for {element}; found {', '.join(settings.files)}"
            )
        return folder / settings.files[element]
    if settings.family == "SSSP":
        return _in_sssp_table(element, folder)
    return folder / _by_name(element, folder)


def checksums(settings: EspressoPseudopotentials) -> dict[str, str]:
    """Checksum of the file of every element that the settings name, by element.

    SHA-256 of the files; for SSSP the MD5 of the family's table, which files are compared with.
    """
    folder = Path(settings.folder)
    if settings.files is not None:
        return {element: read_upf(folder / name).sha256 for element, name in settings.files.items()}
    if settings.family == "SSSP":
        table = sssp_table(folder)
        return {element: f"md5:{entry['md5']}" for element, entry in table.items()}
    files = [read_upf(path) for path in sorted(folder.glob("*.[uU][pP][fF]"))]
    return {one.element: one.sha256 for one in files}


def cutoffs(
    reference: EspressoReference, potentials: Iterable[Pseudopotential]
) -> tuple[float, float]:
    """Cutoffs of wavefunctions and density in Ry, with the density's default filled in."""
    soft = all(one.kind in ("NC", "SL") for one in potentials)
    ratio = 4.0 if soft else 8.0
    return reference.ecutwfc_ry, reference.ecutrho_ry or ratio * reference.ecutwfc_ry


def sssp_table(folder: Path) -> dict[str, Any]:
    """Read SSSP's table in a folder, ``{element: {filename, md5, cutoff_wfc, ...}}``.

    Raises
    ------
    PhonsmithError
        The folder has no table or several, or it is not a table of SSSP.
    """
    tables = sorted(folder.glob("SSSP*.json"))
    if len(tables) != 1:
        raise PhonsmithError(
            f"{folder}: has {len(tables)} tables SSSP*.json; put the table of the family beside "
            "its UPF files, or give pseudopotentials.files instead of pseudopotentials.family"
        )
    table = read_json(tables[0])
    if not isinstance(table, dict) or not all("md5" in entry for entry in table.values()):
        raise PhonsmithError(f"{tables[0]}: not a table of SSSP")
    return table


def _in_sssp_table(element: str, folder: Path) -> Path:
    entry = sssp_table(folder).get(element)
    if entry is None:
        raise PhonsmithError(f"{folder}: the table of SSSP has no file for {element}")
    path = folder / str(entry["filename"])
    if path.is_file() and hashlib.md5(path.read_bytes()).hexdigest() != entry["md5"]:
        raise PhonsmithError(f"{path}: MD5 differs from SSSP's table; get the file again")
    return path


def files_of_element(element: str, folder: Path) -> list[str]:
    """Return the names of the UPF files in a folder that begin with the element."""
    pattern = re.compile(rf"{element}(?![a-z]).*\.upf", re.IGNORECASE)
    return sorted(path.name for path in folder.glob("*") if pattern.fullmatch(path.name))


def _by_name(element: str, folder: Path) -> str:
    """The one UPF file of the folder whose name begins with the element."""
    names = files_of_element(element, folder)
    if len(names) == 1:
        return names[0]
    if not names:
        raise PhonsmithError(f"{folder}: no UPF file of {element}")
    raise PhonsmithError(
        f"{folder}: has {len(names)} UPF files of {element} ({', '.join(names[:3])}); choose with "
        f"pseudopotentials.files: {{{element}: FILE}}"
    )


# --- making ------------------------------------------------------------------------------------


def remake(path: Path, functional: str, folder: Path) -> Path:
    """Generate a pseudopotential for another functional with ``ld1.x``.

    Files of pslibrary hold the input of Quantum ESPRESSO's atomic program that generated them
    (PP_INPUTFILE).

    Parameters
    ----------
    path
        Pseudopotential with such an input.
    functional
        New functional.
    folder
        Folder for the new file.

    Returns
    -------
    Path of the new file, named after the old one.

    Raises
    ------
    PhonsmithError
        The file holds no recipe for another functional, or ld1.x fails or is not installed.
    """
    old = read_upf(path)
    recipe = re.search(r"<PP_INPUTFILE>(.*?)</PP_INPUTFILE>", path.read_text("utf-8"), re.DOTALL)
    text = html.unescape(recipe[1]) if recipe else ""
    name = path.name.replace(f".{old.functional.lower()}-", f".{functional.lower()}-")
    text, functionals = re.subn(r"dft\s*=\s*'[^']*'", f"dft='{functional.upper()}'", text)
    text, names = re.subn(r"file_pseudopw\s*=\s*'[^']*'", f"file_pseudopw='{name}'", text)
    if not (functionals == names == 1 and name != path.name):
        raise PhonsmithError(f"{path}: contains no recipe for {functional}")
    with tempfile.TemporaryDirectory() as work:
        try:
            subprocess.run(
                ["ld1.x"], input=text, cwd=work, text=True, capture_output=True, check=True
            )
        except FileNotFoundError:
            raise PhonsmithError("ld1.x: not found; install Quantum ESPRESSO") from None
        except subprocess.CalledProcessError as error:
            raise PhonsmithError(f"{path}: ld1.x fails (exit status {error.returncode})") from None
        made = Path(work) / name
        if not made.exists() or read_upf(made).functional != functional:
            raise PhonsmithError(f"{path}: ld1.x made no pseudopotential for {functional}")
        with replacing(folder / name) as temporary:
            temporary.write_bytes(made.read_bytes())
    return folder / name


def main(arguments: list[str]) -> None:
    """``FUNCTIONAL FILE.UPF FOLDER``: make a pseudopotential for another functional."""
    if len(arguments) != 3 or arguments[0] not in _FUNCTIONALS:
        sys.exit(
            "usage: python -m phonsmith.labels.espresso.pseudopotentials "
            f"{'|'.join(_FUNCTIONALS)} FILE.UPF FOLDER"
        )
    functional, path, folder = arguments
    with errors_in_words():
        print(remake(Path(path), functional, Path(folder)))


if __name__ == "__main__":
    main(sys.argv[1:])
