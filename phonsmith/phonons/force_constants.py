"""Phonons of the reference and of fits: force constants from displaced cells."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from phonsmith.files.errors import MissingLabels, PhonsmithError, UnusablePotential
from phonsmith.files.extxyz import FORCES, of_kinds
from phonsmith.files.phonopy_files import SYMPREC
from phonsmith.files.settings import CellChoice
from phonsmith.phonons.commensurate import with_forces_of_parts
from phonsmith.phonons.files import with_forces, without_forces
from phonsmith.potentials.settings import PotentialSource
from phonsmith.structures.settings import Relaxation
from phonsmith.supercells.coverage import coverage
from phonsmith.supercells.settings import Displaced

if TYPE_CHECKING:
    from ase import Atoms
    from phonopy import Phonopy

    from phonsmith.structures.verdicts import Verdict


SAME_CELL_STRAIN = 1e-4
"""Strain due to rounding in files; with a larger strain, cells differ."""

LARGEST_STRAIN = 0.1
"""Largest strain between a recorded crystal and the reference's crystal."""

LARGEST_MOVE = 0.5
"""Å. Largest moves of its atoms."""


def reference_phonons(
    phonon: "Phonopy",
    labels: Sequence["Atoms"],
    born: str | Path | None = None,
    parts: Sequence["Phonopy"] = (),
) -> "Phonopy":
    """Compute phonons from the labels of the displaced cells.

    Parameters
    ----------
    phonon
        Phonons with displacements; forces and force constants are set in place.
    labels
        Labelled frames; frames of kind ``displaced`` with the indices of the displacements are
        used.
    born
        phonopy BORN file for the non-analytical correction. Without a file, the
        correction of ``phonon`` is kept.
    parts
        Non-diagonal supercells with displacements, where ``phonon`` has none; forces are set in
        place.

    Raises
    ------
    MissingLabels
        A displaced cell has no label, or the crystal was omitted.
    PhonsmithError
        There are no displaced cells, or force constants do not follow from them (:func:`coverage`);
        a displaced cell differs from its label; or the BORN file cannot be read.
    """
    from phonsmith.labels.born import read_born

    if phonon.force_constants is not None and phonon.dataset is None:  # recorded as such
        if born is not None:
            phonon.nac_params = read_born(born, phonon)
        return phonon
    displaced = list(parts) or [phonon]
    cells = [cell for one in displaced for cell in one.supercells_with_displacements or []]
    # data sets of third order have further displaced cells behind these
    found = {int(label.info["index"]): label for label in of_kinds(labels, ["displaced"])}
    frames = [found[index] for index in range(len(cells)) if index in found]
    name = str(frames[0].info.get("structure", "")) if frames else ""
    if not cells and not labels:
        raise MissingLabels(
            f"phonons {phonon.unitcell.formula}: the crystal was omitted and has no supercells"
        )
    if not cells:
        raise PhonsmithError(
            f"phonons {phonon.unitcell.formula}: no recorded cell is an undistorted supercell of "
            "the crystal with one displaced atom; the log of the supercells describes them. "
            "Give such cells and the crystal at their volume and in their orientation, or set "
            "`role: test`"
        )
    if len(frames) != len(cells):
        raise MissingLabels(
            f"phonons {name}: {len(frames)} labels for {len(cells)} displaced cells, but phonons "
            "need all of them; `snakemake failures` lists failed labels"
        )
    for number, (cell, frame) in enumerate(zip(cells, frames, strict=True)):
        if not _same_cell(cell, frame):
            raise PhonsmithError(
                f"phonons {name}: label {number} does not belong to displaced cell "
                f"{number}; labels and displacements are from different runs"
            )
    missing = ", ".join(filter(None, (coverage(one).missing for one in displaced)))
    if missing:
        raise PhonsmithError(
            f"phonons {name}: the displaced cells do not determine the force constants: {missing}; "
            "add displaced cells, add digits to a crystal file that lost its symmetry by rounding, "
            "or set `role: test`"
        )
    if born is not None:
        phonon.nac_params = read_born(born, phonon)
    forces = [frame.arrays[FORCES] for frame in frames]
    return with_forces_of_parts(phonon, parts, forces) if parts else with_forces(phonon, forces)


