"""Recorded data of others: what their files hold, and what of it becomes a label."""

import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.io import read, write
from ase.units import GPa

from phonsmith.datasets.settings import Database
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS, read_frames, write_frames
from phonsmith.files.settings import Source
from phonsmith.files.sources import Places, sha256_of
from phonsmith.labels.calculator.settings import CalculatorReference
from phonsmith.labels.checks import check_label, labelled, unlabelled
from phonsmith.labels.factory import reference_method
from phonsmith.labels.labelling import label_cells
from phonsmith.labels.recorded.databases import load_database
from phonsmith.labels.recorded.readers.vasp import read_outcar, read_vasprun
from phonsmith.labels.recorded.reading import load_recorded, read_recorded
from phonsmith.labels.recorded.settings import RecordedReference
from phonsmith.labels.settings import Labels
from phonsmith.potentials.calculators import evaluate
from phonsmith.potentials.settings import PotentialSource
from phonsmith.structures.settings import Relaxation
from tests.cells import rattled_cells

SETTINGS = Labels()
STABLE = (5, 6, 9, 15, 18, 22, 23, 24, 25, 28, 32, 33, 34)
SW = CalculatorReference(
    method="calculator", potential=PotentialSource(calculator="stillinger-weber")
)


# --- recorded: phonopy and phono3py ---------------------------------------------------------------


