"""Existing calculations: labelled cells over their crystal, as displacements and as other kinds."""

import gzip
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.io import write
from phonopy import Phonopy

from phonsmith.files.errors import DataWarning, PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS, read_frames, write_frames
from phonsmith.files.settings import Source
from phonsmith.files.sources import Places, sha256_of
from phonsmith.fits.errors import errors_of, recorded_predictions
from phonsmith.labels.checks import labelled, unlabelled
from phonsmith.labels.factory import reference_method
from phonsmith.labels.labelling import label_cells
from phonsmith.labels.recorded.displacements import arranged, crystal_of
from phonsmith.labels.recorded.readers.each import Recorded
from phonsmith.labels.recorded.reading import load_recorded, read_recorded, with_cautions
from phonsmith.labels.recorded.settings import RecordedReference
from phonsmith.labels.settings import Labels
from phonsmith.phonons.files import load_displacements, save_phonons
from phonsmith.phonons.force_constants import potential_phonons, reference_phonons
from phonsmith.potentials.calculators import evaluate
from phonsmith.potentials.settings import PotentialSource
from phonsmith.structures.symmetry import space_group
from phonsmith.supercells.cells import displaced_cells, make_phonopy, rattled_cells, to_ase
from phonsmith.supercells.coverage import coverage
from phonsmith.supercells.settings import Displaced, Rattled
from tests.project import Project

SW = PotentialSource(calculator="stillinger-weber")
SILICON = "config/structures/silicon"


def with_labels(cells: list[Atoms]) -> list[Atoms]:
    return [
        labelled(cell, "SW", one.energy, one.forces, one.stress)
        for cell, one in zip(cells, evaluate(cells, SW), strict=True)
    ]


def foreign(frame: Atoms, seed: int) -> Atoms:
    """The same cell as another code might write it: order and origin changed, atoms wrapped."""
    random = np.random.default_rng(seed)
    other = frame[random.permutation(len(frame))]
    other.info = {key: frame.info[key] for key in (ENERGY, STRESS)}
    other.translate(random.uniform(-5, 5, size=3))
    other.wrap()
    return other


def frequencies(phonon: Phonopy) -> np.ndarray:
    return phonon.run_qpoints([[0, 0, 0], [0.5, 0.1, 0.2], [0.3, 0.5, 0]]).frequencies


def numbered(frames: list[Atoms]) -> list[Atoms]:
    for index, frame in enumerate(frames):
        frame.info["index"] = index
    return frames


def without_forces(phonon: Phonopy) -> Phonopy:
    """As it comes out of the file between two jobs."""
    for one in phonon.dataset["first_atoms"]:
        del one["forces"]
    return phonon


# --- existing VASP runs ---------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["vasprun", "outcar"])
@pytest.mark.parametrize(
    ("scale", "gamma_and_x"),
    [("0.94", (6.95, -1.23)), ("1.0", (5.49, 0.98)), ("1.06", (4.05, 1.33))],
)
def test_vasp_runs_of_tin_give_its_phonons(
    tmp_path: Path, shared_data: Path, scale: str, gamma_and_x: tuple[float, float], format: str
) -> None:
    """Imaginary at the zone boundary where compressed: α-Sn wants to become β-Sn."""
    data = shared_data / "sn-alpha-vasp"
    runs = [one.name for one in sorted(data.glob(f"dft_*_mp-117_{scale}_*"))]
    name = {"vasprun": "vasprun.xml.gz", "outcar": "OUTCAR.gz"}[format]
    files = [f"{run}/outputs/{name}" for run in [*runs, "Sn-stat_iso_atom_0_25"]]
    reference = RecordedReference(
        method="recorded",
        level_of_theory="VASP PBE",
        source=Source(name=data.name, files={file: sha256_of(data / file) for file in files}),
        format=format,
    )
    (relaxed,) = data.glob(f"tight_relax_2_mp-117_{scale}_*/outputs/CONTCAR.gz")
    (tmp_path / "POSCAR").write_bytes(gzip.decompress(relaxed.read_bytes()))
    recorded = ["Sn-stat_iso_atom_0_25", *reversed(runs)]

    crystal = str(tmp_path / "POSCAR")
    read = load_recorded(
        reference, recorded, Places([shared_data], tmp_path), "tin", crystal=crystal
    )
    kinds = [frame.info["kind"] for frame in read.frames]
    assert kinds == ["displaced", "isolated_atom", "rattled", "rattled"]
    assert [frame.info["index"] for frame in read.frames] == [0, 1, 2, 3]
    assert read.frames[1].info[ENERGY] == pytest.approx(-0.33074971)
    assert read.phonon is not None
    (first,) = read.phonon.dataset["first_atoms"]
    assert np.linalg.norm(first["displacement"]) == pytest.approx(0.01, abs=2e-5)
    assert np.array_equal(first["forces"], read.frames[0].arrays[FORCES])

    # through files, as in a campaign: cells, displacements, and labels of the cells
    save_phonons(tmp_path / "tin.yaml", read.phonon)
    write_frames(tmp_path / "cells.extxyz", unlabelled(read.frames))
    cells = read_frames(tmp_path / "cells.extxyz")
    method = reference_method(
        reference, recorded=recorded, places=Places([shared_data], tmp_path), crystal=crystal
    )
    labels, failures = label_cells(cells, method, Labels())
    assert failures == []
    phonon = reference_phonons(load_displacements(tmp_path / "tin.yaml"), labels)
    x = phonon.primitive.cell @ [1, 0, 0] / read.crystal.cell.lengths()[0]
    at_gamma, at_x = phonon.run_qpoints([[0, 0, 0], x]).frequencies
    assert (at_gamma.max(), at_x.min()) == pytest.approx(gamma_and_x, abs=0.01)


