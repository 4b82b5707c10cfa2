"""Content of a VASP run, from whichever file: settings, atoms, and ionic steps.

Nothing is judged here but what makes a whole run unfit for labels, by its settings:
:func:`refuse_by_settings`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from phonsmith.labels.failed import LabelFailed

Floats = NDArray[np.float64]

NAMES = {"X": "Xe", "r": "Zr"}
"""Symbols that versions of VASP have cut off."""


@dataclass(frozen=True)
class IonicStep:
    """A cell of a run and what VASP computed for it; None for what the file lacks.

    Attributes
    ----------
    lattice, positions
        (3, 3) and (atoms, 3), Cartesian, in Å.
    energy
        The free energy (TOTEN, e_fr_energy) in eV.
    forces
        (atoms, 3) in eV/Å.
    kilobar
        (3, 3), VASP's stress: positive under compression.
    electronic_steps
        Steps of the electronic loop, without those of a response to a perturbation.
    energy_change
        By the last electronic step, in eV; None if unknown.
    entropy
        Energy without the entropy of the electrons minus the free energy, in eV; None if unknown.
    says_converged
        Whether VASP reports that EDIFF is reached; None if unknown. VASP 5 reports it also after
        NELM steps.
    """

    lattice: Floats | None
    positions: Floats | None
    energy: float | None
    forces: Floats | None
    kilobar: Floats | None
    electronic_steps: int
    energy_change: float | None
    says_converged: bool | None = None
    entropy: float | None = None


@dataclass
class Run:
    """A finished run as recorded in its file.

    ``settings`` holds INCAR keys and what VASP made of them, in capitals, as text; ``titles`` and
    ``valence`` (electrons) are those of the POTCARs, by species, ``species`` the element of each
    and ``counts`` the atoms of each.
    """

    version: str
    settings: Mapping[str, str]
    species: list[str]
    counts: list[int]
    titles: list[str]
    valence: list[float]
    steps: list[IonicStep] = field(default_factory=list)
    mesh: tuple[int, int, int] | None = None
    relaxed: bool | None = None
    """Whether VASP says that a relaxation ended; None where the file does not tell."""

    @property
    def symbols(self) -> list[str]:
        """The element of each atom."""
        return [s for s, n in zip(self.species, self.counts, strict=True) for _ in range(n)]

    def number(self, key: str, default: float = 0.0) -> float:
        """Return a setting as a number; the default where it is missing or unreadable."""
        words = self.settings.get(key, "").split()
        value = number(words[0]) if words else np.nan
        return default if np.isnan(value) else value

    def numbers(self, key: str) -> list[float]:
        """Return a setting of several numbers; those that cannot be read are NaN."""
        return [number(word) for word in self.settings.get(key, "").split()]

    def is_true(self, key: str) -> bool:
        """Return whether a logical setting is on."""
        return self.settings.get(key, "").strip(" .")[:1].upper() == "T"

    @property
    def is_dynamics(self) -> bool:
        """Molecular dynamics: every step has a self-consistent density of its own."""
        return self.number("IBRION", -1) == 0 and self.number("NSW") > 1

    @property
    def is_relaxation(self) -> bool:
        """A relaxation of several steps."""
        return self.number("IBRION", -1) in (1, 2, 3) and self.number("NSW") > 1

    @property
    def has_response(self) -> bool:
        """Whether steps of a response follow those of the ground state within one loop."""
        return self.number("IBRION", -1) in (7, 8) or any(
            self.is_true(key) for key in ("LEPSILON", "LCALCEPS", "LCHIMAG")
        )


def number(word: str) -> float:
    """Return a number as Fortran writes it; NaN for asterisks and everything else."""
    try:
        return float(word)
    except ValueError:
        try:
            return float(re.sub(r"[dD]", "e", word))
        except ValueError:
            return np.nan


def element_of(symbol: str, title: str) -> str:
    """Return the element of a species, from its symbol, or from the title of its POTCAR.

    Raises
    ------
    LabelFailed
        Neither names one, or it is hydrogen with a fraction of a charge (``H1.25``).
    """
    if fraction := re.match(r"\s*(?:PAW\w*|US\w*|NC\w*)?\s*(H\d*\.\d+)", title):
        raise LabelFailed(
            f"its POTCAR '{title.strip()}' is a pseudo-hydrogen ({fraction[1]}), which saturates "
            "surfaces and is no element; remove the run"
        )
    in_title = re.match(r"\s*(?:PAW\w*|US\w*|NC\w*)?\s*([A-Za-z]{1,2})(?![a-z])", title)
    for name in (in_title[1] if in_title else "", symbol.strip()):
        known = NAMES.get(name, name)
        if known != "X" and atomic_numbers.get(known):
            return known
    raise LabelFailed(
        f"its species '{symbol.strip()}' (POTCAR '{title.strip()}') is not a known element"
    )


class Bounded:
    """A binary stream that ends a file too large to be what it is taken for.

    ``largest`` bytes in all, and ``stretch`` bytes since :meth:`passed` was called last.
    """

    def __init__(self, stream: IO[bytes], largest: int, stretch: int | None = None) -> None:
        self.stream = stream
        self.largest = largest
        self.stretch = stretch
        self.total = 0
        self._mark = 0

    def passed(self) -> None:
        """Something of use has been found up to here."""
        self._mark = self.total

    def read(self, size: int = -1) -> bytes:
        """As of any stream; at most 1 MiB at once.

        Raises
        ------
        LabelFailed
            A bound is passed.
        """
        data = self.stream.read(min(size, 1 << 20) if size > 0 else 1 << 20)
        self.total += len(data)
        if self.total > self.largest:
            raise LabelFailed(
                f"holds more than {self.largest >> 20} MiB; split it, or give single runs"
            )
        if self.stretch is not None and self.total - self._mark > self.stretch:
            raise LabelFailed(f"holds {self.stretch >> 20} MiB without anything of a VASP run")
        return data


# --- runs that are no labels -------------------------------------------------------------------

_SELF_CONSISTENT = frozenset((*range(44, 49), 38, 53, 54, 58, 68))
"""IALGO: Normal, VeryFast and its kin, Damped, All, Fast."""

_SELF_CONSISTENT_NAMES = r"(n|normal|v|vf|veryfast|very_fast|f|fast|a|all|c|conjugate|d|damped)$"
"""ALGO, as VASP takes it."""

_STATIC_RUN = "give a static self-consistent run"


def refuse_by_settings(run: Run) -> None:
    """Whether the settings of a run are those of labels.

    Raises
    ------
    LabelFailed
        Its energies or forces are not those of a self-consistent ground state, or not of the bare
        crystal; the reason in words.
    """
    if any(run.is_true(key) for key in ("ML_LMLFF", "ML_FF_LMLFF")):
        raise LabelFailed("comes from VASP's machine-learned force field (ML_LMLFF)")
    if run.is_true("LSOL"):
        raise LabelFailed(
            f"was run in an implicit solvent (LSOL), which is in its energy; {_STATIC_RUN} without"
        )
    charge = run.number("ICHARG")
    if charge >= 10:
        raise LabelFailed(
            f"is not self-consistent: ICHARG = {charge:g} keeps the density fixed, as for bands; "
            f"{_STATIC_RUN}"
        )
    # in vasprun.xml with what the user has written behind it
    name = re.split(r"[\s!#;]", run.settings.get("ALGO", "").strip() + " ")[0]
    solver = int(run.number("IALGO", 38))
    given_as_number = re.fullmatch(r"\d+", name)
    if (
        name and not given_as_number and not re.match(_SELF_CONSISTENT_NAMES, name.lower())
    ) or solver not in _SELF_CONSISTENT:
        raise LabelFailed(
            f"ALGO = {solver if given_as_number or not name else name} finds no self-consistent "
            f"ground state with forces; {_STATIC_RUN} (ALGO Normal, Fast, VeryFast, All or Damped)"
        )
    _refuse_other_hamiltonians(run)
    _refuse_charge(run)


def _refuse_other_hamiltonians(run: Run) -> None:
    images = run.number("IMAGES")
    if images > 0:
        raise LabelFailed(
            f"is an image of a path (IMAGES = {images:g}), its forces hold those between images; "
            f"{_STATIC_RUN}"
        )
    if any(abs(share - 1) > 1e-6 for share in run.numbers("VCA")):
        raise LabelFailed(
            f"is a virtual crystal (VCA = {run.settings['VCA'].strip()}): its atoms are mixtures "
            "of elements, which potentials cannot describe"
        )
    for key in ("EFIELD", "EFIELD_PEAD"):
        if any(run.numbers(key)):
            raise LabelFailed(
                f"was run in an electric field ({key} = {run.settings[key].strip()}), which is in "
                f"its energy and forces; {_STATIC_RUN} without"
            )
    if run.settings.get("METAGGA", "").strip().upper() in ("MBJ", "LMBJ"):
        raise LabelFailed(
            "METAGGA = MBJ is a potential without an energy, so that forces are no derivatives; "
            "give runs with an energy functional"
        )
    if run.number("ISMEAR") == -2:
        raise LabelFailed("ISMEAR = -2 fixes occupations by hand: no ground state")
    if run.number("ICORELEVEL") == 2:
        raise LabelFailed("ICORELEVEL = 2 computes an atom with a hole in its core")
    if run.number("SCALEE", 1.0) != 1:
        raise LabelFailed("SCALEE scales energies and forces, as for thermodynamic integration")
    if run.number("LDAUTYPE") == 3 and any((*run.numbers("LDAUU"), *run.numbers("LDAUJ"))):
        raise LabelFailed("LDAUTYPE = 3 shifts orbitals to find a Hubbard U")
    if run.number("I_CONSTRAINED_M"):
        raise LabelFailed(
            "was run with constrained moments (I_CONSTRAINED_M), whose penalty is in its energy"
        )
    if run.is_dynamics and run.number("MDALGO") in (11, 21):
        raise LabelFailed(
            f"is biased dynamics (MDALGO = {run.number('MDALGO'):g}: metadynamics), whose bias is "
            f"in its forces; {_STATIC_RUN} of cells from it"
        )
    if run.number("IBRION", -1) in (40, 44):
        raise LabelFailed(
            f"searches a saddle point (IBRION = {run.number('IBRION'):g}), its forces may be "
            f"projected; {_STATIC_RUN} of its last cell"
        )


def _refuse_charge(run: Run) -> None:
    electrons = run.number("NELECT", np.nan)
    pairs = zip(run.counts, run.valence, strict=True) if run.valence else ()
    neutral = sum(count * valence for count, valence in pairs)
    if neutral and np.isfinite(electrons) and abs(electrons - neutral) > 1e-3:
        raise LabelFailed(
            f"its cell is charged: NELECT = {electrons:g} electrons, {neutral:g} are neutral; its "
            f"energy holds a background charge. {_STATIC_RUN[0].upper()}{_STATIC_RUN[1:]} without "
            "NELECT"
        )
