"""YAML files of settings are bounded before anything is built from them."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from phonsmith.campaign.reading import load_campaign
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.yaml_files import MAX_BYTES, load_yaml
from phonsmith.running.site import load_site


def aliases(pattern: str) -> str:
    """Twelve lines that stand for 10¹² values: each holds ten times the line above."""
    lines = ["a0: &a0 {x: 1}"]
    for i in range(1, 12):
        tenfold = ", ".join([f"*a{i - 1}"] * 10)
        lines.append(f"a{i}: &a{i} " + pattern.format(tenfold))
    return "\n".join(lines)


FILES: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "pipe": (os.mkfifo, ["a device or a pipe"]),
    "device": (lambda path: path.symlink_to("/dev/zero"), ["a device or a pipe"]),
    "folder": (Path.mkdir, ["is a folder"]),
    "large": (
        lambda path: path.write_bytes(b"# " + b"x" * MAX_BYTES),
        ["10.0 MB is too large"],
    ),
    "aliases": (lambda path: path.write_text(aliases("[{}]")), ["line 7", "aliases"]),
    "merge keys": (lambda path: path.write_text(aliases("{{<<: [{}]}}")), ["line 7", "aliases"]),
    "deep": (lambda path: path.write_text("a: " + 10**5 * "["), ["line 1", "nest"]),
    "deep, in lines": (
        lambda path: path.write_text("\n".join(" " * i + "a:" for i in range(100))),
        ["line 51", "50 levels"],
    ),
    "in itself": (lambda path: path.write_text("b: 1\na: &a [*a]"), ["line 2", "contains itself"]),
    "unknown alias": (lambda path: path.write_text("a: *b"), ["line 1", "alias"]),
    "list as key": (
        lambda path: path.write_text("{[a, b]: 1}"),
        ["line 1", "keys must be text"],
    ),
    "base 8": (lambda path: path.write_text("a: 1\nseed: 010"), ["line 2", "010 as a base-8"]),
    "digits": (lambda path: path.write_text("seed: 1" + 5000 * "0"), ["not valid YAML", "digits"]),
    "binary": (lambda path: path.write_bytes(bytes(range(256))), ["UTF-8"]),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", ["campaign", "structures_from", "site"])
def test_a_hostile_file_is_refused_at_once(tmp_path: Path, name: str, place: str) -> None:
    make, words = FILES[name]
    path = tmp_path / "hostile.yaml"
    make(path)
    with pytest.raises(PhonsmithError) as caught:
        if place == "site":
            load_site(path)
        elif place == "campaign":
            load_campaign(path)
        else:
            campaign = tmp_path / "c.yaml"
            campaign.write_text(yaml.safe_dump({"structures_from": str(path)}))
            load_campaign(campaign)
    text = str(caught.value)
    assert "\n" not in text
    for word in ["hostile.yaml", *words]:
        assert word in text


def test_aliases_of_reasonable_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("one: &a {x: 1, y: [2]}\ntwo: {<<: *a, x: 3}\nthree: [*a, *a]\n")
    one = {"x": 1, "y": [2]}
    assert load_yaml(path, "file") == {"one": one, "two": {**one, "x": 3}, "three": [one, one]}
