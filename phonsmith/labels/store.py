"""The label store: every label is kept from the moment it is there, under what it depends on."""

import hashlib
import json
import socket
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from ase import Atoms

from phonsmith.files.atoms import bare
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS
from phonsmith.files.reading_writing import read_json, replacing
from phonsmith.labels.checks import labelled, labelled_alone
from phonsmith.labels.provenance import Provenance, settings_name
from phonsmith.structures.sites import moments_of

if TYPE_CHECKING:
    from numpy.lib.npyio import NpzFile

ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, OverflowError)
UNREADABLE = (TypeError, OSError, ValueError, LookupError, EOFError, RuntimeError, *ZIP_ERRORS)
"""What reading a file may raise that is missing, cut off or damaged."""

NAMES = "names"
"""The array that lists the others of a file."""


class LabelStore:
    """Labels in files named by a hash of the cell and of the method's fingerprint.

    Numbers are kept in full precision. Several processes and campaigns may use one folder, also on
    a network file system and without locks: files appear whole, by renaming, the first label under
    a key stays, and a broken file counts as absent. ``user`` is the name of the campaign that asks.
    """

    def __init__(self, folder: str | Path, user: str = "") -> None:
        self.folder = Path(folder)
        self.user = f"{socket.gethostname()} {Path.cwd()} {user}"

    def turn(self, key: str) -> str:
        """Sort keys by this: an order of this campaign of this project on this machine."""
        return hashlib.sha256(f"{self.user} {key}".encode()).hexdigest()

    @staticmethod
    def key(cell: Atoms, fingerprint: str) -> str:
        """Hash of elements, lattice, positions, periodicity and the method's fingerprint.

        Starting magnetic moments are in it where a cell has them.
        """
        digest = hashlib.sha256()
        digest.update(np.asarray(cell.numbers, dtype="<i8").tobytes())
        # adding zero turns -0.0, which some writers make, into 0.0
        digest.update((np.asarray(cell.cell[:], dtype="<f8") + 0.0).tobytes())
        digest.update((np.asarray(cell.positions, dtype="<f8") + 0.0).tobytes())
        digest.update(np.asarray(cell.pbc, dtype="u1").tobytes())
        if (moments := moments_of(cell)) is not None:
            digest.update(b"moments")
            digest.update((np.asarray(moments.round(6), dtype="<f8") + 0.0).tobytes())
        digest.update(fingerprint.encode())
        return digest.hexdigest()

    def get(self, key: str) -> Atoms | None:
        """Return the label under a key, without structure, kind and index; None if absent."""
        try:
            with read_arrays(self._path(key)) as data:
                cell = Atoms(
                    data["numbers"],
                    positions=data["positions"],
                    cell=data["cell"],
                    magmoms=data.get("moments"),
                    pbc=data["pbc"],
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
        except UNREADABLE:
            return None

    def put(self, key: str, label: Atoms) -> None:
        """Keep a label under a key, other than where a sound one is already."""
        if self.get(key) is not None:
            return
        content = {
            "numbers": label.numbers,
            "positions": label.positions,
            "cell": label.cell[:],
            "pbc": label.pbc,
            "forces": label.arrays[FORCES],
            "method": np.asarray(str(label.info.get("method", ""))),
        }
        if (moments := moments_of(label)) is not None:
            content["moments"] = moments
        if ENERGY in label.info:
            content["energy"] = np.asarray(label.info[ENERGY])
        if STRESS in label.info:
            content["stress"] = np.asarray(label.info[STRESS])
        if made := Provenance.of(label):
            content["provenance"] = np.asarray(json.dumps(asdict(made)))
        self.write_arrays(self._path(key), content)

    def get_alone(self, key: str) -> Atoms | None:
        """Return the isolated atom under a key, see :func:`labelled_alone`; None if absent."""
        found = self.get(key)
        if found is None or len(found) != 1 or ENERGY not in found.info:
            return None
        method, energy = str(found.info.get("method", "")), float(found.info[ENERGY])
        return labelled_alone(bare(found), method, energy, Provenance.of(found))

    def put_alone(self, key: str, atom: Atoms) -> None:
        """Keep an isolated atom under a key."""
        label = atom.copy()
        label.arrays[FORCES] = np.zeros((1, 3))  # by symmetry
        self.put(key, label)

    def describe(self, fingerprint: str) -> None:
        """Store the settings of a fingerprint under the name that labels carry."""
        path = self.folder / "settings" / f"{settings_name(fingerprint)}.json"
        if not path.exists():
            text = json.dumps(json.loads(fingerprint), indent=2) + "\n"
            with self._writing(path) as stream:
                stream.write(text.encode())

    def write_arrays(self, path: Path, content: Mapping[str, Any]) -> None:
        """Keep arrays in a file of the store, for :func:`read_arrays`."""
        with self._writing(path) as stream:
            np.savez(stream, **{**content, NAMES: np.asarray(sorted(content))})

    @contextmanager
    def _writing(self, path: Path) -> Iterator[IO[bytes]]:
        """A stream to a file of the store, which appears whole.

        New folders get the mode of the store's own: where a group may write, its members share it.
        Files may be read by those who may read the store.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        mode = stat.S_IMODE(self.folder.stat().st_mode)
        for part in reversed(path.relative_to(self.folder).parents[:-1]):
            with suppress(FileExistsError):  # another job has been faster
                (self.folder / part).mkdir()
                (self.folder / part).chmod(mode)
        with replacing(path, mode & 0o644) as temporary, temporary.open("wb") as stream:
            yield stream

    def latest_fingerprint(self, elements: Iterable[str], known: Mapping[str, Any]) -> str | None:
        """Return the fingerprint that was described last for these elements; None where none was.

        It has no other values than those of ``known``: a store may hold labels by many methods.
        """
        paths = (self.folder / "settings").glob("[!.]*.json")
        wanted = sorted(set(elements))
        for path in sorted(paths, key=lambda one: one.stat().st_mtime, reverse=True):
            content = read_json(path)
            if content.get("elements", wanted) == wanted and _agree(content, known):
                return json.dumps(content, sort_keys=True, separators=(",", ":"))
        return None

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.npz"


@contextmanager
def read_arrays(path: Path) -> Iterator["NpzFile"]:
    """The arrays that :meth:`LabelStore.write_arrays` has kept, all of them.

    Raises
    ------
    ValueError
        Some are lost: damage to their names would pass for a label without a stress. Other damage
        raises one of :data:`UNREADABLE`, some only when an array is read.
    """
    with np.load(path, allow_pickle=False) as data:
        if {*data[NAMES].tolist(), NAMES} != set(data):
            raise ValueError(f"{path}: arrays are lost")
        yield data


def _agree(described: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    """Whether the values that both hold agree; values by element of described elements only."""
    for key in described.keys() & known.keys():
        one, other = described[key], known[key]
        if isinstance(one, dict) and isinstance(other, dict):
            other = {name: other.get(name) for name in one}
        if one != other:
            return False
    return True
