"""Map of the data that fits learn from and are tested on, as a figure."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    import pandas as pd

    from phonsmith.figures.disorder import draw_map
    from phonsmith.figures.style import save_formats

    table = pd.read_csv(snakemake.input[0])
    figure = draw_map(table, {name: name for name in table["set"].unique()})
    save_formats(figure, snakemake.output[0], snakemake.params.formats, snakemake.params.dpi)
