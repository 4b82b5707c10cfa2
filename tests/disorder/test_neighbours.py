"""Pair distribution, coordination and angles of structures where they are known."""

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk
from ase.geometry.rdf import get_rdf

from phonsmith.disorder.neighbours import (
    angle_distribution,
    bond_angles,
    bonds_within,
    first_minimum,
    neighbour_cutoff,
    pair_distribution,
)
from phonsmith.disorder.settings import Analysis
from phonsmith.files.errors import PhonsmithError
from tests.disorder.examples import diamond, half_crystalline, ideal_gas, strained_lonsdaleite


def percent(frame: Atoms, cutoff: float) -> dict[int, float]:
    neighbours, atoms = np.unique(bonds_within(frame, cutoff).coordination, return_counts=True)
    return dict(zip(neighbours.tolist(), (100 * atoms / len(frame)).tolist(), strict=True))


@pytest.mark.parametrize("frame", [diamond(2), bulk("Si", "diamond", 5.43)], ids=["cubic", "two"])
def test_diamond_has_four_neighbours_at_the_tetrahedral_angle(frame):
    bonds = bonds_within(frame, neighbour_cutoff(frame, Analysis()))
    assert percent(frame, neighbour_cutoff(frame, Analysis())) == {4: 100}
    assert bonds.lengths == pytest.approx(5.43 * np.sqrt(3) / 4)
    angles = bond_angles(bonds)
    assert len(angles) == 6 * len(frame)
    assert angles == pytest.approx(np.degrees(np.arccos(-1 / 3)))


@pytest.mark.parametrize(
    ("crystal", "neighbours"),
    [
        (bulk("Cu", "fcc", 3.61), 12),
        (bulk("Fe", "bcc", 2.87), 14),  # both shells of bcc lie before the minimum
        (bulk("Po", "sc", 3.34), 6),
        (bulk("Mg", "hcp", a=3.2, c=3.2 * np.sqrt(8 / 3)), 12),
    ],
    ids=["fcc", "bcc", "sc", "hcp"],
)
def test_minimum_of_the_pair_distribution_lies_behind_the_first_shell(crystal, neighbours):
    cutoff = neighbour_cutoff(crystal, Analysis())
    assert percent(crystal, cutoff) == {neighbours: 100}


def test_coordination_numbers_are_those_of_ovito():
    """OVITO 3.17.2, CoordinationAnalysisModifier with cutoff 2.85."""
    counts = np.array([1, 8, 55, 119, 278, 39, 9, 2, 1]) * 100 / 512
    assert percent(half_crystalline(), 2.85) == pytest.approx(dict(enumerate(counts)))
    assert percent(strained_lonsdaleite(), 2.85) == pytest.approx({3: 400 / 300, 4: 29600 / 300})


def test_pair_distribution_is_that_of_ase():
    frame = half_crystalline()
    ours = pair_distribution(frame, Analysis(r_max_angstrom=8, r_step_angstrom=0.1))
    theirs, r = get_rdf(frame, 8.0, 80)
    assert ours["r_angstrom"].to_numpy() == pytest.approx(r)
    assert ours["pair_distribution"].to_numpy() == pytest.approx(theirs, abs=1e-10)


def test_pair_distribution_of_an_ideal_gas_is_one():
    frame = ideal_gas(3000)
    table = pair_distribution(frame, Analysis(r_max_angstrom=10, r_step_angstrom=0.5))
    pairs = 4 / 3 * np.pi * np.diff(np.linspace(0, 10, 21) ** 3) * len(frame) / 20 / 2
    errors = 1 / np.sqrt(pairs)
    deviations = (table["pair_distribution"] - (1 - 1 / len(frame))) / errors
    assert deviations.abs().max() < 4
    assert deviations.std() == pytest.approx(1, abs=0.4)


def test_angles_of_three_known_bonds():
    frame = Atoms("H3", positions=[[5, 5, 5], [6, 5, 5], [5, 6.5, 5]], cell=[10] * 3, pbc=True)
    assert bond_angles(bonds_within(frame, 1.6)) == pytest.approx([90])
    table = angle_distribution(bonds_within(frame, 1.6), Analysis(angle_step_degree=2))
    assert (table["density_per_degree"] * 2).sum() == pytest.approx(1)
    assert table["angle_degree"][table["density_per_degree"].idxmax()] == pytest.approx(91)


def test_distances_without_pairs_have_no_minimum():
    frame = Atoms("Si", cell=[30] * 3, pbc=True)
    assert first_minimum(pair_distribution(frame, Analysis())) is None
    with pytest.raises(PhonsmithError, match="set neighbour_cutoff_angstrom"):
        neighbour_cutoff(frame, Analysis())


def test_a_single_close_pair_does_not_move_the_minimum():
    """A liquid: first peak at 2.45, minimum at 3.1 Å, and a collision at 1.6 Å."""
    r = np.arange(0.01, 8, 0.02)
    liquid = np.where(r < 3.1, 2.4 * np.exp(-(((r - 2.45) / 0.25) ** 2)), 0.0)
    liquid += np.where(r > 2.6, 0.7 + 0.3 * np.clip((r - 3.1) / 0.6, -0.5, 1) ** 2, 0)
    liquid[np.abs(r - 1.6).argmin()] = 0.3
    table = pd.DataFrame({"r_angstrom": r, "pair_distribution": liquid})
    assert first_minimum(table) == pytest.approx(3.1, abs=0.1)


def test_atoms_on_one_place_have_finite_angles():
    """Failed runs have such cells."""
    frame = Atoms("H3", positions=[[5, 5, 5], [5, 5, 5], [6, 5, 5]], cell=[10] * 3, pbc=True)
    assert np.isfinite(bond_angles(bonds_within(frame, 1.5))).all()


def test_structures_that_cannot_be_analysed_are_refused():
    slab = diamond(1)
    slab.pbc = [True, True, False]
    with pytest.raises(PhonsmithError, match="periodic boundaries in all directions"):
        bonds_within(slab, 3.0)
    lost = diamond(1)
    lost.positions[0] = np.nan
    with pytest.raises(PhonsmithError, match="not finite"):
        pair_distribution(lost, Analysis())
    with pytest.raises(PhonsmithError, match="without atoms"):
        bonds_within(Atoms(cell=[5] * 3, pbc=True), 3.0)


def test_a_set_cutoff_is_used():
    assert neighbour_cutoff(diamond(1), Analysis(neighbour_cutoff_angstrom=2.85)) == 2.85
    noise = pd.DataFrame({"r_angstrom": [0.5, 1.5], "pair_distribution": [0.0, 0.0]})
    assert first_minimum(noise) is None