def with_masses(
    phonon: "Phonopy", masses: Mapping[str, float] | Sequence[float] | None
) -> "Phonopy":
    """Copy phonons with other masses (u): by element, or one per atom of the unit cell.

    The masses of other elements are kept.

    Raises
    ------
    PhonsmithError
        As :func:`phonsmith.structures.symmetry.own_masses`.
    """
    from phonsmith.structures.symmetry import own_masses
    from phonsmith.supercells.cells import to_ase

    if masses is None:
        return phonon
    crystal = to_ase(phonon.unitcell)
    crystal.set_masses(phonon.unitcell.masses)
    of_unit = own_masses(crystal, masses, crystal.get_chemical_formula()).get_masses()
    supercell = phonon.supercell
    units = [supercell.u2u_map[supercell.s2u_map[atom]] for atom in phonon.primitive.p2s_map]
    phonon.masses = of_unit[units]
    return phonon


def _same_cell(cell: Any, frame: "Atoms") -> bool:
    """Return whether atoms agree within 1e-5 Å, apart from lattice vectors."""
    if len(cell) != len(frame) or not np.array_equal(cell.numbers, frame.numbers):
        return False
    if not np.allclose(cell.cell, frame.cell.array, rtol=0, atol=1e-5):
        return False
    difference = cell.scaled_positions - frame.get_scaled_positions(wrap=False)
    difference -= np.rint(difference)
    return bool(np.abs(difference @ cell.cell).max() < 1e-5)


def potential_phonons(
    atoms: "Atoms",
    matrix: ArrayLike,
    displacement: Displaced,
    source: PotentialSource,
    *,
    nac: Any = None,
    processes: int = 1,
    primitive_matrix: ArrayLike | str = "auto",
    symprec: float = SYMPREC,
    parts: Sequence["Phonopy"] = (),
) -> "Phonopy":
    """Compute phonons of a potential for a crystal without relaxing it.

    Parameters
    ----------
    atoms
        The crystal (unit cell).
    matrix
        (3, 3) supercell matrix, lattice vectors in rows (phonopy's matrix has them in columns).
    displacement
        Length and signs of the displacements.
    source
        The potential.
    nac
        phonopy's parameters of the non-analytical correction, or None.
    processes
        Displaced cells computed at a time.
    primitive_matrix
        (3, 3) as phonopy's, or ``"auto"``.
    symprec
        Tolerance of symmetry in Å.
    parts
        Non-diagonal supercells of the primitive cell, used instead of the supercell if there are
        any; their matrices are used.

    Raises
    ------
    PhonsmithError
        The crystal lacks the translations of ``primitive_matrix``, or a force is not a number.
    """
    from phonsmith.potentials.calculators import evaluate
    from phonsmith.potentials.displaced import evaluate_displaced
    from phonsmith.supercells.cells import displaced_cells, to_ase

    phonon = _bare(atoms, np.asarray(matrix).T, primitive_matrix, symprec)
    if nac is not None:
        phonon.nac_params = nac
    if parts:
        alike, cells = _displaced_alike(phonon, parts, displacement)
        found = evaluate(cells, source, processes)
        return with_forces_of_parts(phonon, alike, [one.forces for one in found])
    cells = displaced_cells(phonon, displacement)
    evaluations = evaluate_displaced(
        to_ase(phonon.supercell),
        cells,
        source,
        processes,
        translations=phonon.primitive.atomic_permutations,
    )
    return with_forces(phonon, [evaluation.forces for evaluation in evaluations])


def _bare(
    atoms: "Atoms", matrix: ArrayLike, primitive_matrix: ArrayLike | str, symprec: float
) -> "Phonopy":
    """Build a crystal with supercell and primitive cell from phonopy's matrices."""
    from phonsmith.supercells.cells import make_phonopy

    try:
        return make_phonopy(atoms, np.asarray(matrix).T, primitive_matrix, symprec)
    except Exception as error:  # phonopy raises many kinds
        raise UnusablePotential(
            f"phonons of {atoms.get_chemical_formula()}: phonopy cannot build primitive cell and "
            f"supercell ({error}); symmetrise the crystal after its relaxation"
        ) from error


