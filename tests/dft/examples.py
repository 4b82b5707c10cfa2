"""Quantum ESPRESSO on small cells."""

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk

from phonsmith.labels.espresso.method import EspressoMethod
from phonsmith.labels.factory import reference_method
from phonsmith.labels.protocol import Allocation

SILICON = "Si.pbesol-nl-rrkjus_psl.1.0.0.UPF"


def method(pseudo: Path, work: Path, cores=1, structure=None, **changes) -> EspressoMethod:
    settings = {
        "method": "espresso",
        "pseudopotentials": {"folder": str(pseudo), "files": {"Si": SILICON}},
        "ecutwfc_ry": 30,
        "ecutrho_ry": 180,
        "kspacing_per_angstrom": 0.7,
        "occupations": "fixed",
        "cores": cores,
    }
    allocation = Allocation(cores, work)
    return reference_method(settings | changes, structure=structure, allocation=allocation)


def rattled(a=5.43, seed=1) -> Atoms:
    cell = bulk("Si", a=a)
    cell.positions += np.random.default_rng(seed).normal(scale=0.03, size=(2, 3))
    return cell
