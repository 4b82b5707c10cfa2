"""Published phonons."""

from pathlib import Path

import numpy as np
from ase import Atoms
from phonopy import Phonopy
from phonopy.file_IO import parse_disp_yaml, parse_FORCE_SETS
from phonopy.interface.vasp import read_vasp

from phonsmith.phonons.files import load_phonons
from phonsmith.phonons.force_constants import reference_phonons
from phonsmith.potentials.settings import PotentialSource
from phonsmith.supercells.cells import to_ase

PATHS = ["seekpath", "setyawan-curtarolo"]
SW = PotentialSource(calculator="stillinger-weber")
SEED = 7


def castep(shared_data: Path, number: int) -> Phonopy:
    return load_phonons(shared_data / "si-castep" / f"{number}_phonopy.yaml")


def phonondb(shared_data: Path, material: int) -> tuple[Phonopy, Path]:
    """Phonons of one folder of phonondb, without its BORN file, and the path of that file."""
    folder = next(shared_data.glob(f"phonondb-pbesol/{material}-*/mp-*"))
    words = (folder / "phonopy.conf").read_text().replace("DIM", "").split("PRIMITIVE_AXIS")
    matrix = [int(word) for word in words[0].split() if word != "="]
    primitive = [
        _fraction(word) for word in (*words[1:], "1 0 0 0 1 0 0 0 1")[0].split() if word != "="
    ]
    phonon = Phonopy(
        read_vasp(folder / "POSCAR-unitcell"),
        supercell_matrix=np.reshape(matrix, (3, 3)),
        primitive_matrix=np.reshape(primitive, (3, 3)),
    )
    phonon.dataset = parse_disp_yaml(folder / "disp.yaml")
    forces = [
        one["forces"] for one in parse_FORCE_SETS(filename=folder / "FORCE_SETS")["first_atoms"]
    ]
    frames = labelled(phonon, forces)
    return reference_phonons(phonon, frames), folder / "BORN"


def _fraction(word: str) -> float:
    above, _, below = word.partition("/")
    return float(above) / float(below or 1)


def labelled(phonon: Phonopy, forces) -> list[Atoms]:
    frames = []
    for index, (cell, force) in enumerate(
        zip(phonon.supercells_with_displacements, forces, strict=True)
    ):
        frame = to_ase(cell)
        frame.arrays["REF_forces"] = np.array(force)
        frame.info.update(kind="displaced", index=index, structure="one")
        frames.append(frame)
    return frames


def frequencies_at(phonon: Phonopy, q) -> np.ndarray:
    return phonon.run_qpoints(np.reshape(q, (-1, 3))).frequencies
