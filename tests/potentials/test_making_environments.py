"""How environments are made, and campaigns that name one."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from phonsmith.files.errors import PhonsmithError
from phonsmith.potentials import environments
from phonsmith.potentials.calculators import (
    make_calculator,
)
from phonsmith.potentials.environments import environment, made, make
from phonsmith.potentials.loaded_files import check_named_files
from phonsmith.potentials.settings import PotentialSource
from tests.project import Project


def test_an_environment_is_made_once_and_then_needs_no_network(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = environment("here")
    (found.folder / "lib").mkdir(parents=True)  # what a killed process has left
    (found.folder / "lib/half").touch()
    with pytest.raises(PhonsmithError) as caught:
        make_calculator(PotentialSource(calculator="own_calculators:Silicon", environment="here"))
    assert str(caught.value) == (
        f"environment 'here' does not exist ({found.folder}); run `python -m "
        f"phonsmith.potentials.environments here` in {project} on a machine with a network, such "
        "as a login node"
    )
    command = [sys.executable, "-m", "phonsmith.potentials.environments", "here"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[0].strip() for process in both] == [str(found.folder)] * 2
    assert not (found.folder / "lib/half").exists()
    content = json.loads(found.record.read_text())
    assert content["packages"]["all_of_this"]["version"] == "1.0"
    monkeypatch.setenv("PIP_FIND_LINKS", str(project / "nowhere"))
    assert make("here") == made("here") == found
    assert found.package_of("ase").startswith("ase ")
    found.interpreter.unlink()
    with pytest.raises(
        PhonsmithError, match=r"its Python is missing .*; delete \.environments/here-"
    ):
        made("here")


def test_without_a_network_it_says_where_to_make_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(project))
    with pytest.raises(PhonsmithError) as caught:
        make("here")
    assert str(caught.value) == (
        "environment 'here' cannot be made: No matching distribution found for all_of_this==1.0; "
        "if this machine has no network, run `python -m phonsmith.potentials.environments here` in "
        f"{project} on a machine that has one (a login node)"
    )
    assert not environment("here").folder.exists()


def test_an_environment_without_ase_is_refused(project: Path) -> None:
    Path("envs/here.txt").write_text("nothing==1.0\n")
    with pytest.raises(
        PhonsmithError, match="No module named 'ase'; it must contain ase and numpy"
    ):
        make("here")
    assert not environment("here").folder.exists()


def test_another_version_of_python(project: Path) -> None:
    before = environment("here").folder
    Path("envs/here.txt").write_text("# python: 3.999\nall_of_this==1.0\n")
    assert environment("here").folder != before
    with pytest.raises(PhonsmithError, match=r"no python3\.999 on PATH; install it, or"):
        make("here")


BACKEND = """
import ase, zipfile  # ase: a package of the environment

