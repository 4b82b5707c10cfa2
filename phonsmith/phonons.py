"""Phonons of the reference and of fits: force constants, band structures, phonopy files.

The q points of a comparison are found once, on the reference crystal (:func:`band_path`), in
fractional coordinates of the reciprocal lattice of its primitive cell. Every fit is computed at
these fractional coordinates, with the reference's supercell matrix, primitive matrix, masses and
non-analytical correction (:func:`fit_phonons`), whatever its own relaxed cell looks like.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from phonsmith.band_paths import BandPath, band_path
from phonsmith.errors import MissingLabels, PhonsmithError, UnusablePotential
from phonsmith.extxyz import FORCES, of_kinds
from phonsmith.files import replacing
from phonsmith.phonopy_files import SYMPREC
from phonsmith.settings import CellChoice, Displaced, PotentialSource, Relaxation
from phonsmith.spectra import DOS_PITCH_THZ, DOS_SMEARING_THZ, Segment, Spectrum, spectrum

SAME_CELL_STRAIN = 1e-4
"""Files round lattices; a larger strain is another cell."""
LARGEST_STRAIN = 0.1
"""Strain of a recorded crystal against the reference's: more is another crystal."""
LARGEST_MOVE = 0.5
"""Å. Moves of its atoms, likewise."""

if TYPE_CHECKING:
    from ase import Atoms
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    from phonsmith.verdicts import Verdict

__all__ = [
    "DOS_PITCH_THZ",
    "DOS_SMEARING_THZ",
    "BandPath",
    "Segment",
    "Spectrum",
    "band_path",
    "coverage",
    "fit_phonons",
    "load_displacements",
    "load_phonons",
    "phonons_in_cell",
    "potential_phonons",
    "recorded_phonons",
    "reference_phonons",
    "save_phonons",
    "spectrum",
    "with_masses",
]


def reference_phonons(
    phonon: "Phonopy", labels: Sequence["Atoms"], born: str | Path | None = None
) -> "Phonopy":
    """Phonons from the labels of the displaced cells.

    Parameters
    ----------
    phonon
        With displacements; it receives forces and force constants, and is returned.
    labels
        Labelled frames; those of kind ``displaced`` with the indices of the displacements are used.
    born
        phonopy BORN file for the non-analytical correction. A correction that ``phonon`` already
        has stays where no file is given.

    Raises
    ------
    MissingLabels
        A displaced cell has no label, or the crystal was left out.
    PhonsmithError
        There are no displaced cells, or force constants do not follow from them (:func:`coverage`);
        a displaced cell differs from its label; or the BORN file cannot be read.
    """
    from phonsmith.labels.born import read_born

    if phonon.force_constants is not None and phonon.dataset is None:  # recorded as such
        if born is not None:
            phonon.nac_params = read_born(born, phonon)
        return phonon
    cells = phonon.supercells_with_displacements or []
    # data sets of third order have further displaced cells behind these
    found = {int(one.info["index"]): one for one in of_kinds(labels, ["displaced"])}
    frames = [found[index] for index in range(len(cells)) if index in found]
    name = str(frames[0].info.get("structure", "")) if frames else ""
    if not cells and not labels:
        raise MissingLabels(
            f"phonons {phonon.unitcell.formula}: the crystal is left out, it has no supercells"
        )
    if not cells:
        raise PhonsmithError(
            f"phonons {phonon.unitcell.formula}: no recorded cell is an undistorted supercell of "
            "the crystal with one displaced atom; the log of the supercells says what they are. "
            "Give such cells and the crystal at their volume and in their orientation, or set "
            "`role: test`"
        )
    if len(frames) != len(cells):
        raise MissingLabels(
            f"phonons {name}: {len(frames)} labels for {len(cells)} displaced cells; phonons need "
            "them all, see the record of failed labels"
        )
    for number, (cell, frame) in enumerate(zip(cells, frames, strict=True)):
        if not _same_cell(cell, frame):
            raise PhonsmithError(
                f"phonons {name}: label {number} is not of displaced cell {number}; "
                "labels and displacements come from different runs"
            )
    missing = coverage(phonon).missing
    if missing:
        raise PhonsmithError(
            f"phonons {name}: the displaced cells do not suffice for force constants: {missing}; "
            "add displaced cells (or digits to a rounded crystal file, which has lost its "
            "symmetry), or set `role: test`"
        )
    if born is not None:
        phonon.nac_params = read_born(born, phonon)
    return _with_forces(phonon, [frame.arrays[FORCES] for frame in frames])


