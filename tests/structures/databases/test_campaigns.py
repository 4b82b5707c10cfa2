"""Whole runs of campaigns whose crystals and data are fetched."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from phonsmith.files.extxyz import read_frames
from phonsmith.structures.databases.addresses import fetched_path
from phonsmith.structures.reading import read_structure
from phonsmith.structures.settings import Structure
from tests.structures.databases.examples import bare, same, silicon

SNAKEMAKE = Path(sys.executable).with_name("snakemake")
SW = {"method": "calculator", "potential": {"calculator": "stillinger-weber"}}


def tiny(structures: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Phonons of the reference alone, small."""
    return {
        "structures": structures,
        "reference": SW,
        "supercells": {
            **{"kinds": ["displaced"], "min_length_angstrom": 6.0},
            **{"min_atoms": 8, "max_atoms": 70},
        },
        "fits": {"itself": {"kind": "existing", "potential": SW["potential"]}},
        "phonons": {"points_per_segment": 3, "mesh_length_angstrom": 10, "cells": ["relaxed"]},
        "figures": {"formats": ["svg"]},
        **more,
    }


def snakemake(repository: Path, campaign: dict[str, Any], *arguments: str) -> Any:
    Path("config/campaigns").mkdir(parents=True, exist_ok=True)
    Path("config/campaigns/tiny.yaml").write_text(yaml.safe_dump(campaign))
    Path("config/config.yaml").write_text(yaml.safe_dump({"campaigns": ["tiny"]}))
    command = [SNAKEMAKE, "--snakefile", repository / "Snakefile", "--cores", "1"]
    command += ["--profile", repository / "profiles/local", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_a_campaign_fetches_once_and_a_dry_run_never(server: Any, repository: Path) -> None:
    server.answer = lambda url: (200, bare())
    campaign = tiny({"si": {"optimade": {"base_url": server.url, "id": "x"}}})
    target = "results/tiny/structures/si.extxyz"
    dry = snakemake(repository, campaign, "--dry-run", target)
    assert dry.returncode == 0, dry.stderr
    assert "fetching crystal x" in dry.stdout + dry.stderr
    assert server.asked == []
    run = snakemake(repository, campaign, target)
    assert run.returncode == 0, run.stderr
    assert len(server.asked) == 1
    (path,) = Path("config/structures/fetched").rglob("*.extxyz")
    same(read_structure(path), silicon())
    # the database moves on or is gone: nothing is asked for again
    server.answer = lambda url: (500, {})
    Path("results/tiny/structures/si.extxyz").unlink()
    again = snakemake(repository, campaign, target)
    assert again.returncode == 0, again.stderr
    assert len(server.asked) == 1


def test_a_committed_crystal_needs_neither_network_nor_key(repository: Path) -> None:
    path = fetched_path(Structure(materials_project="mp-149"))
    assert path is not None
    path.parent.mkdir(parents=True)
    silicon().write(path)
    campaign = tiny({"si": {"materials_project": "mp-149"}})
    run = snakemake(repository, campaign, "results/tiny/structures/si.extxyz")
    assert run.returncode == 0, run.stderr
    assert "fetch_crystal" not in run.stdout + run.stderr


def test_a_missing_key_is_said_before_any_job(repository: Path) -> None:
    run = snakemake(repository, tiny({"si": {"materials_project": "mp-149"}}), "--dry-run")
    said = [line for line in run.stderr.splitlines() if line.startswith("phonsmith: ")]
    assert run.returncode != 0
    assert len(said) == 1
    assert "structures.si.materials_project" in said[0]
    assert "MP_API_KEY" in said[0]


def test_recorded_data_are_fetched_by_a_job_of_their_own(
    server: Any, repository: Path, shared_data: Path
) -> None:
    """After it, nothing asks the web any more: the other jobs may run where there is none."""
    data = (shared_data / "si-castep/22_phonopy.yaml").read_bytes()
    server.answer = lambda url: (200, data) if url.path == "/set/a.yaml" else (404, {})
    source = {
        "name": "set",
        "url": f"{server.url}/set",
        "files": {"a.yaml": hashlib.sha256(data).hexdigest()},
    }
    campaign = tiny({"si": {"recorded": "a.yaml"}})
    campaign["reference"] = {
        "method": "recorded",
        "level_of_theory": "CASTEP PW91",
        "source": source,
    }
    del campaign["supercells"]
    run = snakemake(repository, campaign, "results/tiny/sources/si.json")
    assert run.returncode == 0, run.stderr
    assert [path for path, _ in server.asked] == ["/set/a.yaml"]
    listed = json.loads(Path("results/tiny/sources/si.json").read_text())
    assert listed == {"results/.sources/set/a.yaml": source["files"]["a.yaml"]}
    server.answer = lambda url: (500, {})
    run = snakemake(repository, campaign, "results/tiny/labels/gen0/si.extxyz")
    assert run.returncode == 0, run.stderr
    assert len(server.asked) == 1
    assert len(read_frames("results/tiny/labels/gen0/si.extxyz")) == 1


@pytest.mark.slow
def test_a_crystal_that_is_lost_is_left_out_and_the_campaign_goes_on(repository: Path) -> None:
    Path("config/structures").mkdir(parents=True)
    folder = repository / "config/structures/silicon"
    crystals = {id: {"file": str(folder / f"{id}.vasp")} for id in ("mp-149", "mp-571520")}
    campaign = tiny(
        crystals,
        relaxation={"on_change": "leave_out"},
        supercells={
            **{"min_length_angstrom": 6.0, "min_atoms": 8, "max_atoms": 70},
            "rattled": {"count": 5, "std_angstrom": 0.05},
        },
        datasets={"constraints": {"structures": list(crystals)}},
        benchmarks={"mechanics": True},
    )
    soap = {"n_sparse": 20, "n_max": 3, "l_max": 2, "cutoff_angstrom": 3.5}
    campaign["fits"]["gap"] = {"kind": "gap", "soap": soap}
    run = snakemake(repository, campaign)
    assert run.returncode == 0, run.stderr
    tables = Path("results/tiny/tables")
    structures = pd.read_csv(tables / "structures.csv", index_col="structure")
    assert dict(structures.left_out) == {"mp-149": False, "mp-571520": True}
    assert "became another structure" in structures.reason["mp-571520"]
    rmse = pd.read_csv(tables / "rmse.csv").set_index(["fit", "structure"])
    for fit in ("itself", "gap"):
        assert rmse.rmse_thz[fit, "mp-149"] >= 0
        assert np.isnan(rmse.rmse_thz[fit, "mp-571520"])
        assert rmse.reason[fit, "mp-571520"].startswith("left out: became another structure")
    learnt = read_frames("results/tiny/datasets/gen0/train.extxyz")
    kinds = {(one.info["structure"], one.info["kind"]) for one in learnt}
    assert {name for name, kind in kinds if kind != "isolated_atom"} == {"mp-149"}
    assert ("mp-149", "constraint") in kinds
    mechanics = pd.read_csv(tables / "mechanics.csv", index_col="structure")
    assert set(mechanics.reason["mp-571520"]) == set(rmse.reason.xs("mp-571520", level="structure"))
    again = snakemake(repository, campaign)
    assert "Nothing to be done" in again.stdout + again.stderr
