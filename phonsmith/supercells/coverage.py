"""Whether displaced cells determine all force constants."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from phonopy import Phonopy


@dataclass(frozen=True)
class Coverage:
    """Whether force constants follow from displacements of single atoms, by symmetry.

    ``missing`` describes what is missing, and is empty if nothing is. ``needless`` are displaced
    atoms of the supercell whose own displacements do not suffice, beside equivalent ones whose do.
    """

    missing: str
    needless: frozenset[int]


def coverage(phonon: "Phonopy") -> Coverage:
    """Return what phonopy does not check of a data set with ``first_atoms``; any other one passes.

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
