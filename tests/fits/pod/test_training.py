"""Proper orthogonal descriptors: input of fitpod, and trainings in the environment of LAMMPS."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.neighborlist import neighbor_list
from pydantic import TypeAdapter, ValidationError

from phonsmith.datasets.sets import Baseline
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS
from phonsmith.fits import training as fits
from phonsmith.fits.pod.cost import count_descriptors, training_cost
from phonsmith.fits.pod.settings import PodFit
from phonsmith.fits.pod.training import _refuse_failed, complete, extended_xyz, grouped
from phonsmith.fits.registry import Fit
from phonsmith.labels.recorded.reading import read_recorded
from phonsmith.potentials.calculators import evaluate, make_calculator
from phonsmith.potentials.environments import environment
from phonsmith.potentials.loaded_files import check_model
from phonsmith.potentials.outside import OutsideCalculator
from phonsmith.potentials.serving import server
from phonsmith.potentials.settings import PotentialSource
from tests.environments import require_environment
from tests.fits.examples import NO_ENERGY, SW, without
from tests.fits.polymlp.test_training import ALONE, rock_salt

FIT = PodFit(kind="pod")
SMALL = PodFit(kind="pod", cutoff_angstrom=4.5, radial_functions=[8, 6, 4], angular_degrees=[4, 3])
MLEARN = Path(__file__).parents[4] / "shared/data/si-mlearn-vasp"


# --- without the environment --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("elements", "radial", "angular", "descriptors"),
    [
        (1, [10, 8, 6, 4, 3, 2], [4, 3, 3, 2, 2], 183),
        (1, [8, 6, 4], [4, 3], 66),
        (2, [8, 6, 4], [4, 3], 218),
        (2, [10, 8, 6, 4, 3, 2], [4, 3, 3, 2, 2], 984),
        (3, [10, 8, 6, 4, 3, 2], [4, 3, 3, 2, 2], 3667),
    ],
)
def test_the_number_of_descriptors_is_that_of_lammps(
    elements: int, radial: list[int], angular: list[int], descriptors: int
) -> None:
    """As the log of fitpod reports."""
    fit = PodFit(kind="pod", radial_functions=radial, angular_degrees=angular)
    assert count_descriptors(fit, elements) == descriptors


def test_costs_grow_with_descriptors_and_elements() -> None:
    silicon, oxide = (
        [bulk("Si", cubic=True) * (2, 2, 2)] * 20,
        [Atoms("MgO" * 32, cell=[8.5] * 3, pbc=True)] * 20,
    )
    costs = [training_cost(*one) for one in ((SMALL, silicon), (FIT, silicon), (FIT, oxide))]
    assert [one.core_seconds for one in costs] == sorted(one.core_seconds or 0 for one in costs)
    assert 5 < costs[0].core_seconds < 60 and costs[1].memory_mb < 500


def images(cell: Atoms, cutoff: float) -> list[list[int]]:
    """Repetitions that fitpod's neighbour list has, and those of the neighbours that there are."""
    lattice = np.linalg.cholesky(cell.cell.array @ cell.cell.array.T)
    counted = np.ceil(cutoff / np.diag(lattice)).astype(int)
    needed = np.abs(neighbor_list("S", cell, cutoff)).max(axis=0)
    return [list(counted), list(needed)]


@pytest.mark.parametrize("matrix", [np.eye(3), [[1, 0, 0], [2, 1, 0], [-3, 1, 1]]])
@pytest.mark.parametrize("cutoff", [3.0, 4.5, 5.0, 6.3])
def test_neighbours_in_oblique_cells_are_complete(matrix, cutoff: float) -> None:
    for crystal in (bulk("Si"), bulk("Si", "bcc", a=3.1), bulk("Ti")):
        cell = make_supercell(crystal, matrix, wrap=False)
        cell.positions += (3.1, -4.2, 7.7)
        cell.arrays[FORCES] = np.arange(3.0 * len(cell)).reshape(-1, 3)
        found, repeats = complete(cell, cutoff)
        assert len(found) == repeats * len(cell)
        counted, needed = images(found, cutoff)
        assert all(one >= other for one, other in zip(counted, needed, strict=True))
        near = [len(neighbor_list("i", one, cutoff)) / len(one) for one in (cell, found)]
        assert near[0] == near[1]
        assert np.allclose(found.arrays[FORCES], np.tile(cell.arrays[FORCES], (repeats, 1)))


