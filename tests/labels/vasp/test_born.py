"""Born charges of VASP."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from phonopy.file_IO import parse_BORN
from pymatgen.io.vasp import Incar

from phonsmith.labels.failed import LabelFailed
from phonsmith.labels.vasp.inputs import born_tags, in_vasp_order
from phonsmith.labels.vasp.method import born_text
from phonsmith.structures.reading import read_structure
from phonsmith.supercells.cells import make_phonopy
from tests.labels.vasp.examples import vasp


def write_lepsilon(path: Path, charges: np.ndarray, epsilon: np.ndarray) -> None:
    """What VASP writes into vasprun.xml with LEPSILON."""

    def rows(tensor: np.ndarray) -> str:
        return "".join(f"<v> {row[0]:.8f} {row[1]:.8f} {row[2]:.8f} </v>" for row in tensor)

    sets = "".join(f"<set>{rows(one)}</set>" for one in charges)
    path.write_text(
        f"""<modeling><calculation><varray name="epsilon">{rows(epsilon)}</varray>
        <array name="born_charges"><dimension dim="1">ion</dimension>{sets}</array>
        </calculation></modeling>"""
    )


def tensors_by_atom(crystal: Atoms, born: Path) -> tuple[np.ndarray, np.ndarray]:
    """Dielectric tensor and Born charges of every atom of the crystal."""
    phonon = make_phonopy(crystal, np.eye(3, dtype=int))
    known = parse_BORN(phonon.primitive, filename=born)
    primitive = phonon.primitive
    inside = [primitive.p2p_map[index] for index in primitive.s2p_map]
    return known["dielectric"], known["born"][inside]


def test_born_charges_reach_phonopy_for_the_right_atoms(tmp_path: Path, shared_data: Path) -> None:
    """Those of β-Ga2O3 in phonondb (monoclinic, five kinds of atoms), its atoms shuffled."""
    (folder,) = (shared_data / "phonondb-pbesol").glob("886-*/*")
    crystal = read_structure(folder / "POSCAR-unitcell")
    epsilon, charges = tensors_by_atom(crystal, folder / "BORN")
    shuffle = np.random.default_rng(3).permutation(len(crystal))
    shuffled = crystal[shuffle]
    order = in_vasp_order(shuffled)
    assert order.tolist() != list(range(20))
    write_lepsilon(tmp_path / "vasprun.xml", charges[shuffle][order], epsilon)
    (tmp_path / "BORN").write_text(born_text(tmp_path / "vasprun.xml", shuffled))
    found = tensors_by_atom(shuffled, tmp_path / "BORN")
    assert found[0] == pytest.approx(epsilon, abs=1e-5)
    assert found[1] == pytest.approx(charges[shuffle], abs=2e-3)  # the sum rule moves them

    write_lepsilon(tmp_path / "vasprun.xml", charges[shuffle][order] + np.eye(3), epsilon)
    with pytest.raises(LabelFailed, match="Born charges sum to 20 e"):
        born_text(tmp_path / "vasprun.xml", shuffled)
    (tmp_path / "vasprun.xml").write_text("<modeling><calculation></calculation></modeling>")
    with pytest.raises(LabelFailed, match="holds no Born charges"):
        born_text(tmp_path / "vasprun.xml", shuffled)


def test_settings_for_born_charges_are_those_of_phonondb(shared_data: Path) -> None:
    (folder,) = (shared_data / "phonondb-pbesol").glob("886-*/*")
    theirs = Incar.from_file(folder / "INCAR-nac")
    ours = Incar(born_tags(vasp(), None))
    keys = ("PREC", "IBRION", "LEPSILON", "ISMEAR", "LREAL", "GGA", "LWAVE", "LCHARG")
    assert {key: ours[key] for key in keys} == {key: theirs[key] for key in keys}
