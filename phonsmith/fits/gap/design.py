"""Rows of the linear system of a GAP: effects of sparse points on the targets of a cell."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist

from phonsmith.files.atoms import bare
from phonsmith.files.cache import Cache
from phonsmith.files.errors import PhonsmithError
from phonsmith.fits.digest import digest_of, digest_of_arrays
from phonsmith.fits.gap.covariances import Covariance, covariance_of
from phonsmith.fits.gap.descriptors import (
    Descriptors,
    cutoff_of,
    descriptors,
    is_costly,
    keep_descriptors,
    kept_descriptors,
)
from phonsmith.fits.gap.environments import (
    Classes,
    Environments,
    Place,
    classes_of,
    environments,
)
from phonsmith.fits.gap.model import Term
from phonsmith.fits.gap.targets import VIRIAL_COMPONENTS, Targets
from phonsmith.running.versions import VERSIONS

Array = NDArray[np.float64]

_NEAR = 1e-6
"""Å. An atom this near to a slot is in it."""


@dataclass(frozen=True)
class TrainingCell:
    """A frame, its targets, and the environments of its atoms."""

    atoms: Atoms
    targets: Targets
    environments: Environments


def training_cells(
    cells: Sequence[tuple[Atoms, Targets]], terms: Sequence[Term]
) -> list[TrainingCell]:
    """Find the environments of the frames with targets."""
    cutoff = max(cutoff_of(term.descriptor) for term in terms)
    return [
        TrainingCell(atoms, targets, environments(atoms, cutoff))
        for atoms, targets in cells
        if len(targets.values)
    ]


@dataclass(frozen=True)
class _Effect:
    """Contribution of an environment for each sparse point of a term.

    ``energy`` has shape (points,), ``strain`` (6, points), ``slopes`` (slots, 3 · points): the
    derivatives by the positions of the atoms in its slots.
    """

    energy: Array
    strain: Array
    slopes: Array


@dataclass(frozen=True)
class Caches:
    """Where results are kept for later fits; None: not kept.

    Descriptors serve fits with other sparse points, δ or ζ; rows serve fits with other σ.
    """

    descriptors: Cache | None = None
    rows: Cache | None = None


class Design:
    """Rows of cells for all terms of a potential.

    The effect of an environment that occurs in several cells is computed once, and kept until the
    last of them.
    """

    def __init__(
        self, terms: Sequence[Term], cells: Sequence[TrainingCell], caches: Caches = Caches()
    ):
        self.terms = terms
        self.cells = cells
        self.caches = caches
        self.covariances = [covariance_of(term) for term in terms]
        self.columns = sum(len(term.points) for term in terms)
        self._uses = Counter(key for cell in cells for key in _with_derivatives(cell))
        self._kept: dict[tuple[int, bytes], _Effect | None] = {}

    def all_rows(self) -> Iterator[Array]:
        """Yield the rows of each cell and its targets, divided by σ, shape (rows, columns + 1).

        They are those of the energy, of its derivatives by the positions, and by the strain, as
        far as the cell has these targets. Equal rows are merged: the row has
        the weight of all, and the mean of their targets.
        """
        keys = self._row_keys()
        for cell, key in zip(self.cells, keys, strict=True):
            alike = classes_of(cell.environments)
            rows = self._rows(cell, alike)
            if self.caches.rows is not None:
                self.caches.rows.save(key, {"rows": rows})
            yield _divided(rows, _merged(cell.targets, alike))
            self._forget(cell)

    def kept_rows(self) -> Iterator[Array]:
        """Yield the rows that an earlier fit left, see :meth:`all_rows`.

        Raises
        ------
        LookupError
            Those of a cell are missing. Then the rows of all cells must be computed: rows depend
            on the cells before, since environments are equal within a tolerance.
        """
        if self.caches.rows is None:
            raise LookupError("rows are not kept")
        for cell, key in zip(self.cells, self._row_keys(), strict=True):
            found = self.caches.rows.load(key)
            if found is None:
                raise LookupError(key)
            targets = _merged(cell.targets, classes_of(cell.environments))
            yield _divided(np.asarray(found["rows"], dtype=float), targets)

    def _row_keys(self) -> list[str]:
        """Key of the rows of each cell: what they depend on, σ and the labels not among it."""
        if self.caches.rows is None:
            return [""] * len(self.cells)
        settings = {
            "terms": [digest_of_arrays(vars(term)) for term in self.terms],
            "targets": [cell.targets.kinds for cell in self.cells],
            "packages": {"quippy-ase": version("quippy-ase")},
            "version": VERSIONS["fits"],
        }
        whole = digest_of([bare(cell.atoms) for cell in self.cells], settings)
        return [f"rows {whole} {number}" for number in range(len(self.cells))]

    def _rows(self, cell: TrainingCell, alike: Classes) -> Array:
        """The rows of a cell without its targets, shape (rows, columns)."""
        targets = cell.targets
        number = int(targets.energy) + 6 * targets.virial + 3 * targets.forces * len(alike.members)
        rows = np.empty((number, self.columns))
        begin = 0
        for number, term in enumerate(self.terms):
            end = begin + len(term.points)
            sums = _Sums(len(alike.members), len(term.points))
            for place, effect in self._effects(cell, alike, number):
                sums.add(place, effect)
            rows[:, begin:end] = sums.stacked(targets) * term.cutoffs
            begin = end
        return rows

    def _effects(
        self, cell: TrainingCell, alike: Classes, number: int
    ) -> Iterator[tuple[Place, _Effect]]:
        """Return the effects of all environments of a cell in a term."""
        keys, needed = cell.environments.keys, _with_derivatives(cell)
        to_compute: dict[int, Place] = {}
        for place in alike.places:
            kept = (number, keys[place.atom])
            if kept not in self._kept:
                to_compute[place.atom] = place
            elif (effect := self._kept[kept]) is not None:
                yield place, effect
        centres = np.array(sorted(to_compute), dtype=int)
        later = {atom for atom in to_compute if self._uses[keys[atom]] > 1 and keys[atom] in needed}
        for atom in later:
            self._kept[number, keys[atom]] = None  # of an element without this descriptor
        for atom, found in self._descriptors(cell, number, centres):
            effect = _effect(self.covariances[number], found, cell.environments, atom)
            if atom in later:
                self._kept[number, keys[atom]] = effect
            yield to_compute[atom], effect

    def _descriptors(
        self, cell: TrainingCell, number: int, centres: NDArray[np.intp]
    ) -> Iterator[tuple[int, Descriptors]]:
        """Descriptors of some centres: those in the cache, then the others."""
        text, gradients = self.terms[number].descriptor, cell.targets.gradients
        cache = self.caches.descriptors
        if cache is None or not gradients or not is_costly(text):
            yield from descriptors(text, cell.atoms, centres, gradients)
            return
        missing = []
        # to the last digit: a potential must not depend on the fits before it
        keys = {atom: cell.environments.exact_key(atom) for atom in centres.tolist()}
        for atom, key in keys.items():
            if (found := kept_descriptors(cache, text, key)) is None:
                missing.append(atom)
            else:
                yield atom, found
        for atom, found in descriptors(text, cell.atoms, np.array(missing, dtype=int), gradients):
            keep_descriptors(cache, text, keys[atom], found)
            yield atom, found

    def _forget(self, cell: TrainingCell) -> None:
        for key in _with_derivatives(cell):
            self._uses[key] -= 1
            if self._uses[key] < 1:
                for number in range(len(self.terms)):
                    self._kept.pop((number, key), None)


def _with_derivatives(cell: TrainingCell) -> frozenset[bytes]:
    """Environments whose derivatives a cell needs."""
    return frozenset(cell.environments.keys if cell.targets.gradients else ())


def _effect(
    covariance: Covariance, found: Descriptors, environments: Environments, centre: int
) -> _Effect:
    values = covariance.values(found.values)
    energy = found.cutoffs @ values
    points = len(energy)
    if not len(found.owner):
        return _Effect(energy, np.zeros((6, points)), np.zeros((0, 3 * points)))
    slopes = covariance.derivatives(found)
    if (found.cutoffs != 1).any():
        slopes *= found.cutoffs[found.owner][:, None, None]
    if found.cutoff_gradients.any():
        slopes += found.cutoff_gradients[:, :, None] * values[found.owner][:, None]
    vectors = environments.vectors[environments.slots_of(centre)]
    of_slots = _added(_slots(vectors, found.offsets), slopes.reshape(len(slopes), -1), len(vectors))
    by_slot = of_slots.reshape(len(vectors), 3, points)
    strain = [vectors[:, m] @ by_slot[:, k] for k, m in VIRIAL_COMPONENTS]
    return _Effect(energy, np.array(strain), of_slots)


def _slots(vectors: Array, offsets: Array) -> NDArray[np.intp]:
    """The slot of each atom that moves."""
    distances = cdist(offsets, vectors)
    slots = np.asarray(distances.argmin(axis=1))
    if distances[np.arange(len(slots)), slots].max() > _NEAR:
        raise PhonsmithError(
            "GAP: quippy finds other neighbours than matscipy; set `fitter: gap_fit` for this fit"
        )
    return slots


def _added(slots: NDArray[np.intp], rows: Array, number: int) -> Array:
    """Sum rows of equal slots, shape (number, …)."""
    if len(slots) == number == len(np.unique(slots)):
        sums = np.empty_like(rows)
        sums[slots] = rows
        return sums
    places = csr_array((np.ones(len(slots)), (slots, np.arange(len(slots)))), (number, len(slots)))
    return np.asarray(places @ rows)


class _Sums:
    """Sums over the environments of a cell: energy, derivatives by positions and by the strain."""

    def __init__(self, classes: int, points: int):
        self.energy = np.zeros(points)
        self.strain = np.zeros((6, points))
        self.forces = np.zeros((classes, 3 * points))

    def add(self, place: Place, effect: _Effect) -> None:
        """Add the effect of an environment."""
        self.energy += place.count * effect.energy
        self.strain += place.count * effect.strain
        if len(effect.slopes):
            classes, where = np.unique(place.classes, return_inverse=True)
            times = csr_array(
                (place.times, (where, place.slots)), (len(classes), len(effect.slopes))
            )
            self.forces[classes] += times @ effect.slopes

    def stacked(self, targets: Targets) -> Array:
        """Rows in the order of the targets."""
        points = len(self.energy)
        rows = [np.empty((0, points))]
        if targets.energy:
            rows.append(self.energy[None])
        if targets.forces:
            rows.append(self.forces.reshape(-1, points))
        if targets.virial:
            rows.append(self.strain)
        return np.concatenate(rows)


def _divided(rows: Array, targets: Targets) -> Array:
    """Rows and targets, divided by σ."""
    divided = np.empty((len(rows), rows.shape[1] + 1))
    np.divide(rows, targets.sigmas[:, None], out=divided[:, :-1])
    divided[:, -1] = targets.values / targets.sigmas
    return divided


def _merged(targets: Targets, alike: Classes) -> Targets:
    """One target for the forces on all atoms of a class: their mean, weighted with 1/σ².

    The solution of least squares is the same: the sums of squares differ by a constant.
    """
    if not targets.forces:
        return targets
    begin = int(targets.energy)
    forces = slice(begin, begin + 3 * len(alike.force))
    values = targets.values[forces].reshape(-1, 3)
    weights = targets.sigmas[forces].reshape(-1, 3) ** -2
    number = len(alike.members)
    places = csr_array(
        (np.ones(len(alike.force)), (alike.force, np.arange(len(alike.force)))),
        (number, len(alike.force)),
    )
    total = places @ weights
    means = places @ (weights * values) / total

    def joined(whole: Array, middle: Array) -> Array:
        return np.concatenate([whole[:begin], middle.ravel(), whole[forces.stop :]])

    return replace(
        targets,
        values=joined(targets.values, means),
        sigmas=joined(targets.sigmas, total**-0.5),
    )
