"""OUTCAR as a :class:`~phonsmith.labels.recorded.readers.vasp_run.Run`.

ASE's reader stumbles over the second table of a dispersion correction, over species on two lines,
and over the short OUTCARs of NWRITE = 0.
"""

import re
from pathlib import Path

import numpy as np

from phonsmith.labels.failed import LabelFailed
from phonsmith.labels.recorded.readers.vasp_run import (
    Bounded,
    Floats,
    IonicStep,
    Run,
    element_of,
    number,
)
from phonsmith.labels.recorded.readers.vasprun import short

LARGEST_BYTES = 1 << 30
"""Larger ones are dynamics of many thousand steps."""

_FLOAT = r"[-+]?\d*\.?\d+(?:[EeDd][-+]?\d+)?"
_NUMBERS = (
    *("ICHARG", "IALGO", "NELM", "IBRION", "NSW", "ISIF", "PSTRESS", "ENCUT", "EDIFF", "ISPIN"),
    *("NELECT", "EFIELD", "IDIPOL", "MDALGO", "I_CONSTRAINED_M", "IMAGES", "AEXX", "HFSCREEN"),
    *("IVDW", "NUPDOWN", "ISMEAR", "SIGMA", "ICORELEVEL", "SCALEE", "LDAUTYPE"),
)
_WORDS = (
    *("GGA", "METAGGA", "PREC", "ALGO", "LHFCALC", "LEPSILON", "LCALCEPS", "LCHIMAG", "ML_LMLFF"),
    *("LUSE_VDW", "LDAU", "LNONCOLLINEAR", "LSORBIT", "LSOL"),
)


def outcar_text(path: Path) -> str:
    """Return the text of an OUTCAR, packed or not.

    Raises
    ------
    LabelFailed
        It cannot be read or is too large.
    """
    from monty.io import zopen

    try:
        with zopen(path, "rb") as stream:
            bounded = Bounded(stream, LARGEST_BYTES)
            parts = iter(bounded.read, b"")
            return b"".join(parts).decode("utf-8", errors="replace")
    except LabelFailed:
        raise
    except Exception as error:  # the unpackers raise many kinds
        raise LabelFailed(f"cannot be read ({short(error)})") from error


def parse_outcar(text: str) -> Run:
    """Parse the text of an OUTCAR.

    Raises
    ------
    LabelFailed
        VASP did not end regularly, or the file does not list its atoms.
    """
    if "General timing and accounting" not in text:
        raise LabelFailed("is not a complete OUTCAR (VASP did not finish)")
    head, *loops = re.split(r"-+ Iteration +\d+\( +1\)", text)
    version = re.search(r"^\s*vasp\.(\S+)", head, re.MULTILINE)
    titles = re.findall(r"^\s*TITEL\s*=\s*(.+?)\s*$", head, re.MULTILINE)
    counts = _counts(head)
    if len(titles) < len(counts):
        titles = re.findall(r"^\s*POTCAR:\s+(.+?)\s*$", head, re.MULTILINE)[: len(counts)]
    ions = re.search(r"NIONS\s*=\s*(\d+)", head)
    if not counts or len(titles) != len(counts) or (ions and int(ions[1]) != sum(counts)):
        raise LabelFailed(
            "has inconsistent atoms: POTCARs, `ions per type` and NIONS do not match (VASP "
            "truncates long lists); give vasprun.xml"
        )
    settings = _settings(head, text)
    run = Run(
        version=version[1] if version else "",
        settings=settings,
        species=[element_of("", title) for title in titles],
        counts=counts,
        titles=titles,
        valence=_valence(head, len(counts)),
        relaxed="reached required accuracy" in text,
    )
    before = _lattice(head)
    for loop in loops:
        run.steps.append(_step(loop, run, before))
        before = run.steps[-1].lattice
    return run


