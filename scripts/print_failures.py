"""Print the labels that failed; to the terminal, whatever the profile keeps quiet."""

from phonsmith.files.reading_writing import read_json
from phonsmith.labels.quarantine import in_words
from phonsmith.running.terminal import errors_in_words

with errors_in_words():
    for campaign, files in snakemake.params.failures.items():
        failures = [failure for path in files for failure in read_json(path)]
        failed = (
            "1 cell has no label" if len(failures) == 1 else f"{len(failures)} cells have no label"
        )
        print(f"\n{campaign}: {failed}\n", flush=True)
        if failures:
            print(in_words(failures), flush=True)
