"""Errors of a potential on labelled cells."""

import gzip
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from ase import Atoms

from phonsmith.datasets.sets import energies_of_elements
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS
from phonsmith.files.reading_writing import replacing
from phonsmith.labels.checks import SAME_CELL_ANGSTROM
from phonsmith.potentials.calculators import evaluate

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from phonopy import Phonopy

    from phonsmith.potentials.calculators import Evaluation
    from phonsmith.potentials.settings import PotentialSource

UNITS = {"energy": "eV/atom", "force": "eV/Å", "stress": "eV/Å³"}
ALL = "all"
PREDICTION_COLUMNS = ["set", "structure", "kind", "cell", "quantity", "reference", "prediction"]
ERROR_COLUMNS = ["set", "kind", "structure", "quantity", "unit", "count", "rmse", "mae", "max"]
SHIFT_COLUMN = "energy_shift_ev"
"""Further column of errors whose energies were shifted: by how much, for each element."""
NOT_COMPARED = frozenset({"constraint", "isolated_atom"})
"""Kinds of cells that do not count in the errors of all kinds."""


def predict(
    source: "PotentialSource", frames: Sequence[Atoms], set_name: str, processes: int = 1
) -> pd.DataFrame:
    """Evaluate a potential on labelled frames and list the results with the labels.

    Parameters
    ----------
    source
        The potential.
    frames
        Labelled frames.
    set_name
        Entry of the column ``set``.
    processes
        Number of processes that share the frames.

    Returns
    -------
    Table of :func:`predictions`.
    """
    return predictions(frames, evaluate(frames, source, processes), set_name)


