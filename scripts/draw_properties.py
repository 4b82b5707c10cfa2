"""Properties that the goal of the loop asks for, generation by generation."""

from phonsmith.jobs import job

with job(snakemake.threads, snakemake.log[0]):
    import pandas as pd

    from phonsmith.figures.generations import draw_properties
    from phonsmith.figures.style import looks, save_figure

    table = pd.read_csv(snakemake.input[0])
    figure = draw_properties(table, looks(snakemake.params.labels))
    save_figure(figure, snakemake.output[0], snakemake.params.dpi)
