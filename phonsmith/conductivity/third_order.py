"""Third-order force constants by phono3py: which cells are labelled, and what follows from them.

Everything is computed under the conditions of the harmonic phonons of this method
(:mod:`phonsmith.phonons`): same crystal, primitive cell, masses and non-analytical correction.
Second-order force constants are taken from there, since they know a larger supercell. Third-order
ones come from a separate supercell, in one of two ways:

displacements
    One atom displaced, or two, as many cells as symmetry requires (A. Togo, L. Chaput, I. Tanaka,
    Phys. Rev. B 91, 094306 (2015)).
fit
    Few cells with all atoms displaced in random directions, and a fit by symfc (A. Seko, A. Togo,
    Phys. Rev. B 110, 214302 (2024)).
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from phonsmith.conductivity.settings import MeshOf, ThirdOrder
from phonsmith.files.errors import MissingLabels, PhonsmithError, UnusablePotential
from phonsmith.files.extxyz import FORCES
from phonsmith.files.reading_writing import replacing
from phonsmith.supercells.settings import Supercells

if TYPE_CHECKING:
    from ase import Atoms
    from phono3py import Phono3py
    from phonopy import Phonopy

SAFETY = 4
"""Equations for each unknown in a fit, phono3py's default."""


def new_phono3py(phonon: "Phonopy", matrix: Any, mesh_of: MeshOf = "primitive") -> "Phono3py":
    """Create phono3py for the crystal of harmonic phonons, without displacements.

    Parameters
    ----------
    phonon
        Harmonic phonons.
    matrix
        (3, 3) matrix of the third-order supercell in phonopy's convention (lattice vectors in
        columns).
    mesh_of
        With ``unit_folded``, the unit cell replaces the primitive cell.
    """
    from phono3py import Phono3py

    third = Phono3py(
        phonon.unitcell,
        supercell_matrix=np.asarray(matrix),
        primitive_matrix="P" if mesh_of == "unit_folded" else phonon.primitive_matrix,
        phonon_supercell_matrix=phonon.supercell_matrix,
        symprec=phonon.symmetry.tolerance,
    )
    if phonon.nac_params is not None:
        third.nac_params = _nac(phonon, third)
    return third


def _nac(phonon: "Phonopy", third: "Phono3py") -> dict[str, Any]:
    """The correction's parameters, with Born charges for the atoms of phono3py's primitive cell."""
    primitive, supercell = phonon.primitive, third.supercell
    of_unit = [primitive.p2p_map[primitive.s2p_map[i]] for i in phonon.supercell.u2s_map]
    atoms = [supercell.u2u_map[supercell.s2u_map[i]] for i in third.primitive.p2s_map]
    born = np.asarray(phonon.nac_params["born"])
    return {**phonon.nac_params, "born": born[np.array(of_unit)[atoms]]}


# --- cells -----------------------------------------------------------------------------------


def supercell_of(phonon: "Phonopy", settings: ThirdOrder) -> Any:
    """Matrix of the third-order supercell within the limits of size; phonopy's convention."""
    from phonsmith.supercells.cells import supercell_matrix, to_ase

    limits = Supercells(
        min_length_angstrom=settings.min_length_angstrom,
        min_atoms=settings.min_atoms,
        max_atoms=settings.max_atoms,
    )
    try:
        return supercell_matrix(to_ase(phonon.unitcell), limits).T
    except PhonsmithError as error:
        text = str(error).replace("supercells.", "conductivity.third_order.")
        raise PhonsmithError(f"third-order force constants: {text}") from None


def displaced(
    phonon: "Phonopy",
    settings: ThirdOrder,
    seed: int,
    mesh_of: MeshOf = "primitive",
) -> "Phono3py":
    """Create phono3py with the displacements that determine third-order force constants.

    Parameters
    ----------
    phonon
        Harmonic phonons.
    settings
        Way, displacement, cutoff and supercell of third order.
    seed
        Seed of the random directions of a fit.
    mesh_of
        Cell to which meshes refer, see :func:`new_phono3py`.

    Raises
    ------
    PhonsmithError
        The requested random cells give too few equations.
    """
    third = new_phono3py(phonon, supercell_of(phonon, settings), mesh_of)
    if settings.way == "displacements":
        third.generate_displacements(
            distance=settings.distance_angstrom,
            cutoff_pair_distance=settings.pair_cutoff_angstrom,
        )
    else:
        third.generate_displacements(
            distance=settings.distance_angstrom,
            number_of_snapshots=_random_cells(third, settings),
            random_seed=seed,
        )
    return third


