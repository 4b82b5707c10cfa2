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
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from phonsmith.running.job_context import limit_threads

limit_threads(1)

import pandas as pd  # noqa: E402
from selection_loop import DYNAMICS, SOAP, Trial, run_seed  # noqa: E402
from selection_results import METHODS, at_equal_labels, draw, markdown, ratios  # noqa: E402
from selection_scores import explain  # noqa: E402

from phonsmith.figures.style import save_figure  # noqa: E402
from phonsmith.files.reading_writing import read_json, replacing, write_json  # noqa: E402
from phonsmith.running.process_pool import each  # noqa: E402
from phonsmith.supercells.settings import Selection  # noqa: E402


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
        trial = Trial(
            generations=chosen.generations,
            start=chosen.start,
            add=chosen.add,
            pool=pool,
            grouped=not chosen.ungrouped,
            methods=chosen.methods,
            work=Path(work),
        )
        seeds = partial(
            all_seeds, seeds=chosen.seeds, folder=chosen.folder, processes=chosen.processes
        )
        write_results(seeds(partial(run_seed, trial), name="seed"), chosen.folder)
        if chosen.explain:
            reasons = partial(explain, labels=3, pool=pool, work=Path(work))
            write_reasons(seeds(reasons, name="explain"), chosen.folder)
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