def test_si_castep_has_105_displaced_cells_with_forces_only(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # phonopy.load would take these from the working folder
    (tmp_path / "FORCE_SETS").write_text("nonsense")
    (tmp_path / "BORN").write_text("nonsense")
    monkeypatch.chdir(tmp_path)
    count = atoms = 0
    for number in STABLE:
        path = shared_data / "si-castep" / f"{number}_phonopy.yaml"
        recorded = read_recorded(path, "phonopy", f"si-{number}", "CASTEP PW91")
        assert recorded.phonon is not None
        assert recorded.crystal is not None
        pristine = recorded.phonon.supercell.positions
        count += len(recorded.frames)
        for index, frame in enumerate(recorded.frames):
            atoms += len(frame)
            assert ENERGY not in frame.info
            assert STRESS not in frame.info
            assert frame.info["index"] == index
            assert (frame.info["kind"], frame.info["method"]) == ("displaced", "CASTEP PW91")
            assert np.abs(frame.arrays[FORCES].sum(axis=0)).max() < 1e-6
            check_label(frame, frame, SETTINGS)
            shift = np.linalg.norm(frame.positions - pristine, axis=1)
            moved = int(shift.argmax())
            assert (shift > 1e-8).sum() == 1
            assert shift[moved] == pytest.approx(0.01, abs=1e-6)
            # the atom is pulled back: forces and positions are in the same order
            direction = (frame.positions - pristine)[moved]
            assert frame.arrays[FORCES][moved] @ direction < 0
            assert np.linalg.norm(frame.arrays[FORCES], axis=1).argmax() == moved
    assert (count, atoms) == (105, 26362)  # as its README counts


def test_recorded_forces_give_the_published_gamma_mode(shared_data: Path) -> None:
    recorded = read_recorded(shared_data / "si-castep" / "22_phonopy.yaml", "phonopy", "mp-149")
    phonon = recorded.phonon
    assert phonon is not None
    assert recorded.crystal is not None
    assert len(recorded.crystal) == 2
    phonon.produce_force_constants()
    phonon.symmetrize_force_constants()
    gamma = phonon.run_qpoints([[0, 0, 0], [0.5, 0, 0.5]]).frequencies
    assert gamma[0][-1] == pytest.approx(15.11, abs=0.02)
    assert gamma[1][[0, 2, 4]] == pytest.approx([4.42, 12.02, 13.35], abs=0.03)


def test_force_sets_beside_a_yaml_are_read(shared_data: Path) -> None:
    folder = shared_data / "phonondb-pbesol/149-si-fd-3m-227/mp-149-20180417"
    recorded = read_recorded(folder / "phonon.yaml", "phonopy", "mp-149", "VASP PBEsol")
    assert recorded.phonon is not None
    recorded.phonon.produce_force_constants()
    recorded.phonon.symmetrize_force_constants()
    assert recorded.phonon.run_qpoints([[0, 0, 0]]).frequencies.max() == pytest.approx(
        15.29, abs=0.02
    )


def test_third_order_cells_come_with_what_second_order_needs(
    shared_data: Path, tmp_path: Path
) -> None:
    path = shared_data / "si-pbesol-fc3" / "phono3py_disp.yaml"
    recorded = read_recorded(path, "phono3py", "si", "VASP PBEsol")
    assert [len(frame) for frame in recorded.frames] == [64] * 111
    assert not any(ENERGY in frame.info for frame in recorded.frames)
    assert recorded.phonon is not None
    displaced = recorded.phonon.supercells_with_displacements
    assert len(displaced) == 1
    assert np.allclose(displaced[0].positions, recorded.frames[0].positions)
    recorded.phonon.produce_force_constants()
    recorded.phonon.symmetrize_force_constants()
    optical = recorded.phonon.run_qpoints([[0, 0, 0]]).frequencies.max()
    assert optical == pytest.approx(15.29, abs=0.1)  # phonondb's Si, the same functional

    # the raw runs that FORCES_FC3 was made of
    packed = shared_data / "si-pbesol-fc3" / "vasprun_xmls.tar.lzma"
    with tarfile.open(packed, "r:xz") as archive:
        names = sorted(one for one in archive.getnames() if one.endswith("/vasprun.xml"))
        assert len(names) == 111
        for number in (0, 1, 110):
            content = archive.extractfile(names[number])
            assert content is not None
            (tmp_path / f"vasprun-{number:03}.xml").write_bytes(content.read())
    raw = read_recorded(tmp_path, "vasprun", "si")
    for frame, number in zip(raw.frames, (0, 1, 110), strict=True):
        recorded_frame = recorded.frames[number]
        drift = frame.arrays[FORCES].mean(axis=0)
        assert np.allclose(
            frame.get_scaled_positions(), recorded_frame.get_scaled_positions(), atol=1e-6
        )
        assert np.allclose(
            frame.arrays[FORCES] - drift, recorded_frame.arrays[FORCES], atol=2e-5
        ) or np.allclose(frame.arrays[FORCES], recorded_frame.arrays[FORCES], atol=2e-5)


def test_random_displacements_come_with_energies(shared_data: Path) -> None:
    path = shared_data / "nacl-pbesol-random" / "phono3py_params_NaCl.yaml.xz"
    recorded = read_recorded(path, "phono3py", "nacl", "VASP PBEsol")
    sizes = [len(frame) for frame in recorded.frames]
    assert sizes == [512] * 2 + [64] * 100
    # binding energies per atom of both sizes agree, so that none is in other units
    energies = [frame.info[ENERGY] / len(frame) for frame in recorded.frames]
    assert max(energies) - min(energies) < 0.05
    assert recorded.phonon is not None
    cells_of_phonon = recorded.phonon.supercells_with_displacements
    for cell, frame in zip(cells_of_phonon, recorded.frames[:2], strict=True):
        assert np.allclose(cell.positions, frame.positions)
    assert recorded.phonon.nac_params is not None


def test_yaml_without_forces_or_in_disorder_is_refused(shared_data: Path, tmp_path: Path) -> None:
    alone = tmp_path / "phono3py_disp.yaml"
    shutil.copy(shared_data / "si-pbesol-fc3" / "phono3py_disp.yaml", alone)
    with pytest.raises(PhonsmithError, match="no FORCES_FC3 beside it"):
        read_recorded(alone, "phono3py", "si")
    (tmp_path / "FORCES_FC3").write_text("0 1 2\n")
    with pytest.raises(PhonsmithError, match="FORCES_FC3: cannot be read"):
        read_recorded(alone, "phono3py", "si")
    (tmp_path / "cut.yaml").write_text("phonopy:\n  version: [")
    with pytest.raises(PhonsmithError, match=r"cut.yaml: line 3: not valid YAML"):
        read_recorded(tmp_path / "cut.yaml", "phonopy", "si")
    with pytest.raises(PhonsmithError, match="no such file or folder"):
        read_recorded(tmp_path / "absent", "phonopy", "si")


# --- recorded: VASP -------------------------------------------------------------------------------


def test_vasp_runs_give_free_energies_and_forces_as_ase_reads_them(shared_data: Path) -> None:
    folder = shared_data / "sn-alpha-vasp"
    recorded = read_recorded(folder, "vasprun", "mp-117", "VASP PBE")
    files = sorted(folder.rglob("vasprun.xml.gz"))
    assert recorded.refused == []
    assert len(recorded.frames) == len(files) == 16
    for file, frame in zip(files, recorded.frames, strict=True):
        expected = read(file, index=-1)
        free = expected.get_potential_energy(force_consistent=True)
        assert frame.info[ENERGY] == pytest.approx(free, abs=1e-6)
        assert np.allclose(frame.arrays[FORCES], expected.get_forces(), atol=1e-8)
        assert np.allclose(frame.info[STRESS], expected.get_stress(voigt=False), atol=1e-6)
        assert np.allclose(frame.positions, expected.positions, atol=1e-6)
        scale = next((one for one in ("0.94", "1.06") if f"_{one}_" in str(file)), None)
        if scale:  # compressed cells want to grow: negative stress in ASE's sign
            assert np.sign(np.trace(frame.info[STRESS])) == (-1 if scale == "0.94" else 1)
    (atom,) = (frame for frame in recorded.frames if frame.info["kind"] == "isolated_atom")
    assert atom.info["config_type"] == "IsolatedAtom"
    assert atom.info[ENERGY] == pytest.approx(
        -0.33074971
    )  # not -0.176, extrapolated to no smearing


def test_outcar_says_the_same_as_vasprun(shared_data: Path) -> None:
    folder = shared_data / "sn-alpha-vasp"
    runs = read_recorded(folder, "vasprun", "mp-117").frames
    outcars = read_recorded(folder, "outcar", "mp-117").frames
    for one, other in zip(runs, outcars, strict=True):
        assert one.info["kind"] == other.info["kind"]
        assert one.info[ENERGY] == pytest.approx(other.info[ENERGY], abs=1e-5)
        assert np.allclose(one.arrays[FORCES], other.arrays[FORCES], atol=1e-5)
        assert np.allclose(one.info[STRESS], other.info[STRESS], atol=1e-5)
        assert np.allclose(one.positions, other.positions, atol=1e-4)


def test_smearing_and_entropy_of_vasp_runs(shared_data: Path) -> None:
    run = shared_data / "sn-alpha-vasp" / "dft_rattle_static_1_1_mp-117_1.0_0_65"
    for read_runs in (read_vasprun, read_outcar):
        ((_, level),) = read_runs(run).levels
        assert level.smearing == "ISMEAR 1, SIGMA 0.05 eV"
        assert 0 <= level.entropy < 1e-3


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("bad_vasprun/vasprun.xml", "is not a complete vasprun.xml"),
        ("unconverged/vasprun.xml.electronic", "electronic loop did not converge .* NELM = 100"),
        ("unconverged/vasprun.xml.ionic", "relaxation did not converge within NSW = 2"),
        ("unconverged/vasprun.xml.unconverged_unfixable", "electronic loop did not converge"),
        ("zpotrf/vasp.out", "is not a complete vasprun.xml"),
        ("vasp.zbrent", "is not a complete vasprun.xml"),
        ("vasp.edddav", "is not a complete vasprun.xml"),
    ],
)
def test_failed_vasp_runs_never_become_labels(shared_data: Path, file: str, reason: str) -> None:
    with pytest.raises(PhonsmithError, match=reason) as caught:
        read_recorded(shared_data / "vasp-failures" / file, "vasprun", "x")
    assert file in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file", ["vasp.zbrent", "zpotrf/vasp.out", "zpotrf/OSZICAR.one_step"])
