"""``results/README.md`` names the folders that the rules write, and no others."""

import re
import subprocess
from pathlib import Path, PurePosixPath

import pytest

BESIDE_RULES = {"labels/store", "labels/work"}
"""Folders that are no outputs of rules: those of `label_store` and `work_folder`."""


@pytest.fixture(scope="module")
def written(repository: Path) -> set[str]:
    """Paths that rules write below the folder of a campaign, with * for wildcards, and folders."""
    found = set()
    for file in (repository / "rules").glob("*.smk"):
        for section in re.findall(
            r"^    (?:output|log|benchmark):\n((?:        .*\n)+)", file.read_text(), re.M
        ):
            found |= set(re.findall(r'"results/\{campaign\}/([^"]+)"', section))
    for path in [path for path in found if "{method}" in path]:
        found |= {path.replace("{method}", one) for one in ("reference", "{fit}/gen{generation}")}
    stars = {re.sub(r"\{[^}]+\}", "*", path).rstrip("/") for path in found}
    assert len(stars) > 100
    return stars | {str(up) for path in stars for up in PurePosixPath(path).parents[:-1]}


@pytest.fixture(scope="module")
def page(repository: Path) -> str:
    return (repository / "results/README.md").read_text()


def test_every_folder_and_file_is_explained(page: str, written: set[str]) -> None:
    first = {path.split("/")[0] for path in written}
    named = {name.rstrip("/") for name in re.findall(r"`([^`]+)`", page)}
    assert first - named == set()


def test_every_path_is_written_by_a_rule(page: str, written: set[str]) -> None:
    tables = "".join(line for line in page.splitlines(keepends=True) if line.startswith("| `"))
    paths = {one for one in re.findall(r"`([^`]+)`", tables) if re.search(r"[/.]", one)}
    paths = {one for one in paths if "…" not in one}
    assert len(paths) > 30
    unknown = set()
    for path in paths - {"fc3.hdf5", "phono3py.yaml"}:
        pattern = re.sub(r"FIT|STRUCTURE|G(?=/|\.|$)|METHOD", "*", path).rstrip("/")
        pattern = pattern.replace(".svg", ".*")
        if pattern not in written | BESIDE_RULES:
            unknown.add(path)
    assert unknown == set()


def test_folders_beside_the_rules_are_those_of_the_settings(repository: Path) -> None:
    reference = (repository / "rules/reference.smk").read_text()
    for folder in BESIDE_RULES:
        assert f'f"results/{{wildcards.campaign}}/{folder}"' in reference


def test_the_page_alone_is_committed(repository: Path) -> None:
    def ignored(path: str) -> bool:
        return not subprocess.run(
            ["git", "check-ignore", "-q", path], cwd=repository, check=False
        ).returncode

    if not (repository / ".git").exists():
        pytest.skip("not a checkout of git")
    assert not ignored("results/README.md")
    for path in ("results/si-demo", "results/si-demo/report.html", "results/.sources/x"):
        assert ignored(path)