def cells_of(third: "Phono3py") -> list["Atoms"]:
    """Return the displaced cells to label, in phono3py's order, without pairs beyond the cutoff.

    Each has its place in that order as ``info["index"]``.
    """
    from phonsmith.supercells.cells import to_ase

    cells = []
    for index, cell in enumerate(third.supercells_with_displacements):
        if cell is not None:
            frame = to_ase(cell)
            frame.info["index"] = index
            cells.append(frame)
    return cells


def cells_to_come(
    crystal: "Atoms",
    settings: ThirdOrder,
    seed: int,
    mesh_of: MeshOf = "primitive",
) -> tuple["Atoms | None", int | None, str]:
    """Estimate the cells to label from the crystal alone, for a plan without harmonic phonons.

    Parameters
    ----------
    crystal
        Unit cell.
    settings
        Way, displacement, cutoff and supercell of third order.
    seed
        Seed of the random directions of a fit.
    mesh_of
        Cell to which meshes refer, see :func:`new_phono3py`.

    Returns
    -------
    The last cell, which has no symmetry left if two atoms are displaced; the number of cells; and
    the reason if there are none (cell and number are None).
    """
    from phonsmith.supercells.cells import make_phonopy

    try:
        phonon = make_phonopy(crystal, np.eye(3, dtype=int))
        cells = cells_of(displaced(phonon, settings, seed, mesh_of))
    except PhonsmithError as error:
        return None, None, str(error)
    return cells[-1], len(cells), ""


def unknowns_of_fit(third: "Phono3py", settings: ThirdOrder) -> int:
    """Independent force constants of second and third order, which are fitted together."""
    from phonopy.interface.symfc import SymfcFCSolver

    cutoff = settings.pair_cutoff_angstrom
    options = None if cutoff is None else {"cutoff": {3: cutoff}}
    solver = SymfcFCSolver(third.supercell, symmetry=third.symmetry, options=options)
    return sum(solver.estimate_basis_size(orders=[2, 3]).values())


def cells_of_fit(third: "Phono3py", settings: ThirdOrder) -> int:
    """Random cells that give :data:`SAFETY` equations for each unknown."""
    equations = 3 * len(third.supercell)
    return math.ceil(SAFETY * unknowns_of_fit(third, settings) / equations)


def _random_cells(third: "Phono3py", settings: ThirdOrder) -> int:
    """Requested number, or :func:`cells_of_fit`; enough even if some cells fail."""
    by_default, asked = cells_of_fit(third, settings), settings.random_cells
    least = math.ceil(by_default / (SAFETY - 1))
    if asked is not None and asked < least:
        raise PhonsmithError(
            f"conductivity.third_order.random_cells is {asked}: a cell of {len(third.supercell)} "
            f"atoms requires at least {least}; raise it, set a (smaller) pair_cutoff_angstrom, or "
            f"omit random_cells for the default of {by_default}"
        )
    return asked or by_default


def memory_of_fit_mb(third: "Phono3py", settings: ThirdOrder) -> int:
    """Memory (MB) of a fit by symfc: its own estimate and the memory of Python."""
    from phonopy.interface.symfc import estimate_symfc_memory_usage

    gigabytes = estimate_symfc_memory_usage(
        third.supercell, third.symmetry, 3, cutoff=settings.pair_cutoff_angstrom
    )
    return 600 + int(1000 * sum(gigabytes))


def labels_of_each_way(
    phonon: "Phonopy", third: "Phono3py", settings: ThirdOrder, *, recorded: bool
) -> dict[str, int]:
    """Count the labels that each way needs for this supercell and cutoff.

    Cells that the campaign created are counted, not generated again.

    Parameters
    ----------
    phonon
        Harmonic phonons.
    third
        phono3py with displacements.
    settings
        Displacement, cutoff and number of random cells.
    recorded
        Whether the displacements are those of recorded data.

    Returns
    -------
    Number of labels by way, ``displacements`` and ``fit``.
    """
    made = None if recorded else _way_of(third)
    if made == "displacements":
        pairs = third
    else:
        pairs = new_phono3py(phonon, third.supercell_matrix)
        pairs.generate_displacements(
            distance=settings.distance_angstrom, cutoff_pair_distance=settings.pair_cutoff_angstrom
        )
    if made == "fit":
        fit = len(third.dataset["displacements"])
    else:
        fit = settings.random_cells or cells_of_fit(third, settings)
    return {"displacements": _displaced_cells(pairs.dataset), "fit": fit}


