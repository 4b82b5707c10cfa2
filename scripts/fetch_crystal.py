"""One crystal from a public database, into the file that keeps it."""

from phonsmith.jobs import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.crystals import fetch

    fetch(snakemake.output[0])