# --- order, origin, shape of the supercell --------------------------------------------------------


@pytest.mark.parametrize(
    ("crystal", "matrix"),
    [
        ("mp-149", [[2, 0, 0], [0, 2, 0], [0, 0, 2]]),
        ("mp-149", [[-2, 2, 2], [2, -2, 2], [2, 2, -2]]),
        ("mp-165", [[3, 0, 0], [0, 3, 0], [0, 0, 2]]),
        ("mp-168", [[2, 0, 0], [0, 2, 0], [0, 0, 1]]),  # less symmetric than the crystal
    ],
)
def test_cells_of_another_code_give_the_same_force_constants(
    tmp_path: Path, repository: Path, crystal: str, matrix: list[list[int]]
) -> None:
    file = repository / SILICON / f"{crystal}.vasp"
    atoms = crystal_of(file)
    direct = make_phonopy(atoms, matrix)
    cells = with_labels(displaced_cells(direct, Displaced()))
    for index, cell in enumerate(cells):
        cell.info.update(kind="displaced", index=index)
    direct = reference_phonons(direct, cells)

    write(tmp_path / "cells.extxyz", [foreign(cell, seed) for seed, cell in enumerate(cells)])
    frames = read_recorded(tmp_path / "cells.extxyz", "extxyz", "si").frames
    assert {frame.info["kind"] for frame in frames} == {"recorded"}
    frames, phonon = arranged(frames, crystal_of(file))
    assert {frame.info["kind"] for frame in frames} == {"displaced"}
    phonon = reference_phonons(without_forces(phonon), frames)
    assert np.abs(phonon.force_constants - direct.force_constants).max() < 1e-4  # eV/Å²
    assert np.allclose(frequencies(phonon), frequencies(direct), atol=1e-3)


def test_every_kind_of_cell_is_told_apart(repository: Path) -> None:
    file = repository / SILICON / "mp-149.vasp"
    atoms = crystal_of(file)
    matrix = np.array([[-2, 2, 2], [2, -2, 2], [2, 2, -2]])
    phonon = make_phonopy(atoms, matrix)
    (displaced,) = displaced_cells(phonon, Displaced())
    two = displaced.copy()
    two.positions[40] += [0.0, 0.01, 0.0]
    far = displaced.copy()
    far.positions[40] += [0.0, 0.9, 0.0]
    strained = displaced.copy()
    strained.set_cell(strained.cell * 1.01, scale_atoms=True)
    settings = Rattled(std_angstrom=0.05, volume_factors=[0.9, 1.1], max_angle_strain_degree=3)
    rattled = rattled_cells(atoms, matrix, settings, [1, 2])
    pristine = make_supercell(atoms, matrix)
    other = bulk("Si", "fcc", a=3.9) * (4, 4, 2)
    germanium = displaced.copy()
    germanium.symbols[3] = "Ge"
    cells = [two, far, strained, *rattled, pristine, other, germanium, displaced]
    frames = []
    for seed, cell in enumerate(cells):
        frames.append(foreign(labelled(cell, "", 0.0, np.zeros((len(cell), 3)), np.eye(3)), seed))
    alone = labelled(Atoms("Si", cell=[15] * 3, pbc=True), "", 0.0, np.zeros((1, 3)))
    molecule = labelled(Atoms("Si2", [[0, 0, 0], [2.2, 0, 0]]), "", 0.0, np.zeros((2, 3)))
    alone.info["kind"] = "isolated_atom"
    got, _ = arranged([*frames, alone, molecule], atoms)
    assert [frame.info["kind"] for frame in got] == [
        *("displaced", "rattled", "recorded", "rattled", "rattled", "rattled"),
        *("recorded", "recorded", "recorded", "isolated_atom", "recorded"),
    ]
    # all but those of the displacement set stay as they are
    assert got[1].positions == pytest.approx(frames[0].positions)
    assert "kind" not in frames[0].info


