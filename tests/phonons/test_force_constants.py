"""Phonons against published data, other programs, symmetry, and forces worked out by hand."""

import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import phonopy
import pytest
import yaml
from ase import Atoms
from ase.build import bulk
from phonopy import Phonopy
from phonopy.file_IO import parse_disp_yaml, parse_FORCE_SETS
from phonopy.interface.vasp import read_vasp

from phonsmith.conductivity.third_order import new_phono3py
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import read_frames, write_frames
from phonsmith.labels.recorded.reading import read_recorded
from phonsmith.phonons.band_paths import BandPath, _mesh, band_path
from phonsmith.phonons.files import load_displacements, load_phonons, save_phonons
from phonsmith.phonons.force_constants import (
    fit_phonons,
    phonons_in_cell,
    potential_phonons,
    reference_phonons,
    with_masses,
)
from phonsmith.phonons.settings import Phonons
from phonsmith.phonons.spectra import DOS_PITCH_THZ, DOS_SMEARING_THZ, Spectrum, spectrum
from phonsmith.potentials.calculators import evaluate_one, make_calculator
from phonsmith.potentials.settings import PotentialSource
from phonsmith.structures.settings import Relaxation
from phonsmith.structures.sites import plain
from phonsmith.structures.symmetry import symmetrized
from phonsmith.supercells.cells import displaced_cells, make_phonopy, to_ase
from phonsmith.supercells.settings import Displaced

PATHS = ["seekpath", "setyawan-curtarolo"]
SW = PotentialSource(calculator="stillinger-weber")
SEED = 7


def castep(shared_data: Path, number: int) -> Phonopy:
    return load_phonons(shared_data / "si-castep" / f"{number}_phonopy.yaml")


def phonondb(shared_data: Path, material: int) -> tuple[Phonopy, Path]:
    """Phonons of one folder of phonondb, without its BORN file, and the path of that file."""
    folder = next(shared_data.glob(f"phonondb-pbesol/{material}-*/mp-*"))
    words = (folder / "phonopy.conf").read_text().replace("DIM", "").split("PRIMITIVE_AXIS")
    matrix = [int(word) for word in words[0].split() if word != "="]
    primitive = [
        _fraction(word) for word in (*words[1:], "1 0 0 0 1 0 0 0 1")[0].split() if word != "="
    ]
    phonon = Phonopy(
        read_vasp(folder / "POSCAR-unitcell"),
        supercell_matrix=np.reshape(matrix, (3, 3)),
        primitive_matrix=np.reshape(primitive, (3, 3)),
    )
    phonon.dataset = parse_disp_yaml(folder / "disp.yaml")
    forces = [
        one["forces"] for one in parse_FORCE_SETS(filename=folder / "FORCE_SETS")["first_atoms"]
    ]
    frames = labelled(phonon, forces)
    return reference_phonons(phonon, frames), folder / "BORN"


def _fraction(word: str) -> float:
    above, _, below = word.partition("/")
    return float(above) / float(below or 1)


def labelled(phonon: Phonopy, forces) -> list[Atoms]:
    frames = []
    for index, (cell, force) in enumerate(
        zip(phonon.supercells_with_displacements, forces, strict=True)
    ):
        frame = to_ase(cell)
        frame.arrays["REF_forces"] = np.array(force)
        frame.info.update(kind="displaced", index=index, structure="one")
        frames.append(frame)
    return frames


def frequencies_at(phonon: Phonopy, q) -> np.ndarray:
    return phonon.run_qpoints(np.reshape(q, (-1, 3))).frequencies


@pytest.fixture(scope="module")
def diamond(shared_data: Path) -> Phonopy:
    return castep(shared_data, 22)


@pytest.fixture(scope="module")
def silicon() -> Phonopy:
    """Diamond silicon with Stillinger–Weber, at its minimum."""
    return potential_phonons(
        bulk("Si", "diamond", 5.43095), 2 * np.eye(3, dtype=int), Displaced(), SW
    )


# --- published numbers -------------------------------------------------------------------------


@pytest.mark.parametrize("convention", PATHS)
def test_diamond_silicon_of_castep(diamond, convention):
    path = band_path(to_ase(diamond.primitive), Phonons(band_path=convention))
    found = spectrum(diamond, path)
    points = found.special_points()
    gamma = found.frequencies_thz[points["Γ"]]
    np.testing.assert_allclose(gamma[3:], 15.11, atol=0.005)
    at_x = found.frequencies_thz[points["X"]]
    np.testing.assert_allclose(at_x, [4.42, 4.42, 12.02, 12.02, 13.35, 13.35], atol=0.005)
    assert found.frequencies_thz.max() == pytest.approx(15.11, abs=0.005)
    # acoustic sum rule
    np.testing.assert_allclose(gamma[:3], 0, atol=1e-3)


