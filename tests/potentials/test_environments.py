"""Calculators in environments of their own: identical numbers, one process, errors in one line."""

import csv
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from pydantic import ValidationError

from phonsmith.files.errors import PhonsmithError, TryAgain, UnusablePotential
from phonsmith.labels.calculator.settings import CalculatorReference
from phonsmith.labels.factory import reference_method
from phonsmith.potentials import environments, outside
from phonsmith.potentials.calculators import (
    evaluate,
    evaluate_each,
    evaluate_one,
    load_potential,
    make_calculator,
    save_potential,
)
from phonsmith.potentials.environments import environment, made, make
from phonsmith.potentials.loaded_files import check_arguments, check_named_files
from phonsmith.potentials.serving import server
from phonsmith.potentials.settings import PotentialSource
from tests.project import Project

SW = PotentialSource(calculator="stillinger-weber")

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


def own(name: str, **settings: object) -> PotentialSource:
    calculator = f"own_calculators:{name}"
    return PotentialSource(calculator=calculator, environment="here", **settings)


def cells(count: int = 3) -> list[Atoms]:
    found = [bulk("Si", a=5.43 + 0.05 * index, cubic=True) for index in range(count)]
    for index, cell in enumerate(found):
        cell.rattle(0.05, seed=index)
    return found


def same(left: list, right: list) -> bool:
    return all(
        one.energy == other.energy
        and np.array_equal(one.forces, other.forces)
        and np.array_equal(one.stress, other.stress)
        for one, other in zip(left, right, strict=True)
    )


# --- numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("processes", [1, 2])
def test_stillinger_weber_gives_identical_numbers_outside(here: Path, processes: int) -> None:
    changed = {"lambda1": 25.0}
    for arguments in ({}, changed):
        inside = evaluate(cells(), SW.model_copy(update={"arguments": arguments}))
        assert same(evaluate(cells(), own("Silicon", arguments=arguments), processes), inside)
    started = Path("started").read_text().split()
    assert len(set(started)) == len(started) == 2 * processes


def test_chgnet_gives_identical_numbers_outside(here: Path) -> None:
    source = PotentialSource(
        calculator="chgnet.model.dynamics:CHGNetCalculator",
        arguments={"use_device": "cpu", "on_isolated_atoms": "ignore"},
        environment="here",
        trust=True,
    )
    inside = evaluate(cells(2), PotentialSource(calculator="chgnet"))
    assert same(evaluate(cells(2), source), inside)


def test_a_molecule_without_a_lattice(here: Path) -> None:
    emt = {"calculator": "ase.calculators.emt:EMT"}
    molecule = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 2.2]])
    (outside,) = evaluate([molecule], PotentialSource(**emt, environment="here"))
    (inside,) = evaluate([molecule], PotentialSource(**emt))
    assert outside.stress is inside.stress is None
    assert outside.energy == inside.energy
    assert np.array_equal(outside.forces, inside.forces)


def test_cells_that_move(here: Path) -> None:
    calculator = make_calculator(own("Silicon"))
    inside = make_calculator(SW)
    cell = cells(1)[0]
    cell.calc = calculator
    first = cell.get_potential_energy()
    cell.positions[0] += 0.01
    assert cell.get_potential_energy() != first
    assert cell.get_potential_energy() == evaluate_one(cell, inside).energy
    assert np.array_equal(cell.get_stress(voigt=False), evaluate_one(cell, inside).stress)


# --- the process --------------------------------------------------------------------------------


def test_a_process_is_started_once(here: Path) -> None:
    for _ in range(3):
        evaluate(cells(), own("Silicon"))
    make_calculator(own("Silicon"))
    assert len(Path("started").read_text().split()) == 1


