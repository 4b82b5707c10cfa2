"""Phonon RMSE against force RMSE of the trained fits."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    import pandas as pd

    from phonsmith.benchmarks.tables import read_rmse_table
    from phonsmith.figures.rmse import draw_phonon_vs_force, force_errors
    from phonsmith.figures.style import looks, save_formats

    force_rmse, force_set = force_errors(pd.read_csv(snakemake.input.errors, dtype={"fit": str}))
    figure = draw_phonon_vs_force(
        read_rmse_table(snakemake.input.rmse),
        force_rmse,
        force_set,
        looks(snakemake.params.labels),
        snakemake.params.sparse_points,
    )
    save_formats(figure, snakemake.output[0], snakemake.params.formats, snakemake.params.dpi)
