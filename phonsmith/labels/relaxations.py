"""Relaxations by a reference method that are kept once they have ended.

A job that relaxes one crystal at many pressures or volumes and is killed has those that had ended
again on its next try.
"""

import hashlib
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms

from phonsmith.labels.store import UNREADABLE, LabelStore, read_arrays
from phonsmith.relaxation import FREE, Load, RelaxationResult
from phonsmith.settings import Relaxation
from phonsmith.stages import VERSIONS

if TYPE_CHECKING:
    from phonsmith.labels.methods import ReferenceMethod


def relaxed(
    atoms: Atoms,
    method: "ReferenceMethod",
    settings: Relaxation,
    load: Load = FREE,
    store: LabelStore | None = None,
) -> RelaxationResult:
    """What ``method.relax`` gives: from the store, or computed and kept there.

    Only those that converged are kept. Files are like those of labels: numbers in full precision,
    whole or not there, and a broken one counts as absent.

    Raises
    ------
    LabelFailed, UnusablePotential, PhonsmithError
        As ``method.relax`` does.
    """
    if store is None:
        return method.relax(atoms, settings, load)
    path = _path(atoms, method, settings, load, store)
    found = _read(path, atoms)
    if found is not None:
        print("this relaxation is in the label store", flush=True)
        return found
    result = method.relax(atoms, settings, load)
    if result.converged:
        store.describe(method.fingerprint(frozenset(atoms.symbols)))
        store.write_arrays(path, _content(result))
    return result


def _path(
    atoms: Atoms,
    method: "ReferenceMethod",
    settings: Relaxation,
    load: Load,
    store: LabelStore,
) -> Path:
    """The file of a relaxation: named by the cell, and by all that its result depends on."""
    told = getattr(method, "load_of", None)  # VASP may be asked to keep the volume
    content = {
        "method": method.fingerprint(frozenset(atoms.symbols)),
        "load": asdict(told(load) if told else load),
        "fmax_ev_per_angstrom": settings.fmax_ev_per_angstrom,
        "max_steps": settings.max_steps,
        "version": VERSIONS["structures"],
    }
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    key = LabelStore.key(atoms, f"{digest} relaxation")
    return store.folder / "relaxations" / key[:2] / f"{key}.npz"


def _read(path: Path, asked: Atoms) -> RelaxationResult | None:
    try:
        with read_arrays(path) as data:
            result = RelaxationResult(
                Atoms(
                    data["numbers"], positions=data["positions"], cell=data["cell"], pbc=data["pbc"]
                ),
                converged=True,
                steps=int(data["steps"]),
                fmax_ev_per_angstrom=float(data["fmax"]),
                energy_ev=float(data["energy"]) if "energy" in data else None,
            )
    except UNREADABLE:
        return None
    whole = np.array_equal(result.atoms.numbers, asked.numbers)
    return result if whole and math.isfinite(result.fmax_ev_per_angstrom) else None


def _content(result: RelaxationResult) -> dict[str, Any]:
    atoms = result.atoms
    content = {
        "numbers": atoms.numbers,
        "positions": atoms.positions,
        "cell": atoms.cell[:],
        "pbc": atoms.pbc,
        "steps": np.asarray(result.steps),
        "fmax": np.asarray(result.fmax_ev_per_angstrom),
    }
    if result.energy_ev is not None:
        content["energy"] = np.asarray(result.energy_ev)
    return content
