"""Phonon errors of recipes for materials of different chemistry: which is the default of GAP.

Five materials are labelled by SevenNet (7net-l3i5); α-Sn has recorded VASP runs, and four silicon
allotropes recorded CASTEP forces. Cells are those that a campaign makes, of at most 80 atoms.

    python -m phonsmith.potentials.environments sevennet       # once; polymlp for its recipe
    python benchmarks/defaults.py results/benchmark-defaults

writes one row for each recipe to ``MATERIAL.csv`` and the default before and after, with the best
recipe of each material, to ``defaults.md``. Labels and finished rows are kept: a further recipe
costs its fits and its phonons.
"""

import argparse
import resource
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phonsmith.running.job_context import limit_threads

limit_threads(1)

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from ase import Atoms  # noqa: E402
from ase.build import bulk  # noqa: E402
from ase.io import read  # noqa: E402

from phonsmith.benchmarks.comparison import compare_spectra  # noqa: E402
from phonsmith.datasets.sets import make_dataset  # noqa: E402
from phonsmith.datasets.settings import ConstraintCells, Datasets  # noqa: E402
from phonsmith.files.cache import Cache  # noqa: E402
from phonsmith.files.extxyz import FORCES  # noqa: E402
from phonsmith.files.reading_writing import replacing  # noqa: E402
from phonsmith.files.settings import CellChoice  # noqa: E402
from phonsmith.fits import training as fits  # noqa: E402
from phonsmith.fits.registry import trained_kind  # noqa: E402
from phonsmith.labels.calculator.method import CalculatorMethod  # noqa: E402
from phonsmith.labels.calculator.settings import CalculatorReference  # noqa: E402
from phonsmith.labels.labelling import label_cells  # noqa: E402
from phonsmith.labels.recorded.displacements import arranged, crystal_of  # noqa: E402
from phonsmith.labels.recorded.reading import read_recorded  # noqa: E402
from phonsmith.labels.settings import Labels  # noqa: E402
from phonsmith.labels.store import LabelStore  # noqa: E402
from phonsmith.phonons.band_paths import band_path  # noqa: E402
from phonsmith.phonons.force_constants import (  # noqa: E402
    phonons_in_cell,
    phonons_like,
    reference_phonons,
)
from phonsmith.phonons.settings import Phonons  # noqa: E402
from phonsmith.phonons.spectra import spectrum  # noqa: E402
from phonsmith.potentials.calculators import evaluate  # noqa: E402
from phonsmith.potentials.settings import PotentialSource  # noqa: E402
from phonsmith.structures.reading import read_structure  # noqa: E402
from phonsmith.structures.relaxation import relaxed_crystal  # noqa: E402
from phonsmith.structures.settings import Relaxation  # noqa: E402
from phonsmith.supercells.cells import to_ase  # noqa: E402
from phonsmith.supercells.making import make_supercells  # noqa: E402
from phonsmith.supercells.settings import Displaced, Rattled, Supercells  # noqa: E402

ROOT = Path(__file__).parents[1]
FOUNDATION = ROOT / "config/structures/foundation"
TIN = ROOT / "config/structures/sn-alpha"
METHOD = CalculatorMethod(
    CalculatorReference(
        method="calculator",
        potential=PotentialSource(calculator="sevennet", model="7net-l3i5"),
        isolated_atoms=False,
    )
)
PHONONS = Phonons(points_per_segment=11, mesh_length_angstrom=15)
RELAXATION = Relaxation()
SUPERCELLS = Supercells(min_length_angstrom=8, min_atoms=32, max_atoms=80)
TEST = Rattled(count=5, std_angstrom=0.05, volume_factors=[1.0, 0.95, 1.05])
EXPANSION = 1.04
"""Volume of the crystal whose phonons no fit learns from, relative to the relaxed one."""


def molybdenite() -> Atoms:
    """2H-MoS2, two layers."""
    a, c, u = 3.18, 14.5, 0.108
    scaled = [(1 / 3, 2 / 3, 1 / 4), (2 / 3, 1 / 3, 3 / 4)]
    scaled += [(1 / 3, 2 / 3, 3 / 4 + sign * u) for sign in (-1, 1)]
    scaled += [(2 / 3, 1 / 3, 1 / 4 + sign * u) for sign in (-1, 1)]
    cell = [[a, 0, 0], [-a / 2, a * np.sqrt(3) / 2, 0], [0, 0, c]]
    return Atoms("Mo2S4", scaled_positions=scaled, cell=cell, pbc=True)


