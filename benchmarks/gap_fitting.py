"""CPU time and memory of phonsmith's fitter of GAPs against gap_fit.

Takes the data set and a recipe of a campaign, of which the labels must be there:

    snakemake results/si-george2020/datasets/gen0/train.extxyz
    python benchmarks/gap_fitting.py si-george2020 gap-balanced --fitters phonsmith gap_fit
    python benchmarks/gap_fitting.py si-george2020 gap-f-0.1 gap-f-0.01 --cache-gb 4

writes one row for each fit, number of sparse points and fitter to
``results/benchmark-gap-fitting``: CPU seconds of all processes (which do not depend on what else
the machine does), wall time, peak memory, and, with both fitters, the largest difference of forces
on the training cells. With ``--cache-gb``, fits use what earlier ones left, as in a campaign; the
cache is empty at the beginning.
"""

import argparse
import resource
import shutil
from pathlib import Path
from typing import Any

from phonsmith.running.job_context import limit_threads

limit_threads(1)

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from ase import Atoms  # noqa: E402

from phonsmith.campaign.reading import load_campaign  # noqa: E402
from phonsmith.datasets.sets import Baseline  # noqa: E402
from phonsmith.files.cache import Cache  # noqa: E402
from phonsmith.files.extxyz import read_frames  # noqa: E402
from phonsmith.fits.gap.settings import GapFit  # noqa: E402
from phonsmith.fits.training import train  # noqa: E402
from phonsmith.potentials.calculators import evaluate  # noqa: E402
from phonsmith.potentials.settings import PotentialSource  # noqa: E402

COMPARED = 3
"""Training cells whose forces are compared."""


def cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def measured(
    fit: GapFit,
    frames: list[Atoms],
    baseline: Baseline,
    folder: Path,
    *,
    threads: int,
    cache: Cache | None,
) -> tuple[dict[str, Any], np.ndarray]:
    """Train once; the row of the table, and forces on some training cells."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "model").mkdir(parents=True)
    before = cpu_seconds()
    record = train(fit, frames, baseline, folder / "model", folder / "work", threads, cache)
    row = {
        "fitter": fit.fitter,
        "sparse_points": record.details["sparse_points"],
        "atoms": sum(len(atoms) for atoms in frames),
        "threads": threads,
        "cpu_s": cpu_seconds() - before,
        "wall_s": record.wall_time_s,
        "peak_memory_mb": record.peak_memory_mb,
    }
    potential = PotentialSource(calculator="gap", model=str(folder / "model" / record.model))
    results = evaluate(frames[:COMPARED], potential)
    return row, np.concatenate([result.forces for result in results])


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("campaign")
    parser.add_argument("fits", nargs="+")
    parser.add_argument("--points", type=int, nargs="+", help="numbers of sparse points of SOAP")
    parser.add_argument("--fitters", nargs="+", default=["phonsmith"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cache-gb", type=float, help="share descriptors and rows; default: no")
    parser.add_argument("--data", type=Path, help="folder with train.extxyz and baseline.json")
    asked = parser.parse_args()
    data = asked.data or Path("results") / asked.campaign / "datasets/gen0"
    fits = load_campaign(f"config/campaigns/{asked.campaign}.yaml").fits
    frames, baseline = read_frames(data / "train.extxyz"), Baseline.load(data / "baseline.json")
    out = Path("results/benchmark-gap-fitting")
    shutil.rmtree(out / "cache", ignore_errors=True)
    cache = Cache(out / "cache", asked.cache_gb) if asked.cache_gb else None
    rows = []
    for name in asked.fits:
        fit = fits[name]
        if not isinstance(fit, GapFit) or fit.soap is None:
            parser.error(f"{name} is no GAP with SOAP")
        for points in asked.points or [fit.soap.n_sparse]:
            forces: list[np.ndarray] = []
            soap = fit.soap.model_copy(update={"n_sparse": points})
            for fitter in asked.fitters:
                recipe = fit.model_copy(update={"soap": soap, "fitter": fitter})
                folder = out / f"{name}-{fitter}-{points}"
                row, found = measured(
                    recipe, frames, baseline, folder, threads=asked.threads, cache=cache
                )
                forces.append(found)
                difference = float(np.abs(found - forces[0]).max())
                row.update(fit=name, force_difference_ev_per_angstrom=difference)
                rows.append(row)
                pd.DataFrame(rows).to_csv(out / f"{asked.campaign}.csv", index=False)
                print(row, flush=True)


if __name__ == "__main__":
    main()
