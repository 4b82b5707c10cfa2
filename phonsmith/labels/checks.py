"""What a label must fulfil, alone and beside the other labels of its structure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from phonsmith.errors import PhonsmithError, TryAgain
from phonsmith.extxyz import ENERGY, FORCES, STRESS
from phonsmith.labels.provenance import KEYS, Provenance
from phonsmith.settings import Labels

SAME_CELL_ANGSTROM = 1e-5
"""Å. Files round positions to 1e-8; a calculator that moves atoms moves them by more than this."""


class LabelFailed(Exception):  # noqa: N818 - the word of the design
    """A cell could not be labelled; the text is the reason in words.

    ``wants`` is what another try of the whole job may bring: more "memory" or "time", or "".
    ``output`` holds the last lines of what the code has said.
    """

    def __init__(self, reason: str, wants: str = "", output: str = "") -> None:
        super().__init__(reason)
        self.wants = wants
        self.output = output

    def for_good(self, what: str) -> PhonsmithError:
        """The error that ends a job, unless another try has what was wanted."""
        text = f"{what}: {self}"
        return TryAgain(text, self.wants) if self.wants else PhonsmithError(text)

    def __reduce__(self) -> tuple[type[Self], tuple[str, ...]]:
        return type(self), (str(self), self.wants, self.output)


def labelled(  # what the REF_ keys are is said in phonsmith.extxyz
    cell: Atoms,
    method: str,
    energy: float | None,
    forces: ArrayLike,
    stress: ArrayLike | None = None,
    *,
    provenance: Provenance | None = None,
) -> Atoms:
    """Copy of a cell with a label.

    ``energy`` in eV or None, ``forces`` (atoms, 3) in eV/Å, ``stress`` (3, 3) in eV/Å³ (ASE's
    sign) or None. Earlier labels, constraints and the calculator are left behind.
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
    """Copy of a box with one atom, as the energy zero of its element; ``energy`` in eV."""
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
    """Copies of labelled cells without label, method and provenance; names stay."""
    cells = []
    for frame in frames:
        cell = frame.copy()
        for key in (ENERGY, STRESS, "method", *KEYS):
            cell.info.pop(key, None)
        cell.arrays.pop(FORCES, None)
        cells.append(cell)
    return cells


def check_label(label: Atoms, cell: Atoms, settings: Labels) -> None:
    """Whether ``label`` is complete, of this ``cell``, finite, and free of a net force.

    Forces have to be there; energy and stress are checked where they are.

    Raises
    ------
    LabelFailed
        The reason in words.
    """
    check_same(label, cell)
    if FORCES not in label.arrays:
        raise LabelFailed("has no forces")
    forces = np.asarray(label.arrays[FORCES], dtype=float)
    _check_numbers("forces", forces, (len(cell), 3))
    if ENERGY in label.info:
        _check_numbers("energy", np.asarray(label.info[ENERGY], dtype=float), ())
    if STRESS in label.info:
        _check_numbers("stress", np.asarray(label.info[STRESS], dtype=float), (3, 3))
    net = float(np.abs(forces.sum(axis=0)).max())
    if net > settings.max_force_sum_ev_per_angstrom:
        raise LabelFailed(
            f"forces sum to {net:.3g} eV/Å, more than labels.max_force_sum_ev_per_angstrom = "
            f"{settings.max_force_sum_ev_per_angstrom:g}"
        )


def check_same(label: Atoms, cell: Atoms) -> None:
    """Whether elements, order, lattice and positions of a result are those of the cell.

    Raises
    ------
    LabelFailed
        The difference in words.
    """
    if len(label) != len(cell):
        raise LabelFailed(f"has {len(label)} atoms where the cell has {len(cell)}")
    if not np.array_equal(label.numbers, cell.numbers):
        raise LabelFailed("its atoms are of other elements or in another order than the cell's")
    if not np.allclose(label.cell[:], cell.cell[:], rtol=0, atol=SAME_CELL_ANGSTROM):
        raise LabelFailed("its lattice is not that of the cell")
    shift = label.positions - cell.positions
    if not np.isfinite(shift).all():
        raise LabelFailed("its positions are not finite")
    if cell.cell.rank == 3:  # a method may wrap atoms into the cell
        shift -= np.rint(np.linalg.solve(cell.cell[:].T, shift.T).T) @ cell.cell[:]
    if len(cell) and np.abs(shift).max() > SAME_CELL_ANGSTROM:
        raise LabelFailed(f"its atoms moved by up to {np.abs(shift).max():.2g} Å")


def _check_numbers(what: str, values: NDArray[np.float64], shape: tuple[int, ...]) -> None:
    if values.shape != shape:
        raise LabelFailed(f"{what} has shape {values.shape}, expected {shape}")
    if not np.isfinite(values).all():
        raise LabelFailed(f"{what} is not finite")


def gather(
    labels: Sequence[Atoms], failures: Sequence[Mapping[str, Any]], settings: Labels
) -> tuple[list[Atoms], list[Mapping[str, Any]]]:
    """Labels from all batches in the order of their cells, and everything that failed.

    Labels whose energy per atom lies further than ``max_energy_spread_ev_per_atom`` from the
    median of their structure become failures: a sign of another electronic state or a wrecked run.
    Isolated atoms, far above crystals by nature, always stay.
    """
    kept = []
    lost = list(failures)
    medians = _median_energies(labels)
    limit = settings.max_energy_spread_ev_per_atom
    for label in sorted(labels, key=_order):
        name = str(label.info.get("structure", ""))
        judged = ENERGY in label.info and label.info.get("kind") != "isolated_atom"
        excess = abs(_energy_per_atom(label) - medians[name]) if judged else 0.0
        if excess <= limit:
            kept.append(label)
        else:
            reason = (
                f"energy is {excess:.3g} eV/atom off the median of its structure, more than "
                f"labels.max_energy_spread_ev_per_atom = {limit:g}"
            )
            lost.append({**identity(label), "reason": reason})
    return kept, lost


def identity(cell: Atoms) -> dict[str, Any]:
    """What names a cell in tables and failure records."""
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


def _median_energies(labels: Sequence[Atoms]) -> dict[str, float]:
    energies: dict[str, list[float]] = defaultdict(list)
    for label in labels:
        if ENERGY in label.info and label.info.get("kind") != "isolated_atom":
            energies[str(label.info.get("structure", ""))].append(_energy_per_atom(label))
    return {name: float(np.median(values)) for name, values in energies.items()}
