"""Moment tensor potentials: files of MLIP, and what is computed from them."""

import re

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from motep.calculator import MTP
from motep.io.mlip.mtp import read_mtp

from phonsmith.files.errors import PhonsmithError
from phonsmith.potentials.calculators import evaluate, known_elements, make_calculator
from phonsmith.potentials.mtp import SKIN_ANGSTROM, calculator_of, read, write
from phonsmith.potentials.settings import PotentialSource

LEVELS = [12, 14, 16, 18, 20, 24]


@pytest.fixture(scope="module")
def folder(shared_data):
    return shared_data / "mtp-levels"


def potential(folder, level=12, elements=("Si",)):
    model = str(folder / f"{level}.mtp")
    return PotentialSource(calculator="mtp", model=model, elements=list(elements))


@pytest.fixture
def silicon():
    atoms = bulk("Si", a=5.5, cubic=True) * (2, 2, 1)
    strain = np.array([[0.01, 0.02, 0.0], [0.02, -0.01, 0.01], [0.0, 0.01, 0.02]])
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    atoms.rattle(0.1, seed=1)
    return atoms


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_files_of_mlip_are_read_and_written_without_a_change(folder, level, tmp_path, silicon):
    """Energies, forces and stresses before and after are those of motep's other engine."""
    data = read(folder / f"{level}.mtp")
    write(tmp_path / "again.mtp", data, ["Si"])
    again = PotentialSource(calculator="mtp", model=str(tmp_path / "again.mtp"))
    first, second = (evaluate([silicon], source)[0] for source in (potential(folder, level), again))
    assert first.energy == second.energy
    assert (first.forces == second.forces).all()
    plain = read_mtp(folder / f"{level}.mtp")
    plain.species = [14]
    if level <= 18:  # it takes minutes at higher ones
        silicon.calc = MTP(plain, engine="numpy")
        scale = np.abs(silicon.get_forces()).max()
        assert first.energy == pytest.approx(silicon.get_potential_energy(), rel=1e-10)
        assert first.forces == pytest.approx(silicon.get_forces(), abs=1e-9 * scale)
        stress = silicon.get_stress(voigt=False)
        assert first.stress == pytest.approx(stress, abs=1e-9 * np.abs(stress).max())
    lines = [(folder / f"{level}.mtp"), tmp_path / "again.mtp"]
    keys = [re.findall(r"^\s*(\w+)(?: =|$)", path.read_text(), re.MULTILINE) for path in lines]
    assert keys[0] == keys[1]


def test_a_file_names_its_elements_or_the_settings_do(folder, tmp_path, silicon):
    unnamed = potential(folder).model_copy(update={"elements": None})
    with pytest.raises(PhonsmithError, match="does not name its elements; set `elements`"):
        make_calculator(unnamed)
    assert known_elements(potential(folder)) == {"Si"}
    write(tmp_path / "one.mtp", read(folder / "12.mtp"), ["Ge"])
    named = PotentialSource(calculator="mtp", model=str(tmp_path / "one.mtp"))
    assert known_elements(named) == {"Ge"}
    germanium = Atoms("Ge16", silicon.positions[:16], cell=silicon.cell, pbc=True)
    other = Atoms("Si16", silicon.positions[:16], cell=silicon.cell, pbc=True)
    found = evaluate([germanium], named)[0].energy
    assert found == evaluate([other], potential(folder))[0].energy
    contrary = named.model_copy(update={"elements": ["Si"]})
    with pytest.raises(PhonsmithError, match=r"names its species Ge, but `elements` .* is Si"):
        make_calculator(contrary)
    with pytest.raises(PhonsmithError, match="has 1 species, but elements are Si, Ge"):
        make_calculator(potential(folder, elements=("Si", "Ge")))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: len(text) // 2], "cut off or damaged"),
        (lambda text: text[: text.rindex("moment_coeffs")], "no moment_coeffs"),
        (lambda text: re.sub(r"\{0, 0, 1, 46\}", "{0, 0, 1, 4600}", text), "alpha_index_times"),
        (lambda text: text.replace("= {{0, 0, 0, 0}", "= {{7, 0, 0, 0}"), "alpha_index_basic"),
        (lambda text: text.replace("species_coeffs = {-8", "species_coeffs = {nan, -8"), "damaged"),
        (lambda text: text.replace("scaling = 4", "scaling = -4"), "scaling"),
        (lambda text: text.replace("RBChebyshev", "RBShapeev"), "RBShapeev is not supported"),
        (lambda text: text.replace("MTP\n", "<xml>\n", 1), "not a moment tensor potential"),
        (lambda text: "", "not a moment tensor potential"),
        (lambda text: text.replace("radial_basis_type", "magnetic_basis_type = A\nx"), "magnetic"),
    ],
)
def test_a_damaged_file_is_one_line(folder, tmp_path, change, message):
    path = tmp_path / "potential.mtp"
    path.write_text(change((folder / "12.mtp").read_text()))
    source = PotentialSource(calculator="mtp", model=str(path), elements=["Si"])
    with pytest.raises(PhonsmithError, match=message) as caught:
        make_calculator(source)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


