"""The SLURM that all tests of this folder share. Nothing is skipped: what is missing is said."""

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator

import pytest

from tests.slurm.cluster import Cluster
from tests.slurm.runs import STARTED


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    wanted = ("slurmctld", "slurmd", "munged", "mpirun")
    missing = [name for name in wanted if not shutil.which(name)]
    if missing or os.geteuid() != 0:
        pytest.fail(
            f"{', '.join(missing) or 'root rights'} missing; as root: apt-get install slurm-wlm "
            "munge openmpi-bin (make test-slurm does it)",
            pytrace=False,
        )
    with Cluster() as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_left(cluster: Cluster) -> Iterator[None]:
    """After a test, also one that failed, no Snakemake and no job of it goes on."""
    yield
    for process in STARTED:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    STARTED.clear()
    cluster.cancel_all()