def test_noise_of_libraries_and_readers_of_stdin_do_no_harm(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert same(evaluate(cells(), own("Noisy")), evaluate(cells(), SW))
    out, err = capfd.readouterr()
    assert out == ""
    assert "PHONPHON" in err  # the log of a job


def test_errors_are_one_line_and_the_process_goes_on(here: Path) -> None:
    Path("mood").write_text("fails")
    three = Atoms("Si3", cell=[9, 9, 9], pbc=True, positions=np.eye(3))
    outcomes = dict(evaluate_each([*cells(1), three, *cells(1)], own("Moody")))
    assert str(outcomes[1]).startswith("ValueError: too few atoms for me\nTraceback")
    assert same([outcomes[0], outcomes[2]], evaluate([*cells(1), *cells(1)], SW))
    assert len(Path("started").read_text().split()) == 1
    with pytest.raises(UnusablePotential) as caught:
        evaluate([three], own("Moody"))
    assert str(caught.value) == (
        "calculator 'own_calculators:Moody' fails on cell 0 (Si3): FailedOutside: ValueError: too "
        "few atoms for me"
    )


def test_a_crash_is_a_failure_of_its_cell(here: Path) -> None:
    Path("mood").write_text("SIGSEGV")
    three = Atoms("Si3", cell=[9, 9, 9], pbc=True, positions=np.eye(3))
    outcomes = dict(evaluate_each([*cells(1), three, *cells(1)], own("Moody")))
    assert "ended by SIGSEGV" in str(outcomes[1])
    assert same([outcomes[0], outcomes[2]], evaluate([*cells(1), *cells(1)], SW))


def test_a_process_without_memory_asks_for_more(here: Path) -> None:
    Path("mood").write_text("SIGKILL")
    three = Atoms("Si3", cell=[9, 9, 9], pbc=True, positions=np.eye(3))
    with pytest.raises(TryAgain, match=r"in environment 'here' failed \(ended by SIGKILL") as found:
        evaluate([*cells(1), three], own("Moody"))
    assert found.value.wants == "memory"


def test_a_process_that_crashes_at_once_stops_the_job(here: Path) -> None:
    Path("mood").write_text("SIGSEGV")
    three = Atoms("Si3", cell=[9, 9, 9], pbc=True, positions=np.eye(3))
    with pytest.raises(PhonsmithError, match="ended by SIGSEGV") as caught:
        evaluate([three], own("Moody"))
    assert "\n" not in str(caught.value)


def test_a_late_reply_is_not_taken_for_the_next(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = cells(2)
    calculator = make_calculator(own("Silicon"))

    def interrupted(link: socket.socket) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(server, "receive", interrupted)
        evaluate_one(first, calculator)
    assert same([evaluate_one(second, calculator)], evaluate([second], SW))


def test_it_ends_with_its_parent(here: Path) -> None:
    Path("mood").write_text("sleeps")
    script = (
        "from ase import Atoms\n"
        "from phonsmith.potentials.calculators import evaluate\n"
        "from phonsmith.potentials.settings import PotentialSource\n"
        "source = PotentialSource(calculator='own_calculators:Moody', environment='here')\n"
        "evaluate([Atoms('Si3', cell=[9, 9, 9], pbc=True)], source)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script])
    wait_for(lambda: Path("started").exists())
    (child,) = map(int, Path("started").read_text().split())
    time.sleep(1)  # it is asked for a cell
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    wait_for(lambda: not Path(f"/proc/{child}").exists())


def wait_for(condition: object, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("Unbuildable", {}, "cannot be built: FailedOutside: RuntimeError: no weights; check its"),
        ("Absent", {}, r"in environment 'here' cannot be imported \(module 'own_calculators' has"),
        ("function", {}, "is not a class of an ASE calculator; if it is a function that returns"),
        ("OWN", {"trust": True}, "cannot be imported"),
    ],
)
def test_what_cannot_be_built_is_one_line(
    here: Path, name: str, settings: dict, words: str
) -> None:
    with pytest.raises(PhonsmithError, match=words) as caught:
        make_calculator(own(name, **settings))
    assert "\n" not in str(caught.value)
    assert not Path("called").exists()


def test_a_trusted_function_makes_a_calculator(here: Path) -> None:
    assert same(evaluate(cells(), own("function", trust=True)), evaluate(cells(), SW))


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04\x95" + bytes(40),  # what pickle writes
        b"PHON" + (1 << 40).to_bytes(8, "little"),
        b"PHON" + (2).to_bytes(8, "little") + b"[]",
        b"PHON" + (2).to_bytes(8, "little") + b"\xff{",
        *(
            b"PHON" + len(head).to_bytes(8, "little") + head + bytes(64)
            for head in (
                b'{"arrays": {"a": ["|O8", 1]}}',
                b'{"arrays": {"a": ["<f8", -1]}}',
                b'{"arrays": {"a": ["<f8", "1"]}}',
                b'{"arrays": {"a": 1}}',
                b"{}",
            )
        ),
    ],
)
def test_what_is_no_message_is_refused(content: bytes) -> None:
    left, right = socket.socketpair()
    with left, right:
        left.sendall(content)
        with pytest.raises(server.Broken):
            server.receive(right)


def test_messages_keep_numbers_and_shapes() -> None:
    left, right = socket.socketpair()
    arrays = {
        "a": np.random.default_rng(0).random((3, 4, 2)),
        "b": np.array(7.0),
        "c": np.zeros((0, 3)),
        "d": np.arange(6).reshape(2, 3).T,
    }
    with left, right:
        server.send(left, {"x": [1, "ü"]}, arrays)
        head, found = server.receive(right)
        assert head == {"x": [1, "ü"]}
        assert all(np.array_equal(found[name], arrays[name]) for name in arrays)
        assert [found[name].shape for name in arrays] == [arrays[name].shape for name in arrays]
        left.close()
        with pytest.raises(EOFError):
            server.receive(right)


# --- making environments ------------------------------------------------------------------------


