"""Cost model of polynomial potentials."""

from collections.abc import Sequence
from itertools import combinations, combinations_with_replacement, product
from math import comb

from ase import Atoms

from phonsmith.fits.polymlp.program import BATCH_MB
from phonsmith.fits.polymlp.settings import PolymlpFit
from phonsmith.running.costs import JOB_START_S, MB, Cost, count_elements

_FEATURE = 4e-8  # s per feature, component of a gradient and spherical harmonic
_PRODUCT = 3e-11  # s per pair of features and equation
_SOLVE = 1e-11  # s per third power of the dimension, and strength of regularisation
_EVALUATE = 3e-7  # s per atom and feature
_BASE_MB = 150.0


def seconds_per_atom(fit: PolymlpFit, cells: Sequence[Atoms]) -> float:
    """Core seconds of energy, forces and stress of one atom."""
    return _EVALUATE * count_features(fit, max(1, count_elements(cells)))


def training_cost(fit: PolymlpFit, cells: Sequence[Atoms]) -> Cost:
    """Estimate time and memory from the numbers of features and equations."""
    features = count_features(fit, max(1, count_elements(cells)))
    rows = sum(7 + 3 * len(cell) for cell in cells)
    small = min(rows, features)
    # products of three and more functions take the time, where there are any
    harmonics = (max(fit.max_l[1:] or fit.max_l) + 1) ** 2
    seconds = features * rows * (_FEATURE * harmonics + _PRODUCT * small)
    seconds += _SOLVE * small**3 * len(fit.regularisation_exponents)
    whole = 8 * rows * features / MB
    # the matrix and its factor, and the equations of all cells or twice those of a batch
    stored = 24 * small**2 / MB + (whole if rows < features else 0) + 2 * min(whole, BATCH_MB)
    return Cost(JOB_START_S + seconds, _BASE_MB + stored)


def count_features(fit: PolymlpFit, elements: int) -> int:
    """Count the features of a potential as pypolymlp does.

    They are invariants of the radial functions and angular momenta of pairs of elements, and
    products of those that the model type names around the same centre. The radial functions of two
    elements are the same around both. Invariants of fourth and higher order are counted by their
    angular momenta, of which a few have more than one.
    """
    by_order: list[list[tuple[int, ...]]] = [[(0,)]]
    by_order += [_momenta(order, most) for order, most in enumerate(fit.max_l, 2)]
    around = [
        [(min(centre, other), max(centre, other)) for other in range(elements)]
        for centre in range(elements)
    ]
    invariants = [
        [one for momenta in of_order for one in _invariants(momenta, around)]
        for of_order in by_order
    ]
    linear = fit.n_gaussians * sum(map(len, invariants))
    orders = {1: 0, 2: len(invariants), 3: 1, 4: 2}[fit.model_type]
    factors = [one for of_order in invariants[:orders] for one in of_order]
    shared = 0
    for size in range(1, elements + 1):  # by inclusion and exclusion of centres
        for centres in combinations(range(elements), size):
            there = fit.n_gaussians * sum(set(centres) <= one for one in factors)
            products = sum(comb(there + k - 1, k) for k in range(2, fit.polynomial_order + 1))
            shared += products if size % 2 else -products
    return linear + shared


def _momenta(order: int, largest: int) -> list[tuple[int, ...]]:
    """Return angular momenta that couple to an invariant, even under inversion."""
    return [
        momenta
        for momenta in combinations_with_replacement(range(largest + 1), order)
        if sum(momenta) % 2 == 0 and 2 * momenta[-1] <= sum(momenta)
    ]


def _invariants(
    momenta: Sequence[int], around: Sequence[Sequence[tuple[int, int]]]
) -> list[set[int]]:
    """Return the centres of each distinct assignment of pairs of elements to angular momenta."""
    found = {
        tuple(sorted((momentum, a, b) for momentum, (a, b) in zip(momenta, pairs, strict=True)))
        for centre in around
        for pairs in product(centre, repeat=len(momenta))
    }
    return [set.intersection(*({a, b} for _, a, b in invariant)) for invariant in found]