def test_failed_runs_have_no_outcar(shared_data: Path, file: str) -> None:
    with pytest.raises(PhonsmithError, match="is not a complete OUTCAR"):
        read_recorded(shared_data / "vasp-failures" / file, "outcar", "x")


def outcar(shared_data: Path) -> str:
    import gzip

    folder = shared_data / "sn-alpha-vasp/tight_relax_1_mp-117_1.06_0_52/outputs"
    return gzip.decompress((folder / "OUTCAR.gz").read_bytes()).decode()


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (
            "aborting loop because EDIFF is reached",
            "aborting loop EDIFF was not reached",
            "electro",
        ),
        ("reached required accuracy", "", "relaxation did not converge within NSW = 99"),
        ("General timing and accounting", "", "did not finish"),
    ],
)
def test_unconverged_outcars_are_refused(
    shared_data: Path, tmp_path: Path, old: str, new: str, reason: str
) -> None:
    text = outcar(shared_data)
    assert old in text
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "OUTCAR").write_text(text)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "OUTCAR").write_text(text.replace(old, new))
    recorded = read_recorded(tmp_path, "outcar", "x")
    assert len(recorded.frames) == 1
    (line,) = recorded.refused
    assert str(tmp_path / "bad" / "OUTCAR") in line
    assert reason in line


