"""Cost model of potentials of proper orthogonal descriptors."""

from collections.abc import Sequence

from ase import Atoms

from phonsmith.fits.pod.settings import PodFit
from phonsmith.running.costs import JOB_START_S, MB, Cost, count_elements, mean_neighbours

_EVALUATE = 1.6e-8  # s per neighbour and descriptor
_DESCRIPTOR = 5.0e-8  # s per neighbour and descriptor, with all derivatives
_PRODUCT = 2.0e-9  # s per pair of coefficients and force component
_BASE_MB = 150.0

_FOUR_BODY = (0, 1, 2, 2, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6)
"""Degrees of LAMMPS's angular functions of four atoms."""


def seconds_per_atom(fit: PodFit, cells: Sequence[Atoms]) -> float:
    """Core seconds of energy, forces and stress of one atom."""
    return (
        _EVALUATE
        * mean_neighbours(cells, fit.cutoff_angstrom)
        * count_descriptors(fit, count_elements(cells))
    )


def training_cost(fit: PodFit, cells: Sequence[Atoms]) -> Cost:
    """Estimate time and memory from the numbers of coefficients and force components."""
    elements = count_elements(cells)
    each = count_descriptors(fit, elements)
    coefficients = elements * (each + 1)
    atoms = sum(map(len, cells))
    largest = max(map(len, cells), default=1)
    seconds = _DESCRIPTOR * each * mean_neighbours(cells, fit.cutoff_angstrom) * atoms
    seconds += _PRODUCT * coefficients**2 * 3 * atoms
    memory = 8 * coefficients * (coefficients + 4 * largest) / MB
    return Cost(2 * JOB_START_S + seconds, _BASE_MB + memory)


def count_descriptors(fit: PodFit, elements: int) -> int:
    """Count the descriptors of an atom as LAMMPS does, without the energy of the single atom.

    Descriptors of five to seven atoms are products of those of three and four atoms.
    """
    two, three, four, five, six, seven = fit.radial
    degree3, degree4, degree5, degree6, degree7 = fit.angular
    of_three = list(range(degree3 + 1))
    of_four = [degree for degree in _FOUR_BODY if degree <= degree4]
    pairs = elements * (elements + 1) // 2
    triplets = pairs * (elements + 2) // 3
    count = two * elements + three * len(of_three) * pairs + four * len(of_four) * triplets
    a, b = (three, of_three, pairs), (four, of_four, triplets)
    for left, right, radial, degree in (
        (a, a, five, degree5),
        (a, b, six, degree6),
        (b, b, seven, degree7),
    ):
        count += _products(left, right, radial, degree)
    return count


_Functions = tuple[int, list[int], int]
"""Number of radial functions, degrees of angular functions, number of sets of elements."""


def _products(left: _Functions, right: _Functions, radial: int, degree: int) -> int:
    """Count the products of two descriptors, each pair once."""
    (radial1, angular1, sets1), (radial2, angular2, sets2) = left, right
    functions = sum(
        k2 + j2 * len(angular2) >= k1 + j1 * len(angular1)
        for j1 in range(radial1)
        for k1, degree1 in enumerate(angular1)
        for j2 in range(radial2)
        for k2, degree2 in enumerate(angular2)
        if degree1 + degree2 <= degree and j1 + j2 < radial
    )
    return functions * sum(max(0, sets2 - one) for one in range(sets1))