def test_silicon_of_phonondb(shared_data):
    phonon, _ = phonondb(shared_data, 149)
    found = spectrum(phonon, band_path(to_ase(phonon.primitive), Phonons()))
    assert found.mesh_frequencies_thz.max() == pytest.approx(15.29, abs=0.005)


def test_gallium_oxide_needs_the_non_analytical_correction(shared_data):
    phonon, born = phonondb(shared_data, 886)
    path = band_path(to_ase(phonon.primitive), Phonons(points_per_segment=21))
    without = spectrum(phonon, path)
    frames = labelled(phonon, phonon.forces)
    found = spectrum(reference_phonons(phonon, frames, born), path)
    assert found.frequencies_thz.max() == pytest.approx(23.10, abs=0.005)
    # longitudinal modes move; at Γ they depend on the direction from which a segment comes, and
    # join the rest of their segment without a step
    ends = []
    for one in found.segments():
        near = (0, 1) if one.start == "Γ" else (-1, -2)
        if "Γ" in (one.start, one.end):
            ends.append(one.frequencies_thz[near[0]])
            step = np.abs(one.frequencies_thz[near[0]] - one.frequencies_thz[near[1]])
            assert step[3:].max() < 0.5
    assert max(np.abs(ends[0] - other).max() for other in ends) > 0.5
    index = found.special_points()["Γ"]
    moved = np.abs(found.frequencies_thz[index] - without.frequencies_thz[index])
    assert moved[3:].max() > 0.5
    assert moved[:3].max() < 1e-3


def test_antimony_selenide_of_phonondb(shared_data):
    phonon, born = phonondb(shared_data, 2160)
    phonon = reference_phonons(phonon, labelled(phonon, phonon.forces), born)
    found = spectrum(phonon, band_path(to_ase(phonon.primitive), Phonons(points_per_segment=11)))
    assert found.mesh_frequencies_thz.max() == pytest.approx(6.46, abs=0.02)


# --- the path ----------------------------------------------------------------------------------


def other_setting(atoms: Atoms) -> tuple[Atoms, np.ndarray]:
    """The same crystal in other primitive vectors, turned, shifted, atoms in another order."""
    random = np.random.default_rng(SEED)
    combine = np.array([[0, 1, 0], [1, 1, 0], [-1, 0, -1]])
    turn, _ = np.linalg.qr(random.normal(size=(3, 3)))
    turn *= np.linalg.det(turn)
    cell = combine @ atoms.cell.array
    order = random.permutation(len(atoms))
    shift = random.uniform(size=3)
    other = Atoms(
        atoms.numbers[order],
        positions=(atoms.positions[order] + shift) @ turn,
        cell=cell @ turn,
        pbc=True,
    )
    other.wrap()
    return other, combine


@pytest.mark.parametrize("convention", PATHS)
@pytest.mark.parametrize("number", [22, 25, 28, 34, 6, 9])
def test_settings_of_one_crystal_have_one_path(shared_data, number, convention):
    """Cubic, m-3 cubic, rhombohedral, body-centred tetragonal, monoclinic and orthorhombic."""
    phonon = castep(shared_data, number)
    ours = to_ase(phonon.primitive)
    settings = Phonons(band_path=convention, points_per_segment=5)
    other, combine = other_setting(ours)
    path, path_other = band_path(ours, settings), band_path(other, settings)
    assert path.labels == path_other.labels
    for one, two in zip(path.segments, path_other.segments, strict=True):
        back = two @ np.linalg.inv(combine).T  # q·a is the same number for the same vector a
        np.testing.assert_allclose(
            frequencies_at(phonon, one), frequencies_at(phonon, back), atol=2e-3
        )