def test_redundant_cells_and_larger_supercells_are_welcome(repository: Path) -> None:
    atoms = crystal_of(repository / SILICON / "mp-149.vasp")
    small, large = (make_phonopy(atoms, np.eye(3, dtype=int) * n) for n in (2, 3))
    cells = displaced_cells(small, Displaced())
    cells += displaced_cells(large, Displaced(plus_minus="always"))
    frames, phonon = arranged([foreign(one, 5) for one in with_labels(cells)], atoms)
    assert [len(frame) for frame in frames] == [54, 54, 16]
    assert {frame.info["kind"] for frame in frames} == {"displaced"}
    found = frequencies(reference_phonons(phonon, frames))
    expected = large
    direct = with_labels(displaced_cells(expected, Displaced()))
    for frame in direct:
        frame.info["kind"] = "displaced"
    assert np.allclose(found, frequencies(reference_phonons(expected, numbered(direct))), atol=0.01)


# --- what does not suffice ------------------------------------------------------------------------


def lonsdaleite(repository: Path) -> tuple[Atoms, list[Atoms]]:
    """The crystal and three displaced cells: one in the plane, two along the axis."""
    atoms = crystal_of(repository / SILICON / "mp-165.vasp")
    phonon = make_phonopy(atoms, np.eye(3, dtype=int) * 2)
    phonon.dataset = {
        "natom": 32,
        "first_atoms": [
            {"number": 0, "displacement": [0.01, 0.0, 0.0]},
            {"number": 0, "displacement": [0.0, 0.0, 0.01]},
            {"number": 0, "displacement": [0.0, 0.0, -0.01]},
        ],
    }
    return atoms, with_labels([to_ase(cell) for cell in phonon.supercells_with_displacements])


def test_a_missing_displacement_is_named(repository: Path) -> None:
    atoms, cells = lonsdaleite(repository)
    for some, number in ((cells[:1], 2), (cells[1:], 1)):
        frames, phonon = arranged(some, atoms)
        with pytest.raises(PhonsmithError, match=rf"Si \(atom 1 .* along {number} of 3 .*`role"):
            reference_phonons(phonon, frames)


def test_an_atom_that_nobody_displaced_is_named() -> None:
    salt = bulk("NaCl", "rocksalt", a=5.6)
    cells = displaced_cells(make_phonopy(salt, np.eye(3, dtype=int) * 2), Displaced())
    frames = [labelled(one, "", 0.0, np.zeros((len(one), 3))) for one in cells]
    _, phonon = arranged(frames, salt)
    assert coverage(phonon).missing == ""
    frames, phonon = arranged(frames[:1], salt)
    with pytest.raises(PhonsmithError, match=r"Cl \(atom 9 .* along 0 of 3") as caught:
        reference_phonons(phonon, frames)
    assert "Na" not in str(caught.value).split(":")[1]


def test_an_incomplete_twin_of_a_complete_atom_is_left_out(repository: Path) -> None:
    """phonopy solves each displaced atom by itself and would take nonsense for the second one."""
    atoms, cells = lonsdaleite(repository)
    twin = to_ase(make_phonopy(atoms, np.eye(3, dtype=int) * 2).supercell)
    twin.positions[8] += [0.0, 0.0, 0.01]
    frames, phonon = arranged([*with_labels([twin]), *cells], atoms)
    assert coverage(phonon) == coverage(arranged(cells, atoms)[1])
    assert len(phonon.supercells_with_displacements) == 3
    assert [frame.info["kind"] for frame in frames] == ["displaced"] * 4
    assert np.allclose(frames[3].positions, twin.positions)
    complete, expected = arranged(cells, atoms)
    expected = reference_phonons(expected, numbered(complete))
    found = reference_phonons(phonon, frames)
    assert np.allclose(frequencies(found), frequencies(expected), atol=1e-4)


def test_what_was_refused_and_strained_is_told_in_the_report() -> None:
    def read() -> Recorded:
        warnings.warn("3 cells are strained.", DataWarning, stacklevel=2)
        warnings.warn("not for readers", RuntimeWarning, stacklevel=2)
        return Recorded([], refused=[f"run{i}: not converged" for i in range(5)])

    recorded, (strained, refused) = with_cautions(read)
    assert len(recorded.refused) == 5
    assert strained == "3 cells are strained."
    assert refused.startswith("Refused as labels (5): run0: not converged; run1")
    assert refused.endswith("; and 2 more.")
    assert with_cautions(lambda: Recorded([]))[1] == []


