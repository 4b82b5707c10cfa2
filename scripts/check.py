"""Check campaign and site files; to the terminal, whatever the profile keeps quiet."""

import sys

from phonsmith.check.campaigns import report
from phonsmith.running.terminal import errors_in_words

with errors_in_words():
    if not report(snakemake.params.campaigns):
        sys.exit(1)
