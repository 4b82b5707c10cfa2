"""mpirun within a job step, as Snakemake starts it: one task with several cores."""

import sys
from pathlib import Path

import pytest

from tests.slurm.cluster import run, wait_until

pytestmark = pytest.mark.slurm

PROGRAM = """
from pathlib import Path
from phonsmith.running.subprocesses import run_child
from phonsmith.labels.runs import MPI_ENVIRONMENT
command = ["mpirun", "--allow-run-as-root", "-np", "2", "printenv", "OMPI_COMM_WORLD_RANK"]
done = run_child(command, Path.cwd(), 1, MPI_ENVIRONMENT, time_limit_s=60)
print("status", done.returncode, sorted(done.lines))
"""


def test_the_ranks_run_on_the_cores_of_the_job(cluster, tmp_path, repository):
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "job.sh").write_text(
        f"#!/bin/sh\nexport PYTHONPATH={repository}\n"
        f"srun -n1 --cpu-bind=q --cpus-per-task=2 --nodes=1 {sys.executable} program.py\n"
    )
    told: Path = tmp_path / "told"
    asked = ("--ntasks=1", "--cpus-per-task=2", "--mem=1000", "--time=2")
    submitted = run(
        "sbatch", *asked, "-D", str(tmp_path), "-o", str(told), str(tmp_path / "job.sh")
    )
    assert submitted.returncode == 0, submitted.stderr
    wait_until(lambda: told.exists() and "status" in told.read_text(), 120)
    assert "status 0 ['0', '1']" in told.read_text()
