"""Thermal conductivity: published values, limits, symmetry, and whole runs."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase.build import bulk
from ase.io import read
from ase.spacegroup import crystal
from phono3py import Phono3py
from phonopy.interface.symfc import SymfcFCSolver
from pydantic import ValidationError
from scipy.spatial.transform import Rotation

from phonsmith.campaign.model import Campaign
from phonsmith.conductivity.kappa import (
    along,
    kappa_sre,
    kappa_srme,
    mean_kappa,
    per_mode,
    tensor,
    thermal_conductivity,
)
from phonsmith.conductivity.mesh import (
    check_before_labels,
    memory_of_direct_solution_mb,
    mesh_numbers,
    set_mesh,
)
from phonsmith.conductivity.settings import Conductivity, ThirdOrder
from phonsmith.conductivity.tables import conductivity_table, overview
from phonsmith.conductivity.third_order import (
    cells_of,
    cells_to_label,
    displaced,
    load_displacements,
    load_third_order,
    new_phono3py,
    produce,
    save_displacements,
    save_third_order,
    unknowns_of_fit,
    with_forces,
)
from phonsmith.conductivity.velocity_matrices import whole_velocity_matrices
from phonsmith.files.errors import MissingLabels, PhonsmithError
from phonsmith.generations.properties import Property, judge_property
from phonsmith.generations.settings import ConductivityGoal
from phonsmith.labels.factory import fitted_method
from phonsmith.labels.labelling import label_cells
from phonsmith.labels.recorded.readers.phonopy_yaml import read_phono3py
from phonsmith.labels.settings import Labels
from phonsmith.phonons.files import load_phonons, save_phonons
from phonsmith.phonons.force_constants import potential_phonons, with_masses
from phonsmith.potentials.calculators import Potential
from phonsmith.potentials.settings import PotentialSource
from phonsmith.supercells.cells import make_phonopy, to_ase
from phonsmith.supercells.settings import Displaced
from tests.project import Project

SW = {"calculator": "stillinger-weber"}
SMALL = {"min_length_angstrom": 10, "min_atoms": 64, "max_atoms": 80}


def recorded(path: Path, folder: Path):
    """Harmonic phonons and phono3py with third-order force constants of recorded data."""
    read = read_phono3py(path)
    read.phonon.save(folder / "phonons.yaml")
    phonon = load_phonons(folder / "phonons.yaml")
    third, cells, record = cells_to_label("x", phonon, ThirdOrder(**SMALL), 0, recorded=read.third)
    assert not cells and record["recorded"] and not record["reason"]
    return phonon, produce(third, phonon, ThirdOrder(**SMALL)), record


@pytest.fixture(scope="module")
def folded(silicon):
    """The same with the cubic cell in the place of the primitive cell."""
    phonon, data, _ = silicon
    third, _, _ = cells_to_label(
        "x", phonon, ThirdOrder(**SMALL), 0, recorded=data, mesh_of="unit_folded"
    )
    return produce(third, phonon, ThirdOrder(**SMALL))


@pytest.fixture(scope="module")
def silicon(shared_data: Path, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("silicon")
    return recorded(shared_data / "si-pbesol-fc3/phono3py_disp.yaml", folder)


def kappa(third, **settings):
    """Result and modes of a conductivity on a small mesh."""
    asked = Conductivity(**{"mesh": (5, 5, 5), "temperatures_kelvin": [300], **settings})
    result, modes = thermal_conductivity(third, asked, "x", "y", imaginary_tolerance_thz=0.1)
    assert not result.reason
    return result, modes


def first(result, at: int = 0) -> float:
    return mean_kappa(result.series[0].kappa[at])


# --- published values ------------------------------------------------------------------------


@pytest.mark.slow
def test_silicon_is_as_published(silicon) -> None:
    """109.0 W/mK on 11³ of the primitive cell; the direct solution is above."""
    result, _ = kappa(silicon[1], mesh=(11, 11, 11), solvers=["rta", "lbte"])
    rta, lbte = (mean_kappa(one.kappa[0]) for one in result.series)
    assert rta == pytest.approx(109.0, abs=0.3)
    assert rta < lbte < 1.1 * rta
    assert silicon[2]["labels"] == silicon[2]["labels_displacements"] == 111
    assert silicon[2]["labels_fit"] < 30


@pytest.mark.slow
def test_rock_salt_from_random_cells(shared_data: Path, tmp_path: Path) -> None:
    """NaCl from 100 random cells by symfc, with non-analytical correction; authors about 8.3."""
    lzma = pytest.importorskip("lzma")
    packed = shared_data / "nacl-pbesol-random/phono3py_params_NaCl.yaml.xz"
    path = tmp_path / "nacl.yaml"
    path.write_bytes(lzma.decompress(packed.read_bytes()))
    _, third, _ = recorded(path, tmp_path)
    result, _ = kappa(third, mesh=(4, 4, 4), non_analytical=[True, False])
    assert [one.non_analytical for one in result.series] == [True, False]
    # on denser meshes the two come near each other, at 300 K by chance to 4e-5 on 9³
    assert mean_kappa(result.series[1].kappa[0]) / first(result) == pytest.approx(1.026, abs=0.005)
    result, _ = kappa(third, mesh=(9, 9, 9))
    assert first(result) == pytest.approx(8.81, abs=0.03)
    result, _ = kappa(third, mesh=(11, 11, 11))
    assert first(result) == pytest.approx(8.49, abs=0.03)


@pytest.mark.parametrize(
    ("name", "top"), [("886-ga2o3-c2-m-12", 23.10), ("2160-sb2se3-pnma-62", 6.46)]
)
@pytest.mark.parametrize("mesh_of", ["primitive", "unit", "unit_folded"])
def test_correction_reaches_phono3py(
    shared_data: Path, tmp_path: Path, name: str, top: float, mesh_of
) -> None:
    """Top modes of phonondb crystals with NAC; Born charges find their atoms in either cell."""
    import phonopy
    from phonopy.harmonic.force_constants import compact_fc_to_full_fc

    (folder,) = (shared_data / "phonondb-pbesol" / name).iterdir()
    phonon = phonopy.load(
        folder / "phonon.yaml",
        force_sets_filename=folder / "FORCE_SETS",
        born_filename=folder / "BORN",
        is_compact_fc=True,
        log_level=0,
    )
    third = new_phono3py(phonon, phonon.supercell_matrix, mesh_of)
    third.fc2 = compact_fc_to_full_fc(phonon.primitive, phonon.force_constants)
    set_mesh(third, [4, 4, 4], mesh_of)
    third.init_phph_interaction()
    third.run_phonon_solver()
    frequencies, _, _ = third.get_phonon_data()
    assert frequencies.max() == pytest.approx(top, abs=0.02)


# --- limits and symmetry -----------------------------------------------------------------------


def test_limits(silicon) -> None:
    third = silicon[1]
    result, modes = kappa(third, temperatures_kelvin=[300, 2000, 4000], isotopes=[False, True])
    components = np.array(result.series[0].kappa[0])
    assert components[:3] == pytest.approx([first(result)] * 3, rel=1e-6)  # cubic
    assert np.abs(components[3:]).max() < 1e-6
    assert first(result, 1) / first(result, 2) == pytest.approx(2, rel=0.01)  # 1/T
    isotopes = mean_kappa(result.series[1].kappa[0])
    assert 0.85 * first(result) < isotopes < 0.99 * first(result)
    assert result.mesh == [5, 5, 5]
    assert abs(result.lowest_frequency_thz) < 1e-3
    for curve in (modes.by_frequency, modes.by_path):
        assert curve[0] < 0.01 * curve[-1]
        assert (np.diff(curve) > -1e-6 * curve[-1]).all()
        assert curve[-1] == pytest.approx(first(result), rel=1e-3)
    assert modes.kappa.sum() == pytest.approx(first(result), rel=1e-6)


def test_boundaries_cap_the_paths(silicon) -> None:
    """A boundary mean free path shorter than all others leaves |v| L: κ = ⅓ C v L."""
    free, _ = kappa(silicon[1])
    bounded, modes = kappa(silicon[1], boundary_micrometre=1e-3)
    assert first(bounded) < 0.2 * first(free)
    assert modes.mean_free_path.max() <= 10.0 * (1 + 1e-9)  # 1 nm
    half, _ = kappa(silicon[1], boundary_micrometre=0.5e-4)
    quarter, _ = kappa(silicon[1], boundary_micrometre=0.25e-4)
    assert first(half) / first(quarter) == pytest.approx(2, rel=0.02)


def test_tunnelling_adds_to_the_conductivity(silicon) -> None:
    boltzmann, _ = kappa(silicon[1], solvers=["rta", "lbte"])
    wigner, modes = kappa(silicon[1], transport="wigner", solvers=["rta", "lbte"])
    for plain, more in zip(boltzmann.series, wigner.series, strict=True):
        between = mean_kappa(more.between_bands[0])
        assert 0 < between < 0.02 * first(boltzmann)  # a simple crystal
        found = mean_kappa(more.kappa[0]) - between
        # degenerate bands keep the whole of their velocities where their matrix is known
        more_of_it = {"rta": 1.0026, "lbte": 1.0}[plain.solver]
        assert found / mean_kappa(plain.kappa[0]) == pytest.approx(more_of_it, abs=1e-4)
    assert modes.kappa.sum() == pytest.approx(first(wigner), rel=1e-9)


@pytest.mark.parametrize("transport", ["wigner", "green-kubo"])
def test_modes_of_tunnelling_are_those_of_relaxation_times(silicon, transport) -> None:
    """Whatever solver comes first."""
    result, modes = kappa(silicon[1], mesh=(3, 3, 3), transport=transport, solvers=["lbte", "rta"])
    direct, relaxation = result.series
    assert mean_kappa(direct.kappa[0]) != pytest.approx(mean_kappa(relaxation.kappa[0]), rel=0.01)
    assert modes.kappa.sum() == pytest.approx(mean_kappa(relaxation.kappa[0]), rel=1e-9)
    with pytest.raises(ValidationError, match="add rta"):
        Conductivity(transport=transport, solvers=["lbte"])


def test_velocity_matrices_keep_their_diagonal(silicon) -> None:
    """Ours does; fails as soon as phono3py's own does, too."""
    from phono3py.phonon.velocity_matrix import VelocityMatrix

    third = silicon[1]
    set_mesh(third, [3, 3, 3], "primitive")
    third.init_phph_interaction()
    grid = third.grid
    q = np.array([0.25, 0.25, 0.25])  # on Γ-L, with degenerate bands
    matrices = VelocityMatrix(
        third.dynamical_matrix,
        rotations_cartesian=grid.rotations_cartesian,
        reciprocal_operations=grid.reciprocal_operations,
    )
    matrices.run([q])
    upstream = matrices.velocity_matrices[0]
    whole = matrices._calculate_velocity_matrix_at_q(q)
    assert np.abs(upstream - whole).max() > 1, (
        "phono3py no longer overwrites the diagonal of its velocity matrices: delete "
        "phonsmith/velocity_matrices.py, its use in conductivity.py, and this test"
    )
    with whole_velocity_matrices():
        matrices.run([q])
    assert matrices.velocity_matrices[0] == pytest.approx(whole)
    assert np.abs(matrices.group_velocities[0] - upstream.diagonal(axis1=1, axis2=2).T).max() < 1e-9
    matrices.run([q])
    assert np.array_equal(matrices.velocity_matrices[0], upstream)  # phono3py is left as it was


