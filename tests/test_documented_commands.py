"""Every command of the docs: the cheap ones run as typed, Snakemake's are planned together."""

import argparse
import importlib.util
import re
import runpy
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from phonsmith.running.site import load_config
from tests.labels.espresso.examples import upf
from tests.potcars import write_potcar
from tests.project import Project

SHELL = {"console", "bash", "sh", "shell"}
OTHER_LANGUAGES = {"yaml", "python", "text", "csv", "json", "xml"}
PROGRAMS = ("snakemake", "python", "make", "pytest")

NOT_RUN = {
    "source": "changes the shell",
    "export": "changes the shell",
    "mkdir": "a folder of the user",
    "ln": "a link in the user's home",
    "apt": "installs into the system",
    "apt-get": "installs into the system",
    "git": "needs the address of a code host",
    "scontrol": "needs a cluster",
    "ulimit": "changes the shell",
}
"""Programs of fenced commands that no test runs, and why."""

NOT_OURS = {
    "mace.cli.create_lammps_model": "of mace-torch; needs a MACE model",
}

PLANNED_ELSEWHERE = {"paper", "paper-small", "paper-plan"}
"""Targets that tests/workflow/test_paper.py plans: they need campaigns of clusters."""
AT_FULL_SCALE = re.compile(r"results/paper/full/(\S+)\.html")
"""Pages of one figure, which ``paper`` plans, too."""

STANDS_FOR = {"CAMPAIGN": "NAME", "FIT": "gap", "STRUCTURE": "mp-149", "LEVEL": "8"}
"""Words of the docs; a campaign NAME exists in the tests."""


class Command(NamedTuple):
    page: str
    words: tuple[str, ...]
    fenced: bool

    def __str__(self) -> str:
        return f"{self.page}: {shlex.join(self.words)}"


def fences(text: str) -> list[tuple[str, str]]:
    """Language and content of each fenced block."""
    return re.findall(r"^ *```(\w*)[^`\n]*\n(.*?)^ *```$", text, re.M | re.S)


def shown(page: str, text: str) -> list[Command]:
    """Commands of a page: each line of a console, and each command with arguments in a sentence."""
    found = [
        Command(page, tuple(words), True)
        for language, block in fences(text)
        if language in SHELL
        for line in block.replace("\\\n", " ").splitlines()
        if (words := shlex.split(line.strip().removeprefix("$ "), comments=True))
    ]
    prose = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.M | re.S)
    for code in re.findall(r"`([^`\n]+)`", prose):
        if code.split()[0] in PROGRAMS and "…" not in code:
            words = tuple(shlex.split(code))
            if len(words) > (3 if words[1:2] == ("-m",) else 1):  # not just the program's name
                found.append(Command(page, words, False))
    return found


def filled_in(word: str) -> str:
    return re.sub(r"\b[A-Z]+\b", lambda found: STANDS_FOR.get(found[0], found[0]), word)


def pages() -> list[str]:
    root = Path(__file__).resolve().parents[1]
    outside = ["README.md", "CONTRIBUTING.md", "config/README.md", "results/README.md"]
    return outside + [f"docs/{path.name}" for path in sorted((root / "docs").glob("*.md"))]


def commands(program: str = "") -> list[Command]:
    """All commands of the docs, or those of one program."""
    root = Path(__file__).resolve().parents[1]
    found = [one for page in pages() for one in shown(page, (root / page).read_text())]
    return [one for one in found if not program or one.words[0] == program]


def test_commands_are_found() -> None:
    text = "a `make x y`\n```console\nsnakemake -n \\\n  a   # why\n\n```\n```yaml\nmake: z\n```\n"
    assert [one.words for one in shown("p", text)] == [("snakemake", "-n", "a"), ("make", "x", "y")]
    assert len(commands("snakemake")) > 40
    assert len(commands("python")) > 20


