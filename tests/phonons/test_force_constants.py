"""Force constants against forces worked out by hand, other programs, and masses."""

from pathlib import Path
from typing import Any

import numpy as np
import phonopy
import pytest
from ase.build import bulk
from phonopy import Phonopy

from phonsmith.conductivity.third_order import new_phono3py
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import read_frames, write_frames
from phonsmith.labels.recorded.reading import read_recorded
from phonsmith.phonons.files import load_displacements, save_phonons
from phonsmith.phonons.force_constants import (
    fit_phonons,
    phonons_in_cell,
    potential_phonons,
    reference_phonons,
    with_masses,
)
from phonsmith.potentials.calculators import evaluate_one, make_calculator
from phonsmith.potentials.settings import PotentialSource
from phonsmith.structures.settings import Relaxation
from phonsmith.structures.sites import plain
from phonsmith.structures.symmetry import symmetrized
from phonsmith.supercells.cells import displaced_cells, make_phonopy, to_ase
from phonsmith.supercells.settings import Displaced
from tests.phonons.published import SEED, SW, castep, frequencies_at, labelled


def test_labels_give_the_phonons_of_the_file(shared_data, diamond):
    fresh = castep(shared_data, 25)
    frames = labelled(fresh, fresh.forces)
    wanted = phonopy.load(shared_data / "si-castep" / "25_phonopy.yaml", is_nac=False)
    rattled = frames[0].copy()
    rattled.info["kind"] = "rattled"
    found = reference_phonons(fresh, [rattled, *frames[::-1]])
    q = np.random.default_rng(SEED).uniform(size=(5, 3))
    np.testing.assert_allclose(frequencies_at(found, q), frequencies_at(wanted, q), atol=1e-8)


def test_labels_are_checked(shared_data):
    phonon = castep(shared_data, 25)
    frames = labelled(phonon, phonon.forces)
    with pytest.raises(PhonsmithError, match="1 labels for 2 displaced cells"):
        reference_phonons(phonon, frames[:1])
    with pytest.raises(PhonsmithError, match="0 labels"):
        reference_phonons(phonon, [])
    exchanged = [frame.copy() for frame in frames]
    exchanged[0].info["index"], exchanged[1].info["index"] = 1, 0
    with pytest.raises(PhonsmithError, match="does not belong to displaced cell 0"):
        reference_phonons(phonon, exchanged)
    broken = [frame.copy() for frame in frames]
    broken[1].arrays["REF_forces"][3, 1] = np.nan
    with pytest.raises(PhonsmithError, match="not a number"):
        reference_phonons(phonon, broken)
    # whole lattice vectors do not matter
    frames[0].positions[5] += frames[0].cell[1]
    reference_phonons(phonon, frames)
    with pytest.raises(PhonsmithError, match="no such BORN file"):
        reference_phonons(phonon, frames, born="nowhere/BORN")


def test_potential_phonons_equal_forces_by_hand(silicon):
    from matscipy.calculators.manybody import Manybody
    from matscipy.calculators.manybody.explicit_forms import StillingerWeber
    from matscipy.calculators.manybody.explicit_forms.stillinger_weber import (
        Stillinger_Weber_PRB_31_5262_Si as PARAMETERS,
    )

    by_hand = make_phonopy(bulk("Si", "diamond", 5.43095), 2 * np.eye(3, dtype=int))
    forces = []
    for cell in displaced_cells(by_hand, Displaced()):
        cell.calc = Manybody(**StillingerWeber(PARAMETERS))
        forces.append(cell.get_forces())
    by_hand.forces = forces
    by_hand.produce_force_constants()
    by_hand.symmetrize_force_constants()
    q = np.random.default_rng(SEED).uniform(size=(5, 3))
    np.testing.assert_allclose(frequencies_at(silicon, q), frequencies_at(by_hand, q), atol=1e-6)
    np.testing.assert_allclose(frequencies_at(silicon, [0, 0, 0])[0, :3], 0, atol=1e-3)


def test_parallel_equals_serial(shared_data):
    atoms = to_ase(castep(shared_data, 25).primitive)
    matrix = 2 * np.eye(3, dtype=int)
    serial = potential_phonons(atoms, matrix, Displaced(), SW)
    parallel = potential_phonons(atoms, matrix, Displaced(), SW, processes=2)
    np.testing.assert_array_equal(serial.force_constants, parallel.force_constants)


