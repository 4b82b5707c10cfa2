"""Equation of state and elastic constants of reference and fits as one table."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.benchmarks.comparison import load_benchmarks
    from phonsmith.benchmarks.tables import mechanics_table

    table = mechanics_table(load_benchmarks(snakemake.input))
    table.to_csv(snakemake.output[0], index=False)
