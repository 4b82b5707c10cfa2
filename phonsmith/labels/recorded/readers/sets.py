"""Data sets of labelled cells: extxyz and mlearn's JSON."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.units import GPa
from numpy.typing import NDArray

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS
from phonsmith.labels.checks import labelled
from phonsmith.labels.failed import LabelFailed
from phonsmith.labels.recorded.readers.each import Recorded
from phonsmith.labels.recorded.readers.extxyz_frames import FREE, Frame, frames_of
from phonsmith.labels.recorded.readers.extxyz_keys import (
    NONE,
    Found,
    Labelling,
    check_neutral,
    is_label,
    labels_of,
    marks_isolated,
)
from phonsmith.labels.recorded.readers.vasp import LARGE_BOX_ANGSTROM
from phonsmith.labels.settings import ExtxyzKeys
from phonsmith.structures.bonds import bond_across

_KINDS = ("displaced", "rattled", "isolated_atom", "recorded")


def read_extxyz(path: Path, keys: ExtxyzKeys | None = None) -> Recorded:
    """Labelled cells of an extxyz file, packed or not.

    ``keys`` name the labels; by default the usual spellings are recognized
    (:mod:`~phonsmith.labels.recorded.readers.extxyz_keys`). stress = -virial/V. A frame keeps its
    ``kind`` if that is a word of this project; else it becomes ``recorded``, or ``isolated_atom``.
    A frame that is damaged or unfit is named in ``refused``, and the others are read. ``found``
    counts the labels and names the keys that were not used.

    Raises
    ------
    PhonsmithError
        The file cannot be opened, or holds none of the keys that ``keys`` names.
    """
    keys = keys or ExtxyzKeys()
    recorded, found, seen = Recorded(frames=[]), Found(), set()
    for number, content in enumerate(frames_of(path)):
        found.frames += 1
        try:
            if isinstance(content, str):
                raise LabelFailed(content)
            seen |= {*content.values, *content.columns}
            recorded.frames.append(_frame(content, keys, found))
        except LabelFailed as failed:
            recorded.refused.append(f"{path}: frame {number} {failed}")
    _check_named(path, keys, seen)
    recorded.found.append(f"{path}: {found.sentence()}")
    return recorded


def _check_named(path: Path, keys: ExtxyzKeys, seen: set[str]) -> None:
    for what in ("energy", "forces", "stress", "virial"):
        key = getattr(keys, what)
        if key not in (None, NONE) and seen and key not in seen:
            raise PhonsmithError(
                f"{path}: no frame has '{key}', which `keys` gives for {what}; the frames have "
                f"{', '.join(sorted(key for key in seen if is_label(key))) or 'no labels'}"
            )


def _frame(content: Frame, keys: ExtxyzKeys, found: Found) -> Atoms:
    """One labelled cell; raises LabelFailed where it is none."""
    check_neutral(content.values)
    frame = content.atoms
    _check_periodic(frame)
    periodic = bool(frame.pbc.all()) and frame.cell.rank == 3
    labels = labels_of(
        content.values,
        content.columns,
        len(frame),
        frame.get_volume() if periodic else None,
        keys,
    )
    isolated = _isolated(frame, content, keys)
    labels = _without_placeholders(labels, found, isolated=isolated)
    forces = labels.forces
    if isolated and forces is None and labels.energy is not None:
        forces = np.zeros((1, 3))  # by symmetry
    if forces is None:
        raise LabelFailed(
            "has no REF_forces, and no forces in another usual spelling (forces, dft_force); "
            "rename the columns to REF_energy, REF_forces, REF_stress, or give their names in "
            "`keys`"
        )
    _check_fixed(forces, content)
    numbers = [frame.positions, frame.cell[:], forces]
    numbers += [value for value in (labels.energy, labels.stress) if value is not None]
    if not all(np.isfinite(np.asarray(value)).all() for value in numbers):
        raise LabelFailed("contains numbers that are not finite")
    frame.arrays[FORCES] = forces
    if labels.energy is not None:
        frame.info[ENERGY] = labels.energy
    if labels.stress is not None and not isolated:
        frame.info[STRESS] = labels.stress
    if isolated:
        frame.info["kind"] = "isolated_atom"
        energy = "no energy" if labels.energy is None else f"{labels.energy:.6g} eV"
        found.isolated.append(f"{frame.symbols[0]} {energy}")
    elif frame.info.get("kind") not in _KINDS:
        frame.info["kind"] = "recorded"
    for what, key in labels.used.items():
        if what != "stress" or not isolated:
            found.used[what][key] += 1
    found.left.update(labels.left)
    return frame


def _check_fixed(forces: NDArray[np.float64], content: Frame) -> None:
    """Refuse zeros for the forces of atoms that were fixed, as ASE's ``get_forces`` gives them."""
    if FREE not in content.columns:
        return
    fixed = ~np.asarray(content.columns[FREE], dtype=bool).reshape(len(forces), -1)
    fixed = np.broadcast_to(fixed, forces.shape)
    if fixed.any() and forces.any() and not forces[fixed].any():
        raise LabelFailed(
            f"has zeros for the forces of atoms that were fixed ({FREE}); write the forces of "
            "get_forces(apply_constraint=False)"
        )


