"""q points of a thermal conductivity: which cell they belong to, how many, what they cost.

A mesh is three numbers of q points, or a length in Å. ``mesh_of`` names the cell whose Brillouin
zone it divides:

primitive
    The primitive cell.
unit
    The unit cell in the crystal file. Its q points are sampled in the zone of the primitive cell,
    on phonopy's generalised regular grid, whose matrix follows from both cells.
unit_folded
    The unit cell replaces the primitive cell: identical q points, folded bands. Folding
    makes bands cross that have nothing in common, and phono3py then loses part of the heat
    (docs/conductivity.md). For comparison with numbers that were computed so.
"""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from phonsmith.conductivity.settings import Conductivity, Mesh, MeshOf
from phonsmith.conductivity.third_order import new_phono3py
from phonsmith.files.errors import PhonsmithError

if TYPE_CHECKING:
    from phono3py import Phono3py
    from phonopy import Phonopy
    from phonopy.phonon.grid import BZGrid
    from phonopy.structure.atoms import PhonopyAtoms


def mesh_numbers(phonon: "Phonopy", mesh: Mesh, mesh_of: MeshOf) -> Any:
    """Return the numbers of q points on a mesh, or its matrix.

    Parameters
    ----------
    phonon
        Phonons of the crystal, whose cell defines meshes given as a length.
    mesh
        Three numbers, the (3, 3) matrix of a grid, or a length in Å.
    mesh_of
        Cell to which the mesh refers.

    Raises
    ------
    PhonsmithError
        The mesh does not keep the symmetry of the crystal.
    """
    if not isinstance(mesh, float | int):
        return list(mesh)
    cell: MeshOf = "primitive" if mesh_of == "primitive" else "unit_folded"
    grid = _grid(phonon, mesh, cell)
    return (grid.D_diag if grid.grid_matrix is None else grid.grid_matrix).tolist()


def with_mesh_numbers(settings: Conductivity, phonon: "Phonopy") -> Conductivity:
    """Return the settings with lengths replaced by numbers of q points.

    Pass the phonons of the reference for all methods, so that modes can be compared one by one.
    """
    meshes = {"mesh": settings.mesh, "lbte_mesh": settings.lbte_mesh}
    numbers = {
        key: mesh_numbers(phonon, mesh, settings.mesh_of)
        for key, mesh in meshes.items()
        if mesh is not None
    }
    return settings.model_copy(update=numbers)


def set_mesh(third: "Phono3py", mesh: Any, mesh_of: MeshOf) -> list[int]:
    """Set the q points of phono3py and return the three numbers that name the mesh.

    Parameters
    ----------
    third
        phono3py of :func:`phonsmith.conductivity.third_order.new_phono3py` with this ``mesh_of``.
    mesh
        Three numbers, the (3, 3) matrix of a grid, or a length in Å.
    mesh_of
        Cell to which the mesh refers.

    Raises
    ------
    PhonsmithError
        The mesh does not keep the symmetry of the crystal.
    """
    asked = _grid_matrix(third, mesh) if mesh_of == "unit" else mesh
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="Non primitive cell")  # matrix not used
            third.mesh_numbers = asked
    except RuntimeWarning:
        raise PhonsmithError(
            f"conductivity.mesh_of: {mesh_of} requires phonons of a primitive cell, but their cell "
            "is not primitive; use mesh_of: primitive with three numbers of q points"
        ) from None
    except RuntimeError:  # phono3py: "Grid symmetry is broken"
        raise PhonsmithError(
            f"conductivity: a mesh of {_name(mesh)} q points breaks the symmetry of the crystal; "
            "give equal numbers along equivalent axes, or a length in angstrom such as `mesh: 40`"
        ) from None
    named = mesh_of == "unit" and np.ndim(mesh) == 1
    return [int(n) for n in (mesh if named else third.grid.D_diag)]


