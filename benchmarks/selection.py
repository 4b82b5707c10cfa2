"""How many labels each way of selecting cells needs, against cells taken at random.

The loop of a campaign in small: silicon allotropes labelled by the Stillinger-Weber potential,
one GAP a generation, its phonons against the reference's and its forces on hot cells. All methods
start from the same labels and choose from the same candidates: rattled cells of several volumes and
amplitudes and, with ``--dynamics``, snapshots of molecular dynamics with the fit of generation 0.
New cells are shared out evenly among volumes and amplitudes, as in a campaign; ``--ungrouped``
lets all candidates of a structure compete.

    python benchmarks/selection.py results/benchmark-selection

writes ``selection.csv`` (every fit), ``ratios.csv`` and ``selection.md`` (labels needed, relative
to random), ``equal_labels.csv`` (errors relative to random) and a figure. A run that was
interrupted goes on with the seeds that are missing.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from phonsmith.running.job_context import limit_threads

limit_threads(1)

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from ase import Atoms  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.ticker import MaxNLocator  # noqa: E402
from scipy.stats import spearmanr  # noqa: E402

from phonsmith.benchmarks.comparison import compare_spectra  # noqa: E402
from phonsmith.datasets.sets import Baseline  # noqa: E402
from phonsmith.figures.rmse import plain_log  # noqa: E402
from phonsmith.figures.style import DOUBLE_COLUMN_INCH, Look, looks, save_figure, style  # noqa: E402
from phonsmith.files.extxyz import ENERGY, FORCES, STRESS  # noqa: E402
from phonsmith.files.reading_writing import read_json, replacing, write_json  # noqa: E402
from phonsmith.files.seeds import seed_for  # noqa: E402
from phonsmith.fits import training as fits  # noqa: E402
from phonsmith.fits.gap.settings import GapFit, Sigma, Soap  # noqa: E402
from phonsmith.phonons.band_paths import band_path  # noqa: E402
from phonsmith.phonons.force_constants import phonons_in_cell, potential_phonons  # noqa: E402
from phonsmith.phonons.settings import Phonons  # noqa: E402
from phonsmith.phonons.spectra import Spectrum, spectrum  # noqa: E402
from phonsmith.potentials.calculators import evaluate, evaluate_one, make_calculator  # noqa: E402
from phonsmith.potentials.settings import PotentialSource  # noqa: E402
from phonsmith.running.process_pool import each  # noqa: E402
from phonsmith.structures.reading import read_structure  # noqa: E402
from phonsmith.structures.relaxation import relaxed_crystal  # noqa: E402
from phonsmith.structures.settings import Relaxation  # noqa: E402
from phonsmith.supercells.candidates import candidate_pool, run_dynamics  # noqa: E402
from phonsmith.supercells.cells import make_phonopy, rattled_cells, supercell_matrix, to_ase  # noqa: E402
from phonsmith.supercells.selection import disagreement, distances, environments, select  # noqa: E402
from phonsmith.supercells.settings import (  # noqa: E402
    Displaced,
    Dynamics,
    Rattled,
    Selection,
    SoapDescriptor,
    Supercells,
)

CRYSTALS = Path(__file__).parents[1] / "config/structures/silicon"
STRUCTURES = ("mp-149", "mp-999200", "mp-1072544")
REFERENCE = PotentialSource(calculator="stillinger-weber")
SUPERCELLS = Supercells(
    kinds=["rattled"],
    min_length_angstrom=5.0,
    min_atoms=12,
    max_atoms=24,
    rattled=Rattled(std_angstrom=0.05),
)
GAP = GapFit(
    kind="gap",
    learn_from=["rattled"],
    sigma=Sigma(energy_ev_per_atom=1e-4, force_ev_per_angstrom=1e-3, virial_ev_per_atom=1e-3),
    soap=Soap(n_sparse=300, n_max=6, l_max=4, cutoff_angstrom=4.0, atom_sigma_angstrom=0.4),
)
DYNAMICS = Dynamics(
    runs=2,
    temperature_kelvin=600,
    timestep_fs=2,
    equilibration_steps=60,
    snapshots=5,
    steps_between_snapshots=10,
)
SOAP = SoapDescriptor(cutoff_angstrom=4.0, atom_sigma_angstrom=0.4)
PHONONS = Phonons(points_per_segment=11, mesh_length_angstrom=20)
COMMITTEE = 3

METHODS = {
    "random": "random",
    "farthest": "farthest points (SOAP)",
    "committee": "committee of 3 GAPs, resampled labels",
    "farthest-all": "farthest points, all structures together",
    "committee-all": "committee, all structures together",
}
MEASURES = {
    "phonon_rmse_thz": "Mean phonon RMSE (THz)",
    "force_rmse_ev_per_angstrom": "Force RMSE, hot cells (eV/Å)",
}


# --- the reference ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Crystal:
    """A crystal with its reference phonons."""

    name: str
    atoms: Atoms
    phonon: Any
    path: Any
    spectrum: Spectrum


def make_crystal(name: str) -> Crystal:
    """The crystal as the reference relaxes it, and its phonons."""
    atoms, verdict = relaxed_crystal(
        read_structure(CRYSTALS / f"{name}.vasp"), make_calculator(REFERENCE), Relaxation()
    )
    assert not verdict.reason, verdict.reason
    matrix = supercell_matrix(atoms, SUPERCELLS)
    primitive = make_phonopy(atoms, matrix).primitive_matrix
    phonon = potential_phonons(atoms, matrix, Displaced(), REFERENCE, primitive_matrix=primitive)
    path = band_path(to_ase(phonon.primitive), PHONONS)
    return Crystal(name, atoms, phonon, path, spectrum(phonon, path))


def labelled(cells: Sequence[Atoms]) -> list[Atoms]:
    """The cells with energy, forces and stress of the reference."""
    calculator = make_calculator(REFERENCE)
    frames = []
    for cell in cells:
        label = evaluate_one(cell, calculator)
        frame = cell.copy()
        frame.info |= {ENERGY: label.energy, STRESS: label.stress}
        frame.set_array(FORCES, label.forces)
        frames.append(frame)
    return frames


def hot_cells(crystal: Crystal) -> list[Atoms]:
    """Test cells of one structure that no method chooses from, the same for all seeds.

    Five rattled with 1.5 times the standard deviation, and five snapshots of the reference's own
    dynamics.
    """
    matrix = supercell_matrix(crystal.atoms, SUPERCELLS)
    seeds = [seed_for(2**31, f"{crystal.name}/test", 0, i) for i in range(6)]
    hot = SUPERCELLS.rattled.model_copy(
        update={"std_angstrom": 1.5 * SUPERCELLS.rattled.std_angstrom, "min_distance_fraction": 0.6}
    )
    cells = rattled_cells(crystal.atoms, matrix, hot, seeds[:5])
    dynamics = DYNAMICS.model_copy(update={"equilibration_steps": 150})
    for number, start in enumerate(
        rattled_cells(crystal.atoms, matrix, SUPERCELLS.rattled, seeds[5:], first_index=1)
    ):
        run = run_dynamics(start, make_calculator(REFERENCE), dynamics, seeds[5 + number])
        assert not run.reason, run.reason
        cells += run.snapshots
    return labelled(cells)


# --- one seed --------------------------------------------------------------------------------


def fit_gap(
    frames: Sequence[Atoms], folder: Path, seed: int, *, resampled: bool = False
) -> PotentialSource:
    """A GAP of the frames; its model lies in ``folder``."""
    folder.mkdir(parents=True)
    recipe = GAP.model_copy(update={"seed": seed, "resampled": resampled})
    baseline = Baseline({"Si": 0.0}, "isolated_atoms")
    fits.train(recipe, frames, baseline, folder, folder / "work", threads=1)
    return PotentialSource(calculator="gap", model=str(folder / "gap.xml"))


def committee(frames: Sequence[Atoms], folder: Path, seed: int) -> list[PotentialSource]:
    """Fits to cells drawn with replacement, as the repeats of a ``resampled`` recipe."""
    seeds = [1000 * (seed + 1) + number for number in range(COMMITTEE)]
    return [fit_gap(frames, folder / str(one), one, resampled=True) for one in seeds]


def phonon_errors(fit: PotentialSource, crystals: Sequence[Crystal]) -> dict[str, float]:
    """Phonon RMSE of each crystal in THz, in the reference's cell; NaN without usable forces."""
    errors = {}
    for one in crystals:
        phonon, verdict = phonons_in_cell("reference", one.phonon, fit, Displaced(), Relaxation())
        errors[one.name] = (
            float("nan")
            if verdict.reason
            else compare_spectra(one.spectrum, spectrum(phonon, one.path), 0.1).rmse_thz
        )
    return errors