def test_fitpod_would_miss_neighbours_without() -> None:
    cell = make_supercell(bulk("Si"), [[1, 0, 0], [2, 1, 0], [-3, 1, 1]])
    counted, needed = images(cell, 5.0)
    assert any(one < other for one, other in zip(counted, needed, strict=True))


def test_cells_are_grouped_by_weights() -> None:
    cells = [rock_salt(0), rock_salt(1)]
    cells[1].info["kind"] = "displaced"
    del cells[1].info[ENERGY]
    (one, two) = grouped(cells, PodFit(kind="pod", cutoff_angstrom=5.0), ALONE).items()
    assert one[0] == (100.0, 1.0) and two[0] == (0.0, 1000.0)
    relative = cells[0].info[ENERGY] - 4 * sum(ALONE.values())
    assert one[1][0].info[ENERGY] == pytest.approx(relative)
    number, head, *rows = extended_xyz(one[1][0]).splitlines()
    assert number == "8" and len(rows) == 8 and len(rows[0].split()) == 7
    assert f"energy={one[1][0].info[ENERGY]!r}" in head and len(head) < 1000


def test_what_cannot_be_learnt_is_refused() -> None:
    near = rock_salt(0)
    near.positions[1] = near.positions[0] + 0.5
    with pytest.raises(PhonsmithError, match=r"nacl .*0\.866 Å apart; lower inner_cutoff"):
        grouped([near], FIT, ALONE)
    slab = rock_salt(0)
    slab.pbc = (True, True, False)
    with pytest.raises(PhonsmithError, match="periodic in three directions"):
        grouped([slab], FIT, ALONE)
    with pytest.raises(PhonsmithError, match="needs cells with forces"):
        grouped(without([rock_salt(0)], FORCES), FIT, ALONE)


