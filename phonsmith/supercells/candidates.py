"""Candidates for labels: rattled cells, and snapshots of short molecular dynamics with a fit."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.md.langevinbaoab import LangevinBAOAB
from ase.md.velocitydistribution import thermalize_momenta
from ase.neighborlist import neighbor_list
from phonopy import Phonopy

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.seeds import seed_for
from phonsmith.potentials.calculators import make_calculator, one_line
from phonsmith.potentials.settings import PotentialSource
from phonsmith.structures.sites import plain
from phonsmith.supercells.cells import shortest_distance
from phonsmith.supercells.making import rattled_in_turn, undistorted
from phonsmith.supercells.settings import Dynamics, Rattled, Selection, Supercells


@dataclass(frozen=True)
class Pool:
    """Cells without labels, and the failures of molecular-dynamics runs."""

    cells: list[Atoms]
    stopped: list[str]


def candidate_pool(
    structure: str,
    crystal: Atoms,
    supercells: Supercells,
    selection: Selection,
    *,
    campaign_seed: int,
    generation: int,
    potential: PotentialSource | None = None,
    parts: Sequence[Phonopy] = (),
) -> Pool:
    """Create the cells of one crystal that may be labelled in one generation.

    The first ``selection.pool_size`` cells are rattled: cell k has the volume factor number k
    modulo their count, and the amplitude changes after each round of volumes. Snapshots of
    molecular dynamics follow if the selection has them. All cells are of kind ``rattled``;
    ``origin`` distinguishes them, ``volume_factor`` and ``amplitude_factor`` (0 for snapshots)
    group them. The ``index`` of a cell is unique within structure and generation and does not
    depend on the later choice; no cell reappears in another generation. Candidates whose atoms come
    too close are omitted with a line in ``stopped``.

    Parameters
    ----------
    structure
        Id of the structure.
    crystal
        Unit cell, relaxed with the reference method.
    supercells
        Supercell, volume factors and standard deviation of rattled cells.
    selection
        Pool size, amplitude factors and settings of molecular dynamics.
    campaign_seed
        Seed of the campaign.
    generation
        Number of the generation; it enters the seeds of the cells.
    potential
        Potential of the molecular dynamics.
    parts
        Non-diagonal supercells of a grid, which the cells take in turn.

    Raises
    ------
    PhonsmithError
        No supercell or rattle is possible, or there is no potential for the dynamics.
    """
    if selection.dynamics and potential is None:
        raise PhonsmithError(
            f"{structure}: selection.dynamics requires a fit of an earlier generation; remove it, "
            "or add a fit"
        )
    ideal = undistorted(structure, crystal, supercells, parts)
    cells, stopped = _rattled_candidates(
        structure, ideal, supercells.rattled, selection, campaign_seed, generation
    )
    if selection.dynamics is None or potential is None:
        return Pool(cells, stopped)
    factors = supercells.rattled.volume_factors
    calculator = make_calculator(potential)
    for number in range(selection.dynamics.runs):
        seed = seed_for(campaign_seed, f"{structure}/dynamics", generation, number)
        (start,) = rattled_in_turn(ideal, supercells.rattled, [seed], first=number)
        run = run_dynamics(start, calculator, selection.dynamics, seed)
        if run.reason:
            stopped.append(f"{structure}, generation {generation}, run {number}: {run.reason}")
        for place, snapshot in enumerate(run.snapshots):
            snapshot.info = {
                "structure": structure,
                "generation": generation,
                "kind": "rattled",
                "index": selection.pool_size + number * selection.dynamics.snapshots + place,
                "seed": seed,
                "origin": "dynamics",
                "volume_factor": factors[number % len(factors)],
                "amplitude_factor": 0.0,
            }
            cells.append(snapshot)
    return Pool(cells, stopped)


def _rattled_candidates(  # noqa: PLR0917 (the order is that of the candidates' names)
    structure: str,
    ideal: Sequence[tuple[Atoms, Any]],
    rattled: Rattled,
    selection: Selection,
    campaign_seed: int,
    generation: int,
) -> tuple[list[Atoms], list[str]]:
    """The rattled cells of a pool, and why some are missing."""
    cells, missing = [], []
    volumes, amplitudes = rattled.volume_factors, selection.amplitude_factors
    for k in range(selection.pool_size):
        amplitude = amplitudes[k // len(volumes) % len(amplitudes)]
        settings = rattled.model_copy(update={"std_angstrom": amplitude * rattled.std_angstrom})
        seed = seed_for(campaign_seed, structure, generation, k)
        try:
            (cell,) = rattled_in_turn(ideal, settings, [seed], first=k)
        except PhonsmithError as error:
            missing.append(f"{structure}, generation {generation}, candidate {k}: {error}")
            continue
        cell.info = {
            "structure": structure,
            "generation": generation,
            "kind": "rattled",
            "index": k,
            "seed": seed,
            "origin": "rattled",
            "volume_factor": volumes[k % len(volumes)],
            "amplitude_factor": amplitude,
        }
        cells.append(cell)
    if not cells:
        raise PhonsmithError(missing[0])
    return cells, missing


# --- molecular dynamics ----------------------------------------------------------------------


@dataclass(frozen=True)
class DynamicsRun:
    """Snapshots of one run, its steps, and why it was ended before its time, or ""."""

    snapshots: list[Atoms]
    steps: int
    reason: str


def run_dynamics(start: Atoms, calculator: Any, settings: Dynamics, seed: int) -> DynamicsRun:
    """Run Langevin dynamics at constant volume with snapshots at equal time intervals.

    After every step, forces, temperature, displacements from ``start`` and distances are compared
    with the limits in ``settings``. A broken limit or a failing calculator ends the run; snapshots
    taken before are kept. Equal input gives equal results.

    Parameters
    ----------
    start
        Initial cell, from which displacements are measured; remains unchanged.
    calculator
        ASE calculator.
    settings
        Temperature (K), steps, number of snapshots, and limits.
    seed
        Seed of the initial momenta and of the random forces.

    Returns
    -------
    Snapshots, number of completed steps, and the reason of an early end (empty if there is none).

    References
    ----------
    B. Leimkuhler and C. Matthews, J. Chem. Phys. 138, 174102 (2013): the BAOAB integrator.
    """
    atoms = plain(start)
    random = np.random.default_rng(seed)
    thermalize_momenta(atoms, settings.temperature_kelvin, rng=random)
    atoms.calc = calculator
    snapshots: list[Atoms] = []
    done = 0
    total = settings.equilibration_steps + settings.snapshots * settings.steps_between_snapshots
    limits = _Limits.of(start, settings)
    try:
        for _ in _steps(atoms, settings, random, total):
            if reason := limits.broken_by(atoms):
                return DynamicsRun(snapshots, done, f"{reason} after {done} steps")
            after = done - settings.equilibration_steps
            if after > 0 and after % settings.steps_between_snapshots == 0:
                snapshots.append(plain(atoms))
            done += 1
    except Exception as error:  # calculators fail in their own ways on broken geometries
        return DynamicsRun(
            snapshots, done, f"the potential fails after {done} steps: " + one_line(error)
        )
    return DynamicsRun(snapshots, total, "")


def _steps(
    atoms: Atoms, settings: Dynamics, random: np.random.Generator, total: int
) -> Iterator[None]:
    """Yield before the first step and after each."""
    dynamics = LangevinBAOAB(
        atoms,
        settings.timestep_fs * units.fs,
        temperature_K=settings.temperature_kelvin,
        T_tau=settings.relaxation_time_fs * units.fs,
        rng=random,
    )
    yield
    for _ in range(total):
        dynamics.run(1)
        yield


@dataclass(frozen=True)
class _Limits:
    """Limits of a run: eV/Å, K and Å."""

    start: Atoms
    force: float
    temperature: float
    distance: float
    displacement: float

    @classmethod
    def of(cls, start: Atoms, settings: Dynamics) -> "_Limits":
        closest = shortest_distance(start)
        return cls(
            start,
            settings.max_force_ev_per_angstrom,
            settings.max_temperature_factor * settings.temperature_kelvin,
            settings.min_distance_fraction * closest,
            settings.max_displacement_fraction * closest,
        )

    def broken_by(self, atoms: Atoms) -> str:
        """Message on the limit that the atoms exceed, or ""."""
        moves = atoms.positions - self.start.positions
        moves -= moves.mean(axis=0)  # the thermostat lets the whole cell drift
        distance = float(np.linalg.norm(moves, axis=1).max())
        force = float(np.linalg.norm(atoms.get_forces(), axis=1).max())
        temperature = float(atoms.get_temperature())
        # "not <" is true of NaN as well
        if not force < self.force:
            return f"a force of {force:.3g} eV/Å (limit {self.force:g})"
        if not temperature < self.temperature:
            return f"a temperature of {temperature:.0f} K (limit {self.temperature:g})"
        if not distance < self.displacement:
            return f"an atom {distance:.2f} Å from its site (limit {self.displacement:.2f})"
        close = neighbor_list("d", atoms, self.distance)
        if len(close):
            return f"atoms {close.min():.2f} Å apart (limit {self.distance:.2f})"
        return ""
