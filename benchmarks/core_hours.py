"""Core hours of the labels against the error of the phonons, for several recipes.

    python benchmarks/core_hours.py run FOLDER [SEEDS]   computes, and writes core_hours.csv here
    python benchmarks/core_hours.py draw                 draws docs/images/core-hours.png from it

Three silicon allotropes. SevenNet labels all cells; pw.x would take the core seconds that the
plan's cost model gives for the same cells and the settings of `si-qe`, which needs its
pseudopotential (`make pseudopotentials`). The recipes differ in cells and weights of a GAP, not in
its descriptors.
Each potential is judged in one campaign of its own: on the phonons of diagonal supercells of at
least 15 Å, in the reference's cell. FOLDER takes campaigns and results; an interrupted run resumes.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from phonsmith.campaign.model import Campaign
from phonsmith.figures.style import save_figure, style
from phonsmith.files.extxyz import read_frames
from phonsmith.plan.costs import core_seconds_of_labels

REPOSITORY = Path(__file__).parent.parent
TABLE = Path(__file__).with_suffix(".csv")
FIGURE = REPOSITORY / "docs/images/core-hours.png"
STRUCTURES = ("mp-149", "mp-165", "mp-999200")
REFERENCE = {
    "method": "calculator",
    "potential": {"calculator": "sevennet", "model": "7net-0"},
    "isolated_atoms": False,
}
LONG = {"min_length_angstrom": 15, "min_atoms": 50, "max_atoms": 500}

SPARSE = 800
OF_CELLS = {"n_sparse": SPARSE, "sparse_from": "training"}
UNIFORM = {"sigma": {"force_ev_per_angstrom": 0.05}, "soap": OF_CELLS}
PROPORTIONAL = {
    **{"force_proportional": {"factor": 0.001}, "sigma": {"force_ev_per_angstrom": 0.1}},
    "soap": OF_CELLS,
}
OURS = {"soap": {"n_sparse": SPARSE}}

RECIPES: dict[str, dict[str, Any]] = {
    # displaced cells and ten rattled ones at other volumes, as autoplex makes them
    "autoplex": {"supercells": {**LONG, "rattled": {"count": 10, "std_angstrom": 0.01}}},
    "george2020": {"supercells": {**LONG, "rattled": {"count": 10, "std_angstrom": 0.01}}},
    "diagonal": {
        "supercells": {
            **{"min_length_angstrom": 12, "min_atoms": 50, "max_atoms": 300},
            "rattled": {"count": 3, "std_angstrom": 0.03},
        }
    },
    "non-diagonal": {
        "supercells": {
            **{"grid": 12.0, "way": "non-diagonal"},
            "rattled": {"count": 10, "std_angstrom": 0.03},
        }
    },
}
FITS = {"autoplex": UNIFORM, "george2020": PROPORTIONAL}
LABELS = {
    "autoplex": "15 Å, ten rattled cells, uniform σ (autoplex)",
    "george2020": "the same cells, σ = 0.001 |F| (George et al.)",
    "diagonal": "12 Å, three rattled cells",
    "non-diagonal": "12 Å, non-diagonal, ten rattled cells",
}


def main() -> None:
    """The command line."""
    match sys.argv[1:]:
        case ["run", folder, *seeds]:
            table = run(Path(folder).resolve(), int(seeds[0]) if seeds else 3)
            table.to_csv(TABLE, index=False)
            print(table.to_string())
        case ["draw"]:
            save_figure(draw(pd.read_csv(TABLE)), FIGURE, 200)
        case _:
            sys.exit(__doc__)


def run(folder: Path, seeds: int) -> pd.DataFrame:
    """Run all campaigns; a row for each recipe, seed and structure."""
    (folder / "config/campaigns").mkdir(parents=True, exist_ok=True)
    for name in ("config/structures", ".environments"):
        if not (folder / name).exists() and (REPOSITORY / name).exists():
            (folder / name).symlink_to((REPOSITORY / name).resolve())
    names = {f"{recipe}-{seed}": (recipe, seed) for recipe in RECIPES for seed in range(seeds)}
    for name, (recipe, seed) in names.items():
        write(folder, name, trained(recipe, seed))
    snakemake(folder, [f"results/{name}/fits/gap/gen0/potential.json" for name in names])
    models = {name: model_of(folder, name) for name in names}
    write(folder, "truth", judged(models))
    snakemake(folder, ["results/truth/tables/rmse.csv"])
    rmse = pd.read_csv(folder / "results/truth/tables/rmse.csv")
    cost = costs()
    rows = []
    for name, (recipe, seed) in names.items():
        for structure in STRUCTURES:
            cells = read_frames(folder / f"results/{name}/supercells/gen0/{structure}.extxyz")
            found = rmse[(rmse["fit"] == name) & (rmse["structure"] == structure)]
            rows.append(
                {
                    **{"recipe": recipe, "seed": seed, "structure": structure},
                    "cells": len(cells),
                    "atoms": sum(map(len, cells)),
                    "largest": max(map(len, cells)),
                    "core_seconds": sum(map(cost, cells)),
                    "rmse_thz": found["rmse_thz"].item(),
                }
            )
    return pd.DataFrame(rows)


def trained(recipe: str, seed: int) -> dict[str, Any]:
    """The campaign that labels the cells of a recipe and trains its potential."""
    return {
        **common(),
        "seed": seed + 1,
        **RECIPES[recipe],
        "fits": {"gap": {"kind": "gap", **FITS.get(recipe, OURS)}},
    }


def judged(models: dict[str, str]) -> dict[str, Any]:
    """The campaign that compares phonons of all potentials in the same supercells."""
    potentials = {name: {"calculator": "gap", "model": model} for name, model in models.items()}
    return {
        **common(),
        "supercells": {**LONG, "kinds": ["displaced"]},
        "phonons": {"cells": ["reference"]},
        "fits": {name: {"kind": "existing", "potential": one} for name, one in potentials.items()},
    }


def common() -> dict[str, Any]:
    """The crystals and the reference method."""
    return {
        "structures": {
            name: {"file": f"config/structures/silicon/{name}.vasp"} for name in STRUCTURES
        },
        "reference": REFERENCE,
        "relaxation": {"fmax_ev_per_angstrom": 1.0e-3},
    }


def costs() -> Any:
    """The core seconds of a cell with pw.x, by the plan's cost model."""
    path = REPOSITORY / "config/campaigns/si-qe.yaml"
    settings = Campaign.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    return core_seconds_of_labels(settings.reference, "mp-149")


