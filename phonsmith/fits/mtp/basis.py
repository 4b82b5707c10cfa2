"""The moments of a level, in the index form of MLIP's files.

motep holds the scalars of each level as trees of contractions of moment tensors. MLIP's files list
products of components instead. Components that are equal, as those of symmetric tensors are, appear
once.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Component = tuple[int, ...]
Axis = range(3)


@dataclass(frozen=True)
class MomentBasis:
    """Moments of a level.

    Attributes
    ----------
    basic
        Radial function and powers of x, y, z of each basic moment, shape (basic moments, 4).
    products
        Rows (i, j, n, k), shape (products, 4): moment k has the term n · moment i · moment j.
    scalars
        Indices of the scalar moments, which are the basis functions, shape (scalars,).
    moments
        Number of all moments, basic ones first.
    """

    basic: Ints
    products: Ints
    scalars: Ints
    moments: int

    @property
    def radial_functions(self) -> int:
        """Number of radial functions."""
        return int(self.basic[:, 0].max()) + 1


@cache
def moment_basis(level: int) -> MomentBasis:
    """Return the moments of a level, an even number from 2 to 24.

    The level of a moment with radial function μ and rank ν is 2 + 4μ + ν, that of a product the sum
    over its factors (A. V. Shapeev, Multiscale Model. Simul. 14, 1153 (2016)).
    """
    # motep's other methods of this class write into the installed package
    from motep.potentials.mtp.jax.moment import MomentBasis as Trees

    return _Components().basis(Trees(level).read_moments())


def radial_functions(level: int) -> int:
    """Return the number of radial functions of a level."""
    return (level - 2) // 4 + 1


class _Components:
    """Components of contracted tensors, computed where a scalar needs them.

    ``known`` numbers them by content: ("basic", μ, x, y, z), or terms ((i, j), n) of products.
    """

    def __init__(self) -> None:
        self.known: dict[Any, int] = {}
        self.nodes: dict[Any, int] = {}
        self.found: dict[tuple[int, Component], int] = {}

    def basis(self, trees: tuple[Any, ...]) -> MomentBasis:
        """Number the moments as MLIP does: basic ones by μ and rank, then products."""
        scalars = [self.of(tree, ()) for tree in trees]
        contents = list(self.known)
        basic = sorted(
            (content for content in contents if content[0] == "basic"),
            key=lambda moment: (moment[1], sum(moment[2:]), [-power for power in moment[2:]]),
        )
        others = [content for content in contents if content[0] != "basic"]
        order = [self.known[content] for content in (*basic, *others)]
        place = {old: new for new, old in enumerate(order)}
        rows = [
            (*sorted((place[i], place[j])), times, place[self.known[content]])
            for content in others
            for (i, j), times in content
        ]
        return MomentBasis(
            np.array([moment[1:] for moment in basic], dtype=np.int32),
            np.array(rows, dtype=np.int32).reshape(-1, 4),
            np.array([place[i] for i in scalars], dtype=np.int32),
            len(order),
        )

    def of(self, node: Any, component: Component) -> int:
        """Return the number of a component of a tensor."""
        key = self.nodes.setdefault(node, len(self.nodes)), component
        if key not in self.found:
            self.found[key] = self._numbered(self._content(node, component))
        return self.found[key]

    def _numbered(self, content: Any) -> int:
        return self.known.setdefault(content, len(self.known))

    def _content(self, node: Any, component: Component) -> Any:
        if not isinstance(node[0], tuple):
            return ("basic", node[0], *(component.count(axis) for axis in Axis))
        left, right, _, axes = node
        terms: Counter[tuple[int, int]] = Counter()
        for of_left, of_right in _contracted(component, left, right, axes):
            i, j = self.of(left, of_left), self.of(right, of_right)
            terms[min(i, j), max(i, j)] += 1
        return tuple(sorted(terms.items()))


def _contracted(
    component: Component, left: Any, right: Any, axes: tuple[Component, Component]
) -> Iterator[tuple[Component, Component]]:
    """Pairs of components whose products add up to a component of a contraction."""
    free = _rank(left) - len(axes[0])
    for summed in product(Axis, repeat=len(axes[0])):
        yield (
            _merged(component[:free], dict(zip(axes[0], summed, strict=True)), _rank(left)),
            _merged(component[free:], dict(zip(axes[1], summed, strict=True)), _rank(right)),
        )


def _merged(free: Component, summed: dict[int, int], rank: int) -> Component:
    rest = iter(free)
    return tuple(summed[axis] if axis in summed else next(rest) for axis in range(rank))


def _rank(node: Any) -> int:
    return int(node[2])
