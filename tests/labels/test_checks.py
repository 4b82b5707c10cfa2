"""Labels that cannot be."""

import re

import numpy as np
import pytest
from ase import Atoms

from phonsmith.files.extxyz import ENERGY, FORCES, STRESS
from phonsmith.labels.checks import check_label, labelled
from phonsmith.labels.failed import LabelFailed
from phonsmith.labels.settings import Labels


def silicon() -> Atoms:
    cell = Atoms("Si2", positions=[[0, 0, 0], [1.36, 1.36, 1.36]], cell=[4, 4, 4], pbc=True)
    return labelled(cell, "x", -10.0, [[0, 0, 0.1], [0, 0, -0.1]], np.eye(3) * 0.01)


def changed(**changes: object) -> Atoms:
    label = silicon()
    for key, value in changes.items():
        if key in ("cell", "positions", "numbers", "pbc"):
            setattr(label, key, value)
        elif key == "forces":
            label.arrays[FORCES] = value
        else:
            label.info[{"energy": ENERGY, "stress": STRESS}[key]] = value
    return label


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"positions": np.zeros((2, 3))}, "0 Å apart"),
        ({"positions": np.array([[0, 0, 0], [0, 0, 3.9]])}, "0.1 Å apart"),
        ({"positions": np.array([[0, 0, 0], [np.inf, 0, 0]])}, "not finite"),
        ({"positions": np.array([[0, 0, 0], [1e300, 0, 0]])}, "unphysical"),
        ({"numbers": [14, 0]}, "atoms without element"),
        ({"cell": np.zeros((3, 3))}, "the lattice is missing"),
        ({"cell": np.diag([0.4, 0.4, 0.4])}, "not in Å"),
        ({"cell": np.diag([1e-4, 1e3, 1e3])}, "Å thick"),
        ({"cell": np.diag([1e300, 4, 4])}, "unphysical"),
        ({"energy": 1e300}, "unphysical energy per atom of 5e+299 eV"),
        ({"energy": True}, "non-numeric energy"),
        ({"energy": "T"}, "non-numeric energy"),
        ({"energy": np.nan}, "energy is not finite"),
        ({"forces": np.array([[0, 0, 1e250], [0, 0, -1e250]])}, "forces of 1e+250"),
        ({"forces": np.array([[True] * 3] * 2)}, "non-numeric forces"),
        ({"stress": np.diag([1e5, 0, 0])}, "stress of 1e+05"),
        ({"stress": np.array([[0, 0.2, 0], [0, 0, 0], [0, 0, 0]])}, "not symmetric"),
    ],
)
def test_numbers_and_atoms_that_no_matter_has(changes: dict[str, object], reason: str) -> None:
    label = changed(**changes)
    with pytest.raises(LabelFailed, match=re.escape(reason)):
        check_label(label, label, Labels())


def test_what_matter_has_is_accepted() -> None:
    for changes in (
        {},
        {"energy": -1.5e6},  # all electrons of heavy atoms
        {"forces": np.array([[0, 0, 900.0], [0, 0, -900.0]])},
        {"positions": np.array([[0, 0, 0], [0, 0, 0.75]])},
        {"stress": np.array([[0.1, 0.0005, 0], [0, 0.1, 0], [0, 0, 0.1]])},
        {"cell": np.zeros((3, 3)), "pbc": False},
        {"numbers": [1, 1], "cell": np.diag([1.4, 1.4, 1.4]), "positions": np.eye(3)[:2]},
    ):
        label = changed(**changes)
        check_label(label, label, Labels())