# --- meshes of either cell, and rounding errors --------------------------------------------------


@pytest.mark.parametrize(
    ("centring", "crystal", "mesh", "times"),
    [
        ("F", bulk("NaCl", "rocksalt", a=5.6, cubic=True), (3, 3, 3), 4),
        ("I", bulk("Fe", "bcc", a=2.9, cubic=True), (4, 4, 4), 2),
        ("C", "config/structures/kappa/beta-ga2o3.vasp", (2, 5, 3), 2),
        ("R", crystal("Bi", [(0, 0, 0.234)], spacegroup=166, cellpar=[4.5, 4.5, 11.9, 90, 90, 120])
         , (4, 4, 2), 3),
        ("P", "config/structures/silicon/mp-165.vasp", (4, 4, 3), 1),
    ],
)  # fmt: skip
def test_a_mesh_of_the_unit_cell_has_its_q_points(
    repository: Path, centring: str, crystal, mesh, times: int
) -> None:
    """Sampled in the zone of the primitive cell: n_i q_i of the unit cell are integers."""
    from phonopy.phonon.grid import get_qpoints_from_bz_grid_points

    if isinstance(crystal, str):
        crystal = read(repository / crystal)
    phonon = make_phonopy(crystal, np.eye(3, dtype=int))
    assert len(phonon.unitcell) == times * len(phonon.primitive), centring
    third = new_phono3py(phonon, np.eye(3, dtype=int), "unit")
    assert set_mesh(third, mesh, "unit") == list(mesh)
    grid = third.grid
    assert np.prod(grid.D_diag) == times * np.prod(mesh)
    q = np.array([get_qpoints_from_bz_grid_points(i, grid) for i in grid.grg2bzg])
    vectors = q @ np.linalg.inv(third.primitive.cell).T
    numbers = vectors @ third.unitcell.cell.T * mesh
    assert numbers == pytest.approx(np.rint(numbers), abs=1e-6)
    assert len(np.unique(np.rint(numbers), axis=0)) == len(q)