def test_a_cut_packed_run_is_refused(shared_data: Path, tmp_path: Path) -> None:
    (file, *_) = sorted((shared_data / "sn-alpha-vasp").rglob("vasprun.xml.gz"))
    cut = tmp_path / "vasprun.xml.gz"
    cut.write_bytes(file.read_bytes()[:-2000])
    with pytest.raises(PhonsmithError, match="is not a complete vasprun"):
        read_recorded(cut, "vasprun", "x")
    with pytest.raises(PhonsmithError, match="no file OUTCAR"):
        read_recorded(tmp_path, "outcar", "x")


# --- recorded: extxyz and mlearn ------------------------------------------------------------------


def test_extxyz_of_this_project_and_of_ase(tmp_path: Path) -> None:
    labels, _ = label_cells(rattled_cells(2), reference_method(SW), SETTINGS)
    write_frames(tmp_path / "ours.extxyz", labels)
    ours = read_recorded(tmp_path / "ours.extxyz", "extxyz", "db", "SW").frames
    plain = rattled_cells(2)
    for atoms in plain:
        atoms.info.clear()
        atoms.calc = reference_method(SW).calculator  # type: ignore[attr-defined]
        atoms.get_stress()
        write(tmp_path / "ase.extxyz", atoms, append=True)
    theirs = read_recorded(tmp_path / "ase.extxyz", "extxyz", "db", "SW").frames
    for label, one, other in zip(labels, ours, theirs, strict=True):
        for frame in (one, other):
            assert frame.info[ENERGY] == pytest.approx(label.info[ENERGY], abs=1e-6)
            assert np.allclose(frame.arrays[FORCES], label.arrays[FORCES], atol=1e-7)
            assert np.allclose(frame.info[STRESS], label.info[STRESS], atol=1e-7)
            assert (frame.info["structure"], frame.info["method"]) == ("db", "SW")
            assert frame.calc is None
    assert ours[0].info["kind"] == "rattled"
    assert theirs[0].info["kind"] == "recorded"


def test_extxyz_frames_that_are_no_labels_are_named(tmp_path: Path) -> None:
    good, nan, bare = rattled_cells(3)
    good = labelled(good, "", 1.0, np.zeros((8, 3)))
    nan = labelled(nan, "", float("nan"), np.zeros((8, 3)))
    write_frames(tmp_path / "a.extxyz", [good, nan, bare])
    recorded = read_recorded(tmp_path / "a.extxyz", "extxyz", "db")
    assert len(recorded.frames) == 1
    assert "frame 1 contains numbers that are not finite" in recorded.refused[0]
    assert "frame 2 has no REF_forces" in recorded.refused[1]
    write_frames(tmp_path / "b.extxyz", [bare])
    with pytest.raises(PhonsmithError, match="rename the columns to REF_energy"):
        read_recorded(tmp_path / "b.extxyz", "extxyz", "db")


def test_mlearn_counts_and_groups(shared_data: Path) -> None:
    folder = shared_data / "si-mlearn-vasp"
    train = read_recorded(folder / "training.json", "mlearn", "mlearn", "VASP PBE").frames
    test = read_recorded(folder / "test.json", "mlearn", "mlearn", "VASP PBE").frames
    assert (len(train), len(test)) == (214, 25)
    groups = {frame.info["config_type"] for frame in train}
    assert {"Elastic", "AIMD-NVT", "Vacancy", "Surface"} <= groups
    for frame in train + test:
        check_label(frame, frame, SETTINGS)
        assert frame.info["kind"] == "recorded"
        assert (STRESS in frame.info) == (frame.info["config_type"] != "Surface")


