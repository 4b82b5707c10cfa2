"""From labelled cells to training and test sets."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from ase import Atoms

from phonsmith.datasets.settings import ConstraintCells, Datasets
from phonsmith.files.atoms import geometry
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS, of_kinds
from phonsmith.files.reading_writing import read_as, write_json
from phonsmith.files.seeds import seed_for
from phonsmith.labels.checks import median_energies
from phonsmith.labels.provenance import Provenance, without_provenance
from phonsmith.labels.quarantine import short_reason

FORCE_SIGMA = "force_sigma_ev_per_angstrom"
"""Key in ``info`` of a constraint cell: the regularisation of its forces in a GAP."""
VIRIAL_SIGMA = "virial_sigma_ev_per_atom"
"""Key in ``info`` of a constraint cell: the regularisation of its virial in a GAP."""

ALWAYS_TRAIN = frozenset({"isolated_atom", "constraint"})


@dataclass(frozen=True)
class Dataset:
    """What the fits of one generation learn from and are tested on."""

    train: list[Atoms]
    test: list[Atoms]
    baseline: "Baseline"
    outliers: list[dict[str, Any]]


def make_dataset(
    settings: Datasets,
    seed: int,
    *,
    labels: Sequence[Atoms],
    kinds: Collection[str] | None = None,
    test_labels: Sequence[Atoms] = (),
    crystals: Mapping[str, Atoms] | None = None,
    database_train: Sequence[Atoms] = (),
    database_test: Sequence[Atoms] = (),
    isolated_atoms: Sequence[Atoms] = (),
) -> Dataset:
    """Build training and test set of one generation.

    Parameters
    ----------
    settings
        Settings of the data set.
    seed
        Seed of the random choice of test cells.
    labels
        Labelled cells of structures to learn from; they are split.
    kinds
        Kinds of ``labels`` to learn from, all by default; other kinds are for testing only.
    test_labels
        Labelled cells of structures for testing only.
    crystals
        Pristine crystals by structure, for the pseudo-observations of ``settings.constraints``.
    database_train, database_test
        Training and test part of existing data sets.
    isolated_atoms
        Labelled isolated atoms. Isolated atoms among ``labels``, ``test_labels`` and
        ``database_train`` are added: fits learn one per element, whatever the role of its
        structure. With mixed levels of theory, the first one counts.

    Raises
    ------
    PhonsmithError
        Isolated atoms of one element have different energies.
    """
    others = [*labels, *test_labels, *database_train]
    isolated = [*isolated_atoms, *of_kinds(others, ["isolated_atom"])]
    database_train = [atoms for atoms in database_train if _kind(atoms) != "isolated_atom"]
    labels = [atoms for atoms in labels if _kind(atoms) != "isolated_atom"]
    kept, left_out = outliers(labels, settings)
    wanted = [kinds is None or _kind(atoms) in (*kinds, *ALWAYS_TRAIN) for atoms in kept]
    train, test = split([a for a, yes in zip(kept, wanted, strict=True) if yes], settings, seed)
    test += [a for a, yes in zip(kept, wanted, strict=True) if not yes]
    kept, more = outliers(database_train, settings)
    train += kept
    tests, of_tests = test_cells(settings, test_labels, database_test)
    left_out += more + of_tests
    if settings.constraints:
        train += constraint_frames(crystals or {}, settings.constraints)
    train += _one_for_each_element(isolated, mixed=settings.allow_mixed_levels_of_theory)
    # effort differs from run to run, data sets must not
    train, test = without_provenance(train), without_provenance(test) + tests
    return Dataset(train, test, isolated_energies(train), left_out)


def test_cells(
    settings: Datasets, labels: Sequence[Atoms], database: Sequence[Atoms]
) -> tuple[list[Atoms], list[dict[str, Any]]]:
    """Collect the cells for testing only.

    Parameters
    ----------
    settings
        Settings of the data set.
    labels
        Labelled cells of structures that no fit learns from; isolated atoms are omitted.
    database
        Test part of existing data sets.

    Returns
    -------
    The cells, and the omitted ones as :func:`outliers` returns them.
    """
    cells = [atoms for atoms in labels if _kind(atoms) != "isolated_atom"]
    kept, left_out = outliers(cells, settings)
    more, others = outliers(database, settings)
    return without_provenance([*kept, *more]), left_out + others


def _one_for_each_element(isolated: Sequence[Atoms], *, mixed: bool) -> list[Atoms]:
    """First isolated atom of each element; all others must agree within 1 meV, unless ``mixed``."""
    found: dict[str, Atoms] = {}
    for atoms in isolated:
        first = found.setdefault(atoms.get_chemical_symbols()[0], atoms)
        energies = [float(one.info.get(ENERGY, 0.0)) for one in (first, atoms)]
        if abs(energies[1] - energies[0]) > 1e-3 and not mixed:
            raise PhonsmithError(
                f"datasets: isolated atoms of {atoms.symbols[0]} have different energies, "
                f"{energies[0]:g} eV ({_structure(first)}) and {energies[1]:g} eV "
                f"({_structure(atoms)}); keep one, in a copy of the files, or set "
                "`reference.isolated_atoms: false`"
            )
    return list(found.values())


# --- outliers --------------------------------------------------------------------------------


def outliers(
    frames: Sequence[Atoms], settings: Datasets
) -> tuple[list[Atoms], list[dict[str, Any]]]:
    """Separate the frames to keep from outliers.

    A frame is omitted where a force component exceeds the limit, or where its energy per atom
    lies too far above the median of its structure (frames of one composition; the median resists
    the outliers themselves). Isolated atoms and constraint cells always stay.

    Returns
    -------
    The frames kept, in their order, and for each omitted frame its structure, kind, generation and
    index with the reason in words.
    """
    judged = [a for a in frames if ENERGY in a.info and _kind(a) not in ALWAYS_TRAIN]
    medians = median_energies(judged, _compound)
    kept: list[Atoms] = []
    left_out: list[dict[str, Any]] = []
    for atoms in frames:
        reason = "" if _kind(atoms) in ALWAYS_TRAIN else _fault(atoms, medians, settings)
        if reason:
            left_out.append(
                {
                    "structure": _structure(atoms),
                    "kind": _kind(atoms),
                    "generation": int(atoms.info.get("generation", 0)),
                    "index": int(atoms.info.get("index", -1)),
                    "reason": reason,
                }
            )
        else:
            kept.append(atoms)
    return kept, left_out


def _compound(atoms: Atoms) -> tuple[str, str]:
    formula = atoms.symbols.formula.reduce()[0]
    return _structure(atoms), formula.format("hill")


def _fault(atoms: Atoms, medians: Mapping[tuple[str, str], float], settings: Datasets) -> str:
    if FORCES in atoms.arrays:
        largest = float(np.max(np.abs(atoms.arrays[FORCES]), initial=0.0))
        if not largest <= settings.max_force_ev_per_angstrom:
            return (
                f"force component {largest:.3g} eV/Å above "
                f"{settings.max_force_ev_per_angstrom:g} eV/Å"
            )
    if ENERGY in atoms.info:
        above = float(atoms.info[ENERGY]) / len(atoms) - medians[_compound(atoms)]
        if not above <= settings.max_energy_above_median_ev_per_atom:
            return (
                f"energy {above:.3g} eV/atom above the median of its structure, more than "
                f"{settings.max_energy_above_median_ev_per_atom:g} eV/atom"
            )
    return ""


# --- split -----------------------------------------------------------------------------------


def split(
    frames: Sequence[Atoms], settings: Datasets, seed: int
) -> tuple[list[Atoms], list[Atoms]]:
    """Split frames into training and test set, stratified by structure and kind.

    Of each group of n cells floor(fraction · n) are for testing, at least one. Groups smaller than
    ``min_group_to_split``, isolated atoms, constraint cells and (without ``split_displaced``)
    displaced cells are for training only. The choice depends on the seed and on structure, kind,
    generation and index of a frame: other structures do not change it, and a cell remains in its
    set when later generations add cells. Copies of a geometry within a structure are kept together.

    Parameters
    ----------
    frames
        Labelled frames.
    settings
        Test fraction, smallest group to split, treatment of displaced cells.
    seed
        Seed of the random choice.

    Returns
    -------
    Training set and test set, both in the order of the frames.
    """
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, atoms in enumerate(frames):
        groups[_structure(atoms), _kind(atoms)].append(i)
    test: set[int] = set()
    for (_, kind), members in groups.items():
        fixed = kind in ALWAYS_TRAIN or (kind == "displaced" and not settings.split_displaced)
        if not fixed and settings.test_fraction > 0:
            test.update(_held_out(frames, members, settings, seed))
    _keep_copies_together(frames, test)
    return (
        [atoms for i, atoms in enumerate(frames) if i not in test],
        [atoms for i, atoms in enumerate(frames) if i in test],
    )


def _held_out(
    frames: Sequence[Atoms], members: Sequence[int], settings: Datasets, seed: int
) -> set[int]:
    """Choose test cells generation by generation: later ones never change earlier choices."""
    by_generation: dict[int, list[int]] = defaultdict(list)
    for i in members:
        by_generation[int(frames[i].info.get("generation", 0))].append(i)
    chosen: set[int] = set()
    seen = 0
    for _, cells in sorted(by_generation.items()):
        seen += len(cells)
        wanted = _share(seen, settings.test_fraction, settings.min_group_to_split)
        ranked = sorted(cells, key=lambda i: _rank(frames[i], seed))
        chosen.update(ranked[: max(0, wanted - len(chosen))])
    return chosen


def _share(count: int, fraction: float, smallest: int) -> int:
    if count < smallest:
        return 0
    # the tiny term undoes binary rounding, as in 0.1 · 30 = 2.9999999999999996
    return min(max(1, int(fraction * count + 1e-9)), count - 1)


def _rank(atoms: Atoms, seed: int) -> tuple[int, str]:
    generation = int(atoms.info.get("generation", 0))
    index = int(atoms.info.get("index", -1))
    name = f"{_structure(atoms)}/{_kind(atoms)}"
    return seed_for(seed, name, generation, index), geometry(atoms)


def _keep_copies_together(frames: Sequence[Atoms], test: set[int]) -> None:
    """Move test cells that have a copy in the training set there."""
    cells = [(_structure(atoms), geometry(atoms)) for atoms in frames]
    training = {cell for i, cell in enumerate(cells) if i not in test}
    test.difference_update({i for i in test if cells[i] in training})


# --- pseudo-observations -----------------------------------------------------------------------


def constraint_frames(crystals: Mapping[str, Atoms], settings: ConstraintCells) -> list[Atoms]:
    """Pseudo-observations: pristine cells with zero forces and zero stress, without energy.

    They state that the reference method relaxed these crystals to zero stress. Each carries its
    regularisation in ``info`` under :data:`FORCE_SIGMA` and :data:`VIRIAL_SIGMA`.

    Raises
    ------
    PhonsmithError
        The settings name a structure that is not among ``crystals``.
    """
    names = sorted(crystals) if settings.structures == "all" else settings.structures
    frames = []
    for name in names:
        if name not in crystals:
            raise PhonsmithError(
                f"datasets.constraints.structures: unknown crystal '{name}'; available are "
                + ", ".join(sorted(crystals))
            )
        source = crystals[name]
        atoms = Atoms(source.symbols, source.positions, cell=source.cell, pbc=True)
        atoms.set_array(FORCES, np.zeros((len(atoms), 3)))
        atoms.info.update(
            {
                STRESS: np.zeros((3, 3)),
                "structure": name,
                "kind": "constraint",
                "generation": 0,
                "index": 0,
                "seed": -1,
                "method": "pseudo-observation",
                FORCE_SIGMA: settings.force_sigma_ev_per_angstrom,
                VIRIAL_SIGMA: settings.virial_sigma_ev_per_atom,
            }
        )
        frames.append(atoms)
    return frames


def without_crystals(settings: Datasets, names: Collection[str]) -> Datasets:
    """Return the settings without pseudo-observations of these crystals."""
    constraints = settings.constraints
    if constraints is None or constraints.structures == "all":
        return settings
    kept = [name for name in constraints.structures if name not in names]
    changed = constraints.model_copy(update={"structures": kept})
    return settings.model_copy(update={"constraints": changed})


# --- energy zero -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Baseline:
    """Energies of single atoms (eV) that a fit subtracts, and where they come from."""

    e0s: dict[str, float]
    origin: Literal["isolated_atoms", "least_squares", "forces_only", "estimated", "foundation"]

    @property
    def has_energies(self) -> bool:
        """False where the labels are forces only, so that energies of fits mean nothing."""
        return self.origin != "forces_only"

    def save(self, path: str | Path) -> None:
        """Write as JSON."""
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what :meth:`save` wrote."""
        return read_as(path, "an energy zero", lambda content: cls(**content))


