"""BORN files: published ones, and those of other crystals."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from phonopy import Phonopy

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.phonopy_files import read_phonopy_file
from phonsmith.files.sources import sha256_of
from tests.phonopy_files import write


def born_of(shared_data: Path, material: int) -> Path:
    return next(shared_data.glob(f"phonondb-pbesol/{material}-*/mp-*/BORN"))


@pytest.fixture(scope="module")
def salt(nacl: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Phonopy:
    path = write(tmp_path_factory.mktemp("salt") / "a.yaml", nacl)
    return read_phonopy_file(path).phonopy()


def test_published_born_files_are_taken_as_they_are(shared_data: Path) -> None:
    from ase.io import read as read_ase
    from phonopy.file_IO import parse_BORN

    from phonsmith.labels.born import read_born
    from phonsmith.supercells.cells import make_phonopy

    count = 0
    for path in sorted(shared_data.glob("phonondb-pbesol/*/mp-*/BORN")):
        crystal = read_ase(path.with_name("POSCAR-unitcell"))
        phonon = make_phonopy(crystal, np.eye(3, dtype=int))
        nac = read_born(path, phonon)
        assert np.allclose(nac["born"], parse_BORN(phonon.primitive, filename=path)["born"])
        count += 1
    assert count == 12


LINES = {
    "good": "1.1 0 0 0 1.1 0 0 0 1.1\n-1.1 0 0 0 -1.1 0 0 0 -1.1\n",
    "sum": "2.435 0 0 0 2.435 0 0 0 2.435\n-1.087 0 0 0 -1.087 0 0 0 -1.087\n",
    "one more": "1 0 0 0 1 0 0 0 1\n1 0 0 0 1 0 0 0 1\n-1 0 0 0 -1 0 0 0 -1\n",
    "one less": "1.1 0 0 0 1.1 0 0 0 1.1\n",
    "not cubic": "1.1 0 0 0 2.1 0 0 0 1.1\n-1.1 0 0 0 -2.1 0 0 0 -1.1\n",
}


@pytest.mark.parametrize(
    ("epsilon", "charges", "reason"),
    [
        ("3 0 0 0 3 0 0 0 3", "good", ""),
        ("3 0 0 0 3 0 0 0 3", "sum", r"sum to 1.3 e, .*\(Na \+2.4., Cl -1.09\)"),
        ("3 0 0 0 3 0 0 0 3", "one more", r"charges of 3 atoms, .* keep the lines of atoms 1 \(Na"),
        ("3 0 0 0 3 0 0 0 3", "one less", "charges of 1 atoms, but of the 2 atoms"),
        ("3 0 0 0 3 0 0 0 3", "not cubic", "lack the symmetry of the crystal"),
        ("3 0 0 0 9 0 0 0 3", "good", "the tensor by 44 %"),
        (".5 0 0 0 .5 0 0 0 .5", "good", "an eigenvalue below 1"),
    ],
)
def test_born_files_of_other_crystals_are_refused(
    tmp_path: Path, salt: Phonopy, epsilon: str, charges: str, reason: str
) -> None:
    from phonsmith.labels.born import read_born

    (tmp_path / "BORN").write_text(f"14.400\n{epsilon}\n{LINES[charges]}")
    if not reason:
        assert read_born(tmp_path / "BORN", salt)["factor"] == pytest.approx(14.39965, abs=1e-4)
        return
    with pytest.raises(PhonsmithError, match=reason):
        read_born(tmp_path / "BORN", salt)


def test_a_line_for_every_atom_is_refused(shared_data: Path, tmp_path: Path) -> None:
    """Two symmetry-independent atoms of six in the primitive cell."""
    from ase.io import read as read_ase

    from phonsmith.labels.born import read_born
    from phonsmith.supercells.cells import make_phonopy

    born = born_of(shared_data, 856)
    phonon = make_phonopy(read_ase(born.with_name("POSCAR-unitcell")), np.eye(3, dtype=int))
    head, epsilon, tin, oxygen = born.read_text().splitlines()[:4]
    text = [head, epsilon, tin, tin, oxygen, oxygen, oxygen, oxygen]
    (tmp_path / "BORN").write_text("\n".join(text))
    with pytest.raises(PhonsmithError, match=r"of 6 atoms \(a line for every atom\), .* atoms 1 "):
        read_born(tmp_path / "BORN", phonon)


@pytest.mark.parametrize("method", ["recorded", "calculator"])
def test_born_files_are_compared_with_the_crystal_at_planning(
    shared_data: Path, tmp_path: Path, nacl: dict[str, Any], method: str
) -> None:
    from phonsmith.campaign.model import Campaign
    from phonsmith.check.inputs import check_inputs

    born = str(shared_data / "real-inputs" / "BORN-charges-do-not-sum-to-zero")
    (tmp_path / "salt").mkdir()
    path = write(tmp_path / "salt" / "a.yaml", nacl)
    structure: dict[str, Any] = {"recorded": "a.yaml", "born": born}
    reference: dict[str, Any] = {
        "method": "recorded",
        "level_of_theory": "PBE",
        "source": {"name": "salt", "files": {"a.yaml": sha256_of(path)}},
    }
    if method == "calculator":
        poscar = next(shared_data.glob("phonondb-pbesol/22862-*/mp-*/POSCAR-unitcell"))
        structure = {"file": str(poscar), "born": born}
        reference = {"method": "calculator", "potential": {"calculator": "stillinger-weber"}}
    campaign = Campaign.model_validate(
        {
            "structures": {"salt": structure},
            "reference": reference,
            "fits": {"gap": {"kind": "gap"}},
        }
    )
    with pytest.raises(PhonsmithError, match=r"structures\.salt\.born: .*sum to 1.9 e"):
        check_inputs(campaign, "salt.yaml", [tmp_path])
