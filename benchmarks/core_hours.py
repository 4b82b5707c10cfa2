"""Core hours of the labels against the errors of phonons and thermal conductivity, for recipes.

    python benchmarks/core_hours.py run FOLDER   computes, and writes core_hours.csv here
    python benchmarks/core_hours.py draw         draws docs/images/core-hours.png from it

Three silicon allotropes. SevenNet labels all cells; pw.x would take the core seconds that the
plan's cost model gives for the same cells and the settings of `si-qe`, which needs its
pseudopotential (`make pseudopotentials`). Recipes with equal cells share a campaign, and all
campaigns share a store of labels. The GAPs differ in cells and weights, not in descriptors.
Potentials are judged on the phonons of diagonal supercells of at least 15 Å, and on the thermal
conductivity of diamond, in the cells relaxed by SevenNet. FOLDER takes campaigns and results; an
interrupted run resumes.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from phonsmith.running.job_context import limit_threads

limit_threads(1)

import pandas as pd  # noqa: E402
import yaml  # noqa: E402
from ase import Atoms  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.ticker import LogLocator, NullFormatter  # noqa: E402
from phonopy import Phonopy  # noqa: E402

from phonsmith.benchmarks.comparison import compare_spectra  # noqa: E402
from phonsmith.campaign.model import Campaign  # noqa: E402
from phonsmith.conductivity.kappa import mean_kappa, thermal_conductivity  # noqa: E402
from phonsmith.conductivity.settings import Conductivity, ThirdOrder  # noqa: E402
from phonsmith.conductivity.third_order import (  # noqa: E402
    cells_of,
    displaced,
    produce,
    with_forces,
)
from phonsmith.figures.style import (  # noqa: E402
    COLOURS,
    DOUBLE_COLUMN_INCH,
    GREY,
    MARKERS,
    save_figure,
    style,
)
from phonsmith.files.extxyz import FORCES, read_frames  # noqa: E402
from phonsmith.files.reading_writing import read_json, write_json  # noqa: E402
from phonsmith.phonons.band_paths import band_path  # noqa: E402
from phonsmith.phonons.files import load_displacements  # noqa: E402
from phonsmith.phonons.force_constants import phonons_in_cell, reference_phonons  # noqa: E402
from phonsmith.phonons.settings import Phonons  # noqa: E402
from phonsmith.phonons.spectra import spectrum  # noqa: E402
from phonsmith.plan.costs import core_seconds_of_labels  # noqa: E402
from phonsmith.potentials.calculators import evaluate  # noqa: E402
from phonsmith.potentials.settings import PotentialSource  # noqa: E402
from phonsmith.structures.settings import Relaxation  # noqa: E402
from phonsmith.supercells.cells import to_ase  # noqa: E402
from phonsmith.supercells.settings import Displaced  # noqa: E402

REPOSITORY = Path(__file__).parent.parent
TABLE = Path(__file__).with_suffix(".csv")
FIGURE = REPOSITORY / "docs/images/core-hours.png"
STRUCTURES = ("mp-149", "mp-165", "mp-999200")
DIAMOND = "mp-149"
PUBLISHED_THZ = (0.13 + 0.05 + 0.14) / 3
"""RMSE of autoplex's GAP (Ertural et al. 2025), mean of the allotropes."""
SEVENNET = PotentialSource(calculator="sevennet", model="7net-0")
REFERENCE = {
    **{"method": "calculator", "isolated_atoms": False},
    "potential": {"calculator": "sevennet", "model": "7net-0"},
}
LONG = {"min_length_angstrom": 15, "min_atoms": 50, "max_atoms": 500}
SHORT = {"min_length_angstrom": 12, "min_atoms": 50, "max_atoms": 300}

LIMITS = {"min_length_angstrom": 10, "min_atoms": 64, "max_atoms": 64, "distance_angstrom": 0.01}
THIRD_ORDER = ThirdOrder(**LIMITS, pair_cutoff_angstrom=5)
RANDOM = ThirdOrder(**LIMITS, way="fit")
"""Displacements of 0.03 Å, the default, change κ of SevenNet from 47.6 to 83.7 W/mK."""
KAPPA = Conductivity(temperatures_kelvin=[300], mesh=(11, 11, 11))

