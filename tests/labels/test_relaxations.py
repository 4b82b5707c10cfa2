"""Relaxations that are kept: jobs that are killed, entries that are damaged, what a key holds."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from phonsmith.labels.calculator.method import CalculatorMethod
from phonsmith.labels.calculator.settings import CalculatorReference
from phonsmith.labels.reference_crystal import reference_crystal
from phonsmith.labels.relaxations import _path, relaxed
from phonsmith.labels.store import LabelStore
from phonsmith.structures.relaxation import FREE, Load, RelaxationResult
from phonsmith.structures.settings import Relaxation
from phonsmith.thermodynamics.free_energies import thermodynamics
from phonsmith.thermodynamics.results import Result as Warmed
from phonsmith.thermodynamics.settings import Thermodynamics
from phonsmith.transitions.enthalpies import enthalpies
from phonsmith.transitions.results import Enthalpies
from phonsmith.transitions.settings import Pressing
from tests.thermodynamics.test_free_energies import crystal

PRESSING = Pressing(pressures_gpa=[0, 2, 5], volumes=6)
WARMED = Thermodynamics(
    volumes=5, max_temperature_kelvin=300, mesh_length_angstrom=15, imaginary="report"
)
SETTINGS = Relaxation(fmax_ev_per_angstrom=1e-3)


class Counting(CalculatorMethod):
    """Stillinger–Weber that writes down each relaxation, and has its process killed at one."""

    def __init__(self, log: Path, killed_at: int = 0) -> None:
        potential = {"calculator": "stillinger-weber"}
        super().__init__(
            CalculatorReference.model_validate({"method": "calculator", "potential": potential})
        )
        self.log, self.killed_at = log, killed_at

    @property
    def calls(self) -> int:
        return len(self.log.read_text().splitlines()) if self.log.exists() else 0

    def relax(self, atoms: Atoms, settings: Relaxation, load: Load = FREE) -> RelaxationResult:
        if self.calls + 1 == self.killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        result = super().relax(atoms, settings, load)
        with self.log.open("a") as stream:
            stream.write(f"{load}\n")
        return result


def silicon() -> Atoms:
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.02, seed=1)
    return atoms


def pressed(method: Counting, store: LabelStore | None) -> Enthalpies:
    atoms = bulk("Si", a=5.5)
    return enthalpies("si", atoms, method, PRESSING, SETTINGS, name="reference", store=store)


def warmed(folder: Path, method: Counting, store: LabelStore) -> Warmed:
    one = replace(crystal(folder, "mp-149"), method=method, store=store)
    return thermodynamics(one, WARMED, method="reference", tolerance_thz=0.1)


def killed(function: Callable[..., Any], *arguments: Any) -> None:
    """Call it in a process, which has to be killed meanwhile."""
    job = multiprocessing.get_context("spawn").Process(target=function, args=arguments)
    job.start()
    job.join()
    assert job.exitcode == -signal.SIGKILL


def test_a_killed_job_has_its_relaxations_again(tmp_path: Path) -> None:
    """Seven of nine had ended when the job was killed: two are left, and all is as undisturbed."""
    undisturbed = Counting(tmp_path / "undisturbed")
    expected = pressed(undisturbed, None)
    assert undisturbed.calls == PRESSING.relaxations == 9
    assert not expected.notes and expected.equation_of_state
    store, log = LabelStore(tmp_path / "store"), tmp_path / "log"
    killed(pressed, Counting(log, killed_at=8), store)
    again = Counting(log)
    assert again.calls == 7
    assert pressed(again, store) == expected
    assert again.calls == 9
    assert pressed(again, store) == expected
    assert again.calls == 9
    assert not list(store.folder.rglob(".part-*"))


def test_thermodynamics_goes_on_where_it_was_killed(repository: Path, tmp_path: Path) -> None:
    """Killed at the fifth of its relaxations; as many in all as the settings tell the plan."""
    folder = repository / "config/structures/silicon"
    store, log = LabelStore(tmp_path / "store"), tmp_path / "log"
    killed(warmed, folder, Counting(log, killed_at=5), store)
    again = Counting(log)
    assert again.calls == 4
    first = warmed(folder, again, store)
    assert not first.reason and len(first.volumes) == 5
    assert again.calls == WARMED.relaxations == 7
    labels = list(store.folder.glob("??/*.npz"))
    assert len(labels) == WARMED.vibrations  # one displaced cell of diamond, each time
    assert warmed(folder, again, store) == first
    assert again.calls == 7


@pytest.mark.parametrize("damage", ["cut off", "changed", "empty", "of another crystal"])
def test_a_damaged_entry_is_not_trusted(tmp_path: Path, damage: str) -> None:
    store, method = LabelStore(tmp_path / "store"), Counting(tmp_path / "log")
    first = relaxed(silicon(), method, SETTINGS, store=store)
    assert first.converged and first.steps > 1
    (path,) = (store.folder / "relaxations").rglob("*.npz")
    content = bytearray(path.read_bytes())
    if damage == "changed":  # one bit of a coordinate
        at = content.find(np.asarray(first.atoms.positions[3]).tobytes())
        assert at > 0
        content[at] ^= 1
    if damage == "of another crystal":
        relaxed(bulk("Si"), method, SETTINGS, store=store)
        (other,) = set((store.folder / "relaxations").rglob("*.npz")) - {path}
        content = bytearray(other.read_bytes())
    path.write_bytes({"cut off": content[:-60], "empty": b""}.get(damage, content))
    before = method.calls
    again = relaxed(silicon(), method, SETTINGS, store=store)
    assert method.calls == before + 1
    third = relaxed(silicon(), method, SETTINGS, store=store)
    assert method.calls == before + 1  # the damaged one was replaced
    for one in (again, third):
        assert np.array_equal(one.atoms.positions, first.atoms.positions)
        assert np.array_equal(one.atoms.cell[:], first.atoms.cell[:])
        assert (one.energy_ev, one.steps) == (first.energy_ev, first.steps)
        assert one.fmax_ev_per_angstrom == first.fmax_ev_per_angstrom


def test_another_question_is_another_relaxation(tmp_path: Path) -> None:
    store, method = LabelStore(tmp_path / "store"), Counting(tmp_path / "log")
    given = silicon()
    moved = given.copy()
    moved.positions[0, 0] += 1e-9
    finer = SETTINGS.model_copy(update={"fmax_ev_per_angstrom": 1e-4})
    questions = [
        (given, SETTINGS, FREE),
        (given, SETTINGS, Load(pressure_gpa=1.0)),
        (given, SETTINGS, Load(fixed_volume=True)),
        (given, finer, FREE),
        (moved, SETTINGS, FREE),
    ]
    for number, (atoms, settings, load) in enumerate(questions, start=1):
        relaxed(atoms, method, settings, load, store)
        assert method.calls == number
    # what judges a crystal afterwards changes nothing
    relaxed(given, method, SETTINGS.model_copy(update={"symprec_angstrom": 0.1}), FREE, store)
    assert method.calls == len(questions)


def test_what_has_not_converged_resumes_under_a_larger_limit(tmp_path: Path) -> None:
    store, method = LabelStore(tmp_path / "store"), Counting(tmp_path / "log")
    whole = relaxed(silicon(), method, SETTINGS)

    def within(steps: int) -> RelaxationResult:
        settings = SETTINGS.model_copy(update={"max_steps": steps})
        return relaxed(silicon(), method, settings, store=store)

    short = within(2)
    assert (short.converged, short.steps, method.calls) == (False, 2, 2)
    again = within(2)  # there is nothing more to do
    assert (again.converged, again.steps, method.calls) == (False, 2, 2)
    assert np.array_equal(again.atoms.positions, short.atoms.positions)
    longer = within(3)
    assert (longer.converged, longer.steps, method.calls) == (False, 3, 3)
    assert longer.fmax_ev_per_angstrom < short.fmax_ev_per_angstrom
    done = within(500)
    assert (done.converged, method.calls) == (True, 4)
    assert done.energy_ev == pytest.approx(whole.energy_ev, abs=1e-6)
    for limit in (500, 1000, 1):  # a converged relaxation does not depend on the limit
        assert within(limit).steps == done.steps
    assert method.calls == 4


def test_relaxations_of_earlier_versions_stay_readable(tmp_path: Path) -> None:
    """Their files are named by the step limit too, and hold converged relaxations alone."""
    store, method = LabelStore(tmp_path / "store"), Counting(tmp_path / "log")
    first = relaxed(silicon(), method, SETTINGS, store=store)
    (path,) = (store.folder / "relaxations").rglob("*.npz")
    with np.load(path) as data:
        content = {key: data[key] for key in data if key not in {"converged", "names"}}
    old = _path(silicon(), method, SETTINGS, FREE, store, SETTINGS.max_steps)
    assert old != path
    path.unlink()
    store.write_arrays(old, content)
    assert relaxed(silicon(), method, SETTINGS, store=store).steps == first.steps
    assert method.calls == 1


def test_the_reference_crystal_comes_from_the_store(tmp_path: Path) -> None:
    store, method = LabelStore(tmp_path / "store"), Counting(tmp_path / "log")
    found = [reference_crystal("si", silicon(), method, SETTINGS, store=store)[0] for _ in range(2)]
    assert method.calls == 1
    assert np.array_equal(found[0].positions, found[1].positions)
