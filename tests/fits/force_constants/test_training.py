"""Force constants from labelled cells against finite displacements and recorded DFT."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from phonopy import Phonopy

from phonsmith.datasets.sets import Baseline
from phonsmith.files.extxyz import FORCES
from phonsmith.fits.errors import errors_of, harmonic_predictions
from phonsmith.fits.force_constants.settings import ForceConstantsFit
from phonsmith.fits.record import TrainingRecord
from phonsmith.fits.training import train
from phonsmith.labels.recorded.reading import read_recorded
from phonsmith.phonons.files import load_phonons, save_phonons
from phonsmith.phonons.force_constants import potential_phonons, reference_phonons
from phonsmith.phonons.recorded import THIRD_ORDER, WhyNone, recorded_phonons
from phonsmith.potentials.calculators import evaluate
from phonsmith.potentials.settings import PotentialSource
from phonsmith.structures.settings import Relaxation
from phonsmith.supercells.making import Made, make_supercells
from phonsmith.supercells.settings import Displaced, Supercells
from tests.phonons.published import frequencies_at

SW = PotentialSource(calculator="stillinger-weber")
DIAMOND = bulk("Si", "diamond", a=5.431)
FORCES_ALONE = Baseline({"Si": 0.0}, "forces_only")
Q = np.random.default_rng(1).uniform(size=(30, 3))


def cells_of(atoms: Atoms, **settings) -> Made:
    """Cells of a crystal with forces of Stillinger–Weber silicon."""
    rattled = {"volume_factors": [1.0], "max_angle_strain_degree": 0, **settings.pop("rattled")}
    made = make_supercells("a", atoms, Supercells(rattled=rattled, **settings), 3, 0)
    for cell, found in zip(made.cells, evaluate(made.cells, SW), strict=True):
        cell.set_array(FORCES, found.forces)
    return made


def trained(made: Made, root: Path, **settings) -> tuple[Path, TrainingRecord]:
    """Folder of the model, and the record of the training."""
    save_phonons(root / "a.yaml", made.phonon, made.parts)
    folder = root / "model"
    folder.mkdir()
    fit = ForceConstantsFit(kind="force-constants", **settings)
    crystals = {"a": root / "a.yaml"}
    record = train(fit, made.cells, FORCES_ALONE, folder, root / "work", 1, crystals=crystals)
    return folder, record


def by_displacements(made: Made, distance: float = 1e-3) -> Phonopy:
    atoms = Atoms(
        made.phonon.unitcell.numbers,
        cell=made.phonon.unitcell.cell,
        scaled_positions=made.phonon.unitcell.scaled_positions,
        pbc=True,
    )
    matrix = made.phonon.supercell_matrix.T
    return potential_phonons(atoms, matrix, Displaced(distance_angstrom=distance), SW)


def largest_difference(first: Phonopy, second: Phonopy) -> float:
    return float(np.abs(frequencies_at(first, Q) - frequencies_at(second, Q)).max())


HEXAGONAL = bulk("ZnO", "wurtzite", a=5.431 / np.sqrt(2), c=5.431 * 2 / np.sqrt(3))
HEXAGONAL.numbers[:] = 14
CUBIC = bulk("Si", "diamond", a=5.431, cubic=True)


@pytest.mark.parametrize("atoms", [DIAMOND, CUBIC, HEXAGONAL], ids=["primitive", "cubic", "hcp"])
def test_cells_of_tiny_amplitude_give_the_phonons_of_displaced_cells(atoms, tmp_path) -> None:
    """All atoms moved, in another order than phonopy's."""
    made = cells_of(
        atoms,
        min_length_angstrom=7.5,
        kinds=["displaced", "rattled"],
        rattled={"count": 8, "std_angstrom": 1e-5},
    )
    folder, record = trained(made, tmp_path, learn_from=["rattled"])
    found = load_phonons(folder / "a.yaml")
    assert largest_difference(found, by_displacements(made)) < 1e-3
    assert record.counts.forces == 8 * 3 * len(made.phonon.supercell)
    assert not record.cautions


