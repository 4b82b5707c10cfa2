"""Level of theory of runs, and whether a set of runs has a single level."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from phonsmith.labels.recorded.readers.vasp_run import Run

MESH_RATIO = 1.6
"""Meshes of one cell that strain or KSPACING set apart differ by less than this: 2 to 3 along a
vector is 1.5. Meshes of 2 and 4 are of different quality."""


@dataclass(frozen=True)
class Level:
    """Settings that two runs must share to lie on one potential energy surface.

    Attributes
    ----------
    code
        VASP or Quantum ESPRESSO.
    functional
        Name, corrections included: ``PBE + U + D3``.
    settings
        Settings of all atoms, by name: cutoffs, spin.
    by_element
        Settings of an element, by element and name: pseudopotential, Hubbard U.
    mesh
        Formula of the cell, its volume in Å³ and the distance of k-points in 1/Å (with 2π), None
        if unknown.
    isolated
        An atom in a box: spin-polarised and at Γ in every set.
    contents
        MD5 of the pseudopotential of an element, by origin: ``stated`` by the code, ``copy`` in
        the folder of the run, ``file`` in the folder named by the run. Codes may change a copy:
        only checksums of the same origin are compared.
    version
        Version of the code; it is not compared.
    smearing
        Method and width, empty if unknown: only compared by :func:`smearings`.
    entropy
        Largest -TS of the electrons, in eV per atom, as a positive number.
    """

    code: str
    functional: str
    settings: Mapping[str, str] = field(default_factory=dict)
    by_element: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    mesh: tuple[str, float, float] | None = None
    isolated: bool = False
    contents: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    version: str = ""
    smearing: str = ""
    entropy: float = 0.0

    def __str__(self) -> str:
        values = [f"{name} {value}" for name, value in self.settings.items()]
        elements = [
            f"{element} {'/'.join(values.values())}" for element, values in self.by_element.items()
        ]
        return ", ".join([f"{self.code} {self.functional}", *values, *elements])


OF_CRYSTALS = ("spin", "spin-orbit")
"""Settings in which an isolated atom differs from the crystals in every set."""


def mixture(levels: Sequence[tuple[str, Level]], apart_from: Collection[str] = ()) -> str:
    """Describe how levels of theory of runs differ; "" for a single level.

    ``levels`` holds the name of the file with each; settings in ``apart_from`` may differ.
    """
    if not levels:
        return ""
    first_of: dict[str, tuple[str, str, Level]] = {}
    for file, level in levels:
        for what, value in _settings_of(level):
            if what in apart_from:
                continue
            before, there, first = first_of.setdefault(what, (value, file, level))
            if before != value and not _same_contents(what, first, level):
                return f"{what} is {before} in {there} and {value} in {file}"
    return _mixed_meshes(levels)


LEAST_ENTROPY_EV = 1e-3
"""eV per atom. With less, free energies hardly depend on the smearing, as in insulators."""


def smearings(levels: Sequence[tuple[str, Level]]) -> str:
    """Describe runs of different smearing with entropy of the electrons; "" for none.

    ``levels`` as for :func:`mixture`.
    """
    of_cells = [one for one in levels if one[1].smearing and not one[1].isolated]
    largest = max((level.entropy for _, level in of_cells), default=0.0)
    if largest < LEAST_ENTROPY_EV:
        return ""
    there, first = of_cells[0]
    for file, level in of_cells:
        if level.smearing != first.smearing:
            return (
                f"smearing is {first.smearing} in {there} and {level.smearing} in {file}, and -TS "
                f"of the electrons is up to {1000 * largest:.1f} meV per atom"
            )
    return ""


PSEUDOPOTENTIAL = "the pseudopotential"


def _same_contents(what: str, first: Level, other: Level) -> bool:
    """Return whether two names denote one pseudopotential, by its contents."""
    name, _, element = what.rpartition(" of ")
    if name != PSEUDOPOTENTIAL:
        return False
    mine, its = set(first.contents.get(element, {}).values()), other.contents.get(element, {})
    return bool(mine & set(its.values()))


def _settings_of(level: Level) -> list[tuple[str, str]]:
    found = [("the code", level.code), ("the functional", level.functional)]
    for name, value in level.settings.items():
        if not (level.isolated and name in OF_CRYSTALS):
            found.append((name, value))
    for element, values in level.by_element.items():
        found += [(f"{name} of {element}", value) for name, value in values.items()]
    for element, contents in level.contents.items():
        found += [(f"{_MD5[origin]} of {element}", md5) for origin, md5 in contents.items()]
    return found


_MD5 = {
    "stated": "the MD5 sum of the pseudopotential",
    "copy": "the MD5 sum of the copy of the pseudopotential",
    "file": "the MD5 sum of the file of the pseudopotential",
}


def _mixed_meshes(levels: Sequence[tuple[str, Level]]) -> str:
    """Describe different k-point meshes for cells of one formula and size; "" for none."""
    seen: dict[str, list[tuple[float, float, str]]] = {}
    for file, level in levels:
        if level.mesh is None or level.isolated:
            continue
        formula, volume, spacing = level.mesh
        for other, coarse, there in seen.get(formula, []):
            alike = 1 / 1.3 < volume / other < 1.3
            if alike and not 1 / MESH_RATIO < spacing / coarse < MESH_RATIO:
                return (
                    f"the distance of k-points of {formula} is {coarse:.2f} 1/Å in {there} and "
                    f"{spacing:.2f} 1/Å in {file}"
                )
        places = seen.setdefault(formula, [])
        if len(places) < 20:
            places.append((volume, spacing, file))
    return ""


# --- functionals -------------------------------------------------------------------------------

_GGA = {
    **{"PE": "PBE", "PS": "PBEsol", "91": "PW91", "RP": "RPBE", "RE": "revPBE", "AM": "AM05"},
    **{"CA": "LDA", "PZ": "LDA", "OR": "optPBE", "BO": "optB88", "MK": "optB86b", "ML": "rPW86"},
    **{"B3": "B3LYP", "B5": "B3LYP", "BF": "BEEF", "PBE_52": "PBE"},
}
_HYBRIDS = {"PBE": ("PBE0", "HSE06"), "PBEsol": ("PBE0sol", "HSEsol")}
_META = {"R2SCA": "R2SCAN", "R2SCAN": "R2SCAN", "RSCAN": "rSCAN", "SCAN": "SCAN", "TPSS": "TPSS"}
_META |= {"RTPSS": "revTPSS", "M06L": "M06-L", "MBJ": "mBJ"}


def level_of(run: Run, formula: str, lattice: np.ndarray | None) -> Level:
    """Determine the level of theory of a VASP run.

    Parameters
    ----------
    run
        Settings read from the run.
    formula
        Formula of the cell.
    lattice
        (3, 3) lattice vectors of the cell in rows, in Å, or None.
    """
    isolated = sum(run.counts) == 1
    settings = {"ENCUT": f"{run.number('ENMAX', run.number('ENCUT')):g} eV"}
    settings["spin"] = "on" if run.number("ISPIN", 1) == 2 else "off"
    if run.is_true("LNONCOLLINEAR"):
        settings["spin"] = "noncollinear"
    settings["spin-orbit"] = "on" if run.is_true("LSORBIT") else "off"
    by_element: dict[str, dict[str, str]] = {}
    hubbard = _hubbard(run)
    for species, title in zip(run.species, run.titles, strict=True):
        by_element[species] = {"the POTCAR": " ".join(title.split())}
        if hubbard:
            by_element[species]["the Hubbard U"] = hubbard.get(species, "none")
    return Level(
        code="VASP",
        functional=functional_of(run),
        settings=settings,
        by_element=by_element,
        mesh=None if run.mesh is None or lattice is None else (formula, *_spacing(lattice, run)),
        isolated=isolated,
        version=run.version.strip(),
        smearing=_smearing(run),
        entropy=max((step.entropy or 0.0 for step in run.steps), default=0.0) / sum(run.counts),
    )


def _smearing(run: Run) -> str:
    """ISMEAR, and SIGMA where it has a meaning: not for tetrahedra (-4, -5)."""
    method = run.number("ISMEAR", 1)
    width = "" if method < -3 else f", SIGMA {run.number('SIGMA', 0.2):g} eV"
    return f"ISMEAR {method:g}{width}"


def _spacing(lattice: np.ndarray, run: Run) -> tuple[float, float]:
    reciprocal = 2 * np.pi * np.linalg.norm(np.linalg.inv(lattice), axis=0)
    assert run.mesh is not None
    return abs(float(np.linalg.det(lattice))), float(max(reciprocal / np.array(run.mesh)))


def _hubbard(run: Run) -> dict[str, str]:
    """Return l, U and J of elements with non-zero U or J."""
    if not run.is_true("LDAU"):
        return {}
    channels, u, j = (run.numbers(key) for key in ("LDAUL", "LDAUU", "LDAUJ"))
    found = {}
    for index, species in enumerate(run.species):
        values = [column[index] if index < len(column) else 0.0 for column in (channels, u, j)]
        if values[0] >= 0 and (values[1] or values[2]):
            found[species] = f"l = {values[0]:g}, U = {values[1]:g}, J = {values[2]:g} eV"
    return found


def functional_of(run: Run) -> str:
    """Return the functional of a VASP run by its usual name, with what is added to it."""
    tag = run.settings.get("GGA", "").strip().strip("-").upper()
    name = _GGA.get(tag, f"GGA {tag}") if tag else _of_potcars(run.titles)
    meta = run.settings.get("METAGGA", "").strip().strip("-").upper()
    if meta and meta not in ("F", "NONE", ".FALSE.", "T"):
        name = _META.get(meta, meta)
    if run.is_true("LHFCALC"):
        name = _hybrid(name, run)
    if run.is_true("LUSE_VDW"):
        name += " + vdW-DF"
    if dispersion := run.number("IVDW", float(run.is_true("LVDW"))):
        name += f" + dispersion (IVDW {dispersion:g})"
    if _hubbard(run):
        name += " + U"
    return name


def _of_potcars(titles: Sequence[str]) -> str:
    """VASP's functional where the INCAR names none is that of the POTCAR."""
    first = titles[0].split()[0].upper() if titles and titles[0].split() else ""
    if "PBE" in first:
        return "PBE"
    return "PW91" if "GGA" in first else "LDA"


