"""Errors of all fits along molecular dynamics, and over its parts."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    import pandas as pd
    from pydantic import TypeAdapter

    from phonsmith.benchmarks.trajectories import errors_along, melt_quench_table
    from phonsmith.distillation.settings import Dynamics
    from phonsmith.files.extxyz import read_frames
    from phonsmith.fits.errors import load_predictions

    inputs, output, params = snakemake.input, snakemake.output, snakemake.params
    frames = [frame for path in inputs.test for frame in read_frames(path)]
    protocols = {
        name: TypeAdapter(Dynamics).validate_python(protocol)
        for name, protocol in params.protocols.items()
    }
    tables = [
        errors_along(load_predictions(path), frames, protocols, fit, shifted=shifted)
        for (fit, shifted), path in zip(params.fits.items(), inputs.predictions, strict=True)
    ]
    along = pd.concat(tables, ignore_index=True)
    along.to_csv(output.along, index=False)
    melt_quench_table(along, protocols).to_csv(output.parts, index=False)
