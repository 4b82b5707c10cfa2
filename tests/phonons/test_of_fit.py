"""Phonons of a fit for several crystals in one job."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from phonsmith.phonons.files import load_phonons, save_phonons
from phonsmith.phonons.force_constants import potential_phonons
from phonsmith.phonons.of_fit import Crystal, PhononsOfFit
from phonsmith.phonons.paths import phonons_file, spectrum_file
from phonsmith.phonons.settings import Phonons
from phonsmith.phonons.spectra import Spectrum
from phonsmith.potentials.calculators import Potential, save_potential
from phonsmith.potentials.settings import PotentialSource
from phonsmith.running.single_results import record_file
from phonsmith.structures.settings import Relaxation
from phonsmith.structures.verdicts import Verdict
from phonsmith.supercells.settings import Displaced

SW = PotentialSource(calculator="stillinger-weber")
LATTICE = {"a": 5.43, "b": 5.44, "c": 5.45}
"""Å. Lattice constants of the crystals."""


@pytest.fixture
def crystals(tmp_path: Path) -> list[Crystal]:
    (tmp_path / "reference").mkdir()
    found = []
    for name, a in LATTICE.items():
        phonon = potential_phonons(bulk("Si", a=a), 2 * np.eye(3), Displaced(), SW)
        path = tmp_path / "reference" / f"{name}.yaml"
        save_phonons(path, phonon)
        found.append(Crystal(name, path))
    return found


@pytest.fixture
def fit(tmp_path: Path) -> PhononsOfFit:
    (tmp_path / "fit/model").mkdir(parents=True)
    potential = Potential(source=SW, has_energies=True, level_of_theory="", fit="itself")
    save_potential(tmp_path / "fit/potential.json", potential)
    return PhononsOfFit(
        potential=tmp_path / "fit/potential.json",
        model=tmp_path / "fit/model",
        cell="reference",
        displaced=Displaced(),
        relaxation=Relaxation(),
        phonons=Phonons(points_per_segment=5, mesh_length_angstrom=15),
        index=tmp_path / "phonons/reference.json",
    )


@pytest.mark.parametrize("threads", [1, 2])
def test_every_crystal_has_the_phonons_of_its_reference(
    fit: PhononsOfFit, crystals: list[Crystal], threads: int
) -> None:
    fit.run(crystals, threads)
    verdicts = Verdict.load_each(fit.index)
    assert list(verdicts) == list(LATTICE)
    assert not any(verdict.reason for verdict in verdicts.values())
    highest = []
    for crystal in crystals:
        mine = load_phonons(phonons_file(fit.index, crystal.structure))
        reference = load_phonons(crystal.reference)
        np.testing.assert_allclose(mine.force_constants, reference.force_constants, atol=1e-9)
        spectrum = Spectrum.load(spectrum_file(fit.index, crystal.structure))
        highest.append(spectrum.maximum_thz)
    assert highest[0] > highest[1] > highest[2]  # stretched crystals are softer


def times(fit: PhononsOfFit) -> dict[str, int]:
    names = (name for name in LATTICE if record_file(fit.index, name).exists())
    return {name: spectrum_file(fit.index, name).stat().st_mtime_ns for name in names}


def test_one_more_crystal_computes_only_that_one(
    fit: PhononsOfFit, crystals: list[Crystal]
) -> None:
    fit.run(crystals[:2])
    before = times(fit)
    fit.run(crystals)
    after = times(fit)
    assert {name: after[name] for name in before} == before
    assert list(Verdict.load_each(fit.index)) == list(LATTICE)

    # another reference of one crystal, and a result that was lost
    save_phonons(crystals[0].reference, load_phonons(crystals[1].reference))
    record_file(fit.index, "c").unlink()
    fit.run(crystals)
    last = times(fit)
    assert last["b"] == after["b"]
    assert last["a"] > after["a"]
    assert last["c"] > after["c"]


def test_a_touched_potential_computes_all(fit: PhononsOfFit, crystals: list[Crystal]) -> None:
    """Code of the user's own changes no content of potential.json."""
    fit.run(crystals[:1])
    before = times(fit)
    fit.potential.touch()
    fit.run(crystals[:1])
    assert times(fit)["a"] > before["a"]


def test_a_crystal_without_phonons_has_a_reason_and_an_empty_spectrum(
    fit: PhononsOfFit, crystals: list[Crystal], tmp_path: Path
) -> None:
    one_step = Relaxation(max_steps=1)
    lost = replace(fit, cell="relaxed", relaxation=one_step)
    lost.run(crystals[2:])
    (verdict,) = json.loads(lost.index.read_text()).values()
    assert "not converged" in verdict["reason"]
    assert spectrum_file(lost.index, "c").stat().st_size == 0

    again = replace(lost, relaxation=Relaxation(max_steps=100))
    again.run(crystals[2:])  # the limit alone is no reason to compute again
    assert json.loads(again.index.read_text())["c"]["max_steps"] == 1
    again.run([Crystal("c", crystals[2].reference, again=1)])
    (verdict,) = json.loads(again.index.read_text()).values()
    assert (verdict["reason"], verdict["again"]) == ("", 1)
