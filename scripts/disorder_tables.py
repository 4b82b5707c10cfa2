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
    runs = outcomes(params.outcomes)
    scattering = Scattering.model_validate(params.scattering)
    tables = {
        output.snapshots: snapshots,
        output.curves: lines,
        output.runs: runs,
        output.overview: overview(snapshots, lines, runs, scattering),
    }
    for path, table in tables.items():
        table.to_csv(path, index=False)
