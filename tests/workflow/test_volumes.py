"""Crystals at other volumes, through a whole run."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase.build import bulk
from ase.io import read
from ase.units import _amu, _e

from phonsmith.campaign.model import Campaign
from phonsmith.phonons.files import load_phonons
from phonsmith.potentials.calculators import make_calculator
from phonsmith.potentials.settings import PotentialSource
from tests.project import Project

SW = {"calculator": "stillinger-weber"}
LARGER = {"calculator": "stillinger-weber", "arguments": {"sigma": 2.12}}
SCALED = {
    "structures": {
        "mp-149": {"file": "config/structures/silicon/mp-149.vasp"},
        "small": {"scaled": {"of": "mp-149", "linear": 0.97}},
    },
    "reference": {"method": "calculator", "potential": SW},
    "supercells": {"kinds": ["displaced"], "min_length_angstrom": 6.0, "min_atoms": 8},
    "fits": {"larger": {"kind": "existing", "potential": LARGER}},
    "phonons": {"points_per_segment": 5, "mesh_length_angstrom": 15},
    "benchmarks": {"mechanics": True},
    "figures": {"formats": ["svg"]},
}


def optical_mode_of_diamond(a: float) -> float:
    """Γ optical frequency (THz): one sublattice moved against the other."""
    crystal = bulk("Si", "diamond", a=a)
    crystal.calc = make_calculator(PotentialSource(**SW))
    step = 1e-3
    forces = []
    for sign in (1, -1):
        moved = crystal.copy()
        moved.calc = crystal.calc
        moved.positions[0, 0] += sign * step
        forces.append(moved.get_forces()[0, 0])
    stiffness = -(forces[0] - forces[1]) / (2 * step) * _e * 1e20  # N/m
    reduced_mass = crystal.get_masses()[0] / 2 * _amu
    return float(np.sqrt(stiffness / reduced_mass) / (2 * np.pi) / 1e12)


@pytest.mark.slow
def test_volumes_are_held_by_reference_and_fits(tmp_path: Path, repository: Path) -> None:
    project = Project(tmp_path, repository, scaled=SCALED)
    assert project.run("plan").returncode == 0  # before the crystal to scale from is relaxed
    run = project.run()
    assert run.returncode == 0, run.stdout + run.stderr
    results = project.results("scaled")
    free, small = (read(results / f"relaxed/{one}.extxyz") for one in SCALED["structures"])
    assert small.get_volume() / free.get_volume() == pytest.approx(0.97**3, rel=1e-6)
    volumes = {}
    for one in SCALED["structures"]:
        path = results / f"phonons/larger/gen0/relaxed/{one}.yaml"
        volumes[one] = load_phonons(path).unitcell.volume
        assert not json.loads(path.with_suffix(".json").read_text())["result"]["reason"]
    assert volumes["small"] == pytest.approx(small.get_volume(), rel=1e-6)
    assert volumes["mp-149"] > 1.02 * free.get_volume()  # sigma sets the bond length
    for one, crystal in (("mp-149", free), ("small", small)):
        phonon = load_phonons(results / f"phonons/reference/reference/{one}.yaml")
        a = (8 * crystal.get_volume() / len(crystal)) ** (1 / 3)
        top = phonon.run_qpoints([[0, 0, 0]]).frequencies[0].max()
        assert top == pytest.approx(optical_mode_of_diamond(a), rel=2e-3)
    mechanics = pd.read_csv(results / "tables/mechanics.csv")
    assert set(mechanics.structure) == {"mp-149"}  # a strained crystal has no equation of state


@pytest.mark.parametrize("of", ["small", "other"])
def test_scaled_from_what_is_not_there(of: str) -> None:
    structures = {**SCALED["structures"], "small": {"scaled": {"of": of, "linear": 0.97}}}
    with pytest.raises(ValueError, match=r"structures\.small\.scaled\.of: "):
        Campaign.model_validate({**SCALED, "structures": structures})
