"""One run of a protocol with a potential: snapshots with labels, and how it ended.

Labels are the energies, forces and stresses that the dynamics computed anyway. An interrupted run
continues from its last checkpoint with equal results. A run that breaks a limit keeps its earlier
snapshots: with a poor potential this is a result.
"""

import hashlib
import json
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar
from zipfile import BadZipFile

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from ase.md.velocitydistribution import thermalize_momenta

from phonsmith.distillation.settings import DynamicsBase, ProtocolBase
from phonsmith.distillation.starts import first_cell, settled
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import read_frames, write_frames
from phonsmith.files.json_records import StoredRecord
from phonsmith.files.reading_writing import DAMAGED, replacing
from phonsmith.labels.checks import labelled
from phonsmith.potentials.at_once import AtOnce
from phonsmith.potentials.calculators import one_line, results_of
from phonsmith.potentials.dynamics import Bath, LangevinRun, Limits, State, Stretch
from phonsmith.structures.relaxation import Load, relax
from phonsmith.structures.settings import Relaxation
from phonsmith.structures.sites import plain

CHECKPOINT_STEPS = 500
"""Steps between checkpoints where no snapshots are taken."""
DISTANCES_STEPS = 10
"""Steps between comparisons of all distances with their limit."""


class Outcome(StoredRecord):
    """How a run ended."""

    IN_WORDS: ClassVar[str] = "the outcome of a run"

    atoms: int
    steps: int
    planned_steps: int
    snapshots: int
    reason: str
    """Why the run ended early; empty if it is complete."""
    temperature_kelvin: float
    """Of the thermostat at the end."""
    pressure_gpa: float | None
    """Of the barostat at the end; None with a fixed cell."""
    relaxed: bool | None
    """Whether the relaxation of the last cell converged; None without relaxation."""
    cpu_s_per_atom_step: float | None
    """CPU seconds of this process; None without new steps."""
    cautions: list[str]
    """Sentences for the table of warnings."""

    @classmethod
    def of_none(cls, protocol: DynamicsBase, reason: str) -> "Outcome":
        """Return the outcome of a run that did not start."""
        part = protocol.program()[0]
        return cls(
            atoms=0,
            steps=0,
            planned_steps=protocol.steps,
            snapshots=0,
            reason=reason,
            temperature_kelvin=part.kelvin[0],
            pressure_gpa=part.gpa[0] if part.gpa else None,
            relaxed=None,
            cpu_s_per_atom_step=None,
            cautions=[f"No run: {reason}."],
        )


P_co = TypeVar("P_co", bound=ProtocolBase, covariant=True)


@dataclass(frozen=True)
class Run(Generic[P_co]):
    """A run to be made.

    Attributes
    ----------
    name
        Name of the data set; the ``structure`` of its snapshots.
    protocol
        Its protocol.
    number
        Number of the run.
    seed
        Seed of momenta and random forces.
    method
        Name of the potential in the labels.
    potential
        What its results depend on, as text: checkpoints of another potential are discarded.
    """

    name: str
    protocol: P_co
    number: int
    seed: int
    method: str
    potential: str = ""

    def digest(self, without: Collection[str] = ()) -> str:
        """Digest of all that the run depends on, other than its first cell.

        Parameters
        ----------
        without
            Keys of the protocol to omit.
        """
        protocol = self.protocol.model_dump(mode="json", exclude=set(without))
        content = {**asdict(self), "protocol": protocol}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def perform_from(
    run: Run[DynamicsBase],
    crystal: Atoms | None,
    calculator: BaseCalculator,
    relaxation: Relaxation,
    work: Path,
    *,
    left_out: str = "",
) -> tuple[list[Atoms], Outcome]:
    """Make the first cell of a run by its seed, and :func:`perform` it.

    Parameters
    ----------
    run, calculator, relaxation, work
        See :func:`perform`.
    crystal
        Unit cell of the crystal that it starts from, if any.
    left_out
        Why the campaign omits this crystal: then there is no run.
    """
    if left_out:
        return [], Outcome.of_none(run.protocol, left_out)
    start = first_cell(run.protocol.start, crystal, np.random.default_rng([run.seed, 1]))
    if run.protocol.start.structure is None:
        start = _settled_once(run, start, calculator, work)
    return perform(run, start, calculator, relaxation, work)


def _settled_once(
    run: Run[DynamicsBase], start: Atoms, calculator: BaseCalculator, work: Path
) -> Atoms:
    """The settled cell of a random one, kept for when the run is resumed."""
    file, key = work / "start.npz", f"{run.digest()} {_digest(start)}"
    known = _kept(file, key)
    if known is None:
        cell = settled(start, calculator)
        work.mkdir(parents=True, exist_ok=True)
        with replacing(file) as temporary, temporary.open("wb") as stream:
            np.savez(stream, key=key, positions=cell.positions)
        return cell
    cell = plain(start)
    cell.positions = known["positions"]
    return cell


