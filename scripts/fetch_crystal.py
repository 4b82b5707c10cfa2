"""One crystal from a public database, into the file that keeps it."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.structures.databases.fetching import fetch

    fetch(snakemake.output[0])