def test_fit_takes_the_conditions_of_the_reference(shared_data):
    """Supercell of no symmetry, primitive cell, masses: as in the reference; cell: of the fit."""
    atoms = bulk("Si", "diamond", 5.43095, cubic=True)
    matrix = np.array([[2, 1, 0], [0, 2, 0], [0, 0, 1]])
    reference = potential_phonons(atoms, matrix, Displaced(), SW)
    np.testing.assert_allclose(reference.supercell.cell, matrix @ atoms.cell.array)
    reference.masses = 4 * reference.masses
    larger = atoms.copy()
    larger.set_cell(1.01 * atoms.cell.array, scale_atoms=True)
    fit = fit_phonons(larger, reference, Displaced(), SW)
    np.testing.assert_allclose(fit.supercell.cell, 1.01 * reference.supercell.cell)
    np.testing.assert_allclose(fit.primitive.cell, 1.01 * reference.primitive.cell)
    np.testing.assert_allclose(fit.masses, reference.masses)
    same = fit_phonons(atoms, reference, Displaced(), SW)
    q = np.random.default_rng(SEED).uniform(size=(5, 3))
    np.testing.assert_allclose(frequencies_at(same, q), frequencies_at(reference, q), atol=1e-9)
    other = atoms.copy()
    other.symbols[0] = "C"
    with pytest.raises(PhonsmithError, match="atoms of the relaxed crystal differ"):
        fit_phonons(other, reference, Displaced(), SW)
    shifted = atoms.copy()
    shifted.positions[0] += 0.1
    with pytest.raises(PhonsmithError, match="symmetrise"):
        fit_phonons(shifted, reference, Displaced(), SW)


def test_fit_has_the_correction_of_the_reference(shared_data):
    phonon = castep(shared_data, 6)  # sites of four kinds, so that charges are allowed
    atoms, matrix = to_ase(phonon.primitive), np.diag([2, 2, 1])
    reference = potential_phonons(atoms, matrix, Displaced(), SW, primitive_matrix=np.eye(3))
    near = [1e-3, 2e-3, 3e-3]
    without = frequencies_at(reference, near).copy()
    charges = phonon.primitive_symmetry.get_map_atoms().astype(float)
    charges -= charges.mean()
    reference.nac_params = {
        "born": charges[:, None, None] * np.eye(3),
        "dielectric": 10 * np.eye(3),
        "factor": 14.4,
    }
    fit = fit_phonons(atoms, reference, Displaced(), SW)
    wanted = frequencies_at(reference, near)
    assert np.abs(wanted - without).max() > 0.1
    np.testing.assert_allclose(frequencies_at(fit, near), wanted, atol=1e-6)


def test_size_of_the_displacement_matters_for_chgnet_but_not_through_rounding():
    """CHGNet's forces are float32, which phonons do not feel: both signs and two supercells give
    one force constant to a few per mille at every distance. But its energy surface has a narrow
    well: the force constant falls from 12 eV/Å² at 1 mÅ to 8 at 50 mÅ, and is settled from 30 mÅ
    on. Hence the displacements of 0.03 Å in the campaigns that use it.
    """
    calculator = make_calculator(PotentialSource(calculator="chgnet"))

    def stiffness(repeats, distance):
        crystal = bulk("Si", "diamond", a=5.461).repeat(repeats)
        crystal.positions[0, 0] += distance
        return -evaluate_one(crystal, calculator).forces[0, 0] / distance

    for distance in (0.005, 0.01, 0.03):
        one = stiffness(2, distance)
        assert stiffness(2, -distance) == pytest.approx(one, rel=2e-3)
        assert stiffness(3, distance) == pytest.approx(one, rel=5e-3)
    assert stiffness(2, 0.05) == pytest.approx(stiffness(2, 0.03), rel=0.06)
    assert stiffness(2, 0.001) > 1.3 * stiffness(2, 0.03)


def test_a_potential_that_cannot_do_the_crystal_is_a_finding(silicon):
    """ASE's EMT knows no silicon: a reason in both cells, not a failed job."""
    source = PotentialSource(calculator="ase.calculators.emt:EMT")
    for cell in ("relaxed", "reference"):
        found, verdict = phonons_in_cell(cell, silicon, source, Displaced(), Relaxation())
        assert "EMT" in verdict.reason
        assert found.dataset is None


