"""Own folders of data: what they hold as YAML, and files without checksums."""

import json
import lzma
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from ase.build import bulk
from ase.io import write
from phonopy.file_IO import (
    write_FORCE_CONSTANTS,
    write_force_constants_to_hdf5,
    write_FORCE_SETS,
)
from pydantic import ValidationError

from phonsmith.campaign.model import Campaign
from phonsmith.datasets.settings import Database
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.settings import Source
from phonsmith.files.sources import Places, listed, locate, sha256_of
from phonsmith.labels.recorded.databases import load_database
from phonsmith.labels.recorded.method import RecordedMethod
from phonsmith.labels.recorded.reading import load_recorded
from phonsmith.labels.recorded.settings import RecordedReference
from phonsmith.labels.recorded.survey import as_yaml, main, survey
from phonsmith.phonons.files import save_phonons
from phonsmith.phonons.force_constants import potential_phonons
from phonsmith.potentials.settings import PotentialSource
from phonsmith.structures.settings import Structure
from phonsmith.supercells.cells import to_ase
from phonsmith.supercells.settings import Displaced
from tests.project import Project


def test_a_folder_becomes_blocks_of_a_campaign(shared_data: Path, tmp_path: Path) -> None:
    for name, target in {
        "si-castep/24_phonopy.yaml": "bc8/phonopy.yaml",
        "real-inputs/extxyz-ref-virial.xyz": "sets/si.xyz",
        "real-inputs/vasp/vasprun.kinter.xml": "runs/a/vasprun.xml",
    }.items():
        path = tmp_path / "data" / target
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(shared_data / name, path)
    folder = tmp_path / "data"
    found = {(one.format, one.wanted) for one in survey(folder)}
    assert found == {
        ("phonopy", "bc8/phonopy.yaml"),
        ("vasprun", "runs"),
        ("extxyz", "sets/si.xyz"),
    }
    text = as_yaml(folder, survey(folder), "CASTEP PW91")
    phonopy, vasprun, extxyz = text.split("\n\n")
    block = yaml.safe_load(phonopy)
    reference = RecordedReference(**block["reference"])
    assert reference.source.files == {"bc8/phonopy.yaml": sha256_of(folder / "bc8/phonopy.yaml")}
    assert Structure(**block["structures"]["bc8"]).recorded == "bc8/phonopy.yaml"
    assert yaml.safe_load(vasprun)["structures"]["runs"]["file"] == "CRYSTAL.vasp"
    # the database in comments is ready, too
    lines = [line[2:] for line in extxyz.splitlines() if line.startswith("#")]
    start = lines.index("datasets:")
    database = yaml.safe_load("\n".join(lines[start:]))["datasets"]["databases"]["my-data"]
    assert Database(**database).train_files == ["sets/si.xyz"]


def test_a_folder_without_data_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    monkeypatch.setattr("sys.argv", ["survey", str(tmp_path)])
    with pytest.raises(SystemExit, match="contains no data in a supported format"):
        main()
    monkeypatch.setattr("sys.argv", ["survey", str(tmp_path / "absent")])
    with pytest.raises(SystemExit, match="no such folder"):
        main()


