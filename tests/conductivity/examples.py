"""Conductivities on small meshes."""

from pathlib import Path

import numpy as np

from phonsmith.conductivity.kappa import mean_kappa, thermal_conductivity
from phonsmith.conductivity.settings import Conductivity, ThirdOrder
from phonsmith.conductivity.third_order import cells_to_label, produce, with_forces
from phonsmith.labels.factory import fitted_method
from phonsmith.labels.labelling import label_cells
from phonsmith.labels.recorded.readers.phonopy_yaml import read_phono3py
from phonsmith.labels.settings import Labels
from phonsmith.phonons.files import load_phonons
from phonsmith.phonons.force_constants import potential_phonons
from phonsmith.potentials.calculators import Potential
from phonsmith.potentials.settings import PotentialSource
from phonsmith.supercells.settings import Displaced

SW = {"calculator": "stillinger-weber"}
SMALL = {"min_length_angstrom": 10, "min_atoms": 64, "max_atoms": 80}


def recorded(path: Path, folder: Path):
    """Harmonic phonons and phono3py with third-order force constants of recorded data."""
    read = read_phono3py(path)
    read.phonon.save(folder / "phonons.yaml")
    phonon = load_phonons(folder / "phonons.yaml")
    third, cells, record = cells_to_label("x", phonon, ThirdOrder(**SMALL), 0, recorded=read.third)
    assert not cells and record["recorded"] and not record["reason"]
    return phonon, produce(third, phonon, ThirdOrder(**SMALL)), record


def kappa(third, **settings):
    """Result and modes of a conductivity on a small mesh."""
    asked = Conductivity(**{"mesh": (5, 5, 5), "temperatures_kelvin": [300], **settings})
    result, modes = thermal_conductivity(third, asked, "x", "y", imaginary_tolerance_thz=0.1)
    assert not result.reason
    return result, modes


def first(result, at: int = 0) -> float:
    return mean_kappa(result.series[0].kappa[at])


def sw_third_order(crystal, settings: ThirdOrder):
    """phono3py with force constants of Stillinger–Weber silicon, through all steps."""
    source = PotentialSource(**SW)
    matrix = np.diag([3, 3, 2]) if len(crystal) == 4 else np.diag([2, 2, 2])
    phonon = potential_phonons(crystal, matrix, Displaced(), source)
    third, cells, _ = cells_to_label("x", phonon, settings, 5)
    potential = Potential(source=source, has_energies=True, level_of_theory="SW", fit="sw")
    labels, failures = label_cells(cells, fitted_method(potential), Labels())
    assert not failures
    return produce(with_forces(third, labels), phonon, settings)


def sw_conductivity(crystal, settings: ThirdOrder, mesh, **more):
    """κ of Stillinger–Weber silicon through all steps, labels included."""
    return kappa(sw_third_order(crystal, settings), mesh=mesh, **more)[0]


TINY = {
    "structures": {"si": {"file": "config/structures/kappa/si-diamond-cubic.vasp"}},
    "reference": {"method": "calculator", "potential": SW},
    "supercells": {"kinds": ["displaced"], "min_length_angstrom": 10, "max_atoms": 64},
    "fits": {
        "larger": {
            "kind": "existing",
            "potential": {**SW, "arguments": {"epsilon": 2.5}},
        }
    },
    "phonons": {"points_per_segment": 5, "mesh_length_angstrom": 15},
    "conductivity": {
        "third_order": {"way": "fit", "random_cells": 12, **SMALL},
        "temperatures_kelvin": [300, 600],
        "mesh": [3, 3, 3],
        "convergence": [[2, 2, 2]],
        "directions": [[1, 1, 0]],
    },
    "figures": {"formats": ["svg"]},
}
