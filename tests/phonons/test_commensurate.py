"""Force constants from non-diagonal supercells against those of one supercell.

Both are exact for a harmonic crystal: what differs is of the square of the displacements.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import phonopy
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.io import read
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray
from phonopy import Phonopy

from phonsmith.files.errors import MissingLabels, PhonsmithError
from phonsmith.files.extxyz import FORCES
from phonsmith.phonons.commensurate import with_forces_of_parts
from phonsmith.phonons.files import (
    load_displacements,
    load_parts,
    load_phonons,
    save_phonons,
    with_forces,
)
from phonsmith.phonons.force_constants import (
    fit_phonons,
    phonons_like,
    reference_phonons,
    with_masses,
)
from phonsmith.potentials.calculators import evaluate
from phonsmith.potentials.settings import PotentialSource
from phonsmith.supercells.cells import displaced_cells, make_phonopy, matrix_of
from phonsmith.supercells.making import Made, displaced_cells_of, make_supercells
from phonsmith.supercells.settings import Displaced, Grid, Supercells
from tests.phonons.published import frequencies_at

SW = PotentialSource(calculator="stillinger-weber")
DIAMOND = bulk("Si", "diamond", a=5.431)
Forces = Callable[[Sequence[Atoms]], list[NDArray[np.float64]]]


def stillinger_weber(cells: Sequence[Atoms]) -> list[NDArray[np.float64]]:
    return [found.forces for found in evaluate(cells, SW)]


def ionic(cells: Sequence[Atoms]) -> list[NDArray[np.float64]]:
    """Morse attraction of unlike atoms, Gaussian repulsion of like ones; smooth to the cutoff."""
    return [_pairs(cell) for cell in cells]


def _pairs(atoms: Atoms, cutoff: float = 6.5) -> NDArray[np.float64]:
    first, second, vectors, r = neighbor_list("ijDd", atoms, cutoff)
    like = atoms.numbers[first] == atoms.numbers[second]
    x = np.exp(-1.2 * (r - 2.1))
    energy = np.where(like, 3 * np.exp(-(r**2) / 3.4), 1.5 * (x**2 - 2 * x))
    slope = np.where(like, -r / 1.7 * 3 * np.exp(-(r**2) / 3.4), 1.5 * 2.4 * (x - x**2))
    u = (r / cutoff) ** 2
    slope = slope * (1 - u) ** 3 - energy * 6 * (1 - u) ** 2 * r / cutoff**2
    forces = np.zeros((len(atoms), 3))
    np.add.at(forces, first, (slope / r)[:, None] * vectors)
    return forces


def both_ways(atoms: Atoms, grid: Grid, forces: Forces, distance: float) -> tuple[Phonopy, Phonopy]:
    """Phonons from the non-diagonal supercells, and from the supercell of the grid."""
    displaced = Displaced(distance_angstrom=distance)
    settings = Supercells(grid=grid, way="non-diagonal", displaced=displaced, kinds=["displaced"])
    made = make_supercells("a", atoms, settings, 0, 0, cost_of=lambda cell: len(cell) ** 1.6)
    assert made.parts
    several = with_forces_of_parts(made.phonon, made.parts, forces(made.cells))
    one = make_phonopy(atoms, matrix_of("a", atoms, settings))
    with_forces(one, forces(displaced_cells(one, displaced)))
    return several, one


def differences(first: Phonopy, second: Phonopy, count: int = 50) -> NDArray[np.float64]:
    q = np.random.default_rng(1).uniform(size=(count, 3))
    return np.abs(frequencies_at(first, q) - frequencies_at(second, q))


def left_handed(atoms: Atoms) -> Atoms:
    turned = atoms.copy()
    turned.set_cell(turned.cell[[1, 0, 2]])
    assert np.linalg.det(turned.cell[:]) < 0
    return turned


def antiferromagnet() -> Atoms:
    """NiO of type II; the forces of a pair potential know no moments."""
    crystal = make_supercell(
        bulk("NiO", "rocksalt", a=4.17), np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    )
    crystal.set_initial_magnetic_moments([2, 0, -2, 0])
    return crystal


def silicon(name: str) -> Atoms:
    folder = Path(__file__).resolve().parents[2] / "config" / "structures" / "silicon"
    return read(folder / f"{name}.vasp")


MAGNESIA = bulk("MgO", "rocksalt", a=4.2)


@pytest.mark.parametrize(
    ("atoms", "grid", "forces", "distance"),
    [
        pytest.param(DIAMOND, (4, 4, 4), stillinger_weber, 0.01, id="cubic"),
        pytest.param(
            bulk("Si", "diamond", a=5.431, cubic=True),
            (4, 4, 4),
            stillinger_weber,
            0.01,
            id="conventional",
        ),
        pytest.param(silicon("mp-165"), (4, 4, 2), stillinger_weber, 0.003, id="hexagonal"),
        pytest.param(silicon("mp-1079297"), (2, 2, 2), stillinger_weber, 0.003, id="monoclinic"),
        pytest.param(silicon("mp-571520"), (2, 2, 2), stillinger_weber, 0.001, id="rhombohedral"),
        pytest.param(bulk("ZnO", "wurtzite", a=3.25, c=5.2), (3, 3, 2), ionic, 0.003, id="ionic"),
        pytest.param(antiferromagnet(), (2, 2, 2), ionic, 0.001, id="antiferromagnet"),
        pytest.param(left_handed(DIAMOND), (4, 4, 4), stillinger_weber, 0.01, id="left-handed"),
        pytest.param(left_handed(MAGNESIA), (3, 3, 3), ionic, 0.001, id="left-handed ionic"),
        pytest.param(
            DIAMOND,
            ((-2, 2, 2), (2, -2, 2), (2, 2, -2)),
            stillinger_weber,
            0.01,
            id="conventional grid",
        ),
        pytest.param(
            DIAMOND, ((4, 1, 0), (0, 4, 0), (0, 0, 2)), stillinger_weber, 0.01, id="odd grid"
        ),
    ],
)
def test_several_supercells_give_the_phonons_of_one(atoms, grid, forces, distance) -> None:
    several, one = both_ways(atoms, grid, forces, distance)
    assert differences(several, one).max() < 1e-3


def test_silicon_as_measured_before() -> None:
    """64 wave vectors of silicon: 6e-4 THz at 50 random ones, of anharmonicity alone."""
    worst = {}
    for distance in (0.01, 0.02):
        several, one = both_ways(DIAMOND, (4, 4, 4), stillinger_weber, distance)
        worst[distance] = differences(several, one).max()
    assert worst[0.01] < 6e-4
    assert worst[0.02] / worst[0.01] == pytest.approx(4, rel=0.05)


def test_polar_crystal_with_the_correction() -> None:
    """Born charges 2, dielectric constant 3; Gonze and Lee's way, phonopy's default."""
    several, one = both_ways(MAGNESIA, (4, 4, 4), ionic, 0.001)
    charges = np.array([2 * np.eye(3), -2 * np.eye(3)])
    for phonon in (several, one):
        phonon.nac_params = {"born": charges, "dielectric": 3 * np.eye(3), "factor": 14.4}
    near = np.array([[1e-4, 0, 0], [0, 2e-4, 1e-4]])
    assert np.abs(frequencies_at(several, near) - frequencies_at(one, near)).max() < 1e-3
    assert differences(several, one).max() < 1e-3
    # the correction is there: transverse and longitudinal modes differ at Γ
    assert frequencies_at(several, near)[0, 5] - frequencies_at(several, near)[0, 4] > 1


def test_other_masses() -> None:
    """Two atoms of very different mass, other than those of the supercells."""
    settings = Supercells(
        grid=(3, 3, 3),
        way="non-diagonal",
        kinds=["displaced"],
        displaced=Displaced(distance_angstrom=0.001),
    )
    made = made_of(MAGNESIA, settings)
    masses = {"Mg": 5.0, "O": 80.0}
    several = with_masses(made.phonon, masses)
    with_forces_of_parts(several, made.parts, ionic(made.cells))
    one = make_phonopy(MAGNESIA, 3 * np.eye(3, dtype=int))
    with_forces(one, ionic(displaced_cells(one, settings.displaced)))
    assert differences(one, several).max() > 1
    assert differences(with_masses(one, masses), several).max() < 1e-3


def made_of(atoms: Atoms, settings: Supercells) -> Made:
    return make_supercells("a", atoms, settings, 0, 0, cost_of=lambda cell: len(cell) ** 2.5)


def labelled(made: Made) -> list[Atoms]:
    frames = [cell.copy() for cell in made.cells]
    for frame, forces in zip(frames, stillinger_weber(frames), strict=True):
        frame.arrays[FORCES] = forces
    return frames


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Atoms]]:
    """The file of the displaced cells of silicon, and their labels."""
    made = made_of(DIAMOND, Supercells(grid=(4, 4, 4)))
    path = tmp_path_factory.mktemp("reference") / "displacements.yaml"
    save_phonons(path, made.phonon, made.parts)
    return path, labelled(made)


def test_files_hold_the_supercells_and_phonopy_opens_them(reference, tmp_path) -> None:
    path, labels = reference
    phonon = load_displacements(path)
    parts = load_parts(path, phonon)
    assert len(parts) == 5 and phonon.dataset is None
    found = reference_phonons(phonon, labels[::-1], parts=parts)
    file = tmp_path / "silicon.yaml"
    save_phonons(file, found, parts)
    one = make_phonopy(DIAMOND, 4 * np.eye(3, dtype=int))
    with_forces(one, stillinger_weber(displaced_cells(one, Displaced())))
    for again in (load_phonons(file), phonopy.load(file, is_nac=False)):
        assert differences(again, found).max() < 1e-8
        assert differences(again, one).max() < 1e-3
    kept = load_parts(file, load_phonons(file))
    np.testing.assert_allclose(kept[2].forces, parts[2].forces, atol=1e-12)
    # a file of one supercell has none
    save_phonons(tmp_path / "one.yaml", one)
    assert load_parts(tmp_path / "one.yaml", one) == []


def test_labels_of_all_supercells_are_needed(reference) -> None:
    path, labels = reference
    displaced = [label for label in labels if label.info["kind"] == "displaced"]

    def phonons(frames: Sequence[Atoms]) -> Phonopy:
        phonon = load_displacements(path)
        return reference_phonons(phonon, frames, parts=load_parts(path, phonon))

    with pytest.raises(MissingLabels, match="11 labels for 12 displaced cells"):
        phonons(displaced[1:])
    exchanged = [label.copy() for label in displaced]
    exchanged[0].info["index"], exchanged[11].info["index"] = 11, 0
    with pytest.raises(PhonsmithError, match="does not belong to displaced cell 0"):
        phonons(exchanged)
    phonon = load_displacements(path)
    parts = load_parts(path, phonon)
    # without one supercell there are wave vectors that none is commensurate with
    fewer = [frame.arrays[FORCES] for frame in displaced]
    start = len(parts[0].supercells_with_displacements)
    with pytest.raises(PhonsmithError, match="commensurate with wave vector"):
        with_forces_of_parts(phonon, parts[1:], fewer[start:])


def test_a_damaged_section_is_reported(reference, tmp_path) -> None:
    text = reference[0].read_text().replace("supercell_matrix: [[", "supercell_matrix: [[x, ", 1)
    path = tmp_path / "damaged.yaml"
    path.write_text(text[: text.index("non_diagonal")] + "non_diagonal_supercells: [{a: 1}]\n")
    with pytest.raises(PhonsmithError, match="non_diagonal_supercells cannot be read"):
        load_parts(path, load_displacements(path))


def test_a_potential_and_other_volumes_use_the_same_supercells(reference) -> None:
    path, labels = reference
    phonon = load_displacements(path)
    parts = load_parts(path, phonon)
    found = reference_phonons(phonon, labels, parts=parts)
    fitted = fit_phonons(DIAMOND, found, Displaced(), SW, parts=parts)
    assert differences(fitted, found).max() < 1e-6
    larger = DIAMOND.copy()
    larger.set_cell(1.01 * larger.cell[:], scale_atoms=True)
    asked: list[Any] = []

    def forces(cells: list[Atoms]) -> list[NDArray[np.float64]]:
        asked.extend(map(len, cells))
        return stillinger_weber(cells)

    wide = phonons_like(found, larger, Displaced(), forces, parts)
    assert asked == [8] * 12
    one = make_phonopy(larger, 4 * np.eye(3, dtype=int))
    with_forces(one, stillinger_weber(displaced_cells(one, Displaced())))
    assert differences(wide, one).max() < 1e-3
    assert differences(wide, found).max() > 0.1
    assert displaced_cells_of(parts)[0].get_volume() < 1000
