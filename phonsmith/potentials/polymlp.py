"""Polynomial potentials by pypolymlp, in a separate environment."""

import re
from pathlib import Path

from ase.calculators.calculator import BaseCalculator
from ase.data import atomic_numbers

from phonsmith.files.errors import PhonsmithError
from phonsmith.potentials.outside import OutsideCalculator
from phonsmith.potentials.serving import server
from phonsmith.potentials.settings import PotentialSource

_HEAD = 4096
_ELEMENTS = re.compile(r"^elements:\s*\[([A-Za-z, ]+)\]", re.MULTILINE)


def build(source: PotentialSource) -> BaseCalculator:
    """Build the calculator of a ``polymlp.yaml``."""
    assert source.computes_in is not None and source.model is not None
    return OutsideCalculator(
        source.computes_in,
        "polymlp_calculator:Polymlp",
        {"model": str(Path(source.model).absolute())},
        folder=Path(server.__file__).parent,
    )


def elements(source: PotentialSource) -> frozenset[str] | None:
    """Return the elements of its file."""
    if source.model and Path(source.model).is_file():
        return frozenset(_elements_in(Path(source.model)))
    return None


def check_model(source: PotentialSource) -> None:
    """Check that the model is a ``polymlp.yaml`` that is complete."""
    if source.model is None:
        return
    path = Path(source.model)
    ends = path.read_bytes()[-_HEAD:].rstrip().endswith(b"]")
    if not _elements_in(path) or not ends:
        raise PhonsmithError(
            f"{path}: not a complete polymlp.yaml of pypolymlp 0.9 or later; convert a "
            "polymlp.lammps with `Pypolymlp().convert_to_yaml`, or get the file again"
        )


def check_arguments(source: PotentialSource) -> None:
    """Accept: it has no arguments."""


def _elements_in(path: Path) -> list[str]:
    with path.open(encoding="utf-8", errors="replace") as stream:
        found = _ELEMENTS.search(stream.read(_HEAD))
    names = [name.strip() for name in found[1].split(",")] if found else []
    return names if all(name in atomic_numbers for name in names) else []
