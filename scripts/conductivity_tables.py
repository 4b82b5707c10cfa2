"""Conductivities, their errors, their convergence, and what they cost in labels."""

from phonsmith.running.job_context import job

with job(snakemake.threads, snakemake.log[0]):
    from phonsmith.conductivity.kappa import KappaResult, Modes
    from phonsmith.conductivity.settings import Conductivity
    from phonsmith.conductivity.tables import (
        conductivity_table,
        convergence_table,
        errors_table,
        labels_table,
        overview,
    )
    from phonsmith.files.reading_writing import read_json, replacing

    inputs, name = snakemake.input, snakemake.wildcards.campaign
    settings = Conductivity.model_validate(snakemake.params.conductivity)
    results = [KappaResult.load(path) for path in inputs.results]
    modes = [Modes.load(path) for path in inputs.modes]
    converging = [KappaResult.load(path) for path in inputs.converging]
    methods = [result.method for result in results]
    records = [read_json(path) for path in inputs.records]
    conductivity = conductivity_table(name, results, settings)
    tables = {
        "conductivity": conductivity,
        "overview": overview(conductivity),
        "errors": errors_table(name, results, modes, settings),
        "convergence": convergence_table(name, [*converging, *results]),
        "labels": labels_table(name, methods, records),
    }
    for key, table in tables.items():
        with replacing(snakemake.output[key]) as temporary:
            table.to_csv(temporary, index=False)