def test_displaced_cells_give_the_phonons_of_the_reference(tmp_path) -> None:
    made = cells_of(
        DIAMOND, min_length_angstrom=7.5, rattled={"count": 0}, kinds=["displaced", "rattled"]
    )
    folder, _ = trained(made, tmp_path)
    reference = reference_phonons(made.phonon, made.cells)
    assert largest_difference(load_phonons(folder / "a.yaml"), reference) < 1e-4


def test_third_order_removes_the_anharmonic_error(tmp_path) -> None:
    """Force constants of both orders together are nearer to those of small displacements."""
    made = cells_of(
        CUBIC, min_length_angstrom=10, rattled={"count": 8, "std_angstrom": 0.02}, kinds=["rattled"]
    )
    truth = by_displacements(made)
    errors = {}
    for third_order in (False, True):
        root = tmp_path / str(third_order)
        root.mkdir()
        folder, _ = trained(made, root, third_order=third_order, learn_from=["rattled"])
        errors[third_order] = largest_difference(load_phonons(folder / "a.yaml"), truth)
        assert (folder / THIRD_ORDER / "a.yaml").exists() == third_order
        assert ("third_order: true" in WhyNone.load(folder).of(THIRD_ORDER, "a")) != third_order
    assert errors[True] < 0.5 * errors[False]


def test_non_diagonal_supercells_are_fitted_each(tmp_path) -> None:
    settings = {"grid": (3, 3, 3), "way": "non-diagonal", "kinds": ["displaced", "rattled"]}
    made = cells_of(DIAMOND, **settings, rattled={"count": 12, "std_angstrom": 1e-5})
    assert made.parts
    folder, record = trained(made, tmp_path, learn_from=["rattled"], third_order=True)
    assert largest_difference(load_phonons(folder / "a.yaml"), by_displacements(made)) < 1e-3
    assert "not of a grid" in WhyNone.load(folder).of(THIRD_ORDER, "a")
    assert record.counts.forces == 3 * sum(len(c) for c in made.cells if c.info["index"] >= 0) - (
        3 * sum(len(c) for c in made.cells if c.info["kind"] == "displaced")
    )


def test_strained_cells_are_omitted_and_counted(tmp_path) -> None:
    strained = {"count": 6, "std_angstrom": 1e-5, "volume_factors": [1.0, 0.95, 1.05]}
    made = cells_of(DIAMOND, min_length_angstrom=7.5, kinds=["rattled"], rattled=strained)
    folder, record = trained(made, tmp_path, learn_from=["rattled"])
    (caution,) = record.cautions
    assert caution.startswith("a: 4 of 6 labelled cells are omitted: their lattice is strained")
    assert record.counts.forces == 2 * 3 * len(made.phonon.supercell)
    assert largest_difference(load_phonons(folder / "a.yaml"), by_displacements(made)) < 1e-3


def test_too_few_cells_are_refused_with_their_number(tmp_path) -> None:
    """Without symmetry, Φ of eight atoms follows from 21 cells: its rank."""
    low = CUBIC.copy()
    low.rattle(0.1, seed=1)
    supercells = {"multiples": {"a": (1, 1, 1)}, "kinds": ["rattled"]}
    made = cells_of(low, **supercells, rattled={"count": 21, "std_angstrom": 1e-3})
    rattled = [cell for cell in made.cells if cell.info["kind"] == "rattled"]
    for count in (4, 20, 21):
        root = tmp_path / str(count)
        root.mkdir()
        some = Made(made.phonon, rattled[:count])
        folder, record = trained(some, root, learn_from=["rattled"])
        why = WhyNone.load(folder).of("reference", "a")
        assert (why == "") == (count == 21) == (folder / "a.yaml").exists()
        if count < 21:
            # 21 · 22 / 2 force constants of seven atoms; u_i Φ u_j = u_j Φ u_i is given twice
            missing = 231 - 21 * count + count * (count - 1) // 2
            assert f"{count} usable cells of 8 atoms leave {missing} of 231 independent" in why
            assert f"{21 - count} more rattled cells at the reference's volume are needed" in why
            assert record.cautions == [f"a: {why}"]


