"""Own folders of data: what they hold as YAML, and files without checksums."""

import shutil
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from phonsmith.datasets.settings import Database
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.settings import Source
from phonsmith.files.sources import listed, locate, sha256_of
from phonsmith.labels.recorded.databases import load_database
from phonsmith.labels.recorded.method import RecordedMethod
from phonsmith.labels.recorded.settings import RecordedReference
from phonsmith.labels.survey import as_yaml, main, survey
from phonsmith.structures.settings import Structure


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
    with pytest.raises(SystemExit, match="holds no data that phonsmith reads"):
        main()
    monkeypatch.setattr("sys.argv", ["survey", str(tmp_path / "absent")])
    with pytest.raises(SystemExit, match="no such folder"):
        main()


def test_files_in_a_folder_of_ones_own_need_no_checksum(shared_data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    (folder / "sets").mkdir(parents=True)
    shutil.copy(shared_data / "real-inputs/extxyz-ref-virial.xyz", folder / "sets/a.xyz")
    for files in ({}, {"sets/a.xyz": sha256_of(folder / "sets/a.xyz")}):
        source = Source(name="mine", folder=str(folder), files=files)
        assert listed(source) == ["sets/a.xyz"]
        for wanted in ("sets/a.xyz", "sets", "."):
            database = Database(source=source, level_of_theory="x", train_files=[wanted])
            assert len(load_database("db", database, [], tmp_path)["train"].frames) == 5
    alone = Database(source=source, level_of_theory="x", test_files=["."])  # a set to test on
    parts = load_database("db", alone, [], tmp_path)
    assert {part: len(read.frames) for part, read in parts.items()} == {"train": 0, "test": 5}
    wrong = Source(name="mine", folder=str(folder), files={"sets/a.xyz": "0" * 64})
    with pytest.raises(PhonsmithError, match="checksum differs"):
        locate(wrong, "sets/a.xyz", [], tmp_path)
    absent = Source(name="m", folder=str(folder), files={"b.xyz": "0" * 64})
    with pytest.raises(PhonsmithError, match=r"b\.xyz: no such file; correct `files` or `folder`"):
        locate(absent, "b.xyz", [], tmp_path)
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
        ({}, "`files` needs each file with its SHA-256"),
        ({"folder": "x", "url": "https://x.org/y"}, "exclude each other"),
    ],
)
def test_a_source_says_where_its_files_are(keys: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Source(name="s", **keys)