def test_both_cells_conduct_the_same(silicon, folded) -> None:
    """Where nothing is interpolated between sorted bands and no velocity is projected.

    Gaussian smearing, and the heat between degenerate bands; tetrahedra lose heat in folded bands.
    """
    gaussian, tetrahedra = {}, {}
    for mesh_of, third in (("unit", silicon[1]), ("unit_folded", folded)):
        asked = {"mesh": (3, 3, 3), "mesh_of": mesh_of}
        tetrahedra[mesh_of] = first(kappa(third, **asked)[0])
        third.sigmas = [0.1]
        try:
            result, _ = kappa(third, **asked, transport="wigner")
        finally:
            third.sigmas = None
        gaussian[mesh_of] = first(result)
        assert (result.mesh, result.series[0].mesh) == ([3, 3, 3], [3, 3, 3])
    assert gaussian["unit"] == pytest.approx(gaussian["unit_folded"], rel=1e-8)
    assert tetrahedra["unit_folded"] < 0.9 * tetrahedra["unit"]
    assert result.q_points == 27


def test_everything_can_be_had_on_the_mesh_of_the_unit_cell(silicon) -> None:
    result, modes = kappa(
        silicon[1],
        mesh=(3, 3, 3),
        lbte_mesh=(2, 2, 2),
        mesh_of="unit",
        solvers=["rta", "lbte"],
        isotopes=[False, True],
        boundary_micrometre=1.0,
    )
    assert (result.mesh, result.q_points) == ([3, 3, 3], 108)
    assert [one.mesh for one in result.series] == [[3, 3, 3], [2, 2, 2]] * 2
    assert modes.kappa.sum() == pytest.approx(first(result), rel=1e-6)
    for curve in (modes.by_frequency, modes.by_path):
        assert curve[-1] == pytest.approx(first(result), rel=1e-3)


