"""Potentials of proper orthogonal descriptors (POD) by LAMMPS, in a separate environment.

A potential consists of two files of LAMMPS: ``NAME_coefficients.pod``, the model, and
``NAME_param.pod`` beside it. The coefficients of phonsmith's fits name the checksum of their
parameters in a comment.
"""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from ase.calculators.calculator import BaseCalculator
from ase.data import atomic_numbers

from phonsmith.files.errors import PhonsmithError
from phonsmith.potentials.outside import OutsideCalculator
from phonsmith.potentials.serving import server
from phonsmith.potentials.settings import PotentialSource

COEFFICIENTS, PARAMETERS = "_coefficients.pod", "_param.pod"
"""Ends of the names of the two files."""

_CHECKSUM = re.compile(r"^# SHA-256 of the parameters: ([0-9a-f]{64})$", re.MULTILINE)


def build(source: PotentialSource) -> BaseCalculator:
    """Build the calculator of the two files."""
    assert source.computes_in is not None and source.model is not None
    model = Path(source.model).absolute()
    species = _species(parameters_of(model))
    return OutsideCalculator(
        source.computes_in,
        "lammps_calculator:Lammps",
        {
            "elements": species,
            "commands": [
                "pair_style pod",
                f'pair_coeff * * "{parameters_of(model)}" "{model}" {" ".join(species)}',
            ],
        },
        folder=Path(server.__file__).parent,
    )


def elements(source: PotentialSource) -> frozenset[str] | None:
    """Return the elements of its parameters."""
    if source.model and (file := parameters_of(Path(source.model))).is_file():
        return frozenset(_species(file))
    return None


def check_model(source: PotentialSource) -> None:
    """Check that both files are there, complete, and belong together."""
    if source.model is None:
        return
    path = Path(source.model)
    if not path.name.endswith(COEFFICIENTS):
        raise PhonsmithError(
            f"{path}: the model of a POD is its NAME{COEFFICIENTS}, with NAME{PARAMETERS} beside "
            "it; rename the files"
        )
    parameters = parameters_of(path)
    if not parameters.is_file():
        raise PhonsmithError(
            f"{parameters}: no such file, but {path.name} needs it; copy both files of the POD"
        )
    if not _species(parameters):
        raise PhonsmithError(f"{parameters}: no elements (`species`) of a POD; get the file again")
    text = path.read_text(encoding="utf-8", errors="replace")
    stated = _CHECKSUM.search(text)
    if stated and stated[1] != checksum(parameters.read_text(encoding="utf-8")):
        raise PhonsmithError(
            f"{parameters}: not the parameters that {path.name} was fitted with (its checksum "
            "differs); copy both files of one fit"
        )
    lines = [line.split() for line in text.splitlines() if line.strip() and line[0] != "#"]
    head, numbers = (lines or [[]])[0], lines[1:]
    known = len(head) == 4 and head[0] == "model_coefficients:" and all(map(str.isdigit, head[1:]))
    if not known or len(numbers) < sum(map(int, head[1:])):
        raise PhonsmithError(
            f"{path}: not a complete file of coefficients of a POD; get the file again"
        )


def check_arguments(source: PotentialSource) -> None:
    """Accept: it has no arguments."""


def parameters_of(coefficients: Path) -> Path:
    """Return the file of parameters beside a file of coefficients."""
    return coefficients.with_name(coefficients.name.removesuffix(COEFFICIENTS) + PARAMETERS)


def checksum(parameters: str) -> str:
    """Return the SHA-256 of parameters."""
    return hashlib.sha256(parameters.encode()).hexdigest()


def coefficients_file(coefficients: Sequence[str], parameters: str) -> str:
    """Return the text of a file of coefficients.

    Parameters
    ----------
    coefficients
        Coefficients, as numbers in decimal notation.
    parameters
        Text of the parameters that they belong to.
    """
    head = f"# SHA-256 of the parameters: {checksum(parameters)}"
    return "\n".join([head, f"model_coefficients: {len(coefficients)} 0 0", *coefficients, ""])


def _species(parameters: Path) -> list[str]:
    for line in parameters.read_text(encoding="utf-8", errors="replace").splitlines():
        name, *found = line.partition("#")[0].split() or [""]
        if name == "species" and all(one in atomic_numbers for one in found):
            return found
    return []
