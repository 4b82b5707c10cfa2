"""The space group of a CIF: by its operations, or by a name where that is unambiguous."""

import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import gemmi
import numpy as np
from ase.cell import Cell
from numpy.typing import NDArray

from phonsmith.files.errors import PhonsmithError
from phonsmith.structures.cif.tags import Tags

OPERATIONS = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")
NAMES = (
    "_space_group_name_h-m_full",
    "_space_group_name_h-m_alt",
    "_symmetry_space_group_name_h-m",
    "_space_group_name_h-m",
)
HALL = ("_space_group_name_hall", "_symmetry_space_group_name_hall")
NUMBERS = ("_space_group_it_number", "_symmetry_int_tables_number")

_MOST_OPERATIONS = 1536  # 192 of a space group, in a cell of eight conventional ones
_FITS = 0.02  # relative change of the metric under a rotation, for cells with rounded angles
_FITS_WELL = 1e-3
_REMEDY = "add the operations as _symmetry_equiv_pos_as_xyz (or export the CIF with them)"


@dataclass(frozen=True, eq=False)
class Group:
    """Operations on fractional coordinates: rotations (n, 3, 3) and translations (n, 3)."""

    name: str
    number: int | None
    rotations: NDArray[np.int64]
    translations: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.rotations)


@dataclass(frozen=True)
class Groups:
    """Groups that the file may mean, the most likely first.

    ``doubt`` explains why even a single one needs to be confirmed by the number of atoms.
    """

    groups: list[Group]
    doubt: str = ""


def groups_of(tags: Tags, cell: Cell) -> Groups:
    """Return the space group of a crystal, or the few that its words allow.

    Operations go before names. A name means all settings that have it, as far as they fit the cell;
    only of monoclinic short names (P 21/c) the unique axis b is understood.

    Raises
    ------
    PhonsmithError
        Operations that do not form a group, a name or number that is unknown or contradictory,
        or nothing of it fits the cell.
    """
    named = _named(tags)
    operations = _operations(tags)
    if operations is None:
        if not named:
            return Groups([_group_of(["x,y,z"], tags)], "gives no symmetry")
        return Groups(_fitting(named, cell, tags))
    group = _fitting([_group_of(operations, tags)], cell, tags)[0]
    stated = {one.number for one in named if one.number}
    if not stated or group.number in stated:
        return Groups([group])
    others = [one for one in named if _misfit(one, cell) < _FITS]
    return Groups(
        [group, *others],
        f"its operations belong to {group.name}, but it names {named[0].name}",
    )


# --- operations ------------------------------------------------------------------------------


def _operations(tags: Tags) -> list[str] | None:
    lists = [
        [text for text in tags.values[tag] if text not in ("", "?", ".")]
        for tag in OPERATIONS
        if tag in tags.values
    ]
    given = [one for one in lists if one]
    if len(given) == 2 and {*map(_squeezed, given[0])} != {*map(_squeezed, given[1])}:
        tags.fail(f"{OPERATIONS[0]} and {OPERATIONS[1]} differ; remove the wrong list")
    if given and len(given[0]) > _MOST_OPERATIONS:
        tags.fail(
            f"{len(given[0])} symmetry operations; a space group has at most 192 in the "
            "conventional cell"
        )
    return given[0] if given else None


def _squeezed(text: str) -> str:
    return text.replace(" ", "").lower()


def _group_of(texts: Iterable[str], tags: Tags) -> Group:
    """The group of operations as texts.

    Raises
    ------
    PhonsmithError
        A text is not an operation, or the operations do not form a group: some are missing.
    """
    parsed = [_operation(text, tags) for text in texts]
    unique = {one: one for one in parsed}
    rotations = np.array([rotation for rotation, _ in unique]).reshape(-1, 3, 3)
    shifts = np.array([shift for _, shift in unique])  # in 24ths
    if not _closed(rotations, shifts):
        tags.fail(
            f"its {len(unique)} symmetry operations do not form a group: some are missing or "
            "wrong; export the CIF again"
        )
    number, name = _type_of(rotations, shifts / gemmi.Op.DEN)
    return Group(name, number, rotations, shifts / gemmi.Op.DEN)


