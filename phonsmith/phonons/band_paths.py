"""The q points at which phonons are compared: a high-symmetry path and a mesh."""

import itertools
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from phonsmith.files.errors import PhonsmithError
from phonsmith.phonons.settings import Phonons
from phonsmith.structures.sites import kinds_of

if TYPE_CHECKING:
    from ase import Atoms

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class BandPath:
    """The q points of a comparison: a path in segments, and a mesh.

    Coordinates are fractions of the reciprocal basis of the primitive cell.

    Attributes
    ----------
    segments
        One (points, 3) array per segment, both ends included.
    labels
        Name of the first and of the last point of each segment, e.g. ``("Γ", "X_1")``.
    mesh
        Numbers of the Γ-centred mesh of the density of states.
    """

    segments: tuple[Floats, ...]
    labels: tuple[tuple[str, str], ...]
    mesh: tuple[int, int, int]


def band_path(atoms: "Atoms", settings: Phonons) -> BandPath:
    """High-symmetry path and mesh of a crystal.

    Call it once for a structure, with the primitive cell of the *reference* phonons
    (``to_ase(phonon.primitive)``), and use the result for the reference and every fit.

    Parameters
    ----------
    atoms
        The cell whose reciprocal basis the coordinates refer to, in any setting and orientation.
    settings
        Convention of the path, points per segment, mesh length.

    Raises
    ------
    PhonsmithError
        No path can be found.
    """
    try:
        if settings.band_path == "seekpath":
            points, lines = _seekpath(atoms)
        else:
            points, lines = _setyawan_curtarolo(atoms)
    except PhonsmithError:
        raise
    except Exception as error:  # both libraries raise many kinds
        raise PhonsmithError(
            f"{settings.band_path}: no band path found for {atoms.get_chemical_formula()} "
            f"({error}); use the other value of phonons.band_path"
        ) from error
    steps = np.linspace(0.0, 1.0, settings.points_per_segment)[:, None]
    return BandPath(
        segments=tuple(points[a] + steps * (points[b] - points[a]) for a, b in lines),
        labels=tuple((_pretty(a), _pretty(b)) for a, b in lines),
        mesh=_mesh(atoms, settings.mesh_length_angstrom),
    )


def _pretty(label: str) -> str:
    """Name of a special point in Unicode: Γ, Σ_1, X."""
    for name, sign in {
        "GAMMA": "Γ",
        "Gamma": "Γ",
        "SIGMA": "Σ",
        "Sigma": "Σ",
        "DELTA": "Δ",
    }.items():
        label = label.replace(name, sign)
    return label.replace("LAMBDA", "Λ").replace("\\", "").replace("$", "")


_Lines = list[tuple[str, str]]
_PATH_SYMPREC = 1e-2  # as for the space group in campaigns: files have few digits


def _seekpath(atoms: "Atoms") -> tuple[dict[str, Floats], _Lines]:
    from seekpath import get_path_orig_cell

    found = get_path_orig_cell(
        (atoms.cell.array, atoms.get_scaled_positions(), kinds_of(atoms)), symprec=_PATH_SYMPREC
    )
    points = {name: np.array(point, dtype=float) for name, point in found["point_coords"].items()}
    return points, [(str(a), str(b)) for a, b in found["path"]]


