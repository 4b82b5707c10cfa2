"""Phonon RMSE against the number of labels, generation by generation."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    import pandas as pd

    from phonsmith.figures.generations import draw_generations
    from phonsmith.figures.style import looks, save_formats

    figure = draw_generations(
        pd.read_csv(snakemake.input[0]), looks(snakemake.params.labels), snakemake.params.goal
    )
    save_formats(figure, snakemake.output[0], snakemake.params.formats, snakemake.params.dpi)
