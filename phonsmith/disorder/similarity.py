"""SOAP similarity of structures, and a map of data sets in SOAP distance.

A structure is represented by its SOAP vectors averaged over the atoms, p. The similarity of two
structures is

    k(A, B) = (p_A·p_B / |p_A||p_B|)^ζ

(De, Bartók, Csányi, Ceriotti, Phys. Chem. Chem. Phys. 18, 13754 (2016), the average kernel with ζ
applied to averages; Morrow, Deringer, J. Chem. Phys. 157, 104105 (2022)).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from ase import Atoms
from numpy.typing import NDArray

from phonsmith.disorder.crystals import ReferenceCrystal
from phonsmith.disorder.neighbours import checked
from phonsmith.disorder.settings import SimilaritySoap
from phonsmith.files.errors import PhonsmithError
from phonsmith.potentials.soap import soap_text, soap_vectors

Array = NDArray[np.float64]


def average_soap(frame: Atoms, elements: Sequence[int], settings: SimilaritySoap) -> Array:
    """Compute the SOAP vector of a structure, averaged over its atoms, of length one.

    Parameters
    ----------
    frame
        Periodic structure.
    elements
        Atomic numbers of all elements of the structures that are compared.
    settings
        Parameters of SOAP and kind of average.

    Returns
    -------
    Shape (dimensions,).

    Raises
    ------
    PhonsmithError
        The structure contains another element, or has no SOAP vector: atoms are on one place.
    """
    _require_elements(frame, elements)
    text = soap_text(
        elements,
        cutoff=settings.cutoff_angstrom,
        transition_width=settings.transition_width_angstrom,
        atom_sigma=settings.atom_sigma_angstrom,
        n_max=settings.n_max,
        l_max=settings.l_max,
        average=settings.average == "density",
    )
    mean = soap_vectors(checked(frame), text).mean(axis=0)
    norm = np.linalg.norm(mean)
    if not (np.isfinite(norm) and norm > 0):
        raise PhonsmithError(
            f"{frame.get_chemical_formula()}: no SOAP vector, atoms are on one place"
        )
    return np.asarray(mean / norm)


def similarity(first: Atoms, second: Atoms, settings: SimilaritySoap) -> float:
    """Compute the SOAP similarity k(A, B) of two structures, between 0 and 1.

    Parameters
    ----------
    first, second
        Periodic structures.
    settings
        Parameters of SOAP, kind of average, ζ.
    """
    elements = _elements([first, second])
    vectors = np.array([average_soap(one, elements, settings) for one in (first, second)])
    return float(_kernel(vectors[:1], vectors[1:], settings)[0, 0])


class References:
    """Reference crystals with their SOAP vectors, which are computed once.

    Parameters
    ----------
    crystals
        Crystals, each at one or several pressures; those with a ``reason`` are omitted.
    settings
        Parameters of the similarity.
    """

    def __init__(self, crystals: Sequence[ReferenceCrystal], settings: SimilaritySoap) -> None:
        self.settings = settings
        self._crystals: dict[str, list[ReferenceCrystal]] = {}
        for crystal in sorted(crystals, key=lambda found: found.pressure_gpa):
            known = self._crystals.setdefault(crystal.name, [])
            known += [] if crystal.reason else [crystal]
        self.elements = _elements([one.atoms for found in self._crystals.values() for one in found])
        self._vectors: dict[tuple[str, float], Array] = {}

    @property
    def names(self) -> list[str]:
        """Names of the crystals."""
        return sorted(self._crystals)

    def at(self, name: str, pressure_gpa: float | None = None) -> ReferenceCrystal | None:
        """Return a crystal at a pressure, or at its lowest pressure by default.

        Parameters
        ----------
        name
            Name of the crystal.
        pressure_gpa
            Pressure. The nearest pressure is used.

        Returns
        -------
        None if no pressure of the crystal is within ``pressure_tolerance_gpa``.

        Raises
        ------
        PhonsmithError
            There is no such crystal.
        """
        if name not in self._crystals:
            raise PhonsmithError(
                f"reference crystal '{name}' is unknown; known: {', '.join(self.names) or 'none'}"
            )
        known = self._crystals[name]
        if not known or pressure_gpa is None:
            return known[0] if known else None
        nearest = min(known, key=lambda one: abs(one.pressure_gpa - pressure_gpa))
        apart = abs(nearest.pressure_gpa - pressure_gpa)
        return nearest if apart <= self.settings.pressure_tolerance_gpa + 1e-9 else None

    def require(self, frame: Atoms, ground_state: str | None) -> None:
        """Refuse a structure or a ground state that cannot be compared with the crystals.

        Parameters
        ----------
        frame
            A structure.
        ground_state
            Name of the crystal that energies refer to, if any.

        Raises
        ------
        PhonsmithError
            The structure has an element that no crystal has, or there is no such crystal.
        """
        if self.elements:
            _require_elements(frame, self.elements)
        if ground_state is not None:
            self.at(ground_state)

    def no_similarities(self) -> pd.DataFrame:
        """Return the table of :meth:`similarities` for a structure without SOAP vector."""
        rows = [(name, lattice) for name in self.names for lattice in LATTICES]
        table = pd.DataFrame(rows, columns=list(SIMILARITY_COLUMNS[:2]))
        return table.reindex(columns=list(SIMILARITY_COLUMNS)).astype(
            dict.fromkeys(SIMILARITY_COLUMNS[2:], float)
        )

    def similarities(self, frame: Atoms, pressure_gpa: float) -> pd.DataFrame:
        """Compare a structure with all crystals.

        Returns
        -------
        Columns ``crystal``, ``lattice`` (``fixed``: the crystal at its lowest pressure; ``scaled``:
        at the pressure of the structure), ``crystal_pressure_gpa`` and ``similarity``; the last two
        are NaN if the crystal does not exist there.
        """
        vector = average_soap(frame, self.elements, self.settings)[None] if self.elements else None
        rows = []
        for name in self.names:
            for lattice, pressure in zip(LATTICES, (None, pressure_gpa), strict=True):
                crystal = self.at(name, pressure)
                value = np.nan
                if crystal is not None and vector is not None:
                    value = _kernel(vector, self._vector(crystal)[None], self.settings)[0, 0]
                at = np.nan if crystal is None else crystal.pressure_gpa
                rows.append((name, lattice, at, float(value)))
        return pd.DataFrame(rows, columns=list(SIMILARITY_COLUMNS))

    def _vector(self, crystal: ReferenceCrystal) -> Array:
        key = crystal.name, crystal.pressure_gpa
        if key not in self._vectors:
            self._vectors[key] = average_soap(crystal.atoms, self.elements, self.settings)
        return self._vectors[key]


LATTICES = ("fixed", "scaled")
"""Whether a crystal is that of its lowest pressure, or of the pressure of the structure."""
SIMILARITY_COLUMNS = ("crystal", "lattice", "crystal_pressure_gpa", "similarity")


def kernel_map(sets: Mapping[str, Sequence[Atoms]], settings: SimilaritySoap) -> pd.DataFrame:
    """Project data sets onto the two principal components of their SOAP kernel.

    The kernel of all structures is centred, K' = K - 1K - K1 + 1K1 with 1 = ones / n, and the
    coordinates are its eigenvectors times the square roots of their eigenvalues (Schölkopf, Smola,
    Müller, Neural Computation 10, 1299 (1998)). Distances in the map approximate the SOAP distance
    d² = 2 - 2k. The structure that is farthest from the origin has a positive coordinate.

    Parameters
    ----------
    sets
        Structures of each data set.
    settings
        Parameters of the similarity.

    Returns
    -------
    One row for each structure: ``set``, ``index`` (in its set), ``atoms``, ``component_1``,
    ``component_2``, and the shares of the variance that both components explain,
    ``variance_1_percent`` and ``variance_2_percent`` (equal in all rows).

    Raises
    ------
    PhonsmithError
        There are fewer than three structures.
    """
    places = [(name, index) for name, frames in sets.items() for index in range(len(frames))]
    if len(places) < 3:
        raise PhonsmithError(f"map of {len(places)} structures: at least three are required")
    frames = [sets[name][index] for name, index in places]
    elements = _elements(frames)
    vectors = np.array([average_soap(frame, elements, settings) for frame in frames])
    coordinates, shares = _components(_kernel(vectors, vectors, settings))
    table = pd.DataFrame(places, columns=["set", "index"])
    table["atoms"] = [len(frame) for frame in frames]
    for i in range(2):
        table[f"component_{i + 1}"] = coordinates[:, i]
    for i in range(2):
        table[f"variance_{i + 1}_percent"] = 100 * shares[i]
    return table


def _components(kernel: Array) -> tuple[Array, Array]:
    """Coordinates (structures, 2) and shares of the variance (2,) of the first two components."""
    means = kernel.mean(axis=0)
    centred = kernel - means[None] - means[:, None] + means.mean()
    values, vectors = np.linalg.eigh((centred + centred.T) / 2)
    values = np.maximum(values[::-1], 0)
    coordinates = vectors[:, ::-1][:, :2] * np.sqrt(values[:2])
    # eigenvectors have arbitrary signs
    farthest = np.abs(coordinates).argmax(axis=0)
    coordinates *= np.where(coordinates[farthest, [0, 1]] < 0, -1, 1)
    total = values.sum()
    return coordinates, values[:2] / total if total > 0 else np.zeros(2)


def _kernel(first: Array, second: Array, settings: SimilaritySoap) -> Array:
    """Kernel (first, second) of vectors of length one."""
    return np.asarray(np.clip(first @ second.T, 0, 1) ** settings.zeta)


def _require_elements(frame: Atoms, elements: Sequence[int]) -> None:
    others = sorted(set(frame.numbers.tolist()) - set(elements))
    if others:
        raise PhonsmithError(
            f"{frame.get_chemical_formula()}: atomic numbers {others} are missing in the "
            f"structures that it is compared with, which have {sorted(set(elements))}"
        )


def _elements(frames: Sequence[Atoms]) -> list[int]:
    return sorted({number for frame in frames for number in frame.numbers.tolist()})
