"""Checks of a label, alone and compared with the other labels of its structure."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from phonsmith.files.atoms import bare
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS
from phonsmith.labels.failed import LabelFailed
from phonsmith.labels.provenance import KEYS, Provenance
from phonsmith.labels.settings import Labels

K = TypeVar("K")

CLOSEST_ANGSTROM = 0.3
"""Å. Cores overlap at shorter distances: the shortest bond (H2) has 0.74 Å, and no
pseudopotential or basis set is made for half of it."""

LEAST_VOLUME_ANGSTROM3 = 0.5
"""Å³ per atom. Hydrogen in the middle of Jupiter has about 1; less is a cell in other units."""

LARGEST_EXTENT_ANGSTROM = 1e5
"""Å. A supercell of DFT is a thousand times smaller."""

LARGEST_ENERGY_EV = 2e6
"""eV per atom. With all electrons, oganesson has about -1.6e6."""

LARGEST_FORCE = 1e4
"""eV/Å. Bare carbon nuclei at the smallest distance allowed repel each other with 6e3."""

LARGEST_STRESS = 100.0
"""eV/Å³, or 16 TPa."""

OUTLIER_EV_PER_ATOM = 50.0
"""Cells that potentials learn from, dense liquids and broken bonds included, differ by less once
energies of the elements are subtracted."""

UNSYMMETRIC_STRESS, UNSYMMETRIC_SHARE = 1e-3, 0.01
"""eV/Å³ and share of the largest component by which the two halves of a stress may differ."""

SAME_CELL_ANGSTROM = 1e-5
"""Å. Files round positions to 1e-8; a calculator that moves atoms moves them by more than this."""


def labelled(  # phonsmith.files.extxyz describes the REF_ keys
    cell: Atoms,
    method: str,
    energy: float | None,
    forces: ArrayLike,
    stress: ArrayLike | None = None,
    *,
    provenance: Provenance | None = None,
) -> Atoms:
    """Copy a cell and attach a label.

    Earlier labels, constraints and the calculator are dropped.

    Parameters
    ----------
    cell
        Cell; remains unchanged.
    method
        Name of the reference method; may be empty.
    energy
        Energy in eV, or None.
    forces
        Forces (atoms, 3) in eV/Å.
    stress
        Stress (3, 3) in eV/Å³ (ASE's sign), or None.
    provenance
        Origin of the label, written to the copy.
    """
    (label,) = unlabelled([cell])
    label.set_constraint()
    if method:  # an empty text in extxyz would swallow the key that follows
        label.info["method"] = method
    if energy is not None:
        label.info[ENERGY] = float(energy)
    label.arrays[FORCES] = np.array(forces, dtype=float)
    if stress is not None:
        label.info[STRESS] = np.array(stress, dtype=float)
    if provenance is not None:
        provenance.write(label)
    return label


def labelled_alone(
    box: Atoms, method: str, energy: float, provenance: Provenance | None = None
) -> Atoms:
    """Copy a box with one atom and label it as the energy zero of its element.

    Parameters
    ----------
    box
        Box with one atom; remains unchanged.
    method
        Name of the reference method.
    energy
        Energy in eV.
    provenance
        Origin of the label, written to the copy.
    """
    label = box.copy()
    label.info = {
        ENERGY: float(energy),
        "structure": str(box.symbols[0]),
        "kind": "isolated_atom",
        "config_type": "IsolatedAtom",
        "generation": 0,
        "index": 0,
        "seed": -1,
        "method": method,
    }
    if provenance is not None:
        provenance.write(label)
    return label


def unlabelled(frames: Iterable[Atoms]) -> list[Atoms]:
    """Return copies of labelled cells without label, method and provenance; names stay."""
    cells = []
    for frame in frames:
        cell = frame.copy()
        for key in (ENERGY, STRESS, "method", *KEYS):
            cell.info.pop(key, None)
        cell.arrays.pop(FORCES, None)
        cells.append(cell)
    return cells


def check_label(label: Atoms, cell: Atoms, settings: Labels) -> None:
    """Check that a label is complete, belongs to the cell, is sane, and has no net force.

    Forces are required; energy and stress are checked if present.

    Parameters
    ----------
    label
        Labelled cell.
    cell
        Cell that was to be labelled.
    settings
        Labelling settings, which hold the largest sum of forces (eV/Å).

    Raises
    ------
    LabelFailed
        With the reason.
    """
    check_same(label, cell)
    forces = check_sane(label)
    net = float(np.abs(forces.sum(axis=0)).max())
    if net > settings.max_force_sum_ev_per_angstrom:
        raise LabelFailed(
            f"forces sum to {net:.3g} eV/Å, more than labels.max_force_sum_ev_per_angstrom = "
            f"{settings.max_force_sum_ev_per_angstrom:g}"
        )


def check_sane(label: Atoms) -> NDArray[np.float64]:
    """Return the forces of a label after checking that its atoms and numbers are physical.

    Raises
    ------
    LabelFailed
        An atom has no element, two atoms share a site, the lattice has no volume, a value is
        not a number, or a number is unphysical.
    """
    _check_atoms(label)
    if FORCES not in label.arrays:
        raise LabelFailed("has no forces")
    forces = _numbers("forces", label.arrays[FORCES], (len(label), 3))
    _check_size("forces", "eV/Å", forces, LARGEST_FORCE)
    if ENERGY in label.info:
        energy = _numbers("energy", label.info[ENERGY], ())
        _check_size("energy per atom", "eV", energy / max(1, len(label)), LARGEST_ENERGY_EV)
    if STRESS in label.info:
        stress = _numbers("stress", label.info[STRESS], (3, 3))
        _check_size("stress", "eV/Å³", stress, LARGEST_STRESS)
        halves = float(np.abs(stress - stress.T).max())
        if halves > max(UNSYMMETRIC_STRESS, UNSYMMETRIC_SHARE * float(np.abs(stress).max())):
            raise LabelFailed(
                f"stress is not symmetric (its halves differ by {halves:.3g} eV/Å³); its nine "
                "components may be in another order, or belong to different cells"
            )
    return forces


def _check_atoms(atoms: Atoms) -> None:
    if not len(atoms):
        raise LabelFailed("has no atoms")
    if (atoms.numbers < 1).any():
        raise LabelFailed("has atoms without element (X)")
    lattice, positions = np.asarray(atoms.cell[:]), np.asarray(atoms.positions)
    for what, values in (("lattice", lattice), ("positions", positions)):
        if not np.isfinite(values).all():
            raise LabelFailed(f"its {what} are not finite")
        _check_size(what, "Å", values, LARGEST_EXTENT_ANGSTROM)
    if atoms.pbc.any():
        volume = abs(float(np.linalg.det(lattice))) / len(atoms)
        if volume < LEAST_VOLUME_ANGSTROM3:
            raise LabelFailed(
                f"its volume is {volume:.3g} Å³ per atom: the lattice is missing or not in Å"
            )
        height = 1 / float(np.linalg.norm(np.linalg.inv(lattice), axis=0).max())
        if height < CLOSEST_ANGSTROM:
            raise LabelFailed(
                f"its cell is only {height:.2g} Å thick: the lattice is missing or not in Å"
            )
    distance = _shortest_distance(atoms)
    if distance < CLOSEST_ANGSTROM:
        raise LabelFailed(
            f"two of its atoms are {distance:.2g} Å apart, less than {CLOSEST_ANGSTROM:g} Å: they "
            "share a site, or the positions are not in Å"
        )


def _shortest_distance(atoms: Atoms) -> float:
    """Return the distance of the closest atoms in Å; infinity above ``CLOSEST_ANGSTROM``."""
    from matscipy.neighbours import neighbour_list

    cell = bare(atoms)
    if cell.cell.rank < 3:
        cell.center(vacuum=1.0)
        cell.pbc = False
    cell.wrap()
    distances = neighbour_list("d", cell, CLOSEST_ANGSTROM)
    return float(distances.min()) if len(distances) else float("inf")


def _check_size(what: str, unit: str, values: NDArray[np.float64], largest: float) -> None:
    found = float(np.abs(values).max()) if values.size else 0.0
    if found > largest:
        raise LabelFailed(
            f"unphysical {what} of {found:.3g} {unit} (at most {largest:g} {unit} are possible): "
            "other units, or a failed run"
        )


def check_same(label: Atoms, cell: Atoms) -> None:
    """Check that elements, order, lattice and positions of a result are those of the cell.

    Raises
    ------
    LabelFailed
        They differ; the message describes the difference.
    """
    if len(label) != len(cell):
        raise LabelFailed(f"has {len(label)} atoms, but the cell has {len(cell)}")
    if not np.array_equal(label.numbers, cell.numbers):
        raise LabelFailed("elements or order of its atoms differ from the cell")
    if not np.allclose(label.cell[:], cell.cell[:], rtol=0, atol=SAME_CELL_ANGSTROM):
        raise LabelFailed("its lattice differs from the cell")
    shift = label.positions - cell.positions
    if not np.isfinite(shift).all():
        raise LabelFailed("its positions are not finite")
    if cell.cell.rank == 3:  # a method may wrap atoms into the cell
        shift -= np.rint(np.linalg.solve(cell.cell[:].T, shift.T).T) @ cell.cell[:]
    if len(cell) and np.abs(shift).max() > SAME_CELL_ANGSTROM:
        raise LabelFailed(f"its atoms moved by up to {np.abs(shift).max():.2g} Å")


def _numbers(what: str, values: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Values as floats of this shape, if they are finite numbers."""
    found = np.asarray(values)
    if found.dtype.kind not in "fiu":
        raise LabelFailed(f"non-numeric {what} ({str(values).strip()[:40]})")
    if found.shape != shape:
        raise LabelFailed(f"{what} has shape {found.shape}, expected {shape}")
    if not np.isfinite(found).all():
        raise LabelFailed(f"{what} is not finite")
    return found.astype(float)


def gather(
    labels: Sequence[Atoms], failures: Sequence[Mapping[str, Any]], settings: Labels
) -> tuple[list[Atoms], list[Mapping[str, Any]]]:
    """Merge the labels and failures of all batches.

    A label whose energy per atom differs from the median of its structure by more than
    ``max_energy_spread_ev_per_atom`` becomes a failure: its electronic state differs or the run
    failed. Isolated atoms are exempt.

    Parameters
    ----------
    labels
        Labels of all batches.
    failures
        Failures of all batches.
    settings
        Labelling settings.

    Returns
    -------
    Labels in the order of their cells, and all failures.
    """
    kept = []
    lost = list(failures)
    medians = median_energies(filter(_has_energy, labels), _structure)
    limit = settings.max_energy_spread_ev_per_atom
    for label in sorted(labels, key=_order):
        excess = 0.0
        if _has_energy(label):
            excess = abs(_energy_per_atom(label) - medians[_structure(label)])
        if excess <= limit:
            kept.append(label)
        else:
            reason = (
                f"energy differs by {excess:.3g} eV/atom from the median of its structure, more "
                f"than labels.max_energy_spread_ev_per_atom = {limit:g}"
            )
            lost.append({**identity(label), "reason": reason})
    return kept, lost


def energy_outliers(frames: Sequence[Atoms]) -> dict[int, float]:
    """Find labels whose energy is far from all others: indices, and excess in eV per atom.

    Energies are compared with a sum of energies of the elements, fitted to the smallest sum of
    absolute deviations, so that an outlier does not attract the fit. Isolated atoms and labels
    without energy are omitted.
    """
    judged = [index for index, frame in enumerate(frames) if _has_energy(frame)]
    elements = sorted({symbol for index in judged for symbol in frames[index].symbols})
    if len(judged) < 3 * max(1, len(elements)):
        return {}
    energies = np.array([_energy_per_atom(frames[index]) for index in judged])
    shares = np.array(
        [[(frames[index].symbols == element).mean() for element in elements] for index in judged]
    )
    deviations = energies - np.median(energies)
    for _ in range(20):
        weights = 1 / np.sqrt(np.maximum(np.abs(deviations), 1e-3))
        found = np.linalg.lstsq(shares * weights[:, None], energies * weights, rcond=None)[0]
        deviations = energies - shares @ found
    return {
        index: float(deviation)
        for index, deviation in zip(judged, deviations, strict=True)
        if abs(deviation) > OUTLIER_EV_PER_ATOM
    }


def identity(cell: Atoms) -> dict[str, Any]:
    """Return the fields that identify a cell in tables and failure records."""
    info = cell.info
    return {
        "structure": str(info.get("structure", "")),
        "kind": str(info.get("kind", "")),
        "generation": int(info.get("generation", 0)),
        "index": int(info.get("index", -1)),
    }


def _order(label: Atoms) -> tuple[str, int, int]:
    name = identity(label)
    return name["structure"], name["generation"], name["index"]


def _energy_per_atom(label: Atoms) -> float:
    return float(label.info[ENERGY]) / len(label)


def _has_energy(label: Atoms) -> bool:
    return ENERGY in label.info and label.info.get("kind") != "isolated_atom"


def _structure(label: Atoms) -> str:
    return str(label.info.get("structure", ""))


def median_energies(labels: Iterable[Atoms], group: Callable[[Atoms], K]) -> dict[K, float]:
    """Return the median energy (eV per atom) of each group of labels, which have energies."""
    energies: dict[K, list[float]] = defaultdict(list)
    for label in labels:
        energies[group(label)].append(_energy_per_atom(label))
    return {key: float(np.median(values)) for key, values in energies.items()}
