"""Speed of potentials in molecular dynamics, measured side by side."""

import time
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from ase import Atoms

from phonsmith.benchmarks.tables import errors_on_test_sets
from phonsmith.potentials.at_once import AtOnce
from phonsmith.potentials.calculators import make_calculator
from phonsmith.potentials.settings import PotentialSource
from phonsmith.structures.sites import plain

STEPS = 10
"""Steps of each cell and potential."""
MOVE_ANGSTROM = 0.01
"""Standard deviation of the moves between two steps, about those of 1 fs at 1000 K."""


def speeds(
    potentials: Mapping[str, PotentialSource], cells: Sequence[Atoms], seed: int = 0
) -> pd.DataFrame:
    """Measure the time of a step of molecular dynamics with several potentials.

    A step computes energy, forces and stress of a cell whose atoms have moved a little. Potentials
    take turns cell by cell and step by step, so that a busy machine slows all of them.

    Parameters
    ----------
    potentials
        Potentials by name.
    cells
        Cells to compute.
    seed
        Seed of the moves.

    Returns
    -------
    A row for each potential: ``model``, ``atoms`` (mean of the cells), ``steps`` and
    ``wall_s_per_atom_step``, the median over the steps.
    """
    calculators = {name: AtOnce(make_calculator(source)) for name, source in potentials.items()}
    random = np.random.default_rng(seed)
    times: dict[str, list[float]] = {name: [] for name in potentials}
    for cell in cells:
        atoms = plain(cell)
        _step(atoms, calculators)  # the first calculation of a calculator sets it up
        for _ in range(STEPS):
            atoms.positions += random.normal(scale=MOVE_ANGSTROM, size=atoms.positions.shape)
            for name, seconds in _step(atoms, calculators).items():
                times[name].append(seconds / len(atoms))
    mean = float(np.mean([len(cell) for cell in cells]))
    rows = [(name, mean, len(found), float(np.median(found))) for name, found in times.items()]
    return pd.DataFrame(rows, columns=["model", "atoms", "steps", "wall_s_per_atom_step"])


def _step(atoms: Atoms, calculators: Mapping[str, AtOnce]) -> dict[str, float]:
    """Seconds of each calculator for one geometry."""
    found = {}
    for name, calculator in calculators.items():
        atoms.calc = calculator
        start = time.perf_counter()
        atoms.get_forces()
        found[name] = time.perf_counter() - start
    return found


def error_against_cost(errors: pd.DataFrame, times: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Join errors on the test sets and times of all fits.

    Parameters
    ----------
    errors
        Errors of the fits on labels, see :func:`phonsmith.fits.errors.errors_of`; rows of the test
        set are used.
    times
        Table of :func:`speeds`.
    reference
        Name of the reference method in ``times``.

    Returns
    -------
    A row for each fit and group of test cells (``data``): ``energy_mae_ev_per_atom``,
    ``force_mae_ev_per_angstrom``, ``wall_s_per_atom_step``, and ``times_faster`` than the
    reference.
    """
    table = (
        errors_on_test_sets(errors)
        .rename(columns={"fit": "model"})
        .merge(times[["model", "wall_s_per_atom_step"]], on="model")
    )
    (slow,) = times.loc[times["model"] == reference, "wall_s_per_atom_step"]
    return table.assign(times_faster=slow / table["wall_s_per_atom_step"])