def with_masses(
    phonon: "Phonopy", masses: Mapping[str, float] | Sequence[float] | None
) -> "Phonopy":
    """The same phonons with other masses (u): by element, or one for each atom of the unit cell.

    Elements that are not named keep the mass they have.

    Raises
    ------
    PhonsmithError
        As :func:`phonsmith.structures.own_masses`.
    """
    from phonsmith.structures import own_masses
    from phonsmith.supercells import to_ase

    if masses is None:
        return phonon
    crystal = to_ase(phonon.unitcell)
    crystal.set_masses(phonon.unitcell.masses)
    of_unit = own_masses(crystal, masses, crystal.get_chemical_formula()).get_masses()
    supercell = phonon.supercell
    units = [supercell.u2u_map[supercell.s2u_map[atom]] for atom in phonon.primitive.p2s_map]
    phonon.masses = of_unit[units]
    return phonon


def _same_cell(cell: Any, frame: "Atoms", tolerance: float = 1e-5) -> bool:
    """Same atoms at the same places within ``tolerance`` Å, whole lattice vectors aside."""
    if len(cell) != len(frame) or not np.array_equal(cell.numbers, frame.numbers):
        return False
    if not np.allclose(cell.cell, frame.cell.array, rtol=0, atol=tolerance):
        return False
    difference = cell.scaled_positions - frame.get_scaled_positions(wrap=False)
    difference -= np.rint(difference)
    return bool(np.abs(difference @ cell.cell).max() < tolerance)


@dataclass(frozen=True)
class Coverage:
    """Whether force constants follow from displacements of single atoms, by symmetry.

    ``missing`` says what lacks, and is empty where nothing does. ``needless`` are displaced atoms
    of the supercell whose own displacements do not suffice, beside equivalent ones whose do.
    """

    missing: str
    needless: frozenset[int]


def coverage(phonon: "Phonopy") -> Coverage:
    """What phonopy does not check of a data set with ``first_atoms``; any other one passes.

    The displacements of one atom at least of each kind (orbit) have to span all three directions
    together with their images under the symmetry of the atom's site.
    """
    moves: dict[int, list[Any]] = {}
    for one in (phonon.dataset or {}).get("first_atoms", []):
        moves.setdefault(int(one["number"]), []).append(one["displacement"])
    if not moves:
        return Coverage("", frozenset())
    orbits = phonon.symmetry.get_map_atoms()
    spanned = {atom: _spanned_directions(phonon, atom, some) for atom, some in moves.items()}
    best = {int(orbit): 0 for orbit in orbits}
    for atom, number in spanned.items():
        best[orbits[atom]] = max(best[orbits[atom]], number)
    symbols = phonon.supercell.symbols
    missing = [
        f"{symbols[orbit]} (atom {orbit + 1} of the supercell, or one equivalent to it) is "
        f"displaced along {number} of 3 independent directions"
        for orbit, number in best.items()
        if number < 3
    ]
    needless = [atom for atom, number in spanned.items() if number < best[orbits[atom]] == 3]
    more = f" (and {len(missing) - 2} atoms more)" if len(missing) > 2 else ""
    return Coverage(", ".join(missing[:2]) + more, frozenset(needless))


def _spanned_directions(phonon: "Phonopy", atom: int, moves: Sequence[ArrayLike]) -> int:
    lattice = phonon.supercell.cell.T
    rotations = lattice @ phonon.symmetry.get_site_symmetry(atom) @ np.linalg.inv(lattice)
    units = [np.asarray(one) / np.linalg.norm(one) for one in moves]
    images = np.array([rotations @ one for one in units]).reshape(-1, 3)
    sizes = np.linalg.svd(images, compute_uv=False)
    return int((sizes > 0.05 * sizes[0]).sum())


