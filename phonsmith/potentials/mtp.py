"""Moment tensor potentials in MLIP's format, by motep.

MLIP's files number the species and do not name them. phonsmith writes the elements, in the order of
these numbers, into the free text ``potential_tag``; for other files `elements` of the potential
names them.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from ase.data import atomic_numbers
from matscipy.neighbours import neighbour_list
from motep.calculator import MTP
from motep.io.mlip.mtp import read_mtp, write_mtp
from motep.potentials.mtp.cext.engine import CExtMTPEngine
from motep.potentials.mtp.data import MTPData
from numpy.typing import NDArray

from phonsmith.files.errors import PhonsmithError
from phonsmith.files.reading_writing import replacing
from phonsmith.potentials.settings import PotentialSource

SKIN_ANGSTROM = 0.3
"""Neighbours up to this distance beyond the cutoff are listed; the list holds until an atom has
moved by half of it."""

FAR_ANGSTROM = 1e3
"""Distance of the neighbours that fill the rows of atoms with few neighbours."""


def build(source: PotentialSource) -> BaseCalculator:
    """Build the calculator of a model file."""
    assert source.model is not None
    data = read(Path(source.model))
    data.species = [atomic_numbers[name] for name in _species(source, data)]
    return calculator_of(data)


def calculator_of(data: MTPData) -> BaseCalculator:
    """Return motep's calculator with lists of neighbours by matscipy."""
    calculator = MTP(data)
    calculator.engine = Engine(data)
    return calculator


def elements(source: PotentialSource) -> frozenset[str] | None:
    """Return the elements that the file or the settings name."""
    if source.model and Path(source.model).is_file():
        return frozenset(_species(source, read(Path(source.model))))
    return None


def check_model(source: PotentialSource) -> None:
    """Check that the model is complete, and that its elements are known."""
    if source.model is not None:
        _species(source, read(Path(source.model)))


def check_arguments(source: PotentialSource) -> None:
    """Accept: it has no arguments."""


# --- files ----------------------------------------------------------------------------------------


def read(path: Path) -> MTPData:
    """Read a file of MLIP.

    Raises
    ------
    PhonsmithError
        The file is no moment tensor potential, is cut off, contradicts itself, is magnetic, not
        trained, or has another radial basis.
    """
    with path.open(encoding="utf-8", errors="replace") as stream:
        if stream.readline().strip() != "MTP":
            raise PhonsmithError(f"{path}: not a moment tensor potential (line 1 is not MTP)")
        if "magnetic_basis_type" in stream.read(1 << 16):
            raise PhonsmithError(f"{path}: magnetic potentials are not supported")
    try:
        data = read_mtp(path)
        fault = _fault(data)
    except Exception as error:  # motep's reader raises anything
        fault = f"{type(error).__name__}: {error}".splitlines()[0]
    if fault:
        raise PhonsmithError(f"{path}: cut off or damaged ({fault}); get the file again")
    if data.radial_basis.type != "RBChebyshev":
        raise PhonsmithError(
            f"{path}: radial basis {data.radial_basis.type} is not supported, only RBChebyshev"
        )
    return data


def write(path: Path, data: MTPData, species: Sequence[str]) -> None:
    """Write a file of MLIP 2, with the elements in ``potential_tag``.

    Parameters
    ----------
    path
        File to write.
    data
        The potential.
    species
        Elements in the order of the species.
    """
    data.potential_tag = " ".join(species)
    with replacing(path) as made:
        write_mtp(made, data, legacy=True)


def _fault(data: MTPData) -> str:
    """What is missing or contradicts itself in a file; "" if nothing does."""
    basis, count = data.radial_basis, data.species_count
    shapes = {
        "radial_coeffs": (count, count, data.radial_funcs_count, int(basis.size)),
        "species_coeffs": (count,),
        "moment_coeffs": (data.alpha_scalar_moments,),
        "alpha_moment_mapping": (data.alpha_scalar_moments,),
        "alpha_index_basic": (data.alpha_index_basic_count, 4),
        "alpha_index_times": (data.alpha_index_times_count, 4),
    }
    for key, shape in shapes.items():
        value = getattr(data, key)
        if value is None:
            return f"no {key}"
        if np.shape(value) != shape:
            return f"{key} has shape {np.shape(value)} instead of {shape}"
        if not np.isfinite(value).all():
            return f"{key} has numbers that are not finite"
    if not (count > 0 and basis.size > 1 and 0 <= basis.min < basis.max and data.scaling > 0):
        return "species_count, scaling, min_dist, max_dist or radial_basis_size"
    return _fault_of_indices(data)


