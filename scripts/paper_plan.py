"""Print what the campaigns of the papers ask of a cluster, whatever the profile keeps quiet."""

from pathlib import Path

from phonsmith.paper.requests import requests_in_words
from phonsmith.running.terminal import errors_in_words

with errors_in_words():
    folders = {name: Path("results") / name for name in snakemake.params.campaigns}
    print("\n" + requests_in_words(folders, snakemake.params.gpu), flush=True)