def build_wheel(folder, *_):
    with zipfile.ZipFile(f"{folder}/built-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("built.py", f"ASE = {ase.__version__!r}")
        info = "built-1.0.dist-info/"
        archive.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: built\\nVersion: 1.0\\n")
        kind = "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\n"
        archive.writestr(info + "WHEEL", kind)
        archive.writestr(info + "RECORD", "built.py,,\\n")
    return "built-1.0-py3-none-any.whl"
"""


def test_what_is_compiled_is_built_with_the_packages_of_the_environment(
    project: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not with those that its build asks for, which nobody has pinned (nor has this network)."""
    source = project / "built-1.0"
    source.mkdir()
    (source / "backend.py").write_text(BACKEND)
    (source / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: built\nVersion: 1.0\n")
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["nowhere"]\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    shelf = project / "shelf"
    shutil.make_archive(str(shelf / "built-1.0"), "gztar", project, "built-1.0")
    monkeypatch.setenv("PIP_FIND_LINKS", f"{wheels} {shelf}")
    monkeypatch.setattr(environments, "missing_tools", lambda libraries: "")
    Path("envs/here.txt").write_text("# compiled: built\nall_of_this==1.0\nbuilt==1.0\n")
    found = make("here")
    command = [
        str(found.interpreter),
        "-c",
        "import ase, built; assert built.ASE == ase.__version__",
    ]
    subprocess.run(command, check=True)
    monkeypatch.setattr(environments, "missing_tools", lambda libraries: "no C++ compiler")
    assert make("here") == found  # there already
    shutil.rmtree(found.folder)
    with pytest.raises(PhonsmithError, match="built is compiled, but this machine has no C\\+\\+"):
        make("here")


def test_pins_are_written_as_they_are_installed(project: Path) -> None:
    environments.main(["--pin", "there", "all_of_this"])
    lines = Path("envs/there.txt").read_text().splitlines()
    assert lines[0].endswith("--pin there all_of_this")
    assert "all_of_this==1.0" in lines
    assert not any(line.startswith(("pip==", "setuptools==")) for line in lines)
    environment("there")


@pytest.mark.parametrize(
    "line",
    [
        "ase",
        "ase>=3.22",
        "-e .",
        "-r other.txt",
        "--index-url https://x",
        "./here",
        "a @ file:///a",
        "git+https://x/y",
        "ase==3.22 --hash=x",
        "ase==*",
        "../x==1",
        "ase==3.22; python_version<'4'",
    ],
)
def test_a_file_of_pins_holds_pins_alone(project: Path, line: str) -> None:
    Path("envs/here.txt").write_text(f"numpy==2.0\n{line}\n")
    with pytest.raises(PhonsmithError, match=r"^envs/here\.txt:2: '.*' is not a pinned package"):
        environment("here")


def test_only_files_of_the_project_are_environments(project: Path) -> None:
    with pytest.raises(PhonsmithError, match=r"envs/her\.txt: no such file.*did you mean 'here'\?"):
        environment("her")
    for name in ("../here", "/tmp/here", "envs/here.txt", ".."):
        with pytest.raises(ValidationError, match="a name consists of letters"):
            PotentialSource(calculator="a.b:C", environment=name)
    with pytest.raises(PhonsmithError, match=r"^fits\.a\.environment: envs/no\.txt: no such file"):
        source = PotentialSource(calculator="a.b:C", environment="no")
        check_named_files(source, "fits.a", lambda file: False)


# --- campaigns ----------------------------------------------------------------------------------

CAMPAIGN = {
    "structures": {"mp-149": {"file": "config/structures/silicon/mp-149.vasp"}},
    "reference": {"method": "calculator", "potential": {"calculator": "stillinger-weber"}},
    "supercells": {"min_length_angstrom": 5.0, "min_atoms": 8, "max_atoms": 70},
    "fits": {"itself": {"kind": "existing", "potential": {"calculator": "stillinger-weber"}}},
    "phonons": {"points_per_segment": 5, "mesh_length_angstrom": 15, "cells": ["reference"]},
    "benchmarks": {"mechanics": False},
    "figures": {"formats": ["svg"]},
}
OUTSIDE = {"calculator": "own_calculators:Silicon", "environment": "here"}


@pytest.mark.parametrize("where", ["reference", "fit"])
def test_a_campaign_makes_the_environment_of_its_potential_once(
    project: Path, repository: Path, where: str
) -> None:
    settings = json.loads(json.dumps(CAMPAIGN))
    if where == "reference":
        settings["reference"]["potential"] = OUTSIDE
    else:
        settings["fits"]["itself"]["potential"] = OUTSIDE
    target = "results/tiny/tables/rmse.csv"
    run = Project(project, repository, tiny=settings)
    first = run.planned(target)
    assert first["make_environment"] == 1
    done = run.run(target)
    assert done.returncode == 0, done.stderr
    assert run.planned(target) == {}
    with (run.results("tiny") / "tables/rmse.csv").open() as stream:
        assert all(float(row["rmse_thz"]) < 1e-5 for row in csv.DictReader(stream))
    # made again, which changes nothing; other pins, which change what is computed with them
    shutil.rmtree(environment("here").folder)
    assert run.planned(target) in ({}, {"make_environment": 1})
    make("here")
    assert run.planned(target) == {}
    Path("envs/here.txt").write_text("all_of_this==1.0\nnothing==1.0\n")
    again = run.planned(target)
    assert again["make_environment"] == 1
    assert again["label_batch" if where == "reference" else "fit"] == 1


def test_missing_pins_are_reported_before_anything_runs(project: Path, repository: Path) -> None:
    reference = {"method": "calculator", "potential": {**OUTSIDE, "environment": "their"}}
    run = Project(project, repository, tiny={**CAMPAIGN, "reference": reference})
    problem = "reference.potential.environment: envs/their.txt: no such file"
    run.refuses([problem, "environments are here"], "-n", "results/tiny/tables/rmse.csv")
    command = [sys.executable, "-m", "phonsmith.check", "tiny"]
    check = subprocess.run(command, capture_output=True, text=True, check=False)
    assert check.returncode == 1
    assert problem in check.stderr