def test_an_environment_is_made_once_and_then_needs_no_network(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = environment("here")
    (found.folder / "lib").mkdir(parents=True)  # what a killed process has left
    (found.folder / "lib/half").touch()
    with pytest.raises(PhonsmithError) as caught:
        make_calculator(own("Silicon"))
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


def test_texts_need_trust_outside_too(here: Path) -> None:
    with pytest.raises(PhonsmithError, match="not loaded"):
        make_calculator(own("Silicon", arguments={"weights": "some.pt"}))


# --- what results depend on ---------------------------------------------------------------------


def test_labels_depend_on_the_pins(here: Path) -> None:
    def fingerprint() -> str:
        reference = CalculatorReference(method="calculator", potential=own("Silicon"))
        return reference_method(reference).fingerprint(["Si"])

    before = fingerprint()
    Path("envs/here.txt").write_text("# a comment\n\nall_of_this==1.0\n")
    assert fingerprint() == before
    Path("envs/here.txt").write_text("all_of_this==1.1\n")
    assert fingerprint() != before
    inside = PotentialSource(calculator="own_calculators:Silicon")
    assert own("Silicon").physics() != inside.physics()
    assert "environment" not in inside.physics()


def test_labels_record_the_package_of_their_environment(here: Path) -> None:
    source = PotentialSource(calculator="ase.calculators.emt:EMT", environment="here")
    method = reference_method(CalculatorReference(method="calculator", potential=source))
    label = method.label(bulk("Cu", cubic=True))
    record = json.dumps({str(key): str(value) for key, value in label.info.items()})
    assert f"{__import__('ase').__version__}" in record


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


# --- SevenNet -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"model": "7net-l3"},
            "`model` must be one of 7net-l3i5, 7net-0, 7net-mf-0; found 7net-l3",
        ),
        ({}, "`model` must be one of 7net-l3i5, 7net-0, 7net-mf-0; found none"),
        ({"calculator": "chgnet", "environment": "x"}, "computes in phonsmith's environment"),
    ],
)
def test_what_the_settings_refuse(settings: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        PotentialSource(**{"calculator": "sevennet", **settings})


def test_the_level_of_theory_of_a_model_with_several_has_to_be_named() -> None:
    def source(model: str, **arguments: str) -> PotentialSource:
        return PotentialSource(calculator="sevennet", model=model, arguments=arguments)

    check_arguments(source("7net-mf-0", modal="R2SCAN"))
    check_arguments(source("7net-0"))
    with pytest.raises(PhonsmithError, match="7net-mf-0 has `modal: PBE or R2SCAN` in `arguments`"):
        check_arguments(source("7net-mf-0"))
    with pytest.raises(PhonsmithError, match="model 7net-0 has no `modal` in `arguments`"):
        check_arguments(source("7net-0", modal="PBE"))
    with pytest.raises(PhonsmithError, match="unknown argument file_type"):
        check_arguments(source("7net-0", file_type="model_instance"))


def test_a_named_model_is_no_file(tmp_path: Path) -> None:
    source = PotentialSource(calculator="sevennet", model="7net-0")
    assert source.model_file is None
    assert source.takes_gpu
    assert source.level_of_theory == "sevennet 7net-0"
    slower = PotentialSource(calculator="sevennet", model="7net-l3i5")
    assert source.seconds_per_atom < slower.seconds_per_atom
    from phonsmith.potentials.calculators import Potential

    path = tmp_path / "potential.json"
    save_potential(path, Potential(source=source, has_energies=True, level_of_theory="x", fit="x"))
    assert load_potential(path).source == source


def test_the_file_of_sevennet_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # it comes with phonsmith
    pins = environment("sevennet").pins
    assert "sevenn==0.13.0" in pins
    lock = (Path(__file__).parents[2] / "requirements.lock").read_text().split()
    for package in ("torch", "numpy", "ase"):
        (ours,) = [pin for pin in lock if pin.startswith(f"{package}==")]
        assert ours in pins


@pytest.fixture
def sevennet(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PotentialSource:
    monkeypatch.chdir(repository)
    if not environment("sevennet").record.is_file():
        pytest.skip("make it with: python -m phonsmith.potentials.environments sevennet")
    return PotentialSource(calculator="sevennet", model="7net-l3i5", arguments={"device": "cpu"})


@pytest.mark.slow
def test_sevennet_of_silicon(sevennet: PotentialSource) -> None:
    """Lattice constant and Γ mode of PBE are 5.469 Å and 15.1 THz; measured without phonsmith."""
    below, above = evaluate([bulk("Si", a=a) for a in (5.464, 5.470)], sevennet)
    assert np.trace(below.stress) < 0 < np.trace(above.stress)
    cell = bulk("Si", a=5.467)
    step = 0.01
    forces = []
    for sign in (1, -1):
        moved = cell.copy()
        moved.positions[0, 0] += sign * step / 2
        moved.positions[1, 0] -= sign * step / 2
        forces.append(evaluate([moved], sevennet)[0].forces[0, 0])
    constant = -(forces[0] - forces[1]) / (2 * step)  # eV/Å² of the relative coordinate
    reduced = 28.0855 / 2 * 1.66053907e-27
    frequency = np.sqrt(2 * constant / 2 * 16.0217663 / reduced) / (2 * np.pi) / 1e12
    assert frequency == pytest.approx(12.80, abs=0.05)
