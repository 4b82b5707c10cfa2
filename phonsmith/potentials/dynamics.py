"""Molecular dynamics in stretches of changing temperature and pressure, with limits.

The limits end runs that explode. The state of a run can be kept and restored: a restored run
continues as if it had never stopped.
"""

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.md.langevinbaoab import LangevinBAOAB
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bath:
    """Time step and time constants of thermostat and barostat (fs).

    ``free_shape`` lets the barostat change the shape of the cell, not only its volume.
    """

    timestep_fs: float = 1.0
    thermostat_fs: float = 100.0
    barostat_fs: float = 1000.0
    free_shape: bool = False


@dataclass(frozen=True)
class Stretch:
    """A part of a run: temperature (K) and pressure (GPa) change linearly from first to second.

    Without pressures, the cell remains fixed.
    """

    steps: int
    kelvin: tuple[float, float]
    gpa: tuple[float, float] | None = None

    def at(self, step: int) -> tuple[float, float | None]:
        """Return temperature and pressure after some of its steps."""
        share = step / self.steps if self.steps else 1.0
        first, last = self.kelvin
        pressure = None
        if self.gpa is not None:
            pressure = self.gpa[0] + share * (self.gpa[1] - self.gpa[0])
        return first + share * (last - first), pressure


@dataclass(frozen=True)
class Limits:
    """What ends a run: force on an atom (eV/Å), temperature, distances (Å), move from a site (Å).

    The temperature is a multiple of that of the thermostat. ``start`` has the sites; without it,
    atoms may go anywhere. ``volume`` (Å³ per atom) ends runs that evaporate.
    """

    force: float
    temperature_factor: float
    distance: float
    displacement: float = math.inf
    start: Atoms | None = None
    volume: float = math.inf

    def broken_by(self, atoms: Atoms, thermostat_kelvin: float, distances: bool = True) -> str:
        """Return a message on the limit that the atoms exceed, or an empty text.

        Parameters
        ----------
        atoms
            Atoms with a calculator.
        thermostat_kelvin
            Temperature of the thermostat.
        distances
            Whether to compare distances between atoms, too.
        """
        force = float(np.linalg.norm(atoms.get_forces(), axis=1).max())
        temperature = float(atoms.get_temperature())
        hottest = self.temperature_factor * thermostat_kelvin
        # "not <" is true of NaN as well
        if not force < self.force:
            return f"a force of {force:.3g} eV/Å (limit {self.force:g})"
        if not temperature < hottest:
            return f"a temperature of {temperature:.0f} K (limit {hottest:g})"
        volume = atoms.get_volume() / len(atoms)
        if not volume < self.volume:
            return f"a volume of {volume:.3g} Å³ per atom (limit {self.volume:.3g})"
        if self.start is not None:
            moves = atoms.positions - self.start.positions
            moves -= moves.mean(axis=0)  # the thermostat lets the whole cell drift
            away = float(np.linalg.norm(moves, axis=1).max())
            if not away < self.displacement:
                return f"an atom {away:.2f} Å from its site (limit {self.displacement:.2f})"
        if distances and len(close := neighbor_list("d", atoms, self.distance)):
            return f"atoms {close.min():.2f} Å apart (limit {self.distance:.2f})"
        return ""


@dataclass(frozen=True)
class State:
    """Where a run stands: all that its continuation depends on.

    ``step`` counts from the start of the run. ``cell_momentum`` and ``cell_force`` are those of the
    barostat: its force holds the kinetic energy before the last half step, and cannot be computed
    from the momenta. ``random`` is the state of the random generator, as plain values.
    """

    step: int
    positions: Floats
    momenta: Floats
    cell: Floats
    cell_momentum: Floats
    cell_force: Floats
    random: dict[str, Any]


