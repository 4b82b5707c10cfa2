"""Errors of the fits along the runs of one data set."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    import pandas as pd
    from pydantic import TypeAdapter

    from phonsmith.distillation.settings import Dynamics
    from phonsmith.figures.style import looks, save_formats
    from phonsmith.figures.trajectories import draw_errors_along

    params = snakemake.params
    table = pd.read_csv(snakemake.input.along)
    figure = draw_errors_along(
        table[table["data"] == snakemake.wildcards.protocol],
        TypeAdapter(Dynamics).validate_python(params.protocol),
        looks(params.labels),
        reference=params.reference,
    )
    save_formats(figure, snakemake.output[0], params.formats, params.dpi)
