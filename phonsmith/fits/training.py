"""Potentials fitted to labelled cells."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from ase import Atoms
from pydantic import TypeAdapter

from phonsmith.datasets.sets import ALWAYS_TRAIN, Baseline
from phonsmith.files.cache import Cache
from phonsmith.files.errors import PhonsmithError
from phonsmith.files.extxyz import ENERGY, of_kinds
from phonsmith.files.seeds import generator_for, seed_for
from phonsmith.fits.record import DRAWN_AGAIN, TargetCounts, TrainingRecord
from phonsmith.fits.registry import Fit, trained_kind
from phonsmith.fits.settings import TrainedFit
from phonsmith.fits.task import TrainingTask


def train(  # noqa: PLR0917 (the order is that of the stages)
    fit: Fit,
    frames: Sequence[Atoms],
    baseline: Baseline,
    folder: Path,
    work: Path,
    threads: int,
    cache: Cache | None = None,
    crystals: Mapping[str, Path] | None = None,
) -> TrainingRecord:
    """Fit a potential to the kinds of cells that it learns from.

    Parameters
    ----------
    fit
        Settings of the fit.
    frames
        Training set, without test cells.
    baseline, folder, work, threads, cache, crystals
        See :class:`phonsmith.fits.task.TrainingTask`; the work folder is made.

    Raises
    ------
    PhonsmithError
        There is nothing to learn from, or the training program fails (the message holds its
        reason).
    """
    if not isinstance(fit, TrainedFit):
        raise PhonsmithError(f"a fit of kind `{fit.kind}` is ready to use and cannot be trained")
    chosen = learnable(frames, fit, baseline.has_energies)
    work.mkdir(parents=True, exist_ok=True)
    task = TrainingTask(chosen, baseline, folder, work, threads, cache, crystals or {})
    return trained_kind(fit).train(fit, task)


def learnable(frames: Sequence[Atoms], fit: TrainedFit, has_energies: bool) -> list[Atoms]:
    """Copy the frames that a fit learns from; isolated atoms are included if energies count.

    Parameters
    ----------
    frames
        Training set.
    fit
        Settings of the fit.
    has_energies
        Whether the fit learns energies.

    Raises
    ------
    PhonsmithError
        No frame remains, or fewer than the fit's ``distilled_cells`` or ``training_cells``.
    """
    wanted = set(fit.learn_from) | ({"isolated_atom"} if has_energies else set())
    chosen = [atoms.copy() for atoms in frames if atoms.info.get("kind", "recorded") in wanted]
    if not has_energies:
        for atoms in chosen:
            atoms.info.pop(ENERGY, None)
    cells = [one for one in chosen if one.info.get("kind") not in ALWAYS_TRAIN]
    if not cells:
        raise PhonsmithError(
            f"learn_from: the training set has no labelled cell of kind {', '.join(fit.learn_from)}"
        )
    if fit.distilled_cells is not None:
        distilled = of_kinds(cells, ["distilled"])
        others = [one for one in cells if one.info.get("kind") != "distilled"]
        cells = others + _drawn("distilled_cells", fit.distilled_cells, distilled, fit.seed)
    if fit.training_cells is not None:
        cells = _drawn("training_cells", fit.training_cells, cells, fit.seed)
    kept = Counter(id(one) for one in cells)
    if fit.resampled:
        kept = Counter(id(one) for one in _drawn_again(cells, fit.seed))
    return [
        copy
        for one in chosen
        for copy in _copies(one, 1 if one.info.get("kind") in ALWAYS_TRAIN else kept[id(one)])
    ]


def _drawn(key: str, number: int, cells: Sequence[Atoms], seed: int) -> list[Atoms]:
    """A number of cells, drawn without replacement; fewer cells are among more."""
    if number > len(cells):
        raise PhonsmithError(
            f"{key}: {number} requested, but the training set has {len(cells)}; lower it"
        )
    return sorted(cells, key=lambda one: _lot(one, seed))[:number]


def _drawn_again(cells: Sequence[Atoms], seed: int) -> list[Atoms]:
    """As many cells, drawn with replacement within structure and kind (bootstrap).

    B. Efron, Ann. Statist. 7, 1 (1979). The draw of a group depends on its cells alone.
    """
    groups: dict[tuple[str, str], list[Atoms]] = defaultdict(list)
    for cell in cells:
        groups[str(cell.info.get("structure", "")), str(cell.info.get("kind", ""))].append(cell)
    return [
        group[index]
        for (structure, kind), group in groups.items()
        for index in generator_for(seed, f"drawn again/{structure}/{kind}", 0, 0).integers(
            len(group), size=len(group)
        )
    ]


def _copies(cell: Atoms, count: int) -> list[Atoms]:
    """The cell so many times; all but the first are marked as :data:`DRAWN_AGAIN`."""
    copies = [cell, *(cell.copy() for _ in range(count - 1))][:count]
    for copy in copies[1:]:
        copy.info[DRAWN_AGAIN] = True
    return copies


def _lot(cell: Atoms, seed: int) -> int:
    """A number for drawing lots that depends on the cell alone, not on the others."""
    info = cell.info
    name = f"training cells/{info.get('structure', '')}/{info.get('kind', '')}"
    return seed_for(seed, name, int(info.get("generation", 0)), int(info.get("index", -1)))


def recipe(settings: dict[str, Any]) -> Fit:
    """Return the fit that a campaign's settings describe."""
    fit: Fit = TypeAdapter(Fit).validate_python(settings)
    return fit


def fits_table(
    records: Mapping[str, TrainingRecord | None], kinds: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Time, memory and size of the trainings, one row a fit.

    Potentials that were not trained have no record; ``kinds`` holds their kinds.
    """
    rows: list[dict[str, Any]] = []
    for fit, record in records.items():
        if record is None:
            rows.append({"fit": fit, "kind": (kinds or {}).get(fit, "existing")})
            continue
        rows.append(
            {
                "fit": fit,
                "kind": record.settings["kind"],
                "wall_time_s": record.wall_time_s,
                "peak_memory_mb": record.peak_memory_mb,
                "n_sparse": record.details.get("sparse_points"),
                **record.counts.model_dump(),
                "baseline_origin": record.baseline_origin,
                "code": ", ".join(f"{name} {number}" for name, number in record.versions.items()),
            }
        )
    columns = ["fit", "kind", "wall_time_s", "peak_memory_mb", "n_sparse"]
    columns += [*TargetCounts.model_fields, "baseline_origin", "code"]
    return pd.DataFrame(rows, columns=columns)
