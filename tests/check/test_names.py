"""Names of campaigns, structures, fits and files that a shell or a folder could stumble over."""

import itertools
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from phonsmith.campaign.model import Campaign
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.settings import Source
from phonsmith.running.site import load_config
from phonsmith.structures.settings import OptimadeEntry
from tests.check.bad_files import DATABASE, SHA, SILICON, changed, crystal
from tests.project import Project

HOSTILE = [
    *("", ".", "..", "../x", "a/b", "/etc/x", "~", "a b", "a\tb", "a\nb", "a\\b", "-rf", ".hidden"),
    *("$(touch x)", "`touch x`", "a;touch x", "a&b", "a|b", "a>b", "a'b", 'a"b', "{x}", "a*", "é"),
    *("a" * 81, "a.json", "a.log", "a.tsv"),
]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_names_that_a_shell_or_a_folder_could_stumble_over_are_refused(name: str) -> None:
    places: list[Callable[[str], Any]] = [
        lambda name: Campaign.model_validate(changed(("structures", {name: {"file": "a"}}))),
        lambda name: Campaign.model_validate(changed(("fits", {name: {"kind": "gap"}}))),
        lambda name: Campaign.model_validate(
            changed(("sweeps", {name: {"recipe": {"kind": "gap"}, "settings": {"seed": [1]}}}))
        ),
        lambda name: Campaign.model_validate(changed(("datasets/databases", {name: DATABASE}))),
        lambda name: Source(name=name, files={"a": SHA}),
        lambda name: OptimadeEntry(provider=name, id="1"),
        lambda name: load_config({"campaigns": [name]}),
    ]
    for place in places:
        with pytest.raises((ValueError, PhonsmithError)):
            place(name)


def test_no_two_names_share_a_file(repository: Path) -> None:
    """Of all rules and of names made for it: no file twice, and none where a folder has to be."""
    patterns = {
        path
        for rules in (repository / "rules").glob("*.smk")
        for section in re.findall(
            r"^    (?:output|log|benchmark):\n((?:        .*\n)+)", rules.read_text(), re.M
        )
        for path in re.findall(r'"(results/[^"]+)"', section)
        if "supercells/gen0" not in path  # those of a rule for the first generation alone
    }
    assert len(patterns) > 100
    names = ["a", "a.0", "a.cell0", "a.cumulative", "a.failures", "a.read", "a.svg", "gen0"]
    names += ["databases", "mechanics", "generations", "batches", "cumulative", "cell0", "0"]
    fixed = {
        **{"campaign": ["c"], "generation": ["0"], "index": ["0"], "mesh": ["0"]},
        **{"batch": ["0", "10"], "cell": ["relaxed", "reference"], "format": ["svg"]},
        **{"figure": ["thermal_expansion"], "origin": ["o"], "entry": ["e"]},
        "method": ["reference", *(f"{name}/gen0" for name in names)],
    }
    found: dict[str, str] = {}
    for pattern in sorted(patterns):
        wildcards = list(dict.fromkeys(re.findall(r"{(\w+)}", pattern)))
        for values in itertools.product(*(fixed.get(one, names) for one in wildcards)):
            path = pattern.format(**dict(zip(wildcards, values, strict=True)))
            assert path not in found, (pattern, values, found[path])
            found[path] = pattern
    folders = {str(parent) for path in found for parent in PurePosixPath(path).parents}
    assert not folders & found.keys()


@pytest.mark.parametrize("file", ["", "/etc/passwd", "..", "../a", "a/../../b", "a/.."])
def test_files_of_a_data_set_stay_in_its_folder(file: str) -> None:
    with pytest.raises(ValueError):
        Source(name="a", files={file: SHA})


def test_a_hostile_file_name_is_a_file_name(here: Path, repository: Path) -> None:
    name = "a b;touch sprung $(touch sprung) 'x' \"y\" &.vasp"
    (here / name).write_text(SILICON)
    project = Project(here, repository, c=changed(crystal(name)))
    run = project.run("results/c/structures/si.extxyz")
    assert run.returncode == 0, run.stderr
    assert not list(here.rglob("sprung"))
