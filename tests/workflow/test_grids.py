"""A campaign whose displaced cells are those of several non-diagonal supercells of each crystal."""

import numpy as np
import pandas as pd
import pytest
from ase.io import read

from phonsmith.files.extxyz import read_frames
from phonsmith.phonons.files import load_parts, load_phonons
from phonsmith.phonons.force_constants import potential_phonons
from phonsmith.potentials.settings import PotentialSource
from phonsmith.supercells.settings import Displaced
from tests.phonons.published import frequencies_at
from tests.project import Project

SILICON = "mp-149"
GRID = {
    "seed": 1,
    "structures": {SILICON: {"file": f"config/structures/silicon/{SILICON}.vasp"}},
    "reference": {
        "method": "calculator",
        "potential": {"calculator": "stillinger-weber"},
        "isolated_atoms": False,
    },
    "supercells": {
        "grid": 12.0,
        "rattled": {"count": 6, "std_angstrom": 0.05, "volume_factors": [0.98, 1.0]},
    },
    "labels": {"batches_per_structure": 2},
    "datasets": {"test_fraction": 0.2, "min_group_to_split": 3},
    "fits": {
        "gap": {
            "kind": "gap",
            "soap": {"n_sparse": 60, "n_max": 4, "l_max": 3, "cutoff_angstrom": 4.0},
        },
        "itself": {"kind": "existing", "potential": {"calculator": "stillinger-weber"}},
    },
    "phonons": {"points_per_segment": 5, "mesh_length_angstrom": 15},
    "thermodynamics": {"volumes": 5, "mesh_length_angstrom": 15, "structures": [SILICON]},
    "figures": {"formats": ["svg"]},
    "loop": {
        "max_generations": 2,
        "cells_per_structure": 3,
        "goal": {"rmse_thz": 1e-4, "harmonic_only": True},
        "selection": {"pool_size": 12},
    },
}


@pytest.fixture(scope="module")
def project(tmp_path_factory, repository):
    return Project(tmp_path_factory.mktemp("grid"), repository, grid=GRID)


@pytest.fixture(scope="module")
def results(project):
    run = project.run()
    assert run.returncode == 0, run.stdout + run.stderr
    return project.results("grid")


def test_the_plan_has_both_ways(project):
    run = project.run("results/grid/plan.md")
    assert run.returncode == 0, run.stderr
    text = (project.results("grid") / "plan.md").read_text()
    rows = [line.split("|")[1:-1] for line in text.splitlines() if "diagonal " in line]
    found = {row[1].strip(): [word.strip() for word in row[2:5]] for row in rows}
    assert found == {"diagonal": ["1", "1", "128"], "non-diagonal": ["2", "3", "32"]}
    assert [row[1].strip() for row in rows if row[-1].strip() == "yes"] == ["non-diagonal"]


@pytest.mark.slow
def test_cells_of_several_sizes_are_labelled_and_learnt_from(project, results):
    labels = read_frames(results / f"labels/gen0/{SILICON}.extxyz")
    for kind, sizes in (("displaced", [16, 32, 32]), ("rattled", [16, 16, 16, 32, 32, 32])):
        assert sorted(len(one) for one in labels if one.info["kind"] == kind) == sizes
    later = read_frames(results / f"supercells/gen1/{SILICON}.extxyz")
    assert len(later) == 3 and {len(one) for one in later} <= {16, 32}
    train = read_frames(results / "datasets/gen1/train.extxyz")
    assert {len(one) for one in train} == {16, 32}
    assert project.planned() == {}


@pytest.mark.slow
def test_phonons_are_those_of_one_supercell(results):
    phonon = load_phonons(results / f"phonons/reference/reference/{SILICON}.yaml")
    one = potential_phonons(
        read(results / f"relaxed/{SILICON}.extxyz"),
        4 * np.eye(3, dtype=int),
        Displaced(),
        PotentialSource(calculator="stillinger-weber"),
    )
    q = np.random.default_rng(0).uniform(size=(20, 3))
    assert np.abs(frequencies_at(phonon, q) - frequencies_at(one, q)).max() < 1e-3
    table = pd.read_csv(results / "tables/rmse.csv").groupby("fit").rmse_thz.max()
    assert table["itself"] < 1e-4
    assert table["gap"] < 1


@pytest.mark.slow
def test_volumes_reuse_the_supercells(results):
    path = results / f"phonons/reference/reference/{SILICON}.yaml"
    assert [len(part.supercell) for part in load_parts(path, load_phonons(path))] == [32, 16]
    table = pd.read_csv(results / "tables/thermodynamics.csv")
    methods = {
        method: rows.select_dtypes("number").to_numpy() for method, rows in table.groupby("method")
    }
    assert len(methods["reference"]) > 3
    np.testing.assert_allclose(methods["itself/gen1"], methods["reference"], rtol=1e-3, atol=1e-3)