def isolated_energies(frames: Sequence[Atoms]) -> Baseline:
    """Return the energy zero of each element of ``frames``.

    Isolated atoms where there is one for every element; else the least-squares solution (of least
    norm where compositions do not part the elements) of energy = Σ n(element) · e0(element) over
    all cells with energies; else zero, since no frame has an energy.
    """
    elements = sorted({symbol for atoms in frames for symbol in set(atoms.symbols)})
    isolated = {
        atoms.get_chemical_symbols()[0]: float(atoms.info[ENERGY])
        for atoms in frames
        if _kind(atoms) == "isolated_atom" and ENERGY in atoms.info
    }
    bound = [a for a in frames if ENERGY in a.info and _kind(a) != "isolated_atom"]
    if elements and all(element in isolated for element in elements):
        return Baseline({element: isolated[element] for element in elements}, "isolated_atoms")
    if bound:
        energies = [float(a.info[ENERGY]) for a in bound]
        return Baseline(energies_of_elements(bound, energies, elements), "least_squares")
    return Baseline(dict.fromkeys(elements, 0.0), "forces_only")


def energies_of_elements(
    frames: Sequence[Atoms], energies: Sequence[float], elements: Sequence[str]
) -> dict[str, float]:
    """Fit energy = Σ n(element) · e(element) by least squares, weighted per atom.

    Where the compositions do not determine the energies of the elements, the solution has least
    norm.

    Parameters
    ----------
    frames
        Frames, whose compositions are used.
    energies
        Energy of each frame in eV per cell.
    elements
        Elements to fit.

    Returns
    -------
    Energy of each element in eV per atom.
    """
    counts = np.array([[list(a.symbols).count(e) for e in elements] for a in frames], dtype=float)
    # per atom, so that large cells do not outweigh small ones
    atoms = counts.sum(axis=1)
    solution = np.linalg.lstsq(counts / atoms[:, None], np.asarray(energies) / atoms, rcond=None)[0]
    return {element: float(value) for element, value in zip(elements, solution, strict=True)}