def test_more_equations_than_unknowns_need_not_suffice(tmp_path) -> None:
    """A displaced cell of a crystal whose two kinds of atoms both have to move."""
    atoms = bulk("SiGe", "zincblende", a=5.5)
    atoms.numbers[:] = [14, 32]
    made = make_supercells("a", atoms, Supercells(kinds=["displaced"]), 0, 0)
    cells = made.cells[:1]
    for cell in cells:
        cell.set_array(FORCES, np.zeros((len(cell), 3)))
    folder, _ = trained(Made(made.phonon, cells), tmp_path)
    assert "1 usable cells" in WhyNone.load(folder).of("reference", "a")


def test_a_relaxed_cell_has_a_reason(tmp_path) -> None:
    made = cells_of(
        DIAMOND,
        min_length_angstrom=7.5,
        kinds=["rattled"],
        rattled={"count": 3, "std_angstrom": 1e-5},
    )
    folder, _ = trained(made, tmp_path, learn_from=["rattled"])
    reference = by_displacements(made)
    for cell, reason in (("reference", ""), ("relaxed", "cannot relax a crystal")):
        found, verdict = recorded_phonons(cell, reference, folder / "a.yaml", Relaxation())
        assert (verdict.reason == "") == (reason == "")
        assert reason in verdict.reason
        assert (found.force_constants is None) == bool(reason)


def test_forces_of_cells_at_the_volume_are_predicted(tmp_path) -> None:
    rattled = {"count": 4, "std_angstrom": 1e-3, "volume_factors": [1.0, 1.05]}
    made = cells_of(DIAMOND, min_length_angstrom=7.5, kinds=["rattled"], rattled=rattled)
    folder, _ = trained(made, tmp_path, learn_from=["rattled"])
    phonons = {"a": load_phonons(folder / "a.yaml")}
    table = errors_of(harmonic_predictions(made.cells, phonons, "test"))
    (row,) = table.query("kind == 'rattled' and structure == 'all'").to_dict("records")
    assert row["quantity"] == "force"
    assert row["count"] == 2 * 3 * len(made.phonon.supercell)
    forces = np.concatenate([cell.arrays[FORCES] for cell in made.cells[::2]])
    assert row["rmse"] < 0.01 * np.sqrt(np.mean(forces**2))


def test_tin_of_vasp(shared_data: Path, tmp_path: Path) -> None:
    """Published rattled cells of α-Sn against its displaced cell: the Γ mode is 5.49 THz (PBE)."""
    made = make_supercells(
        "sn",
        bulk("Sn", "diamond", a=13.1399 / 2, cubic=True),
        Supercells(multiples={"sn": (2, 2, 2)}, kinds=["displaced"]),
        0,
        0,
    )
    cells = read_recorded(shared_data / "sn-alpha-vasp", "vasprun", "a").frames
    cells = [cell for cell in cells if len(cell) == 64]
    for cell in cells:
        cell.info["structure"] = "a"
    displaced = [cell for cell in cells if np.abs(cell.arrays[FORCES]).max() < 0.2]
    rattled = [cell for cell in cells if np.abs(cell.arrays[FORCES]).max() > 1]
    assert (len(displaced), len(rattled)) == (3, 6)  # at three volumes each
    found = {}
    for name, some in (("displaced", displaced), ("rattled", rattled)):
        root = tmp_path / name
        root.mkdir()
        folder, record = trained(Made(made.phonon, some), root)
        assert (
            f"{len(some) * 2 // 3} of {len(some)} labelled cells are omitted" in record.cautions[0]
        )
        found[name] = load_phonons(folder / "a.yaml")
    gamma = {name: one.run_qpoints([[0, 0, 0]]).frequencies[0][-1] for name, one in found.items()}
    assert gamma["displaced"] == pytest.approx(5.49, abs=0.01)
    assert gamma["rattled"] == pytest.approx(5.49, abs=0.15)  # atoms moved by 0.4 Å