# the volumes are autoplex's own
AUTOPLEX_RATTLED = {
    **{"count": 10, "std_angstrom": 0.01, "max_angle_strain_degree": 0},
    "volume_factors": [0.90, 0.95, 0.98, 0.99, 1.01, 1.02, 1.05, 1.10],
}
CELLS: dict[str, dict[str, Any]] = {
    "long": {"supercells": {**LONG, "rattled": AUTOPLEX_RATTLED}},
    "diagonal": {"supercells": {**SHORT, "rattled": {"count": 3}}},
    "non-diagonal": {"supercells": {"grid": 12.0, "way": "non-diagonal", "rattled": {"count": 10}}},
}
"""Settings of campaigns."""
SEEDS = {"long": 2, "diagonal": 3, "non-diagonal": 3}
"""Campaigns of each kind."""

OF_CELLS = {"sparse_from": "training"}


@dataclass(frozen=True)
class Recipe:
    """Cells, settings of a GAP, and a label.

    Without a GAP: force constants from the displaced cells, and third order by symfc from random
    cells of 64 atoms.
    """

    cells: str
    gap: dict[str, Any] | None
    label: str


GAP = {"kind": "gap"}
RECIPES = {
    "autoplex": Recipe(
        "long",
        {
            **GAP,
            "sigma": {
                **{"energy_ev_per_atom": 1e-4, "force_ev_per_angstrom": 0.05},
                "virial_ev_per_atom": 0.05,
            },
            **{"balance_exponent": 0, "soap": OF_CELLS},
        },
        "15 Å, ten rattled, uniform σ (autoplex)",
    ),
    "george2020": Recipe(
        "long",
        {
            **GAP,
            "sigma": {"force_ev_per_angstrom": 0.1, "virial_ev_per_atom": 0.05},
            "force_proportional": {"factor": 1e-3, "minimum_force_ev_per_angstrom": 0.01},
            **{"balance_exponent": 0, "soap": OF_CELLS},
        },
        "the same cells, σ = 0.001 |F| (George et al.)",
    ),
    "long": Recipe("long", GAP, "the same cells, default GAP"),
    "diagonal": Recipe("diagonal", GAP, "12 Å, three rattled cells, default GAP"),
    "non-diagonal": Recipe("non-diagonal", GAP, "12 Å, non-diagonal, ten rattled, default GAP"),
    "force-constants": Recipe("diagonal", None, "12 Å, force constants (no potential)"),
}


def main() -> None:
    """The command line."""
    match sys.argv[1:]:
        case ["run", folder]:
            table = run(Path(folder).resolve())
            table.to_csv(TABLE, index=False)
            print(table.to_string())
        case ["draw"]:
            save_figure(draw(pd.read_csv(TABLE)), FIGURE, 200)
        case _:
            sys.exit(__doc__)


def run(folder: Path) -> pd.DataFrame:
    """Run all campaigns and judge the recipes; a row for each recipe, seed and structure."""
    (folder / "config/campaigns").mkdir(parents=True, exist_ok=True)
    for name in ("config/structures", ".environments"):
        if not (folder / name).exists() and (REPOSITORY / name).exists():
            (folder / name).symlink_to((REPOSITORY / name).resolve())
    for cells, settings in CELLS.items():
        gaps = {
            name: recipe.gap
            for name, recipe in RECIPES.items()
            if recipe.cells == cells and recipe.gap
        }
        for seed in range(SEEDS[cells]):
            campaign = f"{cells}-{seed}"
            write(folder, campaign, {**common(), "seed": seed + 1, **settings, "fits": gaps})
            fits = f"results/{campaign}/fits"
            snakemake(folder, campaign, [f"{fits}/{name}/gen0/potential.json" for name in gaps])
    return pd.DataFrame(rows(folder))