def _grid_matrix(third: "Phono3py", mesh: Sequence[Any]) -> list[Any]:
    """The grid of the unit cell's mesh in terms of the primitive cell: n·P⁻¹, or three numbers.

    Rows are the vectors n_i a_i of the unit cell in the basis of the primitive cell; the q points
    are the reciprocal lattice of these vectors.
    """
    vectors = (np.diag(mesh) if np.ndim(mesh) == 1 else np.asarray(mesh)) @ third.unitcell.cell
    matrix = np.rint(vectors @ np.linalg.inv(third.primitive.cell)).astype(int)
    diagonal = np.diag(matrix)
    regular = bool((np.diag(diagonal) == matrix).all())
    return list(diagonal.tolist() if regular else matrix.tolist())


def _name(mesh: Any) -> str:
    return "×".join(map(str, mesh)) if np.ndim(mesh) == 1 else str(mesh)


def _grid(phonon: "Phonopy", mesh: Any, mesh_of: MeshOf) -> "BZGrid":
    third = new_phono3py(phonon, np.eye(3, dtype=int), mesh_of)
    set_mesh(third, mesh, mesh_of)
    return third.grid


def check_before_labels(structure: str, phonon: "Phonopy", settings: Conductivity) -> None:
    """Check the settings against the crystal before third-order cells are labelled.

    Parameters
    ----------
    structure
        Id of the structure, for messages.
    phonon
        Phonons of the reference, see :func:`with_mesh_numbers`.
    settings
        Settings of the conductivity.

    Raises
    ------
    PhonsmithError
        A mesh breaks the symmetry, natural isotopes are requested for a crystal with masses of its
        own, or the direct solution needs more memory than its job has.
    """
    check_isotopes(structure, phonon.unitcell, settings)
    try:
        for mesh in (settings.mesh, settings.lbte_mesh, *settings.convergence):
            if mesh is not None:
                numbers = mesh_numbers(phonon, mesh, settings.mesh_of)
                _grid(phonon, numbers, settings.mesh_of)
    except PhonsmithError as error:
        raise PhonsmithError(f"{structure}: {error}") from None
    if "lbte" not in settings.solvers:
        return
    needed = memory_of_direct_solution_mb(phonon, settings)
    if needed > settings.memory_mb:
        raise PhonsmithError(
            f"{structure}: the direct solution (lbte) on its mesh needs about {needed} MB, more "
            f"than conductivity.memory_mb = {settings.memory_mb}; raise it, or use a coarser "
            "conductivity.lbte_mesh"
        )


def check_isotopes(structure: str, cell: "PhonopyAtoms", settings: Conductivity) -> None:
    """Check that natural isotopes are requested for natural masses only.

    phono3py uses the natural isotopes of an element, whatever the masses of its atoms.

    Parameters
    ----------
    structure
        Id of the structure, for messages.
    cell
        Cell with masses in u.
    settings
        Settings of the conductivity.

    Raises
    ------
    PhonsmithError
        Natural isotopes are requested for a crystal with custom masses, such as deuterium.
    """
    from ase.data import atomic_masses

    natural = atomic_masses[cell.numbers]
    own = np.abs(cell.masses / natural - 1) > 0.01  # files round masses
    if own.any() and True in settings.isotopes:
        atom = int(own.argmax())
        raise PhonsmithError(
            f"{structure}: conductivity.isotopes: scattering by natural isotopes is undefined for "
            f"custom masses ({cell.symbols[atom]} of {cell.masses[atom]:.4g} u); set [false]"
        )


def memory_of_direct_solution_mb(phonon: "Phonopy", settings: Conductivity) -> int:
    """Memory (MB) of the direct solution: the collision matrix for each temperature, and its copy.

    It has 3 times bands times irreducible q points in rows and columns.
    """
    from phonopy.phonon.grid import get_ir_grid_points

    mesh = settings.lbte_mesh or settings.mesh
    numbers = mesh_numbers(phonon, mesh, settings.mesh_of)
    grid = _grid(phonon, numbers, settings.mesh_of)
    atoms = phonon.unitcell if settings.mesh_of == "unit_folded" else phonon.primitive
    rows = 3 * 3 * len(atoms) * len(get_ir_grid_points(grid)[0])
    return 600 + int(2 * 8 * rows**2 * len(settings.temperatures_kelvin) / 1e6)
