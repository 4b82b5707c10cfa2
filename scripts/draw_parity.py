"""Predicted against reference energies, forces and stresses of one fit."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.figures.parity import draw_parity
    from phonsmith.figures.style import save_formats
    from phonsmith.fits.errors import load_predictions

    figure = draw_parity(load_predictions(snakemake.input[0]), snakemake.params.label)
    save_formats(figure, snakemake.output[0], snakemake.params.formats, snakemake.params.dpi)
