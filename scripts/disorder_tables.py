"""Tables of disordered structures by all potentials."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    import pandas as pd

    from phonsmith.disorder.settings import Scattering
    from phonsmith.disorder.tables import outcomes, overview

    inputs, output, params = snakemake.input, snakemake.output, snakemake.params
    snapshots, lines = (
        pd.concat(map(pd.read_csv, files)) for files in (inputs.snapshots, inputs.curves)
    )
    tables = {
        output.snapshots: snapshots,
        output.curves: lines,
        output.runs: outcomes(params.outcomes),
        output.overview: overview(snapshots, lines, Scattering.model_validate(params.scattering)),
    }
    for path, table in tables.items():
        table.to_csv(path, index=False)
