"""Figures of runs of several potentials, from the tables of the disorder stage."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from phonsmith.disorder.description import over_seeds
from phonsmith.disorder.similarity import LATTICES
from phonsmith.disorder.tables import ended, failed
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
        ``structure_factor``, ``pair_distribution`` or ``angles`` of the last cells of runs that
        reached their end; ``density`` or ``similarity-CRYSTAL`` against pressure;
        ``similarities`` to all crystals against pressure.
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
        lines = ended(curves[curves["curve"] == drawn], runs)
        lines = lines.rename(columns={"x": curve.x, "y": curve.y})
        means = over_seeds(lines, ["model", curve.x], ignored=("run",))
        return draw_curves(means, curve, models)
    if drawn == "density":
        means = over_seeds(snapshots, ["model", "pressure_gpa"], ignored=("run",))
        return draw_curves(means, DENSITY, models)
    if drawn == SIMILARITIES:
        start = f"similarity_{LATTICES[0]}_"
        names = [one.removeprefix(start) for one in map(str, snapshots) if one.startswith(start)]
        parts = [_similarities(snapshots, name, one) for name in names for one in LATTICES]
        table = pd.concat(parts) if parts else pd.DataFrame(columns=["model"])
        return draw_similarity_to_crystals(table, models, {name: name for name in names})
    crystal = drawn.removeprefix(SIMILARITY)
    broken = runs[failed(runs)].dropna(subset=["pressure_gpa"])
    return draw_similarity_of_models(
        _similarities(snapshots, crystal, "scaled"),
        models,
        crystal,
        teacher="reference",
        failures={str(key): list(rows["pressure_gpa"]) for key, rows in broken.groupby("model")},
    )


def _similarities(snapshots: pd.DataFrame, crystal: str, lattice: str) -> pd.DataFrame:
    """Similarities to a crystal against pressure, means over the runs of each potential."""
    found = snapshots.rename(columns={f"similarity_{lattice}_{crystal}": "similarity"})
    means = over_seeds(
        found[["model", "run", "pressure_gpa", "similarity"]],
        ["model", "pressure_gpa"],
        ignored=("run",),
    )
    return means.assign(crystal=crystal, lattice=lattice)
