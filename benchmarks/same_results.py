"""Whether two versions of phonsmith give the same tables, to the last digit.

``python benchmarks/same_results.py OLD NEW CAMPAIGN …`` runs campaigns with the checkouts OLD and
NEW in folders of their own, and compares all CSV tables. Columns of time, memory and versions are
left out; columns that were renamed are given as ``--renamed old=new``.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

VARIES = ("wall_time_s", "peak_memory_mb", "memory_mb", "cores", "core_seconds", "code", "computed")
"""Columns that differ from run to run, or say what ran."""


def run(checkout: Path, campaign: str, folder: Path, cores: int) -> Path:
    """Run one campaign with one checkout; the folder of its tables."""
    folder.mkdir(parents=True)
    shutil.copytree(checkout / "config", folder / "config", symlinks=True)
    command = [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(checkout / "Snakefile")),
        *("--profile", str(checkout / "profiles/local"), "--directory", str(folder)),
        *("--cores", str(cores), "--config", f"campaigns=['{campaign}']"),
    ]
    environment = {**os.environ, "PYTHONPATH": ""}
    with (folder / "run.log").open("w") as log:
        subprocess.run(command, check=True, stdout=log, stderr=log, env=environment)
    return folder / "results" / campaign / "tables"


def differences(old: Path, new: Path, renamed: dict[str, str]) -> list[str]:
    """A line for each table that differs."""
    found = []
    names = sorted({path.name for folder in (old, new) for path in folder.glob("*.csv")})
    for name in names:
        if not (old / name).exists() or not (new / name).exists():
            found.append(f"{name}: only in one of both")
            continue
        before, after = (pd.read_csv(folder / name, dtype=str) for folder in (old, new))
        before = before.rename(columns=renamed)
        columns = [column for column in before if column not in VARIES]
        if columns != [column for column in after if column not in VARIES]:
            found.append(f"{name}: columns {list(before)} and {list(after)}")
        elif not before[columns].equals(after[columns]):
            differing = before[columns].ne(after[columns]) & ~(
                before[columns].isna() & after[columns].isna()
            )
            found.append(f"{name}: {int(differing.to_numpy().sum())} cells differ")
    return found


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("campaigns", nargs="+")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--renamed", nargs="*", default=[])
    given = parser.parse_args()
    renamed = dict(pair.split("=") for pair in given.renamed)
    work = Path(tempfile.mkdtemp(prefix="same-results-"))
    failed = False
    for campaign in given.campaigns:
        old, new = (
            run(checkout.resolve(), campaign, work / name / campaign, given.cores)
            for name, checkout in (("old", given.old), ("new", given.new))
        )
        lines = differences(old, new, renamed)
        tables = len(list(new.glob("*.csv")))
        print(f"{campaign}: {tables} tables, {len(lines)} differ", *lines, sep="\n  ", flush=True)
        failed = failed or bool(lines)
    sys.exit(failed)


if __name__ == "__main__":
    main()