def test_a_mesh_that_breaks_the_symmetry_is_refused(silicon) -> None:
    phonon = silicon[0]
    for mesh_of, settings in (
        ("primitive", {"mesh": (3, 3, 4)}),
        ("unit", {"mesh": 9, "lbte_mesh": (3, 3, 4)}),
        ("unit_folded", {"mesh": 9, "convergence": [(3, 3, 4)]}),
    ):
        with pytest.raises(PhonsmithError, match=r"x: .*3×3×4 q points breaks the symmetry"):
            check_before_labels("x", phonon, Conductivity(**settings, mesh_of=mesh_of))
    check_before_labels("x", phonon, Conductivity(mesh=30, lbte_mesh=20, mesh_of="unit"))


@pytest.mark.parametrize("solver", ["rta", "lbte"])
@pytest.mark.parametrize("noise", [1e-13, 1e-9])
def test_rounding_errors_of_force_constants_do_not_matter(silicon, noise, solver) -> None:
    """Eigenvectors of degenerate bands, and signs of acoustic frequencies at Γ, are by chance."""
    third = silicon[1]
    exact, found = third.fc2, []
    try:
        for draw in range(4):
            random = np.random.default_rng(draw).normal(size=exact.shape)
            third.fc2 = exact * (1 + noise * random)
            found.append(first(kappa(third, mesh=(3, 3, 3), solvers=[solver])[0]))
    finally:
        third.fc2 = exact
    assert found == pytest.approx([found[0]] * 4, rel=1e-6)


def test_rounding_errors_of_the_lattice_do_not_matter(repository: Path) -> None:
    """Which of two equal diagonals of a hexagonal mesh cuts it into tetrahedra is by chance."""
    hexagonal = read(repository / "config/structures/silicon/mp-165.vasp")
    whole = sw_third_order(hexagonal, ThirdOrder(min_length_angstrom=6, max_atoms=20))
    found = []
    for draw in range(5):  # the first three have one diagonal, the last two the other
        cell = whole.unitcell.copy()
        cell.cell = cell.cell + 1e-12 * np.random.default_rng(draw).normal(size=(3, 3))
        third = Phono3py(
            cell,
            whole.supercell_matrix,
            primitive_matrix="P",
            phonon_supercell_matrix=whole.phonon_supercell_matrix,
        )
        third.fc3, third.fc2 = whole.fc3, whole.fc2
        found.append(kappa(third, mesh=(4, 4, 3))[0].series[0].kappa[0][:3])
    assert np.array(found) == pytest.approx(np.array([found[0]] * 5), rel=1e-6)


def test_pairs_share_by_heat_capacity() -> None:
    matrix = [[[1.0, 0.3], [0.3, 2.0]]]
    shared = per_mode(matrix, [[1.0, 3.0]])
    assert shared[0] == pytest.approx([1 + 0.3 * 0.5, 2 + 0.3 * 1.5])
    assert shared.sum() == pytest.approx(np.sum(matrix))


MONOCLINIC = np.array([[12.2, 0, 0], [0, 3.0, 0], [5.8 * np.cos(1.812), 0, 5.8 * np.sin(1.812)]])


def test_directions_turn_with_the_cell() -> None:
    random = np.random.default_rng(1)
    root = random.normal(size=(3, 3))
    whole = root @ root.T
    names = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]
    straight = [whole[i] for i in names]
    assert along(straight, MONOCLINIC, (1, 0, 0)) == pytest.approx(whole[0, 0])
    assert along(straight, MONOCLINIC, (0, 1, 0)) == pytest.approx(whole[1, 1])
    assert tensor(straight) == pytest.approx(whole)
    for rotation in Rotation.random(5, rng=2):
        turn = rotation.as_matrix()
        cell, turned = MONOCLINIC @ turn.T, turn @ whole @ turn.T
        components = [turned[i] for i in names]
        for direction in [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, -2, 3)]:
            expected = along(straight, MONOCLINIC, direction)
            assert along(components, cell, direction) == pytest.approx(expected)


def printed_kappa_100(components, angle: float) -> float:
    """The formula for κ₁₀₀ in Ertural et al. (2025)."""
    _, yy, zz, yz, _, _ = components
    return yy * np.cos(angle) ** 2 + yz * np.sin(2 * angle) + zz * np.sin(angle) ** 2


