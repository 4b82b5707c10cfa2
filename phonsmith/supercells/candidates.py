"""Candidates for labels: rattled cells, and snapshots of short molecular dynamics with a fit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.md.velocitydistribution import thermalize_momenta
from phonopy import Phonopy

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.seeds import seed_for
from phonsmith.potentials.calculators import make_calculator, one_line
from phonsmith.potentials.dynamics import Bath, LangevinRun, Limits, Stretch
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
    """
    atoms = plain(start)
    random = np.random.default_rng(seed)
    kelvin = settings.temperature_kelvin
    thermalize_momenta(atoms, kelvin, rng=random)
    atoms.calc = calculator
    steps = settings.equilibration_steps + settings.snapshots * settings.steps_between_snapshots
    bath = Bath(settings.timestep_fs, settings.relaxation_time_fs)
    run = LangevinRun(atoms, [Stretch(steps, (kelvin, kelvin))], bath, random)
    limits = _limits(start, settings)
    snapshots: list[Atoms] = []
    try:
        for _ in run.walk():
            if reason := limits.broken_by(atoms, kelvin):
                reason = f"{reason} after {run.step} steps"
                return DynamicsRun(snapshots, run.step, reason)
            after = run.step - settings.equilibration_steps
            if after > 0 and after % settings.steps_between_snapshots == 0:
                snapshots.append(plain(atoms))
    except Exception as error:  # calculators fail in their own ways on broken geometries
        done = run.step
        reason = f"the potential fails after {done} steps: " + one_line(error)
        return DynamicsRun(snapshots, done, reason)
    return DynamicsRun(snapshots, steps, "")


def _limits(start: Atoms, settings: Dynamics) -> Limits:
    closest = shortest_distance(start)
    return Limits(
        settings.max_force_ev_per_angstrom,
        settings.max_temperature_factor,
        settings.min_distance_fraction * closest,
        settings.max_displacement_fraction * closest,
        start,
    )
