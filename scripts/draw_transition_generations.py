"""A transition against the generation of the fits."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    import pandas as pd

    from phonsmith.figures.style import looks, save_formats
    from phonsmith.figures.transitions import draw_generations

    params = snakemake.params
    table = pd.read_csv(snakemake.input[0], dtype={"first": str, "second": str})
    figure = draw_generations(
        table[table["transition"] == snakemake.wildcards.transition],
        looks(params.labels),
        params.groups,
        params.structures,
        params.level_of_theory,
    )
    save_formats(figure, snakemake.output[0], params.formats, params.dpi)
