"""The environment of a calculator, from its file of pins."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.potentials.environments import make

    make(snakemake.wildcards.environment)