def test_mlearn_stress_of_strained_crystals_follows_the_strain(shared_data: Path) -> None:
    path = shared_data / "si-mlearn-vasp" / "training.json"
    frames = read_recorded(path, "mlearn", "mlearn").frames
    elastic = [frame for frame in frames if frame.info["config_type"] == "Elastic"]
    computed = evaluate(elastic, SW.potential)
    sheared = 0
    for frame, by_sw in zip(elastic, computed, strict=True):
        stress = frame.info[STRESS]
        angles = np.abs(frame.cell.angles() - 90)
        if angles.max() > 0.1:
            # alpha, beta, gamma are the shears yz, xz, xy: the others have no stress
            shears = np.array([stress[1, 2], stress[0, 2], stress[0, 1]])
            expected = [by_sw.stress[1, 2], by_sw.stress[0, 2], by_sw.stress[0, 1]]
            axis = int(angles.argmax())
            assert np.count_nonzero(np.abs(shears) > 1e-4) == 1
            assert np.abs(shears).argmax() == axis
            assert shears[axis] == pytest.approx(expected[axis], rel=0.2)
            sheared += 1
        else:
            assert np.abs(stress - np.diag(np.diag(stress))).max() < 1e-6
        volume = frame.get_volume() / len(frame)
        if abs(volume - 20.46) > 0.7:  # compressed: negative, in ASE's sign
            assert np.sign(np.trace(stress)) == np.sign(volume - 20.46)
    assert sheared == 27


@pytest.mark.parametrize(
    ("element", "group", "shears"),
    [
        ("Si", "Elastic", ("xy", "yz", "xz")),
        ("Ge", "Elastic", ("xy", "yz", "xz")),
        ("Mo", "Elastic", ("xy", "xz", "yz")),
        ("Ni", "Elastic", ("xy", "xz", "yz")),
        ("Cu", "AIMD-NVT", ("xy", "xz", "yz")),
        ("Li", "AIMD-NVT", ("xy", "yz", "xz")),
        ("Li", "Elastic", None),
        ("Mo", "Surface", None),
        ("W", "Elastic", None),
    ],
)
def test_mlearn_orders_the_stress_by_element_and_group(
    tmp_path: Path, element: str, group: str, shears: tuple[str, ...] | None
) -> None:
    site = {"species": [{"element": element, "occu": 1}], "xyz": [0.1, 0.2, 0.3]}
    entry = {
        "structure": {"lattice": {"matrix": (3 * np.eye(3)).tolist()}, "sites": [site]},
        "group": group,
        "outputs": {
            "energy": -1.0,
            "forces": [[0.0, 0.0, 0.0]],
            "virial_stress": [-1.0, -2.0, -3.0, -4.0, -5.0, -6.0],
        },
    }
    (tmp_path / "a.json").write_text(json.dumps([entry]))
    (frame,) = read_recorded(tmp_path / "a.json", "mlearn", "db").frames
    assert (STRESS in frame.info) == (shears is not None)
    if shears:
        stress = frame.info[STRESS] / (0.1 * GPa)
        assert np.diag(stress) == pytest.approx([1, 2, 3])
        for value, name in zip((4, 5, 6), shears, strict=True):
            place = tuple("xyz".index(axis) for axis in name)
            assert stress[place] == pytest.approx(value)


def without_pressure(stresses: np.ndarray) -> np.ndarray:
    """Pressure is the same on all axes and would make all of them look alike."""
    return stresses - np.trace(stresses, axis1=1, axis2=2)[:, None, None] / 3 * np.eye(3)


@pytest.mark.slow
def test_mlearn_stress_of_hot_cells_agrees_with_chgnet_by_component(shared_data: Path) -> None:
    path = shared_data / "si-mlearn-vasp" / "training.json"
    frames = read_recorded(path, "mlearn", "mlearn").frames
    for group in ("AIMD-NVT", "Vacancy"):
        hot = [frame for frame in frames if frame.info["config_type"] == group][::4]
        results = evaluate(hot, PotentialSource(calculator="chgnet"))
        by_chgnet = np.array([result.stress for result in results])
        by_vasp = np.array([frame.info[STRESS] for frame in hot])
        by_chgnet, by_vasp = without_pressure(by_chgnet), without_pressure(by_vasp)
        pairs = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]
        for own in pairs:
            found = {
                other: np.corrcoef(by_vasp[:, own[0], own[1]], by_chgnet[:, other[0], other[1]])
                for other in pairs
            }
            assert found[own][0, 1] > 0.8
            assert max(found, key=lambda other: abs(found[other][0, 1])) == own