def test_a_crystal_at_another_volume_is_noticed(tmp_path: Path, repository: Path) -> None:
    atoms, cells = lonsdaleite(repository)
    atoms.set_cell(atoms.cell * 1.01, scale_atoms=True)
    with pytest.warns(DataWarning, match=r"3 cells have one .* a lattice strained by 0\.99 %"):
        frames, phonon = arranged(cells, atoms)
    assert [frame.info["kind"] for frame in frames] == ["rattled"] * 3
    save_phonons(tmp_path / "a.yaml", phonon)  # a crystal that only tests needs no phonons
    with pytest.raises(PhonsmithError, match=r"no recorded cell .* at their volume.*role: test"):
        reference_phonons(load_displacements(tmp_path / "a.yaml"), frames)


@pytest.mark.parametrize("angle", [1, 30])
def test_a_crystal_in_another_orientation_is_noticed(
    repository: Path, capsys: pytest.CaptureFixture[str], angle: float
) -> None:
    atoms, cells = lonsdaleite(repository)
    atoms.rotate(angle, (1, 2, 3), rotate_cell=True)
    arranged(cells, atoms)
    said = capsys.readouterr().out
    assert "3 cells have the lengths and angles of the crystal, in another orientation" in said
    assert "volume" not in said


def test_rounded_crystal_files_get_their_symmetry_back(tmp_path: Path, repository: Path) -> None:
    atoms, cells = lonsdaleite(repository)
    atoms.set_scaled_positions(np.round(atoms.get_scaled_positions(), 5))
    assert space_group(atoms, 1e-5) != (194, "P6_3/mmc")
    write(tmp_path / "a.vasp", atoms, format="vasp", direct=True)
    frames, phonon = arranged(cells, crystal_of(tmp_path / "a.vasp"))
    assert [frame.info["kind"] for frame in frames] == ["displaced"] * 3
    assert coverage(phonon).missing == ""


# --- recorded forces of another potential ---------------------------------------------------------


def recorded_pair(folder: Path) -> Phonopy:
    """The reference's cells in ours.yaml, 1.21 times the forces in theirs.yaml, other cells too."""
    crystal = bulk("Si", cubic=True)
    for name, factor, scale in (("ours", 1, 1), ("theirs", 1.21, 1), ("wider", 1, 1.001)):
        cell = crystal.copy()
        cell.set_cell(scale * crystal.cell[:], scale_atoms=True)
        phonon = potential_phonons(cell, 2 * np.eye(3, dtype=int), Displaced(), SW)
        for one in phonon.dataset["first_atoms"]:
            one["forces"] = factor * one["forces"]
        save_phonons(folder / f"{name}.yaml", phonon)
    return load_displacements(folder / "ours.yaml")


def test_recorded_forces_on_the_same_cells_have_errors(tmp_path: Path) -> None:
    recorded_pair(tmp_path)
    frames = read_recorded(tmp_path / "ours.yaml", "phonopy", "si").frames
    forces = np.concatenate([frame.arrays[FORCES].ravel() for frame in frames])
    shuffled = [frame[np.random.default_rng(1).permutation(len(frame))] for frame in frames]
    for mine in (frames, shuffled):
        for frame in mine:
            frame.info |= {"structure": "si", "kind": "displaced"}
        theirs = {"si": load_displacements(tmp_path / "theirs.yaml")}
        errors = errors_of(recorded_predictions(mine, theirs, "test"))
        assert set(errors["quantity"]) == {"force"}
        rmse = errors[(errors["kind"] == "all") & (errors["structure"] == "all")]["rmse"].item()
        assert rmse == pytest.approx(0.21 * np.sqrt(np.mean(forces**2)), rel=1e-6)
    wider = {"si": load_displacements(tmp_path / "wider.yaml")}
    assert recorded_predictions(frames, wider, "test").empty


@pytest.mark.slow
def test_a_campaign_of_two_recorded_sets_has_errors_where_cells_agree(
    tmp_path: Path, repository: Path
) -> None:
    (tmp_path / "data").mkdir()
    recorded_pair(tmp_path / "data")
    source = {"name": "mine", "folder": "data"}
    fit = {"kind": "recorded", "level_of_theory": "other", "source": source}
    campaign = {
        "structures": {"si": {"recorded": "ours.yaml", "role": "benchmark"}},
        "reference": {"method": "recorded", "level_of_theory": "SW", "source": source},
        "fits": {name: {**fit, "files": {"si": f"{name}.yaml"}} for name in ("theirs", "wider")},
        "phonons": {"points_per_segment": 5, "mesh_length_angstrom": 15},
        "figures": {"formats": ["svg"]},
    }
    project = Project(tmp_path, repository, tiny=campaign)
    run = project.run()
    assert run.returncode == 0, run.stdout + run.stderr
    errors = pd.read_csv(project.results("tiny") / "tables/errors.csv")
    assert set(errors["fit"]) == {"theirs"}
    page = (project.results("tiny") / "report.html").read_text()
    assert "Force (meV/Å), test" in page
