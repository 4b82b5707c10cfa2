"""RMSE against structure."""

from phonsmith.jobs import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.figures.rmse import draw_rmse_by_structure
    from phonsmith.figures.style import looks, save_figure
    from phonsmith.tables import read_rmse_table

    figure = draw_rmse_by_structure(
        read_rmse_table(snakemake.input[0]), looks(snakemake.params.labels)
    )
    save_figure(figure, snakemake.output[0], snakemake.params.dpi)