def _displaced_cells(dataset: Mapping[str, Any]) -> int:
    """Cells with one or two displaced atoms, without pairs beyond the cutoff."""
    firsts = dataset["first_atoms"]
    seconds = [pair for first in firsts for pair in first["second_atoms"]]
    return len(firsts) + sum(bool(pair.get("included", True)) for pair in seconds)


def cells_to_label(
    structure: str,
    phonon: "Phonopy",
    settings: ThirdOrder,
    seed: int,
    *,
    mesh_of: MeshOf = "primitive",
    recorded: "Phono3py | Phonopy | None" = None,
    reason: str = "",
    memory_mb: int | None = None,
) -> tuple["Phono3py", list["Atoms"], dict[str, Any]]:
    """Create the displacements and the cells to label.

    Parameters
    ----------
    structure
        Id of the structure, for the info of the cells.
    phonon
        Harmonic phonons of the method for the crystal.
    settings
        Way, displacement, cutoff and supercell of third order.
    seed
        Seed of the random directions of a fit.
    mesh_of
        Cell to which meshes refer, see :func:`new_phono3py`.
    recorded
        phono3py or phonopy with displacements and forces, of recorded data or of a fit; no cell is
        labelled then.
    reason
        Reason why nothing is to be computed, if so.
    memory_mb
        Memory of the job of the force constants; None for any amount.

    Returns
    -------
    phono3py with displacements, the cells, and a record of them as plain data.

    Raises
    ------
    PhonsmithError
        A fit would need more memory.
    """
    if not reason and phonon.force_constants is None:
        reason = "this crystal has no harmonic phonons"
    way, cells = settings.way, []
    ways: dict[str, int | None] = {"displacements": None, "fit": None}
    if reason:
        third = new_phono3py(phonon, np.eye(3, dtype=int), mesh_of)
    else:
        if recorded is None:
            third = displaced(phonon, settings, seed, mesh_of)
        else:
            third = new_phono3py(phonon, recorded.supercell_matrix, mesh_of)
            third.dataset = recorded.dataset
        way, cells = _way_of(third), cells_of(third)
        if way == "fit" and memory_mb is not None:
            _check_memory(structure, third, settings, memory_mb)
        ways = {**labels_of_each_way(phonon, third, settings, recorded=recorded is not None)}
    record = {
        "structure": structure,
        "way": way,
        "recorded": recorded is not None,
        "supercell_atoms": len(third.supercell),
        "labels": len(cells),
        "labels_displacements": ways["displacements"],
        "labels_fit": ways["fit"],
        "reason": reason,
    }
    for cell in cells:
        cell.info.update(structure=structure, kind="displaced", generation=0, seed=-1)
    return third, [] if recorded is not None else cells, record


def _check_memory(structure: str, third: "Phono3py", settings: ThirdOrder, memory_mb: int) -> None:
    needed = memory_of_fit_mb(third, settings)
    if needed > memory_mb:
        raise PhonsmithError(
            f"{structure}: the fit of third-order force constants in a cell of "
            f"{len(third.supercell)} atoms needs about {needed} MB, more than "
            f"conductivity.memory_mb = {memory_mb}; raise it, set a (smaller) "
            "conductivity.third_order.pair_cutoff_angstrom, or lower "
            "conductivity.third_order.max_atoms"
        )


def _way_of(third: "Phono3py") -> Literal["displacements", "fit"]:
    return "displacements" if "first_atoms" in third.dataset else "fit"


def save_displacements(path: str | Path, third: "Phono3py") -> None:
    """Write phono3py's YAML with displacements, and forces where there are any."""
    with replacing(path) as temporary:
        third.save(temporary)


# --- force constants ---------------------------------------------------------------------------


