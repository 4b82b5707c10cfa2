"""Supercells: the matrix search, displaced cells, rattled cells."""

import hashlib
import itertools
import math
import re
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.geometry import minkowski_reduce
from pydantic import ValidationError

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.problems import problems_of
from phonsmith.structures.reading import read_structure
from phonsmith.structures.symmetry import symmetry_dataset
from phonsmith.supercells.cells import (
    displaced_cells,
    make_phonopy,
    rattled_cells,
    shortest_distance,
    strained_lattice,
    supercell_matrix,
    to_ase,
    to_phonopy,
)
from phonsmith.supercells.making import Made, make_supercells
from phonsmith.supercells.settings import Displaced, Rattled, Supercells
from phonsmith.supercells.sublattices import (
    _hermite,
    _invariant,
    choose_supercell,
    keeps,
    shortest_vector,
)

DIAMOND = bulk("Si", a=5.43)
ONE = np.eye(3, dtype=int)

LARGE = Supercells(min_length_angstrom=15, max_atoms=500)


def group_of(atoms: Atoms) -> np.ndarray:
    """Point-group operations on rows."""
    return symmetry_dataset(atoms, 1e-5).rotations.astype(np.int64).transpose(0, 2, 1)


def hermite_forms(index: int):
    """Every sublattice of an index, once."""
    for a in range(1, index + 1):
        for d in range(1, index // a + 1):
            if index % (a * d):
                continue
            f = index // (a * d)
            for b, c, e in itertools.product(range(d), range(f), range(f)):
                yield np.array([[a, b, c], [0, d, e], [0, 0, f]])


@pytest.fixture
def silicon(repository: Path) -> Path:
    return repository / "config" / "structures" / "silicon"


# --- matrices --------------------------------------------------------------------------------


@pytest.mark.parametrize(("length", "n"), [(10, 64), (15, 216), (20, 512)])
def test_diamond_gets_the_conventional_cubes(length: float, n: int) -> None:
    matrix = supercell_matrix(DIAMOND, Supercells(min_length_angstrom=length, max_atoms=600))
    cell = make_supercell(DIAMOND, matrix).cell
    assert np.linalg.det(matrix) * 2 == pytest.approx(n)
    np.testing.assert_allclose(cell.lengths(), 5.43 * round((n / 8) ** (1 / 3)))
    np.testing.assert_allclose(cell.angles(), 90)


def test_fcc_supercell_where_no_cube_fits() -> None:
    matrix = supercell_matrix(DIAMOND, Supercells(min_length_angstrom=15, max_atoms=200))
    np.testing.assert_array_equal(matrix, 4 * ONE)


def test_hexagonal_keeps_the_sixfold_axis(silicon: Path) -> None:
    crystal = read_structure(silicon / "mp-165.vasp")
    matrix = supercell_matrix(crystal, LARGE)
    np.testing.assert_array_equal(matrix, np.diag([4, 4, 3]))
    cell = make_supercell(crystal, matrix).cell
    np.testing.assert_allclose(cell.angles(), [90, 90, 120])


@pytest.mark.parametrize(
    "name", ["mp-149", "mp-165", "mp-168", "mp-571520", "mp-1079297", "mp-1095269", "mp-1200830"]
)
def test_limits_and_point_group(silicon: Path, name: str) -> None:
    crystal = read_structure(silicon / f"{name}.vasp")
    matrix = supercell_matrix(crystal, LARGE)
    assert matrix.dtype.kind == "i"
    n = np.linalg.det(matrix) * len(crystal)
    assert 50 <= round(n) <= 500
    assert shortest_vector(matrix @ crystal.cell[:]) >= 15
    assert keeps(matrix, group_of(crystal))
    np.testing.assert_array_equal(matrix, supercell_matrix(crystal, LARGE))
    supercell = make_supercell(crystal, matrix)
    rotations = symmetry_dataset(supercell, 1e-4).rotations
    assert len(np.unique(rotations, axis=0)) == len(np.unique(group_of(crystal), axis=0))


def test_nearly_cubic_where_a_diagonal_matrix_is_not() -> None:
    """A sheared cell of a simple cubic crystal: only a general matrix gives the cube."""
    sheared = np.array([[1, 0, 0], [2, 1, 0], [1, 3, 1]])
    crystal = Atoms("Po", cell=sheared @ (3.35 * np.eye(3)), pbc=True)
    matrix = supercell_matrix(crystal, Supercells(min_length_angstrom=12, min_atoms=10))
    cell = make_supercell(crystal, matrix).cell
    np.testing.assert_allclose(cell.lengths(), 4 * 3.35)
    np.testing.assert_allclose(cell.angles(), 90)


@pytest.mark.parametrize("atoms", [DIAMOND, bulk("Zn"), bulk("Si", cubic=True)])
def test_invariant_sublattices_are_those_of_brute_force(atoms: Atoms) -> None:
    group, lattice = group_of(atoms), atoms.cell[:]
    found = {m.tobytes() for m in _invariant(lattice, 1, 16, group)}
    edge = 2 * max((16 * atoms.get_volume()) ** (1 / 3), atoms.cell.lengths().max())
    for index in range(1, 17):
        for form in hermite_forms(index):
            if not keeps(form, group):
                assert form.tobytes() not in found
            elif np.linalg.norm(minkowski_reduce(form @ lattice)[0], axis=1).max() < edge:
                assert form.tobytes() in found


def test_fewest_cells_of_a_triclinic_lattice_are_those_of_brute_force() -> None:
    lattice = np.array([[3.1, 0.2, 0.1], [0.9, 3.6, -0.3], [-0.7, 1.1, 4.4]])
    for length in (5.0, 7.0, 8.0):
        found = choose_supercell(lattice, ONE[None], length, 1, 60, fewest=True)
        index = round(np.linalg.det(found))
        assert shortest_vector(found @ lattice) >= length
        for smaller in range(1, index):
            for form in hermite_forms(smaller):
                assert shortest_vector(form @ lattice) < length


def test_hermite_form_is_that_of_the_lattice() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        form = next(itertools.islice(hermite_forms(12), int(random.integers(100)), None))
        change = ONE.copy()
        for _ in range(6):
            i, j = random.permutation(3)[:2]
            change[i] += random.integers(-2, 3) * change[j]
        np.testing.assert_array_equal(_hermite(change @ form), form)


def test_too_few_atoms_allowed_names_the_setting_and_a_number_that_works() -> None:
    settings = Supercells(min_length_angstrom=15, max_atoms=100)
    with pytest.raises(PhonsmithError) as caught:
        supercell_matrix(DIAMOND, settings)
    text = str(caught.value)
    assert "\n" not in text
    assert "supercells.max_atoms to 128 or more" in text
    assert "15 Å apart" in text
    supercell_matrix(DIAMOND, Supercells(min_length_angstrom=15, max_atoms=128))
    with pytest.raises(PhonsmithError, match="min_length_angstrom"):
        supercell_matrix(DIAMOND, Supercells(min_length_angstrom=15, max_atoms=127))


def test_absurd_lengths_are_refused_at_once(silicon: Path) -> None:
    with pytest.raises(PhonsmithError, match="1000 Å apart"):
        supercell_matrix(DIAMOND, Supercells(min_length_angstrom=1000))
    big = read_structure(silicon / "mp-1203790.vasp")
    with pytest.raises(PhonsmithError, match=r"no multiple of 68 atoms.*max_atoms to 136"):
        supercell_matrix(big, Supercells(min_atoms=100, max_atoms=120))


def test_a_crystal_file_of_many_primitive_cells_is_named() -> None:
    words = r"no multiple of 54 atoms.*27 primitive cells of 2 atoms; give a smaller cell"
    with pytest.raises(PhonsmithError, match=words):
        supercell_matrix(DIAMOND.repeat(3), Supercells(max_atoms=50))


# --- phonopy and displaced cells ---------------------------------------------------------------


def test_atoms_survive_phonopy() -> None:
    there_and_back = to_ase(to_phonopy(bulk("NaCl", "rocksalt", a=5.6)))
    assert there_and_back.get_chemical_formula() == "ClNa"
    np.testing.assert_allclose(there_and_back.cell[:], bulk("NaCl", "rocksalt", a=5.6).cell[:])


@pytest.mark.parametrize(("crystal", "cells"), [(DIAMOND, 1), (bulk("NaCl", "rocksalt", a=5.6), 2)])
def test_number_of_displaced_cells(crystal: Atoms, cells: int) -> None:
    matrix = supercell_matrix(crystal, Supercells(min_length_angstrom=10))
    phonon = make_phonopy(crystal, matrix)
    displaced = displaced_cells(phonon, Displaced())
    assert len(displaced) == cells
    assert len(phonon.dataset["first_atoms"]) == cells
    ideal = to_ase(phonon.supercell)
    for cell in displaced:
        moves = np.linalg.norm(cell.positions - ideal.positions, axis=1)
        assert np.count_nonzero(moves > 1e-8) == 1
        assert moves.max() == pytest.approx(0.01)
    assert len(displaced_cells(phonon, Displaced(plus_minus="always"))) == 2 * cells


def test_matrix_means_the_same_to_phonopy_and_ase(silicon: Path) -> None:
    crystal = read_structure(silicon / "mp-1079297.vasp")
    matrix = np.array([[1, 1, 0], [-1, 1, 0], [0, 1, 2]])
    phonon = make_phonopy(crystal, matrix)
    np.testing.assert_allclose(phonon.supercell.cell, matrix @ crystal.cell[:], atol=1e-10)


def test_primitive_crystal_is_its_own_primitive_cell(silicon: Path) -> None:
    """phonopy would permute the axes of this one, and of a relaxed one perhaps otherwise."""
    crystal = read_structure(silicon / "mp-1072544.vasp")
    np.testing.assert_allclose(make_phonopy(crystal, ONE).primitive.cell, crystal.cell[:])
    conventional = make_phonopy(bulk("Si", cubic=True), ONE)
    assert len(conventional.primitive) == 2
    again = make_phonopy(bulk("Si", cubic=True), ONE, conventional.primitive_matrix)
    np.testing.assert_allclose(again.primitive.cell, conventional.primitive.cell)


# --- rattled cells -----------------------------------------------------------------------------


def angles(lattice: np.ndarray) -> np.ndarray:
    return Atoms(cell=lattice).cell.angles()


def test_every_cell_differs_also_where_the_volume_factor_repeats() -> None:
    """autoplex gives the same cell for a volume factor that stands twice."""
    settings = Rattled(volume_factors=[1.0, 1.0, 1.03])
    cells = rattled_cells(DIAMOND, 2 * ONE, settings, seeds=range(6))
    for one, other in itertools.combinations(cells, 2):
        assert np.abs(one.positions - other.positions).max() > 1e-3
        assert np.abs(one.cell[:] - other.cell[:]).max() > 1e-3


def test_volumes_are_the_factors() -> None:
    settings = Rattled(volume_factors=[0.9, 1.0, 1.2], max_angle_strain_degree=3)
    cells = rattled_cells(DIAMOND, 2 * ONE, settings, seeds=range(5), first_index=2)
    volumes = [cell.get_volume() / (8 * DIAMOND.get_volume()) for cell in cells]
    np.testing.assert_allclose(volumes, [1.2, 0.9, 1.0, 1.2, 0.9])


@pytest.mark.parametrize("lattice", [10 * np.eye(3), 4 * np.array(DIAMOND.cell[:])])
def test_angle_strain_is_uniform_and_from_the_unstrained_lattice(lattice: np.ndarray) -> None:
    """autoplex strains inside its loop, so that strains pile up; here every cell starts anew."""
    strained = [strained_lattice(lattice, 1.0, 2.0, np.random.default_rng(i)) for i in range(400)]
    changes = np.array([angles(cell) - angles(lattice) for cell in strained])
    assert np.abs(changes).max() <= 2.0 + 1e-9
    assert np.abs(changes).max() > 1.9
    np.testing.assert_allclose(changes.std(axis=0), 2 / np.sqrt(3), rtol=0.1)
    np.testing.assert_allclose(changes.mean(axis=0), 0, atol=5 * 2 / np.sqrt(3 * 400))
    first, second = changes[:200], changes[200:]
    np.testing.assert_allclose(first.std(axis=0), second.std(axis=0), rtol=0.2)
    covariance = np.corrcoef(changes.T) - np.eye(3)
    assert np.abs(covariance).max() < 0.2  # the three angles change independently
    np.testing.assert_allclose(np.linalg.det(strained), np.linalg.det(lattice))


def test_strain_keeps_the_orientation() -> None:
    lattice = np.array([[0.1, 2.0, 2.1], [2.3, 0, 2.2], [2.0, 1.9, -0.1]])
    np.testing.assert_allclose(
        strained_lattice(lattice, 1.331, 0.0, np.random.default_rng(0)), 1.1 * lattice, atol=1e-12
    )
    bent = strained_lattice(lattice, 1.0, 2.0, np.random.default_rng(0))
    assert np.linalg.det(bent) > 0
    np.testing.assert_allclose(bent, lattice, atol=0.2)


@pytest.mark.parametrize("method", ["gaussian", "monte-carlo"])
def test_displacements_have_the_standard_deviation(method: str) -> None:
    settings = Rattled(
        method=method, std_angstrom=0.05, volume_factors=[1.0], max_angle_strain_degree=0
    )
    cells = rattled_cells(DIAMOND, 3 * ONE, settings, seeds=range(20))
    ideal = make_supercell(DIAMOND, 3 * ONE, wrap=False)
    moves = np.array([cell.positions - ideal.positions for cell in cells])
    assert moves.size == 20 * 54 * 3
    assert moves.std() == pytest.approx(0.05, rel=0.05)  # 3240 numbers: 1.2 % is one sigma
    assert abs(moves.mean()) < 5 * 0.05 / np.sqrt(moves.size)
    assert np.mean(np.abs(moves) < 0.05) == pytest.approx(0.683, abs=0.04)


@pytest.mark.parametrize("method", ["gaussian", "monte-carlo"])
def test_minimum_distance_is_kept(method: str) -> None:
    std, fraction = (0.1, 0.88) if method == "gaussian" else (0.4, 0.8)
    settings = Rattled(method=method, std_angstrom=std, min_distance_fraction=fraction)
    for index, cell in enumerate(rattled_cells(DIAMOND, 2 * ONE, settings, seeds=range(10))):
        factor = settings.volume_factors[index % 5]
        # the strain changes bonds a little: within 1° by less than 2 %
        bond = 5.43 * np.sqrt(3) / 4 * factor ** (1 / 3)
        assert shortest_distance(cell) > 0.98 * fraction * bond


def test_without_the_limit_atoms_would_come_closer() -> None:
    wild = Rattled(method="monte-carlo", std_angstrom=0.4, min_distance_fraction=0.01)
    cells = rattled_cells(DIAMOND, 2 * ONE, wild, seeds=range(10))
    assert min(shortest_distance(cell) for cell in cells) < 0.75 * 5.43 * np.sqrt(3) / 4


def test_impossible_minimum_distance_names_the_settings() -> None:
    settings = Rattled(std_angstrom=0.5, min_distance_fraction=0.95)
    with pytest.raises(PhonsmithError, match=r"rattled\.std_angstrom.*monte-carlo"):
        rattled_cells(DIAMOND, 2 * ONE, settings, seeds=[0])


# --- all together -------------------------------------------------------------------------------


def test_multiples_of_a_crystal_are_taken_as_given() -> None:
    settings = Supercells(min_length_angstrom=15, max_atoms=50, multiples={"x": (1, 3, 2)})
    made = make_supercells("x", DIAMOND, settings, 1, 0)
    phonon, cells = made.phonon, made.cells
    assert np.array_equal(phonon.supercell_matrix, np.diag([1, 3, 2]))
    assert {len(cell) for cell in cells} == {6 * len(DIAMOND)}
    with pytest.raises(PhonsmithError, match="max_atoms"):
        make_supercells("y", DIAMOND, settings, 1, 0)


def test_multiples_may_be_a_matrix_with_vectors_in_rows() -> None:
    rows = [[-1, 1, 1], [1, -1, 1], [2, 2, -2]]
    settings = Supercells(multiples={"x": rows}, rattled=Rattled(count=2))
    made = make_supercells("x", DIAMOND, settings, 1, 0)
    phonon, cells = made.phonon, made.cells
    assert np.array_equal(phonon.supercell_matrix.T, rows)
    assert phonon.supercell.cell == pytest.approx(np.array(rows) @ DIAMOND.cell[:])
    assert {len(cell) for cell in cells} == {8 * len(DIAMOND)}
    assert {cell.info["kind"] for cell in cells} == {"displaced", "rattled"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([2, 2], "three integers, such as [2, 2, 3], or three rows"),
        ([2, 0, 2], "above 0"),
        ("2 2 2", "three integers, such as [2, 2, 3], or three rows"),
        ([[1, 0, 0], [0, 1, 0]], "three integers, such as [2, 2, 3], or three rows"),
        (
            [[1, 0, 0], [0, 1.5, 0], [0, 0, 1]],
            "three integers, such as [2, 2, 3], or three rows",
        ),
        ([[1, 0, 0], [0, 1, 0], [0, 0, -1]], "a supercell of -1 cells"),
        ([[1, 0, 0], [1, 0, 0], [0, 0, 1]], "a supercell of 0 cells"),
    ],
)
def test_multiples_that_are_no_supercell_are_one_problem(given: Any, words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Supercells.model_validate({"multiples": {"x": given}})
    (problem,) = problems_of(caught.value, Supercells)
    assert problem.startswith("multiples.x: ")
    assert words in problem


SMALL = {"min_length_angstrom": 7.0, "min_atoms": 10, "max_atoms": 100}


def same(one: Atoms, other: Atoms) -> bool:
    return bool(
        np.array_equal(one.positions, other.positions) and np.array_equal(one.cell, other.cell)
    )


def test_frames_are_named_and_repeat_themselves() -> None:
    settings = Supercells(**SMALL, rattled=Rattled(count=4))
    made = make_supercells("mp-149", DIAMOND, settings, 7, 0)
    phonon, frames = made.phonon, made.cells
    again = make_supercells("mp-149", DIAMOND, settings, 7, 0).cells
    assert [frame.info["kind"] for frame in frames] == ["displaced"] + 4 * ["rattled"]
    assert [frame.info["index"] for frame in frames] == list(range(5))
    assert frames[0].info["seed"] == -1
    assert len({frame.info["seed"] for frame in frames}) == 5
    assert {frame.info["structure"] for frame in frames} == {"mp-149"}
    assert {frame.info["generation"] for frame in frames} == {0}
    assert {len(frame) for frame in frames} == {len(phonon.supercell)}
    assert all(same(one, other) for one, other in zip(frames, again, strict=True))


def test_one_kind_alone_gives_the_same_cells() -> None:
    def of_kinds(*kinds: str) -> Made:
        return make_supercells("a", DIAMOND, Supercells(**SMALL, kinds=kinds), 0, 0)

    both, rattled = of_kinds("displaced", "rattled").cells, of_kinds("rattled").cells
    made = of_kinds("displaced")
    phonon, displaced = made.phonon, made.cells
    # the reference phonons need the displaced cells in any case
    assert [f.info["kind"] for f in rattled] == ["displaced"] + 10 * ["rattled"]
    assert [f.info["kind"] for f in displaced] == ["displaced"]
    assert all(same(one, two) for one, two in zip(both, rattled, strict=True))
    assert same(both[0], displaced[0])
    assert [f.info for f in both] == [f.info for f in rattled]
    assert phonon.dataset["first_atoms"]


def test_cells_depend_on_seed_structure_and_generation_only() -> None:
    def first(structure: str, seed: int, generation: int, count: int = 1) -> Atoms:
        settings = Supercells(**SMALL, kinds=["rattled"], rattled=Rattled(count=count))
        cells = make_supercells(structure, DIAMOND, settings, seed, generation).cells
        return next(cell for cell in cells if cell.info["kind"] == "rattled")

    base = first("a", 0, 0)
    assert same(base, first("a", 0, 0, count=3))
    for other in (first("b", 0, 0), first("a", 1, 0), first("a", 0, 1)):
        assert not same(base, other)


def test_errors_name_the_structure() -> None:
    settings = Supercells(min_length_angstrom=15, max_atoms=100)
    with pytest.raises(PhonsmithError, match=r"^mp-149: Si2: no supercell"):
        make_supercells("mp-149", DIAMOND, settings, 0, 0)


def test_displaced_cells_belong_to_generation_zero() -> None:
    made = make_supercells("a", DIAMOND, Supercells(**SMALL), 0, 1)
    phonon, frames = made.phonon, made.cells
    assert {frame.info["kind"] for frame in frames} == {"rattled"}
    assert [frame.info["index"] for frame in frames] == list(range(10))
    assert phonon.dataset["first_atoms"]


# --- lattices with a long axis ---------------------------------------------------------------

NEEDLES = {
    "orthorhombic": ([[5.59, 0, 0], [0, 3.23, 0], [0, 0, 34.1]], 10),
    "monoclinic": ([[5.59, 0, 0], [0, 3.23, 0], [-2, 0, 34.1]], 10),
    "triclinic": ([[5.59, 0, 0], [0.3, 3.23, 0], [-2, 0.4, 34.1]], 10),
    "hexagonal": ([[4, 0, 0], [-2, 12**0.5, 0], [0, 0, 60]], 15),
    "tetragonal": ([[4, 0, 0], [0, 4, 0], [0, 0, 60]], 15),
    "long axis first": ([[34.1, 0, 0], [0, 5.59, 0], [0, 0, 3.23]], 10),
    "centred": ([[2, 2, 0], [-2, 2, 0], [0, 0, 40]], 10),
}


def all_sublattices(index: int) -> Iterator[np.ndarray]:
    """Every sublattice of an index, once: its Hermite normal form."""
    for a, b in itertools.product(range(1, index + 1), repeat=2):
        if index % (a * b) == 0:
            c = index // (a * b)
            for i, j, k in itertools.product(range(b), range(c), range(c)):
                yield np.array([[a, i, j], [0, b, k], [0, 0, c]])


@pytest.mark.parametrize("name", NEEDLES)
def test_cells_of_needles_are_square_across_and_small(name: str) -> None:
    vectors, length = NEEDLES[name]
    lattice = np.array(vectors, dtype=float)
    atoms = Atoms("Si", cell=lattice, pbc=True)
    rotations = np.unique(symmetry_dataset(atoms, 1e-5).rotations, axis=0)

    def fits(matrix: np.ndarray) -> bool:
        return shortest_vector(matrix @ lattice) >= length - 1e-6

    smallest = next(n for n in range(1, 99) if any(fits(m) for m in all_sublattices(n)))
    found = choose_supercell(lattice, rotations, length, 1, 40, fewest=True)
    assert found is not None
    assert round(np.linalg.det(found)) == smallest
    matrix = choose_supercell(lattice, rotations, length, 1, 40)
    assert matrix is not None
    assert fits(matrix)
    assert round(np.linalg.det(matrix)) <= 2 * smallest
    diagonal = [
        np.diag(one) for one in itertools.product(range(1, 9), repeat=3) if math.prod(one) <= 40
    ]
    least = min(math.prod(np.diag(one)) for one in diagonal if fits(one))
    assert round(np.linalg.det(matrix)) <= 1.5 * least
    if name == "orthorhombic":
        assert matrix.tolist() == [[2, 0, 0], [0, 4, 0], [0, 0, 1]]


@pytest.mark.parametrize("name", NEEDLES)
def test_too_few_atoms_for_a_needle_name_a_number_that_is_the_smallest(name: str) -> None:
    vectors, length = NEEDLES[name]
    atoms = Atoms("Si", cell=vectors, pbc=True)
    settings = Supercells(min_length_angstrom=length, min_atoms=1, max_atoms=3)
    with pytest.raises(PhonsmithError, match=r"set supercells\.max_atoms to (\d+)") as caught:
        supercell_matrix(atoms, settings)
    asked = int(re.search(r"max_atoms to (\d+)", str(caught.value))[1])
    assert asked < 26
    for atoms_allowed, works in ((asked, True), (asked - 1, False)):
        limit = settings.model_copy(update={"max_atoms": atoms_allowed})
        with nullcontext() if works else pytest.raises(PhonsmithError):
            assert abs(np.linalg.det(supercell_matrix(atoms, limit))) == pytest.approx(asked)


def test_cells_of_shipped_crystals_stay_what_they_were(repository: Path) -> None:
    """Labels are found again by their cells: another choice would compute them all anew."""
    digest = hashlib.sha256()
    for path in sorted((repository / "config" / "structures").rglob("*.vasp")):
        try:
            matrix = supercell_matrix(
                read_structure(path),
                Supercells(min_length_angstrom=10, min_atoms=50, max_atoms=200),
            )
            digest.update(f"{path.stem} {matrix.tolist()}".encode())
        except PhonsmithError:
            digest.update(path.stem.encode())
    assert digest.hexdigest()[:16] == "f76dea00a77d611d"