def test_pymatgen_path_is_brought_to_our_cell(shared_data):
    """Phonons of pymatgen's own standard cell at its own q points are the truth for BC8."""
    from pymatgen.core import Lattice, Structure
    from pymatgen.symmetry.bandstructure import HighSymmKpath

    ours, _ = other_setting(to_ase(castep(shared_data, 25).primitive))
    crystal = Structure(Lattice(ours.cell.array), ours.numbers, ours.get_scaled_positions())
    with pytest.warns(UserWarning, match="standard primitive"):
        theirs = HighSymmKpath(crystal)
    standard = Atoms(
        [site.specie.Z for site in theirs.prim],
        cell=theirs.prim.lattice.matrix,
        scaled_positions=theirs.prim.frac_coords,
        pbc=True,
    )
    twice = 2 * np.eye(3, dtype=int)
    identity = np.eye(3)
    of_ours = potential_phonons(ours, twice, Displaced(), SW, primitive_matrix=identity)
    of_standard = potential_phonons(standard, twice, Displaced(), SW, primitive_matrix=identity)
    settings = Phonons(band_path="setyawan-curtarolo", points_per_segment=2)
    path = band_path(ours, settings)
    for (start, _), segment in zip(path.labels, path.segments, strict=True):
        name = {"Γ": "\\Gamma"}.get(start, start)
        np.testing.assert_allclose(
            frequencies_at(of_ours, segment[0]),
            frequencies_at(of_standard, theirs.kpath["kpoints"][name]),
            atol=2e-3,
        )
    assert path.labels[0] == ("Γ", "H")


@pytest.mark.parametrize("convention", PATHS)
def test_path_of_a_cell_that_is_not_primitive(convention):
    """q points refer to the cell that is given: Cartesian they are the same."""
    settings = Phonons(band_path=convention, points_per_segment=3)
    primitive, cubic = bulk("Si", "diamond", 5.43), bulk("Si", "diamond", 5.43, cubic=True)
    phonon = potential_phonons(primitive, 2 * np.eye(3, dtype=int), Displaced(), SW)
    with pytest.warns(UserWarning) if convention == "seekpath" else nullcontext():
        path = band_path(cubic, settings)
    for one, two in zip(band_path(primitive, settings).segments, path.segments, strict=True):
        # q_primitive = L_primitive q_cartesian
        back = two @ (primitive.cell.array @ np.linalg.inv(cubic.cell.array)).T
        np.testing.assert_allclose(
            frequencies_at(phonon, one), frequencies_at(phonon, back), atol=1e-4
        )


def test_pseudocubic_axes_are_not_exchanged():
    """Two axes that differ by 0.02 Å: Y and Z keep their places."""
    atoms = Atoms("Cu", cell=[3.04, 3.02, 3.0], pbc=True)
    settings = Phonons(band_path="setyawan-curtarolo", points_per_segment=2)
    path = band_path(atoms, settings)
    points = {
        name: q
        for names, qs in zip(path.labels, path.segments, strict=True)
        for name, q in zip(names, (qs[0], qs[-1]), strict=True)
    }
    # Setyawan and Curtarolo: a < b < c, X = (1/2, 0, 0), Y = (0, 1/2, 0), Z = (0, 0, 1/2)
    np.testing.assert_allclose(np.abs(points["X"]), [0, 0, 0.5], atol=1e-9)
    np.testing.assert_allclose(np.abs(points["Y"]), [0, 0.5, 0], atol=1e-9)
    np.testing.assert_allclose(np.abs(points["Z"]), [0.5, 0, 0], atol=1e-9)


def test_mesh_keeps_the_symmetry(shared_data):
    tetragonal = to_ase(castep(shared_data, 34).primitive)
    assert len(set(_mesh(tetragonal, 60.0))) == 1  # its primitive axes mix under rotations
    hexagonal = _mesh(bulk("Mg", "hcp", 3.2, 5.2), 60.0)
    assert hexagonal == (22, 22, 12)
    assert _mesh(Atoms("Cu", cell=[2.0, 3.0, 4.0], pbc=True), 60.0) == (30, 20, 15)


# --- spectra -----------------------------------------------------------------------------------


def test_spectrum_is_whole(diamond, tmp_path):
    settings = Phonons(points_per_segment=51)
    path = band_path(to_ase(diamond.primitive), settings)
    found = spectrum(diamond, path)
    n_q = 51 * len(path.segments)
    assert found.frequencies_thz.shape == (n_q, 6)
    assert found.qpoints.shape == (n_q, 3)
    assert found.natom == 2
    assert found.volume_angstrom3 == pytest.approx(diamond.primitive.volume)
    assert found.mesh_weights.sum() == np.prod(found.mesh)
    # Γ to X of fcc is 1/a long
    a = (4 * diamond.primitive.volume) ** (1 / 3)
    assert found.ticks()[0] == (0.0, "Γ")
    assert found.ticks()[1] == (pytest.approx(1 / a), "X")
    assert found.ticks()[2][1] == "U|K"
    assert (np.diff(found.distances) >= 0).all()
    assert [one.start for one in found.segments()][:3] == ["Γ", "X", "K"]
    found.save(tmp_path / "new" / "one.npz")
    again = Spectrum.load(tmp_path / "new" / "one.npz")
    for key, value in vars(found).items():
        np.testing.assert_array_equal(getattr(again, key), value)
    found.save(tmp_path / "two.npz")
    assert (tmp_path / "two.npz").read_bytes() == (tmp_path / "new" / "one.npz").read_bytes()