def model_of(folder: Path, name: str) -> str:
    """The model file of the potential of a campaign."""
    found = sorted((folder / f"results/{name}/fits/gap/gen0/model").glob("*.xml"))
    return str(found[0])


def write(folder: Path, name: str, settings: dict[str, Any]) -> None:
    """Write a campaign; one that has not changed keeps its time."""
    path = folder / f"config/campaigns/{name}.yaml"
    text = yaml.safe_dump(settings, sort_keys=False)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def snakemake(folder: Path, targets: list[str]) -> None:
    """Make some files."""
    site = {"campaigns": ["truth"], "label_store": str(folder / "labels")}
    (folder / "config/config.yaml").write_text(yaml.safe_dump(site), encoding="utf-8")
    program = Path(sys.executable).with_name("snakemake")
    command = [
        *(str(program), "--snakefile", str(REPOSITORY / "Snakefile")),
        *("--profile", str(REPOSITORY / "profiles/local"), "--directory", str(folder)),
        *("--", *targets),
    ]
    subprocess.run(command, check=True)


def draw(table: pd.DataFrame) -> Figure:
    """RMSE against core hours: a point for each recipe and seed, means over structures."""
    with style():
        figure = Figure(figsize=(4.6, 3.4), layout="constrained")
        axes = figure.subplots()
        for recipe, part in table.groupby("recipe", sort=False):
            seeds = part.groupby("seed")
            hours, rmse = seeds["core_seconds"].sum() / 3600, seeds["rmse_thz"].mean()
            axes.plot(hours, rmse, "o", markersize=5, label=LABELS[str(recipe)])
        axes.set(xscale="log", xlim=(20, 1000), ylim=(0, 0.3))
        axes.set_xticks([20, 50, 100, 200, 500, 1000])
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("Core hours of the labels (pw.x, cost model)")
        axes.set_ylabel("Phonon RMSE, mean of three allotropes (THz)")
        axes.legend(loc="upper left", fontsize="small")
    return figure


if __name__ == "__main__":
    main()
