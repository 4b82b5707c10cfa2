"""Whole runs on recorded data: force-only sets, VASP runs, disordered cells without a crystal."""

import gzip
import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase.build import bulk

from phonsmith.files.extxyz import write_frames
from phonsmith.labels.checks import labelled
from phonsmith.potentials.calculators import evaluate
from phonsmith.potentials.settings import PotentialSource
from tests.campaigns import TINY
from tests.project import Project


@pytest.mark.slow
def test_a_set_of_disordered_cells_needs_no_crystal(tmp_path, repository):
    """Errors of a potential on cells of others: no crystal, no phonons, and still a report."""
    random = np.random.default_rng(1)
    cells = [bulk("Si", cubic=True) * (2, 1, 1) for _ in range(4)]
    for cell in cells:
        cell.rattle(0.3, rng=random)
    source = PotentialSource(calculator="stillinger-weber")
    frames = [
        labelled(cell, "SW", one.energy + 2 * len(cell), one.forces, one.stress)
        for cell, one in zip(cells, evaluate(cells, source), strict=True)
    ]
    write_frames(tmp_path / "sets/melt.xyz", frames)
    source = {"name": "melt", "folder": "sets"}
    melt = {"source": source, "level_of_theory": "SW", "test_files": ["melt.xyz"]}
    campaign = {
        "reference": {
            **{"method": "recorded", "level_of_theory": "SW", "format": "extxyz"},
            "source": source,
        },
        "datasets": {"databases": {"melt": melt}},
        "fits": {"itself": TINY["fits"]["itself"]},
        "figures": {"formats": ["svg"]},
    }
    project = Project(tmp_path, repository, tiny=campaign)
    run = project.run()
    assert run.returncode == 0, run.stdout + run.stderr
    results = project.results("tiny")
    errors = pd.read_csv(results / "tables/errors.csv")
    energy = errors[(errors["structure"] == "melt") & (errors["quantity"] == "energy")].iloc[0]
    assert (energy["set"], energy["count"]) == ("test", 4)
    assert energy["energy_shift_ev"] == "Si +2.0000"
    assert energy["rmse"] < 1e-6
    page = (results / "report.html").read_text()
    assert "1 data set: SW; 1 existing potential, tested on all of their cells." in page
    assert "Crystals" not in page
    assert not (results / "figures/bands").exists()
    assert not (results / "tables/rmse.csv").exists()
    assert project.run("results/tiny/plan.md").returncode == 0


def recorded_campaign(shared_data: Path) -> dict:
    def sha256(name: str) -> str:
        return hashlib.sha256((shared_data / "si-castep" / name).read_bytes()).hexdigest()

    files = ("22_phonopy.yaml", "24_phonopy.yaml", "34_phonopy.yaml", "8_phonopy.yaml")
    return {
        "structures": {
            "mp-149": {"recorded": "22_phonopy.yaml"},
            "mp-165": {"recorded": "24_phonopy.yaml", "role": "benchmark"},
            "mp-999200": {"recorded": "34_phonopy.yaml"},
            "unstable-8": {"recorded": "8_phonopy.yaml", "role": "test"},
        },
        "reference": {
            "method": "recorded",
            "level_of_theory": "CASTEP PW91",
            "source": {"name": "si-castep", "files": {name: sha256(name) for name in files}},
        },
        "datasets": {"constraints": {}},
        "phonons": {"band_path": "setyawan-curtarolo", "points_per_segment": 5},
        "fits": {
            "gap": {
                "kind": "gap",
                "sigma": {"force_ev_per_angstrom": 0.001},
                "soap": {
                    **{"n_sparse": 60, "n_max": 4, "l_max": 3, "cutoff_angstrom": 4.5},
                    **{"sparse_from": "rattled", "share_sparse": "structure"},
                },
            }
        },
    }


