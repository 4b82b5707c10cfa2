"""Result of a pw.x run: a converged result, or the reason of its failure.

pw.x prints "JOB DONE" also when the SCF did not converge or time ran out, and its text output has
merged columns if forces are large. Therefore only runs with exit status 0 give a result, and
numbers are read from the XML file in full precision.
"""

import math
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from ase.units import Bohr, Hartree
from numpy.typing import NDArray

from phonsmith.labels.failed import LabelFailed

Kind = Literal[
    "not converged",
    "diagonalisation",
    "time",
    "memory",
    "killed",
    "crashed",
    "disk",
    "pools",
    "pseudopotential",
    "input",
    "incomplete",
]
"""Kinds of failure, which determine the remedy."""

WANTS: dict[str, str] = {"time": "time", "memory": "memory", "killed": "memory"}


class RunFailed(LabelFailed):
    """A run of pw.x without a label: the reason, and its kind."""

    def __init__(self, kind: Kind, reason: str) -> None:
        super().__init__(reason, WANTS.get(kind, ""))
        self.kind: Kind = kind

    def __reduce__(self) -> tuple[type[Self], tuple[Kind, str]]:
        return type(self), (self.kind, str(self))


@dataclass(frozen=True)
class PwResult:
    """A converged run. ``energy`` in eV is the energy that pw.x marks with "!".

    With smearing, it is the free energy E - TS; forces (eV/Å) and stress (eV/Å³, ASE's sign) are
    its derivatives.
    """

    atoms: Atoms
    energy: float
    forces: NDArray[np.float64]
    stress: NDArray[np.float64] | None
    scf_steps: int
    scf_accuracy_ry: float
    version: str


# --- success -----------------------------------------------------------------------------------


def read_pw(text: str, xml: Path, conv_thr_ry: float) -> PwResult:
    """Read the result of a static run of pw.x that ended with exit status 0.

    Parameters
    ----------
    text
        Output of pw.x.
    xml
        Path of data-file-schema.xml.
    conv_thr_ry
        Required accuracy of the SCF in Ry.

    Raises
    ------
    RunFailed
        The run is incomplete, not converged to ``conv_thr_ry``, or lacks a result.
    """
    if "JOB DONE" not in text:
        raise reason_in(text) or RunFailed("incomplete", "pw.x did not finish")
    if "convergence has been achieved" not in text:
        raise reason_in(text) or RunFailed("not converged", "the SCF did not converge")
    estimates = re.findall(r"estimated scf accuracy\s+<\s+(\S+)\s+Ry", text)
    accuracy = float(estimates[-1]) if estimates else math.inf
    # two digits are printed
    if not accuracy <= conv_thr_ry * 1.05:
        raise RunFailed(
            "not converged",
            f"the SCF stopped at an accuracy of {accuracy:.1e} Ry; {conv_thr_ry:.1e} is required",
        )
    try:
        root = ET.parse(xml).getroot()
    except FileNotFoundError:
        raise RunFailed("incomplete", "pw.x wrote no XML file") from None
    except ET.ParseError as error:
        raise RunFailed("incomplete", f"the XML file of pw.x is damaged ({error})") from None
    try:
        result = result_of_xml(root)
    except RunFailed as failed:
        raise reason_in(text) or failed from None
    if _text(root, "output/convergence_info/scf_conv/convergence_achieved") == "false":
        raise RunFailed("not converged", "the SCF did not converge according to the XML file")
    if result.scf_accuracy_ry > conv_thr_ry * 1.05:
        raise RunFailed(
            "not converged",
            f"the SCF stopped at {result.scf_accuracy_ry:.1e} Ry; {conv_thr_ry:.1e} is required",
        )
    return result


def result_of_xml(root: ET.Element, *, with_stress: bool = True) -> PwResult:
    """Return the result in an XML file, without checks of convergence.

    Raises
    ------
    RunFailed
        The file is incomplete.
    """
    creator = root.find("general_info/creator")
    version = creator.get("VERSION", "") if creator is not None else ""
    if not version:
        raise RunFailed("incomplete", "the XML file does not contain the version of pw.x")
    atoms = _atoms(root)
    forces = _matrix(root, "output/forces", "forces", (len(atoms), 3)) * Hartree / Bohr
    stress = None
    if with_stress or root.find("output/stress") is not None:
        # positive under compression, so minus ASE's
        stress = -_matrix(root, "output/stress", "stress", (3, 3)) * Hartree / Bohr**3
    return PwResult(
        atoms=atoms,
        energy=_number(root, "output/total_energy/etot") * Hartree,
        forces=forces,
        stress=None if stress is None else (stress + stress.T) / 2,
        scf_steps=int(_number(root, "output/convergence_info/scf_conv/n_scf_steps")),
        scf_accuracy_ry=2 * _number(root, "output/convergence_info/scf_conv/scf_error"),
        version=version.strip(),
    )


def _atoms(root: ET.Element) -> Atoms:
    structure = root.find("output/atomic_structure")
    if structure is None:
        raise RunFailed("incomplete", "the XML file contains no atoms")
    files = {
        str(species.get("name")): (species.findtext("pseudo_file") or "").strip()
        for species in root.iterfind("output/atomic_species/species")
    }
    names = [str(atom.get("name")) for atom in structure.iter("atom")]
    positions = [_floats(atom) for atom in structure.iter("atom")]
    cell = [_floats(structure.find(f"cell/a{i}")) for i in (1, 2, 3)]
    elements = {name: _element_of(name, files.get(name, "")) for name in set(names)}
    return Atoms(
        [elements[name] for name in names],
        positions=np.array(positions) * Bohr,
        cell=np.array(cell) * Bohr,
        pbc=True,
    )


