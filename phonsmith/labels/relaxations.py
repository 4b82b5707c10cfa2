"""Relaxations by a reference method that are kept once they have ended.

A job that relaxes one crystal at many pressures or volumes and is killed has those that had ended
again on its next try.
"""

import hashlib
import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from phonsmith.labels.protocol import LoadedMethod, ReferenceMethod
from phonsmith.labels.store import UNREADABLE, LabelStore, read_arrays
from phonsmith.running.versions import VERSIONS
from phonsmith.structures.relaxation import FREE, Load, RelaxationResult
from phonsmith.structures.settings import Relaxation
from phonsmith.structures.sites import with_sites_of


def relaxed(
    atoms: Atoms,
    method: ReferenceMethod,
    settings: Relaxation,
    load: Load = FREE,
    store: LabelStore | None = None,
) -> RelaxationResult:
    """Relax with ``method.relax``, or load the relaxation from the store.

    A relaxation that reached ``settings.max_steps`` is stored too: with a larger limit it resumes
    from its last step. Files hold numbers in full precision and are written atomically; a broken
    file counts as absent.

    Parameters
    ----------
    atoms
        Crystal; remains unchanged.
    method
        Reference method.
    settings
        Force tolerance (eV/Å) and largest number of steps.
    load
        Pressure (GPa) or fixed volume; no load by default.
    store
        Label store; None computes the relaxation without storing it.

    Raises
    ------
    LabelFailed, UnusablePotential, PhonsmithError
        As ``method.relax`` does.
    """
    if store is None:
        return _with_sites(atoms, method.relax(atoms, settings, load))
    path = _path(atoms, method, settings, load, store)
    before = _path(atoms, method, settings, load, store, settings.max_steps)
    found = _read(path, atoms) or _read(before, atoms)
    if found is not None and (found.converged or found.steps >= settings.max_steps):
        print("this relaxation is in the label store", flush=True)
        return found
    start, done = (found.atoms, found.steps) if found else (atoms, 0)
    if done:
        print(f"this relaxation resumes after {done} steps", flush=True)
    left = settings.model_copy(update={"max_steps": settings.max_steps - done})
    result = method.relax(start, left, load)
    result = _with_sites(atoms, replace(result, steps=result.steps + done))
    if result.converged or result.steps >= settings.max_steps:
        store.describe(method.fingerprint(frozenset(atoms.symbols)))
        store.write_arrays(path, _content(result))
    return result


def _path(  # noqa: PLR0917
    atoms: Atoms,
    method: ReferenceMethod,
    settings: Relaxation,
    load: Load,
    store: LabelStore,
    max_steps: int | None = None,
) -> Path:
    """The file of a relaxation: named by the cell, and by all that its result depends on.

    Earlier versions counted the step limit ``max_steps`` in.
    """
    held = method.load_of(load) if isinstance(method, LoadedMethod) else load
    content = {
        "method": method.fingerprint(frozenset(atoms.symbols)),
        "load": asdict(held),
        "fmax_ev_per_angstrom": settings.fmax_ev_per_angstrom,
        "version": VERSIONS["structures"],
    }
    if max_steps is not None:
        content["max_steps"] = max_steps
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
                converged=bool(data.get("converged", True)),
                steps=int(data["steps"]),
                fmax_ev_per_angstrom=float(data["fmax"]),
                energy_ev=float(data["energy"]) if "energy" in data else None,
            )
    except UNREADABLE:
        return None
    whole = np.array_equal(result.atoms.numbers, asked.numbers)
    sound = whole and math.isfinite(result.fmax_ev_per_angstrom)
    return _with_sites(asked, result) if sound else None


def _with_sites(asked: Atoms, result: RelaxationResult) -> RelaxationResult:
    """The result with masses and moments of the crystal: codes and files know elements alone."""
    with_sites_of(asked, result.atoms)
    return result


def _content(result: RelaxationResult) -> dict[str, Any]:
    atoms = result.atoms
    content = {
        "numbers": atoms.numbers,
        "positions": atoms.positions,
        "cell": atoms.cell[:],
        "pbc": atoms.pbc,
        "converged": np.asarray(result.converged),
        "steps": np.asarray(result.steps),
        "fmax": np.asarray(result.fmax_ev_per_angstrom),
    }
    if result.energy_ev is not None:
        content["energy"] = np.asarray(result.energy_ev)
    return content