def _operation(text: str, tags: Tags) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Rotation (nine numbers) and translation in 24ths, within a cell."""
    try:
        if not re.fullmatch(r"[xyzXYZ0-9+\-*/., ]{5,60}", text):
            raise ValueError
        operation = gemmi.Op(text)
    except (RuntimeError, ValueError):
        tags.fail(f"'{text[:40]}' is not a symmetry operation; write it like -x,y+1/2,-z+1/2")
    rotation = np.array(operation.rot)
    if np.any(rotation % gemmi.Op.DEN) or abs(round(np.linalg.det(rotation / 24.0))) != 1:
        tags.fail(f"'{text[:40]}' is not an operation of a space group; correct it")
    return (
        tuple((rotation // gemmi.Op.DEN).ravel().tolist()),
        tuple(int(shift) % gemmi.Op.DEN for shift in operation.tran),
    )


def _closed(rotations: NDArray[np.int64], shifts: NDArray[np.int64]) -> bool:
    """Whether products of all operations are among them; translations in 24ths of a cell."""
    keys = {_key(*one) for one in zip(rotations, shifts, strict=True)}
    if len(rotations) > 192 and len({key[0] for key in keys}) > 48:
        return False
    for rotation, shift in zip(rotations, shifts, strict=True):
        products = rotation @ rotations
        moved = (shifts @ rotation.T + shift) % gemmi.Op.DEN
        if any(_key(*one) not in keys for one in zip(products, moved, strict=True)):
            return False
    return True


def _key(rotation: NDArray[np.int64], shift: NDArray[np.int64]) -> tuple[bytes, bytes]:
    return rotation.astype(np.int8).tobytes(), shift.astype(np.int8).tobytes()


def _type_of(
    rotations: NDArray[np.int64], translations: NDArray[np.float64]
) -> tuple[int | None, str]:
    """Number and name of the space group, in whatever setting; None where spglib finds none."""
    import spglib

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = spglib.get_spacegroup_type_from_symmetry(rotations, translations)
    except Exception:  # newer releases raise where older ones return None
        found = None
    if found is None:
        return None, f"{len(rotations)} operations"
    return int(found.number), str(found.international_short)


# --- names -----------------------------------------------------------------------------------


def _named(tags: Tags) -> list[Group]:
    """All settings that name, number and Hall symbol of the file allow; none where it has none."""
    hall, name = tags.text(*HALL), tags.text(*NAMES)
    number = tags.number(*NUMBERS)
    if number is not None and number not in range(1, 231):
        tags.fail(f"space group number {number:g}; allowed are 1 to 230")
    settings = _settings_called(name) if name else []
    if hall and (group := _of_hall(hall, tags)):
        stated = {one.number for one in settings} | ({int(number)} if number else set())
        if not stated or group.number in stated:
            return [group]
    if name and not settings and _operations(tags) is None:
        tags.fail(f"unknown space group '{name[:40]}'; {_REMEDY}")
    if number is not None:
        if settings and all(one.number != number for one in settings):
            if _operations(tags) is not None:
                return []
            tags.fail(
                f"names space group {name} and number {number:g}, which contradict each other; "
                "correct one"
            )
        settings = settings or [s for s in gemmi.spacegroup_table() if s.number == number]
    return [_of_setting(one) for one in settings]


def _settings_called(name: str) -> list[gemmi.SpaceGroup]:
    """The settings of a Hermann–Mauguin symbol, by an extension (``:2``, ``H``) only some."""
    text = re.sub(r"[\s_()'\"]", "", name)
    extension = ""
    if found := re.fullmatch(r"(.+?):(\w+)", text):
        text, extension = found[1], found[2].upper()
    elif found := re.fullmatch(r"(.{2,})([SZHR])", text):  # as the ICSD marks settings
        text, extension = found[1], {"S": "1", "Z": "2"}.get(found[2], found[2])
    # as before 1935: m3 for m-3
    text = re.sub(r"^([PFIpfi](?:42|41)?[mnadMNAD])3", r"\1-3", text)
    key = text.lower()
    table = list(gemmi.spacegroup_table())
    found_settings = [one for one in table if _squeezed(one.hm) == key]
    if not found_settings:
        found_settings = [one for one in table if _squeezed(one.short_name()) == key][:1]
    if not found_settings and (other := gemmi.find_spacegroup_by_name(text)):
        found_settings = [one for one in table if one.hm == other.hm]
    if extension:
        found_settings = [one for one in found_settings if one.ext.upper() == extension]
    return found_settings


def _of_setting(setting: gemmi.SpaceGroup) -> Group:
    operations = list(setting.operations())
    return Group(
        setting.xhm(),
        setting.number,
        np.array([np.array(one.rot) // gemmi.Op.DEN for one in operations]),
        np.array([one.tran for one in operations]) / gemmi.Op.DEN,
    )


def _of_hall(hall: str, tags: Tags) -> Group | None:
    try:
        operations = [one.triplet() for one in gemmi.symops_from_hall(hall)]
    except (RuntimeError, ValueError):
        return None
    try:
        return _group_of(operations, tags)
    except PhonsmithError:
        return None


# --- the cell --------------------------------------------------------------------------------


def _misfit(group: Group, cell: Cell) -> float:
    """Largest relative change of the metric tensor under the rotations of a group."""
    metric = cell[:] @ cell[:].T
    lengths = np.sqrt(np.diag(metric))
    images = np.einsum("nji,jk,nkl->nil", group.rotations, metric, group.rotations)
    return float((np.abs(images - metric) / np.outer(lengths, lengths)).max())


def _fitting(groups: Sequence[Group], cell: Cell, tags: Tags) -> list[Group]:
    """Groups whose rotations leave the cell invariant."""
    misfits = [_misfit(group, cell) for group in groups]
    limit = _FITS_WELL if min(misfits) < _FITS_WELL else _FITS
    fine = [group for group, misfit in zip(groups, misfits, strict=True) if misfit < limit]
    if not fine:
        tags.fail(
            f"lengths and angles of the cell are incompatible with space group {groups[0].name}; "
            "correct them or the setting"
        )
    return fine