def test_the_printed_formula_is_100_with_another_angle(repository: Path) -> None:
    """β − 90° for β, in right-handed axes x ∥ b, z ∥ c, y = z × x of β-Ga2O3 (C2/m)."""
    cell = np.array(read(repository / "config/structures/kappa/beta-ga2o3.vasp").cell)
    a, b, c = cell
    z, x = c / np.linalg.norm(c), b / np.linalg.norm(b)
    axes = np.array([x, np.cross(z, x), z])
    beta = np.arccos(a @ c / np.linalg.norm(a) / np.linalg.norm(c))
    assert np.degrees(beta) == pytest.approx(103.8, abs=0.2)
    turned = cell @ axes.T  # the crystal in these axes
    assert turned[0] / np.linalg.norm(a) == pytest.approx([0, -np.sin(beta), np.cos(beta)])
    for draw in range(5):
        root = np.random.default_rng(draw).normal(size=(3, 3))
        whole = root @ root.T
        components = [whole[i] for i in [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]]
        exact = along(components, turned, (1, 0, 0))
        assert printed_kappa_100(components, beta - np.pi / 2) == pytest.approx(exact)
        assert printed_kappa_100(components, beta) != pytest.approx(exact, rel=0.01)


@pytest.mark.parametrize(("angle", "least"), [(103.8, 7.87), (13.8, 1.81)])
def test_published_numbers_need_the_other_angle(angle: float, least: float) -> None:
    """κ₁₀₀ 9.5 and κ₀₀₁ 16.9: the ratio of principal values that either angle asks for."""
    beta, zz, ratios = np.radians(angle), 16.9, []
    for yy in np.linspace(0.5, 200, 4000):
        yz = (9.5 - printed_kappa_100([0, yy, zz, 0, 0, 0], beta)) / np.sin(2 * beta)
        low, high = np.linalg.eigvalsh([[yy, yz], [yz, zz]])
        if low > 0:
            ratios.append(high / low)
            assert angle < 90 or (yy > 14.5 and abs(yz) > 15.6)
    assert min(ratios) == pytest.approx(least, rel=0.01)


def sw_third_order(crystal, settings: ThirdOrder):
    """phono3py with force constants of Stillinger–Weber silicon, through all steps."""
    source = PotentialSource(**SW)
    matrix = np.diag([3, 3, 2]) if len(crystal) == 4 else np.diag([2, 2, 2])
    phonon = potential_phonons(crystal, matrix, Displaced(), source)
    third, cells, _ = cells_to_label("x", phonon, settings, 5)
    potential = Potential(source=source, has_energies=True, level_of_theory="SW", fit="sw")
    labels, failures = label_cells(cells, fitted_method(potential), Labels())
    assert not failures
    return produce(with_forces(third, labels), phonon, settings)


def sw_conductivity(crystal, settings: ThirdOrder, mesh, **more):
    """κ of Stillinger–Weber silicon through all steps, labels included."""
    return kappa(sw_third_order(crystal, settings), mesh=mesh, **more)[0]


def test_both_ways_keep_to_the_cutoff() -> None:
    """Stillinger–Weber's third order ends within 4 Å: a fit with that cutoff finds all of it."""
    crystal = bulk("Si", "diamond", a=5.431, cubic=True)
    whole = sw_third_order(crystal, ThirdOrder(**SMALL)).fc3
    found = sw_third_order(
        crystal,
        ThirdOrder(way="fit", pair_cutoff_angstrom=4.0, random_cells=4, **SMALL),
    )
    difference = np.linalg.norm(found.fc3 - whole) / np.linalg.norm(whole)
    assert difference < 0.03
    atoms = to_ase(found.supercell)
    distances = atoms.get_all_distances(mic=True)[found.primitive.p2s_map]
    far = distances > 4.0
    assert far.sum() > 30
    assert not found.fc3[far].any()


@pytest.mark.slow
def test_both_ways_agree() -> None:
    """Displacements and a fit to random cells give the same conductivity."""
    crystal = bulk("Si", "diamond", a=5.431, cubic=True)
    pairs = sw_conductivity(crystal, ThirdOrder(**SMALL), (5, 5, 5))
    fitted = sw_conductivity(crystal, ThirdOrder(way="fit", **SMALL), (5, 5, 5))
    assert first(fitted) == pytest.approx(first(pairs), rel=0.03)


@pytest.mark.slow
def test_a_turned_crystal_conducts_the_same(repository: Path) -> None:
    """Hexagonal diamond in two orientations: tensors turn, directions stay."""
    crystal = read(repository / "config/structures/silicon/mp-165.vasp")
    turned = crystal.copy()
    turn = Rotation.from_euler("xyz", [0.3, 0.5, 0.7]).as_matrix()
    turned.set_cell(crystal.cell[:] @ turn.T, scale_atoms=True)
    settings = ThirdOrder(min_length_angstrom=9, min_atoms=32, max_atoms=80)
    one, other = (sw_conductivity(each, settings, (4, 4, 3)) for each in (crystal, turned))
    a, b = one.series[0].kappa[0], other.series[0].kappa[0]
    assert turn @ tensor(a) @ turn.T == pytest.approx(tensor(b), abs=0.005 * mean_kappa(a))
    for direction in [(1, 0, 0), (0, 0, 1), (1, 0, 1)]:
        expected = along(a, one.cell, direction)
        assert along(b, other.cell, direction) == pytest.approx(expected, rel=0.005)