def test_equations_that_fitpod_could_not_solve_are_noticed() -> None:
    groups = grouped([rock_salt(seed) for seed in range(3)], FIT, ALONE)
    _refuse_failed(groups, [(0.01, 0.1)])
    with pytest.raises(PhonsmithError, match=r"cannot solve the equations.*raise regularisation"):
        _refuse_failed(groups, [(300.0, 1e4)])
    with pytest.raises(PhonsmithError, match="cannot solve the equations"):
        _refuse_failed(groups, [(np.nan, 0.1)])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"cutoff_angstrom": 0.9}, "larger than inner_cutoff_angstrom"),
        ({"radial_functions": [8, 4, 6]}, "four atoms must not have more than three"),
        ({"radial_functions": [0]}, "two atoms need at least one"),
        ({"angular_degrees": [3, 4]}, "not above that of three"),
        ({"angular_degrees": [13]}, "at most 12"),
        ({"weights": {"stress": 1.0}}, "fitpod learns energies and forces only"),
    ],
)
def test_what_the_settings_refuse(settings: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        TypeAdapter(Fit).validate_python({"kind": "pod", **settings})


def test_the_pins_are_those_of_phonsmith() -> None:
    lock = (Path(__file__).parents[3] / "requirements.lock").read_text().split()
    for package in ("scipy", "numpy", "ase"):
        (ours,) = [pin for pin in lock if pin.startswith(f"{package}==")]
        assert ours in environment("lammps").pins


# --- in the environment -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lammps(repository: Path):
    """A working directory with the environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(repository)
        require_environment("lammps", repository)
        yield


@pytest.fixture(scope="module")
def trained(lammps: None, tmp_path_factory: pytest.TempPathFactory) -> PotentialSource:
    """A potential of Lennard-Jones rock salt from 40 cells of eight atoms."""
    folder = tmp_path_factory.mktemp("pod")
    cells = [rock_salt(seed) for seed in range(40)]
    record = fits.train(SMALL, cells, Baseline(ALONE, "isolated_atoms"), folder, folder / "work", 1)
    assert record.counts.model_dump() == {"energies": 40, "forces": 960, "virials": 0}
    assert record.versions == {"lammps": "2025.7.22.4.0"}
    assert record.details == {"species": ["Na", "Cl"], "coefficients": 2 * 219}
    return PotentialSource(calculator="pod", model=str(folder / record.model))


@pytest.mark.slow
def test_it_learns_energies_and_forces_of_two_elements(trained: PotentialSource) -> None:
    cells = [rock_salt(seed) for seed in range(50, 55)]
    for atoms, one in zip(cells, evaluate(cells, trained), strict=True):
        assert one.energy == pytest.approx(atoms.info[ENERGY], abs=8 * 2e-3)
        assert np.abs(one.forces - atoms.arrays[FORCES]).mean() < 0.02
        assert one.stress == pytest.approx(atoms.info[STRESS], abs=2e-3)


@pytest.mark.slow
def test_atoms_with_few_or_no_neighbours(trained: PotentialSource) -> None:
    """LAMMPS by itself ends with a violation of memory (its issue 5114)."""
    pair = Atoms("NaCl", positions=[[0, 0, 0], [2.7, 0, 0]], cell=[20] * 3, pbc=True)
    alone = [Atoms(element, cell=[15] * 3, pbc=True) for element in ALONE]
    apart = pair + Atoms("Na", positions=[[10, 10, 10]])
    *atoms, one, other = evaluate([*alone, pair, apart], trained)
    assert [each.energy for each in atoms] == pytest.approx(list(ALONE.values()))
    assert other.energy == pytest.approx(one.energy + ALONE["Na"])
    assert other.forces[:2] == pytest.approx(one.forces) and not other.forces[2].any()


@pytest.mark.slow
def test_forces_and_stress_are_derivatives_of_the_energy(trained: PotentialSource) -> None:
    atoms = rock_salt(3)
    atoms.set_cell(atoms.cell.array + np.array([[0, 0, 0], [4.1, 0, 0], [-3.2, 5.0, 0]]))
    atoms.rotate(37, (1, 2, 3), rotate_cell=True)
    atoms.positions[0] -= atoms.cell[1]
    atoms.calc = make_calculator(trained)
    numeric = calculate_numerical_forces(atoms, eps=1e-4, iatoms=[0, 5])
    assert atoms.get_forces()[[0, 5]] == pytest.approx(numeric, abs=1e-5)
    stress = calculate_numerical_stress(atoms, eps=1e-5)
    assert atoms.get_stress() == pytest.approx(stress, abs=1e-7)


@pytest.mark.slow
def test_cells_of_any_size_and_shape_agree(trained: PotentialSource) -> None:
    """Primitive cells are smaller than the cutoff; the calculator keeps LAMMPS between cells."""
    small = bulk("NaCl", "rocksalt", a=5.5)
    small.rattle(0.1, seed=1)
    oblique = make_supercell(small, [[1, 0, 0], [2, 1, 0], [-3, 1, 1]], wrap=False)
    large = small * (3, 3, 3)
    left = small.copy()
    left.set_cell(small.cell.array[[1, 0, 2]])
    cells = [small, large, oblique, left, small]
    found = evaluate(cells, trained)
    for cell, one in zip(cells, found, strict=True):
        times = len(cell) // 2
        assert one.energy == pytest.approx(times * found[0].energy, abs=1e-9 * times)
        assert one.forces == pytest.approx(np.tile(found[0].forces, (times, 1)), abs=1e-9)
        assert one.stress == pytest.approx(found[0].stress, abs=1e-10)


@pytest.mark.slow
def test_elements_and_cells_that_it_cannot_compute_are_refused(trained: PotentialSource) -> None:
    with pytest.raises(PhonsmithError, match="does not support K"):
        evaluate([Atoms("K", cell=[9] * 3, pbc=True)], trained)
    with pytest.raises(PhonsmithError, match="needs a periodic cell"):
        evaluate([Atoms("Na", cell=[9] * 3)], trained)


@pytest.mark.slow
def test_damaged_models_are_refused_before_they_are_loaded(
    trained: PotentialSource, tmp_path: Path
) -> None:
    model, parameters = tmp_path / "a_coefficients.pod", tmp_path / "a_param.pod"
    text = Path(str(trained.model)).read_text()
    source = PotentialSource(calculator="pod", model=str(model))
    model.write_text(text)
    with pytest.raises(PhonsmithError, match=r"a_param\.pod: no such file.*copy both files"):
        check_model(source)
    beside = Path(str(trained.model)).with_name("pod_param.pod").read_text()
    parameters.write_text(beside.replace("rcut 4.5", "rcut 5.0"))
    with pytest.raises(PhonsmithError, match="copy both files of one fit"):
        check_model(source)
    parameters.write_text(beside)
    check_model(source)
    model.write_text("\n".join(text.splitlines()[:-3]))
    with pytest.raises(PhonsmithError, match="not a complete file of coefficients"):
        check_model(source)


@pytest.mark.slow
def test_forces_alone_suffice(lammps: None, silicon, displaced, tmp_path: Path) -> None:
    cells = [*without(silicon, ENERGY, STRESS), displaced]
    record = fits.train(SMALL, cells, NO_ENERGY, tmp_path, tmp_path / "work", 1)
    assert record.counts.model_dump() == {"energies": 0, "forces": 16 * 24 + 192, "virials": 0}
    source = PotentialSource(calculator="pod", model=str(tmp_path / record.model))
    (found,) = evaluate([displaced], source)
    assert np.abs(found.forces - displaced.arrays[FORCES]).max() < 3e-3
    assert np.abs(displaced.arrays[FORCES]).max() > 0.1


@pytest.mark.slow
def test_a_failure_of_fitpod_is_one_line(lammps: None, silicon, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("phonsmith.fits.pod.training._parameters", lambda *_: "species\nrin\n")
        with pytest.raises(PhonsmithError, match=r"fitpod failed .*ERROR.*Improper POD") as caught:
            fits.train(SMALL, silicon, NO_ENERGY, tmp_path, tmp_path / "work", 1)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.skipif(not MLEARN.is_dir(), reason="the silicon data of mlearn are not here")
def test_errors_on_mlearn_are_those_of_the_authors(lammps: None, tmp_path: Path) -> None:
    """FastPOD/Si in https://github.com/cesmix-mit/pod-examples: the same cells and descriptors.

    There, RMSE on the test cells are 5.428 meV/atom and 0.127409 eV/Å.
    """
    learning, testing = (
        read_recorded(MLEARN / f"{name}.json", "mlearn", "mlearn").frames
        for name in ("training", "test")
    )
    atom = Baseline({"Si": -0.8}, "isolated_atoms")
    record = fits.train(FIT, learning, atom, tmp_path, tmp_path / "work", 1)
    found = evaluate(testing, PotentialSource(calculator="pod", model=str(tmp_path / record.model)))
    energies, forces = zip(
        *(
            ((one.energy - cell.info[ENERGY]) / len(cell), one.forces - cell.arrays[FORCES])
            for one, cell in zip(found, testing, strict=True)
        ),
        strict=True,
    )
    assert np.sqrt(np.mean(np.square(energies))) == pytest.approx(5.428e-3, rel=2e-3)
    assert np.sqrt(np.mean(np.concatenate(forces) ** 2)) == pytest.approx(0.127409, rel=1e-3)


# --- other pair styles --------------------------------------------------------------------------

SW_FILE = """Si Si Si 2.1683 2.0951 1.80 21.0 1.20 -0.333333333333
         7.049556277 0.6022245584 4.0 0.0 0.0
"""
"""Si.sw of LAMMPS."""


@pytest.mark.slow
def test_stillinger_weber_of_lammps_and_matscipy_agree(lammps: None, tmp_path: Path) -> None:
    (tmp_path / "Si.sw").write_text(SW_FILE)
    calculator = OutsideCalculator(
        "lammps",
        "lammps_calculator:Lammps",
        {
            "elements": ["Si"],
            "commands": ["pair_style sw", f'pair_coeff * * "{tmp_path / "Si.sw"}" Si'],
        },
        folder=Path(server.__file__).parent,
    )
    for size in (1, 2):
        atoms = bulk("Si", a=5.4) * (size, size, size)
        atoms.rattle(0.2, seed=size)
        atoms.rotate(20, (1, 1, 3), rotate_cell=True)
        (ours,) = evaluate([atoms], SW)
        atoms.calc = calculator
        assert atoms.get_potential_energy() == pytest.approx(ours.energy, abs=1e-5 * len(atoms))
        assert atoms.get_forces() == pytest.approx(ours.forces, abs=2e-4)
        assert atoms.get_stress(voigt=False) == pytest.approx(ours.stress, abs=1e-5)
