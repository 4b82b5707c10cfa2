"""What planning costs: `snakemake -n` and the time to the first job, for growing campaigns.

    python benchmarks/planning.py run FOLDER [COUNT ...]   measures, and writes planning.csv here
    python benchmarks/planning.py draw                     draws docs/images/planning.png from it

FOLDER takes a copy of the repository and campaigns of silicon crystals that are strained and
rattled, 30 labels each, with a Stillinger-Weber reference and one GAP. CPU time counts beside the
clock, so that a busy machine disturbs little.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from ase.build import bulk
from matplotlib.figure import Figure

REPOSITORY = Path(__file__).parent.parent
TABLE = Path(__file__).with_suffix(".csv")
FIGURE = REPOSITORY / "docs/images/planning.png"
LABELS = 30
COUNTS = [10, 30, 100, 300, 1000]
AIM = {"labels": 30_000, "seconds": 60, "memory_mb": 2000}


def main() -> None:
    """The command line."""
    match sys.argv[1:]:
        case ["run", folder, *counts]:
            rows = run(Path(folder), [int(count) for count in counts] or COUNTS)
            pd.DataFrame(rows).to_csv(TABLE, index=False)
        case ["draw"]:
            draw(pd.read_csv(TABLE))
        case _:
            sys.exit(__doc__)


def run(folder: Path, counts: list[int]) -> list[dict[str, float]]:
    """Measure one campaign of each size, in a fresh copy of the repository."""
    rows = []
    for count in counts:
        copy = folder / str(count)
        shutil.rmtree(copy, ignore_errors=True)
        for part in ("rules", "scripts", "phonsmith", "profiles", "envs"):
            shutil.copytree(REPOSITORY / part, copy / part)
        shutil.copy(REPOSITORY / "Snakefile", copy)
        write_campaign(copy, count)
        row = {"structures": count, "labels": LABELS * count, **dry_run(copy)}
        row["first_job_s"] = time_to_first_job(copy)
        print(row, flush=True)
        rows.append(row)
    return rows


def write_campaign(folder: Path, count: int) -> None:
    """Crystals that are all different, and a campaign of them."""
    crystals = folder / "config/structures"
    crystals.mkdir(parents=True)
    (folder / "config/campaigns").mkdir()
    structures = {}
    for number in range(count):
        random = np.random.default_rng(number)
        crystal = bulk("Si", cubic=True, a=5.43)
        strain = np.eye(3) + random.uniform(-0.03, 0.03, size=(3, 3))
        crystal.set_cell(crystal.cell[:] @ strain, scale_atoms=True)
        crystal.rattle(0.05, rng=random)
        path = crystals / f"si-{number}.vasp"
        crystal.write(path, format="vasp")
        structures[f"si-{number}"] = {"file": str(path.relative_to(folder))}
    settings = {
        "structures": structures,
        "reference": {"method": "calculator", "potential": {"calculator": "stillinger-weber"}},
        "supercells": {"kinds": ["rattled"], "rattled": {"count": LABELS}},
        "fits": {"gap": {"kind": "gap"}},
    }
    (folder / "config/campaigns/many.yaml").write_text(yaml.safe_dump(settings))
    (folder / "config/config.yaml").write_text("campaigns: [many]\n")


def snakemake(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Snakemake with the local profile, as the leader of a process group."""
    program = Path(sys.executable).with_name("snakemake")
    return subprocess.Popen(
        [program, "--profile", "profiles/local", "--cores", "2", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def dry_run(folder: Path) -> dict[str, float]:
    """Clock and CPU time in s, and peak memory in MB, of `snakemake -n`; and how many jobs."""
    begin = time.monotonic()
    process = snakemake(folder, "-n")
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - begin
    total = re.search(r"^total +(\d+)", said, re.M)
    if status or not total:
        raise RuntimeError(f"snakemake -n failed in {folder}:\n{said[-2000:]}")
    return {
        "jobs": int(total[1]),
        "wall_s": round(seconds, 1),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 1),
        "memory_mb": round(usage.ru_maxrss / 1024),  # Linux counts in kB
    }


def time_to_first_job(folder: Path) -> float:
    """Clock time in s until the log of the first job is there; the run is stopped then."""
    begin = time.monotonic()
    process = snakemake(folder)
    logs = folder / "results/many/logs"
    try:
        while not logs.exists() or not any(logs.glob("*/*.log")):
            if process.poll() is not None:
                raise RuntimeError(f"snakemake failed in {folder}")
            time.sleep(0.1)
        return round(time.monotonic() - begin, 1)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def draw(table: pd.DataFrame) -> None:
    """Time and memory against the number of labels, beside linear growth and the aim."""
    from phonsmith.figures.style import BLACK, COLOURS, DOUBLE_COLUMN_INCH, GREY, save_figure, style

    with style():
        figure = Figure(figsize=(DOUBLE_COLUMN_INCH, 2.6), layout="constrained")
        time_axes, memory_axes = figure.subplots(1, 2)
        columns = {
            "wall_s": ("snakemake -n", "o-"),
            "cpu_s": ("of which CPU", "s--"),
            "first_job_s": ("until the first job runs", "^-"),
        }
        for (column, (label, line)), colour in zip(columns.items(), COLOURS, strict=False):
            time_axes.plot(table["labels"], table[column], line, color=colour, label=label, ms=3.5)
        last = table.iloc[-1]
        time_axes.plot(
            table["labels"],
            table["labels"] * last["cpu_s"] / last["labels"],
            ":",
            color=GREY,
            label="linear growth",
        )
        memory_axes.plot(table["labels"], table["memory_mb"], "o-", color=COLOURS[0], ms=3.5)
        for axes, aim in ((time_axes, "seconds"), (memory_axes, "memory_mb")):
            axes.plot(AIM["labels"], AIM[aim], "_", color=BLACK, ms=12, mew=1.5)
            axes.annotate(
                "aim", (AIM["labels"], AIM[aim]), (0, 3), textcoords="offset points", ha="center"
            )
            axes.set_xscale("log")
            axes.set_xlabel("labels in the campaign")
            axes.set_yscale("log")
        time_axes.set_ylabel("time (s)")
        memory_axes.set_ylabel("peak memory (MB)")
        memory_axes.set_ylim(100, 4000)
        time_axes.legend(loc="upper left")
        save_figure(figure, FIGURE, 200)


if __name__ == "__main__":
    main()