def test_other_json_is_refused(tmp_path: Path) -> None:
    for text in ("[1]", '{"a": 1}', "[{}]", "nothing"):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(PhonsmithError, match="not a JSON file of mlearn"):
            read_recorded(tmp_path / "a.json", "mlearn", "db")


# --- recorded data in a campaign ------------------------------------------------------------------


def recorded_reference(folder: Path, files: list[str], format: str) -> RecordedReference:
    source = Source(name=folder.name, files={file: sha256_of(folder / file) for file in files})
    return RecordedReference(
        method="recorded", level_of_theory="VASP PBEsol", source=source, format=format
    )


def test_a_recorded_method_labels_its_own_cells_only(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "si-pbesol-fc3"
    reference = recorded_reference(folder, ["phono3py_disp.yaml", "FORCES_FC3"], "phono3py")
    mirrors = [shared_data]
    recorded = load_recorded(reference, "phono3py_disp.yaml", Places(mirrors, tmp_path), "mp-149")
    assert recorded.frames[5].info["structure"] == "mp-149"
    asked = unlabelled(recorded.frames[::40])
    assert not any(FORCES in cell.arrays or "method" in cell.info for cell in asked)
    write_frames(tmp_path / "cells.extxyz", asked)  # rounds positions, as the pipeline does
    asked = read_frames(tmp_path / "cells.extxyz")
    stranger = asked[0].copy()
    stranger.rattle(0.01, seed=0)
    beyond = asked[0].copy()
    beyond.info["index"] = 111
    method = reference_method(
        reference, recorded="phono3py_disp.yaml", places=Places(mirrors, tmp_path)
    )
    labels, failures = label_cells([*asked, stranger, beyond], method, SETTINGS)
    for label, frame in zip(labels, recorded.frames[::40], strict=True):
        assert np.allclose(label.arrays[FORCES], frame.arrays[FORCES])
        assert ENERGY not in label.info
        assert label.info["method"] == "VASP PBEsol"
    reasons = [failure.reason for failure in failures]
    assert reasons == [
        "cell 0 of the recorded data is a different cell",
        "the recorded data have no cell 111",
    ]
    assert method.isolated_atom("Si") is None
    with pytest.raises(PhonsmithError, match="cannot relax"):
        method.relax(bulk("Si"), Relaxation())


def test_a_folder_of_a_source_is_read_by_its_list(shared_data: Path, tmp_path: Path) -> None:
    runs = [
        "dft_phonon_static_1_1_mp-117_1.0_0_189",
        "dft_rattle_static_1_1_mp-117_1.0_0_65",
    ]
    files = [f"{run}/outputs/vasprun.xml.gz" for run in runs]
    folder = shared_data / "sn-alpha-vasp"
    reference = recorded_reference(folder, files, "vasprun")
    with pytest.raises(PhonsmithError, match="but the functional is PBE"):
        load_recorded(reference, runs[0], Places([shared_data], tmp_path))
    reference = reference.model_copy(update={"level_of_theory": "VASP PBE"})
    recorded = load_recorded(reference, runs[0], Places([shared_data], tmp_path))
    assert len(recorded.frames) == 1
    source = Source(name="sn-alpha-vasp", files=reference.source.files)
    database = Database(
        source=source,
        format="vasprun",
        level_of_theory="VASP PBE",
        train_files=[runs[0]],
        test_files=[files[1]],
    )
    parts = load_database("tin", database, Places([shared_data], tmp_path))
    assert [len(parts[part].frames) for part in ("train", "test")] == [1, 1]
    assert [parts[part].frames[0].info["index"] for part in ("train", "test")] == [0, 1]
    assert parts["test"].frames[0].info["structure"] == "tin"
    with pytest.raises(PhonsmithError, match="no outcar file among"):
        load_recorded(
            reference.model_copy(update={"format": "outcar"}),
            runs[0],
            Places([shared_data], tmp_path),
        )
