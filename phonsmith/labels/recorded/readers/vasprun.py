"""vasprun.xml as a :class:`~phonsmith.labels.recorded.readers.vasp_run.Run`.

Only what labels need is read, section by section, and everything else is dropped as it comes. So a
number that VASP could not print (asterisks) does not matter in a field of no use, files of any size
need little memory, and entities are not expanded. pymatgen's reader refuses such files whole, and
holds all of them.
"""

from pathlib import Path
from typing import Any, cast

import numpy as np
from lxml import etree

from phonsmith.labels.failed import LabelFailed
from phonsmith.labels.recorded.readers.vasp_run import (
    Bounded,
    Floats,
    IonicStep,
    Run,
    element_of,
    number,
)

LARGEST_BYTES = 4 << 30
"""Larger ones hold thousands of steps with all their bands."""

LARGEST_STRETCH_BYTES = 64 << 20
"""No section of use, nor a band in one of no use, is as long as this."""

_HEADER = frozenset(("generator", "incar", "kpoints", "parameters", "atominfo"))
_WITHOUT_USE = frozenset(
    (
        *("dos", "eigenvalues", "eigenvalues_kpoints_opt", "projected", "projected_kpoints_opt"),
        *("dielectricfunction", "dynmat", "born_charges", "separator", "set"),
    )
)
_WITHOUT_USE_AT_THE_TOP = frozenset(("structure", "varray", "array"))
_TOTALS = frozenset(("e_fr_energy", "e_wo_entrp", "e_0_energy"))


def parse_vasprun(path: Path) -> Run:
    """Read a vasprun.xml, packed or not.

    Raises
    ------
    LabelFailed
        It is damaged, unfinished, of another kind, or too large.
    """
    from monty.io import zopen

    try:
        with zopen(path, "rb") as stream:
            bounded = Bounded(stream, LARGEST_BYTES, LARGEST_STRETCH_BYTES)
            return _parse(bounded)
    except LabelFailed:
        raise
    except Exception as error:  # lxml and the unpackers raise many kinds
        raise LabelFailed(f"is not a complete vasprun.xml ({short(error)})") from error


def short(error: Exception) -> str:
    """Return the first words of an exception, in one line."""
    return " ".join(str(error).split())[:120] or type(error).__name__


def _parse(stream: Bounded) -> Run:
    found: dict[str, Any] = {}
    run: Run | None = None
    tags = [*_HEADER, *_WITHOUT_USE, *_WITHOUT_USE_AT_THE_TOP, "calculation"]
    events = etree.iterparse(
        cast(Any, stream),
        events=("end",),
        tag=tags,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
    )
    for _, element in events:
        stream.passed()
        at_the_top = _depth(element) == 1
        if element.tag == "calculation":
            run = run or _run(found)
            run.steps.append(_step(element, run))
        elif element.tag in _HEADER and at_the_top:
            if run is None:
                found[element.tag] = _HEADERS[element.tag](element)
        elif element.tag in _WITHOUT_USE:
            if element.tag in ("set", "separator") and _is_in_header(element):
                continue
        elif not at_the_top:
            continue
        element.clear()
    root = events.root
    if root is None or root.tag != "modeling":
        raise LabelFailed("is not a complete vasprun.xml (it has another root element)")
    return run or _run(found)


def _depth(element: etree._Element) -> int:
    return sum(1 for _ in element.iterancestors())


def _is_in_header(element: etree._Element) -> bool:
    return any(one.tag in _HEADER for one in element.iterancestors())


def _run(found: dict[str, Any]) -> Run:
    missing = _HEADER - {"kpoints", "incar"} - set(found)
    if missing:
        raise LabelFailed(f"is not a complete vasprun.xml (it has no <{min(missing)}>)")
    settings = {**found["parameters"]}
    for key, value in found.get("incar", {}).items():
        settings.setdefault(key, value)
    species, counts, titles, valence = found["atominfo"]
    return Run(
        version=found["generator"].get("VERSION", ""),
        settings=settings | {"INCAR": " ".join(found.get("incar", {}))},
        species=species,
        counts=counts,
        titles=titles,
        valence=valence,
        mesh=found.get("kpoints"),
    )


