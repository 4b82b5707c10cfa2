"""A whole campaign on a real SLURM: where its jobs ran, and with what, by SLURM's own records."""

import pandas as pd
import pytest

from tests.project import Project
from tests.slurm.cluster import Cluster, allocated, rule_of
from tests.slurm.runs import SILICON, snakemake, start

FITS = {
    "gap": {
        "kind": "gap",
        "soap": {"n_sparse": 20, "n_max": 3, "l_max": 2, "cutoff_angstrom": 4.0},
        "resources": {"threads": 1, "memory_mb": 1200, "runtime_minutes": 11},
    },
    "mace": {
        "kind": "mace",
        "num_channels": 4,
        "num_interactions": 1,
        "max_l": 0,
        "cutoff_angstrom": 3.0,
        "max_epochs": 2,
        "resources": {"threads": 2, "memory_mb": 3000, "runtime_minutes": 12},
    },
}

pytestmark = pytest.mark.slurm

EXPECTED = {
    # rule and fit: partition, cores, GPUs, MB, minutes
    ("relax_structure", ""): ("cpu", 1, 0, 2000, 30),
    ("label_isolated_atoms", ""): ("cpu", 1, 0, 2000, 30),
    ("label_batch", ""): ("cpu", 2, 0, 3500, 30),
    ("make_dataset", ""): ("cpu", 1, 0, 4000, 30),
    ("reference_phonons", ""): ("cpu", 1, 0, 2000, 45),
    ("fit", "gap"): ("cpu", 1, 0, 1200, 11),
    ("fit", "mace"): ("gpu", 2, 1, 3000, 12),
    ("fit_errors", "gap"): ("cpu", 2, 0, 6000, 45),
    ("fit_errors", "mace"): ("gpu", 2, 1, 6000, 45),
    ("fit_phonons", "gap"): ("cpu", 2, 0, 5000, 45),
    ("fit_phonons", "mace"): ("gpu", 2, 1, 5000, 45),
}


@pytest.fixture(scope="module")
def finished(cluster, tmp_path_factory, repository):
    settings = {
        **SILICON,
        "fits": FITS,
        "labels": {"batches_per_structure": 2, "runtime_minutes": 30},
    }
    project = Project(tmp_path_factory.mktemp("campaign"), repository, tiny=settings)
    project.place_it(
        cpu={"partition": "cpu"},
        gpu={"partition": "gpu"},
        max_minutes=45,
        max_cores=2,
        setup=['echo "$SLURM_JOB_ID ${CUDA_VISIBLE_DEVICES}" >> seen.txt'],
    )
    run = start(project, snakemake(project))
    said, _ = run.communicate(timeout=900)
    assert run.returncode == 0, said
    return project


def test_every_job_ran_where_it_belongs(cluster: Cluster, finished):
    jobs = cluster.jobs(finished.folder)
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    found = {}
    for job in jobs:
        rule, words = rule_of(job), job["Comment"].strip().split("_")
        fit = next(name for name in FITS if name in words) if rule.startswith("fit") else ""
        found[rule, fit] = allocated(job)
    assert found == EXPECTED
    assert len(jobs) == len(EXPECTED) + 1  # two batches of labels


def test_the_setup_of_the_site_ran_in_every_job(cluster: Cluster, finished):
    """Once, on the node: it knows the job's id, and its GPU."""
    lines = (finished.folder / "seen.txt").read_text().split("\n")[:-1]
    told = dict(line.split(" ") for line in lines)
    assert len(told) == len(lines)
    jobs = {job["JobId"]: job["Partition"] for job in cluster.jobs(finished.folder)}
    assert {job: "gpu" if gpu in ("0", "1") else "cpu" for job, gpu in told.items()} == jobs


def test_the_campaign_is_complete(finished):
    table = pd.read_csv(finished.results("tiny") / "tables/rmse.csv")
    assert set(table.fit) == set(FITS)
    assert (finished.results("tiny") / "report.html").exists()
    assert not list(finished.folder.rglob("*.tries"))
