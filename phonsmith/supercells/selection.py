"""Which of many candidates to label: those that add most to what a fit knows.

A cell is taken as the set of its atomic environments. How far it is from the labelled cells is the
mean over its atoms of the distance to the nearest labelled environment of the same element: the
largest instead would follow single odd atoms, and cells with all atoms moved have no others.

Distances follow volume and amplitude first of all, and would choose the extreme ones alone. The
cells are therefore shared out evenly among volumes and amplitudes, and only candidates of one
volume and amplitude compete with each other.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from phonsmith.files.errors import PhonsmithError, UnusablePotential
from phonsmith.files.extxyz import without_isolated_atoms
from phonsmith.potentials.calculators import evaluate, make_calculator
from phonsmith.potentials.settings import PotentialSource
from phonsmith.potentials.soap import soap_text, soap_vectors
from phonsmith.potentials.torch_precision import torch_dtype
from phonsmith.supercells.settings import Selection, SoapDescriptor

Floats = NDArray[np.float64]

_BLOCK = 4_000_000  # numbers in a block of distances: 32 MB


def select(
    pool: Sequence[Atoms],
    labelled: Sequence[Atoms],
    count: int,
    settings: Selection,
    *,
    seed: int,
    mace: PotentialSource | None = None,
    committee: Sequence[PotentialSource] = (),
    processes: int = 1,
) -> list[int]:
    """Choose the candidates to label; return their indices in the order of choice.

    Parameters
    ----------
    pool
        The candidates; see :func:`phonsmith.supercells.candidates.candidate_pool`.
    labelled
        Cells that have labels, or will have; isolated atoms are ignored.
    count
        How many to choose.
    settings
        Method and descriptor.
    seed
        Seed of the method ``random``; other methods have no random choice. Of equal candidates the
        first is chosen.
    mace
        The fit whose features are the descriptor ``mace``.
    committee
        Fits that judge the candidates, at least two; for the method ``committee``.
    processes
        Candidates that a fit judges at a time.

    Raises
    ------
    PhonsmithError
        The pool is empty or too small, or the method lacks its potentials.
    UnusablePotential
        Fewer than two fits of the committee give forces on all candidates.
    """
    _check(pool, count, settings, mace, committee)
    groups = [group_of(cell) for cell in pool]
    order = shared_out(groups, count, count * int(pool[0].info.get("generation", 0)))
    if settings.method == "random":
        lots = np.random.default_rng(seed).permutation(len(pool))
        queues = {group: [int(i) for i in lots if groups[i] == group] for group in set(groups)}
        return [queues[group].pop(0) for group in order]
    cells = without_isolated_atoms(labelled)
    vectors = environments([*pool, *cells], settings, mace)
    weights = None
    if settings.method == "committee":
        weights = disagreement(pool, committee, processes)
    candidates, known = vectors[: len(pool)], vectors[len(pool) :]
    return farthest(candidates, known, count, weights, (groups, order))


# --- quotas ------------------------------------------------------------------------------------


Group = tuple[float, float]
"""Volume factor and amplitude factor of candidates, see
:func:`phonsmith.supercells.candidates.candidate_pool`."""


def group_of(cell: Atoms) -> Group:
    """Return the group of a candidate; cells without group are one group."""
    return float(cell.info.get("volume_factor", 1)), float(cell.info.get("amplitude_factor", 1))


def shared_out(groups: Sequence[Group], count: int, start: int = 0) -> list[Group]:
    """Share ``count`` cells out to groups so that volumes and amplitudes occur evenly.

    Volumes follow each other, and so do amplitudes, until all pairs have come; then they come
    again. ``start`` is where in this order to begin: later generations continue where earlier ones
    stopped. A group without candidates left is passed over.

    Parameters
    ----------
    groups
        (volume factor, amplitude) of each candidate.
    count
        Number of cells to choose.
    start
        Position in the sequence of pairs at which to begin.

    Returns
    -------
    The group of each of the ``count`` cells.

    Examples
    --------
    >>> shared_out([(0.9, 1), (0.9, 2), (1.1, 1), (1.1, 2)], 3)
    [(0.9, 1), (1.1, 2), (0.9, 2)]
    """
    left = Counter(groups)
    volumes, amplitudes = (sorted({one[i] for one in groups}) for i in (0, 1))
    both = len(volumes), len(amplitudes)
    pairs = [
        (volumes[k % both[0]], amplitudes[(k + k // math.lcm(*both)) % both[1]])
        for k in range(math.prod(both))
    ]
    order: list[Group] = []
    turn = start
    while len(order) < count:
        group = pairs[turn % len(pairs)]
        turn += 1
        if left[group] > 0:
            left[group] -= 1
            order.append(group)
    return order


def _check(
    pool: Sequence[Atoms],
    count: int,
    settings: Selection,
    mace: PotentialSource | None,
    committee: Sequence[PotentialSource],
) -> None:
    if not pool:
        raise PhonsmithError("selection: no candidates; raise selection.pool_size")
    if not 0 < count <= len(pool):
        raise PhonsmithError(
            f"selection: {count} cells cannot be selected from {len(pool)} candidates; raise "
            "selection.pool_size"
        )
    if settings.method == "committee" and len(committee) < 2:
        raise PhonsmithError(
            f"selection.method: committee requires at least two fits, found {len(committee)}; set "
            "`repeats` of the fit to 2 or more"
        )
    if (
        settings.method != "random"
        and settings.descriptor == "mace"
        and (mace is None or mace.calculator != "mace")
    ):
        raise PhonsmithError(
            "selection.descriptor: mace requires a fit of kind mace; add a MACE fit or use soap"
        )


# --- farthest points ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Environments:
    """Atomic environments of one cell: atomic numbers (n,) and a vector for each atom (n, d)."""

    numbers: NDArray[np.int64]
    vectors: Floats


def distances(candidates: Sequence[Environments], known: Sequence[Environments]) -> Floats:
    """Distance of each candidate from all that is known (module text), shape (candidates,).

    An environment of an element of which none is known is farther than any other.
    """
    pool = _Pool.of(candidates)
    for one in known:
        pool.learn(one)
    return pool.distances()


def farthest(
    candidates: Sequence[Environments],
    known: Sequence[Environments],
    count: int,
    weights: ArrayLike | None = None,
    quotas: tuple[Sequence[Group], Sequence[Group]] | None = None,
) -> list[int]:
    """Choose, one after another, the candidate farthest from all known cells.

    Distances are multiplied by the ``weights`` of the candidates. Of equal ones the first is taken.
    ``quotas`` are the groups of the candidates and the group of each choice; one group without.

    Parameters
    ----------
    candidates
        Environments of each candidate.
    known
        Environments of each cell that is labelled or chosen already.
    count
        Number of candidates to choose.
    weights
        Factors of the distances, shape (candidates,); None for 1.
    quotas
        Group of each candidate and group of each choice; None for a single group.

    Returns
    -------
    Indices of the chosen candidates, in the order of choice.
    """
    groups, order = quotas or ([(1.0, 1.0)] * len(candidates), [(1.0, 1.0)] * count)
    factors = np.ones(len(candidates)) if weights is None else np.asarray(weights, dtype=float)
    pool = _Pool.of(candidates)
    for one in known:
        pool.learn(one)
    chosen: list[int] = []
    for group in order:
        score = factors * pool.distances()
        score[[one != group for one in groups]] = -np.inf
        score[chosen] = -np.inf
        chosen.append(int(np.argmax(score)))
        pool.learn(candidates[chosen[-1]])
    return chosen


@dataclass(frozen=True)
class _Pool:
    """All environments of the candidates in one, and how far each is from a known one."""

    owner: NDArray[np.int64]
    numbers: NDArray[np.int64]
    vectors: Floats
    nearest: Floats

    @classmethod
    def of(cls, cells: Sequence[Environments]) -> "_Pool":
        vectors = np.concatenate([one.vectors for one in cells])
        # no two vectors are farther apart than twice the length of the longest
        farther = 2.0 * np.linalg.norm(vectors, axis=1).max(initial=0.5)
        return cls(
            np.repeat(np.arange(len(cells)), [len(one.numbers) for one in cells]),
            np.concatenate([one.numbers for one in cells]),
            vectors,
            np.full(len(vectors), farther),
        )

    def distances(self) -> Floats:
        """Mean over the atoms of each cell."""
        return np.asarray(np.bincount(self.owner, self.nearest) / np.bincount(self.owner))

    def learn(self, cell: Environments) -> None:
        """Lower the distances where an environment of ``cell`` is nearer."""
        for number in np.unique(cell.numbers):
            mine = np.flatnonzero(self.numbers == number)
            others = cell.vectors[cell.numbers == number]
            squares = (others**2).sum(axis=1)
            step = max(1, _BLOCK // len(others))
            for block in (mine[i : i + step] for i in range(0, len(mine), step)):
                part = self.vectors[block]
                apart = (part**2).sum(axis=1)[:, None] + squares - 2 * part @ others.T
                closest = np.sqrt(np.maximum(apart.min(axis=1), 0.0))
                self.nearest[block] = np.minimum(self.nearest[block], closest)


# --- descriptors -------------------------------------------------------------------------------


def environments(
    cells: Sequence[Atoms], settings: Selection, mace: PotentialSource | None = None
) -> list[Environments]:
    """Describe the atomic environments of every cell.

    Parameters
    ----------
    cells
        Cells to describe.
    settings
        Descriptor and its settings.
    mace
        MACE potential; required by the descriptor ``mace``.

    Returns
    -------
    The environments of each cell, in the order of the cells.
    """
    if settings.descriptor == "mace":
        assert mace is not None
        return _mace_environments(cells, mace)
    return soap_environments(cells, settings.soap)


def soap_environments(cells: Sequence[Atoms], soap: SoapDescriptor) -> list[Environments]:
    """SOAP vectors of length one, as GAP's kernel takes them (quippy)."""
    text = soap_text(
        {int(number) for cell in cells for number in cell.numbers},
        cutoff=soap.cutoff_angstrom,
        transition_width=1.0,
        atom_sigma=soap.atom_sigma_angstrom,
        n_max=soap.n_max,
        l_max=soap.l_max,
    )
    return [
        Environments(np.asarray(cell.numbers, dtype=np.int64), soap_vectors(cell, text))
        for cell in cells
    ]