class LangevinRun:
    """Langevin dynamics of atoms through stretches.

    Parameters
    ----------
    atoms
        Atoms with momenta and a calculator; they are moved. With pressures, the calculator needs
        stresses.
    stretches
        Parts of the run, one after another.
    bath
        Time step and time constants.
    random
        Generator of the random forces.

    References
    ----------
    B. Leimkuhler and C. Matthews, J. Chem. Phys. 138, 174102 (2013): the BAOAB integrator.
    D. Quigley and M. Probert, J. Chem. Phys. 120, 11432 (2004): the barostat.
    """

    def __init__(
        self, atoms: Atoms, stretches: Sequence[Stretch], bath: Bath, random: np.random.Generator
    ) -> None:
        self.atoms = atoms
        self.stretches = list(stretches)
        self.bath = bath
        self.random = random
        self.step = 0
        self._integrator: LangevinBAOAB | None = None
        self._pressed: bool | None = None

    @property
    def steps(self) -> int:
        """Steps of all stretches."""
        return sum(stretch.steps for stretch in self.stretches)

    @property
    def target(self) -> tuple[float, float | None]:
        """Temperature (K) and pressure (GPa; None: fixed cell) of the next step."""
        return self._target_after(self.step)

    def _target_after(self, steps: int) -> tuple[float, float | None]:
        for stretch in self.stretches[:-1]:
            if steps < stretch.steps:
                return stretch.at(steps)
            steps -= stretch.steps
        return self.stretches[-1].at(steps)

    def walk(self) -> Iterator[None]:
        """Yield before the next step, and after each step until the end."""
        yield
        while self.step < self.steps:
            self._advance()
            yield

    def _advance(self) -> None:
        kelvin, gpa = self.target
        pressed = gpa is not None
        if self._integrator is None or pressed != self._pressed:
            self._integrator = self._integrator_at(kelvin, gpa)
            self._pressed = pressed
        self._integrator.set_temperature(kelvin)
        if gpa is not None:
            self._integrator.externalstress = self._stress(gpa)
        self._integrator.run(1)
        self.step += 1

    def _stress(self, gpa: float) -> Any:
        stress = -gpa * units.GPa
        return stress * np.eye(3) if self.bath.free_shape else stress

    def _integrator_at(self, kelvin: float, gpa: float | None) -> LangevinBAOAB:
        barostat: dict[str, Any] = {}
        if gpa is not None:
            barostat = {
                "externalstress": self._stress(gpa),
                "hydrostatic": not self.bath.free_shape,
                "P_tau": self.bath.barostat_fs * units.fs,
            }
        with warnings.catch_warnings():
            # ASE derives the mass of the barostat from its time constant, and says so
            warnings.filterwarnings("ignore", message="Using heuristic P_mass")
            return LangevinBAOAB(
                self.atoms,
                self.bath.timestep_fs * units.fs,
                temperature_K=kelvin,
                T_tau=self.bath.thermostat_fs * units.fs,
                rng=self.random,
                **barostat,
            )

    @property
    def state(self) -> State:
        """The state between two steps."""
        momentum, force = (getattr(self._integrator, name, 0.0) for name in ("p_eps", "force_eps"))
        return State(
            step=self.step,
            positions=self.atoms.positions.copy(),
            momenta=self.atoms.get_momenta(),
            cell=np.array(self.atoms.cell),
            cell_momentum=np.array(momentum, dtype=float),
            cell_force=np.array(force, dtype=float),
            random=dict(self.random.bit_generator.state),
        )

    def restore(self, state: State) -> None:
        """Continue from the state of a run with equal atoms, stretches, bath, kind of generator."""
        self.atoms.set_cell(state.cell)
        self.atoms.positions = state.positions
        self.atoms.set_momenta(state.momenta)
        self.random.bit_generator.state = state.random
        self.step = state.step
        self._integrator = None
        if not state.step:
            return
        # as the last step left it
        kelvin, gpa = self._target_after(state.step - 1)
        self._integrator = self._integrator_at(kelvin, gpa)
        self._pressed = gpa is not None
        if self._pressed:
            self._integrator.p_eps = np.array(state.cell_momentum)
            self._integrator.force_eps = np.array(state.cell_force)
