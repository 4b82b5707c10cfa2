"""κ of one crystal against the generation of the fits."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    import pandas as pd

    from phonsmith.conductivity.settings import Conductivity
    from phonsmith.figures.conductivity import draw_generations
    from phonsmith.figures.style import looks, save_formats

    params = snakemake.params
    table = pd.read_csv(snakemake.input[0], dtype={"structure": str, "method": str})
    figure = draw_generations(
        table[table["structure"] == snakemake.wildcards.structure],
        looks(params.labels),
        params.groups,
        Conductivity.model_validate(params.conductivity),
        params.level_of_theory,
        structure=snakemake.wildcards.structure,
    )
    save_formats(figure, snakemake.output[0], params.formats, params.dpi)
