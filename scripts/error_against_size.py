"""Errors of the fits on the test sets against the number of distilled cells."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    import pandas as pd

    from phonsmith.benchmarks.sizes import distilled_sizes, error_against_size
    from phonsmith.files.extxyz import read_frames
    from phonsmith.fits.training import recipe

    inputs, params = snakemake.input, snakemake.params
    fits = {name: recipe(settings) for name, settings in params.fits.items()}
    sizes = distilled_sizes(fits, read_frames(inputs.train))
    table = error_against_size(pd.read_csv(inputs.errors), sizes, params.series)
    table.to_csv(snakemake.output[0], index=False)
