"""The label store: every label is kept from the moment it is there, under what it depends on."""

import hashlib
import json
import zipfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
from ase import Atoms

from phonsmith.extxyz import ENERGY, FORCES, STRESS
from phonsmith.files import read_json, replacing, write_json
from phonsmith.labels.checks import labelled
from phonsmith.labels.provenance import Provenance, settings_name


class LabelStore:
    """Labels in files named by a hash of the cell and of the method's fingerprint.

    Numbers are kept in full precision. Several processes may use one folder: files appear whole,
    by renaming, and a broken file counts as absent.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    @staticmethod
    def key(cell: Atoms, fingerprint: str) -> str:
        """Hash of elements, lattice, positions, periodicity and the method's fingerprint."""
        digest = hashlib.sha256()
        digest.update(np.asarray(cell.numbers, dtype="<i8").tobytes())
        # adding zero turns -0.0, which some writers make, into 0.0
        digest.update((np.asarray(cell.cell[:], dtype="<f8") + 0.0).tobytes())
        digest.update((np.asarray(cell.positions, dtype="<f8") + 0.0).tobytes())
        digest.update(np.asarray(cell.pbc, dtype="u1").tobytes())
        digest.update(fingerprint.encode())
        return digest.hexdigest()

    def get(self, key: str) -> Atoms | None:
        """The label under a key, without structure, kind and index of the cell; None if absent."""
        try:
            with np.load(self._path(key), allow_pickle=False) as data:
                cell = Atoms(
                    data["numbers"], positions=data["positions"], cell=data["cell"], pbc=data["pbc"]
                )
                made = json.loads(str(data["provenance"])) if "provenance" in data else None
                return labelled(
                    cell,
                    str(data["method"]),
                    float(data["energy"]) if "energy" in data else None,
                    data["forces"],
                    data.get("stress"),
                    provenance=Provenance(**made) if made else None,
                )
        except (TypeError, OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def put(self, key: str, label: Atoms) -> None:
        """Keep a label under a key; one that is there already is replaced."""
        content = {
            "numbers": label.numbers,
            "positions": label.positions,
            "cell": label.cell[:],
            "pbc": label.pbc,
            "forces": label.arrays[FORCES],
            "method": np.asarray(str(label.info.get("method", ""))),
        }
        if ENERGY in label.info:
            content["energy"] = np.asarray(label.info[ENERGY])
        if STRESS in label.info:
            content["stress"] = np.asarray(label.info[STRESS])
        if made := Provenance.of(label):
            content["provenance"] = np.asarray(json.dumps(asdict(made)))
        with replacing(self._path(key)) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **content)

    def describe(self, fingerprint: str) -> None:
        """Keep the settings that a fingerprint stands for, under the name that labels carry."""
        path = self.folder / "settings" / f"{settings_name(fingerprint)}.json"
        if not path.exists():
            write_json(path, json.loads(fingerprint))

    def latest_fingerprint(self) -> str | None:
        """The fingerprint that was described last; None where none was."""
        paths = sorted(
            (self.folder / "settings").glob("*.json"), key=lambda one: one.stat().st_mtime
        )
        if not paths:
            return None
        return json.dumps(read_json(paths[-1]), sort_keys=True, separators=(",", ":"))

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.npz"