def _setyawan_curtarolo(atoms: "Atoms") -> tuple[dict[str, Floats], _Lines]:
    """Path of pymatgen, which holds for pymatgen's standard primitive cell, brought to ``atoms``.

    If integer combinations ``M`` of the primitive vectors of ``atoms`` have the lengths and angles
    of the standard vectors, and the isometry that this defines takes the atoms of one crystal onto
    those of the other, then ``k·a`` is equal for corresponding vectors, so that k = M⁻¹ k_standard
    in the primitive cell of ``atoms``. In a crystal with magnetic moments, what differs in moment
    is a separate element here.
    """
    import spglib
    from pymatgen.core import Lattice, Structure
    from pymatgen.symmetry.bandstructure import HighSymmKpath

    cell = (atoms.cell.array, atoms.get_scaled_positions(), kinds_of(atoms))
    small = spglib.standardize_cell(
        cell, to_primitive=True, no_idealize=True, symprec=_PATH_SYMPREC
    )
    if small is None:
        raise PhonsmithError("spglib finds no symmetry; check the crystal")
    lattice, positions, numbers = small
    ours = Structure(Lattice(lattice), numbers, positions)
    with warnings.catch_warnings():
        # that the cell is not the standard one is what the rest of this function is about
        warnings.simplefilter("ignore")
        path = HighSymmKpath(ours, symprec=_PATH_SYMPREC)
    standard = path.prim
    combination = _correspondence(ours, standard)
    # Cartesian in between: `atoms` need not be primitive
    to_atoms = atoms.cell.array @ np.linalg.inv(lattice) @ np.linalg.inv(combination)
    points = {str(name): to_atoms @ k for name, k in path.kpath["kpoints"].items()}
    lines = [
        (str(a), str(b)) for branch in path.kpath["path"] for a, b in itertools.pairwise(branch)
    ]
    return points, lines


def _correspondence(ours: Any, standard: Any) -> Floats:
    """Integer matrix M so that ``M @ ours.lattice`` are the standard cell's vectors, turned.

    Of all combinations with nearly the lengths and angles of the standard cell that also bring
    the atoms together, the one with the smallest misfit of the metric: a pseudo-cubic crystal must
    not have its axes exchanged.
    """
    if len(ours) != len(standard):
        raise PhonsmithError("pymatgen and spglib disagree about the primitive cell")
    wanted = standard.lattice.metric_tensor
    candidates = []
    for _, _, matrix in standard.lattice.__class__(ours.lattice.matrix).find_all_mappings(
        standard.lattice, ltol=0.02, atol=1.0, skip_rotation_matrix=True
    ):
        metric = matrix @ ours.lattice.metric_tensor @ matrix.T
        misfit = float(np.linalg.norm(metric - wanted) / np.linalg.norm(wanted))
        # rounding: misfits of symmetry-equivalent choices differ in the last digits
        candidates.append((round(misfit, 6), tuple(np.rint(matrix).astype(int).ravel())))
    for _, flat in sorted(candidates):
        matrix = np.array(flat, dtype=float).reshape(3, 3)
        if _same_sites(ours, standard, matrix):
            return matrix
    raise PhonsmithError("the crystal cannot be mapped onto pymatgen's standard cell")


def _same_sites(ours: Any, standard: Any, matrix: Floats) -> bool:
    """Whether the atoms coincide within 0.1 Å after one common shift."""
    mine = ours.frac_coords @ np.linalg.inv(matrix)
    theirs = standard.frac_coords
    alike = np.array(ours.atomic_numbers)[:, None] == np.array(standard.atomic_numbers)
    if sorted(ours.atomic_numbers) != sorted(standard.atomic_numbers):
        return False
    for shift in theirs[alike[0]] - mine[0]:
        difference = (mine + shift)[:, None] - theirs[None]
        difference -= np.rint(difference)
        near = np.linalg.norm(difference @ standard.lattice.matrix, axis=-1) < 0.1
        near &= alike
        if near.any(axis=0).all() and near.any(axis=1).all():
            return True
    return False


def _mesh(atoms: "Atoms", length: float) -> tuple[int, int, int]:
    """Numbers of a mesh of ``length`` Å that keeps the symmetry of the crystal.

    Equal numbers along the three axes do in any lattice; they are taken where different numbers
    would not, as in a body-centred tetragonal cell whose axes are not all equivalent.
    """
    import spglib
    from phonopy.phonon.grid import length2mesh

    cell = (atoms.cell.array, atoms.get_scaled_positions(), kinds_of(atoms))
    symmetry = spglib.get_symmetry(cell, symprec=1e-5)
    if symmetry is None:
        raise PhonsmithError("spglib finds no symmetry; check the crystal")
    rotations = np.array(symmetry["rotations"], dtype="int64")
    mesh = length2mesh(length, atoms.cell.array, rotations=rotations)
    turned = mesh[:, None] * rotations.transpose(0, 2, 1) % mesh
    if turned.any():
        mesh = np.full(3, mesh.max())
    return int(mesh[0]), int(mesh[1]), int(mesh[2])