def _kept(file: Path, key: str) -> dict[str, Any] | None:
    """Arrays of a file in the folder of checkpoints; None if it is damaged, or of another run."""
    with suppress(*DAMAGED, BadZipFile, KeyError), np.load(file, allow_pickle=False) as content:
        found = {name: content[name] for name in content.files}
        return found if str(found.pop("key")) == key else None
    return None


def perform(
    run: Run[DynamicsBase],
    start: Atoms,
    calculator: BaseCalculator,
    relaxation: Relaxation,
    work: Path,
) -> tuple[list[Atoms], Outcome]:
    """Make a run, or continue it from the checkpoint in a folder.

    Parameters
    ----------
    run
        The run.
    start
        Its first cell.
    calculator
        ASE calculator; with pressures it needs stresses.
    relaxation
        Tolerances and step limit of the relaxation of the last cell.
    work
        Folder for checkpoints.

    Returns
    -------
    Labelled snapshots in the order of time, and the outcome.

    Raises
    ------
    PhonsmithError
        The protocol has a pressure, and the calculator no stresses.
    """
    walk = _Walk(run, start, calculator, work)
    reason = walk.finish()
    relaxed = None
    if run.protocol.relaxes and not reason:
        relaxed, reason = walk.relax(relaxation)
    return walk.frames, walk.outcome(reason, relaxed)


class _Walk:
    """A run in progress."""

    def __init__(
        self, run: Run[DynamicsBase], start: Atoms, calculator: BaseCalculator, work: Path
    ) -> None:
        protocol = run.protocol
        parts = protocol.program()
        stretches = [Stretch(protocol.steps_of(part), part.kelvin, part.gpa) for part in parts]
        random = np.random.default_rng(run.seed)
        atoms = plain(start)
        thermalize_momenta(atoms, parts[0].kelvin[0], rng=random)
        atoms.calc = AtOnce(calculator)
        bath = Bath(
            protocol.timestep_fs,
            protocol.thermostat_fs,
            protocol.barostat_fs,
            free_shape=protocol.shape == "free",
        )
        self.run = run
        self.atoms = atoms
        self.calculator = calculator
        self.dynamics = LangevinRun(atoms, stretches, bath, random)
        self.limits = Limits(
            protocol.max_force_ev_per_angstrom,
            protocol.max_temperature_factor,
            protocol.min_distance_angstrom,
            volume=protocol.max_volume_factor * atoms.get_volume() / len(atoms),
        )
        self.moments = snapshot_steps(protocol)
        self.frames: list[Atoms] = []
        self.checkpoint = _Checkpoint(work, f"{run.digest()} {_digest(start)}")
        self.seconds, self.first_step = 0.0, 0
        if pressed := [part for part in parts if part.gpa is not None]:
            self._require_stress(pressed[0].gpa)

    def _require_stress(self, gpa: Any) -> None:
        if "stress" not in getattr(self.calculator, "implemented_properties", ["stress"]):
            raise PhonsmithError(
                f"{self.run.name}: the potential has no stress, but the protocol has a pressure "
                f"of {gpa[0]:g} GPa; choose a protocol without pressure, or another potential"
            )

    def finish(self) -> str:
        """Walk to the end; return why it ended early, or an empty text."""
        if (found := self.checkpoint.load()) is not None:
            state, self.frames = found
            self.dynamics.restore(state)
        self.first_step = self.dynamics.step
        start = time.process_time()
        try:
            return next(filter(None, map(self._at_step, self._steps())), "")
        except PhonsmithError:
            raise
        except Exception as error:  # calculators fail in their own ways on broken geometries
            done = self.dynamics.step
            return f"the potential fails after {done} steps: {one_line(error)}"
        finally:
            self.seconds = time.process_time() - start

    def _steps(self) -> Iterator[int]:
        for _ in self.dynamics.walk():
            yield self.dynamics.step

    def _at_step(self, step: int) -> str:
        if reason := self._broken(step):
            return f"{reason} after {step} steps"
        taken = step in self.moments and step > self.checkpoint.step
        if taken:
            self.frames.append(self._snapshot("dynamics"))
        if taken or step % CHECKPOINT_STEPS == 0:
            self.checkpoint.save(self.dynamics.state, self.frames)
        return ""

    def _broken(self, step: int) -> str:
        kelvin, _ = self.dynamics.target
        distances = step % DISTANCES_STEPS == 0 or step in self.moments
        return self.limits.broken_by(self.atoms, kelvin, distances)

    def _snapshot(self, origin: str, **more: Any) -> Atoms:
        """The present cell with its label."""
        results = results_of(self.atoms, self.calculator)
        cell = plain(self.atoms)
        kelvin, gpa = self.dynamics.target
        cell.info = {
            "structure": self.run.name,
            "kind": "distilled",
            "generation": 0,
            "index": self.run.number * (len(self.moments) + 1) + len(self.frames),
            "seed": self.run.seed,
            "origin": origin,
            "run": self.run.number,
            "time_ps": self.dynamics.step * self.run.protocol.timestep_fs / 1000,
            "thermostat_kelvin": kelvin,
            **({} if gpa is None else {"barostat_gpa": gpa}),
            **more,
        }
        return labelled(cell, self.run.method, results.energy, results.forces, results.stress)

    def relax(self, settings: Relaxation) -> tuple[bool, str]:
        """Relax the last cell; return whether that converged, and why it failed, or ""."""
        _, gpa = self.dynamics.target
        load = Load(fixed_volume=True) if gpa is None else Load(pressure_gpa=gpa)
        try:
            result = relax(plain(self.atoms), self.calculator, settings, load)
            self.atoms.set_cell(result.atoms.cell)
            self.atoms.positions = result.atoms.positions
            self.frames.append(self._snapshot("relaxed"))
        except PhonsmithError as error:
            return False, f"the relaxation of the last cell fails: {error}"
        return result.converged, ""

    def outcome(self, reason: str, relaxed: bool | None) -> Outcome:
        """How the run ended."""
        kelvin, gpa = self.dynamics.target
        steps = self.dynamics.step - self.first_step
        cost = self.seconds / (steps * len(self.atoms)) if steps else None
        return Outcome(
            atoms=len(self.atoms),
            steps=self.dynamics.step,
            planned_steps=self.dynamics.steps,
            snapshots=len(self.frames),
            reason=reason,
            temperature_kelvin=kelvin,
            pressure_gpa=gpa,
            relaxed=relaxed,
            cpu_s_per_atom_step=cost,
            cautions=list(self._cautions(reason, relaxed)),
        )

    def _cautions(self, reason: str, relaxed: bool | None) -> Iterator[str]:
        if reason:
            missing = len(self.moments) - len(self.frames)
            yield f"The run ended early: {reason}; {max(missing, 0)} snapshots are missing."
        if relaxed is False and not reason:
            yield "The relaxation of the last cell did not converge."


