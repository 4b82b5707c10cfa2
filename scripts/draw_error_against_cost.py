"""Errors of the fits against the time of a step."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    import pandas as pd

    from phonsmith.figures.speed import draw_error_against_cost
    from phonsmith.figures.style import looks, save_formats

    params = snakemake.params
    speeds = pd.read_csv(snakemake.input.speeds).set_index("model")["wall_s_per_atom_step"]
    figure = draw_error_against_cost(
        pd.read_csv(snakemake.input.table),
        looks(params.labels),
        reference=(params.reference, float(speeds["reference"])),
    )
    save_formats(figure, snakemake.output[0], params.formats, params.dpi)
