"""Figures of runs of several potentials, from the tables of the disorder stage."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from phonsmith.disorder.description import over_seeds
from phonsmith.figures.disorder import (
    ANGLES,
    DENSITY,
    PAIR_DISTRIBUTION,
    STRUCTURE_FACTOR,
    draw_curves,
    draw_similarity_of_models,
    draw_similarity_to_crystals,
)
from phonsmith.figures.style import BLACK, Look, looks

CURVES = {
    "structure_factor": STRUCTURE_FACTOR,
    "pair_distribution": PAIR_DISTRIBUTION,
    "angles": ANGLES,
}
SIMILARITY = "similarity-"
SIMILARITIES = "similarities"
LATTICES = ("fixed", "scaled")


def draw_runs(
    drawn: str,
    snapshots: pd.DataFrame,
    curves: pd.DataFrame,
    runs: pd.DataFrame,
    *,
    reference: str,
    labels: Mapping[str, str],
) -> Figure:
    """Draw one quantity of the runs of one protocol: means over the runs of each potential.

    Parameters
    ----------
    drawn
        ``structure_factor``, ``pair_distribution`` or ``angles`` of the last cells; ``density`` or
        ``similarity-CRYSTAL`` against pressure; ``similarities`` to all crystals against pressure.
    snapshots, curves
        Tables of :func:`phonsmith.disorder.tables.described`, rows of one protocol.
    runs
        Table of :func:`phonsmith.disorder.tables.outcomes`, rows of one protocol.
    reference
        Name of the reference method in the legend.
    labels
        Names of the fits in the legend, by key, in the order of the campaign.
    """
    models = {"reference": Look(reference, BLACK, "o"), **looks(labels)}
    if drawn in CURVES:
        curve = CURVES[drawn]
        lines = curves[curves["curve"] == drawn].rename(columns={"x": curve.x, "y": curve.y})
        means = over_seeds(lines, ["model", curve.x], ignored=("run",))
        return draw_curves(means, curve, models)
    if drawn == "density":
        means = over_seeds(snapshots, ["model", "pressure_gpa"], ignored=("run",))
        return draw_curves(means, DENSITY, models)
    if drawn == SIMILARITIES:
        return draw_similarity_to_crystals(*_to_crystals(snapshots, models))
    crystal = drawn.removeprefix(SIMILARITY)
    alike = snapshots.rename(columns={f"similarity_scaled_{crystal}": "similarity"})
    means = over_seeds(
        alike[["model", "run", "pressure_gpa", "similarity"]],
        ["model", "pressure_gpa"],
        ignored=("run",),
    )
    failed = runs[runs["reason"].fillna("") != ""].dropna(subset=["pressure_gpa"])
    return draw_similarity_of_models(
        means.assign(crystal=crystal, lattice="scaled"),
        models,
        crystal,
        teacher="reference",
        failures={str(key): list(rows["pressure_gpa"]) for key, rows in failed.groupby("model")},
    )


def _to_crystals(
    snapshots: pd.DataFrame, models: Mapping[str, Look]
) -> tuple[pd.DataFrame, Mapping[str, Look], dict[str, str]]:
    """Similarities in long form, means over the runs; the models; the crystals with labels."""
    start = f"similarity_{LATTICES[0]}_"
    crystals = [name.removeprefix(start) for name in map(str, snapshots) if name.startswith(start)]
    parts = [
        over_seeds(
            snapshots.rename(columns={f"similarity_{lattice}_{crystal}": "similarity"})[
                ["model", "run", "pressure_gpa", "similarity"]
            ],
            ["model", "pressure_gpa"],
            ignored=("run",),
        ).assign(crystal=crystal, lattice=lattice)
        for crystal in crystals
        for lattice in LATTICES
    ]
    table = pd.concat(parts) if parts else pd.DataFrame(columns=["model"])
    return table, models, {crystal: crystal for crystal in crystals}
