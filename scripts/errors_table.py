"""Errors of all trained fits on their data."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    import pandas as pd

    tables = [
        pd.read_csv(path).assign(fit=fit)
        for fit, path in zip(snakemake.params.fits, snakemake.input, strict=True)
    ]
    pd.concat(tables).set_index("fit").to_csv(snakemake.output[0])