# --- comparison ----------------------------------------------------------------------------------


def test_relative_errors() -> None:
    """Hand-worked; matbench-discovery's bounds: 0 for the same, 2 for nothing in common."""
    reference = np.array([[1.0, 3.0], [0.0, 4.0]])
    assert kappa_srme(reference, reference) == 0
    assert kappa_srme([[0.0, 0.0], [8.0, 0.0]], reference) == pytest.approx(2)
    swapped = [[3.0, 1.0], [0.0, 4.0]]  # the same total: errors must not cancel
    assert kappa_srme(swapped, reference) == pytest.approx(2 * 4 / 16)
    assert kappa_sre(8.0, 8.0) == 0
    assert kappa_sre(3.0, 1.0) == kappa_sre(1.0, 3.0) == pytest.approx(1)
    assert kappa_sre(None, 1.0) == kappa_srme(None, reference) == 2
    assert kappa_srme(np.ones((3, 2)), reference) == 2


def test_imaginary_modes_get_a_reason(silicon) -> None:
    third = silicon[1]
    stable = third.fc2
    third.fc2 = -stable
    try:
        result, modes = thermal_conductivity(
            third, Conductivity(mesh=(3, 3, 3)), "x", "y", imaginary_tolerance_thz=0.1
        )
    finally:
        third.fc2 = stable
    assert modes is None
    assert result.reason.startswith("imaginary modes down to -")
    assert not result.series
    assert result.imaginary_percent == pytest.approx(100)
    result = kappa(third, mesh=(3, 3, 3))[0]
    assert result.imaginary_percent == 0
    # within the tolerance they are told beside the numbers
    some = result.model_copy(update={"imaginary_percent": 1.5, "lowest_frequency_thz": -0.05})
    table = overview(conductivity_table("c", [some], Conductivity()))
    assert table.remark[0].startswith("1.5 % of the modes are imaginary (down to -0.05 THz)")


# --- cells and files -----------------------------------------------------------------------------


def test_a_cutoff_saves_labels(silicon) -> None:
    phonon = silicon[0]
    third = displaced(phonon, ThirdOrder(pair_cutoff_angstrom=4.0, **SMALL), 0)
    cells = cells_of(third)
    assert len(cells) < 0.6 * 111
    with pytest.raises(MissingLabels, match="have no label"):
        with_forces(third, [])


def test_a_fit_without_the_memory_is_not_begun(silicon) -> None:
    settings = ThirdOrder(way="fit", **SMALL)
    cells_to_label("x", silicon[0], settings, 0, memory_mb=4000)
    with pytest.raises(PhonsmithError, match="pair_cutoff_angstrom"):
        cells_to_label("x", silicon[0], settings, 0, memory_mb=700)


def gallium_oxide(shared_data: Path):
    """Harmonic phonons of β-Ga2O3, of low symmetry, for its crystal."""
    import phonopy

    (folder,) = (shared_data / "phonondb-pbesol/886-ga2o3-c2-m-12").iterdir()
    return phonopy.load(folder / "phonon.yaml", produce_fc=False, log_level=0)


def test_random_cells_suffice_for_both_orders(shared_data: Path, tmp_path: Path) -> None:
    """symfc fits second and third order together, and second order has no cutoff."""
    save_phonons(tmp_path / "phonons.yaml", gallium_oxide(shared_data))
    phonon = load_phonons(tmp_path / "phonons.yaml")
    few = {"way": "fit", "pair_cutoff_angstrom": 2.5, "min_length_angstrom": 5.5}
    settings = ThirdOrder(**few, min_atoms=40, max_atoms=120)
    third = displaced(phonon, settings, 0)
    unknowns = unknowns_of_fit(third, settings)
    # ours is not symfc's estimate: its own basis
    options = {"cutoff": {3: 2.5}}
    solver = SymfcFCSolver(third.supercell, symmetry=third.symmetry, options=options)
    basis = solver.compute_basis_set(orders=[2, 3])
    assert unknowns >= sum(one.basis_set.shape[1] for one in basis.values())
    equations = 3 * len(third.supercell) * len(third.displacements)
    assert 4 * unknowns <= equations < 5 * unknowns
    with pytest.raises(PhonsmithError, match=r"random_cells is 3: .* at least"):
        displaced(phonon, settings.model_copy(update={"random_cells": 3}), 0)


def test_a_direct_solution_without_the_memory_is_not_begun(shared_data: Path) -> None:
    """The paper's density is 34 x 34 x 18 of the primitive cell: a matrix of 1.87 TB."""
    phonon = gallium_oxide(shared_data)
    settings = Conductivity(mesh=100, temperatures_kelvin=[300], solvers=["lbte"], memory_mb=250000)
    assert memory_of_direct_solution_mb(phonon, settings) == pytest.approx(2 * 1.87e6, rel=0.05)
    with pytest.raises(PhonsmithError, match="lbte_mesh"):
        check_before_labels("beta", phonon, settings)
    check_before_labels("beta", phonon, settings.model_copy(update={"lbte_mesh": 40}))
    check_before_labels("beta", phonon, settings.model_copy(update={"solvers": ["rta"]}))


