"""Projects with an environment of their own for calculators."""

import os
import sysconfig
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from phonsmith.potentials import outside
from phonsmith.potentials.environments import make

OWN = """
import os, signal, sys, time
from pathlib import Path
from matscipy.calculators.manybody import Manybody
from matscipy.calculators.manybody.explicit_forms.stillinger_weber import (
    StillingerWeber, Stillinger_Weber_PRB_31_5262_Si as SILICON)

with open("started", "a") as stream:
    stream.write(f"{os.getpid()}\\n")

class Silicon(Manybody):
    def __init__(self, **arguments):
        super().__init__(**StillingerWeber({**SILICON, **arguments}))

class Noisy(Silicon):
    def calculate(self, *arguments):
        print("PHON" * 100)
        os.write(1, b"\\x80\\x04" * 5000)
        assert sys.stdin.read() == ""
        super().calculate(*arguments)

class Moody(Silicon):
    def calculate(self, atoms, *arguments):
        mood = Path("mood").read_text() if len(atoms) == 3 else ""
        if mood == "fails":
            raise ValueError("too few atoms\\nfor me")
        if mood == "sleeps":
            time.sleep(600)
        if mood:
            os.kill(os.getpid(), getattr(signal, mood))
        super().calculate(atoms, *arguments)

class Unbuildable(Silicon):
    def __init__(self):
        raise RuntimeError("no weights")

def function():
    Path("called").touch()
    return Silicon()
"""


def wheel(folder: Path, name: str, **files: str) -> None:
    """A package as pip installs it."""
    described = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    kind = "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    content = {**files, f"{name}-1.0.dist-info/METADATA": described}
    content[f"{name}-1.0.dist-info/WHEEL"] = kind
    listed = "".join(f"{file},,\n" for file in (*content, f"{name}-1.0.dist-info/RECORD"))
    content[f"{name}-1.0.dist-info/RECORD"] = listed
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for file, text in content.items():
            archive.writestr(file, text)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with a package that brings all of this environment, and an empty one."""
    folder = tmp_path_factory.mktemp("wheels")
    wheel(folder, "all_of_this", **{"all_of_this.pth": sysconfig.get_path("purelib")})
    wheel(folder, "nothing")
    return folder


@pytest.fixture
def project(
    tmp_path: Path, wheels: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder with a calculator and the pins of an environment, and pip without a network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{repository}")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setattr(outside._Child, "_running", {})
    Path("own_calculators.py").write_text(OWN)
    Path("envs").mkdir()
    Path("envs/here.txt").write_text("all_of_this==1.0\n")
    return tmp_path


@pytest.fixture(scope="module")
def shelf(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment of `project`, made once."""
    folder = tmp_path_factory.mktemp("shelf")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", str(wheels))
        Path("envs").mkdir()
        Path("envs/here.txt").write_text("all_of_this==1.0\n")
        make("here")
    return folder / ".environments"


@pytest.fixture
def here(project: Path, shelf: Path) -> Iterator[Path]:
    """The project with its environment, which may be a link."""
    (project / ".environments").symlink_to(shelf)
    yield project
    for child in outside._Child._running.values():
        if not child._ended:
            child._end()