def rows(folder: Path) -> Iterator[dict[str, Any]]:
    """Cells, cost and errors of each recipe, seed and structure.

    Of diamond also the error of κ, and the cost of cells labelled for it alone.
    """
    cost = costs()
    truth = {name: labelled_phonons(folder / "results/long-0", name) for name in STRUCTURES}
    kappa = kept(folder / "judged/reference.json", lambda: conductivity(truth[DIAMOND], SEVENNET))
    for name, recipe in RECIPES.items():
        for seed in range(SEEDS[recipe.cells]):
            campaign = folder / f"results/{recipe.cells}-{seed}"
            file = folder / f"judged/{name}-{seed}.json"
            found = kept(file, partial(judged, truth, campaign, name, seed))
            for structure in STRUCTURES:
                cells = read_frames(campaign / f"supercells/gen0/{structure}.extxyz")
                if not recipe.gap:
                    cells = [cell for cell in cells if cell.info["kind"] == "displaced"]
                row = {
                    **{"recipe": name, "seed": seed, "structure": structure, "cells": len(cells)},
                    **{"atoms": sum(map(len, cells)), "largest": max(map(len, cells))},
                    "core_seconds": sum(map(cost, cells)),
                    "rmse_thz": found["rmse_thz"][structure],
                }
                if structure == DIAMOND:
                    own = [] if recipe.gap else cells_of(displaced(truth[DIAMOND], RANDOM, seed))
                    row["third_order_core_seconds"] = sum(map(cost, own))
                    row["kappa_percent"] = 100 * (found["kappa"] / kappa - 1)
                yield row


def kept(file: Path, compute: Callable[[], Any]) -> Any:
    """The content of a JSON file, computed if there is none."""
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        write_json(file, compute())
    return read_json(file)


# --- errors -------------------------------------------------------------------------------------


def judged(truth: dict[str, Phonopy], campaign: Path, name: str, seed: int) -> dict[str, Any]:
    """RMSE (THz) of each structure, and κ of diamond (W/mK), of a recipe."""
    print(f"judging {name} in {campaign.name}", flush=True)
    if RECIPES[name].gap:
        model = min((campaign / f"fits/{name}/gen0/model").glob("*.xml"))
        gap = PotentialSource(calculator="gap", model=str(model))
        found = {structure: phonons_of(gap, phonon) for structure, phonon in truth.items()}
        kappa = conductivity(found[DIAMOND], gap)
    else:
        found = {structure: labelled_phonons(campaign, structure) for structure in truth}
        kappa = conductivity(found[DIAMOND], SEVENNET, RANDOM, seed)
    errors = {structure: rmse(phonon, found[structure]) for structure, phonon in truth.items()}
    return {"rmse_thz": errors, "kappa": kappa}


def labelled_phonons(campaign: Path, structure: str) -> Phonopy:
    """Phonons from the displaced cells of a campaign with one supercell for each crystal."""
    labels = read_frames(campaign / f"labels/gen0/{structure}.extxyz")
    phonon = load_displacements(campaign / f"supercells/gen0/{structure}.yaml")
    return reference_phonons(phonon, [cell for cell in labels if cell.info["kind"] == "displaced"])


def phonons_of(potential: PotentialSource, reference: Phonopy) -> Phonopy:
    """Phonons of a potential in the reference's cell."""
    return phonons_in_cell("reference", reference, potential, Displaced(), Relaxation())[0]


def rmse(reference: Phonopy, found: Phonopy) -> float:
    """RMSE in THz along the band path."""
    path = band_path(to_ase(reference.primitive), Phonons())
    return compare_spectra(spectrum(reference, path), spectrum(found, path), 0.1).rmse_thz


def conductivity(
    phonon: Phonopy, potential: PotentialSource, settings: ThirdOrder = THIRD_ORDER, seed: int = 0
) -> float:
    """κ in W/mK, mean over the axes; second order from the phonons, third order by a potential.

    The seed is that of random cells.
    """
    third = displaced(phonon, settings, seed)
    cells = cells_of(third)
    for cell, label in zip(cells, evaluate(cells, potential), strict=True):
        cell.arrays[FORCES] = label.forces
    third = produce(with_forces(third, cells), phonon, settings)
    result, _ = thermal_conductivity(third, KAPPA, DIAMOND, "", imaginary_tolerance_thz=0.1)
    return mean_kappa(result.series[0].kappa[0])


# --- campaigns ----------------------------------------------------------------------------------