def _check_periodic(frame: Atoms) -> None:
    """Refuse a crystal that is marked as not periodic, as ASE does if nobody tells it.

    Potentials would learn its forces from atoms without their neighbours.
    """
    if frame.pbc.all() or frame.cell.rank < 3:
        return
    if distance := bond_across(frame):
        flags = " ".join("T" if one else "F" for one in frame.pbc)
        raise LabelFailed(
            f'has pbc="{flags}", but its atoms are {distance:.2f} Å from their periodic images, as '
            'in a crystal; write pbc="T T T", or, for a cluster, a Lattice with empty space around '
            "it"
        )


def _without_placeholders(labels: Labelling, found: Found, *, isolated: bool) -> Labelling:
    """Omit an energy or stress of exactly zero, which sets give where it was not computed."""
    zero = {
        "energy": labels.energy == 0 and not isolated,
        "stress": labels.stress is not None and not labels.stress.any(),
    }
    dropped = [what for what, is_zero in zero.items() if is_zero]
    for what in dropped:
        found.left[f"{labels.used[what]} of zero"] += 1
    return replace(
        labels,
        energy=None if zero["energy"] else labels.energy,
        stress=None if zero["stress"] else labels.stress,
        used={what: key for what, key in labels.used.items() if what not in dropped},
    )


def _isolated(frame: Atoms, content: Frame, keys: ExtxyzKeys) -> bool:
    marked = marks_isolated(content.values, keys)
    if marked and len(frame) != 1:
        raise LabelFailed(f"is marked as an isolated atom but has {len(frame)} atoms")
    if len(frame) != 1 or (content.values.get("kind") in _KINDS and not marked):
        return marked
    lengths = [
        length for length, periodic in zip(frame.cell.lengths(), frame.pbc, strict=True) if periodic
    ]
    return marked or all(length > LARGE_BOX_ANGSTROM for length in lengths)


# --- mlearn ---------------------------------------------------------------------------------------

# Rows and columns of the last three of six numbers. The set mixes three orders.
_Places = tuple[tuple[int, int], ...]
_XY_YZ_XZ: _Places = ((0, 1), (1, 2), (0, 2))
_XY_XZ_YZ: _Places = ((0, 1), (0, 2), (1, 2))
_LIKE_SILICON = {"Elastic": _XY_YZ_XZ, "AIMD-NVT": _XY_XZ_YZ, "Vacancy": _XY_XZ_YZ}
_LIKE_MOLYBDENUM = dict.fromkeys(("Elastic", "AIMD-NVT", "Vacancy"), _XY_XZ_YZ)
_MLEARN_SHEARS: dict[str, dict[str, _Places]] = {
    **dict.fromkeys(("Si", "Ge"), _LIKE_SILICON),
    **dict.fromkeys(("Mo", "Ni", "Cu"), _LIKE_MOLYBDENUM),
    "Li": dict.fromkeys(("AIMD-NVT", "Vacancy"), _XY_YZ_XZ),
}


def read_mlearn(path: Path) -> Recorded:
    """JSON of the mlearn benchmark (Zuo et al., J. Phys. Chem. A 124, 731 (2020)).

    The group of a cell becomes its ``config_type``. ``virial_stress`` is VASP's stress: kilobar,
    positive under compression, so it is multiplied by -0.1 GPa for ASE. Its first components are
    xx yy zz. The order of the others depends on element and group (not documented in the paper):

    - group Elastic: xy yz xz for Si and Ge, xy xz yz for Mo, Ni and Cu. In the sheared cells the
      one non-zero shear stress stands where the shear of the lattice is, and compressed cells have
      positive numbers.
    - groups AIMD-NVT and Vacancy: xy xz yz for Si, Ge, Mo, Ni and Cu, xy yz xz for Li. Correlation
      of the shear stresses with those of CHGNet, or of EMT for Ni and Cu, is 0.75 to 1.00 in this
      order, at most 0.6 with the last two exchanged (Li: 0.95 and 0.38 in AIMD-NVT).
    - group Surface, group Elastic of Li and other elements: no order could be established, so that
      these cells have no REF_stress.

    Raises
    ------
    PhonsmithError
        The file is not such a JSON.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return Recorded(frames=[_mlearn_frame(entry) for entry in entries])
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise PhonsmithError(
            f"{path}: not a JSON file of mlearn ({type(error).__name__}: {reason})"
        ) from None


def _mlearn_frame(entry: dict[str, Any]) -> Atoms:
    sites = entry["structure"]["sites"]
    outputs = entry["outputs"]
    group = str(entry["group"])
    cell = Atoms(
        [site["species"][0]["element"] for site in sites],
        positions=[site["xyz"] for site in sites],
        cell=entry["structure"]["lattice"]["matrix"],
        pbc=True,
    )
    stress = _mlearn_stress(cell, group, outputs["virial_stress"])
    frame = labelled(cell, "", outputs["energy"], outputs["forces"], stress)
    frame.info["config_type"] = group
    if entry.get("description"):
        frame.info["description"] = str(entry["description"])
    if frame.arrays[FORCES].shape != (len(cell), 3):
        raise ValueError(f"a cell of group {group} has forces of another shape")
    return frame


def _mlearn_stress(cell: Atoms, group: str, kilobar: Sequence[float]) -> NDArray[np.float64] | None:
    """Stress in eV/Å³ (ASE's sign); None if the order of its components is unknown."""
    elements = set(cell.symbols)
    shears = _MLEARN_SHEARS.get(elements.pop(), {}).get(group) if len(elements) == 1 else None
    if shears is None:
        return None
    stress = np.zeros((3, 3))
    for value, (i, j) in zip(kilobar, ((0, 0), (1, 1), (2, 2), *shears), strict=True):
        stress[i, j] = stress[j, i] = -0.1 * GPa * value
    return stress