@pytest.mark.parametrize("page", pages())
def test_every_block_names_its_language(page: str, repository: Path) -> None:
    """Otherwise a command could hide in a block without a language."""
    languages = {language for language, _ in fences((repository / page).read_text())}
    assert languages <= SHELL | OTHER_LANGUAGES


def test_every_command_is_classified() -> None:
    known = {*PROGRAMS, *NOT_RUN, "cp"}
    assert [str(one) for one in commands() if one.words[0] not in known] == []


def test_targets_of_make_exist(repository: Path) -> None:
    rules = re.findall(r"^([\w./-]+):", (repository / "Makefile").read_text(), re.M)
    for command in commands("make"):
        targets = [word for word in command.words[1:] if "=" not in word]
        assert set(targets) <= set(rules), str(command)


def test_files_named_by_commands_exist(repository: Path) -> None:
    for command in [*commands("pytest"), *commands("cp")]:
        assert (repository / command.words[1]).exists(), str(command)


# --- Python --------------------------------------------------------------------------------------


class Accepted(Exception):  # noqa: N818 - not an error
    """The arguments of a command are those of its program."""


@pytest.fixture
def parse_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs end as soon as they have accepted their arguments."""
    parse = argparse.ArgumentParser.parse_args

    def accepted(self: argparse.ArgumentParser, *given: object) -> None:
        parse(self, *given)
        raise Accepted

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", accepted)


def run_python(words: Sequence[str]) -> None:
    """``python -m MODULE …`` or ``python FILE …`` in this process."""
    if words[1] == "-m":
        sys.argv = list(words[2:])
        runpy.run_module(words[2], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(words[1:])
        sys.path.insert(0, str(Path(words[1]).parent))
        runpy.run_path(words[1], run_name="__main__")


def source_of(words: tuple[str, ...]) -> Path:
    if words[1] != "-m":
        return Path(words[1])
    spec = importlib.util.find_spec(words[2])
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin)


def is_phonsmith(words: tuple[str, ...]) -> bool:
    return words[1:3] in {("-m", "phonsmith"), ("-m", "phonsmith.check")}


@pytest.mark.parametrize(
    "command", sorted({one for one in commands("python") if not is_phonsmith(one.words)}), ids=str
)
def test_programs_accept_their_arguments(
    command: Command, repository: Path, monkeypatch: pytest.MonkeyPatch, parse_alone: None
) -> None:
    if set(command.words) & set(NOT_OURS):
        return
    monkeypatch.chdir(repository)
    monkeypatch.setattr(sys, "argv", [*sys.argv])
    monkeypatch.setattr(sys, "path", [*sys.path])
    text = source_of(command.words).read_text()
    if "ArgumentParser(" in text:
        with pytest.raises(Accepted):
            run_python([filled_in(word) for word in command.words])
    elif len(command.words) > 2:  # a program that matches words
        first = command.words[2 + (command.words[1] == "-m")]
        campaign = Path(f"config/campaigns/{first}.yaml")
        assert first.isupper() or f'"{first}"' in text or campaign.exists(), str(command)


# --- campaigns -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Project:
    """A folder with the campaigns of the repository, and a user's files."""
    folder = tmp_path_factory.mktemp("docs")
    project = Project(folder, repository)
    for path in sorted((repository / "config/campaigns").glob("*.yaml")):
        shutil.copy(path, folder / "config/campaigns")
    shutil.copy(repository / "config/paper.yaml", folder / "config")
    demo = (repository / "config/campaigns/si-demo.yaml").read_text()
    project.write("NAME", yaml.safe_load(demo))
    project.configure(campaigns=["NAME"], mirrors=[str(repository.parent / "shared/data")])
    silicon = repository / "config/structures/silicon/mp-149.vasp"
    for name in ("POSCAR", "POSCAR.alpha"):
        shutil.copy(silicon, folder / name)
    from ase.io import read, write

    (folder / "cells").mkdir()
    for name in ("crystal.cif", "cells/beta.cif"):
        write(folder / name, read(silicon))
    write_potcar(folder / "potcars", "Si", valence=4.0)
    upf(folder / "config/pseudopotentials", "Si.pbesol.UPF")
    upf(folder / "config/pseudopotentials", "Si.pbesol-nl-rrkjus_psl.1.0.0.UPF")
    return project