def _with_forces(phonon: "Phonopy", forces: Sequence[ArrayLike]) -> "Phonopy":
    """Force constants as `phonopy-load` makes them: from symmetry, then sum rules imposed."""
    if not all(np.isfinite(one).all() for one in forces):
        raise UnusablePotential(
            f"phonons of {phonon.unitcell.formula}: a force on a displaced cell is not a number; "
            "the potential is not usable here"
        )
    phonon.forces = np.array(forces, dtype="double")
    # random displacements (no `first_atoms`) leave the traditional way underdetermined
    symfc = "symfc" if "first_atoms" not in phonon.dataset else None
    phonon.produce_force_constants(
        calculate_full_force_constants=False, fc_calculator=symfc, show_drift=False
    )
    phonon.symmetrize_force_constants(show_drift=False)
    return phonon


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
) -> "Phonopy":
    """Phonons of a potential for a crystal as it is.

    Parameters
    ----------
    atoms
        The crystal (unit cell).
    matrix
        (3, 3) supercell matrix, lattice vectors in rows (phonopy's own has them in columns).
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

    Raises
    ------
    PhonsmithError
        The crystal lacks the translations of ``primitive_matrix``, or a force is not a number.
    """
    from phonsmith.calculators import evaluate
    from phonsmith.supercells import displaced_cells

    phonon = _bare(atoms, np.asarray(matrix).T, primitive_matrix, symprec)
    cells = displaced_cells(phonon, displacement)
    if nac is not None:
        phonon.nac_params = nac
    return _with_forces(phonon, [one.forces for one in evaluate(cells, source, processes)])


def _bare(
    atoms: "Atoms", matrix: ArrayLike, primitive_matrix: ArrayLike | str, symprec: float
) -> "Phonopy":
    """A crystal with supercell and primitive cell, as phonopy has their matrices."""
    from phonsmith.supercells import make_phonopy

    try:
        return make_phonopy(atoms, np.asarray(matrix).T, primitive_matrix, symprec)
    except Exception as error:  # phonopy raises many kinds
        raise UnusablePotential(
            f"phonons of {atoms.get_chemical_formula()}: phonopy cannot make primitive cell and "
            f"supercell ({error}); was the crystal symmetrised after its relaxation?"
        ) from error


def phonons_like(
    template: "Phonopy",
    atoms: "Atoms",
    displacement: Displaced,
    forces_of: "Callable[[list[Atoms]], Sequence[ArrayLike]]",
) -> "Phonopy":
    """Phonons of a crystal in another cell, under the conditions of others.

    Supercell, primitive cell, masses and non-analytical correction are those of ``template``;
    ``forces_of`` gives the forces (atoms, 3; eV/Å) of displaced cells.

    Raises
    ------
    UnusablePotential
        The crystal lacks the translations of the primitive cell, or a force is not a number.
    """
    from phonsmith.supercells import displaced_cells

    phonon = _bare(
        atoms, template.supercell_matrix, template.primitive_matrix, template.symmetry.tolerance
    )
    cells = displaced_cells(phonon, displacement)
    phonon.nac_params = template.nac_params
    phonon.masses = template.masses
    return _with_forces(phonon, forces_of(cells))


def fit_phonons(
    atoms: "Atoms",
    reference: "Phonopy",
    displacement: Displaced,
    source: PotentialSource,
    processes: int = 1,
) -> "Phonopy":
    """Phonons of a potential under the conditions of the reference.

    Supercell matrix, primitive matrix, masses and non-analytical correction are the reference's;
    only the cell and the positions in ``atoms`` (same atoms in the same order) may differ.

    Raises
    ------
    PhonsmithError
        ``atoms`` are not the atoms of the reference's unit cell.
    """
    if not np.array_equal(atoms.numbers, reference.unitcell.numbers):
        raise PhonsmithError("phonons: the relaxed crystal has other atoms than the reference")
    phonon = potential_phonons(
        atoms,
        reference.supercell_matrix.T,
        displacement,
        source,
        nac=reference.nac_params,
        processes=processes,
        primitive_matrix=reference.primitive_matrix,
        symprec=reference.symmetry.tolerance,
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
) -> tuple["Phonopy", "Verdict"]:
    """Phonons of a potential in the reference's cell or in the one it relaxes to.

    ``fixed_volume`` holds the volume of the reference while it relaxes.

    Where relaxation fails or makes another crystal, or the potential gives no usable forces, the
    verdict has the reason in words and the phonons come without forces: nothing to compare.
    """
    from phonsmith.calculators import make_calculator
    from phonsmith.relaxation import Load, crystal_as_given, relaxed_crystal
    from phonsmith.supercells import to_ase

    atoms, verdict = crystal_as_given(to_ase(reference.unitcell), relaxation)
    if reference.force_constants is None:
        reason = "the reference has no phonons of this crystal, see the failed labels"
        return _without_forces(atoms, reference), replace(verdict, reason=reason)
    try:
        if cell == "relaxed":
            load = Load(fixed_volume=fixed_volume)
            atoms, verdict = relaxed_crystal(atoms, make_calculator(source), relaxation, load)
        if not verdict.reason:
            return fit_phonons(atoms, reference, displacement, source, processes), verdict
    except UnusablePotential as error:
        verdict = replace(verdict, reason=str(error))
    return _without_forces(atoms, reference), verdict


