"""Third-order force constants: finite differences, fits to random cells, recorded data."""

from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from phonopy.interface.symfc import SymfcFCSolver

from phonsmith.conductivity.mesh import check_before_labels, memory_of_direct_solution_mb
from phonsmith.conductivity.settings import Conductivity, ThirdOrder
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
from phonsmith.files.errors import MissingLabels, PhonsmithError
from phonsmith.phonons.files import load_phonons, save_phonons
from phonsmith.phonons.force_constants import with_masses
from phonsmith.supercells.cells import to_ase
from tests.conductivity.examples import SMALL, first, kappa, sw_conductivity, sw_third_order


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
    with pytest.raises(PhonsmithError, match=r"custom masses \(Si of 60 u\)"):
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
