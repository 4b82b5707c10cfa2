"""Meshes of q-points: of the primitive and of the unit cell."""

from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.io import read
from ase.spacegroup import crystal

from phonsmith.conductivity.mesh import check_before_labels, mesh_numbers, set_mesh
from phonsmith.conductivity.settings import Conductivity
from phonsmith.conductivity.third_order import new_phono3py
from phonsmith.files.errors import PhonsmithError
from phonsmith.supercells.cells import make_phonopy
from tests.conductivity.examples import first, kappa


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
        ("unit", {"mesh": 9.0, "lbte_mesh": (3, 3, 4)}),
        ("unit_folded", {"mesh": 9.0, "convergence": [(3, 3, 4)]}),
    ):
        with pytest.raises(PhonsmithError, match=r"x: .*3×3×4 q points breaks the symmetry"):
            check_before_labels("x", phonon, Conductivity(**settings, mesh_of=mesh_of))
    check_before_labels("x", phonon, Conductivity(mesh=30.0, lbte_mesh=20.0, mesh_of="unit"))


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
