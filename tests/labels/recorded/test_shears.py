"""Shear stresses in another order than the shears of the lattice."""

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import STRESS
from phonsmith.labels.checks import labelled
from phonsmith.labels.recorded.reading import read_recorded
from phonsmith.labels.recorded.shears import wrong_order

ORDERS = list(permutations(range(3)))
ROWS, COLUMNS = (1, 0, 0), (2, 2, 1)


def stiffness(rng: np.random.Generator, coupling: float) -> np.ndarray:
    """A positive definite stiffness of the three shears in eV/Å³."""
    mixed = np.eye(3) + coupling * rng.normal(size=(3, 3))
    return np.asarray(0.5 * mixed @ mixed.T)


def strained(count: int, coupling: float, noise: float, seed: int) -> list[Atoms]:
    """Sheared cells whose stress follows their strain."""
    rng = np.random.default_rng(seed)
    shears = stiffness(rng, coupling)
    frames = []
    for _ in range(count):
        strain = 0.02 * rng.normal(size=(3, 3))
        strain = (strain + strain.T) / 2
        cell = bulk("Si", cubic=True)
        cell.set_cell(cell.cell[:] @ (np.eye(3) + strain), scale_atoms=True)
        stress = np.diag(strain.diagonal())
        values = shears @ strain[ROWS, COLUMNS] + noise * rng.normal(size=3)
        stress[ROWS, COLUMNS] = stress[COLUMNS, ROWS] = values
        frames.append(labelled(cell, "", None, np.zeros((8, 3)), stress))
    return frames


def in_order(frames: list[Atoms], order: tuple[int, ...]) -> list[Atoms]:
    """The frames with the shear stresses exchanged."""
    exchanged = []
    for frame in frames:
        copy = frame.copy()
        stress = np.array(copy.info[STRESS])
        values = stress[ROWS, COLUMNS][list(order)]
        stress[ROWS, COLUMNS] = stress[COLUMNS, ROWS] = values
        copy.info[STRESS] = stress
        exchanged.append(copy)
    return exchanged


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("noise", [0.0, 0.005])
def test_exchanged_shears_are_found(order: tuple[int, ...], noise: float) -> None:
    frames = in_order(strained(30, 0.1, noise, seed=1), order)
    assert bool(wrong_order(frames)) == (order != (0, 1, 2))


def test_the_order_of_vasp_is_named() -> None:
    # read as yz xz xy, where xy yz xz was written
    frames = in_order(strained(30, 0.1, 0.0, seed=2), (2, 0, 1))
    assert "as if the components read as yz xz xy are xy yz xz" in wrong_order(frames)


@pytest.mark.parametrize("coupling", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("seed", range(5))
def test_crystals_of_any_stiffness_are_accepted(coupling: float, seed: int) -> None:
    assert wrong_order(strained(30, coupling, 0.002, seed)) == ""


def test_stresses_that_do_not_depend_on_strain_are_accepted() -> None:
    for seed in range(20):
        assert wrong_order(strained(8, 0.0, 10.0, seed)) == ""


def test_few_cells_and_cells_of_one_shape_are_not_judged() -> None:
    wrong = in_order(strained(30, 0.1, 0.0, seed=3), (1, 0, 2))
    assert wrong_order(wrong[:7]) == ""
    for frame in wrong:
        frame.set_cell(bulk("Si", cubic=True).cell)
    assert wrong_order(wrong) == ""


def test_sets_with_exchanged_shears_are_refused(tmp_path: Path) -> None:
    frames = in_order(strained(30, 0.1, 0.0, seed=2), (2, 0, 1))
    lines = []
    for frame in frames:
        xx, yy, zz = frame.info[STRESS].diagonal()
        shears = frame.info[STRESS][ROWS, COLUMNS]
        stress = " ".join(str(value) for value in (xx, yy, zz, *shears))
        lattice = " ".join(str(value) for value in frame.cell[:].ravel())
        columns = "species:S:1:pos:R:3:forces:R:3"
        lines += ["8", f'Lattice="{lattice}" stress="{stress}" Properties={columns}']
        lines += [f"Si {' '.join(map(str, place))} 0 0 0" for place in frame.positions]
    path = tmp_path / "set.xyz"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(PhonsmithError, match=r"set.xyz: shear stresses do not follow the shear"):
        read_recorded(path, "extxyz", "si")