def with_forces(third: "Phono3py", labels: Sequence["Atoms"]) -> "Phono3py":
    """phono3py with the forces of labelled cells (``info["index"]``) in its data set.

    Pairs beyond the cutoff have no cell and get no forces. A fit does without cells that failed,
    as long as the others suffice.

    Raises
    ------
    MissingLabels
        A displaced cell has no label, or too few for a fit have one.
    UnusablePotential
        A force is not a number.
    """
    found = {int(one.info["index"]): one.arrays[FORCES] for one in labels}
    if not all(np.isfinite(one).all() for one in found.values()):
        raise UnusablePotential("a force on a displaced cell is not a number")
    wanted = [cell.info["index"] for cell in cells_of(third)]
    missing = [index for index in wanted if index not in found]
    dataset = third.dataset
    if "first_atoms" not in dataset:
        if len(found) * SAFETY < len(wanted) * (SAFETY - 1):
            raise MissingLabels(f"{len(missing)} of {len(wanted)} displaced cells have no label")
        moves = np.array([dataset["displacements"][index] for index in sorted(found)])
        forces = np.array([found[index] for index in sorted(found)])
        third.dataset = {"displacements": moves, "forces": forces}
        return third
    if missing:
        raise MissingLabels(f"{len(missing)} of {len(wanted)} displaced cells have no label")
    pairs = [pair for first in dataset["first_atoms"] for pair in first["second_atoms"]]
    nothing = np.zeros((len(third.supercell), 3))
    for index, one in enumerate([*dataset["first_atoms"], *pairs]):
        one["forces"] = found.get(index, nothing)
    return third


def produce(third: "Phono3py", phonon: "Phonopy", settings: ThirdOrder) -> "Phono3py":
    """Compute third-order force constants from the forces and copy the second-order ones.

    Permutation symmetry and sum rules are imposed, as phono3py does by default.

    Parameters
    ----------
    third
        phono3py with forces; changed in place.
    phonon
        Harmonic phonons with force constants.
    settings
        Cutoff of the pairs (Å).

    Returns
    -------
    ``third``.
    """
    from phonopy.harmonic.force_constants import compact_fc_to_full_fc

    random = "first_atoms" not in third.dataset
    cutoff = settings.pair_cutoff_angstrom
    third.produce_fc3(
        fc_calculator="symfc" if random else None,
        fc_calculator_options=f"cutoff={cutoff:g}" if random and cutoff else None,
    )
    if not random:
        third.symmetrize_fc3()
    third.fc2 = compact_fc_to_full_fc(phonon.primitive, phonon.force_constants)
    return third


def save_third_order(third: "Phono3py", yaml: str | Path, fc3: str | Path, fc2: str | Path) -> None:
    """Write the files that phono3py and :func:`load_third_order` read.

    Parameters
    ----------
    third
        phono3py with force constants.
    yaml
        YAML file for displacements and forces.
    fc3
        HDF5 file for third-order force constants.
    fc2
        HDF5 file for second-order force constants.
    """
    from phono3py.file_IO import write_fc2_to_hdf5, write_fc3_to_hdf5

    save_displacements(yaml, third)
    with replacing(fc3) as temporary:
        write_fc3_to_hdf5(
            third.fc3,
            fc3_nonzero_indices=third.fc3_nonzero_indices,
            filename=str(temporary),
            p2s_map=third.primitive.p2s_map,
            fc3_cutoff=third.fc3_cutoff,
        )
    with replacing(fc2) as temporary:
        write_fc2_to_hdf5(third.fc2, filename=str(temporary))


def load_displacements(path: str | Path) -> "Phono3py":
    """phono3py from its YAML: displacements, forces where it has them, no force constants."""
    from phonsmith.files.phonopy_files import read_phonopy_file

    file = read_phonopy_file(path, third_order=True)
    third = file.phono3py()
    if file.data.dataset is not None:
        third.dataset = file.converted(file.data.dataset)
    if file.data.phonon_dataset is not None:
        third.phonon_dataset = file.converted(file.data.phonon_dataset)
    return third


def load_third_order(yaml: str | Path, fc3: str | Path, fc2: str | Path) -> "Phono3py":
    """Load phono3py with force constants, as written by :func:`save_third_order`.

    Parameters
    ----------
    yaml
        YAML file with displacements and forces.
    fc3
        HDF5 file with third-order force constants.
    fc2
        HDF5 file with second-order force constants.
    """
    from phono3py.file_IO import read_fc2_from_hdf5, read_fc3_from_hdf5

    third = load_displacements(yaml)
    found = read_fc3_from_hdf5(fc3, p2s_map=third.primitive.p2s_map)
    if isinstance(found, dict):
        third.fc3_nonzero_indices = found["fc3_nonzero_indices"]
        found = found["fc3"]
    third.fc3 = found
    third.fc2 = read_fc2_from_hdf5(fc2)
    return third
