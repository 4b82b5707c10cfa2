"""Errors of the trained fits on the test cells of existing databases."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.figures.database import draw_database_errors
    from phonsmith.figures.style import looks, save_formats
    from phonsmith.fits.errors import load_predictions

    params = snakemake.params
    predictions = {
        fit: load_predictions(path) for fit, path in zip(params.fits, snakemake.input, strict=True)
    }
    figure = draw_database_errors(predictions, params.databases, looks(params.labels))
    save_formats(figure, snakemake.output[0], params.formats, params.dpi)
