"""Phonons from recorded displacements and forces."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.reading_writing import read_as, write_json
from phonsmith.files.settings import CellChoice
from phonsmith.phonons.files import load_phonons, without_forces
from phonsmith.phonons.force_constants import LARGEST_MOVE, LARGEST_STRAIN, SAME_CELL_STRAIN
from phonsmith.structures.settings import Relaxation

if TYPE_CHECKING:
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    from phonsmith.structures.verdicts import Verdict


THIRD_ORDER = "third_order"
"""Folder with displacements and forces for third-order force constants, beside the phonons."""


@dataclass(frozen=True)
class WhyNone:
    """Why a fit without a potential has no results, in words: by kind of result and structure.

    Kinds are the choices of the cell of phonons, and :data:`THIRD_ORDER`.
    """

    FILE: ClassVar[str] = "why_none.json"

    reasons: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the reasons of a fit from its folder; recorded forces have none."""
        path = folder / cls.FILE
        return cls(read_as(path, "reasons of a fit", dict)) if path.exists() else cls()

    def save(self, folder: Path) -> None:
        """Write them into the folder of a fit."""
        write_json(folder / self.FILE, self.reasons)

    def of(self, kind: str, structure: str) -> str:
        """Return the reason; empty if there is none."""
        return self.reasons.get(kind, {}).get(structure, "")


def recorded_phonons(
    cell: CellChoice, reference: "Phonopy", path: Path, relaxation: Relaxation
) -> tuple["Phonopy", "Verdict"]:
    """Load phonons from recorded forces of a potential for comparison with the reference.

    Parameters
    ----------
    cell
        Reference cell or relaxed cell; for ``reference`` the recorded cell has to be the
        reference's.
    reference
        Phonons of the reference, which provide masses and non-analytical correction.
    path
        File with the recorded phonons; it need not exist.
    relaxation
        Tolerances of the comparison of crystals.

    Returns
    -------
    Phonons and verdict. If there is nothing to compare, the verdict has the reason and the phonons
    have no forces.

    Raises
    ------
    PhonsmithError
        The recorded crystal is another one, or in another setting.
    """
    from phonsmith.structures.relaxation import RelaxationResult, compare, crystal_as_given
    from phonsmith.supercells.cells import to_ase

    before = to_ase(reference.unitcell)
    _, verdict = crystal_as_given(before, relaxation)
    reason = WhyNone.load(path.parent).of(cell, path.stem)
    if reason or not path.exists():
        reason = reason or "the fit has no forces of this crystal"
        return without_forces(before, reference), replace(verdict, reason=reason)
    if reference.force_constants is None:
        reason = (
            "the reference has no phonons of this crystal; `snakemake failures` lists the failed "
            "labels"
        )
        return without_forces(before, reference), replace(verdict, reason=reason)
    phonon = load_phonons(path)
    _places(reference.unitcell, phonon.unitcell, path)
    phonon = _with_primitive(phonon, reference.primitive_matrix)
    places = _places(reference.primitive, phonon.primitive, path)
    after = to_ase(phonon.unitcell)
    verdict = compare(before, RelaxationResult(after, True, 0, math.nan, None), relaxation)
    strain = np.abs(np.linalg.solve(before.cell[:], after.cell[:]) - np.eye(3)).max()
    if cell == "reference" and strain > SAME_CELL_STRAIN:
        reason = (
            f"the forces were recorded in another cell (strain {strain:.2g}, volume "
            f"{verdict.volume_change_percent:+.2f} %); to compare them, set `phonons.cells: "
            "[relaxed]`"
        )
        verdict = replace(verdict, reason=reason)
    if verdict.reason:
        return without_forces(before, reference), verdict
    if reference.nac_params is not None:
        born = np.asarray(reference.nac_params["born"])[places]
        phonon.nac_params = {**reference.nac_params, "born": born}
    else:
        phonon.nac_params = None
    phonon.masses = np.asarray(reference.masses)[places]
    return phonon, verdict


def _with_primitive(phonon: "Phonopy", matrix: ArrayLike) -> "Phonopy":
    """Copy phonons with another choice of the primitive cell."""
    from phonopy import Phonopy
    from phonopy.harmonic.force_constants import compact_fc_to_full_fc

    if np.allclose(phonon.primitive_matrix, matrix, atol=1e-6):
        return phonon
    other = Phonopy(
        phonon.unitcell,
        phonon.supercell_matrix,
        primitive_matrix=np.asarray(matrix),
        symprec=phonon.symmetry.tolerance,
    )
    other.dataset = phonon.dataset
    constants = phonon.force_constants
    if constants.shape[0] != constants.shape[1]:
        constants = compact_fc_to_full_fc(phonon.primitive, constants)
    other.force_constants = constants
    return other


def _places(mine: "PhonopyAtoms", other: "PhonopyAtoms", path: Path) -> Any:
    """For each atom of ``other`` the atom of ``mine`` in its place, from whatever origin.

    Fractional wave vectors then agree in both crystals.
    """
    like = len(mine) == len(other) and np.array_equal(np.sort(mine.numbers), np.sort(other.numbers))
    strain = np.abs(np.linalg.solve(mine.cell, other.cell) - np.eye(3)).max()
    if like and strain <= LARGEST_STRAIN:
        unlike = other.numbers[:, None] != mine.numbers
        for site in np.flatnonzero(mine.numbers == other.numbers[0]):
            points = (
                other.scaled_positions - other.scaled_positions[0] + mine.scaled_positions[site]
            )
            shift = points[:, None] - mine.scaled_positions
            moves = np.linalg.norm((shift - np.rint(shift)) @ mine.cell, axis=2)
            moves[unlike] = np.inf
            found = moves.argmin(axis=1)
            if len(set(found)) == len(found) and moves.min(axis=1).max() <= LARGEST_MOVE:
                return found
    raise PhonsmithError(
        f"{path.stem}: lattice vectors, orientation or atom positions of {other.formula} differ "
        f"from the reference's {mine.formula}; give a file with the reference's unit cell"
    )
