"""Calculators in environments of their own: identical numbers, one process, errors in one line."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from phonsmith.files.errors import PhonsmithError, TryAgain, UnusablePotential
from phonsmith.labels.calculator.settings import CalculatorReference
from phonsmith.labels.factory import reference_method
from phonsmith.potentials.calculators import (
    evaluate,
    evaluate_each,
    evaluate_one,
    make_calculator,
)
from phonsmith.potentials.serving import server
from phonsmith.potentials.settings import PotentialSource

SW = PotentialSource(calculator="stillinger-weber")


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
    # MKL may add in another order in another process (MKL_CBWR): equal in single precision
    inside = evaluate(cells(2), PotentialSource(calculator="chgnet"))
    for there, here_ in zip(evaluate(cells(2), source), inside, strict=True):
        assert there.energy == pytest.approx(here_.energy, rel=5e-7)
        assert there.forces == pytest.approx(here_.forces, abs=2e-5)
        assert there.stress == pytest.approx(here_.stress, abs=2e-6)


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


def test_texts_need_trust_outside_too(here: Path) -> None:
    with pytest.raises(PhonsmithError, match="not loaded"):
        make_calculator(own("Silicon", arguments={"weights": "some.pt"}))
