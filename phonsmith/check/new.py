"""Write the campaign file of crystals of your own, with comments on the choices that matter.

    python -m phonsmith new NAME STRUCTURE... --reference vasp

STRUCTURE is a POSCAR, CIF or extxyz file, or ID=FILE; without ID the crystal is named after its
file. The file config/campaigns/NAME.yaml is checked, and nothing is ever overwritten.
"""

import argparse
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from phonsmith.campaign.drafting import drafted, known_references
from phonsmith.campaign.reading import load_campaign
from phonsmith.check.inputs import check_inputs
from phonsmith.check.made import CAMPAIGNS
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.settings import Name
from phonsmith.running.terminal import errors_in_words

if TYPE_CHECKING:
    from ase import Atoms

_PLAIN = re.compile(r"S?POSCAR|CONTCAR", re.IGNORECASE)
_ENDINGS = re.compile(r"(\.(vasp|poscar|cif|extxyz|xyz))?(\.(gz|bz2|xz))?$", re.IGNORECASE)


def new_campaign(name: str, structures: Sequence[str], reference: str) -> Path:
    """Write the campaign file ``config/campaigns/NAME.yaml`` of the project in this folder.

    Parameters
    ----------
    name
        Name of the campaign.
    structures
        Crystal files, each as ``FILE`` or ``ID=FILE``.
    reference
        One of :func:`~phonsmith.campaign.drafting.known_references`.

    Returns
    -------
    Path of the file.

    Raises
    ------
    PhonsmithError
        The name is unsuitable or taken, a crystal cannot be read, two crystals have one id, or the
        reference is unknown. Nothing is written then.
    """
    _check_name(name, "campaign")
    if not CAMPAIGNS.is_dir():
        raise PhonsmithError(
            f"{CAMPAIGNS}: no such folder; run the command in the folder of the project"
        )
    path = CAMPAIGNS / f"{name}.yaml"
    if path.exists():
        raise PhonsmithError(f"{path}: exists already; choose another name")
    files, crystals = _read(structures)
    elements = sorted({element for one in crystals.values() for element in one.symbols})
    text = drafted(name, files, elements, reference)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise PhonsmithError(f"{path}: exists already; choose another name") from None
    except OSError as error:
        raise PhonsmithError(f"{path}: cannot be written ({error.strerror})") from None
    return path


def _check_name(name: str, what: str) -> None:
    if name.endswith((".yaml", ".yml")):
        raise PhonsmithError(f"{name}: give the name of the campaign without its ending")
    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise PhonsmithError(f"'{name}' cannot be the name of a {what}: {reason}") from None


def _read(structures: Sequence[str]) -> tuple[dict[str, str], dict[str, "Atoms"]]:
    """Files and crystals by id."""
    from phonsmith.structures.reading import read_structure

    files: dict[str, str] = {}
    crystals: dict[str, Atoms] = {}
    for given in structures:
        wanted, file = _parted(given)
        crystal = read_structure(file)
        one = wanted or _id_of(file, crystal)
        _check_name(one, "crystal")
        if one in files:
            raise PhonsmithError(
                f"{files[one]} and {file} are both named {one}; name one of them: ID={file}"
            )
        files[one], crystals[one] = _in_project(file), crystal
    return files, crystals


def _parted(given: str) -> tuple[str, str]:
    """Id (empty without one) and file."""
    one, equals, file = given.partition("=")
    return (one, file) if equals and not Path(given).exists() else ("", given)


def _id_of(file: str, crystal: "Atoms") -> str:
    """The file's name without its endings; of a POSCAR the name of its folder, or the formula."""
    path = Path(file)
    stem = _ENDINGS.sub("", path.name)
    if _PLAIN.fullmatch(stem):
        stem = path.parent.name
    else:
        stem = _PLAIN.sub("", stem, count=1) if _PLAIN.match(stem) else stem
    one = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")
    return one[:80] or str(crystal.get_chemical_formula(empirical=True))


def _in_project(file: str) -> str:
    """The path relative to the project where it is inside, else as given."""
    here, path = Path.cwd().resolve(), Path(os.path.abspath(file))  # noqa: PTH100 - keeps links
    return str(path.relative_to(here)) if path.is_relative_to(here) else os.path.normpath(file)


def missing(path: Path) -> list[str]:
    """Return what a new campaign still lacks before it can run, a line each."""
    try:
        check_inputs(load_campaign(path), path, [])
    except PhonsmithError as error:
        return str(error).splitlines()
    return []


def next_steps(path: Path, lacks: Sequence[str]) -> str:
    """Return what to do with a new campaign file, as text for the terminal."""
    name = path.stem
    commands: Mapping[str, str] = {
        f"python -m phonsmith.check {name}": "errors in the file, then in the files it names",
        f"snakemake --profile profiles/local -n results/{name}/report.html": "dry run: the steps",
        f"snakemake --profile profiles/local results/{name}/plan.md": "cells, core hours, memory",
        f"snakemake --profile profiles/local results/{name}/report.html": (
            "run everything; on a cluster: docs/cluster.md"
        ),
    }
    width = max(map(len, commands))
    return "\n".join(
        [
            f"{path} is written. Read its comments and adapt it.",
            *(["Still missing:", *(f"  {line}" for line in lacks)] if lacks else []),
            "Then:",
            *(f"  {command:{width}}  # {what}" for command, what in commands.items()),
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m phonsmith new",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="NAME", help="name of the campaign")
    parser.add_argument("structures", metavar="STRUCTURE", nargs="+", help="crystal: [ID=]FILE")
    parser.add_argument(
        "--reference",
        required=True,
        help=f"what gives the labels: {', '.join(known_references())}",
    )
    given = parser.parse_args(arguments)
    with errors_in_words():
        path = new_campaign(given.name, given.structures, given.reference)
        print(next_steps(path, missing(path)))
