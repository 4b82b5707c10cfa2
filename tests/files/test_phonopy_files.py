"""phonopy's and phono3py's YAML files of others: no code runs, none is read without end."""

import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from phonsmith.conductivity.third_order import load_displacements as load_third_order
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.settings import Source
from phonsmith.files.sources import Places, sha256_of
from phonsmith.files.yaml_files import read_yaml
from phonsmith.labels.recorded.reading import load_recorded, read_recorded
from phonsmith.labels.recorded.settings import RecordedReference
from phonsmith.phonons.files import load_displacements, load_phonons

TAGS = (
    "!!python/object/apply:os.system ['touch {made}']",
    "!!python/object/new:os.system ['touch {made}']",
    "!!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path ['{made}']]",
    "!!python/name:os.system",
    "!something 1",
)


def by_load_recorded(path: Path) -> None:
    name = path.name
    source = Source(name="of-others", files={name: sha256_of(path)})
    reference = RecordedReference(
        method="recorded",
        level_of_theory="PBE",
        source=source,
        format="phono3py" if "phono3py" in name else "phonopy",
    )
    (path.parent / "mirror").mkdir(exist_ok=True)
    folder = path.parent / "mirror" / "of-others"
    folder.symlink_to(path.parent, target_is_directory=True)
    load_recorded(reference, name, Places([path.parent / "mirror"], path.parent / "cache"))


ENTRIES: dict[str, Callable[[Path], object]] = {
    "recorded": by_load_recorded,
    "phonopy": lambda path: read_recorded(path, "phonopy", "x"),
    "phono3py": lambda path: read_recorded(path, "phono3py", "x"),
    "results": load_phonons,
    "displacements": load_displacements,
    "third order": load_third_order,
}


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("suffix", ["", ".gz", ".xz"])
def test_no_tag_in_a_file_runs(tmp_path: Path, entry: str, tag: str, suffix: str) -> None:
    made = tmp_path / "made"
    text = f"phonopy:\n  version: {tag.format(made=made)}\nunit_cell: 1\n"
    path = tmp_path / f"bad.yaml{suffix}"
    pack = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}[suffix]
    path.write_bytes(pack(text.encode()))
    with pytest.raises(PhonsmithError, match=r"tag '.*remove it$") as caught:
        ENTRIES[entry](path)
    assert "\n" not in str(caught.value)
    assert not made.exists()


def test_no_phonopy_loader_is_used(repository: Path) -> None:
    """phonopy's own ways to open YAML run code: only the safe ones may stand in the sources."""
    unsafe = ("phonopy.load(", "phono3py.load(", "yaml.CLoader", "yaml.Loader", "unsafe_load")
    unsafe += ("PhonopyYaml()", "Phono3pyYaml()", "read_cell_yaml", "parse_disp_yaml")
    for folder, ending in (("phonsmith", "py"), ("scripts", "py"), ("rules", "smk")):
        paths = sorted((repository / folder).rglob(f"*.{ending}"))
        assert len(paths) > 15
        for path in paths:
            text = path.read_text()
            assert not [word for word in unsafe if word in text], path


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, levels)]
    return "\n".join(lines)


def merges(levels: int) -> str:
    lines = ["a0: &a0 {x: 1, y: 2}"]
    lines += [f"a{k}: &a{k} {{<<: [{', '.join([f'*a{k - 1}'] * 9)}]}}" for k in range(1, levels)]
    return "\n".join(lines)


HOSTILE = {
    "aliases": (bomb(12), "values after expansion of aliases"),
    "merge keys": (merges(12), "values after expansion of aliases"),
    "itself": ("a: &a [*a]", "contains itself"),
    "nesting": ("a: " + "[" * 100_000, "not valid YAML"),
    "base-60 number": ("a: " + ":".join(["59"] * 100_000), "base-60 number"),
    "long number": ("a: " + "9" * 100_000, "not valid YAML"),
    "key twice": ("a: 1\nb: {c: 1, c: 2}", "duplicate key 'c'"),
    "binary": ("a: \x00", "not valid YAML"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_yaml_that_would_never_end_is_refused_at_once(tmp_path: Path, name: str) -> None:
    text, reason = HOSTILE[name]
    path = tmp_path / "hostile.yaml"
    path.write_text(text)
    with pytest.raises(PhonsmithError, match=reason) as caught:
        read_yaml(path)
    assert len(str(caught.value)) < 600


def test_harmless_aliases_are_read(tmp_path: Path) -> None:
    path = tmp_path / "aliases.yaml"
    path.write_text("a: &id001 [1.0, 2.0]\nb: *id001\nc: {<<: {d: 1}, e: 2}\n")
    assert read_yaml(path) == {"a": [1.0, 2.0], "b": [1.0, 2.0], "c": {"d": 1, "e": 2}}


def test_a_file_larger_than_allowed_ends_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phonsmith.files.reading_writing.LARGEST_BYTES", 1024**2)
    path = tmp_path / "bomb.yaml.xz"
    path.write_bytes(lzma.compress(bytes(20 * 1024**2)))
    with pytest.raises(PhonsmithError, match="larger than 1 MB"):
        read_yaml(path)


def test_a_pipe_or_a_damaged_archive_ends_in_one_line(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(PhonsmithError, match="not a regular file"):
        read_yaml(tmp_path / "pipe.yaml")
    (tmp_path / "cut.yaml.xz").write_bytes(lzma.compress(b"a: 1")[:-8])
    with pytest.raises(PhonsmithError, match="cannot be read"):
        read_yaml(tmp_path / "cut.yaml.xz")