def test_a_density_is_that_of_the_reference(silicon) -> None:
    phonon = silicon[0]
    assert mesh_numbers(phonon, (4, 5, 6), "primitive") == [4, 5, 6]
    fine, conventional = (mesh_numbers(phonon, 40.0, of) for of in ("primitive", "unit"))
    # 40 Å times 1/a, and times sqrt(3)/a, the length of the primitive cell's reciprocal vectors
    assert conventional == [round(40 / 5.4336)] * 3
    assert fine == [round(40 * 3**0.5 / 5.4336)] * 3
    meshes = {"mesh": (3, 3, 3), "lbte_mesh": (2, 2, 2), "solvers": ["rta", "lbte"]}
    result, _ = kappa(silicon[1], **meshes)
    assert [one.mesh for one in result.series] == [[3, 3, 3], [2, 2, 2]]


def test_masses_of_the_crystal_reach_phono3py(silicon, tmp_path: Path) -> None:
    """Through every file, in either cell; κ of a heavy crystal falls with the root of its mass."""
    save_phonons(tmp_path / "light.yaml", silicon[0])
    heavy = with_masses(load_phonons(tmp_path / "light.yaml"), {"Si": 60.0})
    save_phonons(tmp_path / "heavy.yaml", heavy)
    heavy = load_phonons(tmp_path / "heavy.yaml")
    for mesh_of in ("primitive", "unit", "unit_folded"):
        assert set(new_phono3py(heavy, np.eye(3, dtype=int), mesh_of).primitive.masses) == {60.0}
    third, _, _ = cells_to_label("x", heavy, ThirdOrder(**SMALL), 0, recorded=silicon[1])
    produce(third, heavy, ThirdOrder(**SMALL))
    paths = [tmp_path / name for name in ("phono3py.yaml", "fc3.hdf5", "fc2.hdf5")]
    save_third_order(third, *paths)
    settings = {"mesh": (3, 3, 3), "temperatures_kelvin": [3000]}
    light, found = (kappa(one, **settings)[0] for one in (silicon[1], load_third_order(*paths)))
    assert first(found) / first(light) == pytest.approx((28.085 / 60) ** 0.5, rel=1e-2)
    with pytest.raises(PhonsmithError, match=r"x: .*conductivity.isotopes: .*masses"):
        check_before_labels("x", heavy, Conductivity(isotopes=[False, True]))
    check_before_labels("x", silicon[0], Conductivity(isotopes=[False, True]))
    with pytest.raises(PhonsmithError, match=r"masses of its own \(Si of 60 u\)"):
        kappa(load_third_order(*paths), **settings, isotopes=[True])  # cells were labelled before


def test_random_cells_come_from_their_seed(silicon) -> None:
    settings = ThirdOrder(way="fit", random_cells=6, **SMALL)
    one, same, other = (displaced(silicon[0], settings, seed).displacements for seed in (4, 4, 5))
    assert np.array_equal(one, same)
    assert not np.allclose(one, other)
    assert np.linalg.norm(one, axis=-1) == pytest.approx(0.03)


def test_files_keep_everything(silicon, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("phono3py.yaml", "fc3.hdf5", "fc2.hdf5")]
    save_third_order(silicon[1], *paths)
    again, _ = kappa(load_third_order(*paths), mesh=(3, 3, 3))
    assert first(again) == pytest.approx(first(kappa(silicon[1], mesh=(3, 3, 3))[0]), rel=1e-8)


@pytest.mark.parametrize("of_recorded_data", [False, True])
def test_no_phonons_no_cells(silicon, tmp_path: Path, of_recorded_data: bool) -> None:
    """And the file without displacements can be written: the campaign goes on."""
    phonon, data, _ = silicon
    third, cells, record = cells_to_label(
        "x", phonon, ThirdOrder(), 0, recorded=data if of_recorded_data else None, reason="lost"
    )
    assert cells == [] and record["labels"] == 0 and record["reason"] == "lost"
    save_displacements(tmp_path / "displacements.yaml", third)
    assert load_displacements(tmp_path / "displacements.yaml").dataset is None


