"""Band paths: those of seekpath and of pymatgen, in every setting of a crystal."""

from contextlib import nullcontext

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from phonsmith.files.errors import PhonsmithError
from phonsmith.phonons.band_paths import BandPath, _mesh, band_path
from phonsmith.phonons.force_constants import potential_phonons
from phonsmith.phonons.settings import Phonons
from phonsmith.supercells.cells import to_ase
from phonsmith.supercells.settings import Displaced
from tests.phonons.published import PATHS, SEED, SW, castep, frequencies_at


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


def test_path_of_nonsense_is_an_error():
    with pytest.raises(PhonsmithError, match="band path"):
        band_path(Atoms("Si2", positions=np.zeros((2, 3)), cell=np.zeros((3, 3))), Phonons())


def test_band_path_is_plain():
    path = band_path(bulk("Si", "diamond", 5.43), Phonons(points_per_segment=4))
    assert isinstance(path, BandPath)
    assert {len(one) for one in path.segments} == {4}
    assert len(path.labels) == len(path.segments)