def force_error(fit: PotentialSource, test: Sequence[Atoms]) -> float:
    """RMSE of force components, eV/Å."""
    found = evaluate(test, fit)
    differences = [a.forces - b.arrays[FORCES] for a, b in zip(found, test, strict=True)]
    return float(np.sqrt(np.mean(np.concatenate(differences) ** 2)))


def first_labels(crystals: Sequence[Crystal], count: int, seed: int) -> list[Atoms]:
    """Labels of generation 0: ``count`` rattled cells of each structure."""
    settings = Selection(pool_size=count)
    pools = [
        candidate_pool(one.name, one.atoms, SUPERCELLS, settings, campaign_seed=seed, generation=0)
        for one in crystals
    ]
    return labelled([cell for pool in pools for cell in pool.cells])


def candidates(
    crystals: Sequence[Crystal], settings: Selection, fit: PotentialSource, seed: int
) -> list[list[Atoms]]:
    """The candidates of each structure, the same for all methods and generations."""
    pools = [
        candidate_pool(
            one.name,
            one.atoms,
            SUPERCELLS,
            settings,
            campaign_seed=seed,
            generation=1,
            potential=fit,
        )
        for one in crystals
    ]
    for pool in pools:
        for reason in pool.stopped:
            print(f"seed {seed}: {reason}", flush=True)
    return [pool.cells for pool in pools]


