"""Print the plans; to the terminal, whatever the profile keeps quiet."""

from pathlib import Path

from phonsmith.running.terminal import errors_in_words

with errors_in_words():
    for plan in snakemake.input:
        print("\n" + Path(plan).read_text(encoding="utf-8"), flush=True)
