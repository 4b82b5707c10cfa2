"""Displaced cells with a potential that is a sum over centres of finite range.

The centres of the perfect crystal are computed once, one for each atom that differs by more than a
translation. In a displaced cell only those centres are computed whose environment differs
(:mod:`phonsmith.potentials.locality`). They are cut out as a cluster with all atoms within the
cutoff, and many clusters are computed side by side: QUIP spends as long on reading the words of a
call as on 20 centres.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import product
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.geometry import find_mic
from matscipy.neighbours import neighbour_list
from numpy.typing import NDArray

from phonsmith.files.errors import PhonsmithError, UnusablePotential
from phonsmith.potentials.calculators import (
    Evaluation,
    check_elements,
    evaluate,
    in_batches,
    kept_calculator,
    one_line,
)
from phonsmith.potentials.computing import centrewise
from phonsmith.potentials.loaded_files import check_model
from phonsmith.potentials.locality import ROUNDING, changed_centres
from phonsmith.potentials.settings import PotentialSource
from phonsmith.running.process_pool import each

MASK = "centre"
"""Array of the atoms that marks the centres to sum over."""

BATCH_CENTRES = 256
"""Centres computed at a time; the gradients of SOAP take about 1 MB each."""

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]


def evaluate_displaced(
    perfect: Atoms,
    cells: Sequence[Atoms],
    source: PotentialSource,
    processes: int = 1,
    translations: Integers | None = None,
) -> list[Evaluation]:
    """Compute energy, forces and stress of displaced cells, as :func:`evaluate`.

    Potentials of unknown range, and cells in which most environments change, are evaluated in full.
    Both ways agree within rounding.

    Parameters
    ----------
    perfect
        Supercell before the displacements.
    cells
        The atoms of ``perfect`` in their order, some of them moved.
    source
        The potential.
    processes
        Number of spawned processes that share the work.
    translations
        (translations, atoms) permutations of the atoms by translations of the crystal, as phonopy's
        ``primitive.atomic_permutations``; inexact ones are not used. None for no translations.

    Returns
    -------
    One evaluation per cell, in the order of the cells.

    Raises
    ------
    PhonsmithError
        The potential cannot be built or does not support an element, or atoms of a cell differ.
    UnusablePotential
        The potential fails on a cell.
    """
    cutoff = _cutoff(source, perfect)
    if cutoff is None:
        return evaluate(cells, source, processes)
    changed = [changed_centres(perfect, cell, cutoff) for cell in cells]
    near = [k for k, centres in enumerate(changed) if len(centres) < len(perfect)]
    crystal = Crystal(perfect, translations, cutoff, [cells[k] for k in near])
    centres = len(crystal.representatives) + sum(len(changed[k]) for k in near)
    if centres >= len(near) * len(perfect):
        return evaluate(cells, source, processes)
    check_elements(source, cells)
    alone = crystal.representatives.tolist()
    clusters = [crystal.cluster(perfect, np.array([atom])) for atom in alone]
    clusters += [crystal.cluster(cells[k], changed[k]) for k in near if len(changed[k])]
    parts = iter(_computed(clusters, source, cutoff, processes))
    of_centre = {atom: next(parts) for atom in alone}
    whole = crystal.part(np.arange(len(perfect)), of_centre)
    found = {}
    for k in near:
        total = whole
        if len(changed[k]):
            total = whole - crystal.part(changed[k], of_centre) + next(parts)
        found[k] = total.evaluation(perfect)
    far = [k for k in range(len(cells)) if k not in found]
    found.update(zip(far, evaluate([cells[k] for k in far], source, processes), strict=True))
    return [found[k] for k in range(len(cells))]


def saves(perfect: Atoms, cells: Sequence[Atoms], source: PotentialSource) -> bool:
    """Return whether :func:`evaluate_displaced` without translations computes half the centres."""
    cutoff = _cutoff(source, perfect)
    if cutoff is None:
        return False
    changed = sum(len(changed_centres(perfect, cell, cutoff)) for cell in cells)
    return 2 * (len(perfect) + changed) <= len(cells) * len(perfect)


def _cutoff(source: PotentialSource, perfect: Atoms) -> float | None:
    """Range of a potential that can compute some centres of a periodic cell alone."""
    module = centrewise(source)
    if module is None or perfect.cell.rank < 3 or not perfect.pbc.all():
        return None
    check_model(source)
    return module.cutoff_angstrom(source)


@dataclass(frozen=True)
class Part:
    """Contributions of some centres to a cell.

    ``energy`` in eV, ``forces`` (atoms of the cell, 3) in eV/Å, ``strain`` (3, 3) the derivative of
    the energy with strain in eV.
    """

    energy: float
    forces: Floats
    strain: Floats

    def __add__(self, other: "Part") -> "Part":
        return Part(
            self.energy + other.energy, self.forces + other.forces, self.strain + other.strain
        )

    def __sub__(self, other: "Part") -> "Part":
        return Part(
            self.energy - other.energy, self.forces - other.forces, self.strain - other.strain
        )

    def evaluation(self, cell: Atoms) -> Evaluation:
        """Return the results of the cell to which all centres have contributed."""
        return Evaluation(self.energy, self.forces, self.strain / cell.get_volume())


@dataclass(frozen=True)
class Cluster:
    """Some centres of a cell with all atoms within the cutoff, images included.

    ``homes`` has the index in the cell of each atom, ``centres`` marks the centres.
    """

    atoms: Atoms
    homes: Integers
    centres: NDArray[np.bool_]
    atoms_of_cell: int

    def part(self, energies: Floats, forces: Floats) -> Part:
        """Return the contributions of the centres to the cell."""
        of_cell = np.zeros((self.atoms_of_cell, 3))
        np.add.at(of_cell, self.homes, forces)
        places = self.atoms.positions - self.atoms.positions.mean(axis=0)
        return Part(float(energies.sum()), of_cell, -forces.T @ places)


@dataclass(frozen=True)
class Crystal:
    """A perfect supercell with its translations, and displaced cells, for a range (Å)."""

    perfect: Atoms
    permutations: Integers | None
    cutoff: float
    cells: Sequence[Atoms]

    @cached_property
    def _pairs(self) -> tuple[Integers, Integers, Integers]:
        """Atom, neighbour and its lattice translation: all pairs of any cell within the cutoff."""
        moves = [np.linalg.norm(self._moves(cell), axis=1).max() for cell in self.cells]
        reach = self.cutoff + 2 * max(moves, default=0.0)
        return tuple(neighbour_list("ijS", self.perfect, reach))

    def _moves(self, cell: Atoms) -> Floats:
        """Displacements (atoms, 3) without lattice translations."""
        moves = cell.positions - self.perfect.positions
        return np.asarray(find_mic(moves, self.perfect.cell, self.perfect.pbc)[0])

    def cluster(self, cell: Atoms, centres: Integers) -> Cluster:
        """Cut centres with their environments out of a cell."""
        first, second, shifts = self._pairs
        here = np.isin(first, centres)
        neighbours = np.column_stack([second[here], shifts[here]])
        themselves = np.column_stack([centres, np.zeros((len(centres), 3), dtype=int)])
        both = np.unique(np.concatenate([themselves, neighbours]), axis=0)
        homes, images = both[:, 0], both[:, 1:]
        positions = self.perfect.positions + self._moves(cell)
        return Cluster(
            Atoms(cell.numbers[homes], positions=positions[homes] + images @ cell.cell.array),
            homes,
            np.isin(homes, centres) & ~images.any(axis=1),
            len(cell),
        )

    @cached_property
    def _translations(self) -> Integers:
        """Return permutations that are exact translations; the first is the identity."""
        identity = np.arange(len(self.perfect))[None]
        if self.permutations is None:
            return identity
        places = self.perfect.get_scaled_positions(wrap=False)
        moves = places[self.permutations] - places
        moves -= moves[:, :1]
        moves -= np.rint(moves)
        off = np.abs(moves @ self.perfect.cell.array).max(axis=(1, 2))
        like = (self.perfect.numbers[self.permutations] == self.perfect.numbers).all(axis=1)
        return np.concatenate([identity, self.permutations[like & (off < ROUNDING)]])

    @cached_property
    def _origins(self) -> tuple[Integers, Integers]:
        """Return a representative of each atom, and the translation from it to the atom."""
        everyone = np.arange(len(self.perfect))
        origins = self._translations.min(axis=0)
        leads_here = self._translations[:, origins] == everyone
        found = leads_here.any(axis=0)
        return np.where(found, origins, everyone), np.where(found, leads_here.argmax(axis=0), 0)

    @cached_property
    def representatives(self) -> Integers:
        """Return the representatives."""
        return np.unique(self._origins[0])

    def part(self, centres: Integers, of_centre: dict[int, Part]) -> Part:
        """Sum centres of the perfect crystal.

        Parameters
        ----------
        centres
            Atoms of the perfect crystal.
        of_centre
            The contributions of each representative.
        """
        energy, forces, strain = 0.0, np.zeros((len(self.perfect), 3)), np.zeros((3, 3))
        origins, translations = self._origins
        for origin, translation in zip(origins[centres], translations[centres], strict=True):
            part = of_centre[int(origin)]
            energy += part.energy
            forces[self._translations[translation]] += part.forces
            strain += part.strain
        return Part(energy, forces, strain)


def _computed(
    clusters: Sequence[Cluster], source: PotentialSource, cutoff: float, processes: int
) -> list[Part]:
    """The contributions of clusters by the masked potential, in the order of the clusters."""
    sizes = [int(cluster.centres.sum()) for cluster in clusters]
    together = in_batches(sizes, BATCH_CENTRES)
    batches = [[clusters[index] for index in indices] for indices in together]
    found: dict[int, list[Part]] = {}
    work = each(partial(_evaluator, source, cutoff), batches, min(processes, len(batches)))
    for index, outcome in work:
        if isinstance(outcome, PhonsmithError):
            raise outcome
        if isinstance(outcome, Exception):
            raise UnusablePotential(
                f"calculator '{source.calculator}' ({source.model}) fails on a displaced cell: "
                f"{one_line(outcome)}"
            ) from outcome
        found[index] = outcome
    return [part for index in range(len(batches)) for part in found[index]]


def _evaluator(source: PotentialSource, cutoff: float) -> Callable[[list[Cluster]], list[Part]]:
    module = centrewise(source)
    assert module is not None
    return partial(_evaluate, kept_calculator(source), module.masked(MASK), cutoff)


def _evaluate(
    calculator: Calculator, arguments: dict[str, Any], cutoff: float, clusters: list[Cluster]
) -> list[Part]:
    atoms = side_by_side([cluster.atoms for cluster in clusters], gap=cutoff + 1.0)
    atoms.arrays[MASK] = np.concatenate([cluster.centres for cluster in clusters])
    calculator.reset()  # ASE does not notice another mask
    calculator.calculate(atoms, ["energies", "forces"], list(all_changes), **arguments)
    results = dict(calculator.results)
    calculator.reset()
    ends = np.cumsum([len(cluster.homes) for cluster in clusters])[:-1]
    energies = np.split(np.asarray(results["energies"]), ends)
    forces = np.split(np.asarray(results["forces"]), ends)
    return [
        cluster.part(energy, force)
        for cluster, energy, force in zip(clusters, energies, forces, strict=True)
    ]


def side_by_side(clusters: Sequence[Atoms], gap: float) -> Atoms:
    """Put clusters on a grid in one periodic cell, with a gap (Å) between any two of them.

    A row of them would be so long that the rounding of coordinates shows in the forces.
    """
    edge = math.ceil(len(clusters) ** (1 / 3))
    spacing = np.max([np.ptp(cluster.positions, axis=0) for cluster in clusters], axis=0) + gap
    places = np.array(list(product(range(edge), repeat=3))) * spacing
    positions = [
        cluster.positions - cluster.positions.min(axis=0) + place
        for cluster, place in zip(clusters, places, strict=False)
    ]
    return Atoms(
        np.concatenate([cluster.numbers for cluster in clusters]),
        positions=np.concatenate(positions),
        cell=edge * spacing,
        pbc=True,
    )
