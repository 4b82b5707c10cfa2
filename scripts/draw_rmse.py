"""RMSE against structure."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.benchmarks.tables import read_rmse_table
    from phonsmith.figures.rmse import draw_rmse_by_structure
    from phonsmith.figures.style import looks, save_formats

    figure = draw_rmse_by_structure(
        read_rmse_table(snakemake.input[0]), looks(snakemake.params.labels)
    )
    save_formats(figure, snakemake.output[0], snakemake.params.formats, snakemake.params.dpi)