# --- settings and goal ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"solvers": ["rta", "rta"]}, "solvers has an entry twice"),
        ({"directions": [[0, 0, 0]]}, "no direction"),
        ({"cumulative_kelvin": 350}, "none of temperatures_kelvin"),
    ],
)
def test_contradictions(wrong: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Conductivity(**wrong)


TINY = {
    "structures": {"si": {"file": "config/structures/kappa/si-diamond-cubic.vasp"}},
    "reference": {"method": "calculator", "potential": SW},
    "supercells": {"kinds": ["displaced"], "min_length_angstrom": 10, "max_atoms": 64},
    "fits": {
        "larger": {
            "kind": "existing",
            "potential": {**SW, "arguments": {"epsilon": 2.5}},
        }
    },
    "phonons": {"points_per_segment": 5, "mesh_length_angstrom": 15},
    "conductivity": {
        "third_order": {"way": "fit", "random_cells": 12, **SMALL},
        "temperatures_kelvin": [300, 600],
        "mesh": [3, 3, 3],
        "convergence": [[2, 2, 2]],
        "directions": [[1, 1, 0]],
    },
    "figures": {"formats": ["svg"]},
}


def test_structures_have_to_exist() -> None:
    for key, value in (
        ("structures", ["ge"]),
        (
            "published",
            [
                {"label": "a", "source": "b", "structure": "ge"}
                | {"temperature_kelvin": 1, "kappa_w_per_m_k": 1}
            ],
        ),
    ):
        conductivity = {**TINY["conductivity"], key: value}
        with pytest.raises(ValidationError, match=f"conductivity.{key}: .*ge"):
            Campaign.model_validate({**TINY, "conductivity": conductivity})


def test_crystals_are_computed_in_all_generations_where_somebody_asks() -> None:
    """By `all_generations` all of them, by the goal those it names, and none without a loop."""
    other = {"ge": {"file": "config/structures/silicon/mp-149.vasp"}}
    supercells = {**TINY["supercells"], "kinds": ["displaced", "rattled"]}
    plain = {**TINY, "structures": TINY["structures"] | other, "supercells": supercells}
    plain["fits"] = {"gap": {"kind": "gap"}}
    loop = {"goal": {"rmse_thz": 0.1, "harmonic_only": True}}
    asked = {"of": "conductivity", "structure": "ge", "temperature_kelvin": 300}
    asking = {"goal": {"rmse_thz": 0.1, "properties": {"k": {**asked, "within_percent": 5}}}}
    always = {"conductivity": {**TINY["conductivity"], "all_generations": True}}
    for changes, expected in (
        (always, []),
        ({"loop": loop}, []),
        ({"loop": asking}, ["ge"]),
        ({"loop": loop, **always}, ["si", "ge"]),
    ):
        assert Campaign.model_validate({**plain, **changes}).conducting_in_loop == expected


def test_a_property_has_to_settle() -> None:
    goal = ConductivityGoal(
        of="conductivity", structure="si", temperature_kelvin=300, within_percent=5
    )
    start = judge_property("k", goal, [Property(100.0, "W/mK"), Property(110.0, "W/mK")], {})
    assert start.value == 105
    assert start.noise == pytest.approx(np.sqrt(50))
    assert "no value of a generation before" in start.reason
    near = judge_property("k", goal, [Property(109.0, "W/mK")], {"k": start})
    assert not near.reason
    assert near.change == pytest.approx(100 * 4 / 105)
    assert near.change_unit == "%"
    far = judge_property("k", goal, [Property(120.0, "W/mK")], {"k": start})
    assert "changed by +14.3 % (not assessed, n = 1 and 2), 5 % are allowed" in far.reason
    lost = judge_property("k", goal, [Property(None, "W/mK", "it melts")], {"k": start})
    assert lost.value is None and "it melts" in lost.reason


@pytest.mark.slow
def test_whole_run(tmp_path: Path, repository: Path) -> None:
    project = Project(tmp_path, repository, tiny=TINY)
    run = project.run()
    assert run.returncode == 0, run.stdout + run.stderr
    results = project.results("tiny")
    table = pd.read_csv(results / "tables/conductivity.csv")
    mean = table[(table.component == "mean") & (table.temperature_kelvin == 300)]
    value = mean.set_index("method")["kappa_w_per_m_k"]
    # forces scale with epsilon, frequencies with its root: κ with the power 3/2 at high T
    assert value["larger/gen0"] / value["reference"] == pytest.approx(
        (2.5 / 2.1683) ** 1.5, rel=0.1
    )
    along_110 = table[(table.component == "[110]") & (table.temperature_kelvin == 300)]
    assert along_110["kappa_w_per_m_k"].to_numpy() == pytest.approx(value.to_numpy(), rel=1e-6)
    errors = pd.read_csv(results / "tables/kappa_errors.csv").iloc[0]
    assert 0 < errors.kappa_sre <= errors.kappa_srme < 0.5
    convergence = pd.read_csv(results / "tables/kappa_convergence.csv")
    assert set(convergence.mesh) == {"2×2×2", "3×3×3"}
    labels = pd.read_csv(results / "tables/third_order_labels.csv")
    assert (labels.labels == 12).all() and (labels.labels_displacements == 111).all()
    record = json.loads((results / "conductivity/reference/si/kappa0.json").read_text())
    assert record["mesh"] == [3, 3, 3]
    page = (results / "report.html").read_text()
    assert "Applications" in page and "Thermal conductivity in W/mK" in page
    assert project.planned() == {}
