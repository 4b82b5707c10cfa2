"""Normal equations of symfc against fits by phono3py."""

import numpy as np
import pytest
from ase.build import bulk
from phono3py import Phono3py

from phonsmith.phonons.symfc_fits import SymfcFit, groups_of
from phonsmith.potentials.calculators import evaluate
from phonsmith.potentials.settings import PotentialSource
from phonsmith.supercells.cells import to_ase, to_phonopy

SW = PotentialSource(calculator="stillinger-weber")
CUBIC = bulk("Si", "diamond", a=5.431, cubic=True)


def random_cells(atoms, primitive, number: int) -> Phono3py:
    """Random cells of a small supercell, with forces of Stillinger–Weber silicon."""
    matrix = 2 * np.eye(3) if len(atoms) == 2 else np.diag([2, 1, 1])
    third = Phono3py(to_phonopy(atoms), matrix, primitive_matrix=primitive)
    third.generate_displacements(distance=0.05, number_of_snapshots=number, random_seed=1)
    cells = [to_ase(cell) for cell in third.supercells_with_displacements]
    third.forces = np.array([found.forces for found in evaluate(cells, SW)])
    return third


def relative_difference(found, third: Phono3py, options: str | None) -> float:
    """Largest difference to phono3py's own fit, which may hold all atoms of the supercell."""
    third.produce_fc3(fc_calculator="symfc", fc_calculator_options=options)
    known = third.fc3 if len(third.fc3) == len(found) else third.fc3[third.primitive.p2s_map]
    return float(np.abs(found - known).max() / np.abs(known).max())


@pytest.mark.parametrize("cutoff", [None, 4.0])
@pytest.mark.parametrize(
    ("atoms", "primitive"),
    [
        (bulk("Si", "diamond", a=5.431), "P"),
        (CUBIC, "P"),  # symfc finds smaller translations than phono3py has
        (CUBIC, [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]),
    ],
    ids=["primitive", "conventional", "centred"],
)
def test_force_constants_are_those_of_phono3py(atoms, primitive, cutoff) -> None:
    third = random_cells(atoms, primitive, 30)
    problem = SymfcFit(third, (2, 3), cutoff)
    moves, forces = third.displacements, third.forces
    equations = problem.equations(moves, forces)
    assert equations.count == forces.size
    assert not equations.undetermined
    found = problem.solve(equations)
    options = None if cutoff is None else f"cutoff={cutoff}"
    assert relative_difference(found[3], third, options) < 1e-6
    without = [number for number in range(30) if number % 5]
    group = list(groups_of(30, 5)[0])
    rest = equations - problem.equations(moves[group], forces[group])
    third.dataset = {"displacements": moves[without], "forces": forces[without]}
    assert relative_difference(problem.solve(rest)[3], third, options) < 1e-6


def test_cells_that_are_missing_determine_the_rest() -> None:
    third = random_cells(bulk("Si", "diamond", a=5.431), "P", 30)
    problem = SymfcFit(third, (2, 3))
    one = problem.equations(third.displacements[:1], third.forces[:1])
    missing = problem.cells_missing(one)
    enough = problem.equations(third.displacements[: missing + 1], third.forces[: missing + 1])
    few = problem.equations(third.displacements[:missing], third.forces[:missing])
    assert missing > 0 and few.undetermined > 0 and not enough.undetermined