def test_recorded_forces_make_a_force_only_potential(tmp_path, repository, shared_data):
    """Real DFT data without energies: from the public files to the table, constraints included."""
    project = Project(tmp_path, repository, dft=recorded_campaign(shared_data))
    run = project.run()
    assert run.returncode == 0, run.stdout + run.stderr
    folder = project.results("dft")
    modes = pd.read_csv(folder / "tables/modes.csv")
    diamond = modes[(modes.structure == "mp-149") & (modes.cell == "relaxed")]
    gamma, x = (diamond[diamond.label == label].reference_thz for label in ("Γ", "X"))
    assert gamma.max() == pytest.approx(15.11, abs=0.01)
    assert sorted(x.round(2))[::2] == pytest.approx([4.42, 12.02, 13.35], abs=0.02)
    table = pd.read_csv(folder / "tables/rmse.csv")
    in_sample = dict(zip(table.structure, table.in_sample, strict=True))
    assert in_sample == {"mp-149": True, "mp-165": False, "mp-999200": True}
    assert table.rmse_thz.notna().all()
    assert (table[table.cell == "relaxed"].volume_error_percent.abs() < 3).all()
    summary = pd.read_csv(folder / "datasets/gen0/summary.csv")
    tested = {"mp-165", "unstable-8"}
    assert set(summary[summary.structure.isin(tested)].set) == {"test"}
    assert set(summary[summary.set == "test"].structure) == tested
    assert summary.energies.sum() == 0
    assert set(summary[summary.stresses > 0].kind) == {"constraint"}
    potential = json.loads((folder / "fits/gap/gen0/potential.json").read_text())
    assert potential["has_energies"] is False

    reference = recorded_campaign(shared_data)["reference"]
    moved = {**reference, "source": {**reference["source"], "url": "https://example.org/moved"}}
    assert project.planned_with({"reference": moved}, name="dft").keys() <= {"report", "all"}


def tin_campaign(shared_data: Path, crystal: str) -> dict:
    """One displaced and two rattled cells of α-Sn and the atom, as VASP left them."""
    data = shared_data / "sn-alpha-vasp"
    runs = ["Sn-stat_iso_atom_0_25", *(one.name for one in data.glob("dft_*_mp-117_1.0_*"))]
    files = {run: f"{run}/outputs/vasprun.xml.gz" for run in sorted(runs)}
    sha256 = {one: hashlib.sha256((data / one).read_bytes()).hexdigest() for one in files.values()}
    soap = {"n_sparse": 30, "n_max": 3, "l_max": 2, "cutoff_angstrom": 4.5}
    return {
        "structures": {"mp-117": {"file": crystal, "recorded": list(files)}},
        "reference": {
            "method": "recorded",
            "level_of_theory": "VASP PBE",
            "format": "vasprun",
            "source": {"name": "sn-alpha-vasp", "files": sha256},
        },
        "phonons": {"points_per_segment": 5, "mesh_length_angstrom": 15, "cells": ["reference"]},
        "fits": {"gap": {"kind": "gap", "soap": soap}},
        "figures": {"formats": ["svg"]},
    }


@pytest.mark.slow
def test_existing_vasp_runs_come_in_without_recomputing(tmp_path, repository, shared_data):
    """Folders of vasprun.xml and the crystal: displacements are found, energies are used."""
    (relaxed,) = shared_data.glob("sn-alpha-vasp/tight_relax_2_mp-117_1.0_*/outputs/CONTCAR.gz")
    (tmp_path / "POSCAR").write_bytes(gzip.decompress(relaxed.read_bytes()))
    tin = tin_campaign(shared_data, "POSCAR")
    project = Project(tmp_path, repository, tin=tin)
    targets = [f"results/tin/tables/{name}.csv" for name in ("rmse", "modes", "labels")]
    run = project.run(*targets)
    assert run.returncode == 0, run.stdout + run.stderr
    folder = project.results("tin")
    modes = pd.read_csv(folder / "tables/modes.csv")
    assert modes[modes.label == "Γ"].reference_thz.max() == pytest.approx(5.49, abs=0.01)
    labels = pd.read_csv(folder / "tables/labels.csv").set_index("kind").labels
    assert labels.to_dict() == {"displaced": 1, "isolated_atom": 1, "rattled": 2}
    baseline = json.loads((folder / "datasets/gen0/baseline.json").read_text())
    assert baseline["origin"] == "isolated_atoms"
    assert baseline["e0s"] == pytest.approx({"Sn": -0.33074971})
    assert pd.read_csv(folder / "tables/rmse.csv").rmse_thz.between(0.01, 2).all()
    assert project.planned(*targets) == {}

    tin["structures"]["mp-117"]["recorded"].pop(1)  # the displaced cell
    project.write("tin", tin)
    run = project.run("results/tin/phonons/reference/reference/mp-117.yaml")
    assert run.returncode != 0
    assert "no recorded cell is an undistorted supercell" in run.stdout + run.stderr