@pytest.fixture
def at_work(workplace: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(workplace.folder)
    monkeypatch.setenv("PMG_VASP_PSP_DIR", str(workplace.folder / "potcars"))
    monkeypatch.setattr(sys, "argv", [*sys.argv])
    return workplace


def test_the_campaign_of_the_readme_is_sound(at_work: Project, repository: Path) -> None:
    ((_, text),) = [
        block for block in fences((repository / "README.md").read_text()) if block[0] == "yaml"
    ]
    (at_work.folder / "config/campaigns/readme.yaml").write_text(text)
    run_python(("python", "-m", "phonsmith.check", "readme"))


def renamed(page: str, campaign: str) -> str:
    """The campaign of this name on a page, in the one folder of all pages."""
    return f"{campaign}-{Path(page).stem}"


def test_new_campaigns_are_written_and_sound(
    at_work: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """``python -m phonsmith new`` and the check of the file, as typed, page by page."""
    count = 0
    for command in commands("python"):
        words = command.words
        if not is_phonsmith(words) or not command.fenced:
            continue
        made = at_work.folder / f"config/campaigns/{words[4] if len(words) > 4 else ''}.yaml"
        kept = made.read_text() if made.is_file() else ""
        if words[3] == "new":
            made.unlink(missing_ok=True)
        try:
            run_python(words)
        except SystemExit as end:
            assert not end.code, (str(command), capsys.readouterr().err)
        if words[3] == "new":
            count += 1
            shutil.copy(made, made.with_stem(renamed(command.page, made.stem)))
            if kept:
                made.write_text(kept)
    assert count > 3


def test_commands_of_snakemake_are_planned(
    at_work: Project, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One dry run of all targets of the docs; options, profiles and settings one by one."""
    from snakemake.cli import get_argument_parser

    elsewhere = (repository / "tests/workflow/test_paper.py").read_text()
    targets: set[str] = set()
    monkeypatch.chdir(repository)
    for command in commands("snakemake"):
        given = get_argument_parser().parse_args(list(command.words[1:]))
        for profile in given.profile or []:
            folder = f"profiles/{Path(profile).name}"  # of a clone, or linked (docs/cluster.md)
            assert profile in (Path(folder).name, folder, f"phonsmith/{folder}"), str(command)
            assert (repository / folder / "config.yaml").exists(), str(command)
        # without a profile or a number of cores Snakemake runs nothing
        if command.fenced:
            assert given.profile or given.cores or given.dryrun, str(command)
        if given.config:
            settings = dict(setting.split("=", 1) for setting in given.config)
            load_config({name: yaml.safe_load(value) for name, value in settings.items()})
        for target in given.targets:
            text = filled_in(target)
            mine = renamed(command.page, "mine")
            if (at_work.folder / f"config/campaigns/{mine}.yaml").exists():
                text = text.replace("results/mine/", f"results/{mine}/")
            targets.add(text)
    for target in targets & PLANNED_ELSEWHERE:
        assert f'"{target}"' in elsewhere, target
    figures = yaml.safe_load((repository / "config/paper.yaml").read_text())["figures"]
    full = {target for target in targets if AT_FULL_SCALE.fullmatch(target)}
    assert {AT_FULL_SCALE.sub(r"\1", target) for target in full} <= {*figures}
    planned = sorted(targets - PLANNED_ELSEWHERE - full)
    run = at_work.plan("--quiet", "host", "--dry-run", *planned)
    assert run.returncode == 0, run.stderr
    assert len(planned) > 20
