"""Errors of the fits against the number of distilled cells."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    import pandas as pd

    from phonsmith.figures.sizes import draw_error_against_size
    from phonsmith.figures.style import save_formats

    params = snakemake.params
    figure = draw_error_against_size(pd.read_csv(snakemake.input[0]))
    save_formats(figure, snakemake.output[0], params.formats, params.dpi)