def element_of_label(label: str) -> str:
    """Return the element of a species of pw.x, whose label may be in capitals or have an ending.

    >>> [element_of_label(label) for label in ("Si", "SI", "ni1", "C_h", "Fe-up")]
    ['Si', 'Si', 'Ni', 'C', 'Fe']

    Raises
    ------
    RunFailed
        The label begins with no element.
    """
    for symbol in (label[:2].capitalize(), label[:1].upper()):
        if atomic_numbers.get(symbol):
            return symbol
    raise RunFailed("input", f"its species '{label}' is not an element")


def _element_of(label: str, file: str) -> str:
    """The element of a species, refused where the file of its pseudopotential has another one.

    ``Cs`` is caesium, or carbon with an ``s`` behind it.
    """
    element = element_of_label(label)
    if element != label[:1].upper() and re.match(rf"{label[0]}[._-]", file, re.IGNORECASE):
        raise ambiguous_species(label, file, element)
    return element


def ambiguous_species(label: str, pseudopotential: str, element: str) -> RunFailed:
    """Return the error of a label that looks like an element other than its pseudopotential's."""
    return RunFailed(
        "input",
        f"its species {label} has the pseudopotential {pseudopotential}, but the label is read as "
        f"{element}; rename the species in the files of the run, e.g. to {label[0]}1",
    )


def _matrix(root: ET.Element, path: str, what: str, shape: tuple[int, int]) -> NDArray[np.float64]:
    values = np.array(_floats(root.find(path)))
    if values.size != shape[0] * shape[1]:
        raise RunFailed("incomplete", f"the XML file has no {what}, or not {shape[0]} rows")
    if not np.isfinite(values).all():
        raise RunFailed("incomplete", f"non-finite {what} in the XML file")
    return values.reshape(shape)


def _floats(element: ET.Element | None) -> list[float]:
    try:
        return [float(word) for word in (element.text or "").split()] if element is not None else []
    except ValueError:
        return [math.nan]


def _number(root: ET.Element, path: str) -> float:
    values = _floats(root.find(path))
    if len(values) != 1 or not math.isfinite(values[0]):
        raise RunFailed("incomplete", f"the XML file has no {path.rpartition('/')[2]}")
    return values[0]


def _text(root: ET.Element, path: str) -> str:
    return (root.findtext(path) or "").strip().lower()


# --- failure -----------------------------------------------------------------------------------

_SIGNS: tuple[tuple[Kind, str, str], ...] = (
    ("disk", "the disk is full", r"no space left|disk quota exceeded|file too large|SIGXFSZ"),
    (
        "memory",
        "out of memory",
        r"cannot allocate memory|allocation would exceed memory|error allocating|out of memory|"
        r"insufficient virtual memory|insufficient memory|oom.kill|could not allocate|bad_alloc",
    ),
    ("time", "out of time", r"maximum cpu time exceeded"),
    ("not converged", "the SCF did not converge", r"convergence NOT achieved"),
    (
        "pools",
        "more pools than k-points",
        r"some nodes have no k-points|some processors have no k-points|no plane waves found",
    ),
    (
        "diagonalisation",
        "the diagonalisation failed",
        r"cholesky|S matrix not positive definite|too many bands are not converged|"
        r"problems computing|eigenvectors failed to converge|routine +[cr]diaghg",
    ),
    (
        "pseudopotential",
        "a pseudopotential cannot be used",
        r"routine +(readpp|read_upf\w*|upf_\w+|read_pseudo\w*|check_order)|"
        r"pseudopotential file .* not found|xml\w* (parse )?error",
    ),
    (
        "input",
        "atoms overlap",
        r"atoms +#?\s*\d+ and +#?\s*\d+ +overlap|atoms overlap",
    ),
    ("input", "pw.x refuses the input", r"routine +(read_namelists|read_cards|iosys|checkallsym)"),
)
"""Kind of failure, its description, and its pattern in the output; the first match applies."""


def reason_in(text: str) -> RunFailed | None:
    """Return the failure reported in the output of pw.x, if any; warnings are none."""
    text = re.sub(r"Message from routine .*\n.*", "", text)
    for kind, words, pattern in _SIGNS:
        if re.search(pattern, text, re.IGNORECASE):
            return RunFailed(kind, words + _detail(kind, text))
    if error := _error_box(text):
        return RunFailed("crashed", f"pw.x stopped: {error}")
    return None


def _detail(kind: Kind, text: str) -> str:
    if kind == "not converged":
        steps = re.search(r"convergence NOT achieved after\s+(\d+)", text)
        left = re.findall(r"estimated scf accuracy\s+<\s+(\S+)\s+Ry", text)
        return (f" in {steps[1]} steps" if steps else "") + (f" (at {left[-1]} Ry)" if left else "")
    box = _error_box(text)
    return f" ({box})" if box else ""


def _error_box(text: str) -> str:
    """Return the message in pw.x's box of per cent signs."""
    found = re.search(r"Error in routine\s+(\S+)\s*\(\s*-?\d+\s*\):\s*\n\s*(.*?)\s*\n", text)
    return f"{found[1]}: {found[2]}" if found else ""
