"""Data sets of labelled cells: extxyz and mlearn's JSON."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.units import GPa

from phonsmith.errors import PhonsmithError
from phonsmith.extxyz import ENERGY, FORCES, STRESS, read_frames
from phonsmith.labels.checks import labelled
from phonsmith.labels.readers import Recorded

_KINDS = ("displaced", "rattled", "isolated_atom", "recorded")


def read_extxyz(path: Path) -> Recorded:
    """extxyz with REF_ keys, or with ASE's own ``energy``, ``forces`` and ``stress``.

    A frame keeps its ``kind`` if that is a word of this project; else it becomes ``recorded``, or
    ``isolated_atom`` for the config type IsolatedAtom. ASE's energy is taken as the one that
    belongs to the forces (``free_energy`` where the file has it). Frames without forces are
    refused, isolated atoms excepted.
    """
    recorded = Recorded(frames=[])
    for number, atoms in enumerate(read_frames(path)):
        frame = _with_ref_keys(atoms)
        isolated = frame.info.get("config_type") == "IsolatedAtom"
        if frame.info.get("kind") not in _KINDS:
            frame.info["kind"] = "isolated_atom" if isolated else "recorded"
        reason = _unfit(frame)
        if reason:
            recorded.refused.append(f"{path}: frame {number} {reason}")
        else:
            recorded.frames.append(frame)
    return recorded


def _with_ref_keys(atoms: Atoms) -> Atoms:
    frame = atoms.copy()
    frame.set_constraint()
    results = atoms.calc.results if atoms.calc is not None else {}
    if FORCES not in frame.arrays and "forces" in results:
        frame.arrays[FORCES] = np.asarray(results["forces"], dtype=float)
        energy = results.get("free_energy", results.get("energy"))
        if energy is not None:
            frame.info.setdefault(ENERGY, float(energy))
        if "stress" in results:
            frame.info.setdefault(STRESS, atoms.get_stress(voigt=False))
    if len(frame) == 1 and FORCES not in frame.arrays and "energy" in results:
        frame.info.setdefault(ENERGY, float(results.get("free_energy", results["energy"])))
    if len(frame) == 1 and FORCES not in frame.arrays and ENERGY in frame.info:
        frame.arrays[FORCES] = np.zeros((1, 3))  # by symmetry
    return frame


def _unfit(frame: Atoms) -> str:
    """Why a frame is no label; empty if it is one."""
    if FORCES not in frame.arrays:
        return "has no REF_forces; name the columns REF_energy, REF_forces, REF_stress"
    values = [frame.positions, frame.arrays[FORCES], frame.info.get(ENERGY, 0.0)]
    if STRESS in frame.info:
        values.append(frame.info[STRESS])
    if not all(np.isfinite(np.asarray(value, dtype=float)).all() for value in values):
        return "holds numbers that are not finite"
    return ""


# --- mlearn ---------------------------------------------------------------------------------------

# Rows and columns of the six numbers, by group of cells: the data set mixes two orders.
_XY_YZ_XZ = ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (0, 2))
_XY_XZ_YZ = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
_MLEARN_ORDERS = {"Elastic": _XY_YZ_XZ, "AIMD-NVT": _XY_XZ_YZ, "Vacancy": _XY_XZ_YZ}


def read_mlearn(path: Path) -> Recorded:
    """JSON of the mlearn benchmark (Zuo et al., J. Phys. Chem. A 124, 731 (2020)).

    The group of a cell becomes its ``config_type``. ``virial_stress`` is VASP's stress: kilobar,
    positive under compression, so it is multiplied by -0.1 GPa for ASE. Its components come in two
    orders, found out on the silicon set (the paper does not tell):

    - group Elastic: xx yy zz xy yz xz. In the sheared cells the one non-zero shear stress stands
      where the shear of the lattice is, and compressed cells have positive numbers.
    - groups AIMD-NVT and Vacancy: xx yy zz xy xz yz. Correlation with CHGNet's stresses is 0.9 in
      this order and 0.0 to 0.1 with the last two exchanged (forces: 0.95 on every axis, so that
      the frame is not rotated).
    - group Surface and any other: neither order could be established, so that these cells have
      no REF_stress.

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
    stress = None
    if group in _MLEARN_ORDERS:
        stress = np.zeros((3, 3))
        for value, (i, j) in zip(outputs["virial_stress"], _MLEARN_ORDERS[group], strict=True):
            stress[i, j] = stress[j, i] = -0.1 * GPa * value
    frame = labelled(cell, "", outputs["energy"], outputs["forces"], stress)
    frame.info["config_type"] = group
    if entry.get("description"):
        frame.info["description"] = str(entry["description"])
    reason = _unfit(frame)
    if reason or frame.arrays[FORCES].shape != (len(cell), 3):
        raise ValueError(f"a cell of group {group} {reason or 'has forces of another shape'}")
    return frame
