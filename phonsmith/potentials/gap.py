"""GAP by quippy."""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ase.calculators.calculator import BaseCalculator
from ase.data import chemical_symbols

from phonsmith.files.errors import PhonsmithError
from phonsmith.potentials.settings import PotentialSource

LOCAL = frozenset({"soap", "distance_2b", "angle_3b"})
"""Descriptors that depend on the atoms within their cutoff around a centre."""

NOT_LOCAL = frozenset({"average", "resid_name", "only_intra", "only_inter"})
"""Keys for an average over all centres, or for further properties of the atoms."""

TERMS = ("GAP", "Glue", "LJ", "Morse", "BornMayer", "ZBL", "SW", "Tersoff")
"""Kinds of potentials of QUIP that a model file may contain: a GAP and its baselines."""


def build(source: PotentialSource) -> BaseCalculator:
    """Build the calculator of a model file."""
    from phonsmith.potentials.quip import Quip

    return Quip(**{"args_str": "", "param_filename": source.model, **source.arguments})


def elements(source: PotentialSource) -> frozenset[str] | None:
    """Return the species of its descriptors."""
    if source.model and Path(source.model).is_file():
        return _elements_in(Path(source.model))
    return None


def check_model(source: PotentialSource) -> None:
    """Check that the model is complete."""
    if source.model is not None:
        _check_gap(Path(source.model))


def check_arguments(source: PotentialSource) -> None:
    """Check arguments that QUIP interprets."""
    _check_quip(source.arguments)


def cutoff_angstrom(source: PotentialSource) -> float | None:
    """Return the longest cutoff of its descriptors; None if another term may reach further.

    Known descriptors are those of single environments, pairs and triplets.
    """
    if source.model is None or source.arguments:
        return None
    cutoffs: list[float | None] = []
    potentials = []
    for _, element in ElementTree.iterparse(source.model):
        if element.tag == "Potential":
            potentials.append(str(element.get("init_args")))
        elif element.tag == "GAP_data" and element.get("do_core", "F") != "F":
            return None
        elif element.tag == "descriptor":
            cutoffs.append(_cutoff_of(str(element.text)))
        element.clear()
    if len(potentials) != 1 or not re.fullmatch(r"IP GAP label=\S+", potentials[0].strip()):
        return None  # a sum with other potentials
    known = [cutoff for cutoff in cutoffs if cutoff is not None]
    return max(known) if known and len(known) == len(cutoffs) else None


def _cutoff_of(descriptor: str) -> float | None:
    """Return the range of a descriptor of QUIP; None if it is not centred on an atom.

    >>> _cutoff_of(" distance_2b cutoff=4.5 cutoff_transition_width=1.0 Z1=14 Z2=14")
    4.5
    >>> _cutoff_of("soap cutoff=5.0 average=T n_max=8 l_max=5")
    """
    name, *rest = descriptor.split() or [""]
    keys = {word.partition("=")[0] for word in rest}
    stated = re.findall(r"(?:^|\s)cutoff=(\d+\.?\d*)(?=\s|$)", descriptor)
    if name not in LOCAL or keys & NOT_LOCAL or len(stated) != 1:
        return None
    return float(stated[0])


def masked(mask: str) -> dict[str, Any]:
    """Return the arguments of quippy's ``calculate`` that select centres by an array."""
    return {"calc_args": f"atom_mask_name={mask}", "add_arrays": [mask]}


def _elements_in(path: Path) -> frozenset[str] | None:
    """Return the species of the descriptors of a GAP; its e0 list may name further elements."""
    numbers: set[int] = set()
    with path.open(encoding="utf-8", errors="replace") as stream:
        for line in stream:
            if "<descriptor>" in line:
                for text in re.findall(r"\b(?:species_)?Z\d*=(\d+|\{[^}]*\})", line):
                    numbers.update(int(number) for number in re.findall(r"\d+", text))
    return frozenset(chemical_symbols[number] for number in numbers) or None


def _check_quip(arguments: dict[str, Any]) -> None:
    """Refuse arguments of QUIP that select other potentials, which run commands and read files."""
    begins = r"(IP GAP|Potential xml_label=[\w.-]+)?"
    if not re.fullmatch(begins, str(arguments.get("args_str", ""))):
        raise PhonsmithError(
            "calculator 'gap': args_str must be `IP GAP` or `Potential xml_label=NAME`"
        )
    if re.search(r"[/~]|\.\.", str(arguments.get("calc_args", ""))):
        raise PhonsmithError("calculator 'gap': calc_args must not name a file")


def _check_gap(path: Path) -> None:
    """Check that a GAP is complete, with its companion files, and that QUIP runs nothing for it.

    QUIP ends the process, without an exception, if it cannot read a file.
    """
    found = False
    try:
        for _, element in ElementTree.iterparse(path):
            found |= element.tag == "GAP_params"
            if element.tag.lower() == "potential":
                _check_terms(path, str(element.get("init_args")))
            if beside := element.get("sparseX_filename"):
                _check_companion(path, path.parent / beside)
            element.clear()
    except ElementTree.ParseError as error:
        if _begins_as_xml(path):
            raise PhonsmithError(
                f"{path}: cut off or damaged ({error}); get the file again"
            ) from None
    if not found:
        raise PhonsmithError(f"{path}: not a GAP (no <GAP_params>); give the XML file of gap_fit")


def _begins_as_xml(path: Path) -> bool:
    with path.open(encoding="utf-8", errors="replace") as stream:
        return stream.read(1) == "<"


def _check_companion(path: Path, beside: Path) -> None:
    packed = beside.with_name(f"{beside.name}.bz2")
    if not beside.is_file():
        raise PhonsmithError(
            f"{beside}: no such file, but {path.name} refers to it; "
            + (f"unpack it: bunzip2 {packed}" if packed.is_file() else "copy all files of the GAP")
        )


def _check_terms(path: Path, terms: str) -> None:
    """Refuse other potentials than a GAP and its baselines: QUIP's FilePot runs commands."""
    term = rf"IP ({'|'.join(TERMS)})( (xml_)?label=[\w.-]+)?"
    both = rf"Sum init_args_pot1=\{{{term}\}} init_args_pot2=\{{{term}\}}"
    if not re.fullmatch(rf"\s*({term}|{both})\s*", terms):
        raise PhonsmithError(
            f"{path}: its <Potential> is '{terms}'; only a GAP, or its sum with one of "
            f"{', '.join(TERMS[1:])}, is loaded: QUIP runs commands for other kinds"
        )
