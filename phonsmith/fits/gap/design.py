"""Rows of the linear system of a GAP: what each sparse point adds to the targets of a cell."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.sparse import csr_array

from phonsmith.fits.gap.covariances import Covariance, covariance_of
from phonsmith.fits.gap.descriptors import Descriptors, descriptors
from phonsmith.fits.gap.model import Term
from phonsmith.fits.gap.settings import CHUNK_MB
from phonsmith.fits.gap.targets import VIRIAL_COMPONENTS, Targets
from phonsmith.running.costs import MB

Array = NDArray[np.float64]


class Design:
    """Rows of cells for all terms of a potential."""

    def __init__(self, terms: Sequence[Term]):
        self.terms = terms
        self.covariances = [covariance_of(term) for term in terms]
        self.columns = sum(len(term.points) for term in terms)

    def rows(self, atoms: Atoms, targets: Targets) -> Array:
        """Return the rows of a cell and its targets, divided by σ, shape (rows, columns + 1).

        They are those of the energy, of its derivatives by the positions, and by the strain, as
        far as the cell has these targets.
        """
        rows = np.empty((len(targets.values), self.columns + 1))
        begin = 0
        for term, covariance in zip(self.terms, self.covariances, strict=True):
            sums = _Sums(len(atoms), len(term.points))
            centres = np.arange(len(atoms))
            for found in descriptors(term.descriptor, atoms, centres, targets.gradients):
                sums.add(covariance, found, targets)
            end = begin + len(term.points)
            rows[:, begin:end] = sums.stacked(targets) * term.cutoffs
            begin = end
        rows[:, -1] = targets.values
        rows /= targets.sigmas[:, None]
        return rows


class _Sums:
    """Sums over the descriptors of a cell for each sparse point: energy, its derivatives by the
    positions, and by the strain."""

    def __init__(self, atoms: int, points: int):
        self.energy = np.zeros(points)
        self.positions = np.zeros((atoms, 3, points))
        self.strain = np.zeros((3, 3, points))

    def add(self, covariance: Covariance, found: Descriptors, targets: Targets) -> None:
        values = covariance.values(found.values)
        self.energy += found.cutoffs @ values
        if not targets.gradients:
            return
        for part in _chunks(found, len(self.energy)):
            slopes = covariance.derivatives(part)
            if (part.cutoffs != 1).any():
                slopes *= part.cutoffs[part.owner][:, None, None]
            if part.cutoff_gradients.any():
                slopes += part.cutoff_gradients[:, :, None] * values[part.owner][:, None]
            self._scatter(slopes, part, targets)

    def _scatter(self, slopes: Array, part: Descriptors, targets: Targets) -> None:
        number = len(part.owner)
        if targets.forces:
            places = csr_array(
                (np.ones(number), (part.atom, np.arange(number))),
                shape=(len(self.positions), number),
            )
            added = places @ slopes.reshape(number, -1)
            self.positions += added.reshape(self.positions.shape)
        if targets.virial:
            self.strain += np.tensordot(part.offsets, slopes, (0, 0)).transpose(1, 0, 2)

    def stacked(self, targets: Targets) -> Array:
        """Rows in the order of the targets."""
        rows = []
        if targets.energy:
            rows.append(self.energy[None])
        if targets.forces:
            rows.append(self.positions.reshape(-1, len(self.energy)))
        if targets.virial:
            rows.append(np.array([self.strain[pair] for pair in VIRIAL_COMPONENTS]))
        return np.concatenate(rows)


def _chunks(found: Descriptors, points: int) -> Iterator[Descriptors]:
    """The same descriptors, their derivatives in chunks of limited memory."""
    size = max(1, int(CHUNK_MB * MB / (24 * points)))
    for begin in range(0, len(found.owner), size):
        part = slice(begin, begin + size)
        yield replace(
            found,
            gradients=found.gradients[part],
            cutoff_gradients=found.cutoff_gradients[part],
            owner=found.owner[part],
            atom=found.atom[part],
            offsets=found.offsets[part],
        )