def test_files_in_a_folder_of_ones_own_need_no_checksum(shared_data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    (folder / "sets").mkdir(parents=True)
    shutil.copy(shared_data / "real-inputs/extxyz-ref-virial.xyz", folder / "sets/a.xyz")
    for files in ({}, ["sets/a.xyz"], {"sets/a.xyz": sha256_of(folder / "sets/a.xyz")}):
        source = Source(name="mine", folder=str(folder), files=files)
        assert listed(source) == ["sets/a.xyz"]
        for wanted in ("sets/a.xyz", "sets", "."):
            database = Database(source=source, level_of_theory="x", train_files=[wanted])
            assert len(load_database("db", database, Places(cache=tmp_path))["train"].frames) == 5
    alone = Database(source=source, level_of_theory="x", test_files=["."])  # a set to test on
    parts = load_database("db", alone, Places(cache=tmp_path))
    assert {part: len(read.frames) for part, read in parts.items()} == {"train": 0, "test": 5}
    wrong = Source(name="mine", folder=str(folder), files={"sets/a.xyz": "0" * 64})
    with pytest.raises(PhonsmithError, match="checksum differs"):
        locate(wrong, "sets/a.xyz", Places(cache=tmp_path))
    absent = Source(name="m", folder=str(folder), files={"b.xyz": "0" * 64})
    with pytest.raises(PhonsmithError, match=r"b\.xyz: no such file; correct `files` or `folder`"):
        locate(absent, "b.xyz", Places(cache=tmp_path))
    with pytest.raises(PhonsmithError, match="no such folder; correct `folder`"):
        listed(Source(name="mine", folder=str(tmp_path / "absent")))


def test_the_fingerprint_follows_the_content_of_own_files(
    shared_data: Path, tmp_path: Path
) -> None:
    for name in ("a", "b"):  # files of one name
        (tmp_path / name).mkdir()
        path = tmp_path / name / "a.xyz"
        shutil.copy(shared_data / "real-inputs/extxyz-ref-virial.xyz", path)
    path = tmp_path / "a" / "a.xyz"
    reference = RecordedReference(
        method="recorded",
        level_of_theory="x",
        format="extxyz",
        source=Source(name="mine", folder=str(tmp_path)),
    )
    first = RecordedMethod(reference, ["a/a.xyz", "b/a.xyz"]).fingerprint()
    path.write_text(path.read_text().replace("0.01036753", "0.01036754"))
    assert RecordedMethod(reference, ["a/a.xyz", "b/a.xyz"]).fingerprint() != first


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({}, "`files` requires the SHA-256 of each file"),
        ({"files": ["a.xyz"]}, "`files` requires the SHA-256 of each file.*'a.xyz' has none"),
        ({"files": ["a", "a"], "folder": "x"}, "contains an entry twice"),
        ({"files": ["../a"], "folder": "x"}, "inside its folder"),
        ({"folder": "x", "url": "https://x.org/y"}, "exclude each other"),
    ],
)
def test_a_source_says_where_its_files_are(keys: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Source(name="s", **keys)


def test_outputs_of_pw_are_found(shared_data: Path, tmp_path: Path) -> None:
    for run in ("default_xml_241015", "failed_interrupted"):
        shutil.copytree(shared_data / "qe-outputs" / run, tmp_path / "data/runs" / run)
    folder = tmp_path / "data"
    (one,) = survey(folder)
    assert (one.format, one.wanted) == ("espresso", "runs")
    assert set(one.files) == {
        "runs/default_xml_241015/aiida.out",
        "runs/default_xml_241015/data-file-schema.xml",
        "runs/failed_interrupted/aiida.out",
    }
    block = yaml.safe_load(as_yaml(folder, [one], "QE PBEsol"))
    reference = RecordedReference(**block["reference"])
    assert Structure(**block["structures"]["runs"]).file == "CRYSTAL.vasp"
    shutil.copytree(folder, tmp_path / "mirror" / reference.source.name)
    frames = load_recorded(reference, "runs", Places([tmp_path / "mirror"], tmp_path)).frames
    assert len(frames) == 1


@pytest.fixture(scope="module")
def of_text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """FORCE_SETS and force constants without YAML, as they are published."""
    folder = tmp_path_factory.mktemp("text")
    unit = bulk("Si", cubic=True)
    source = PotentialSource(calculator="stillinger-weber")
    phonon = potential_phonons(unit, 2 * np.eye(3, dtype=int), Displaced(), source)
    for name in ("alone", "with-sposcar", "with-disp", "constants", "odd"):
        (folder / name).mkdir()
        write(folder / name / "POSCAR", unit, direct=True)
    for name in ("alone", "with-sposcar", "with-disp"):
        write_FORCE_SETS(phonon.dataset, folder / name / "FORCE_SETS")
    write(folder / "with-sposcar/SPOSCAR", to_ase(phonon.supercell), direct=True)
    cell = to_ase(phonon.supercell)
    disp = {
        "natom": len(cell),
        "lattice": cell.cell.tolist(),
        "atoms": [
            {"symbol": "Si", "position": point} for point in cell.get_scaled_positions().tolist()
        ],
    }
    (folder / "with-disp/disp.yaml").write_text(yaml.safe_dump(disp))
    constants, home = phonon.force_constants, phonon.primitive.p2s_map
    write_FORCE_CONSTANTS(constants, folder / "constants/FORCE_CONSTANTS", p2s_map=home)
    write_force_constants_to_hdf5(constants, folder / "odd/force_constants.hdf5", p2s_map=home)
    return folder


def test_phonopy_files_without_yaml_are_found(of_text: Path, tmp_path: Path) -> None:
    text = as_yaml(of_text, survey(of_text), "SW", checksums=False)
    blocks = [yaml.safe_load(block) for block in text.split("\n\n")]
    sets, constants = sorted(blocks, key=lambda block: block["reference"]["format"], reverse=True)
    assert sets["reference"]["format"] == "force_sets"
    files = {one.wanted: one.files for one in survey(of_text)}
    assert "with-disp/disp.yaml" in files["with-disp/FORCE_SETS"]
    dims = {name: one.get("recorded_supercell") for name, one in sets["structures"].items()}
    assert dims == {"alone": [2, 2, 2], "with-sposcar": None, "with-disp": None}
    dims = {name: one["recorded_supercell"] for name, one in constants["structures"].items()}
    assert dims == {"constants": [2, 2, 2], "odd": "DIM"}  # hdf5 is not opened
    constants["structures"]["odd"]["recorded_supercell"] = [2, 2, 2]
    for block in (sets, constants):
        campaign = Campaign.model_validate(
            {**block, "fits": {"sw": {"kind": "existing", "potential": {"calculator": "chgnet"}}}}
        )
        for name, structure in campaign.structures.items():
            read = load_recorded(
                campaign.recorded,
                structure.recorded,
                Places(cache=tmp_path),
                name,
                crystal=structure.file,
                supercell=structure.recorded_supercell,
            )
            assert len(read.phonon.supercell) == 64, name


def test_a_yaml_with_force_sets_beside_it_is_found_once(of_text: Path, tmp_path: Path) -> None:
    shutil.copytree(of_text / "with-sposcar", tmp_path / "si")
    phonon = potential_phonons(
        bulk("Si", cubic=True),
        2 * np.eye(3, dtype=int),
        Displaced(),
        PotentialSource(calculator="stillinger-weber"),
    )
    save_phonons(tmp_path / "si/phonopy.yaml", phonon)
    assert [(one.format, one.wanted) for one in survey(tmp_path)] == [
        ("phonopy", "si/phonopy.yaml")
    ]
    packed = lzma.compress((tmp_path / "si/phonopy.yaml").read_bytes())
    (tmp_path / "si/phonopy.yaml").unlink()
    (tmp_path / "si/phonopy.yaml.xz").write_bytes(packed)
    assert [(one.format, one.wanted) for one in survey(tmp_path)] == [
        ("phonopy", "si/phonopy.yaml.xz")
    ]


def test_the_record_of_files_has_each_of_files_of_one_name(
    repository: Path, tmp_path: Path
) -> None:
    """Runs are all called vasprun.xml."""
    project_folder = tmp_path / "project"
    names = ["a/vasprun.xml", "b/vasprun.xml", "a/phonopy.yaml", "b/phonopy.yaml"]
    for name in names:
        (project_folder / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (project_folder / "data" / name).write_text(name)
    source = {"name": "mine", "folder": "data", "files": names}
    crystals = {name: {"file": "x.vasp", "recorded": ["a", "b"]} for name in ("s", "t")}
    campaign = {
        "structures": crystals,
        "reference": {
            **{"method": "recorded", "level_of_theory": "VASP PBE", "format": "vasprun"},
            "source": source,
        },
        "datasets": {
            "databases": {
                "db": {
                    **{"format": "vasprun", "level_of_theory": "VASP PBE", "source": source},
                    "train_files": ["a", "b"],
                }
            }
        },
        "fits": {
            "others": {
                **{"kind": "recorded", "level_of_theory": "VASP PBE", "source": source},
                "files": {"s": "a/phonopy.yaml", "t": "b/phonopy.yaml"},
            }
        },
    }
    write(project_folder / "x.vasp", bulk("Si"), format="vasp")
    project = Project(project_folder, repository, tiny=campaign)
    records = ("sources/s.json", "sources/databases/db.json", "sources/fits/others.json")
    run = project.run(*(f"results/tiny/{record}" for record in records))
    assert run.returncode == 0, run.stderr
    runs, yamls = names[:2], names[2:]
    for record, files in zip(records, (runs, runs, yamls), strict=True):
        found = json.loads((project.results("tiny") / record).read_text())
        wanted = {f"data/{name}": sha256_of(project_folder / "data" / name) for name in files}
        assert found == wanted, record
