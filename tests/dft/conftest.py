"""What tests with real DFT codes share. They are never skipped: what is missing is said."""

import os
import shutil
from pathlib import Path

import pytest

from phonsmith.labels.espresso.pseudopotentials import remake

DEBIAN = Path("/usr/share/espresso/pseudo")
"""The pseudopotentials of Debian's package quantum-espresso-data."""


@pytest.fixture(scope="session", autouse=True)
def quantum_espresso() -> None:
    """pw.x and its companions, for root in a container too."""
    missing = [name for name in ("pw.x", "ph.x", "ld1.x", "mpirun") if not shutil.which(name)]
    if missing or not DEBIAN.is_dir():
        pytest.fail(
            f"{', '.join(missing) or DEBIAN}: not found; apt-get install quantum-espresso "
            "quantum-espresso-data openmpi-bin libopenblas0-pthread (make test-dft does it)",
            pytrace=False,
        )
    os.environ.update(
        OMPI_ALLOW_RUN_AS_ROOT="1",
        OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
        OMPI_MCA_rmaps_base_oversubscribe="1",
    )


@pytest.fixture(scope="session")
def pseudo(tmp_path_factory, quantum_espresso) -> Path:
    """A folder with the ultrasoft PBEsol silicon, made from the recipe in Debian's PBE file."""
    folder = tmp_path_factory.mktemp("pseudo")
    remake(DEBIAN / "Si.pbe-nl-rrkjus_psl.1.0.0.UPF", "PBEsol", folder)
    return folder