def recorded_phonons(
    cell: CellChoice, reference: "Phonopy", path: Path, relaxation: Relaxation
) -> tuple["Phonopy", "Verdict"]:
    """Phonons of recorded forces of a potential, to be compared with the reference's.

    Masses and non-analytical correction are the reference's. The cell is the one that was recorded:
    for ``cell`` "reference" it has to be the reference's own. Where there is nothing to compare,
    the verdict has the reason in words and the phonons come without forces.

    Raises
    ------
    PhonsmithError
        The recorded crystal is another one, or in another setting.
    """
    from phonsmith.relaxation import RelaxationResult, compare, crystal_as_given
    from phonsmith.supercells import to_ase

    before = to_ase(reference.unitcell)
    _, verdict = crystal_as_given(before, relaxation)
    if not path.exists():
        reason = "no forces of this crystal were recorded"
        return _without_forces(before, reference), replace(verdict, reason=reason)
    if reference.force_constants is None:
        reason = "the reference has no phonons of this crystal, see the failed labels"
        return _without_forces(before, reference), replace(verdict, reason=reason)
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
            f"{verdict.volume_change_percent:+.2f} %); `phonons.cells: [relaxed]` compares them"
        )
        verdict = replace(verdict, reason=reason)
    if verdict.reason:
        return _without_forces(before, reference), verdict
    if reference.nac_params is not None:
        born = np.asarray(reference.nac_params["born"])[places]
        phonon.nac_params = {**reference.nac_params, "born": born}
    else:
        phonon.nac_params = None
    phonon.masses = np.asarray(reference.masses)[places]
    return phonon, verdict


def _with_primitive(phonon: "Phonopy", matrix: ArrayLike) -> "Phonopy":
    """The same phonons with another choice of the primitive cell."""
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

    Wave vectors in fractional coordinates then mean the same in both crystals.
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
        f"{path.stem}: the recorded forces are of {other.formula} in another setting than the "
        f"reference's {mine.formula} (lattice vectors, orientation or sites of the atoms); give a "
        "file with the reference's unit cell"
    )


def _without_forces(atoms: "Atoms", reference: "Phonopy") -> "Phonopy":
    from phonopy import Phonopy

    from phonsmith.supercells import to_phonopy

    return Phonopy(to_phonopy(atoms), reference.supercell_matrix, primitive_matrix="P")


def save_phonons(path: str | Path, phonon: "Phonopy") -> None:
    """Write as phonopy YAML with displacements, forces and non-analytical correction.

    Force constants that do not follow from forces in it are written too. `phonopy-load` opens it.
    First to a temporary file beside ``path``, then renamed.
    """
    constants = phonon.force_constants is not None and phonon.dataset is None
    with replacing(path) as temporary:
        phonon.save(temporary, settings={"force_constants": constants})


def load_phonons(path: str | Path) -> "Phonopy":
    """Read a phonopy YAML; with forces, force constants as in :func:`reference_phonons`.

    Raises
    ------
    PhonsmithError
        The file is missing or is not phonopy YAML.
    """
    from phonopy.structure.dataset import forces_in_dataset

    phonon = load_displacements(path)
    if forces_in_dataset(phonon.dataset):
        return _with_forces(phonon, phonon.forces)
    return phonon


def load_displacements(path: str | Path) -> "Phonopy":
    """Read a phonopy YAML with displacements, and forces if it has them.

    BORN and FORCE_SETS files that happen to lie in the working directory are not read, and nothing
    in the file is run.

    Raises
    ------
    PhonsmithError
        The file is missing or is not phonopy YAML.
    """
    from phonsmith.phonopy_files import read_phonopy_file

    file = read_phonopy_file(path)
    phonon = file.phonopy()
    if file.data.dataset is not None:
        phonon.dataset = file.converted(file.data.dataset)
    if file.data.force_constants is not None:
        factor = file.units.force_to_eVperA / file.units.distance_to_A
        phonon.force_constants = file.data.force_constants * factor
    return phonon
