"""Grids of wave vectors and their supercells against counts known from group theory and spglib."""

import itertools
import math

import numpy as np
import pytest
import spglib
from ase.build import bulk
from ase.geometry import minkowski_reduce

from phonsmith.files.errors import PhonsmithError
from phonsmith.supercells.cells import make_phonopy, matrix_of
from phonsmith.supercells.choice import grid_of
from phonsmith.supercells.grids import WaveVectors, grid_matrix, in_units_of
from phonsmith.supercells.settings import Supercells

DIAMOND = bulk("Si", "diamond", a=5.431)
IDENTITY = np.eye(3, dtype=np.int64)[None]


def diamond_grid(*numbers: int) -> WaveVectors:
    return grid_of(make_phonopy(DIAMOND, np.diag(numbers)))


@pytest.mark.parametrize(("n", "count"), [(2, 16), (3, 28), (4, 129), (6, 448)])
def test_all_subgroups_are_found(n: int, count: int) -> None:
    """Numbers of subgroups of Z_n × Z_n × Z_n (OEIS A064803); ±q alone equate none of them."""
    grid = WaveVectors(n * np.eye(3, dtype=np.int64), IDENTITY)
    assert len(grid.subgroups) == count
    assert len(set(grid.subgroups)) == count


@pytest.mark.parametrize("numbers", [(2, 2, 2), (4, 4, 4), (6, 6, 6), (5, 5, 5)])
def test_stars_are_those_of_spglib(numbers: tuple[int, int, int]) -> None:
    grid = diamond_grid(*numbers)
    crystal = (DIAMOND.cell[:], DIAMOND.get_scaled_positions(), DIAMOND.numbers)
    mapping, _ = spglib.get_ir_reciprocal_mesh(numbers, crystal, is_shift=[0, 0, 0])
    assert grid.order == math.prod(numbers)
    assert len(set(grid.stars)) == len(set(mapping))


def test_the_smallest_supercell_of_a_wave_vector_has_the_least_common_multiple_of_cells() -> None:
    """Lloyd-Williams and Monserrat (2015), equation 9."""
    grid = WaveVectors(np.diag([4, 6, 3]), IDENTITY)
    lattice = np.array(DIAMOND.cell[:])
    sizes = set()
    of_each = {
        min((group for group in grid.subgroups if place in group), key=len)
        for place in range(grid.order)
    }
    for group in of_each:
        matrix = grid.supercell(group, lattice)
        q = grid.numerators[sorted(group)] / grid.order
        assert np.allclose(q @ matrix.T, np.rint(q @ matrix.T))
        sizes.add(round(np.linalg.det(matrix)))
        assert round(np.linalg.det(matrix)) == len(group)
        reduced = minkowski_reduce(matrix @ lattice)[0]
        assert np.sort(np.linalg.norm(matrix @ lattice, axis=1)) == pytest.approx(
            np.sort(np.linalg.norm(reduced, axis=1))
        )
    orders = {
        math.lcm(*(n // math.gcd(n, k) for n, k in zip((4, 6, 3), ks, strict=True)))
        for ks in itertools.product(range(4), range(6), range(3))
    }
    assert sizes == orders


def test_a_grid_that_breaks_the_symmetry_uses_what_is_left() -> None:
    whole, broken = diamond_grid(2, 2, 2), diamond_grid(2, 2, 1)
    assert len(set(whole.stars)) == 3
    # of the 4 wave vectors the two L points are equivalent, and X is not
    assert len(set(broken.stars)) == 3


def test_a_length_is_the_least_distance_of_opposite_faces() -> None:
    lattice = np.array(bulk("Zn", "hcp", a=2.66, c=4.95).cell[:])
    matrix = grid_matrix(lattice, 9.0)
    assert matrix.tolist() == np.diag([4, 4, 2]).tolist()
    heights = 1 / np.linalg.norm(np.linalg.inv(matrix @ lattice), axis=0)
    assert heights.min() >= 9
    assert grid_matrix(lattice, heights.min()).tolist() == matrix.tolist()


def test_a_grid_along_the_primitive_vectors_of_a_conventional_cell() -> None:
    conventional = bulk("Si", "diamond", a=5.431, cubic=True)
    matrix = matrix_of("si", conventional, Supercells(grid=[4, 4, 4]))
    assert round(np.linalg.det(matrix)) == 16
    phonon = make_phonopy(conventional, matrix)
    assert grid_of(phonon).order == 64
    with pytest.raises(PhonsmithError, match=r"grid \[3, 3, 3\].*whole unit cells"):
        matrix_of("si", conventional, Supercells(grid=[3, 3, 3]))
    assert in_units_of(np.eye(3, dtype=int), np.eye(3)).tolist() == np.eye(3).tolist()


def test_too_many_wave_vectors_are_refused() -> None:
    with pytest.raises(PhonsmithError, match=r"1728 wave vectors.*way to diagonal"):
        _ = WaveVectors(12 * np.eye(3, dtype=np.int64), IDENTITY).subgroups


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"grid": [4, 4, 4], "multiples": {"a": (2, 2, 2)}}, "grid and multiples both determine"),
        ({"grid": 12.0, "min_length_angstrom": 10}, "grid and min_length_angstrom both"),
        ({"grid": [4, 4, 4], "max_atoms": 100}, "grid and max_atoms both"),
        ({"way": "diagonal"}, "set `grid`, or remove `way`"),
        ({"grid": [4, 4]}, "three integers"),
        ({"grid": [4, 4, 0]}, "above 0"),
        ({"grid": -2.0}, "a length must be above 0"),
    ],
)
def test_settings_of_a_grid_are_checked(given: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Supercells.model_validate(given)


def test_settings_survive_being_written_out() -> None:
    for grid in ([4, 4, 2], [[-2, 2, 2], [2, -2, 2], [2, 2, -2]], 12.5):
        settings = Supercells(grid=grid, way="non-diagonal")
        assert Supercells.model_validate(settings.model_dump(mode="json")) == settings
