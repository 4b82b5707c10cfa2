"""Check that energies, forces and stresses of recorded cells have consistent signs and units.

Between two cells with equal atoms, the energy changes by the work of forces and stress. With the
mean of both cells, exact for harmonic potentials,

    ΔE = -Σ F̄·Δr + V̄ σ̄:ε,

where Δr are the displacements relative to the lattice. A wrong sign or unit multiplies ΔE, the work
of the forces or the work of the stress by a known factor (:data:`_FORCES`, :data:`_STRESS`). A set
is refused if such a factor explains its energies better than the correct units do, by more than
anharmonicity and Pulay stress can.

Without sufficient data (no energies, too few or too distant cells), forces and stress are
compared with displacements and strain: a solid resists both, no solid is stiffer than diamond, and
stress changes by at most bond length times the change of forces.

Not detected: consistent units other than eV and Å (kcal/mol and kcal/mol/Å), except atomic units
for all quantities including positions, which make all bonds 1.9 times too long.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from ase import Atoms
from ase.units import Bohr, GPa, Hartree, Rydberg, kcal, kJ, mol
from numpy.typing import NDArray
from phonopy import Phonopy

from phonsmith.files.extxyz import ENERGY, FORCES, STRESS, without_isolated_atoms
from phonsmith.structures.bonds import NOBLE, in_bohr

LARGEST_MOVE_ANGSTROM, LARGEST_STRAIN = 0.6, 0.08
"""At larger distances, the mean of both cells is a poor approximation."""

UNSTRAINED = 2e-3
"""Largest strain of pairs that compare energies with forces alone."""

FORCE_TOLERANCE, STRESS_TOLERANCE = 1.35, 2.0
"""Factors that anharmonicity and Pulay stress account for: sound data (mlearn's silicon, strained
tin, hot carbon) have 0.70 to 1.16 and 0.8 to 1.5. Atomic units beside positions in Å give 1.89."""

LEAST_GAIN, ODDS = 4.0, 300.0
"""Squared errors have to shrink by the first factor at least, and by ODDS^(2/n) with n independent
pairs, for another unit to be believed."""

LEAST_MOVE_ANGSTROM = 1e-3
RESISTS = 0.6
"""Correlation of changes of forces with moves, of stress with strain: -0.5 to -0.9 for forces of
the right sign; up to +0.57 on paths of sound sets over a barrier."""

STIFFEST_GPA = 1500.0
"""Diamond has 1080 GPa."""

LARGEST_LEVER = 6.0
"""Change of stress times volume over change of forces times distance of atoms: 0.3 to 0.9."""

WEAKEST_SPRING = 0.5
"""eV/Å². Of the stiffest atom: 1.7 in NaTl, 13.5 in silicon, 0.28 Ry/bohr² in silicon."""

WEAKEST_OF_STIFF = 1.5
"""eV/Å². The same with boron, carbon, nitrogen or oxygen: 11 in MgO to 45 in TiPN3, about 3 in K2O;
0.65 hartree/bohr/Å in SiO2, 0.9 Ry/bohr² in TiPN3."""

_STIFF = frozenset((5, 6, 7, 8))

_SOFT = NOBLE | {3, 11, 19, 37, 55, 80, 87}
"""Elements of crystals that may be as soft: noble gases, alkali metals, mercury."""

LARGEST_GROUP, LARGEST_NUMBER_OF_GROUPS, NEIGHBOURS = 400, 60, 12

# factors of ΔE over the work as written, in words
_FORCES = {
    "": 1.0,
    "forces have the opposite sign": -1.0,
    "energies are in hartree": 1 / Hartree,
    "energies are in rydberg": 1 / Rydberg,
    "energies are in kcal/mol": mol / kcal,
    "energies are in kJ/mol": mol / kJ,
    "forces are in hartree/bohr": Hartree / Bohr,
    "forces are in rydberg/bohr": Rydberg / Bohr,
    "forces are in hartree/bohr, of the opposite sign": -Hartree / Bohr,
    "forces are in rydberg/bohr, of the opposite sign": -Rydberg / Bohr,
    "forces are in kcal/mol/Å": kcal / mol,
    "energies and forces are in atomic units, but positions in Å": 1 / Bohr,
}
_OF_ENERGIES = {
    "energies are in hartree": Hartree,
    "energies are in rydberg": Rydberg,
    "energies are in kcal/mol": kcal / mol,
    "energies are in kJ/mol": kJ / mol,
    "energies and forces are in atomic units, but positions in Å": Hartree,
}
_STRESS = {
    "": 1.0,
    "stress has the opposite sign": -1.0,
    "stress is in GPa": GPa,
    "stress is in GPa, of the opposite sign": -GPa,
    "stress is in kbar": 0.1 * GPa,
    "stress is in kbar, of the opposite sign": -0.1 * GPa,
    "stress is in hartree/bohr³": Hartree / Bohr**3,
    "stress is in rydberg/bohr³": Rydberg / Bohr**3,
}
_REMEDY = (
    "convert them to eV, eV/Å and eV/Å³ in ASE's sign (1 hartree is 27.2 eV, 160.2 GPa are 1 eV/Å³)"
)


@dataclass(frozen=True)
class Consistency:
    """``fault`` in words, empty if none was found; ``checked`` names what was compared."""

    fault: str
    checked: str


def consistency(frames: Sequence[Atoms]) -> Consistency:
    """Compare energies, forces and stresses of recorded cells with each other.

    ``frames`` may hold an undisplaced cell with zero forces and no energy: it helps to find the
    sign of forces.
    """
    bound = without_isolated_atoms(frames)
    pairs = _Pairs.of(bound)
    rest = pairs.take(pairs.strain < UNSTRAINED)
    by_forces, by_all = _Work(rest, stress=False), _Work(pairs.with_stress(), stress=True)
    fault = by_forces.fault() or by_all.fault()
    forces_assessed = by_forces.assessed(-1, 1) or by_all.assessed(-1, 1)
    stress_assessed = by_all.assessed(1, -1)
    if not fault and not forces_assessed:
        fault = _resists(pairs)
    if not fault and not stress_assessed:
        fault = _stress_alone(pairs)
    fault = fault or _in_bohr(bound)
    return Consistency(fault, _checked(bound, pairs, forces_assessed, stress_assessed))


def _checked(
    frames: Sequence[Atoms], pairs: "_Pairs", forces_assessed: bool, stress_assessed: bool
) -> str:
    done: list[str] = []
    missing: list[str] = []
    for what, key, assessed in (
        ("forces", FORCES, forces_assessed),
        ("stresses", STRESS, stress_assessed),
    ):
        if any(key in atoms.arrays or key in atoms.info for atoms in frames):
            (done if assessed else missing).append(what)
    parts = []
    if done:
        parts.append(f"sign and unit of {' and '.join(done)} agree with the energies")
    if missing:
        parts.append(
            f"sign and unit of {' and '.join(missing)} not compared with energies (too few similar "
            "cells with both)"
        )
    return f"{'; '.join(parts)}; {len(pairs)} pairs of cells" if parts else ""


# --- phonons without energies ---------------------------------------------------------------------


def weak_springs(phonon: Phonopy) -> str:
    """Describe force constants too small for eV/Å², as in atomic units; "" if they are not.

    Files of phonopy without YAML state no units, and forces alone do not reveal them.
    """
    numbers = set(phonon.unitcell.numbers.tolist())
    if numbers <= _SOFT:
        return ""
    weakest = WEAKEST_SPRING if numbers.isdisjoint(_STIFF) else WEAKEST_OF_STIFF
    springs = list(_springs(phonon))
    if not springs or max(springs) >= weakest:
        return ""
    return (
        f"the largest force constant of an atom with itself is {max(springs):.2g} eV/Å², less than "
        f"in nearly all crystals of such elements ({weakest:g}), as if forces, or displacements "
        "too, are in atomic units. Check the units: files without phonopy YAML must be in Å and eV"
    )


def _springs(phonon: Phonopy) -> Iterator[float]:
    """Force constants of atoms with themselves, mean of three directions or along a move."""
    constants = phonon.force_constants
    if constants is not None:
        home = phonon.primitive.p2s_map
        for row, atom in enumerate(home):
            block = constants[row if len(constants) == len(home) else atom][atom]
            yield float(np.trace(block)) / 3
        return
    for moved in (phonon.dataset or {}).get("first_atoms", ()):
        move = np.asarray(moved["displacement"], dtype=float)
        force = np.asarray(moved["forces"], dtype=float)[moved["number"]]
        yield -float(force @ move / (move @ move))


# --- pairs of cells -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Pairs:
    """Arrays over pairs of similar cells; see :func:`_compare` for the columns."""

    rows: NDArray[np.float64]
    independent: int

    @classmethod
    def of(cls, frames: Sequence[Atoms]) -> "_Pairs":
        groups: dict[tuple[int, ...], list[Atoms]] = defaultdict(list)
        for atoms in frames:
            if FORCES in atoms.arrays and atoms.cell.rank == 3:
                groups[tuple(atoms.numbers)].append(atoms)
        rows, independent = [], 0
        for group in sorted(groups.values(), key=len, reverse=True)[:LARGEST_NUMBER_OF_GROUPS]:
            used = set()
            for i, j in _neighbours(len(group)):
                row = _compare(group[i], group[j])
                if row is not None:
                    rows.append(row)
                    used |= {i, j}
            independent += max(len(used) - 1, 0)
        return cls(np.array(rows, dtype=float).reshape(-1, 12), independent)

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, mask: NDArray[np.bool_]) -> "_Pairs":
        return _Pairs(self.rows[mask], min(self.independent, int(mask.sum())))

    def with_stress(self) -> "_Pairs":
        return self.take(~np.isnan(self.rows[:, 2]))

    @property
    def strain(self) -> NDArray[np.float64]:
        return self.rows[:, 4]


def _neighbours(count: int) -> Iterator[tuple[int, int]]:
    """Pairs of a small group, else those of cells close to each other in the file."""
    blocks = max(LARGEST_GROUP // (2 * NEIGHBOURS), 1)
    starts = {0} if count <= LARGEST_GROUP else set(np.linspace(0, count - 1, blocks, dtype=int))
    size = count if count <= LARGEST_GROUP else 2 * NEIGHBOURS
    reach = count if count <= 40 else NEIGHBOURS
    for start in sorted(starts):
        stop = min(start + size, count)
        for i in range(start, stop):
            for j in range(i + 1, min(i + reach, stop)):
                yield i, j


def _compare(first: Atoms, second: Atoms) -> tuple[float, ...] | None:
    """Numbers of one pair, or None for cells too far apart.

    Change of energy, work of forces, work of stress (nan without) in eV; squared distance in Å^2;
    largest strain and move; ΔF·Δr and the product of their norms; Δσ:ε, |Δσ||ε| and |ε|²; lever.
    """
    before, after = first.cell[:], second.cell[:]
    middle = (before + after) / 2
    if abs(np.linalg.det(middle)) < 1e-3:
        return None
    change = np.linalg.solve(middle, after - before)  # rows of cells transform from the right
    strain = (change + change.T) / 2
    moves = np.linalg.solve(before.T, first.positions.T).T
    moves = np.linalg.solve(after.T, second.positions.T).T - moves
    moves -= np.rint(moves)
    moves = (moves - moves.mean(axis=0)) @ middle
    largest_strain, largest_move = float(np.abs(strain).max()), float(np.abs(moves).max())
    if not (largest_strain <= LARGEST_STRAIN and largest_move <= LARGEST_MOVE_ANGSTROM):
        return None
    atoms, volume = len(first), (first.get_volume() + second.get_volume()) / 2
    spacing = (volume / atoms) ** (1 / 3)
    forces = (first.arrays[FORCES], second.arrays[FORCES])
    difference = forces[1] - forces[0]
    energies = [atoms.info.get(ENERGY, np.nan) for atoms in (first, second)]
    force_work = -float(np.sum((forces[0] + forces[1]) / 2 * moves))
    moved = largest_move > LEAST_MOVE_ANGSTROM
    stress_work, resistance, scale, lever = np.nan, 0.0, 0.0, np.nan
    if largest_strain < 1e-6:
        stress_work = 0.0
    if STRESS in first.info and STRESS in second.info:
        stresses = [np.asarray(atoms.info[STRESS], dtype=float) for atoms in (first, second)]
        changed = stresses[1] - stresses[0]
        if largest_strain >= 1e-6:
            stress_work = volume * float(np.sum((stresses[0] + stresses[1]) / 2 * strain))
        stretched = atoms * spacing**2 * np.sum(strain**2) > np.sum(moves**2)
        if largest_strain >= UNSTRAINED and stretched:
            resistance = float(np.sum(changed * strain))
            scale = float(np.linalg.norm(changed) * np.linalg.norm(strain))
        elif largest_strain < UNSTRAINED and moved and np.abs(difference).max() > 0.01:
            lever = float(np.linalg.norm(changed) * volume / np.linalg.norm(difference) / spacing)
    return (
        float(energies[1]) - float(energies[0]),
        force_work,
        stress_work,
        float(np.sum(moves**2) + atoms * spacing**2 * np.sum(strain**2)),
        largest_strain,
        largest_move,
        float(np.sum(difference * moves)) if moved else 0.0,
        float(np.linalg.norm(difference) * np.linalg.norm(moves)) if moved else 0.0,
        resistance,
        scale,
        float(np.sum(strain**2)) if scale else 0.0,
        lever,
    )


# --- energies against work ------------------------------------------------------------------------


class _Work:
    """Changes of energy against the work of forces, and of stress too where ``stress``."""

    def __init__(self, pairs: _Pairs, *, stress: bool) -> None:
        rows = pairs.rows[np.isfinite(pairs.rows[:, 0])]
        # near pairs have small errors; the constant keeps digits from counting
        weight = (rows[:, 3] + 0.02) ** -0.5
        self.energy, self.force, self.stress = (rows[:, k] * weight for k in range(3))
        if not stress:
            self.stress = np.zeros_like(self.stress)
        self.independent = min(pairs.independent, len(rows))
        self.moved = bool(self.force @ self.force > 1e-12 * (self.stress @ self.stress))
        self.strained = bool(self.stress @ self.stress > 1e-12 * (self.force @ self.force))

    def errors(self, forces: float, stress: float) -> NDArray[np.float64]:
        """Squared errors with the best factors of the work near these two."""
        slopes = self._slopes(forces, stress)
        errors: NDArray[np.float64] = (
            self.energy - slopes[0] * self.force - slopes[1] * self.stress
        ) ** 2
        return errors

    def _slopes(self, forces: float, stress: float) -> tuple[float, float]:
        """Least squares within the tolerances of sound data."""
        columns = np.stack([self.force, self.stress])
        matrix, target = columns @ columns.T, columns @ self.energy
        bounds = [
            sorted((centre / tolerance, centre * tolerance))
            for centre, tolerance in ((forces, FORCE_TOLERANCE), (stress, STRESS_TOLERANCE))
        ]

        def error(point: NDArray[np.float64]) -> float:
            return float(point @ matrix @ point - 2 * target @ point)

        points = []
        if np.linalg.det(matrix) > 1e-12 * (np.trace(matrix) ** 2 or 1.0):
            free = np.linalg.solve(matrix, target)
            if all(low <= x <= high for x, (low, high) in zip(free, bounds, strict=True)):
                return float(free[0]), float(free[1])
        for fixed, moving in ((0, 1), (1, 0)):
            for edge in (*bounds[fixed], (forces, stress)[fixed]):
                point = np.zeros(2)
                point[fixed] = edge
                rest = target[moving] - matrix[moving, fixed] * edge
                best = rest / matrix[moving, moving] if matrix[moving, moving] else 0.0
                point[moving] = min(max(best, bounds[moving][0]), bounds[moving][1])
                points.append(point)
        closest = min(points, key=error)
        return float(closest[0]), float(closest[1])

    def better(self, first: tuple[float, float], second: tuple[float, float]) -> bool:
        """Return whether the first factors are significantly better than the second."""
        good, bad = self.errors(*first), self.errors(*second)
        # pairs of their own; one pair with a large error is one piece of evidence
        support = float(np.mean(bad > 2 * good))
        independent = support * self.independent - 1
        if independent < 0.5:
            return False
        needed = max(LEAST_GAIN, ODDS ** (2 / independent))
        return bool(bad.sum() > needed * good.sum())

    def assessed(self, forces: float, stress: float) -> bool:
        """Return whether data with these wrong signs would be refused."""
        if self.independent < 2 or not (self.moved if forces < 0 else self.strained):
            return False
        return self.better((1, 1), (forces, stress))

    def fault(self) -> str:
        """Describe a wrong sign or unit that explains the energies; "" if none does."""
        total = float(self.energy @ self.energy)
        if self.independent < 2 or total == 0:
            return ""
        right = self.errors(1, 1).sum()
        found = [
            guess for guess in self._hypotheses() if guess[0] < 0.25 * total and guess[0] < right
        ]
        if not found:
            return ""
        least = min(found)[0]
        _, _, forces, stress, (of_forces, of_stress) = min(
            (guess for guess in found if guess[0] <= 1.5 * least), key=lambda guess: guess[1]
        )
        scale = 1 / _OF_ENERGIES.get(of_forces, 1.0)
        if not self.better((forces, stress), (1, 1)):
            return ""
        if of_stress and not self.better((forces, stress), (forces, scale)):
            stress, of_stress = scale, ""  # the stress plays no part
            if not of_forces or not self.better((forces, stress), (1, 1)):
                return ""
        if of_forces and of_stress and not self.better((forces, stress), (scale, stress)):
            return ""
        return self._in_words(of_forces, of_stress, forces)

    def _hypotheses(self) -> Iterator[tuple[float, float, float, float, tuple[str, str]]]:
        """Squared error, simplicity, factors of forces and of stress, and words."""
        for (of_forces, forces), (of_stress, stress) in product(_FORCES.items(), _STRESS.items()):
            if (of_stress and not self.strained) or (
                of_forces and of_forces not in _OF_ENERGIES and not self.moved
            ):
                continue
            if not of_forces and not of_stress:
                continue
            # in the unit of the energies as they are written
            factor = stress / _OF_ENERGIES.get(of_forces, 1.0)
            errors = float(self.errors(forces, factor).sum())
            slopes = self._slopes(forces, factor)
            distance = abs(np.log(slopes[0] / forces)) + abs(np.log(slopes[1] / factor))
            simplicity = bool(of_forces) + bool(of_stress) + 0.1 * float(distance)
            yield errors, simplicity, forces, factor, (of_forces, of_stress)

    def _in_words(self, of_forces: str, of_stress: str, forces: float) -> str:
        per_atom = ", or per atom" if of_forces.startswith("energies are in") else ""
        guess = " and ".join(filter(None, (of_forces + per_atom, of_stress)))
        if of_stress and not of_forces:
            rest, work, what = self.energy - forces * self.force, self.stress, "stress"
        else:
            rest, work, what = self.energy, self.force + self.stress, "forces"
            what += " and stress" if self.strained else ""
        slope = float(rest @ work / (work @ work or 1.0))
        return (
            f"energies change by {slope:.3g} times the work of the {what} ({len(self.energy)} "
            f"pairs of cells), as if {guess}; {_REMEDY}"
        )


# --- forces and stress without energies -----------------------------------------------------------


def _resists(pairs: _Pairs) -> str:
    """Describe forces that increase displacements: their sign is wrong; "" if correct."""
    with_moves = pairs.rows[pairs.rows[:, 7] > 0]
    if not len(with_moves):
        return ""
    correlation = float(with_moves[:, 6].sum() / with_moves[:, 7].sum())
    if correlation < RESISTS:
        return ""
    return (
        f"forces push displaced atoms away from their sites (correlation {correlation:+.2f} "
        f"between moves and changes of forces, {len(with_moves)} pairs of cells), as if forces "
        f"have the opposite sign; {_REMEDY}"
    )


def _stress_alone(pairs: _Pairs) -> str:
    """Describe stress that is too large for strain or forces, or has the wrong sign."""
    strained = pairs.rows[pairs.rows[:, 9] > 0]
    if len(strained) > 2:
        stiffness = abs(float(strained[:, 8].sum() / strained[:, 10].sum())) / GPa
        if stiffness > STIFFEST_GPA:
            return (
                f"stress changes with strain as in a solid of {stiffness:.0f} GPa, as if stress "
                f"is in GPa or kbar; {_REMEDY}"
            )
        correlation = float(strained[:, 8].sum() / strained[:, 9].sum())
        if correlation < -RESISTS:
            return (
                f"stress increases strain (correlation {correlation:+.2f}, {len(strained)} pairs "
                f"of cells), as if stress has the opposite sign; {_REMEDY}"
            )
    levers = pairs.rows[:, 11][np.isfinite(pairs.rows[:, 11])]
    if len(levers) > 2 and np.median(levers) > LARGEST_LEVER:
        return (
            f"stress changes {np.median(levers):.0f} times as much as forces and bond lengths "
            f"allow ({len(levers)} pairs of cells), as if stress is in GPa or kbar; {_REMEDY}"
        )
    return ""


def _in_bohr(frames: Sequence[Atoms]) -> str:
    """Describe crystals whose bonds are all 1.9 times too long; "" for others."""
    ratios = [
        in_bohr(atoms)
        for atoms in frames[:: max(len(frames) // 20, 1)]
        if len(atoms) > 1 and atoms.pbc.all() and atoms.cell.rank == 3
    ]
    if not ratios or not (ratio := float(np.median(ratios))):
        return ""
    return (
        f"bonds are {ratio:.2f} times as long as sums of covalent radii, as if positions and "
        "lattice are in bohr; convert them to Å (1 bohr is 0.529 Å), and energies and forces with "
        "them"
    )