def common() -> dict[str, Any]:
    """The crystals and the reference method."""
    return {
        "structures": {
            name: {"file": f"config/structures/silicon/{name}.vasp"} for name in STRUCTURES
        },
        "reference": REFERENCE,
        "relaxation": {"fmax_ev_per_angstrom": 1.0e-3},
    }


def costs() -> Callable[[Atoms], float]:
    """The core seconds of a cell with pw.x, by the plan's cost model."""
    path = REPOSITORY / "config/campaigns/si-qe.yaml"
    settings = Campaign.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    return core_seconds_of_labels(settings.reference, "mp-149")


def write(folder: Path, name: str, settings: dict[str, Any]) -> None:
    """Write a campaign; one that has not changed keeps its time."""
    path = folder / f"config/campaigns/{name}.yaml"
    text = yaml.safe_dump(settings, sort_keys=False)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def snakemake(folder: Path, campaign: str, targets: list[str]) -> None:
    """Make some files of a campaign."""
    site = {"campaigns": [campaign], "label_store": str(folder / "labels")}
    (folder / "config/config.yaml").write_text(yaml.safe_dump(site), encoding="utf-8")
    program = Path(sys.executable).with_name("snakemake")
    command = [
        *(str(program), "--snakefile", str(REPOSITORY / "Snakefile")),
        *("--profile", str(REPOSITORY / "profiles/local"), "--directory", str(folder)),
        *("--", *targets),
    ]
    subprocess.run(command, check=True)


def draw(table: pd.DataFrame) -> Figure:
    """RMSE and error of κ against core hours: means over seeds with their standard deviations."""
    with style():
        figure = Figure(figsize=(DOUBLE_COLUMN_INCH, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2, sharex=True)
        for (name, recipe), colour, marker in zip(RECIPES.items(), COLOURS, MARKERS, strict=False):
            seeds = table[table["recipe"] == name].groupby("seed")
            look = {"color": colour, "marker": marker, "label": recipe.label}
            hours = seeds["core_seconds"].sum() / 3600
            draw_recipe(left, hours, seeds["rmse_thz"].mean(), look)
            third = seeds["third_order_core_seconds"].sum() / 3600
            draw_recipe(right, hours + third, seeds["kappa_percent"].sum(min_count=1), look)
            if name == "autoplex":
                draw_aim(left, right, hours.mean() / 10)
        left.set_ylabel("Phonon RMSE, three allotropes (THz)")
        right.set_ylabel("Error of κ, diamond, 300 K (%)")
        left.set(yscale="log", ylim=(0.008, 0.25))
        right.axhline(0, color=GREY, linewidth=0.6, zorder=0)
        for axes, letter in ((left, "a"), (right, "b")):
            axes.set(xscale="log", xlabel="Core hours of the labels (pw.x)")
            axes.set_title(letter, fontweight="bold")
        for axis in (left.xaxis, right.xaxis, left.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter(NullFormatter())
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def draw_recipe(
    axes: Axes, hours: "pd.Series[float]", errors: "pd.Series[float]", look: dict[str, str]
) -> None:
    """A point with a bar."""
    bars = {"yerr": errors.std(ddof=1), "capsize": 2, "markersize": 5, "linestyle": "none"}
    axes.errorbar(hours.mean(), errors.mean(), **bars, **look)


def draw_aim(left: Axes, right: Axes, hours: float) -> None:
    """A tenth of autoplex's core hours, and its published accuracy."""
    look = {"color": GREY, "linestyle": ":", "zorder": 0}
    text = {"color": GREY, "fontsize": 6.5, "textcoords": "offset points"}
    for axes in (left, right):
        axes.axvline(hours, **look)
    left.axhline(PUBLISHED_THZ, **look)
    left.annotate(
        *("published accuracy", (0.02, PUBLISHED_THZ)),
        **{"xycoords": ("axes fraction", "data"), "xytext": (0, 2), **text},
    )
    left.annotate(
        *("a tenth of autoplex", (hours, 0.02)),
        **{"xycoords": ("data", "axes fraction"), "xytext": (3, 0), **text},
    )


if __name__ == "__main__":
    main()
