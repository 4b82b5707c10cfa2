"""Environments that change with a displaced atom: truth from environments listed by brute force."""

from itertools import product

import numpy as np
import pytest
from ase import Atoms

from phonsmith.files.errors import PhonsmithError
from phonsmith.potentials.locality import changed_centres, common_cell, moved_atoms


def cell_of(seed: int, atoms: int = 9) -> Atoms:
    """A skewed cell of atoms at random places, some outside the cell."""
    random = np.random.default_rng(seed)
    lattice = np.diag([5.0, 6.0, 7.5]) + random.uniform(-2, 2, (3, 3))
    points = random.uniform(-0.5, 1.5, (atoms, 3))
    return Atoms("Ga4O5", scaled_positions=points, cell=lattice, pbc=True)


def environment(cell: Atoms, centre: int, cutoff: float) -> list[tuple[float, ...]]:
    """Species and vector of every atom within the cutoff, from an explicit sum over images."""
    shifts = np.array(list(product(range(-6, 7), repeat=3))) @ cell.cell.array
    vectors = (shifts[:, None] + cell.positions - cell.positions[centre]).reshape(-1, 3)
    numbers = np.tile(cell.numbers, len(shifts))
    within = np.linalg.norm(vectors, axis=1) <= cutoff
    rows = np.column_stack([numbers, np.round(vectors, 6)])[within] + 0.0  # no -0.0
    return sorted(map(tuple, rows.tolist()))


@pytest.mark.parametrize("cutoff", [1.5, 2.5, 4.0])  # a longer one reaches every atom
@pytest.mark.parametrize("moved", [[3], [0, 7]])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_changed_centres_are_those_with_another_environment(
    seed: int, moved: list[int], cutoff: float
) -> None:
    perfect = cell_of(seed)
    displaced = perfect.copy()
    displaced.positions[moved] += np.random.default_rng(9).uniform(0.2, 0.5, (len(moved), 3))
    displaced.positions[5] -= displaced.cell[1]  # the atom has an image where it was
    truth = {
        centre
        for centre in range(len(perfect))
        if environment(perfect, centre, cutoff) != environment(displaced, centre, cutoff)
    }
    assert moved_atoms(perfect, displaced).tolist() == moved
    assert set(changed_centres(perfect, displaced, cutoff)) == truth | set(moved)


def test_an_image_within_the_cutoff_counts() -> None:
    perfect = Atoms("Si2", positions=[[0.5, 0, 0], [9.5, 0, 0]], cell=[10, 10, 10], pbc=True)
    displaced = perfect.copy()
    displaced.positions[0, 1] += 0.01
    assert changed_centres(perfect, displaced, 2.0).tolist() == [0, 1]
    for cell in (perfect, displaced):
        cell.pbc = False
    assert changed_centres(perfect, displaced, 2.0).tolist() == [0]


def test_an_atom_that_leaves_the_cutoff_or_enters_it_changes_the_centre() -> None:
    near = Atoms("Si2", positions=[[0, 0, 0], [2.95, 0, 0]], cell=[10, 10, 10], pbc=True)
    far = near.copy()
    far.positions[1, 0] = 3.05
    assert changed_centres(near, far, 3.0).tolist() == [0, 1]
    assert changed_centres(far, near, 3.0).tolist() == [0, 1]


def test_nothing_moves_and_everything_moves() -> None:
    perfect = cell_of(0)
    assert not len(changed_centres(perfect, perfect.copy(), 5.0))
    strained = perfect.copy()
    strained.set_cell(1.001 * perfect.cell[:], scale_atoms=False)
    assert len(changed_centres(perfect, strained, 0.1)) == len(perfect)
    rattled = perfect.copy()
    rattled.rattle(0.01, seed=0)
    assert len(changed_centres(perfect, rattled, 0.1)) == len(perfect)


def test_the_common_cell_has_each_atom_where_most_cells_have_it() -> None:
    perfect = cell_of(0)
    first = perfect.copy()
    first.positions[2] += 0.1  # in all cells
    cells = [first.copy() for _ in range(4)]
    for atom, cell in enumerate(cells[:3]):
        cell.positions[atom + 3] += 0.2
    common = common_cell(cells)
    assert common is not None
    assert np.array_equal(common.positions, first.positions)
    assert common_cell(cells[:2]) is None
    assert common_cell([*cells, cells[0][::-1]]) is None
    cells[1].set_cell(1.1 * cells[1].cell[:])
    assert common_cell(cells) is None


def test_cells_of_other_atoms_are_refused() -> None:
    perfect = cell_of(0)
    with pytest.raises(PhonsmithError, match="differ from the perfect cell Ga4O5"):
        changed_centres(perfect, perfect[::-1], 3.0)
