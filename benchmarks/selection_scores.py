"""What the scores of candidates have to do with their errors (selection.py --explain)."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr
from selection_loop import (
    STRUCTURES,
    Crystal,
    candidates,
    committee,
    first_labels,
    fit_gap,
    labelled,
    make_crystal,
)

from phonsmith.files.extxyz import FORCES
from phonsmith.potentials.calculators import evaluate
from phonsmith.supercells.selection import disagreement, distances, environments
from phonsmith.supercells.settings import (
    Selection,
)


def explain(*, labels: int, pool: Selection, work: Path) -> Callable[[int], list[dict[str, Any]]]:
    """A function that says, for one seed, what the scores of candidates have to do with errors."""
    crystals = [make_crystal(name) for name in STRUCTURES]
    return partial(_explain, crystals=crystals, labels=labels, pool=pool, work=work)


def _explain(
    seed: int, *, crystals: Sequence[Crystal], labels: int, pool: Selection, work: Path
) -> list[dict[str, Any]]:
    """One row for each structure and for all together, after ``labels`` cells of each.

    ``share`` is the RMS force error of the candidates that a score would take first (as many as
    there are labels of each structure) over that of all candidates; 1 is no better than random.
    ``best_share`` is the same had the errors been known.
    """
    frames = first_labels(crystals, labels, seed)
    fit = fit_gap(frames, work / f"explain/{seed}", seed)
    cells = [cell for some in candidates(crystals, pool, fit, seed) for cell in some]
    found, truth = evaluate(cells, fit), labelled(cells)
    differences = [a.forces - b.arrays[FORCES] for a, b in zip(found, truth, strict=True)]
    errors = np.array([np.sqrt(np.mean(one**2)) for one in differences])
    members = committee(frames, work / f"explain/{seed}", seed)
    vectors = environments([*cells, *frames], pool)
    scores = {
        "distance": distances(vectors[: len(cells)], vectors[len(cells) :]),
        "disagreement": disagreement(cells, members),
    }
    names = np.array([cell.info["structure"] for cell in cells])
    rows = []
    for name in [*STRUCTURES, "all"]:
        here = np.flatnonzero((names == name) | (name == "all"))
        for score, values in scores.items():
            first = here[np.argsort(-values[here])[:labels]]
            best = here[np.argsort(-errors[here])[:labels]]
            whole = np.sqrt(np.mean(errors[here] ** 2))
            rows.append(
                {
                    "seed": seed,
                    "structure": name,
                    "score": score,
                    "rank_correlation": float(spearmanr(values[here], errors[here]).statistic),
                    "share": float(np.sqrt(np.mean(errors[first] ** 2)) / whole),
                    "best_share": float(np.sqrt(np.mean(errors[best] ** 2)) / whole),
                    "force_rmse_ev_per_angstrom": float(whole),
                }
            )
    return rows
