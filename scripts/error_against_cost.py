"""Errors of the fits on the test sets beside the time of a step."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    import pandas as pd

    from phonsmith.benchmarks.speed import error_against_cost

    errors, speeds = pd.read_csv(snakemake.input.errors), pd.read_csv(snakemake.input.speeds)
    error_against_cost(errors, speeds, "reference").to_csv(snakemake.output[0], index=False)
