"""Print the plans; to the terminal, whatever the profile keeps quiet."""

from pathlib import Path

for plan in snakemake.input:
    print("\n" + Path(plan).read_text(encoding="utf-8"), flush=True)
