"""RMSE against one setting of the fits."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.benchmarks.tables import read_rmse_table
    from phonsmith.figures.rmse import draw_rmse_against
    from phonsmith.figures.style import save_formats

    figure = draw_rmse_against(
        read_rmse_table(snakemake.input[0]), snakemake.params.swept, snakemake.params.axis_label
    )
    save_formats(figure, snakemake.output[0], snakemake.params.formats, snakemake.params.dpi)