def run_seed(
    *,
    generations: int,
    start: int,
    add: int,
    pool: Selection,
    grouped: bool,
    methods: Sequence[str],
    work: Path,
) -> Callable[[int], list[dict[str, Any]]]:
    """A function that runs all methods with one seed; the reference is prepared here."""
    crystals = [make_crystal(name) for name in STRUCTURES]
    test = [cell for one in crystals for cell in hot_cells(one)]
    return partial(
        _run_seed,
        crystals=crystals,
        test=test,
        generations=generations,
        start=start,
        add=add,
        pool=pool,
        grouped=grouped,
        methods=methods,
        work=work,
    )


def _run_seed(
    seed: int,
    *,
    crystals: Sequence[Crystal],
    test: Sequence[Atoms],
    generations: int,
    start: int,
    add: int,
    pool: Selection,
    grouped: bool,
    methods: Sequence[str],
    work: Path,
) -> list[dict[str, Any]]:
    first = first_labels(crystals, start, seed)
    first_fit = fit_gap(first, work / f"{seed}/0", seed)
    pools = candidates(crystals, pool, first_fit, seed)
    if not grouped:
        for cell in (cell for cells in pools for cell in cells):
            cell.info["volume_factor"] = cell.info["amplitude_factor"] = 1.0
    rows = []
    for method in methods:
        frames, fit = list(first), first_fit
        groups = [[cell.copy() for cell in cells] for cells in pools]
        began = time.process_time()
        for generation in range(generations):
            folder = work / f"{seed}/{method}/{generation}"
            if generation:
                fit = fit_gap(frames, folder, seed)
            errors = phonon_errors(fit, crystals)
            rows.append(
                {
                    "method": method,
                    "seed": seed,
                    "generation": generation,
                    "labels": len(frames),
                    "phonon_rmse_thz": float(np.mean(list(errors.values()))),
                    "force_rmse_ev_per_angstrom": force_error(fit, test),
                    **{f"phonon_rmse_thz {name}": value for name, value in errors.items()},
                    "dynamics_share": float(
                        np.mean([one.info["origin"] == "dynamics" for one in frames])
                    ),
                }
            )
            print(
                f"seed {seed} {method} generation {generation}: {len(frames)} labels, "
                f"{rows[-1]['phonon_rmse_thz']:.4f} THz, "
                f"{rows[-1]['force_rmse_ev_per_angstrom']:.4f} eV/Å "
                f"({time.process_time() - began:.0f} s)",
                flush=True,
            )
            if generation + 1 == generations:
                break
            kind, _, together = method.partition("-")
            if together:
                groups = [[cell for group in groups for cell in group]]
            members = committee(frames, folder, seed) if kind == "committee" else []
            new = []
            for group in groups:
                for cell in group:
                    cell.info["generation"] = generation + 1  # where the quotas continue
                chosen = select(
                    group,
                    frames,
                    add * len(crystals) // len(groups),
                    pool.model_copy(update={"method": kind}),
                    seed=seed_for(seed, f"choice/{group[0].info['structure']}", generation, 0),
                    committee=members,
                )
                new += [group[i] for i in chosen]
                group[:] = [cell for i, cell in enumerate(group) if i not in chosen]
            frames = [*frames, *labelled(new)]
    return rows


# --- why -------------------------------------------------------------------------------------


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


# --- what it comes to ------------------------------------------------------------------------


