"""One figure of disordered structures."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    import pandas as pd

    from phonsmith.figures.disorder_runs import draw_runs
    from phonsmith.figures.style import save_formats

    inputs, params, names = snakemake.input, snakemake.params, snakemake.wildcards
    tables = [pd.read_csv(path) for path in (inputs.snapshots, inputs.curves, inputs.runs)]
    figure = draw_runs(
        names.drawn,
        *[table[table["data"] == names.protocol] for table in tables],
        reference=params.reference,
        labels=params.labels,
    )
    save_formats(figure, snakemake.output[0], params.formats, params.dpi)