def predict_shifted(
    source: "PotentialSource", frames: Sequence[Atoms], set_name: str, processes: int = 1
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Evaluate a potential with another zero of energy, after the shift of :func:`energy_shift`.

    Arguments are those of :func:`predict`.

    Returns
    -------
    Table of :func:`predictions` with shifted energies, and the shift by element in eV per atom.
    """
    evaluations = evaluate(frames, source, processes)
    shift = energy_shift(frames, [one.energy for one in evaluations])
    moved = [
        replace(one, energy=one.energy + sum(shift.get(symbol, 0.0) for symbol in atoms.symbols))
        for atoms, one in zip(frames, evaluations, strict=True)
    ]
    return predictions(frames, moved, set_name), shift


def recorded_predictions(
    frames: Sequence[Atoms], recorded: Mapping[str, "Phonopy"], set_name: str
) -> pd.DataFrame:
    """List the labels of displaced cells with recorded forces of a potential for these cells.

    Cells of a potential that relaxed the crystal itself differ from the labelled cells: they are
    omitted, since their forces cannot be compared.

    Parameters
    ----------
    frames
        Labelled cells; the displaced ones are compared.
    recorded
        Displacements with forces of the potential, by structure.
    set_name
        Entry of the column ``set``.
    """
    from phonsmith.labels.recorded.readers.phonopy_forces import frames_of, labels_of
    from phonsmith.potentials.calculators import Evaluation

    compared, evaluations = [], []
    for structure, phonon in recorded.items():
        if not phonon.dataset:  # recorded as force constants
            continue
        others = frames_of(phonon.supercells_with_displacements, *labels_of(phonon.dataset))
        for frame in frames:
            if (frame.info.get("structure"), frame.info.get("kind")) != (structure, "displaced"):
                continue
            for other in others:
                if (order := _order_in(other, frame)) is not None:
                    compared.append(_forces_alone(frame))  # one volume: no energies to compare
                    evaluations.append(Evaluation(np.nan, other.arrays[FORCES][order], None))
                    break
    return predictions(compared, evaluations, set_name)


def harmonic_predictions(
    frames: Sequence[Atoms], phonons: Mapping[str, "Phonopy"], set_name: str
) -> pd.DataFrame:
    """List the forces of labelled cells with those of second-order force constants.

    Cells with another lattice than the crystal's supercell are omitted. There are no energies and
    stresses.

    Parameters
    ----------
    frames
        Labelled cells.
    phonons
        Phonons by structure.
    set_name
        Entry of the column ``set``.
    """
    from phonopy.harmonic.force_constants import compact_fc_to_full_fc

    from phonsmith.phonons.distorted import distortion_of
    from phonsmith.potentials.calculators import Evaluation

    constants = {
        structure: compact_fc_to_full_fc(phonon.primitive, phonon.force_constants)
        for structure, phonon in phonons.items()
    }
    compared, evaluations = [], []
    for frame in frames:
        structure = str(frame.info.get("structure", ""))
        if structure not in phonons or frame.info.get("kind") in NOT_COMPARED:
            continue
        found = distortion_of(phonons[structure].supercell, frame)
        if found is None:
            continue
        forces = np.empty_like(found.forces)
        forces[found.order] = -np.einsum("ijab,jb->ia", constants[structure], found.displacements)
        compared.append(_forces_alone(frame))
        evaluations.append(Evaluation(np.nan, forces, None))
    return predictions(compared, evaluations, set_name)


def _forces_alone(frame: Atoms) -> Atoms:
    """Copy a labelled cell without energy and stress."""
    plain = frame.copy()
    for key in (ENERGY, STRESS):
        plain.info.pop(key, None)
    return plain


def _order_in(other: Atoms, frame: Atoms) -> "NDArray[np.int64] | None":
    """Which atom of the other cell each atom is, or None where the cells differ."""
    if sorted(other.numbers) != sorted(frame.numbers):
        return None
    if not np.allclose(other.cell[:], frame.cell[:], rtol=0, atol=SAME_CELL_ANGSTROM):
        return None
    away = other.get_scaled_positions()[None] - frame.get_scaled_positions()[:, None]
    away = np.linalg.norm((away - np.rint(away)) @ frame.cell[:], axis=2)
    away[frame.numbers[:, None] != other.numbers] = np.inf
    order = away.argmin(axis=1)
    same = len(set(order)) == len(order) and away.min(axis=1).max() < SAME_CELL_ANGSTROM
    return order if same else None


def energy_shift(frames: Sequence[Atoms], energies: Sequence[float]) -> dict[str, float]:
    """Return what to add to energies for each atom of an element, so that they fit the labels best.

    The zero of energy of a potential is arbitrary for each element. The shift solves E(label) = E +
    Σ n(element) · shift(element) by least squares of the error per atom; of least norm where
    compositions do not part the elements. Isolated atoms, constraint cells and cells without a
    finite energy do not count.

    Parameters
    ----------
    frames
        (n,) labelled cells.
    energies
        (n,) of the potential, eV per cell.

    Returns
    -------
    eV per atom by element; empty where no cell counts.
    """
    cells = [
        (atoms, float(atoms.info[ENERGY]) - energy)
        for atoms, energy in zip(frames, energies, strict=True)
        if ENERGY in atoms.info
        and str(atoms.info.get("kind", "")) not in NOT_COMPARED
        and np.isfinite(energy)
    ]
    if not cells:
        return {}
    elements = sorted({symbol for atoms, _ in cells for symbol in atoms.symbols})
    compared, differences = zip(*cells, strict=True)
    return energies_of_elements(compared, differences, elements)


def shift_in_words(shift: Mapping[str, float]) -> str:
    """Return a shift for tables.

    >>> shift_in_words({"Si": 158.87, "O": -0.5})
    'Si +158.8700, O -0.5000'
    """
    return ", ".join(f"{element} {value:+.4f}" for element, value in shift.items())


def predictions(
    frames: Sequence[Atoms], evaluations: Sequence["Evaluation"], set_name: str
) -> pd.DataFrame:
    """List each label with its prediction: energies, force components, stress components.

    Columns: set, structure, kind, cell (number of the frame), quantity, reference, prediction. The
    energy is in eV per atom, forces in eV/Å, stresses in eV/Å³ (xx, yy, zz, yz, xz, xy).

    Parameters
    ----------
    frames
        Labelled frames.
    evaluations
        Evaluation of each frame.
    set_name
        Entry of the column ``set``.

    Raises
    ------
    PhonsmithError
        There is not one evaluation for each frame.
    """
    if len(frames) != len(evaluations):
        raise PhonsmithError(f"{len(evaluations)} evaluations for {len(frames)} frames")
    parts = []
    for cell, (atoms, evaluation) in enumerate(zip(frames, evaluations, strict=True)):
        for quantity, reference, prediction in _pairs(atoms, evaluation):
            parts.append(
                pd.DataFrame(
                    {
                        "set": set_name,
                        "structure": str(atoms.info.get("structure", "")),
                        "kind": str(atoms.info.get("kind", "recorded")),
                        "cell": cell,
                        "quantity": quantity,
                        "reference": reference,
                        "prediction": prediction,
                    }
                )
            )
    if not parts:
        return pd.DataFrame(columns=PREDICTION_COLUMNS)
    return pd.concat(parts, ignore_index=True)[PREDICTION_COLUMNS]


def _pairs(atoms: Atoms, evaluation: "Evaluation") -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    if ENERGY in atoms.info:
        number = len(atoms)
        yield (
            "energy",
            np.array([float(atoms.info[ENERGY]) / number]),
            np.array([evaluation.energy / number]),
        )
    if FORCES in atoms.arrays:
        yield "force", np.ravel(atoms.arrays[FORCES]), np.ravel(evaluation.forces)
    if STRESS in atoms.info and evaluation.stress is not None:
        yield "stress", _six(np.asarray(atoms.info[STRESS])), _six(evaluation.stress)


def _six(stress: np.ndarray) -> np.ndarray:
    matrix = np.asarray(stress, dtype=float).reshape(3, 3)
    return matrix[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]


def errors_of(table: pd.DataFrame, shift: Mapping[str, float] | None = None) -> pd.DataFrame:
    """Root mean square, mean absolute and largest error of a table of :func:`predictions`.

    With a ``shift`` of the energies (:func:`predict_shifted`), a further column reports it.

    Columns: set, kind, structure, quantity, unit, count, rmse, mae, max. Rows for each kind and
    structure, and ``all`` for either or both. Constraint cells, which are pseudo-observations, and
    isolated atoms have separate rows and do not count in ``all`` kinds.
    """
    labels = table[~table["kind"].isin(NOT_COMPARED)]
    parts = [
        table,
        table.assign(structure=ALL),
        labels.assign(kind=ALL),
        labels.assign(kind=ALL, structure=ALL),
    ]
    rows = []
    keys = ["set", "kind", "structure", "quantity"]
    for part in parts:
        errors = (part["prediction"] - part["reference"]).astype(float)
        for key, group in errors.groupby([part[k] for k in keys], sort=True):
            values = group.to_numpy()
            sizes = (np.sqrt(np.mean(values**2)), np.mean(np.abs(values)), np.max(np.abs(values)))
            rows.append((*key, UNITS[str(key[3])], len(values), *map(float, sizes)))
    result = pd.DataFrame(rows, columns=ERROR_COLUMNS).sort_values(keys, ignore_index=True)
    if shift is not None:
        result[SHIFT_COLUMN] = ""
        result.loc[result["quantity"] == "energy", SHIFT_COLUMN] = shift_in_words(shift)
    return result


def save_predictions(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table of :func:`predictions` as reproducible compressed CSV (``.csv.gz``)."""
    text = table.to_csv(index=False, float_format="%.8g", lineterminator="\n")
    with replacing(path) as temporary:
        # without the time and the name of the file that gzip would put into it
        temporary.write_bytes(gzip.compress(text.encode(), mtime=0))


def load_predictions(path: str | Path) -> pd.DataFrame:
    """Read what :func:`save_predictions` wrote.

    Raises
    ------
    PhonsmithError
        The file is missing or has other columns.
    """
    path = Path(path)
    if not path.exists():
        raise PhonsmithError(f"{path}: no such file")
    table = pd.read_csv(
        path,
        compression="gzip",
        dtype={"structure": str, "kind": str},
        keep_default_na=False,
        na_values={"reference": [""], "prediction": [""]},
    )
    if list(table.columns) != PREDICTION_COLUMNS:
        raise PhonsmithError(f"{path}: not a table of predictions; delete it and run again")
    return table