# --- physics --------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [12, 20])
def test_forces_and_stress_are_derivatives_of_the_energy(folder, silicon, level):
    source, step = potential(folder, level), 1e-5
    found = evaluate([silicon], source)[0]
    moved = []
    for sign in (1, -1):
        cell = silicon.copy()
        cell.positions[3, 1] += sign * step
        moved.append(cell)
    above, below = (result.energy for result in evaluate(moved, source))
    scale = np.abs(found.forces).max()
    assert found.forces[3, 1] == pytest.approx((below - above) / (2 * step), abs=1e-6 * scale)
    for i, j in ((0, 0), (1, 2)):
        strained = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[i, j] += sign * step / 2
            strain[j, i] += sign * step / 2
            cell = silicon.copy()
            cell.set_cell(silicon.cell.array @ strain, scale_atoms=True)
            strained.append(cell)
        above, below = (result.energy for result in evaluate(strained, source))
        slope = (above - below) / (2 * step) / silicon.get_volume()
        assert found.stress[i, j] == pytest.approx(slope, abs=1e-6 * np.abs(found.stress).max())


def test_energy_is_invariant_and_forces_turn_with_the_cell(folder, silicon):
    source = potential(folder, 16)
    found = evaluate([silicon], source)[0]
    order = np.random.default_rng(1).permutation(len(silicon))
    turn = np.linalg.qr(np.random.default_rng(2).standard_normal((3, 3)))[0]
    other = silicon[order]
    other.set_cell(silicon.cell.array @ turn)
    other.positions = silicon.positions[order] @ turn
    second = evaluate([other], source)[0]
    scale = np.abs(found.forces).max()
    assert second.energy == pytest.approx(found.energy)
    assert second.forces == pytest.approx(found.forces[order] @ turn, abs=1e-9 * scale)
    assert second.stress == pytest.approx(turn.T @ found.stress @ turn, abs=1e-9)
    doubled = evaluate([make_supercell(silicon, np.diag([1, 1, 2]))], source)[0]
    assert doubled.energy == pytest.approx(2 * found.energy)


def test_lists_of_neighbours_follow_the_atoms(folder, silicon):
    """One calculator for other numbers of atoms, other cells and large and small displacements."""
    data = read(folder / "12.mtp")
    data.species = [14]
    calculator = calculator_of(data)
    small = bulk("Si", a=5.5)
    moved, far = silicon.copy(), silicon.copy()
    moved.rattle(SKIN_ANGSTROM / 8, seed=3)
    far.rattle(1.0, seed=4)
    strained = silicon.copy()
    strained.set_cell(silicon.cell * 0.9, scale_atoms=True)
    for cell in (silicon, small, silicon, moved, far, moved, strained):
        atoms = cell.copy()
        atoms.calc = calculator
        alone = cell.copy()
        alone.calc = calculator_of(data)
        assert atoms.get_potential_energy() == pytest.approx(alone.get_potential_energy())
        assert atoms.get_forces() == pytest.approx(alone.get_forces())


def test_atoms_without_neighbours_or_cell(folder):
    source = potential(folder)
    alone = float(read(folder / "12.mtp").species_coeffs[0])
    atom = Atoms("Si", cell=[20] * 3, pbc=True)
    pair = Atoms("Si2", positions=[[0, 0, 0], [2.4, 0, 0]])
    boxed = Atoms("Si2", positions=[[0, 0, 0], [2.4, 0, 0]], cell=[20] * 3, pbc=True)
    free = evaluate([atom, Atoms("Si"), pair, boxed], source)
    assert free[0].energy == free[1].energy == alone
    assert free[2].energy == pytest.approx(free[3].energy)
    assert free[2].forces == pytest.approx(free[3].forces)
    assert free[2].stress is None and free[3].stress is not None


def test_elements_without_parameters_are_refused(folder):
    with pytest.raises(PhonsmithError, match="Ge"):
        evaluate([bulk("Ge")], potential(folder))