def phonons_like(
    template: "Phonopy",
    atoms: "Atoms",
    displacement: Displaced,
    forces_of: "Callable[[list[Atoms]], Sequence[ArrayLike]]",
    parts: Sequence["Phonopy"] = (),
) -> "Phonopy":
    """Compute phonons of a crystal in another cell, with the settings of a template.

    Parameters
    ----------
    template
        Phonons that provide supercell, primitive cell, masses and non-analytical correction.
    atoms
        The crystal (unit cell).
    displacement
        Length and signs of the displacements.
    forces_of
        Function that returns the forces (atoms, 3) in eV/Å of each displaced cell.
    parts
        Non-diagonal supercells of the template's primitive cell, if it has any; their matrices are
        used.

    Raises
    ------
    UnusablePotential
        The crystal lacks the translations of the primitive cell, or a force is not a number.
    """
    from phonsmith.supercells.cells import displaced_cells

    phonon = _bare(
        atoms, template.supercell_matrix, template.primitive_matrix, template.symmetry.tolerance
    )
    phonon.nac_params = template.nac_params
    phonon.masses = template.masses
    if not parts:
        return with_forces(phonon, forces_of(displaced_cells(phonon, displacement)))
    alike, cells = _displaced_alike(phonon, parts, displacement)
    return with_forces_of_parts(phonon, alike, forces_of(cells))


def _displaced_alike(
    phonon: "Phonopy", parts: Sequence["Phonopy"], displacement: Displaced
) -> "tuple[list[Phonopy], list[Atoms]]":
    """Non-diagonal supercells of a crystal with the matrices of others, and displaced cells."""
    from phonsmith.supercells.cells import displaced_cells
    from phonsmith.supercells.choice import part_of

    alike = [part_of(phonon, np.asarray(part.supercell_matrix).T) for part in parts]
    return alike, [cell for part in alike for cell in displaced_cells(part, displacement)]


def fit_phonons(
    atoms: "Atoms",
    reference: "Phonopy",
    displacement: Displaced,
    source: PotentialSource,
    processes: int = 1,
    *,
    parts: Sequence["Phonopy"] = (),
) -> "Phonopy":
    """Compute phonons of a potential with the settings of the reference.

    Parameters
    ----------
    atoms
        Unit cell with the atoms of the reference's unit cell, in their order; lattice and positions
        may differ.
    reference
        Phonons that provide supercell matrix, primitive matrix, masses and non-analytical
        correction.
    displacement
        Length and signs of the displacements.
    source
        The potential.
    processes
        Number of processes that share the displaced cells.
    parts
        Non-diagonal supercells of the reference, if it has any.

    Raises
    ------
    PhonsmithError
        ``atoms`` are not the atoms of the reference's unit cell.
    """
    if not np.array_equal(atoms.numbers, reference.unitcell.numbers):
        raise PhonsmithError("phonons: the atoms of the relaxed crystal differ from the reference")
    phonon = potential_phonons(
        atoms,
        reference.supercell_matrix.T,
        displacement,
        source,
        nac=reference.nac_params,
        processes=processes,
        primitive_matrix=reference.primitive_matrix,
        symprec=reference.symmetry.tolerance,
        parts=parts,
    )
    phonon.masses = reference.masses
    return phonon


def phonons_in_cell(
    cell: CellChoice,
    reference: "Phonopy",
    source: PotentialSource,
    displacement: Displaced,
    relaxation: Relaxation,
    *,
    fixed_volume: bool = False,
    processes: int = 1,
    parts: Sequence["Phonopy"] = (),
) -> tuple["Phonopy", "Verdict"]:
    """Compute phonons of a potential in the reference's cell or in its own relaxed cell.

    Parameters
    ----------
    cell
        Reference cell or relaxed cell.
    reference
        Phonons of the reference.
    source
        The potential.
    displacement
        Length and signs of the displacements.
    relaxation
        Settings of the relaxation.
    fixed_volume
        Keep the volume of the reference during relaxation.
    processes
        Number of processes that share the displaced cells.
    parts
        Non-diagonal supercells of the reference, if it has any.

    Returns
    -------
    Phonons and verdict. If relaxation fails or changes the crystal, or the potential gives no
    usable forces, the verdict has the reason and the phonons have no forces.
    """
    from phonsmith.potentials.calculators import kept_calculator
    from phonsmith.structures.relaxation import Load, crystal_as_given, relaxed_crystal
    from phonsmith.supercells.cells import to_ase

    atoms, verdict = crystal_as_given(to_ase(reference.unitcell), relaxation)
    if reference.force_constants is None:
        reason = "the reference has no phonons of this crystal, see the failed labels"
        return without_forces(atoms, reference), replace(verdict, reason=reason)
    try:
        if cell == "relaxed":
            load = Load(fixed_volume=fixed_volume)
            atoms, verdict = relaxed_crystal(atoms, kept_calculator(source), relaxation, load)
        if not verdict.reason:
            found = fit_phonons(atoms, reference, displacement, source, processes, parts=parts)
            return found, verdict
    except UnusablePotential as error:
        verdict = replace(verdict, reason=str(error))
    return without_forces(atoms, reference), verdict
