"""Velocity matrices of phono3py, without the diagonal that phono3py overwrites.

phono3py up to 4.10 takes group velocities from the diagonal of the velocity matrices and projects
them on the little group of q. numpy hands out that diagonal as a view, so the projection is written
into the matrices as well. Within a set of degenerate bands the projection is not valid, and the
heat that ``transport: wigner`` and ``green-kubo`` sum over pairs of bands comes out too small
(silicon on 5 × 5 × 5: 1 %). A test fails as soon as phono3py is fixed; delete this module then.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


@contextmanager
def whole_velocity_matrices() -> Iterator[None]:
    """Have phono3py compute the matrices once more after the projection of group velocities."""
    from phono3py.phonon.velocity_matrix import VelocityMatrix

    original = VelocityMatrix.run

    def run(self: Any, q_points: Any, perturbation: Any = None) -> None:
        original(self, q_points, perturbation)
        points = np.asarray(q_points, dtype=float)
        self._velocity_matrices = np.array(
            [self._calculate_velocity_matrix_at_q(q) for q in points]
        )

    VelocityMatrix.run = run
    try:
        yield
    finally:
        VelocityMatrix.run = original