def snapshot_steps(protocol: DynamicsBase) -> set[int]:
    """Return the steps after which snapshots are taken: at equal intervals of the sampled parts.

    Parameters
    ----------
    protocol
        Protocol of the run; the last step of its sampled parts is one of them.
    """
    sampled: list[int] = []
    before = 0
    for part in protocol.program():
        steps = protocol.steps_of(part)
        if part.sampled:
            sampled += range(before + 1, before + steps + 1)
        before += steps
    places = np.linspace(0, len(sampled), protocol.snapshots + 1)[1:]
    return {sampled[round(place) - 1] for place in places}


def _digest(atoms: Atoms) -> str:
    arrays = (atoms.numbers, atoms.positions, np.array(atoms.cell))
    return hashlib.sha256(
        b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)
    ).hexdigest()


class _Checkpoint:
    """State and snapshots of a run in a folder; those of another run are passed over."""

    def __init__(self, folder: Path, key: str) -> None:
        self.frames_file = folder / "snapshots.extxyz"
        self.state_file = folder / "state.npz"
        self.key = key
        self.step = -1
        folder.mkdir(parents=True, exist_ok=True)

    def save(self, state: State, frames: list[Atoms]) -> None:
        """Write snapshots, then the state that counts them."""
        write_frames(self.frames_file, frames)
        content = {**asdict(state), "random": json.dumps(state.random)}
        with replacing(self.state_file) as temporary, temporary.open("wb") as stream:
            np.savez(stream, key=self.key, count=len(frames), **content)
        self.step = state.step

    def load(self) -> tuple[State, list[Atoms]] | None:
        """Return state and snapshots, or None without usable ones."""
        found = _kept(self.state_file, self.key)
        if found is None:
            return None
        with suppress(*DAMAGED, KeyError, PhonsmithError):
            frames = read_frames(self.frames_file)[: int(found.pop("count"))]
            random = json.loads(str(found.pop("random")))
            state = State(step=int(found.pop("step")), random=random, **found)
            self.step = state.step
            return state, frames
        return None
