"""Which keys of a frame of extxyz are its labels: published sets spell them in many ways."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phonsmith.labels.failed import LabelFailed
from phonsmith.labels.settings import ExtxyzKeys

_OTHERS = (
    "dft|qm|target|true|label|pbe|pbesol|pbe0|rpbe|revpbe|pw91|lda|scan|rscan|r2scan|hse|hse06|"
    "vasp|castep|qe|espresso|cp2k|aims|abinit|siesta|gpaw|abacus|quantum_espresso"
)
_SPELLING = re.compile(
    rf"(?:(?P<before>ref|{_OTHERS})[_-]?)?(?P<free>free[_-]?)?(?:(?P<between>ref|{_OTHERS})[_-]?)?"
    rf"(?P<what>energy|forces?|stress(?:es)?|virials?)(?:[_-]?(?P<after>ref|{_OTHERS}))?"
)
_LIKE_A_LABEL = re.compile(r"energ|force|stress|virial")
_NO_LABEL = re.compile(r"weight|sigma|mask|unit|cut_?off|tol$|^calculate")
_UNITS = re.compile(r"(energy|forces?|stress(?:es)?|virials?)[_-]?units?")
_ALLOWED_UNITS = {
    "energy": {"ev"},
    "forces": {"ev/ang", "ev/angstrom", "ev/å", "ev/a"},
    "stress": {
        f"ev/{length}{power}"
        for length in ("ang", "angstrom", "å", "a")
        for power in ("^3", "**3", "3", "³")
    },
    "virial": {"ev"},
}
_RIGHT_UNITS = {"energy": "eV", "forces": "eV/Å", "stress": "eV/Å³", "virial": "eV"}
_NAMES = {"force": "forces", "stresses": "stress", "virials": "virial"}
NONE = "none"

SAME = 1e-6
"""Relative. Two spellings of one number differ in the last digits that were written."""


@dataclass
class Found:
    """What the frames of a file held: how many labels, under which keys, and what was not used."""

    used: dict[str, Counter[str]] = field(
        default_factory=lambda: {what: Counter() for what in ("energy", "forces", "stress")}
    )
    left: Counter[str] = field(default_factory=Counter)
    isolated: list[str] = field(default_factory=list)
    frames: int = 0

    def sentence(self) -> str:
        """``found: 25 energies (REF_energy), 25 forces (REF_forces), 0 stresses; omitted: …``"""
        words = {"energy": "energies", "forces": "forces", "stress": "stresses"}
        parts = []
        for what, keys in self.used.items():
            total = sum(keys.values())
            names = ", ".join(
                key if len(keys) == 1 else f"{number} {key}" for key, number in keys.items()
            )
            parts.append(f"{total} {words[what]}" + (f" ({names})" if names else ""))
        if self.isolated:
            number = len(self.isolated)
            parts.append(
                f"{number} isolated atom{'s' if number > 1 else ''} ({', '.join(self.isolated)})"
            )
        text = f"found in {self.frames} frames: {', '.join(parts)}"
        if self.left:
            left = ", ".join(f"{key} ({number})" for key, number in sorted(self.left.items()))
            text += f"; omitted: {left}"
        return text


@dataclass(frozen=True)
class Labelling:
    """The labels of one frame; absent ones are None. Units: eV, eV/Å, eV/Å³ (ASE's sign)."""

    energy: float | None
    forces: NDArray[np.float64] | None
    stress: NDArray[np.float64] | None
    used: Mapping[str, str]
    left: tuple[str, ...]


def labels_of(
    values: Mapping[str, Any],
    columns: Mapping[str, Any],
    atoms: int,
    volume: float | None,
    keys: ExtxyzKeys,
) -> Labelling:
    """Find the labels in the header and the columns of a frame.

    ``REF_`` spellings take precedence; other spellings of a label have to agree.

    Parameters
    ----------
    values
        Keys and values of the header.
    columns
        Per-atom columns.
    atoms
        Number of atoms.
    volume
        Volume in Å³; None if the cell is not periodic: stress and virial are then ignored.
    keys
        Names of the labels, if the campaign sets them.

    Raises
    ------
    LabelFailed
        Spellings contradict each other, or a label has another shape or unit.
    """
    used: dict[str, str] = {}
    energy = _one(values, "energy", keys.energy, lambda v: _scalar("energy", v), used)
    forces = _one(columns, "forces", keys.forces, lambda v: _forces(v, atoms), used)
    stress = _stress(values, keys, volume, used) if volume is not None else None
    _check_units(values, used)
    left = tuple(
        key
        for key in (*values, *columns)
        if key not in used.values()
        and _LIKE_A_LABEL.search(key.lower())
        and not _NO_LABEL.search(key.lower())
    )
    used = {("stress" if what == "virial" else what): key for what, key in used.items()}
    return Labelling(energy, forces, stress, used, left)


_CHARGE = re.compile(r"(total|tot|net|system|cell)?_?charge")


def check_neutral(values: Mapping[str, Any]) -> None:
    """Refuse a frame whose header states a charge of the cell.

    Raises
    ------
    LabelFailed
        The charge is not zero.
    """
    for key, value in values.items():
        charge = isinstance(value, int | float) and _CHARGE.fullmatch(key.lower())
        if charge and value != 0:
            raise LabelFailed(
                f"states {key} = {value:g}; labels are of neutral cells, since potentials know no "
                "charge: remove the frame"
            )


def is_label(key: str) -> bool:
    """Return whether a key names energy, forces, stress or virial, which must all be removed."""
    return bool(_LIKE_A_LABEL.search(key.lower()))


def marks_isolated(values: Mapping[str, Any], keys: ExtxyzKeys) -> bool:
    """Return whether the header calls its frame an isolated atom."""
    if keys.isolated_atom is not None:
        name, wanted = keys.isolated_atom.split("=", 1)
        return str(values.get(name, "")).strip() == wanted.strip()
    if values.get("kind") == "isolated_atom" or _truth(values, "isolated_atom"):
        return True
    types = [value for key, value in values.items() if key.lower() in ("config_type", "config")]
    names = {re.sub(r"[^a-z]", "", str(value).lower()) for value in types}
    return bool(names & {"isolatedatom", "isolatedatoms", "atomisolated", "singleatom", "freeatom"})


def _truth(values: Mapping[str, Any], name: str) -> bool:
    return any(key.lower() == name and value is True for key, value in values.items())


def _one(values: Mapping[str, Any], what: str, key: str | None, read: Any, used: Any) -> Any:
    """The one value of a quantity, under the key that is given or under the best spelling."""
    if key == NONE:
        return None
    if key is not None:
        if key not in values:
            return None
        used[what] = key
        return read(values[key])
    spellings = _spellings(values, what)
    if not spellings:
        return None
    best = min(rank for rank, _ in spellings)
    chosen = next(name for rank, name in spellings if rank == best)
    # a free energy and the energy without the electronic entropy are no contradiction
    rivals = [
        name
        for rank, name in spellings
        if name != chosen
        and (rank == best or (rank[0] == best[0] and _family(name) != _family(chosen)))
    ]
    value = read(values[chosen])
    for rival in rivals:
        if not _same(value, read(values[rival])):
            raise LabelFailed(
                f"has {chosen} and {rival} with different values; give the right key as `{what}` "
                "in `keys`"
            )
    used[what] = chosen
    return value


def _spellings(values: Mapping[str, Any], what: str) -> list[tuple[tuple[int, int], str]]:
    """Keys that spell a quantity, with rank: (REF_ before others, free energy before energy)."""
    found = []
    for key in values:
        match = _SPELLING.fullmatch(key.lower())
        if match is None or _quantity(match) != what or (match["free"] and what != "energy"):
            continue
        family = _family(key)
        rank = 0 if family == "ref" else 1
        found.append(((rank, 0 if match["free"] else 1), key))
    return sorted(found, key=lambda pair: (pair[0], not _family(pair[1]), pair[1]))


def _quantity(match: re.Match[str]) -> str:
    return _NAMES.get(match["what"], match["what"])


def _family(key: str) -> str:
    match = _SPELLING.fullmatch(key.lower())
    return "" if match is None else match["before"] or match["between"] or match["after"] or ""


def _same(first: Any, second: Any) -> bool:
    scale = max(float(np.max(np.abs(first))), 1e-3)
    return np.shape(first) == np.shape(second) and bool(
        np.all(np.abs(np.asarray(first) - np.asarray(second)) <= SAME * scale)
    )


def _stress(
    values: Mapping[str, Any], keys: ExtxyzKeys, volume: float, used: dict[str, str]
) -> NDArray[np.float64] | None:
    """From stress or virial; where both are there, they have to agree unless one is ``REF_``."""

    def of_virial(value: Any) -> NDArray[np.float64]:
        return -_tensor("virial", value) / volume

    def of_stress(value: Any) -> NDArray[np.float64]:
        return _tensor("stress", value)

    # one that is named excludes the other
    stress_key, virial_key = keys.stress, keys.virial
    if stress_key not in (None, NONE):
        virial_key = NONE
    elif virial_key not in (None, NONE):
        stress_key = NONE
    found: dict[str, str] = {}
    stress = _one(values, "stress", stress_key, of_stress, found)
    virial = _one(values, "virial", virial_key, of_virial, found)
    chosen = "stress" if stress is not None else "virial"
    if stress is not None and virial is not None:
        of_reference = [what for what in ("stress", "virial") if _family(found[what]) == "ref"]
        if len(of_reference) == 1:
            chosen = of_reference[0]
        elif np.abs(stress - virial).max() > 1e-3 * np.abs(stress).max() + 1e-5:
            raise LabelFailed(
                f"has {found['stress']} and {found['virial']} that contradict stress = "
                "-virial/volume; give the right key as `stress` or `virial` in `keys`"
            )
    if chosen in found:
        used[chosen] = found[chosen]
    result: NDArray[np.float64] | None = stress if chosen == "stress" else virial
    return result


def _numbers(what: str, value: Any) -> NDArray[np.float64]:
    array = np.asarray(value)
    if array.dtype.kind not in "iuf":
        raise LabelFailed(f"has {what} that is not a number ({str(value)[:40]})")
    return array.astype(float)


def _scalar(what: str, value: Any) -> float:
    array = _numbers(what, value)
    if array.size != 1:
        raise LabelFailed(f"has {array.size} numbers for its {what}; one is expected")
    return float(array.reshape(()))


def _forces(value: Any, atoms: int) -> NDArray[np.float64]:
    array = _numbers("forces", value)
    if array.size != 3 * atoms:
        raise LabelFailed(f"has {array.size} force components for {atoms} atoms")
    return array.reshape(atoms, 3)


def _tensor(what: str, value: Any) -> NDArray[np.float64]:
    array = _numbers(what, value)
    if array.size == 9:
        return array.reshape(3, 3)
    if array.size == 6 and what == "stress":
        xx, yy, zz, yz, xz, xy = array.ravel()
        return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    allowed = "nine, or six in the order xx yy zz yz xz xy" if what == "stress" else "nine"
    raise LabelFailed(
        f"has {array.size} numbers for its {what}; allowed: {allowed} (codes differ in the order "
        f"of six); rewrite them, or set `keys: {{{what}: none}}` to omit them"
    )


def _check_units(values: Mapping[str, Any], used: Mapping[str, str]) -> None:
    """Refuse a unit that the header states and that is not ours."""
    stated: dict[str, Any] = {}
    for key, value in values.items():
        if key.lower() == "units" and isinstance(value, dict):
            stated |= {str(name): (f"units {name}", unit) for name, unit in value.items()}
        elif match := _UNITS.fullmatch(key.lower()):
            stated[match[1]] = (key, value)
    for name, (key, unit) in stated.items():
        what = _NAMES.get(name.lower(), name.lower())
        if what not in used or not isinstance(unit, str):
            continue
        plain = re.sub(r"[\s()]", "", unit.lower()).replace("angstroms", "angstrom")
        if plain not in _ALLOWED_UNITS[what]:
            remedy = f", or set `keys: {{{what}: none}}` to omit it" if what != "forces" else ""
            raise LabelFailed(
                f"states {key} = {unit}; convert its {what} to {_RIGHT_UNITS[what]}{remedy}"
            )
