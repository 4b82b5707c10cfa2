"""What the pipeline itself costs: wall time in which no label, fit or force evaluation runs.

    python benchmarks/overhead.py CAMPAIGN SNAKEMAKE_LOG

Run it where the campaign ran, after one undisturbed run. Every benchmark file was written when its
job ended and tells how long it took; the log (.snakemake/log/*.log) tells when the run began.
"""

import csv
import sys
from datetime import datetime
from pathlib import Path

PIPELINE = ("phonons/reference/", "supercells/")
"""Benchmarked jobs, by the folder of their files, that evaluate no forces."""


def share(campaign: str, log: Path) -> tuple[float, float]:
    """Seconds without any such job, and of the whole run."""
    begin = datetime.strptime(log.name.split(".snakemake")[0], "%Y-%m-%dT%H%M%S.%f").timestamp()
    end = log.stat().st_mtime
    logs = Path("results", campaign, "logs")
    busy = []
    for path in logs.rglob("*.tsv"):
        if not str(path.relative_to(logs)).startswith(PIPELINE):
            with path.open(encoding="utf-8") as stream:
                seconds = float(next(csv.DictReader(stream, delimiter="\t"))["s"])
            busy.append((path.stat().st_mtime - seconds, path.stat().st_mtime))
    covered, last = 0.0, begin
    for first, until in sorted(busy):
        covered += max(0.0, until - max(first, last))
        last = max(last, until)
    return end - begin - covered, end - begin


if __name__ == "__main__":
    alone, whole = share(sys.argv[1], Path(sys.argv[2]))
    print(f"{alone:.0f} s of {whole:.0f} s, {100 * alone / whole:.1f} % of the wall time")