def test_spectrum_file_errors(tmp_path):
    with pytest.raises(PhonsmithError, match="no such file"):
        Spectrum.load(tmp_path / "none.npz")
    (tmp_path / "bad.npz").write_text("text")
    with pytest.raises(PhonsmithError, match="not a spectrum"):
        Spectrum.load(tmp_path / "bad.npz")


def test_density_of_states_is_that_of_phonopy(diamond):
    found = spectrum(diamond, band_path(to_ase(diamond.primitive), Phonons(points_per_segment=2)))
    assert found.dos.sum() * DOS_PITCH_THZ == pytest.approx(6, rel=1e-6)
    diamond.run_mesh(found.mesh, is_gamma_center=True)
    grid = found.dos_frequencies_thz
    total = diamond.run_total_dos(
        sigma=DOS_SMEARING_THZ, freq_min=grid[0], freq_max=grid[-1], freq_pitch=DOS_PITCH_THZ
    )
    np.testing.assert_allclose(found.dos, total.dos, atol=2e-3 * total.dos.max())
    np.testing.assert_allclose(grid / DOS_PITCH_THZ, np.rint(grid / DOS_PITCH_THZ), atol=1e-9)


# --- force constants -----------------------------------------------------------------------------


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
    with pytest.raises(PhonsmithError, match="not of displaced cell 0"):
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
    with pytest.raises(PhonsmithError, match="other atoms"):
        fit_phonons(other, reference, Displaced(), SW)
    shifted = atoms.copy()
    shifted.positions[0] += 0.1
    with pytest.raises(PhonsmithError, match="symmetrised"):
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


def test_phonopy_load_opens_the_file(shared_data, tmp_path):
    """The command line finds forces and the correction of rock salt, and gives the same numbers."""
    phonon, born = phonondb(shared_data, 22862)
    phonon = reference_phonons(phonon, labelled(phonon, phonon.forces), born)
    file = tmp_path / "deep" / "one.yaml"
    save_phonons(file, phonon)
    command = shutil.which("phonopy-load", path=str(Path(sys.executable).parent))
    assert command is not None
    subprocess.run(
        [command, str(file), "--mesh", "2", "2", "2"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    written = yaml.safe_load((tmp_path / "mesh.yaml").read_text())["phonon"]
    q = [one["q-position"] for one in written]
    wanted = [[band["frequency"] for band in one["band"]] for one in written]
    again = load_phonons(file)
    np.testing.assert_allclose(frequencies_at(phonon, q), wanted, atol=1e-4)
    np.testing.assert_allclose(frequencies_at(again, q), wanted, atol=1e-4)


def test_loading_ignores_strangers_in_the_working_directory(shared_data, tmp_path, monkeypatch):
    born = next(shared_data.glob("phonondb-pbesol/22862-*/mp-*/BORN"))
    shutil.copy(born, tmp_path / "BORN")
    monkeypatch.chdir(tmp_path)
    assert castep(shared_data, 22).nac_params is None


def test_phonon_file_errors(tmp_path, silicon):
    with pytest.raises(PhonsmithError, match="no such file"):
        load_phonons(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: 1\n")
    with pytest.raises(PhonsmithError, match="not a phonopy YAML"):
        load_phonons(tmp_path / "bad.yaml")
    bare = make_phonopy(to_ase(silicon.unitcell), np.eye(3, dtype=int))
    bare.save(tmp_path / "bare.yaml")
    assert load_phonons(tmp_path / "bare.yaml").force_constants is None


def test_path_of_nonsense_is_an_error():
    with pytest.raises(PhonsmithError, match="band path"):
        band_path(Atoms("Si2", positions=np.zeros((2, 3)), cell=np.zeros((3, 3))), Phonons())


def test_band_path_is_plain():
    path = band_path(bulk("Si", "diamond", 5.43), Phonons(points_per_segment=4))
    assert isinstance(path, BandPath)
    assert {len(one) for one in path.segments} == {4}
    assert len(path.labels) == len(path.segments)


# --- what potentials may do wrong -------------------------------------------------------------


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


# --- masses ----------------------------------------------------------------------------------


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
        ({"K": 39.0}, "there is no K in"),
    ):
        with pytest.raises(PhonsmithError, match=words):
            with_masses(phonon, masses)