def labels_needed(rows: pd.DataFrame, measure: str, target: float) -> float:
    """Labels at which one run first gets down to ``target``; NaN where it never does.

    Between two generations: straight lines in the logarithm of the error.
    """
    errors = rows[measure].to_numpy(dtype=float)
    labels = rows["labels"].to_numpy(dtype=float)
    for i, error in enumerate(errors):
        if error <= target:
            if i == 0 or not np.isfinite(errors[i - 1]):
                return float(labels[i])
            share = np.log(errors[i - 1] / target) / np.log(errors[i - 1] / error)
            return float(labels[i - 1] + share * (labels[i] - labels[i - 1]))
    return float("nan")


def ratios(table: pd.DataFrame) -> pd.DataFrame:
    """Labels needed by each method over those of ``random`` with the same seed.

    The targets are the errors that random, in the mean over the seeds, has at a half, three
    quarters and all of its labels. Pairs of which one never gets there are left out, which flatters
    methods that often fail: read the ratio with the counts. Columns: measure, target, method, mean
    ratio and its standard deviation over the pairs that are left, and how many they are.
    """
    rows = []
    for measure in MEASURES:
        random = table[table["method"] == "random"]
        mean = np.exp(np.log(random[measure]).groupby(random["generation"]).mean())
        last = int(mean.index.max())
        for target in sorted({float(mean.iloc[i]) for i in (last // 2, 3 * last // 4, last)})[::-1]:
            runs = {
                key: labels_needed(part.sort_values("generation"), measure, target)
                for key, part in table.groupby(["method", "seed"])
            }
            for method in [m for m in METHODS if m in set(table["method"])]:
                seeds = sorted(seed for m, seed in runs if m == method)
                own = np.array([runs[method, seed] for seed in seeds])
                others = np.array([runs["random", seed] for seed in seeds])
                both = np.isfinite(own) & np.isfinite(others)
                quotients = own[both] / others[both]
                rows.append(
                    {
                        "measure": measure,
                        "target": target,
                        "method": method,
                        "labels": float(np.mean(own[both])) if both.any() else np.nan,
                        "ratio": float(np.mean(quotients)) if both.any() else np.nan,
                        "spread": float(np.std(quotients, ddof=1)) if both.sum() > 1 else np.nan,
                        "seeds_reached": int(np.isfinite(own).sum()),
                        "seeds_compared": int(both.sum()),
                        "seeds": len(seeds),
                    }
                )
    return pd.DataFrame(rows)


def at_equal_labels(table: pd.DataFrame) -> pd.DataFrame:
    """Error of each method over that of ``random`` with the same seed and as many labels.

    Geometric mean over the generations after the first, then mean and standard deviation over the
    seeds. Unlike the labels to a target, it leaves out no run that does not get there.
    """
    rows = []
    later = table[table["generation"] > 0]
    for measure in MEASURES:
        errors = np.log(
            later.pivot_table(index=["seed", "generation"], columns="method", values=measure)
        )
        quotients = np.exp(errors.sub(errors["random"], axis=0).groupby("seed").mean())
        for method in [m for m in METHODS if m in quotients]:
            mean, spread = quotients[method].mean(), quotients[method].std(ddof=1)
            rows.append({"measure": measure, "method": method, "ratio": mean, "spread": spread})
    return pd.DataFrame(rows)


def markdown(found: pd.DataFrame) -> str:
    """The ratios as a table for people."""
    lines = [
        "| error | target | selection | labels | labels over random's | seeds that get there |",
        "|---|---|---|---|---|---|",
    ]
    for row in found.itertuples():
        spread = "" if np.isnan(row.spread) else f" ± {row.spread:.2f}"
        ratio = "–" if np.isnan(row.ratio) else f"{row.ratio:.2f}{spread}"
        labels = "–" if np.isnan(row.labels) else f"{row.labels:.1f}"
        lines.append(
            f"| {MEASURES[row.measure]} | {row.target:.3g} | {METHODS[row.method]} | {labels} | "
            f"{ratio} | {row.seeds_reached} of {row.seeds} |"
        )
    return "\n".join(lines) + "\n"


def draw(table: pd.DataFrame) -> Figure:
    """Errors against labels: geometric mean over the seeds, with their standard deviation."""
    shown = [method for method in METHODS if method in set(table["method"])]
    styles: dict[str, Look] = looks({method: METHODS[method] for method in shown})
    with style():
        figure = Figure(figsize=(DOUBLE_COLUMN_INCH, 2.7), layout="constrained")
        panels = figure.subplots(1, len(MEASURES), squeeze=False)[0]
        for axes, (measure, label) in zip(panels, MEASURES.items(), strict=True):
            for method in shown:
                look = styles[method]
                part = table[table["method"] == method]
                groups = np.log(part.set_index("labels")[measure]).groupby(level=0)
                mean, spread = groups.mean(), groups.std(ddof=1).fillna(0.0)
                axes.fill_between(
                    mean.index,
                    np.exp(mean - spread),
                    np.exp(mean + spread),
                    color=look.colour,
                    alpha=0.15,
                    lw=0,
                )
                axes.plot(
                    mean.index,
                    np.exp(mean),
                    color=look.colour,
                    marker=look.marker,
                    ms=3,
                    label=look.wrapped(26),
                )
            axes.set_yscale("log")
            plain_log(axes, "y")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set_xlabel("Labels so far")
            axes.set_ylabel(label)
        panels[-1].legend(loc="upper right")
        figure.get_layout_engine().set(wspace=0.05)  # type: ignore[union-attr]
    return figure


def write_results(table: pd.DataFrame, folder: Path) -> None:
    """Tables and figure of all seeds so far."""
    table = table.sort_values(["method", "seed", "generation"])
    found, errors = ratios(table), at_equal_labels(table)
    files = {"selection.csv": table, "ratios.csv": found, "equal_labels.csv": errors}
    for name, one in files.items():
        with replacing(folder / name) as temporary:
            one.to_csv(temporary, index=False)
    text = markdown(found)
    with replacing(folder / "selection.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    figure = draw(table)
    for suffix in ("svg", "png"):
        save_figure(figure, folder / f"selection.{suffix}", dpi=200)
    print(text)
    print(errors.round(2).to_string(index=False))


def write_reasons(reasons: pd.DataFrame, folder: Path) -> None:
    """Table of what scores have to do with errors."""
    with replacing(folder / "explain.csv") as temporary:
        reasons.to_csv(temporary, index=False)
    columns = ["rank_correlation", "share", "best_share"]
    print(reasons.groupby(["score", "structure"])[columns].agg(["mean", "std"]).round(2))


def all_seeds(
    setup: Callable[[], Callable[[int], list[dict[str, Any]]]],
    seeds: int,
    folder: Path,
    name: str,
    processes: int,
) -> pd.DataFrame:
    """Rows of all seeds; those that have a file in ``folder`` are not run again."""
    files = {seed: folder / f"{name}-{seed}.csv" for seed in range(seeds)}
    missing = [seed for seed, file in files.items() if not file.exists()]
    for index, outcome in each(setup, missing, processes):
        if isinstance(outcome, Exception):
            raise outcome
        with replacing(files[missing[index]]) as temporary:
            pd.DataFrame(outcome).to_csv(temporary, index=False)
    return pd.concat([pd.read_csv(file) for file in files.values()])


def main() -> None:
    """Run the seeds that are missing in the folder, then write tables and figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="receives the results")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--generations", type=int, default=7)
    parser.add_argument("--start", type=int, default=1, help="cells per structure at the start")
    parser.add_argument("--add", type=int, default=1, help="cells per structure and generation")
    parser.add_argument("--pool-size", type=int, default=16, help="rattled cells per structure")
    parser.add_argument("--methods", nargs="+", default=list(METHODS)[:3], choices=list(METHODS))
    parser.add_argument("--dynamics", action="store_true", help="add snapshots of dynamics")
    parser.add_argument("--ungrouped", action="store_true", help="no quotas")
    parser.add_argument("--explain", action="store_true", help="relate scores to errors")
    parser.add_argument("--processes", type=int, default=2)
    chosen = parser.parse_args()
    keys = ("generations", "start", "add", "pool_size", "methods", "dynamics", "ungrouped")
    settings = {key: getattr(chosen, key) for key in keys}
    record = chosen.folder / "settings.json"
    if record.exists() and read_json(record) != settings:
        parser.error(f"{chosen.folder} holds results of other settings; give another folder")
    write_json(record, settings)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as work:
        dynamics = DYNAMICS if chosen.dynamics else None
        pool = Selection(pool_size=chosen.pool_size, dynamics=dynamics, soap=SOAP)
        common = {"pool": pool, "work": Path(work)}
        runs = partial(
            run_seed,
            generations=chosen.generations,
            start=chosen.start,
            add=chosen.add,
            methods=chosen.methods,
            grouped=not chosen.ungrouped,
            **common,
        )
        table = all_seeds(runs, chosen.seeds, chosen.folder, "seed", chosen.processes)
        write_results(table, chosen.folder)
        if chosen.explain:
            write_reasons(
                all_seeds(
                    partial(explain, labels=3, **common),
                    chosen.seeds,
                    chosen.folder,
                    "explain",
                    chosen.processes,
                ),
                chosen.folder,
            )
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    # processes that are started below know functions by the name of their module
    import selection

    selection.main()
