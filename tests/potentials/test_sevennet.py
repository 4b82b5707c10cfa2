"""SevenNet by name: settings, files and silicon."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from pydantic import ValidationError

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.sources import sha256_of
from phonsmith.potentials.calculators import (
    evaluate,
    known_elements,
    load_potential,
    save_potential,
)
from phonsmith.potentials.environments import environment
from phonsmith.potentials.loaded_files import check_arguments, check_model
from phonsmith.potentials.settings import PotentialSource


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"model": "7net-l3"},
            r"one of 7net-l3i5, 7net-0, 7net-mf-0 or the path of a checkpoint .*; found 7net-l3",
        ),
        ({}, "`model` must be one of 7net-l3i5, 7net-0, 7net-mf-0 .*; found none"),
        ({"calculator": "chgnet", "environment": "x"}, "computes in phonsmith's environment"),
    ],
)
def test_what_the_settings_refuse(settings: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        PotentialSource(**{"calculator": "sevennet", **settings})


def test_the_level_of_theory_of_a_model_with_several_has_to_be_named() -> None:
    def source(model: str, **arguments: str) -> PotentialSource:
        return PotentialSource(calculator="sevennet", model=model, arguments=arguments)

    check_arguments(source("7net-mf-0", modal="R2SCAN"))
    check_arguments(source("7net-0"))
    with pytest.raises(PhonsmithError, match="7net-mf-0 has `modal: PBE or R2SCAN` in `arguments`"):
        check_arguments(source("7net-mf-0"))
    with pytest.raises(PhonsmithError, match="model 7net-0 has no `modal` in `arguments`"):
        check_arguments(source("7net-0", modal="PBE"))
    with pytest.raises(PhonsmithError, match="unknown argument file_type"):
        check_arguments(source("7net-0", file_type="model_instance"))


def test_a_named_model_is_no_file(tmp_path: Path) -> None:
    source = PotentialSource(calculator="sevennet", model="7net-0")
    assert source.model_file is None
    assert source.takes_gpu
    assert source.level_of_theory == "sevennet 7net-0"
    slower = PotentialSource(calculator="sevennet", model="7net-l3i5")
    assert source.seconds_per_atom < slower.seconds_per_atom
    from phonsmith.potentials.calculators import Potential

    path = tmp_path / "potential.json"
    save_potential(path, Potential(source=source, has_energies=True, level_of_theory="x", fit="x"))
    assert load_potential(path).source == source


def test_a_checkpoint_is_a_file_that_needs_a_checksum(tmp_path: Path) -> None:
    """Its elements and levels of theory are unknown before it is loaded."""
    path = tmp_path / "my.pth"
    source = PotentialSource(calculator="sevennet", model=str(path), arguments={"modal": "mpa"})
    assert source.model_file == str(path) and source.pickled and source.takes_gpu
    assert source.level_of_theory == "sevennet" and known_elements(source) is None
    check_arguments(source)
    with pytest.raises(PhonsmithError, match=r"my\.pth: no such model file"):
        check_model(source)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("state", "x")
    with pytest.raises(PhonsmithError, match="not loaded, since loading a model file can run code"):
        check_model(source)
    known = source.model_copy(update={"sha256": sha256_of(path)})
    check_model(known)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(PhonsmithError, match="cut off, or not a torch model file"):
        check_model(known.model_copy(update={"sha256": sha256_of(path)}))


def test_the_file_of_sevennet_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # it comes with phonsmith
    pins = environment("sevennet").pins
    assert "sevenn==0.13.0" in pins
    lock = (Path(__file__).parents[2] / "requirements.lock").read_text().split()
    for package in ("torch", "numpy", "ase"):
        (ours,) = [pin for pin in lock if pin.startswith(f"{package}==")]
        assert ours in pins


@pytest.fixture
def sevennet(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PotentialSource:
    monkeypatch.chdir(repository)
    if not environment("sevennet").record.is_file():
        pytest.skip("make it with: python -m phonsmith.potentials.environments sevennet")
    return PotentialSource(calculator="sevennet", model="7net-l3i5", arguments={"device": "cpu"})


@pytest.mark.slow
def test_sevennet_of_silicon(sevennet: PotentialSource) -> None:
    """Lattice constant and Γ mode of PBE are 5.469 Å and 15.1 THz; measured without phonsmith."""
    below, above = evaluate([bulk("Si", a=a) for a in (5.464, 5.470)], sevennet)
    assert np.trace(below.stress) < 0 < np.trace(above.stress)
    cell = bulk("Si", a=5.467)
    step = 0.01
    forces = []
    for sign in (1, -1):
        moved = cell.copy()
        moved.positions[0, 0] += sign * step / 2
        moved.positions[1, 0] -= sign * step / 2
        forces.append(evaluate([moved], sevennet)[0].forces[0, 0])
    constant = -(forces[0] - forces[1]) / (2 * step)  # eV/Å² of the relative coordinate
    reduced = 28.0855 / 2 * 1.66053907e-27
    frequency = np.sqrt(2 * constant / 2 * 16.0217663 / reduced) / (2 * np.pi) / 1e12
    assert frequency == pytest.approx(12.80, abs=0.05)
