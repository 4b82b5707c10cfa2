"""phonopy files of phonons."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from phonsmith.files.errors import PhonsmithError, UnusablePotential
from phonsmith.files.reading_writing import replacing

if TYPE_CHECKING:
    from ase import Atoms
    from phonopy import Phonopy

PARTS = "non_diagonal_supercells"
"""Section of a phonopy YAML: supercells whose dynamical matrices gave the force constants."""


def with_forces(phonon: "Phonopy", forces: Sequence[ArrayLike]) -> "Phonopy":
    """Force constants as `phonopy-load` makes them: from symmetry, then sum rules imposed."""
    if not all(np.isfinite(one).all() for one in forces):
        raise UnusablePotential(
            f"phonons of {phonon.unitcell.formula}: a force on a displaced cell is not a number; "
            "the potential is unusable for this crystal"
        )
    phonon.forces = np.array(forces, dtype="double")
    # random displacements (no `first_atoms`) leave the traditional way underdetermined
    symfc = "symfc" if "first_atoms" not in phonon.dataset else None
    phonon.produce_force_constants(
        calculate_full_force_constants=False, fc_calculator=symfc, show_drift=False
    )
    phonon.symmetrize_force_constants(show_drift=False)
    return phonon


def without_forces(atoms: "Atoms", reference: "Phonopy") -> "Phonopy":
    """Return the displaced cells of a crystal without forces: phonons that do not exist."""
    from phonopy import Phonopy

    from phonsmith.supercells.cells import to_phonopy

    return Phonopy(to_phonopy(atoms), reference.supercell_matrix, primitive_matrix="P")


def save_phonons(path: str | Path, phonon: "Phonopy", parts: Sequence["Phonopy"] = ()) -> None:
    """Write as phonopy YAML with displacements, forces and non-analytical correction.

    Force constants that do not follow from forces in it are written too. `phonopy-load` opens it
    and ignores the section ``non_diagonal_supercells``. First to a temporary file beside ``path``,
    then renamed.

    Parameters
    ----------
    path
        File to write.
    phonon
        The phonons.
    parts
        Non-diagonal supercells of its primitive cell, with displacements and forces if known.
    """
    constants = phonon.force_constants is not None and phonon.dataset is None
    with replacing(path) as temporary:
        phonon.save(temporary, settings={"force_constants": constants})
        if parts:
            with Path(temporary).open("a", encoding="utf-8") as stream:
                stream.write("\n".join(["", f"{PARTS}:", *map(_part_as_yaml, parts), ""]))


def _part_as_yaml(part: "Phonopy") -> str:
    """A supercell: its matrix (rows) and phonopy's displacements, atoms counted from 1."""
    lines = [
        f"- supercell_matrix: {np.asarray(part.supercell_matrix).T.tolist()}",
        "  displacements:",
    ]
    for one in part.dataset["first_atoms"]:
        lines.append(f"  - atom: {one['number'] + 1}")
        lines.append(f"    displacement: {np.asarray(one['displacement']).tolist()}")
        if "forces" in one:
            lines.append("    forces:")
            lines += [f"    - {force}" for force in np.asarray(one["forces"]).tolist()]
    return "\n".join(lines)


def load_parts(path: str | Path, phonon: "Phonopy") -> "list[Phonopy]":
    """Read the non-diagonal supercells of phonons, with displacements and forces if it has them.

    Parameters
    ----------
    path
        phonopy YAML written by :func:`save_phonons`.
    phonon
        The phonons in it, which provide the primitive cell.

    Returns
    -------
    None if the phonons have a single supercell.

    Raises
    ------
    PhonsmithError
        The file is missing, or its section of non-diagonal supercells is damaged.
    """
    from phonsmith.files.yaml_files import read_yaml
    from phonsmith.supercells.choice import part_of

    found = read_yaml(Path(path))
    parts = []
    try:
        for entry in found.get(PARTS, []):
            part = part_of(phonon, np.array(entry["supercell_matrix"], dtype=np.int64))
            first_atoms = [_displacement(one) for one in entry["displacements"]]
            part.dataset = {"natom": len(part.supercell), "first_atoms": first_atoms}
            parts.append(part)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise PhonsmithError(
            f"{path}: {PARTS} cannot be read ({error}); delete the file and restart Snakemake"
        ) from error
    return parts


def _displacement(entry: Mapping[str, Any]) -> dict[str, Any]:
    found = {
        "number": int(entry["atom"]) - 1,
        "displacement": np.array(entry["displacement"], dtype=float),
    }
    if "forces" in entry:
        found["forces"] = np.array(entry["forces"], dtype=float)
    return found


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
        return with_forces(phonon, phonon.forces)
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
    from phonsmith.files.phonopy_files import read_phonopy_file

    file = read_phonopy_file(path)
    phonon = file.phonopy()
    if file.data.dataset is not None:
        phonon.dataset = file.converted(file.data.dataset)
    if file.data.force_constants is not None:
        factor = file.units.force_to_eVperA / file.units.distance_to_A
        phonon.force_constants = file.data.force_constants * factor
    return phonon
