"""Files of phonons."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from phonsmith.files.errors import PhonsmithError
from phonsmith.phonons.files import load_phonons, save_phonons
from phonsmith.phonons.force_constants import reference_phonons
from phonsmith.supercells.cells import make_phonopy, to_ase
from tests.phonons.published import castep, frequencies_at, labelled, phonondb


def test_phonopy_load_opens_the_file(shared_data, tmp_path):
    """The command line finds forces and the correction of rock salt, and gives the same numbers."""
    phonon, born = phonondb(shared_data, 22862)
    phonon = reference_phonons(phonon, labelled(phonon, phonon.forces), born)
    file = tmp_path / "deep" / "one.yaml"
    save_phonons(file, phonon)
    command = shutil.which("phonopy-load", path=str(Path(sys.executable).parent))
    assert command is not None
    subprocess.run(
        [command, str(file), "--mesh", "2", "2", "2"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    written = yaml.safe_load((tmp_path / "mesh.yaml").read_text())["phonon"]
    q = [one["q-position"] for one in written]
    wanted = [[band["frequency"] for band in one["band"]] for one in written]
    again = load_phonons(file)
    np.testing.assert_allclose(frequencies_at(phonon, q), wanted, atol=1e-4)
    np.testing.assert_allclose(frequencies_at(again, q), wanted, atol=1e-4)


def test_loading_ignores_strangers_in_the_working_directory(shared_data, tmp_path, monkeypatch):
    born = next(shared_data.glob("phonondb-pbesol/22862-*/mp-*/BORN"))
    shutil.copy(born, tmp_path / "BORN")
    monkeypatch.chdir(tmp_path)
    assert castep(shared_data, 22).nac_params is None


def test_phonon_file_errors(tmp_path, silicon):
    with pytest.raises(PhonsmithError, match="no such file"):
        load_phonons(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: 1\n")
    with pytest.raises(PhonsmithError, match="not a phonopy YAML"):
        load_phonons(tmp_path / "bad.yaml")
    bare = make_phonopy(to_ase(silicon.unitcell), np.eye(3, dtype=int))
    bare.save(tmp_path / "bare.yaml")
    assert load_phonons(tmp_path / "bare.yaml").force_constants is None