# --- overview ----------------------------------------------------------------------------------


def summary(train: Iterable[Atoms], test: Iterable[Atoms]) -> pd.DataFrame:
    """Count cells and atoms of the sets, and cells with energies, forces and stresses.

    One row for each set, structure and kind.
    """
    columns = ["cells", "atoms", "energies", "forces", "stresses"]
    counts: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0] * len(columns))
    for name, frames in (("train", train), ("test", test)):
        for atoms in frames:
            row = counts[name, _structure(atoms), _kind(atoms)]
            new = (
                1,
                len(atoms),
                ENERGY in atoms.info,
                FORCES in atoms.arrays,
                STRESS in atoms.info,
            )
            for i, value in enumerate(new):
                row[i] += int(value)
    rows = [(*key, *values) for key, values in counts.items()]
    table = pd.DataFrame(rows, columns=["set", "structure", "kind", *columns])
    order = table.assign(_test=table["set"] == "test")
    return (
        order.sort_values(["_test", "structure", "kind"])
        .drop(columns="_test")
        .reset_index(drop=True)
    )


def labels_table(frames: Iterable[Atoms], failures: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return cells labelled and failed, one row for each structure, generation and kind.

    ``code`` names codes and versions that computed the labels, empty where unknown; ``reason`` is
    the most frequent one of the failures, empty where there are none.
    """
    codes: dict[tuple[str, int, str], set[str]] = defaultdict(set)
    counts: dict[tuple[str, int, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    reasons: dict[tuple[str, int, str], Counter[str]] = defaultdict(Counter)
    for atoms in frames:
        key = _structure(atoms), int(atoms.info.get("generation", 0)), _kind(atoms)
        counts[key][0] += 1
        counts[key][1] += len(atoms)
        if made := Provenance.of(atoms):
            codes[key].add(f"{made.code} {made.code_version}")
    for failure in failures:
        key = failure["structure"], failure["generation"], failure["kind"]
        counts[key][2] += 1
        reasons[key][short_reason(failure["reason"])] += 1
    rows = []
    for key, values in sorted(counts.items()):
        most = reasons[key].most_common(1) if key in reasons else []
        code = ", ".join(sorted(codes[key])) if key in codes else ""
        rows.append((*key, *values, code, most[0][0] if most else ""))
    columns = ["structure", "generation", "kind", "labels", "atoms", "failures", "code", "reason"]
    return pd.DataFrame(rows, columns=columns)


def _structure(atoms: Atoms) -> str:
    return str(atoms.info.get("structure", ""))


def _kind(atoms: Atoms) -> str:
    return str(atoms.info.get("kind", "recorded"))