CRYSTALS: dict[str, Callable[[], Atoms]] = {
    "si": lambda: read_structure(FOUNDATION / "si-diamond.vasp"),
    "mgo": lambda: bulk("MgO", "rocksalt", a=4.25),
    "natl": lambda: read_structure(FOUNDATION / "natl-zintl.vasp"),
    "mos2": molybdenite,
    "ga2o3": lambda: read_structure(ROOT / "config/structures/kappa/beta-ga2o3.vasp"),
}
NAMES = {
    "si": "Si, diamond",
    "mgo": "MgO",
    "natl": "NaTl",
    "mos2": "2H-MoS2",
    "ga2o3": "β-Ga2O3",
    "sn": "α-Sn (VASP)",
    "castep": "four Si allotropes (CASTEP)",
}


# --- materials ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Material:
    """Labels and reference phonons of a material.

    Attributes
    ----------
    learnt, unseen
        Phonons whose displaced cells are labels, and phonons at a volume without displaced cells.
    displaced, test
        Labels of displaced cells, and of test cells.
    rattled
        Function that returns labels of rattled cells.
    stress_known
        Whether the rattled cells have stresses, so that a fit can relax the crystals.
    zero_stress
        Whether each fit states zero stress of the crystals.
    """

    name: str
    learnt: dict[str, Any]
    unseen: dict[str, Any]
    displaced: list[Atoms]
    test: list[Atoms]
    rattled: Callable[[Rattled], list[Atoms]]
    stress_known: bool = True
    zero_stress: bool = False


def with_sevennet(name: str, store: LabelStore) -> Material:
    """A crystal relaxed by SevenNet, with cells as a campaign makes them."""
    kept = store.folder / f"{name}.json"
    crystal = relaxed_once(name, kept)

    def labels(cells: Sequence[Atoms]) -> list[Atoms]:
        found, failures = label_cells(cells, METHOD, Labels(), store)
        assert not failures, failures[0].reason
        return found

    made = make_supercells(name, crystal, SUPERCELLS, 0, generation=0)
    displaced = labels([one for one in made.cells if one.info["kind"] == "displaced"])
    phonon = reference_phonons(made.phonon, displaced)

    def rattled(settings: Rattled, seed: int = 0) -> list[Atoms]:
        wanted = SUPERCELLS.model_copy(update={"rattled": settings})
        cells = make_supercells(name, crystal, wanted, seed, generation=0).cells
        return labels([one for one in cells if one.info["kind"] == "rattled"])

    expanded = crystal.copy()
    expanded.set_cell(EXPANSION ** (1 / 3) * crystal.cell[:], scale_atoms=True)

    def forces_of(cells: Sequence[Atoms]) -> list[np.ndarray]:
        return [one.arrays[FORCES] for one in labels(cells)]

    unseen = phonons_like(phonon, expanded, Displaced(), forces_of)
    test = rattled(TEST, seed=1)
    return Material(name, {name: phonon}, {name: unseen}, displaced, test, rattled)


def relaxed_once(name: str, kept: Path) -> Atoms:
    """The relaxed crystal, from a file if there is one."""
    if kept.exists():
        return read(kept)
    crystal, verdict = relaxed_crystal(CRYSTALS[name](), METHOD.calculator, RELAXATION)
    assert not verdict.reason, verdict.reason
    with replacing(kept) as temporary:
        crystal.write(temporary, format="json")
    return crystal


def tin(data: Path) -> Material:
    """α-Sn from recorded VASP runs at three volumes; no fit learns from the smallest."""
    phonons, frames = {}, {}
    for scale, folder in {"0.94": "0.94", "1.00": "1.0", "1.06": "1.06"}.items():
        runs = [
            frame
            for run in sorted(data.glob(f"dft_*_mp-117_{folder}_*"))
            for frame in read_recorded(run, "vasprun", f"sn-{scale}", "VASP PBE").frames
        ]
        found, phonon = arranged(runs, crystal_of(TIN / f"scale-{scale}.vasp"))
        phonons[scale], frames[scale] = reference_phonons(phonon, found), found
    seen = [frame for scale in ("1.00", "1.06") for frame in frames[scale]]
    displaced = [frame for frame in seen if frame.info["kind"] == "displaced"]
    rattled = [frame for frame in seen if frame.info["kind"] == "rattled"]
    test = [frame for frame in frames["0.94"] if frame.info["kind"] == "rattled"]
    learnt = {f"sn-{scale}": phonons[scale] for scale in ("1.00", "1.06")}
    unseen = {"sn-0.94": phonons["0.94"]}
    return Material("sn", learnt, unseen, displaced, test, lambda _: rattled, stress_known=False)