def _fault_of_indices(data: MTPData) -> str:
    """A wrong index, which motep's C code would use as an address in memory."""
    basic, times = np.asarray(data.alpha_index_basic), np.asarray(data.alpha_index_times)
    if basic.min() < 0 or basic[:, 0].max() >= data.radial_funcs_count:
        return "alpha_index_basic"
    moments = data.alpha_moments_count
    for key, indices in (
        ("alpha_index_times", times[:, [0, 1, 3]]),
        ("alpha_moment_mapping", np.asarray(data.alpha_moment_mapping)),
    ):
        if indices.size and (indices.min() < 0 or indices.max() >= moments):
            return f"{key} beyond alpha_moments_count"
    return "" if len(basic) <= moments else "alpha_moments_count"


def _species(source: PotentialSource, data: MTPData) -> list[str]:
    """Elements in the order of the species."""
    in_file = re.findall(r"\S+", data.potential_tag)
    named = source.elements or in_file
    if len(in_file) == data.species_count and set(in_file) <= atomic_numbers.keys() - {"X"}:
        _check_named(source, in_file)
    if not named or not set(named) <= atomic_numbers.keys() - {"X"}:
        raise PhonsmithError(
            f"{source.model}: the file does not name its elements; set `elements` of the potential "
            "to them, in the order of MLIP's species"
        )
    if len(named) != data.species_count or len(set(named)) != len(named):
        raise PhonsmithError(
            f"{source.model}: the potential has {data.species_count} species, but elements are "
            f"{', '.join(named)}"
        )
    return list(named)


def _check_named(source: PotentialSource, in_file: list[str]) -> None:
    """Refuse elements of the settings that are not those of the file, or in another order."""
    if source.elements is not None and source.elements != in_file:
        raise PhonsmithError(
            f"{source.model}: the file names its species {', '.join(in_file)}, but `elements` of "
            f"the potential is {', '.join(source.elements)}; remove `elements`"
        )


# --- computing ------------------------------------------------------------------------------------


class Engine(CExtMTPEngine):  # type: ignore[misc]
    """motep's engine in C with lists of neighbours by matscipy.

    Those of ASE take longer than the potential, and motep's use of them fails if the number of
    atoms changes.
    """

    def __init__(self, data: MTPData, mode: str = "run") -> None:
        super().__init__(data, mode=mode)
        self._listed: Atoms | None = None

    def update_neighbor_list(self, atoms: Atoms) -> bool:
        """List neighbours if atoms, lattice or, by more than half of the skin, positions differ."""
        if self._is_listed(atoms):
            return False
        self._listed = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        skin = 0.0 if self.mode == "train" else SKIN_ANGSTROM
        cutoff = float(self.mtp_data.radial_basis.max) + skin
        self._neighbors, self._offsets = neighbours(atoms, cutoff)
        return True

    def _is_listed(self, atoms: Atoms) -> bool:
        old = self._listed
        if old is None or self.mode == "train" or len(old) != len(atoms):
            return False
        same = (old.pbc == atoms.pbc).all() and (old.cell.array == atoms.cell.array).all()
        if not same or (old.numbers != atoms.numbers).any():
            return False
        moved = ((old.positions - atoms.positions) ** 2).sum(axis=1).max(initial=0.0)
        return bool(moved < (SKIN_ANGSTROM / 2) ** 2)

    def _get_interatomic_vectors(self, atoms: Atoms) -> NDArray[np.float64]:
        vectors = atoms.positions[self._neighbors]
        vectors += self._offsets
        vectors -= atoms.positions[:, None]
        vectors[self._neighbors < 0] = FAR_ANGSTROM
        return np.asarray(vectors)


def neighbours(atoms: Atoms, cutoff: float) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Return neighbours in motep's form.

    Parameters
    ----------
    atoms
        Cell.
    cutoff
        Radius in Å.

    Returns
    -------
    Indices of neighbours, shape (atoms, most neighbours), −1 where there is none, and their lattice
    vectors in Å, shape (atoms, most neighbours, 3).
    """
    count = len(atoms)
    cell: Any = atoms.cell
    first, second, shifts = neighbour_list("ijS", _boxed(atoms), cutoff)
    counts = np.bincount(first, minlength=count)
    # motep needs a neighbour for each atom, if only a distant one
    width = max(1, int(counts.max(initial=0)))
    place = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
    indices = np.full((count, width), -1, dtype=np.int32)
    offsets = np.zeros((count, width, 3))
    indices[first, place] = second
    offsets[first, place] = shifts @ np.asarray(cell.complete() * atoms.pbc[:, None])
    return indices, offsets


def _boxed(atoms: Atoms) -> Atoms:
    """The cell, with a box around atoms without one, as matscipy needs it."""
    if atoms.cell.rank == 3:
        return atoms
    return Atoms(atoms.numbers, atoms.positions, cell=atoms.cell.complete(), pbc=atoms.pbc)