def test_a_missing_model_is_a_failed_job(silicon, tmp_path):
    source = PotentialSource(calculator="gap", model=str(tmp_path / "none.xml"))
    for cell in ("relaxed", "reference"):
        with pytest.raises(PhonsmithError, match="no such model file"):
            phonons_in_cell(cell, silicon, source, Displaced(), Relaxation())


def test_random_displacements_give_force_constants_through_symfc(shared_data):
    """100 random NaCl cells of phono3py's example: top mode near 7.8 THz with its NAC (LO)."""
    path = shared_data / "nacl-pbesol-random/phono3py_params_NaCl.yaml.xz"
    recorded = read_recorded(path, "phono3py", "NaCl")
    found = reference_phonons(recorded.phonon, recorded.frames)
    found.run_qpoints([[0, 0, 0]], nac_q_direction=[1, 0, 0])
    transverse, longitudinal = np.sort(found.qpoints.frequencies[0])[[3, 5]]
    assert 4.5 < transverse < 5.3  # experiment 4.9 THz
    assert 7.2 < longitudinal < 8.1  # experiment 7.9 THz


def gamma(phonon: Phonopy) -> np.ndarray:
    return phonon.run_qpoints([[0, 0, 0], [0.5, 0, 0]]).frequencies


@pytest.mark.parametrize("masses", [{"Si": 4 * 28.0855}, [4 * 28.0855, 4 * 28.0855]])
def test_frequencies_go_with_one_over_the_root_of_the_mass(masses: Any) -> None:
    atoms = bulk("Si")
    source = PotentialSource(calculator="stillinger-weber")
    matrix, displaced = 2 * np.eye(3, dtype=int), Displaced()
    phonon = potential_phonons(atoms, matrix, displaced, source)
    before = gamma(phonon)
    assert gamma(with_masses(phonon, masses)) == pytest.approx(before / 2, abs=1e-3)
    heavy = atoms.copy()
    heavy.set_masses([4 * 28.0855] * 2)
    phonon = potential_phonons(heavy, matrix, displaced, source)
    assert gamma(phonon) == pytest.approx(before / 2, abs=1e-3)


def test_masses_survive_every_step_to_fits_and_third_order(tmp_path: Path) -> None:
    """Deuterium of a file: relaxed, displaced, saved, loaded, and under a fit's forces."""
    crystal = bulk("LiH", "rocksalt", a=4.06)
    crystal.set_masses([None, 2.014])
    write_frames(tmp_path / "a.extxyz", [crystal])
    (crystal,) = read_frames(tmp_path / "a.extxyz")
    crystal = symmetrized(plain(crystal), 1e-2)
    phonon = make_phonopy(crystal, 2 * np.eye(3, dtype=int))
    displaced_cells(phonon, Displaced())
    save_phonons(tmp_path / "a.yaml", phonon)
    loaded = load_displacements(tmp_path / "a.yaml")
    assert loaded.masses == pytest.approx([6.94, 2.014], abs=1e-3)
    assert new_phono3py(loaded, loaded.supercell_matrix).masses == pytest.approx(loaded.masses)
    for cell in loaded.supercells_with_displacements:
        assert not to_ase(cell).has("masses")  # no label depends on them


def test_a_conventional_cell_takes_masses_of_elements_and_atoms() -> None:
    crystal = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    phonon = make_phonopy(crystal, np.eye(3, dtype=int))
    assert with_masses(phonon, {"Na": 22.0}).masses == pytest.approx([22, 35.45], abs=0.01)
    of_each = [22.0 if one == "Na" else 37.0 for one in crystal.symbols]
    assert with_masses(phonon, of_each).masses == pytest.approx([22, 37])
    assert phonon.unitcell.masses == pytest.approx(of_each)
    of_each[0] = 23.0
    for masses, words in (
        (of_each, "equivalent by symmetry"),
        ([22.0], "1 masses for 8 atoms"),
        ({"K": 39.0}, "masses of K, which Cl4Na4 does not contain"),
    ):
        with pytest.raises(PhonsmithError, match=words):
            with_masses(phonon, masses)