def castep(data: Path) -> Material:
    """Four silicon allotropes with recorded CASTEP forces of displaced cells, and no rattled cell.

    The crystals differ in their number of displaced cells; the test cells are of a fifth.
    """
    phonons, displaced = {}, []
    for number in (22, 24, 34, 9):
        recorded = read_recorded(
            data / f"{number}_phonopy.yaml", "phonopy", f"castep-{number}", "CASTEP PW91"
        )
        phonons[f"castep-{number}"] = reference_phonons(recorded.phonon, recorded.frames)
        displaced += recorded.frames
    test = read_recorded(data / "1_phonopy.yaml", "phonopy", "castep-1", "CASTEP PW91").frames
    return Material("castep", phonons, {}, displaced, test, lambda _: [], False, zero_stress=True)


# --- recipes ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recipe:
    """Settings that differ from the defaults: of the GAP, of rattled cells, of constraints."""

    fit: dict[str, Any] = field(default_factory=dict)
    rattled: dict[str, Any] = field(default_factory=dict)
    constraints: bool = False


def sigma(force: float, virial: float) -> dict[str, float]:
    """Settings of σ."""
    return {"force_ev_per_angstrom": force, "virial_ev_per_atom": virial}


OLD_SOAP = {"n_sparse": 300, "n_max": 8, "l_max": 5, "cutoff_angstrom": 5.0}
OLD_RULE = {"factor": 0.01, "minimum_force_ev_per_angstrom": 0.01}
OLD = {
    "sigma": sigma(0.03, 0.01),
    "force_proportional": OLD_RULE,
    "balance_exponent": 0.0,
    "soap": OLD_SOAP,
}
NEW_RULE = {"factor": 1e-4, "minimum_force_ev_per_angstrom": 0.1}


def old(**changed: Any) -> dict[str, Any]:
    """The settings that were the defaults before, and changes to them."""
    soap = {**OLD_SOAP, **changed.pop("soap", {})}
    return {**OLD, **changed, "soap": soap}


def new(force: float, virial: float, rule: Mapping[str, float] = NEW_RULE) -> dict[str, Any]:
    """The defaults with other σ of forces and virials."""
    return {"sigma": sigma(force, virial), "force_proportional": rule}


RECIPES: dict[str, Recipe] = {
    "before": Recipe(OLD),
    "before, sparse points from training cells": Recipe(old(soap={"sparse_from": "training"})),
    "before, displaced cells only": Recipe(old(learn_from=["displaced"])),
    "before, rattled cells only": Recipe(old(learn_from=["rattled"])),
    "before, zero stress stated": Recipe(OLD, constraints=True),
    "before, f = 0.001": Recipe(old(force_proportional={**OLD_RULE, "factor": 1e-3})),
    "before, cutoff 6 Å": Recipe(old(soap={"cutoff_angstrom": 6.0})),
    "before, 1000 points": Recipe(old(soap={"n_sparse": 1000})),
    "before, n_max 10, l_max 6": Recipe(old(soap={"n_max": 10, "l_max": 6})),
    "before, rattled by 0.05 Å": Recipe(OLD, {"std_angstrom": 0.05}),
    "before, rattled by 0.1 Å": Recipe(OLD, {"std_angstrom": 0.1}),
    "before, 20 rattled cells": Recipe(OLD, {"count": 20}),
    "after": Recipe(),
    "after, 2000 points": Recipe({"soap": {"n_sparse": 2000}}),
    "after, not balanced": Recipe({"balance_exponent": 0.0}),
    "after, virial σ 0.01": Recipe(new(3e-3, 0.01)),
    "after, virial σ 0.01, zero stress stated": Recipe(new(3e-3, 0.01), constraints=True),
    "after, force σ 0.01, virial σ 0.01": Recipe(new(0.01, 0.01)),
    "polymlp": Recipe({"kind": "polymlp"}),
    "after, f = 0.001, virial σ 0.01": Recipe(
        new(3e-3, 0.01, {"factor": 1e-3, "minimum_force_ev_per_angstrom": 0.01})
    ),
}


def measure(material: Material, recipe: Recipe, folder: Path, cache: Cache) -> dict[str, Any]:
    """Fit, and compare with the reference."""
    labels = material.displaced + material.rattled(Rattled.model_validate(recipe.rattled))
    crystals = {name: to_ase(phonon.unitcell) for name, phonon in material.learnt.items()}
    constraints = ConstraintCells() if recipe.constraints or material.zero_stress else None
    dataset = make_dataset(Datasets(constraints=constraints), 0, labels=labels, crystals=crystals)
    fit = fits.recipe({"kind": "gap", **recipe.fit})
    folder.mkdir(parents=True, exist_ok=True)
    begin = cpu_seconds()
    record = fits.train(fit, dataset.train, dataset.baseline, folder, folder / "work", 1, cache)
    kind = trained_kind(fit)
    source = PotentialSource(calculator=kind.calculator, model=str(folder / record.model))
    size = record.details.get("sparse_points", record.details.get("features"))
    row: dict[str, Any] = {
        "fit_s": record.wall_time_s,
        "sparse_points": size,
        **phonon_errors(material, source),
        "force_rmse_ev_per_angstrom": force_error(material.test, source),
    }
    return {**row, "cpu_s": cpu_seconds() - begin}


def cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def phonon_errors(material: Material, source: PotentialSource) -> dict[str, float]:
    """Phonon RMSE in THz: reference cell, relaxed cell, and a volume never seen."""

    def mean(phonons: Mapping[str, Any], cell: CellChoice) -> tuple[float, float]:
        errors, volumes = [], []
        for reference in phonons.values():
            found, verdict = phonons_in_cell(cell, reference, source, Displaced(), RELAXATION)
            if verdict.reason:
                print(f"{material.name}: {verdict.reason}", flush=True)
                return float("nan"), float("nan")
            path = band_path(to_ase(reference.primitive), PHONONS)
            compared = compare_spectra(spectrum(reference, path), spectrum(found, path), 0.1)
            errors.append(compared.rmse_thz)
            volumes.append(compared.volume_error_percent)
        return float(np.mean(errors)), float(np.max(np.abs(volumes)))

    row = {"reference_thz": mean(material.learnt, "reference")[0]}
    if material.stress_known:
        row["relaxed_thz"], row["volume_error_percent"] = mean(material.learnt, "relaxed")
    if material.unseen:
        row["unseen_thz"] = mean(material.unseen, "reference")[0]
    return row


def force_error(test: Sequence[Atoms], source: PotentialSource) -> float:
    """RMSE of force components, eV/Å."""
    found = evaluate(test, source)
    differences = [a.forces - b.arrays[FORCES] for a, b in zip(found, test, strict=True)]
    return float(np.sqrt(np.mean(np.concatenate(differences) ** 2)))


def material_of(name: str, data: Path, store: LabelStore) -> Material:
    """The material of a name; ``data`` is the folder of recorded data."""
    if name == "sn":
        return tin(data / "sn-alpha-vasp")
    return castep(data / "si-castep") if name == "castep" else with_sevennet(name, store)


def table(rows: pd.DataFrame) -> str:
    """The default before and after, and the smallest error of all recipes, in Markdown."""
    rows = rows.assign(phonon_thz=rows["relaxed_thz"].fillna(rows["reference_thz"]))
    columns = ["phonon_thz", "unseen_thz", "force_rmse_ev_per_angstrom"]
    lines = ["| | " + " | ".join(columns) + " | best recipe |", "|---|---|---|---|---|"]
    for name, title in NAMES.items():
        of_material = rows[rows["material"] == name].set_index("recipe")
        if not {"before", "after"} <= set(of_material.index):
            continue
        gaps = of_material.drop(index="polymlp", errors="ignore")
        best = str(gaps["phonon_thz"].idxmin())
        cells = [
            " → ".join(f"{of_material[key][recipe]:.4f}" for recipe in ("before", "after"))
            for key in columns
        ]
        cells[0] += f" (best {of_material['phonon_thz'][best]:.4f})"
        lines.append(f"| {title} | " + " | ".join(cells) + f" | {best} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure the recipes that are missing in the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="receives labels and results")
    parser.add_argument("--materials", nargs="+", default=list(NAMES), choices=list(NAMES))
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES), choices=list(RECIPES))
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    chosen = parser.parse_args()
    store = LabelStore(chosen.folder / "labels", "benchmark")
    cache = Cache(chosen.folder / "cache", 4)
    for name in chosen.materials:
        file = chosen.folder / f"{name}.csv"
        rows: list[dict[Any, Any]] = pd.read_csv(file).to_dict("records") if file.exists() else []
        missing = [one for one in chosen.recipes if one not in {row["recipe"] for row in rows}]
        if not missing:
            continue
        material = material_of(name, chosen.data, store)
        for recipe in missing:
            folder = (
                chosen.folder / "fits" / name / str(list(RECIPES).index(recipe))
            )  # ASCII for quippy
            found = measure(material, RECIPES[recipe], folder, cache)
            rows.append({"material": name, "recipe": recipe, **found})
            with replacing(file) as temporary:
                pd.DataFrame(rows).to_csv(temporary, index=False)
    files = [chosen.folder / f"{name}.csv" for name in NAMES]
    text = table(pd.concat([pd.read_csv(file) for file in files if file.exists()]))
    with replacing(chosen.folder / "defaults.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
