"""The recorded runs of α-Sn, by a command that stands in for VASP."""

import gzip
import io
import sys
import tarfile
from pathlib import Path

from ase import Atoms
from ase.io import read

from phonsmith.labels.protocol import Allocation
from phonsmith.labels.vasp.method import VaspMethod
from phonsmith.labels.vasp.settings import VaspReference

STAND_IN = Path(__file__).with_name("vasp_std.py")

RECORDED = {
    "functional": "PBE",
    "potcars": {"Sn": "Sn_d"},
    "ismear": 1,
    "kspacing_per_angstrom": 0.1,
    "isolated_atom_edges_angstrom": [20.0, 20.0, 20.0],
    "volume": "fixed",
}
"""The settings of the recorded α-Sn runs."""


def vasp(**settings: object) -> VaspReference:
    return VaspReference.model_validate({"method": "vasp", "potcars": {"Sn": "Sn_d"}, **settings})


def recorded_method(
    data: Path, tmp_path: Path, failure: object = "", attempt: int = 1, **settings: object
) -> VaspMethod:
    command = f"{sys.executable} {STAND_IN} {data} {failure}"
    reference = vasp(**{**RECORDED, "command": command, **settings})
    return VaspMethod(reference, None, Allocation(1, tmp_path / "work", attempt))


def poscar(run: Path, name: str = "inputs/POSCAR.gz") -> Atoms:
    return read(io.StringIO(gzip.decompress((run / name).read_bytes()).decode()), format="vasp")


def kept_files(tmp_path: Path) -> dict[str, bytes]:
    """All that runs left behind, packed files opened."""
    found = {}
    for path in (tmp_path / "work").rglob("*"):
        if path.is_file():
            found[path.name] = path.read_bytes()
        if path.name.endswith(".tar.gz"):
            with tarfile.open(path) as packed:
                for one in packed.getmembers():
                    stream = packed.extractfile(one)
                    found[one.name] = stream.read() if stream else b""
    return found