def _mace_environments(cells: Sequence[Atoms], mace: PotentialSource) -> list[Environments]:
    """Invariant node features of all layers of a MACE."""
    calculator = make_calculator(mace)
    (dtype,) = {str(one.dtype) for one in calculator.models[0].parameters()}
    with torch_dtype(dtype.removeprefix("torch.")):
        return [
            Environments(
                np.asarray(cell.numbers, dtype=np.int64),
                np.asarray(calculator.get_descriptors(cell), dtype=float),
            )
            for cell in cells
        ]


# --- committee ---------------------------------------------------------------------------------


def disagreement(
    cells: Sequence[Atoms], committee: Sequence[PotentialSource], processes: int = 1
) -> Floats:
    """Compute by how much several fits disagree on the forces of each cell.

    Root of the mean over the atoms of the squared standard deviation of their force vector. Fits
    without finite forces on some cell are omitted, which is printed.

    Parameters
    ----------
    cells
        Cells to evaluate.
    committee
        The fits.
    processes
        Number of processes that share the cells.

    Returns
    -------
    Disagreement in eV/Å, shape (cells,).

    Raises
    ------
    UnusablePotential
        Fewer than two fits are left.
    """
    forces, lost = [], []
    for number, fit in enumerate(committee, 1):
        try:
            forces.append(_finite_forces(cells, fit, processes))
        except UnusablePotential as error:
            lost.append(f"fit {number} of the committee is omitted: {error}")
            print(f"selection: {lost[-1]}")
    if len(forces) < 2:
        raise UnusablePotential(
            "selection: fewer than two fits of the committee predict forces: " + "; ".join(lost)
        )
    spreads = []
    for several in zip(*forces, strict=True):
        variance = np.var(several, axis=0, ddof=1).sum(axis=1)
        spreads.append(float(np.sqrt(variance.mean())))
    return np.array(spreads)


def _finite_forces(cells: Sequence[Atoms], fit: PotentialSource, processes: int) -> list[Floats]:
    forces = [one.forces for one in evaluate(cells, fit, processes)]
    for number, one in enumerate(forces):
        if not np.isfinite(one).all():
            raise UnusablePotential(f"no forces for candidate {number}")
    return forces