def _settings(head: str, text: str) -> dict[str, str]:
    settings: dict[str, str] = {}
    for key in _NUMBERS:
        # the first is the value of the INCAR, the last the value that VASP uses
        if found := re.findall(rf"(?<![\w*]){key}\s*=\s*({_FLOAT})", head):
            settings[key] = found[-1]
    for key in _WORDS:
        if found := re.findall(rf"(?<![\w*]){key}\s*=[ \t]*(\.?[\w-]+\.?)", head):
            settings[key] = found[-1]
    # "METAGGA = F" among the parameters is about non-self-consistent ones
    named = re.findall(r"(?<![\w*])METAGGA\s*=[ \t]*([A-Za-z]\w+)", head)
    if named:
        settings["METAGGA"] = named[-1]
    for key in ("VCA", "EFIELD_PEAD"):
        if found := re.findall(rf"(?<![\w*]){key}\s*=((?:[ \t]+{_FLOAT})+)", head):
            settings[key] = found[-1]
    if re.search(r"CHAIN-FORCES|NEB: projections|^ *TANGENT", text, re.MULTILINE):
        settings["IMAGES"] = settings.get("IMAGES", "1")
    if "LDA+U is selected" in head:
        settings["LDAU"] = "T"
        for key in ("LDAUL", "LDAUU", "LDAUJ"):
            if found := re.findall(rf"{key}\s*=((?:\s+{_FLOAT})+)", head):
                settings[key] = found[-1]
    return settings


def _counts(head: str) -> list[int]:
    """Atoms of each species; VASP breaks long lists into lines."""
    found = re.search(r"ions per type =((?:\s+\d+)+)", head)
    return [int(word) for word in found[1].split()] if found else []


def _valence(head: str, species: int) -> list[float]:
    values = [number(one) for one in re.findall(rf"ZVAL\s*=\s*({_FLOAT})\s+mass", head)]
    return values if len(values) == species else []


def _lattice(text: str) -> Floats | None:
    """The last lattice in a text."""
    found = re.findall(r"direct lattice vectors[^\n]*\n((?:[^\n]*\n){3})", text)
    lines = found[-1].splitlines() if found else []
    rows = [line.replace("-", " -").split()[:3] for line in lines]
    matrix = np.array([[number(word) for word in row] for row in rows if len(row) == 3])
    return matrix if matrix.shape == (3, 3) else None


def _step(loop: str, run: Run, lattice: Floats | None) -> IonicStep:
    end = loop.find("aborting loop")
    ground = loop[:end] if end >= 0 else loop
    changes = re.findall(rf"total energy-change \(2\. order\)\s*:\s*({_FLOAT})", ground)
    free = re.findall(rf"free  energy\s+TOTEN\s*=\s*({_FLOAT})\s*eV", loop)
    table = re.search(r"POSITION\s+TOTAL-FORCE[^\n]*\n\s*-+\s*\n(.*?)\n\s*-{10,}", loop, re.DOTALL)
    places = _table(table[1], sum(run.counts)) if table else None
    without = re.findall(rf"energy  without entropy=\s*({_FLOAT})", loop)
    stress = re.findall(r"^\s*in kB((?:\s+\S+){6})", loop, re.MULTILINE)
    return IonicStep(
        lattice=_lattice(loop) if "direct lattice vectors" in loop else lattice,
        positions=None if places is None else places[:, :3],
        energy=number(free[-1]) if free else None,
        entropy=abs(number(without[-1]) - number(free[-1])) if free and without else None,
        forces=None if places is None else places[:, 3:6],
        kilobar=_stress(stress[-1]) if stress else None,
        electronic_steps=1 + len(re.findall(r"-+ Iteration +\d+\( +\d+\)", ground)),
        energy_change=number(changes[-1]) if changes else None,
        says_converged="aborting loop because EDIFF is reached" in loop,
    )


def _table(text: str, atoms: int) -> Floats:
    """Positions and forces (atoms, 6), and what follows them dropped; NaN where unreadable."""
    rows = [[number(word) for word in line.split()[:6]] for line in text.splitlines()]
    if len(rows) != atoms or any(len(row) != 6 for row in rows):
        return np.full((atoms, 6), np.nan)
    return np.array(rows)


def _stress(words: str) -> Floats:
    """VASP prints XX YY ZZ XY YZ ZX."""
    xx, yy, zz, xy, yz, zx = (number(word) for word in words.split())
    return np.array([[xx, xy, zx], [xy, yy, yz], [zx, yz, zz]])