# --- sections ----------------------------------------------------------------------------------


def _settings(section: etree._Element) -> dict[str, str]:
    """All ``i`` and ``v`` of a section by name in capitals; the first of a name counts."""
    settings: dict[str, str] = {}
    for item in section.iter("i", "v"):
        if name := item.get("name"):
            settings.setdefault(name.strip().upper(), (item.text or "").strip())
    return settings


def _mesh(section: etree._Element) -> tuple[int, int, int] | None:
    for item in section.iterfind("generation/v[@name='divisions']"):
        words = [number(word) for word in (item.text or "").split()]
        if len(words) == 3 and all(word >= 1 for word in words):
            return int(words[0]), int(words[1]), int(words[2])
    return None


def _atoms(section: etree._Element) -> tuple[list[str], list[int], list[str], list[float]]:
    """Elements, numbers of atoms, POTCARs' titles and valences of the species."""
    rows = [
        [(c.text or "") for c in row.iterfind("c")]
        for row in section.iterfind("array[@name='atomtypes']/set/rc")
    ]
    types = [
        int(row.findall("c")[-1].text or "0")
        for row in section.iterfind("array[@name='atoms']/set/rc")
    ]
    counts = [int(row[0]) for row in rows]
    if types != [kind + 1 for kind, count in enumerate(counts) for _ in range(count)]:
        raise LabelFailed("is not a complete vasprun.xml (its atoms do not match their species)")
    species = [element_of(row[1], row[4]) for row in rows]
    return species, counts, [row[4].strip() for row in rows], [number(row[3]) for row in rows]


_HEADERS: dict[str, Any] = {
    "generator": _settings,
    "incar": _settings,
    "parameters": _settings,
    "kpoints": _mesh,
    "atominfo": _atoms,
}


def _step(calculation: etree._Element, run: Run) -> IonicStep:
    loop = [
        {str(i.get("name")): number((i.text or "").strip()) for i in one.iterfind("energy/i")}
        for one in calculation.iterfind("scstep")
    ]
    if run.has_response:  # VASP writes all terms of the energy at the end of a ground state
        whole = [index for index, one in enumerate(loop) if not one.keys() <= _TOTALS]
        loop = loop[: whole[-1] + 1] if whole else loop
    energies = [one["e_fr_energy"] for one in loop if "e_fr_energy" in one]
    lattice = _matrix(calculation, "structure/crystal/varray[@name='basis']")
    fractional = _matrix(calculation, "structure/varray[@name='positions']")
    energies_of_end = {
        str(one.get("name")): number((one.text or "").strip())
        for one in calculation.iterfind("energy/i")
    }
    return IonicStep(
        lattice=lattice,
        positions=None if lattice is None or fractional is None else fractional @ lattice,
        energy=energies_of_end.get("e_fr_energy"),
        entropy=_entropy(energies_of_end),
        forces=_matrix(calculation, "varray[@name='forces']"),
        kilobar=_matrix(calculation, "varray[@name='stress']"),
        electronic_steps=len(loop),
        energy_change=energies[-1] - energies[-2] if len(energies) > 1 else None,
    )


def _entropy(energies: dict[str, float]) -> float | None:
    """-TS of the electrons as a positive number.

    VASP 5 exchanges the two other energies, and some versions write zero for one of them.
    """
    free = energies.get("e_fr_energy", np.nan)
    others = [energies.get(name, 0.0) for name in ("e_wo_entrp", "e_0_energy")]
    terms = np.abs([energy - free for energy in others if energy])
    return float(terms.max()) if len(terms) and np.isfinite(terms).all() else None


def _matrix(calculation: etree._Element, path: str) -> Floats | None:
    """The rows of a varray of three columns; a number that cannot be read is NaN."""
    varray = calculation.find(path)
    if varray is None:
        return None
    rows = [[number(word) for word in (v.text or "").split()] for v in varray.iterfind("v")]
    if not rows or any(len(row) != 3 for row in rows):
        return np.full((max(1, len(rows)), 3), np.nan)
    return np.array(rows)