def _hybrid(name: str, run: Run) -> str:
    share, screening = run.number("AEXX", 0.25), run.number("HFSCREEN")
    if name in _HYBRIDS and abs(share - 0.25) < 1e-3:
        if screening == 0:
            return _HYBRIDS[name][0]
        if 0.19 < screening < 0.212:
            return _HYBRIDS[name][1]
    return f"{name} hybrid (AEXX {share:g}, HFSCREEN {screening:g})"


# --- what a campaign says ----------------------------------------------------------------------

_NAMES = (
    *("PBEsol", "PBE", "LDA", "PW91", "RPBE", "revPBE", "AM05", "SCAN", "rSCAN", "R2SCAN", "TPSS"),
    *("HSE06", "PBE0", "HSEsol", "B3LYP", "BLYP", "optPBE", "optB88", "optB86b"),
)
_CODES = {"VASP": "VASP", "QE": "Quantum ESPRESSO", "Quantum ESPRESSO": "Quantum ESPRESSO"}
_CODES |= {"pw.x": "Quantum ESPRESSO", "PWscf": "Quantum ESPRESSO", "CASTEP": "CASTEP"}
_CODES |= {"FHI-aims": "FHI-aims", "CP2K": "CP2K", "ABINIT": "ABINIT", "WIEN2k": "WIEN2k"}


def contradiction(stated: str, level: Level) -> str:
    """Describe how a stated level of theory contradicts the level found; "" if it does not.

    Only known names of functionals and codes are compared.
    """
    codes = {code for name, code in _CODES.items() if _names(stated, name)}
    if codes and level.code not in codes:
        return f"the code is {level.code}"
    named = {name for name in _NAMES if _names(stated, name)}
    base = re.split(r" \+ | hybrid", level.functional)[0]
    if named and base not in named and base in _NAMES:
        return f"the functional is {level.functional}"
    return ""


def additions(stated: str, level: Level) -> str:
    """Describe corrections (+U, dispersion) missing in the stated level; "" for none."""
    found = []
    if "+ U" in level.functional and not re.search(r"\+\s*U\b|\bU\b|Hubbard", stated, re.I):
        found.append("a Hubbard U")
    if "dispersion" in level.functional and not re.search(r"D[234]|TS|MBD|vdW|disp", stated, re.I):
        found.append("a dispersion correction")
    return " and ".join(found)


def _names(text: str, name: str) -> bool:
    return bool(re.search(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", text, re.I))
